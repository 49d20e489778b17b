//! SVDF: a layer of filters in two steps, over the features of the newest input and over the time that a state remembers.

mod fast;

use super::shared::{FloatRange, check, fused_activation, hybrid};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings,
    TypeRow, Views, required,
};
use crate::fixedpoint::{FusedActivation, Profile, QuantizedMultiplier, Rounding};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const INPUT: usize = 0;
const FEATURES: usize = 1;
const TIMES: usize = 2;
const BIAS: usize = 3;
const STATE: usize = 4;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SVDF,
    name: "SVDF",
    versions: 1..=4,
    types: &[
        TypeRow::new(
            &[T::Int8, T::Int8, T::Int16, T::Int32, T::Int16],
            &[T::Int8],
        ),
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(
            &[T::Float32, T::Int8, T::Int8, T::Float32, T::Float32],
            &[T::Float32],
        ),
    ],
    check: check::none,
    prepare,
};

/// The geometry. Inputs are batches x `inputs`, feature weights filters x `inputs`, time weights filters x `memory`, the
/// state batches x filters x `memory` with the newest entry last, results batches x units of `rank` filters each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Svdf {
    pub inputs: usize,
    pub filters: usize,
    pub memory: usize,
    pub rank: usize,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_svdf_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "SVDFOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let features = node.input(FEATURES, "feature weights")?;
    let times = node.input(TIMES, "time weights")?;
    let state = node.input(STATE, "state")?;
    let [batches, inputs] = input.dims("[batches, inputs]")?;
    let [filters, feature_inputs] = features.dims("[filters, inputs]")?;
    let [time_filters, memory] = times.dims("[filters, memory]")?;
    if feature_inputs != inputs {
        return Err(features.shape_error(format!("{inputs} inputs")));
    }
    if time_filters != filters || memory == 0 {
        return Err(times.shape_error(format!("{filters} filters and a memory of 1 or more")));
    }
    let rank = usize::try_from(options.rank()).unwrap_or(0);
    if rank == 0 || filters % rank != 0 {
        return Err(PrepareError::Attribute {
            name: "rank",
            found: options.rank().to_string(),
            expected: "a positive divisor of the number of filters",
        });
    }
    if state.dims("[batches, filters * memory]")? != [batches, filters * memory] {
        return Err(state.shape_error(format!("[{batches}, {}]", filters * memory)));
    }
    if !state.declared().is_variable {
        return Err(PrepareError::Attribute {
            name: "is_variable of the state",
            found: "false".into(),
            expected: "true",
        });
    }
    let units = filters / rank;
    match node.optional_input(BIAS, "bias") {
        Some(bias) if bias.shape.count() != units => {
            return Err(bias.shape_error(format!("{units} values, one per unit")));
        }
        _ => {}
    }
    let problem = Svdf {
        inputs,
        filters,
        memory,
        rank,
    };
    let shape = Shape::new(&[batches, units])?;
    let macs = (batches as u64)
        .saturating_mul(filters as u64)
        .saturating_mul((inputs + memory) as u64);
    let activation = fused_activation(options.fused_activation_function())?;
    let prepared = match (input.ty, features.ty) {
        (T::Int8, _) => {
            let integer = Integer::new(node, problem, activation, settings)?;
            match fast::kernel(node, &integer, settings)? {
                Some(kernel) => kernel.prepared(shape),
                None => Prepared::new(integer, [shape]),
            }
        }
        (_, T::Int8) => {
            let kernel = Hybrid {
                problem,
                feature_scale: features.per_tensor()?.0,
                time_scale: times.per_tensor()?.0,
                codes: hybrid::RowCodes::new(options.asymmetric_quantize_inputs(), settings),
                range: FloatRange::new(activation),
            };
            Prepared::new(kernel, [shape]).scratch(inputs)
        }
        _ => {
            let kernel = Float {
                problem,
                range: FloatRange::new(activation),
                in_lanes: settings.profile == Profile::Litert,
            };
            Prepared::new(kernel, [shape])
        }
    };
    Ok(prepared.macs(macs).stateful())
}

impl Svdf {
    /// One input through all filters. `newest` gives the newest entry of a filter's memory, `recall` weighs the memory, and
    /// `finish` turns the sum of a unit's filters into its result.
    fn step<S: Copy, A>(
        &self,
        state: &mut [S],
        output_len: usize,
        mut newest: impl FnMut(usize) -> S,
        mut recall: impl FnMut(usize, &[S]) -> A,
        mut finish: impl FnMut(usize, &mut dyn Iterator<Item = A>),
    ) {
        let memories = state.chunks_exact_mut(self.memory).enumerate();
        let mut recalled = memories.map(|(filter, memory)| {
            memory.copy_within(1.., 0);
            memory[self.memory - 1] = newest(filter);
            recall(filter, memory)
        });
        for unit in 0..output_len {
            finish(unit, &mut recalled.by_ref().take(self.rank));
        }
    }

    fn row<W>(weights: &[W], row: usize, len: usize) -> &[W] {
        &weights[row * len..][..len]
    }
}

