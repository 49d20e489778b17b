//! The likeliest cause of an unexplained layer, from the training side's weights, bias and values where they are known.

use super::dump::{Dump, DumpArray};
use super::layer::Layer;
use super::mapping::scope;
use crate::model::{Graph, Operator, Subgraph, Tensor};
use crate::tensor::{Quantization, TensorType};
use std::fmt;

/// Why a layer differs, the likeliest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The output's scale is not the step that the training side's values lie on.
    ActivationRange {
        /// The training side's step.
        trained: f64,
        /// The tensor's scale.
        declared: f64,
        /// The fraction of values that the tensor cannot represent.
        beyond: f64,
    },
    /// Values of the training side lie beyond the tensor's range.
    Saturation { beyond: f64 },
    /// Stored weights are not those of the training side.
    Weights {
        array: String,
        differing: usize,
        count: usize,
        /// The same difference in all that differ, in codes: a zero point.
        offset: Option<i64>,
    },
    /// Stored biases are not those of the training side.
    Bias {
        array: String,
        differing: usize,
        count: usize,
        /// Stored over trained, where it is the same for all.
        ratio: Option<f64>,
    },
    /// All results are off by the same amount, in LSB.
    Offset { lsb: f64 },
    /// The results of each channel are off by an amount of their own, in LSB.
    ChannelOffsets { channel: usize, lsb: f64 },
    /// All results are too large or too small by the same factor.
    Factor { slope: f64 },
    /// None of these.
    Unknown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActivationRange {
                trained,
                declared,
                beyond,
            } => write!(
                f,
                "activation range: training's values lie on a grid of {trained:.6}, the tensor's scale is \
                 {declared:.6}; {:.1} % of the values are beyond its codes. Convert with the range that training used",
                100.0 * beyond
            ),
            Self::Saturation { beyond } => write!(
                f,
                "activation range: {:.1} % of training's values are beyond the tensor's codes. Let the range converge, or \
                 calibrate again",
                100.0 * beyond
            ),
            Self::Weights {
                array,
                differing,
                count,
                offset: Some(offset),
            } => write!(
                f,
                "weight zero point: {differing} of {count} stored weights are off from {array:?} by the same {offset} \
                 code(s). Convert again; the file was edited or its zero point is wrong"
            ),
            Self::Weights {
                array,
                differing,
                count,
                offset: None,
            } => write!(
                f,
                "weights changed: {differing} of {count} stored weights are not those of {array:?}. Convert the checkpoint \
                 that the dump was made from"
            ),
            Self::Bias {
                array,
                differing,
                count,
                ratio: Some(ratio),
            } => write!(
                f,
                "bias scale: {differing} of {count} stored biases are {ratio:.3} times those of {array:?}. Quantize biases \
                 with input scale * weight scale"
            ),
            Self::Bias {
                array,
                differing,
                count,
                ratio: None,
            } => write!(
                f,
                "bias changed: {differing} of {count} stored biases are not those of {array:?}. Convert the checkpoint that \
                 the dump was made from"
            ),
            Self::Offset { lsb } => write!(
                f,
                "zero point: all results are off by {lsb:+.2} LSB. Compare the output's zero point with training's range"
            ),
            Self::ChannelOffsets { channel, lsb } => write!(
                f,
                "bias: results are off by a constant in each channel, most in channel {channel} by {lsb:+.2} LSB. Compare \
                 the biases and their scale"
            ),
            Self::Factor { slope } => write!(
                f,
                "scale: results are {slope:.4} times training's. Compare the scales of input, weights and output"
            ),
            Self::Unknown => write!(
                f,
                "no simple one found: neither range nor bias nor a constant factor. Compare the weights, and whether the \
                 dump holds this layer's output after its activation"
            ),
        }
    }
}

/// A relative difference of a scale and a step beyond this is a defect; a range in float32 and in double gives less.
const STEP_TOLERANCE: f64 = 0.01;

/// Saturation beyond this fraction is worth naming.
const SATURATION: f64 = 0.01;

/// Finds the likeliest cause of `layer`'s differences.
pub(super) fn likeliest(graph: &Graph, subgraph: &Subgraph, layer: &Layer, dump: &Dump) -> Cause {
    let Ok(pairing) = &layer.pairing else {
        return Cause::Unknown;
    };
    let values = &dump.arrays()[pairing.array];
    let beyond = layer.evidence.fraction_beyond();
    if let Some(trained) = grid_step(&values.values) {
        let declared = layer.codes.scale;
        if (trained / declared - 1.0).abs() > STEP_TOLERANCE {
            return Cause::ActivationRange {
                trained,
                declared,
                beyond,
            };
        }
    }
    if beyond > SATURATION {
        return Cause::Saturation { beyond };
    }
    let operator = &subgraph.operators[layer.operator];
    let of_layer = scope(&values.name);
    weights(graph, subgraph, operator, layer, dump, of_layer)
        .or_else(|| bias(graph, subgraph, operator, layer, dump, of_layer))
        .or_else(|| from_values(layer))
        .unwrap_or(Cause::Unknown)
}

