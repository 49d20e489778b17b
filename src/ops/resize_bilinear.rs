//! RESIZE_BILINEAR: pictures of another size, each pixel a mean of the four nearest.
//!
//! TFLite computes uint8 in float32 and int8 and int16 in integers, so one picture in both gives unlike numbers. Source:
//! `kernels/internal/reference/resize_bilinear.h`.

use super::shared::result_size;
use super::shared::{Integer, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::fixedpoint::Rounding;
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

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
    Ok(match input.ty {
        T::Float32 => of(
            picture,
            shape,
            [vertical.real()?, horizontal.real()?],
            InReal::<f32>::new(0.0),
        ),
        T::UInt8 => of(
            picture,
            shape,
            [vertical.real()?, horizontal.real()?],
            InReal::<u8>::new(0.5),
        ),
        T::Int8 => of(
            picture,
            shape,
            [vertical.fixed()?, horizontal.fixed()?],
            InFixed::<i8>::new(settings.profile.rounding()),
        ),
        _ => of(
            picture,
            shape,
            [vertical.fixed()?, horizontal.fixed()?],
            InFixed::<i16>::new(settings.profile.rounding()),
        ),
    })
}

/// The operand's extents.
struct Picture {
    height: usize,
    width: usize,
    depth: usize,
}

/// One axis: how positions of the result map to the operand's.
struct Steps {
    from: usize,
    to: usize,
    align_corners: bool,
    half_pixel_centers: bool,
}

/// A position of the result: the two neighbours in the operand, and how far it is from the lower one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap<W> {
    lower: usize,
    upper: usize,
    weight: W,
}

impl Steps {
    /// Positions in float32.
    fn real(&self) -> Result<Vec<Tap<f32>>, PrepareError> {
        let scale = if self.align_corners && self.to > 1 {
            self.from.saturating_sub(1) as f32 / (self.to - 1) as f32
        } else {
            self.from as f32 / self.to as f32
        };
        let taps = (0..self.to).map(|position| {
            let at = if self.half_pixel_centers {
                (position as f32 + 0.5) * scale - 0.5
            } else {
                position as f32 * scale
            };
            let lower = at.floor().max(0.0);
            Tap {
                lower: lower as usize,
                upper: (at.ceil() as usize).min(self.from.saturating_sub(1)),
                weight: at - lower,
            }
        });
        self.within(taps.collect())
    }

    /// Positions in 1/1024.
    fn fixed(&self) -> Result<Vec<Tap<i64>>, PrepareError> {
        let (from, to) = (self.from as i64, self.to as i64);
        let scale = if self.align_corners && to > 1 {
            (((from - 1) << 10) + (to - 1) / 2) / (to - 1)
        } else {
            ((from << 10) + to / 2) / to
        };
        let taps = (0..to).map(|position| {
            let at = if self.half_pixel_centers {
                position * scale + scale / 2 - (1 << 9)
            } else {
                position * scale
            };
            // Divisions truncate, as in C++.
            let lower = (at / (1 << 10)).max(0);
            let upper = ((at + (1 << 10) - 1) / (1 << 10)).min(from - 1);
            Tap {
                lower: lower as usize,
                upper: upper.max(0) as usize,
                weight: at - (lower << 10),
            }
        });
        self.within(taps.collect())
    }

    /// Refuses positions beyond the operand: there are none unless float32 cannot tell neighbours apart.
    fn within<W>(&self, taps: Vec<Tap<W>>) -> Result<Vec<Tap<W>>, PrepareError> {
        if taps.iter().all(|tap| tap.lower.max(tap.upper) < self.from) {
            return Ok(taps);
        }
        Err(PrepareError::Attribute {
            name: "size",
            found: format!("{} from {}", self.to, self.from),
            expected: "positions within the input",
        })
    }
}

/// How four neighbours are averaged.
trait Mean: Send + 'static {
    type Element: Element + Send;
    type Weight: Copy + Send + 'static;

    /// Of the elements upper left, lower left, upper right and lower right, with the weights from above and from the left.
    fn mean(&self, corners: [Self::Element; 4], y: Self::Weight, x: Self::Weight) -> Self::Element;
}

/// In float32; `offset` is added before the fraction is cut off.
struct InReal<E> {
    offset: f32,
    elements: PhantomData<E>,
}

impl<E> InReal<E> {
    fn new(offset: f32) -> Self {
        let elements = PhantomData;
        Self { offset, elements }
    }

    fn sum(&self, [ul, ll, ur, lr]: [f32; 4], y: f32, x: f32) -> f32 {
        ul * (1.0 - y) * (1.0 - x)
            + ll * y * (1.0 - x)
            + ur * (1.0 - y) * x
            + lr * y * x
            + self.offset
    }
}

impl Mean for InReal<f32> {
    type Element = f32;
    type Weight = f32;