/// int8 with an int16 state.
struct Integer {
    problem: Svdf,
    input_zero_point: i32,
    output_zero_point: i32,
    to_state: QuantizedMultiplier,
    to_output: QuantizedMultiplier,
    rounding: Rounding,
}

impl Integer {
    /// Source: TFLite `kernels/svdf.cc`, `Prepare`: products and quotients of scales in float32.
    fn new(
        node: &Node<'_>,
        problem: Svdf,
        activation: FusedActivation,
        settings: &Settings,
    ) -> Result<Self, PrepareError> {
        if activation != FusedActivation::Relu {
            return Err(PrepareError::Attribute {
                name: "fused_activation_function",
                found: format!("{activation:?}"),
                expected: "RELU, which the range of the result stands for",
            });
        }
        let scale = |tensor: &NodeTensor<'_>| tensor.per_tensor().map(|(scale, _)| scale);
        let (input_scale, input_zero_point) = node.input(INPUT, "input")?.per_tensor()?;
        let (output_scale, output_zero_point) = node.output(OUTPUT, "output")?.per_tensor()?;
        let state_scale = scale(&node.input(STATE, "state")?)?;
        let to_state = input_scale * scale(&node.input(FEATURES, "feature weights")?)?;
        let to_output = state_scale * scale(&node.input(TIMES, "time weights")?)?;
        let multiplier = |real: f32| QuantizedMultiplier::from_real(f64::from(real));
        Ok(Self {
            problem,
            input_zero_point,
            output_zero_point,
            to_state: multiplier(to_state / state_scale)?,
            to_output: multiplier(to_output / output_scale)?,
            rounding: settings.profile.rounding(),
        })
    }

    /// The reference. Source: TFLite `kernels/internal/reference/svdf.h`, `EvalIntegerSVDF`.
    fn step(
        &self,
        input: &[i8],
        (features, times, bias): (&[i8], &[i16], Option<&[i32]>),
        state: &mut [i16],
        output: &mut [i8],
    ) {
        let Svdf { inputs, memory, .. } = self.problem;
        let newest = |filter| {
            let sum = hybrid::dot(
                input,
                self.input_zero_point,
                Svdf::row(features, filter, inputs),
            );
            let scaled = self.to_state.apply(sum, self.rounding);
            scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16
        };
        let recall = |filter, remembered: &[i16]| {
            let pairs = remembered.iter().zip(Svdf::row(times, filter, memory));
            pairs.fold(0i32, |sum, (&entry, &weight)| {
                sum.wrapping_add(i32::from(entry) * i32::from(weight))
            })
        };
        let units = output.len();
        self.problem
            .step(state, units, newest, recall, |unit, sums| {
                let sum = sums.fold(0, i32::wrapping_add);
                let sum = sum.wrapping_add(bias.map_or(0, |bias| bias[unit]));
                let scaled = self.to_output.apply(sum, self.rounding);
                let code = scaled.wrapping_add(self.output_zero_point);
                output[unit] = code.clamp(-128, 127) as i8;
            });
    }
}

impl Kernel for Integer {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (views, [state]) =
            io.views_and_state([INPUT, FEATURES, TIMES, BIAS], [STATE], [OUTPUT], [])?;
        let Views {
            inputs: [input, features, times, bias],
            outputs: [output],
            ..
        } = views;
        let weights = (
            required(features, FEATURES)?.as_slice()?,
            required(times, TIMES)?.as_slice()?,
            bias.map(|bias| bias.as_slice()).transpose()?,
        );
        let p = &self.problem;
        let inputs = required(input, INPUT)?.as_slice()?;
        let inputs = inputs.chunks_exact(p.inputs.max(1));
        let states = state.into_slice()?.chunks_exact_mut(p.filters * p.memory);
        let outputs = output.into_slice()?.chunks_exact_mut(p.filters / p.rank);
        for ((input, state), output) in inputs.zip(states).zip(outputs) {
            self.step(input, weights, state, output);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "svdf.reference"
    }
}

/// The sum over a filter's memory, oldest first.
fn recall(times: impl Iterator<Item = f32>, remembered: &[f32]) -> f32 {
    let pairs = remembered.iter().zip(times);
    pairs.fold(0.0, |sum, (&entry, weight)| sum + entry * weight)
}

/// float32 all along.
struct Float {
    problem: Svdf,
    range: FloatRange,
    /// Whether features are summed in four lanes, as LiteRT's vector code does.
    in_lanes: bool,
}

impl Float {
    /// The weighted sum of an input. Source: `NeonMatrixBatchVectorMultiplyAccumulate` of TFLite
    /// `kernels/internal/optimized/neon_tensor_utils.cc`, which LiteRT's wheels run on x86-64 too; else the portable one.
    fn features(&self, weights: &[f32], input: &[f32]) -> f32 {
        let mut lanes = [0f32; 4];
        let (whole, rest) = match self.in_lanes {
            true => input.as_chunks::<4>(),
            false => (&[][..], input),
        };
        let (in_lanes, in_order) = weights.split_at(weights.len() - rest.len());
        for (input, weights) in whole.iter().zip(in_lanes.as_chunks::<4>().0) {
            for (lane, sum) in lanes.iter_mut().enumerate() {
                *sum += weights[lane] * input[lane];
            }
        }
        let sum = lanes.into_iter().fold(0.0, |sum, lane| sum + lane);
        let pairs = in_order.iter().zip(rest);
        pairs.fold(sum, |sum, (&weight, &input)| sum + weight * input)
    }
}

