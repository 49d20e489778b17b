//! GATHER, GATHER_ND and EMBEDDING_LOOKUP: slices of a tensor, chosen by indices that the model may compute.

use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const INDICES: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::GATHER,
    name: "GATHER",
    versions: 1..=8,
    types: rows![
        [_ Int16] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool Int4;
        [_ Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool Int4;
        [_ Int64] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool Int4;
    ],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_gather(node),
};

pub(super) const DEF_ND: OpDef = OpDef {
    code: BuiltinOperator::GATHER_ND,
    name: "GATHER_ND",
    versions: 1..=6,
    types: rows![
        [_ Int16] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int64] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
    ],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_gather_nd(node),
};

fn prepare_gather(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_gather_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "GatherOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let indices = node.input(INDICES, "indices")?;
    node.output(OUTPUT, "output")?;
    let (from, by) = (input.shape.dims(), indices.shape.dims());
    let axis = integers::axis("axis", options.axis().into(), from.len())?;
    // Any number of axes of the indices may be batches, all of them included.
    let batch_axes = match options.batch_dims() {
        all if usize::try_from(all) == Ok(by.len()) => by.len(),
        some => integers::axis("batch_dims", some.into(), by.len())?,
    };
    if batch_axes > axis || from[..batch_axes] != by[..batch_axes] {
        return Err(PrepareError::Attribute {
            name: "batch_dims",
            found: options.batch_dims().to_string(),
            expected: "axes before axis on which input and indices agree",
        });
    }
    let dims = [&from[..axis], &by[batch_axes..], &from[axis + 1..]].concat();
    let kernel = Gather {
        outer: from[batch_axes..axis].iter().product(),
        extent: from[axis],
        chosen: by[batch_axes..].iter().product(),
        run: input.bytes_from(axis + 1)?,
    };
    Ok(Prepared::new(kernel, [Shape::new(&dims)?]))
}

/// Source: TFLite `kernels/internal/reference/gather.h`.
struct Gather {
    /// Positions outside the axis within a batch.
    outer: usize,
    /// Of the axis.
    extent: usize,
    /// Indices of one batch.
    chosen: usize,
    /// Bytes that stay together.
    run: usize,
}

impl Kernel for Gather {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, indices],
            outputs: [mut output],
            ..
        } = io.views([INPUT, INDICES], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let indices = Integers::view(indices, INDICES)?;
        let output = output.bytes_mut();
        if output.is_empty() {
            return Ok(());
        }
        for (block, to) in output.chunks_exact_mut(self.chosen * self.run).enumerate() {
            let first = block / self.outer * self.chosen;
            for (index, to) in to.chunks_exact_mut(self.run).enumerate() {
                let index = indices.at(first + index);
                let index = integers::position("indices", index, self.extent)?;
                let from = (block * self.extent + index) * self.run;
                to.copy_from_slice(&input[from..][..self.run]);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "gather.reference"
    }
}

fn prepare_gather_nd(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "params")?;
    let indices = node.input(INDICES, "indices")?;
    node.output(OUTPUT, "output")?;
    let (from, by) = (input.shape.dims(), indices.shape.dims());
    let (&depth, positions) = by
        .split_last()
        .filter(|&(&depth, _)| depth <= from.len())
        .ok_or_else(|| indices.shape_error(format!("at most {} at the last axis", from.len())))?;
    let dims = [positions, &from[depth..]].concat();
    let mut extents = [0; MAX_RANK];
    extents[..depth].copy_from_slice(&from[..depth]);
    let kernel = GatherNd {
        extents,
        depth,
        run: input.bytes_from(depth)?,
    };
    Ok(Prepared::new(kernel, [Shape::new(&dims)?]))
}

/// Source: TFLite `kernels/internal/reference/reference_ops.h`, `GatherNd`.
struct GatherNd {
    /// Of the axes that the indices address.
    extents: [usize; MAX_RANK],
    depth: usize,
    /// Bytes that stay together.
    run: usize,
}

impl Kernel for GatherNd {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, indices],
            outputs: [mut output],
            ..
        } = io.views([INPUT, INDICES], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let indices = Integers::view(indices, INDICES)?;
        let slices = output.bytes_mut().chunks_exact_mut(self.run.max(1));
        for (slice, to) in slices.enumerate() {
            let from = place(indices, slice, &self.extents[..self.depth])? * self.run;
            to.copy_from_slice(&input[from..][..self.run]);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "gather_nd.reference"
    }
}

/// The position, in slices, that tuple `tuple` of `indices` addresses in axes of `extents`.
///
/// # Errors
/// An index outside its axis.
pub(super) fn place(
    indices: Integers<'_>,
    tuple: usize,
    extents: &[usize],
) -> Result<usize, EvalError> {
    let first = tuple * extents.len();
    let mut place = 0;
    for (i, &extent) in extents.iter().enumerate() {
        place = place * extent + integers::position("indices", indices.at(first + i), extent)?;
    }
    Ok(place)
}
