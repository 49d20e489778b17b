//! The fast kernels of int8, where operands and machine allow one.

use super::{BIAS, FEATURES, INPUT, Integer, OUTPUT, STATE, Svdf, TIMES};
use crate::fast::{self, SvdfKernel, SvdfPrimitive};
use crate::fixedpoint::Rounding;
use crate::ops::{
    EvalError, Kernel, KernelIo, KernelMemory, Node, PrepareError, Prepared, Settings, Views,
    required,
};
use crate::tensor::Shape;

/// The fast kernel of int8; `None` where the reference has to do.
pub(super) fn kernel(
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

/// A fast kernel and the batches it runs.
pub(super) struct FastSvdf {
    problem: Svdf,
    kernel: Box<dyn SvdfKernel>,
}

impl FastSvdf {
    pub fn prepared(self, shape: Shape) -> Prepared {
        let scratch = self.kernel.scratch_words() * size_of::<i32>();
        Prepared::new(self, [shape]).scratch(scratch)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Primitive;
    use crate::fixedpoint::QuantizedMultiplier;
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
}