impl Kernel for Float {
    /// Source: TFLite `kernels/internal/reference/svdf.h`, `EvalFloatSVDF`.
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (views, [state]) =
            io.views_and_state([INPUT, FEATURES, TIMES, BIAS], [STATE], [OUTPUT], [])?;
        let Views {
            inputs: [input, features, times, bias],
            outputs: [output],
            ..
        } = views;
        let features = required(features, FEATURES)?.as_slice::<f32>()?;
        let times = required(times, TIMES)?.as_slice::<f32>()?;
        let bias = bias.map(|bias| bias.as_slice::<f32>()).transpose()?;
        let p = &self.problem;
        let inputs = required(input, INPUT)?.as_slice::<f32>()?;
        let inputs = inputs.chunks_exact(p.inputs.max(1));
        let states = state.into_slice()?.chunks_exact_mut(p.filters * p.memory);
        let outputs = output.into_slice()?.chunks_exact_mut(p.filters / p.rank);
        for ((input, state), output) in inputs.zip(states).zip(outputs) {
            let newest = |filter| self.features(Svdf::row(features, filter, p.inputs), input);
            let recall = |filter, remembered: &[f32]| {
                recall(
                    Svdf::row(times, filter, p.memory).iter().copied(),
                    remembered,
                )
            };
            let units = output.len();
            p.step(state, units, newest, recall, |unit, sums| {
                let sum = sums.fold(0.0, |sum, recalled| sum + recalled);
                output[unit] = self.range.clamp(sum + bias.map_or(0.0, |bias| bias[unit]));
            });
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "svdf.reference"
    }
}

/// Floats with int8 weights: features in integers, time in floats.
struct Hybrid {
    problem: Svdf,
    feature_scale: f32,
    time_scale: f32,
    codes: hybrid::RowCodes,
    range: FloatRange,
}

impl Kernel for Hybrid {
    /// Source: TFLite `kernels/internal/reference/svdf.h`, `EvalHybridSVDF`.
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (views, [state]) =
            io.views_and_state([INPUT, FEATURES, TIMES, BIAS], [STATE], [OUTPUT], [0])?;
        let Views {
            inputs: [input, features, times, bias],
            outputs: [output],
            scratch: [codes],
        } = views;
        let features = required(features, FEATURES)?.as_slice::<i8>()?;
        let times = required(times, TIMES)?.as_slice::<i8>()?;
        let bias = bias.map(|bias| bias.as_slice::<f32>()).transpose()?;
        let p = &self.problem;
        let codes: &mut [i8] = &mut bytemuck::cast_slice_mut(codes)[..p.inputs];
        let inputs = required(input, INPUT)?.as_slice::<f32>()?;
        let inputs = inputs.chunks_exact(p.inputs.max(1));
        let states = state.into_slice()?.chunks_exact_mut(p.filters * p.memory);
        let outputs = output.into_slice()?.chunks_exact_mut(p.filters / p.rank);
        for ((input, state), output) in inputs.zip(states).zip(outputs) {
            let row = hybrid::quantize_row(input.iter().copied(), codes, self.codes);
            let scale = row.scale * self.feature_scale;
            let newest = |filter| {
                let sum = hybrid::dot(codes, row.offset, Svdf::row(features, filter, p.inputs));
                0.0 + sum as f32 * scale
            };
            let recall = |filter, remembered: &[f32]| {
                let weights = Svdf::row(times, filter, p.memory).iter();
                recall(weights.map(|&w| f32::from(w) * self.time_scale), remembered)
            };
            let units = output.len();
            p.step(state, units, newest, recall, |unit, sums| {
                let sum = sums.fold(0.0, |sum, recalled| sum + recalled);
                output[unit] = self.range.clamp(sum + bias.map_or(0.0, |bias| bias[unit]));
            });
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "svdf.hybrid_reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_forgets_the_oldest_entry() {
        // One filter of memory 2 with weights (1, 10) over the entries 5, 7, 9: 50, 5 + 70, 7 + 90.
        let problem = Svdf {
            inputs: 1,
            filters: 1,
            memory: 2,
            rank: 1,
        };
        let mut state = [0; 2];
        let results = [5, 7, 9].map(|entry| {
            let mut result = 0;
            let recall = |_, memory: &[i32]| memory[0] + 10 * memory[1];
            problem.step(
                &mut state,
                1,
                |_| entry,
                recall,
                |_, sums| {
                    result = sums.sum();
                },
            );
            result
        });
        assert_eq!((results, state), ([50, 75, 97], [7, 9]));
    }
}