fn from_values(layer: &Layer) -> Option<Cause> {
    if let Some(offsets) = layer.evidence.channel_offsets() {
        let known = || {
            offsets
                .iter()
                .copied()
                .enumerate()
                .filter(|(_, o)| o.is_finite())
        };
        let (channel, lsb) = known().max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))?;
        let (low, high) = known().fold((f64::MAX, f64::MIN), |(low, high), (_, o)| {
            (low.min(o), high.max(o))
        });
        if high - low < 0.5 && lsb.abs() > 0.5 {
            return Some(Cause::Offset {
                lsb: (high + low) / 2.0,
            });
        }
        if lsb.abs() > 0.5 {
            return Some(Cause::ChannelOffsets { channel, lsb });
        }
    }
    let slope = layer.evidence.slope(layer.codes.zero_point)?;
    ((slope - 1.0).abs() > STEP_TOLERANCE).then_some(Cause::Factor { slope })
}

/// The step of a grid that all values lie on, where there is one: the smallest gap between two of them.
pub(super) fn grid_step(values: &[f32]) -> Option<f64> {
    let mut sorted: Vec<f32> = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    let span = f64::from(*sorted.last()?) - f64::from(*sorted.first()?);
    let gaps = sorted
        .windows(2)
        .map(|pair| f64::from(pair[1]) - f64::from(pair[0]));
    // Equal values may differ in their last bits. Few values may all lie on a multiple of the step, many hardly.
    let step = gaps
        .filter(|gap| *gap > span * 1e-5)
        .fold(f64::INFINITY, f64::min);
    if !step.is_finite() || span / step < 8.0 || distinct(&sorted, span) < MIN_DISTINCT {
        return None;
    }
    // Wide gaps tell the step more exactly: count the steps from the lowest to the highest value.
    let step = span / (span / step).round();
    let first = f64::from(sorted[0]);
    let on_grid = sorted.iter().all(|&value| {
        let steps = (f64::from(value) - first) / step;
        (steps - steps.round()).abs() < 0.05
    });
    on_grid.then_some(step)
}

/// A grid is believed from this many values on: by chance all of 16 lie on every second code once in 65 536 times.
const MIN_DISTINCT: usize = 16;

/// How many values are more than rounding apart, in a sorted list.
fn distinct(sorted: &[f32], span: f64) -> usize {
    let apart = |pair: &&[f32]| f64::from(pair[1]) - f64::from(pair[0]) > span * 1e-5;
    1 + sorted.windows(2).filter(apart).count()
}

/// The array of a layer that holds `count` numbers of the kind that its name tells.
fn array_of<'d>(
    dump: &'d Dump,
    layer: &str,
    words: &[&str],
    count: usize,
) -> Option<&'d DumpArray> {
    dump.arrays().iter().find(|array| {
        let rest = array.name.rsplit('|').next().unwrap_or(&array.name);
        scope(&array.name) == layer
            && array.values.len() == count
            && words.iter().any(|word| array.name.contains(word))
            && !matches!(rest, "min" | "max" | "pre")
    })
}

fn operand<'a>(subgraph: &'a Subgraph, operator: &Operator, slot: usize) -> Option<&'a Tensor> {
    subgraph.tensors.get((*operator.inputs.get(slot)?)?)
}

/// The channel of element `index` of weights with these extents and quantization.
pub(in crate::oracle) fn channel_of(
    index: usize,
    dims: &[usize],
    quantization: &Quantization,
) -> usize {
    let axis = quantization.axis().min(dims.len().saturating_sub(1));
    let inner: usize = dims[axis..].iter().skip(1).product();
    index / inner.max(1) % dims.get(axis).copied().unwrap_or(1).max(1)
}

fn weights(
    graph: &Graph,
    subgraph: &Subgraph,
    operator: &Operator,
    layer: &Layer,
    dump: &Dump,
    of_layer: &str,
) -> Option<Cause> {
    layer.law.as_ref()?;
    let filter = operand(subgraph, operator, 1)?;
    let quantization = filter.quantization.as_deref()?;
    let stored = stored_codes(graph, filter)?;
    let array = array_of(dump, of_layer, &["weight", "kernel"], stored.len())?;
    let dims = filter.shape.dims();
    let trained = to_tensor_order(array, dims);
    let mut differences: Vec<i64> = Vec::new();
    for (index, (&code, &value)) in stored.iter().zip(&trained).enumerate() {
        let scales = quantization.scales();
        let channel = channel_of(index, dims, quantization);
        let scale = scales.get(channel).or(scales.first())?;
        let real = f64::from(value) / f64::from(*scale) + f64::from(quantization.zero_point());
        // Half a code and the float error around it are rounding.
        if (code as f64 - real).abs() > 0.51 {
            differences.push(code - real.round() as i64);
        }
    }
    let first = *differences.first()?;
    let all_same =
        differences.iter().all(|&d| d == first) && differences.len() * 10 > stored.len() * 9;
    Some(Cause::Weights {
        array: array.name.clone(),
        differing: differences.len(),
        count: stored.len(),
        offset: all_same.then_some(first),
    })
}

