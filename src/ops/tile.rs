//! TILE and BROADCAST_TO: a tensor repeated along its axes.

use super::shared::integers;
use super::shared::{Integers, StridedCopy, check, gathered, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape};

const INPUT: usize = 0;
const MULTIPLIERS: usize = 1;
const SHAPE: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::TILE,
    name: "TILE",
    versions: 1..=3,
    types: rows![[_ Int32] -> _, [_ Int64] -> _ => sized],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_tile(node),
};

pub(super) const DEF_BROADCAST_TO: OpDef = OpDef {
    code: BuiltinOperator::BROADCAST_TO,
    name: "BROADCAST_TO",
    versions: 2..=4,
    types: rows![[_ Int32] -> _, [_ Int64] -> _ => sized],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_broadcast_to(node),
};

fn prepare_tile(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let multipliers = node.input(MULTIPLIERS, "multiples")?;
    node.output(OUTPUT, "output")?;
    let rank = input.shape.rank();
    let values = Integers::constant(&multipliers)?;
    if multipliers.shape.dims() != [rank] {
        return Err(multipliers.shape_error(format!("[{rank}], one element per axis")));
    }
    let mut tiles = Tiles::new(input.element_bytes()?);
    let mut dims = input.shape.dims().to_vec();
    for axis in (0..rank).rev() {
        let times = integers::extent("multiples", values.at(axis))?;
        tiles.push(dims[axis], times);
        dims[axis] = dims[axis].saturating_mul(times);
    }
    Ok(Prepared::new(tiles, [Shape::new(&dims)?]))
}

/// How a tensor is repeated, axes that are not merged into the next inner one.
struct Tiles {
    /// Extent and repetitions, innermost first; the extent of the innermost in bytes.
    axes: [(usize, usize); MAX_RANK],
    rank: usize,
}

impl Tiles {
    fn new(element: usize) -> Self {
        let mut axes = [(1, 1); MAX_RANK];
        axes[0].0 = element;
        Self { axes, rank: 1 }
    }

    /// Adds the next outer axis.
    fn push(&mut self, extent: usize, times: usize) {
        let last = &mut self.axes[self.rank - 1];
        if last.1 == 1 {
            *last = (last.0.saturating_mul(extent), times);
        } else if extent == 1 {
            last.1 = last.1.saturating_mul(times);
        } else {
            self.axes[self.rank] = (extent, times);
            self.rank += 1;
        }
    }

    /// Fills `output` with the blocks at the front of `input`, repeated along axis `rank - 1` and those within it.
    /// Returns the bytes read and written.
    fn fill(&self, rank: usize, input: &[u8], output: &mut [u8]) -> (usize, usize) {
        let (extent, times) = self.axes[rank - 1];
        let (mut read, mut written) = (0, 0);
        if rank == 1 {
            output[..extent].copy_from_slice(&input[..extent]);
            (read, written) = (extent, extent);
        } else {
            for _ in 0..extent {
                let (from, to) = self.fill(rank - 1, &input[read..], &mut output[written..]);
                read += from;
                written += to;
            }
        }
        for repetition in 1..times {
            output.copy_within(..written, repetition * written);
        }
        (read, written * times)
    }
}

impl Kernel for Tiles {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let output = output.bytes_mut();
        if !output.is_empty() {
            self.fill(self.rank, required(input, INPUT)?.bytes(), output);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "tile.reference"
    }
}

fn prepare_broadcast_to(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let shape = node.input(SHAPE, "shape")?;
    node.output(OUTPUT, "output")?;
    let values = Integers::constant(&shape)?;
    let dims: Vec<usize> = values
        .iter()
        .map(|dim| integers::extent("shape", dim))
        .collect::<Result<_, _>>()?;
    let wanted = Shape::new(&dims)?;
    let from = StridedCopy::dense_strides(input.shape.dims());
    let lead = dims.len().checked_sub(input.shape.rank());
    let lead = lead.ok_or_else(|| input.shape_error(format!("at most {} axes", dims.len())))?;
    let mut strides = vec![0; dims.len()];
    for (axis, (&dim, stride)) in input.shape.dims().iter().zip(from).enumerate() {
        if dim == dims[lead + axis] {
            strides[lead + axis] = stride;
        } else if dim != 1 {
            return Err(input.shape_error(format!("what repeats to {wanted}")));
        }
    }
    let copy = StridedCopy::new(input.element_bytes()?, &dims, &strides, 0);
    Ok(gathered("broadcast_to.reference", copy, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_repeat_along_every_axis() {
        // [[1, 2], [3, 4]] twice along both axes.
        let mut tiles = Tiles::new(1);
        tiles.push(2, 2);
        tiles.push(2, 2);
        let mut output = [0; 16];
        let moved = tiles.fill(tiles.rank, &[1, 2, 3, 4], &mut output);
        assert_eq!(moved, (4, 16));
        let (first, second) = ([1, 2, 1, 2], [3, 4, 3, 4]);
        assert_eq!(output, *[first, second, first, second].concat());
    }

    #[test]
    fn axes_that_need_no_repetition_of_their_own_are_merged() {
        let mut tiles = Tiles::new(4);
        tiles.push(3, 1);
        tiles.push(2, 5);
        tiles.push(1, 2);
        assert_eq!((tiles.rank, tiles.axes[0]), (1, (24, 10)));
    }
}
