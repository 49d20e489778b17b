//! RESIZE_NEAREST_NEIGHBOR: pictures of another size, each pixel a copy of the nearest.

use super::shared::{check, result_size, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::RESIZE_NEAREST_NEIGHBOR,
    name: "RESIZE_NEAREST_NEIGHBOR",
    versions: 1..=4,
    types: rows![[_ Int32] -> _ => Int8 UInt8 Int16 UInt16 Int32 UInt32 Float16 Float32 Bool;],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node
        .table()?
        .builtin_options_as_resize_nearest_neighbor_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "ResizeNearestNeighborOptions",
    })?;
    let input = node.input(INPUT, "input")?;
    let [_, height, width, _] = input.dims("NHWC")?;
    let shape = result_size(node)?;
    let nearest = |from: usize, to: usize| {
        nearest(
            from,
            to,
            options.align_corners(),
            options.half_pixel_centers(),
        )
    };
    let kernel = Reference {
        rows: nearest(height, shape.dims()[1]),
        columns: nearest(width, shape.dims()[2]),
        height,
        line: input.bytes_from(2)?,
        pixel: input.bytes_from(3)?,
    };
    Ok(Prepared::new(kernel, [shape]))
}

/// The position in an axis of `from` for each of `to`.
///
/// Source: TFLite `kernels/internal/reference/resize_nearest_neighbor.h`, `GetNearestNeighbor`.
fn nearest(from: usize, to: usize, align_corners: bool, half_pixel_centers: bool) -> Vec<usize> {
    let last = from.saturating_sub(1);
    let scale = if align_corners && to > 1 {
        last as f32 / (to - 1) as f32
    } else {
        from as f32 / to as f32
    };
    let offset = if half_pixel_centers { 0.5 } else { 0.0 };
    let positions = (0..to).map(|position| {
        let at = (position as f32 + offset) * scale;
        let nearest = if align_corners {
            at.round()
        } else {
            at.floor()
        };
        (nearest as usize).min(last)
    });
    positions.collect()
}

struct Reference {
    rows: Vec<usize>,
    columns: Vec<usize>,
    /// Lines of the operand.
    height: usize,
    /// Bytes.
    line: usize,
    /// Bytes.
    pixel: usize,
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let output = output.bytes_mut();
        if output.is_empty() {
            return Ok(());
        }
        let lines = output.chunks_exact_mut(self.columns.len() * self.pixel);
        for (number, to) in lines.enumerate() {
            let picture = number / self.rows.len() * self.height;
            let line = picture + self.rows[number % self.rows.len()];
            let from = &input[line * self.line..][..self.line];
            for (&column, to) in self.columns.iter().zip(to.chunks_exact_mut(self.pixel)) {
                to.copy_from_slice(&from[column * self.pixel..][..self.pixel]);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "resize_nearest_neighbor.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_options() {
        // 3 -> 5: steps of 0.6; aligned corners 0.5, rounded away from zero; half-pixel centres 0.6 * (i + 0.5).
        assert_eq!(nearest(3, 5, false, false), [0, 0, 1, 1, 2]);
        assert_eq!(nearest(3, 5, true, false), [0, 1, 1, 2, 2]);
        assert_eq!(nearest(3, 5, false, true), [0, 0, 1, 2, 2]);
    }
}
