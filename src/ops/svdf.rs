//! SVDF: a layer of filters in two steps, over the features of the newest input and over the time that a state remembers.

use super::shared::{FloatRange, check, fused_activation, hybrid};
use super::{
    EvalError, Kernel, KernelIo, KernelMemory, Node, NodeTensor, OpDef, PrepareError, Prepared,
    Settings, TypeRow, Views, required,
};
use crate::fast::{self, SvdfKernel, SvdfPrimitive};
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
            match fast(node, &integer, settings)? {
                Some(kernel) => {
                    let scratch = kernel.kernel.scratch_words() * size_of::<i32>();
                    Prepared::new(kernel, [shape]).scratch(scratch)
                }
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

/// The fast kernel of int8; `None` where the reference has to do.
fn fast(
    node: &Node<'_>,
    integer: &Integer,
    settings: &Settings,
) -> Result<Option<FastSvdf>, PrepareError> {
    let features = node.input(FEATURES, "feature weights")?;
    let bias = node.optional_input(BIAS, "bias");
    if !features.is_constant() || bias.as_ref().is_some_and(|bias| !bias.is_constant()) {
        return Ok(None);
    }
    let bias = bias.map(|bias| bias.constant::<i32>()).transpose()?;
    let problem = integer.fast(features.constant_bytes()?, bias);
    let kernel = problem.and_then(|p| fast::choose::<SvdfPrimitive>(settings.kernels, &p));
    Ok(kernel.map(|kernel| FastSvdf {
        problem: integer.problem,
        kernel,
    }))
}

impl Integer {
    /// The same as fast kernels take it.
    fn fast<'a>(&self, features: &'a [u8], bias: Option<&'a [i32]>) -> Option<fast::Svdf<'a>> {
        (self.rounding == Rounding::Double).then_some(fast::Svdf {
            inputs: self.problem.inputs,
            filters: self.problem.filters,
            memory: self.problem.memory,
            rank: self.problem.rank,
            input_zero_point: self.input_zero_point,
            output_zero_point: self.output_zero_point,
            features,
            bias,
            to_state: self.to_state,
            to_output: self.to_output,
        })
    }
}

struct FastSvdf {
    problem: Svdf,
    kernel: Box<dyn SvdfKernel>,
}

impl FastSvdf {
    /// Each batch on its own.
    fn run(
        &self,
        input: &[u8],
        weights: (&[u8], &[i16]),
        state: &mut [i16],
        output: &mut [u8],
        scratch: &mut [i32],
    ) {
        let p = &self.problem;
        let states = state.chunks_exact_mut(p.filters * p.memory);
        let outputs = output.chunks_exact_mut(p.filters / p.rank);
        let batches = input.chunks_exact(p.inputs).zip(states).zip(outputs);
        for ((input, state), output) in batches {
            self.kernel.run(input, weights, state, output, scratch);
        }
    }
}

impl Kernel for FastSvdf {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (views, [mut state]) =
            io.views_and_state([INPUT, FEATURES, TIMES], [STATE], [OUTPUT], [0])?;
        let Views {
            inputs: [input, features, times],
            outputs: [mut output],
            scratch: [scratch],
        } = views;
        let weights = (
            required(features, FEATURES)?.bytes(),
            required(times, TIMES)?.as_slice()?,
        );
        let scratch = &mut scratch[..self.kernel.scratch_words() * size_of::<i32>()];
        self.run(
            required(input, INPUT)?.bytes(),
            weights,
            state.as_slice_mut()?,
            output.bytes_mut(),
            bytemuck::cast_slice_mut(scratch),
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.kernel.packed_bytes(),
            workspace: 0,
        }
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
    use crate::fast::Primitive;
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_answer_as_the_reference() {
        let mut ran = Ran::new();
        for seed in 0..200 {
            let n = &mut Numbers::new(seed);
            let rank = n.size(1, 3);
            let problem = Svdf {
                inputs: n.size(1, 70),
                filters: rank * n.size(1, 40),
                memory: n.size(1, 20),
                rank,
            };
            let Svdf {
                inputs,
                filters,
                memory,
                ..
            } = problem;
            let (batches, units) = (n.size(1, 3), filters / rank);
            let mut multiplier = |low, high| {
                let real = n.within(1000..=2000) as f64 * (n.within(low..=high) as f64).exp2();
                QuantizedMultiplier::from_real(real).expect("finite")
            };
            let integer = Integer {
                problem,
                to_state: multiplier(-20, -9),
                to_output: multiplier(-34, -26),
                input_zero_point: n.within(-128..=127) as i32,
                output_zero_point: n.within(-128..=127) as i32,
                rounding: Rounding::Double,
            };
            let [input, features] = [batches, filters].map(|rows| n.bytes(rows * inputs));
            let mut words = |len: usize| -> Vec<i16> {
                (0..len).map(|_| n.within(-32768..=32767) as i16).collect()
            };
            let times = words(filters * memory);
            let state = words(batches * filters * memory);
            let bias: Vec<i32> = (0..units).map(|_| n.within(-9999..=9999) as i32).collect();
            let bias = n.chance(2).then_some(&bias[..]);

            let mut expected = (state.clone(), vec![0i8; batches * units]);
            let states = expected.0.chunks_exact_mut(filters * memory);
            let outputs = expected.1.chunks_exact_mut(units);
            let inputs_of = input.chunks_exact(inputs).map(bytemuck::cast_slice);
            for ((input, state), output) in inputs_of.zip(states).zip(outputs) {
                let weights = (bytemuck::cast_slice(&features), &times[..], bias);
                integer.step(input, weights, state, output);
            }
            let problem = integer.fast(&features, bias).expect("two roundings");
            for variant in SvdfPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&problem) else {
                    continue;
                };
                ran.insert(variant.name);
                let kernel = FastSvdf {
                    problem: integer.problem,
                    kernel,
                };
                let mut found = (state.clone(), vec![0i8; batches * units]);
                // Whatever was in scratch memory before.
                let mut scratch = vec![-1; kernel.kernel.scratch_words()];
                kernel.run(
                    &input,
                    (&features, &times),
                    &mut found.0,
                    bytemuck::cast_slice_mut(&mut found.1),
                    &mut scratch,
                );
                assert_eq!(
                    found,
                    expected,
                    "{}, seed {seed}: {problem:?}",
                    kernel.name()
                );
            }
        }
        assert_all_ran::<SvdfPrimitive>(&ran);
    }

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
