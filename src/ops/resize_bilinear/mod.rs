//! RESIZE_BILINEAR: pictures of another size, each pixel a mean of the four nearest.
//!
//! TFLite computes uint8 in float32 and int8 and int16 in integers, so one picture in both gives unlike numbers. Source:
//! `kernels/internal/reference/resize_bilinear.h`.

#[cfg(test)]
mod differential;
mod reference;
mod steps;

use super::shared::{FastPicture, check, result_size, rows};
use super::{Node, OpDef, PrepareError, Prepared, Settings};
use crate::fast::{
    self, Element8, Means, PictureKernel, ResizeBilinear, ResizeBilinearPrimitive, Tap,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};
use reference::{InFixed, InReal, Mean, Reference};
use steps::Steps;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::RESIZE_BILINEAR,
    name: "RESIZE_BILINEAR",
    versions: 1..=4,
    types: rows![[_ Int32] -> _ => Int8 UInt8 Int16 Float32;],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_resize_bilinear_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "ResizeBilinearOptions",
    })?;
    let (align_corners, half_pixel_centers) =
        (options.align_corners(), options.half_pixel_centers());
    if align_corners && half_pixel_centers {
        return Err(PrepareError::Attribute {
            name: "half_pixel_centers",
            found: "true beside align_corners".into(),
            expected: "one of the two",
        });
    }
    let input = node.input(INPUT, "input")?;
    let [_, height, width, depth] = input.dims("NHWC")?;
    let shape = result_size(node)?;
    let [_, rows, columns] = [0, 1, 2].map(|axis| shape.dims()[axis]);
    let steps = |from: usize, to: usize| Steps {
        from,
        to,
        align_corners,
        half_pixel_centers,
    };
    let (vertical, horizontal) = (steps(height, rows), steps(width, columns));
    let picture = Picture {
        height,
        width,
        depth,
    };
    let rounding = settings.profile.rounding();
    let fast = |element, means| {
        let kernel = FastPicture(picture.fast(element, means, settings)?);
        Some(Prepared::new(kernel, [shape]))
    };
    if matches!(input.ty, T::Float32 | T::UInt8) {
        let (rows, columns) = (vertical.real()?, horizontal.real()?);
        if input.ty == T::Float32 {
            let mean = InReal::<f32>::new(0.0);
            return Ok(picture.reference(shape, rows, columns, mean));
        }
        let prepared = fast(Element8::UInt8, Means::Real([&rows, &columns]));
        let mean = InReal::<u8>::new(0.5);
        return Ok(prepared.unwrap_or_else(|| picture.reference(shape, rows, columns, mean)));
    }
    let (rows, columns) = (vertical.fixed()?, horizontal.fixed()?);
    if input.ty == T::Int16 {
        let mean = InFixed::<i16>::new(rounding);
        return Ok(picture.reference(shape, rows, columns, mean));
    }
    let prepared = fast(Element8::Int8, Means::Fixed([&rows, &columns], rounding));
    let mean = InFixed::<i8>::new(rounding);
    Ok(prepared.unwrap_or_else(|| picture.reference(shape, rows, columns, mean)))
}

/// The operand's extents.
#[derive(Debug, Clone, Copy)]
struct Picture {
    height: usize,
    width: usize,
    depth: usize,
}

impl Picture {
    fn reference<M: Mean>(
        self,
        shape: Shape,
        rows: Vec<Tap<M::Weight>>,
        columns: Vec<Tap<M::Weight>>,
        mean: M,
    ) -> Prepared {
        let kernel = Reference {
            picture: self,
            rows,
            columns,
            mean,
        };
        Prepared::new(kernel, [shape])
    }

    fn fast(
        self,
        element: Element8,
        means: Means<'_>,
        settings: &Settings,
    ) -> Option<Box<dyn PictureKernel>> {
        let problem = ResizeBilinear {
            element,
            height: self.height,
            width: self.width,
            channels: self.depth,
            means,
        };
        fast::choose::<ResizeBilinearPrimitive>(settings.kernels, &problem)
    }
}