    fn mean(&self, corners: [f32; 4], y: f32, x: f32) -> f32 {
        self.sum(corners, y, x)
    }
}

impl Mean for InReal<u8> {
    type Element = u8;
    type Weight = f32;

    fn mean(&self, corners: [u8; 4], y: f32, x: f32) -> u8 {
        self.sum(corners.map(f32::from), y, x) as u8
    }
}

/// In integers, weights in 1/1024.
struct InFixed<E> {
    rounding: Rounding,
    elements: PhantomData<E>,
}

impl<E> InFixed<E> {
    fn new(rounding: Rounding) -> Self {
        let elements = PhantomData;
        Self { rounding, elements }
    }
}

impl<E: Integer> Mean for InFixed<E> {
    type Element = E;
    type Weight = i64;

    fn mean(&self, corners: [E; 4], y: i64, x: i64) -> E {
        let [ul, ll, ur, lr] = corners.map(|corner| i64::from(corner.widen()));
        let one = 1 << 10;
        let sum = ul * (one - y) * (one - x) + ll * y * (one - x) + ur * (one - y) * x + lr * y * x;
        let half = 1 << 19;
        let mean = match self.rounding {
            Rounding::Single => (sum + half) >> 20,
            Rounding::Double if sum > 0 => (sum + half) / (1 << 20),
            Rounding::Double => (sum - half) / (1 << 20),
        };
        E::saturate(mean as i32)
    }
}

fn of<M: Mean>(
    picture: Picture,
    shape: Shape,
    [rows, columns]: [Vec<Tap<M::Weight>>; 2],
    mean: M,
) -> Prepared {
    let kernel = Reference {
        picture,
        rows,
        columns,
        mean,
    };
    Prepared::new(kernel, [shape])
}

struct Reference<M: Mean> {
    picture: Picture,
    rows: Vec<Tap<M::Weight>>,
    columns: Vec<Tap<M::Weight>>,
    mean: M,
}

impl<M: Mean> Kernel for Reference<M> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.as_slice::<M::Element>()?;
        let output = output.into_slice::<M::Element>()?;
        let Picture {
            height,
            width,
            depth,
        } = self.picture;
        if output.is_empty() {
            return Ok(());
        }
        let (line, picture) = (width * depth, height * width * depth);
        let lines = output.chunks_exact_mut(self.columns.len() * depth);
        for (number, to) in lines.enumerate() {
            let row = &self.rows[number % self.rows.len()];
            let input = &input[number / self.rows.len() * picture..][..picture];
            let upper = &input[row.lower * line..][..line];
            let lower = &input[row.upper * line..][..line];
            for (column, to) in self.columns.iter().zip(to.chunks_exact_mut(depth)) {
                let [left, right] = [column.lower, column.upper].map(|c| c * depth);
                let corners = [
                    &upper[left..][..depth],
                    &lower[left..][..depth],
                    &upper[right..][..depth],
                    &lower[right..][..depth],
                ];
                for (channel, to) in to.iter_mut().enumerate() {
                    let corners = corners.map(|corner| corner[channel]);
                    *to = self.mean.mean(corners, row.weight, column.weight);
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "resize_bilinear.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn steps(from: usize, to: usize, align: bool, half: bool) -> Steps {
        Steps {
            from,
            to,
            align_corners: align,
            half_pixel_centers: half,
        }
    }

    fn tap<W>(lower: usize, upper: usize, weight: W) -> Tap<W> {
        Tap {
            lower,
            upper,
            weight,
        }
    }

    #[test]
    fn positions_follow_the_options() {
        // 2 -> 4: scale 1/2; with corners aligned 1/3, in 1/1024 (1024 + 1) / 3 = 341.
        assert_eq!(
            steps(2, 4, false, false).real().expect("within"),
            [
                tap(0, 0, 0.0),
                tap(0, 1, 0.5),
                tap(1, 1, 0.0),
                tap(1, 1, 0.5)
            ]
        );
        assert_eq!(
            steps(2, 4, true, false).fixed().expect("within"),
            [
                tap(0, 0, 0),
                tap(0, 1, 341),
                tap(0, 1, 682),
                tap(0, 1, 1023)
            ]
        );
        // (0 + 0.5) / 2 - 0.5 = -0.25: before the first centre both neighbours are the first.
        let half = steps(2, 4, false, true);
        assert_eq!(half.real().expect("within")[0], tap(0, 0, -0.25));
        assert_eq!(half.fixed().expect("within")[0], tap(0, 0, -256));
    }

    #[test]
    fn integer_mean_rounds_away_from_zero() {
        let double = InFixed::<i8>::new(Rounding::Double);
        let single = InFixed::<i8>::new(Rounding::Single);
        // Half-way between -1 and -2 is -1.5.
        assert_eq!(double.mean([-1, -2, -1, -2], 512, 0), -2);
        assert_eq!(single.mean([-1, -2, -1, -2], 512, 0), -1);
    }
}