/// TensorFlow's weights in the order of the tensor: HWIO to OHWI, IO to OI; depthwise HWCM is 1HW(CM) as it is.
fn to_tensor_order(array: &DumpArray, dims: &[usize]) -> Vec<f32> {
    let is_transposed = match (array.shape.as_slice(), dims) {
        (&[h, w, i, o], &[to, th, tw, ti]) => (h, w, i, o) == (th, tw, ti, to) && to > 1,
        (&[i, o], &[to, ti]) => (i, o) == (ti, to),
        // A 1 x 1 convolution that became a matrix product, and the other way round.
        (&[_, _, i, o], &[to, ti]) => (i, o) == (ti, to),
        _ => false,
    };
    let outputs = dims.first().copied().unwrap_or(1);
    if !is_transposed || outputs == 0 {
        return array.values.clone();
    }
    let rest = array.values.len() / outputs;
    (0..outputs)
        .flat_map(|o| (0..rest).map(move |r| r * outputs + o))
        .map(|from| array.values[from])
        .collect()
}

fn bias(
    graph: &Graph,
    subgraph: &Subgraph,
    operator: &Operator,
    layer: &Layer,
    dump: &Dump,
    of_layer: &str,
) -> Option<Cause> {
    let law = layer.law.as_ref()?;
    let (stored, array) = stored_and_trained_bias(graph, subgraph, operator, dump, of_layer)?;
    let mut ratios = Vec::new();
    for ((&code, &value), multiplier) in stored.iter().zip(&array.values).zip(&law.multipliers) {
        let unit = multiplier * layer.codes.scale;
        let real = f64::from(value) / unit;
        if (code as f64 - real).abs() > 0.5 + real.abs() * 1e-6 {
            ratios.push(code as f64 / real);
        }
    }
    let first = *ratios.first()?;
    let same = ratios.iter().all(|r| (r / first - 1.0).abs() < 0.02);
    Some(Cause::Bias {
        array: array.name.clone(),
        differing: ratios.len(),
        count: stored.len(),
        ratio: (same && ratios.len() > 1).then_some(first),
    })
}

/// The bias of an operator as stored, and the training side's array for it.
pub(super) fn stored_and_trained_bias<'d>(
    graph: &Graph,
    subgraph: &Subgraph,
    operator: &Operator,
    dump: &'d Dump,
    of_layer: &str,
) -> Option<(Vec<i64>, &'d DumpArray)> {
    let bias = operand(subgraph, operator, 2)?;
    let stored = stored_codes(graph, bias)?;
    let array = array_of(dump, of_layer, &["bias"], stored.len())?;
    Some((stored, array))
}

/// The codes of constant weights or biases.
pub(in crate::oracle) fn stored_codes(graph: &Graph, tensor: &Tensor) -> Option<Vec<i64>> {
    fn widen<T: Copy + Into<i64>>(codes: &[T]) -> Vec<i64> {
        codes.iter().map(|&code| code.into()).collect()
    }
    let data = graph.constant(tensor)?;
    match tensor.ty {
        TensorType::Int8 => data.as_slice::<i8>().ok().map(widen),
        TensorType::UInt8 => data.as_slice::<u8>().ok().map(widen),
        TensorType::Int32 => data.as_slice::<i32>().ok().map(widen),
        TensorType::Int64 => data.as_slice::<i64>().ok().map(widen),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_of_a_grid_is_found() {
        let values: Vec<f32> = (0..16).map(|i| (i * i + i / 2) as f32 * 0.023).collect();
        let step = grid_step(&values).expect("grid");
        assert!((step - 0.023).abs() < 1e-6, "{step}");
        assert_eq!(grid_step(&values[..12]), None);
        assert_eq!(grid_step(&[0.0, 0.1, 0.3777, 0.9, 1.1234, 5.0]), None);
    }

    #[test]
    fn convolution_weights_are_put_in_the_tensors_order() {
        let array = DumpArray {
            name: "w".into(),
            shape: vec![1, 1, 2, 3],
            values: vec![0.0, 1.0, 2.0, 10.0, 11.0, 12.0],
            is_integer: false,
        };
        let ordered = to_tensor_order(&array, &[3, 1, 1, 2]);
        assert_eq!(ordered, [0.0, 10.0, 1.0, 11.0, 2.0, 12.0]);
        assert_eq!(to_tensor_order(&array, &[1, 1, 2, 3]), array.values);
    }
}
