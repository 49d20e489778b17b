//! PACK: tensors of one shape side by side along a new axis.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Shape, TensorType as T};

const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::PACK,
    name: "PACK",
    versions: 1..=4,
    types: &[
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64], &[T::Int64]),
        TypeRow::new(&[T::Float32], &[T::Float32]),
    ],
    check,
    prepare,
};

fn check(node: &Node<'_>, report: &mut Report) {
    for slot in 0..node.operator().inputs.len() {
        if let (Ok(input), Ok(output)) = (node.input(slot, "input"), node.output(OUTPUT, "output"))
        {
            check::same_as(node, &input, &output, report);
        }
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_pack_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "PackOptions",
    })?;
    let first = node.input(0, "input")?;
    node.output(OUTPUT, "output")?;
    let count = node.operator().inputs.len();
    for slot in 1..count {
        let other = node.input(slot, "input")?;
        if other.shape != first.shape {
            return Err(other.shape_error(first.shape.to_string()));
        }
    }
    let rank = first.shape.rank() as i32;
    let axis = options.axis();
    let from_front = if axis < 0 {
        axis.saturating_add(rank + 1)
    } else {
        axis
    };
    let axis = usize::try_from(from_front)
        .ok()
        .filter(|&a| a <= first.shape.rank());
    let axis = axis.ok_or(PrepareError::Attribute {
        name: "axis",
        found: options.axis().to_string(),
        expected: "an axis of the result",
    })?;
    let mut dims = first.shape.dims().to_vec();
    dims.insert(axis, count);
    let element = first
        .ty
        .size()
        .ok_or_else(|| first.type_error("elements of whole bytes"))?;
    let run = first.shape.dims()[axis..].iter().product::<usize>() * element;
    Ok(Prepared::new(Reference { run }, [Shape::new(&dims)?]))
}

struct Reference {
    /// Bytes that stay together.
    run: usize,
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let count = io.input_count();
        if self.run == 0 {
            return Ok(());
        }
        for slot in 0..count {
            let Views {
                inputs: [input],
                outputs: [mut output],
                ..
            } = io.views([slot], [OUTPUT], [])?;
            let runs = output
                .bytes_mut()
                .chunks_exact_mut(self.run)
                .skip(slot)
                .step_by(count);
            for (to, from) in runs.zip(required(input, slot)?.bytes().chunks_exact(self.run)) {
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "pack.reference"
    }
}
