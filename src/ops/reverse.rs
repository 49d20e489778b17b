//! REVERSE_V2 and REVERSE_SEQUENCE: a tensor backwards along axes, or along the beginning of one.

use super::shared::integers;
use super::shared::{Integers, StridedCopy, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const INPUT: usize = 0;
const AXES: usize = 1;
const LENGTHS: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF_V2: OpDef = OpDef {
    code: BuiltinOperator::REVERSE_V2,
    name: "REVERSE_V2",
    versions: 1..=4,
    types: rows![[_ Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_v2(node),
};

pub(super) const DEF_SEQUENCE: OpDef = OpDef {
    code: BuiltinOperator::REVERSE_SEQUENCE,
    name: "REVERSE_SEQUENCE",
    versions: 1..=1,
    types: rows![
        [_ Int32] -> _ => UInt8 Int16 Int32 Int64 Float32;
        [_ Int64] -> _ => UInt8 Int16 Int32 Int64 Float32;
    ],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_sequence(node),
};

fn prepare_v2(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.input(AXES, "axis")?;
    node.output(OUTPUT, "output")?;
    let kernel = Reverse {
        element: input.element_bytes()?,
    };
    Ok(Prepared::new(kernel, [input.shape]))
}

struct Reverse {
    /// Bytes.
    element: usize,
}

impl Kernel for Reverse {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, axes],
            outputs: [mut output],
            ..
        } = io.views([INPUT, AXES], [OUTPUT], [])?;
        let input = required(input, INPUT)?;
        let shape = input.shape();
        let dims = shape.dims();
        let dense = StridedCopy::dense_strides(dims);
        let mut strides = dense;
        for axis in Integers::view(axes, AXES)?.iter() {
            let from_front = if axis < 0 {
                axis.saturating_add(dims.len() as i64)
            } else {
                axis
            };
            let axis = usize::try_from(from_front).ok().filter(|&a| a < dims.len());
            let axis = axis.ok_or(EvalError::Value {
                operand: "axis",
                found: from_front,
                expected: "an axis of the input",
            })?;
            strides[axis] = -dense[axis];
        }
        let mut first = 0;
        for (axis, &dim) in dims.iter().enumerate().filter(|&(_, &dim)| dim > 0) {
            if strides[axis] < 0 {
                first += (dim - 1) * dense[axis].unsigned_abs();
            }
        }
        let copy = StridedCopy::new(self.element, dims, &strides, first);
        copy.gather(input.bytes(), output.bytes_mut());
        Ok(())
    }

    fn name(&self) -> &'static str {
        "reverse_v2.reference"
    }
}

fn prepare_sequence(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_reverse_sequence_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "ReverseSequenceOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let lengths = node.input(LENGTHS, "seq_lengths")?;
    node.output(OUTPUT, "output")?;
    let rank = input.shape.rank();
    let sequence = integers::axis("seq_dim", options.seq_dim().into(), rank)?;
    let batch = integers::axis("batch_dim", options.batch_dim().into(), rank)?;
    if sequence == batch {
        return Err(PrepareError::Attribute {
            name: "batch_dim",
            found: batch.to_string(),
            expected: "another axis than seq_dim",
        });
    }
    let batches = input.shape.dims()[batch];
    if lengths.shape.dims() != [batches] {
        return Err(lengths.shape_error(format!("[{batches}], one length per batch")));
    }
    let later = sequence.max(batch);
    let kernel = ReverseSequence {
        sequence,
        batch,
        run: input.bytes_from(later + 1)?,
    };
    Ok(Prepared::new(kernel, [input.shape]))
}

/// Source: TFLite `kernels/internal/reference/reference_ops.h`, `ReverseSequence`.
struct ReverseSequence {
    sequence: usize,
    batch: usize,
    /// Bytes within the later of the two axes.
    run: usize,
}

impl ReverseSequence {
    /// Positions of `axis` as a count and the runs from one to the next.
    fn steps(&self, shape: Shape, axis: usize) -> (usize, usize) {
        let later = self.sequence.max(self.batch);
        let dims = shape.dims();
        (dims[axis], dims[axis + 1..=later].iter().product())
    }
}

impl Kernel for ReverseSequence {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, lengths],
            outputs: [mut output],
            ..
        } = io.views([INPUT, LENGTHS], [OUTPUT], [])?;
        let input = required(input, INPUT)?;
        let lengths = Integers::view(lengths, LENGTHS)?;
        let (extent, step) = self.steps(input.shape(), self.sequence);
        let (batches, batch_step) = self.steps(input.shape(), self.batch);
        for length in lengths.iter() {
            integers::position("seq_lengths", length, extent + 1)?;
        }
        let (from, output) = (input.bytes(), output.bytes_mut());
        let runs = output.chunks_exact_mut(self.run.max(1));
        for (run, to) in runs.enumerate() {
            let position = run / step % extent;
            let length = lengths.at(run / batch_step % batches);
            let source = match usize::try_from(length) {
                Ok(length) if position < length => {
                    run - position * step + (length - 1 - position) * step
                }
                _ => run,
            };
            to.copy_from_slice(&from[source * self.run..][..self.run]);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "reverse_sequence.reference"
    }
}
