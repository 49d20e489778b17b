//! CUMSUM: running sums along an axis, with or without the element itself, from either end.

use super::shared::check;
use super::{EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, TensorType as T};

const INPUT: usize = 0;
const AXIS: usize = 1;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CUMSUM,
    name: "CUMSUM",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Float32, T::Int32], &[T::Float32]),
        TypeRow::new(&[T::Int32, T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64, T::Int32], &[T::Int64]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_cumsum_options();
    let input = node.input(INPUT, "input")?;
    let axis = node.input(AXIS, "axis")?;
    let dims = input.shape.dims();
    let &[number] = axis.constant::<i32>()? else {
        return Err(axis.shape_error("one axis"));
    };
    let axis = input.shape.axis(number).ok_or(PrepareError::Attribute {
        name: "axis",
        found: number.to_string(),
        expected: "an axis of the input",
    })?;
    let sums = RunningSums {
        depth: dims[axis],
        inner: dims[axis + 1..].iter().product(),
        exclusive: options.is_some_and(|options| options.exclusive()),
        reverse: options.is_some_and(|options| options.reverse()),
    };
    Ok(match input.ty {
        T::Float32 => Prepared::new(Reference(sums, 0.0, |a: f32, b| a + b), [input.shape]),
        T::Int32 => Prepared::new(Reference(sums, 0, i32::wrapping_add), [input.shape]),
        _ => Prepared::new(Reference(sums, 0, i64::wrapping_add), [input.shape]),
    })
}

/// Elements along the axis, elements behind it, and how sums run.
#[derive(Debug, Clone, Copy)]
struct RunningSums {
    depth: usize,
    inner: usize,
    /// The element itself is left out.
    exclusive: bool,
    /// From the last element to the first.
    reverse: bool,
}

impl RunningSums {
    /// Source: TFLite `kernels/internal/reference/cumsum.h`.
    fn run<E: Element>(&self, input: &[E], output: &mut [E], zero: E, add: impl Fn(E, E) -> E) {
        let block = (self.depth * self.inner).max(1);
        for (input, output) in input
            .chunks_exact(block)
            .zip(output.chunks_exact_mut(block))
        {
            for column in 0..self.inner {
                let mut sum = zero;
                for step in 0..self.depth {
                    let row = if self.reverse {
                        self.depth - 1 - step
                    } else {
                        step
                    };
                    let index = row * self.inner + column;
                    let next = add(sum, input[index]);
                    output[index] = if self.exclusive { sum } else { next };
                    sum = next;
                }
            }
        }
    }
}

struct Reference<E, F>(RunningSums, E, F);

impl<E: Element + Send, F: Fn(E, E) -> E + Send> Kernel for Reference<E, F> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<E, E>()?;
        self.0.run(input, output, self.1, &self.2);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "cumsum.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_run_either_way_with_or_without_the_element() {
        // Rows (1, 2), (3, 4), (5, 6) summed along the first axis.
        let cases = [
            (false, false, [1, 2, 4, 6, 9, 12]),
            (true, false, [0, 0, 1, 2, 4, 6]),
            (false, true, [9, 12, 8, 10, 5, 6]),
            (true, true, [8, 10, 5, 6, 0, 0]),
        ];
        for (exclusive, reverse, expected) in cases {
            let sums = RunningSums {
                depth: 3,
                inner: 2,
                exclusive,
                reverse,
            };
            let mut output = [9; 6];
            sums.run(&[1, 2, 3, 4, 5, 6], &mut output, 0, i32::wrapping_add);
            assert_eq!(output, expected, "exclusive {exclusive}, reverse {reverse}");
        }
    }
}
