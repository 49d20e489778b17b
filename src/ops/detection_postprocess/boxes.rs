//! Boxes: from encodings relative to anchors to corners, and how much two of them share.

use crate::ops::EvalError;
use crate::tensor::{TensorRef, TensorType};

/// A box by its corners: least y, least x, greatest y, greatest x.
pub(super) type Corners = [f32; 4];

/// A box by its centre: y, x, height, width.
pub(super) type Centre = [f32; 4];

/// Four numbers from `start` on; uint8 through `scale` and zero point.
pub(super) fn four(
    tensor: &TensorRef<'_>,
    start: usize,
    (scale, zero_point): (f32, i32),
) -> Result<Centre, EvalError> {
    let missing = EvalError::Operand { slot: start };
    if tensor.ty() == TensorType::UInt8 {
        let codes = tensor.as_slice::<u8>()?.get(start..start + 4);
        let codes: [u8; 4] = codes.and_then(|four| four.try_into().ok()).ok_or(missing)?;
        return Ok(codes.map(|code| (f32::from(code) - zero_point as f32) * scale));
    }
    let reals = tensor.as_slice::<f32>()?.get(start..start + 4);
    reals.and_then(|four| four.try_into().ok()).ok_or(missing)
}

/// All numbers of `tensor`: as they are, or uint8 through `scale` and zero point into `scratch`.
pub(super) fn reals<'v>(
    tensor: TensorRef<'v>,
    (scale, zero_point): (f32, i32),
    scratch: &'v mut [f32],
) -> Result<&'v [f32], EvalError> {
    if tensor.ty() != TensorType::UInt8 {
        return Ok(tensor.as_slice()?);
    }
    for (real, &code) in scratch.iter_mut().zip(tensor.as_slice::<u8>()?) {
        *real = scale * (i32::from(code) - zero_point) as f32;
    }
    Ok(scratch)
}

/// The box that `encoding` stands for beside `anchor`; `scales` divide it first. In double, rounded to float32 once for the centre
/// and once for half the height and width.
pub(super) fn decode(encoding: Centre, anchor: Centre, scales: [f32; 4]) -> Corners {
    let quotient = |i: usize| f64::from(encoding[i]) / f64::from(scales[i]);
    let centre = |i: usize| (quotient(i) * f64::from(anchor[i + 2]) + f64::from(anchor[i])) as f32;
    let half = |i: usize| (0.5 * quotient(i + 2).exp() * f64::from(anchor[i + 2])) as f32;
    let (y, x, half_height, half_width) = (centre(0), centre(1), half(0), half(1));
    [
        y - half_height,
        x - half_width,
        y + half_height,
        x + half_width,
    ]
}

/// Whether a least coordinate exceeds the greatest: only an anchor of negative size makes such a box.
pub(super) fn is_inverted(&[ymin, xmin, ymax, xmax]: &Corners) -> bool {
    ymin > ymax || xmin > xmax
}

/// Whether height or width are below 0.
pub(super) fn is_negative(&[_, _, height, width]: &Centre) -> bool {
    height < 0.0 || width < 0.0
}

/// Intersection over union; 0 where a box is empty.
pub(super) fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |&[ymin, xmin, ymax, xmax]: &Corners| (ymax - ymin) * (xmax - xmin);
    let (area_a, area_b) = (area(a), area(b));
    if area_a <= 0.0 || area_b <= 0.0 {
        return 0.0;
    }
    let greater = |a: f32, b: f32| if a < b { b } else { a };
    let less = |a: f32, b: f32| if b < a { b } else { a };
    let side = |low: usize| {
        let length = less(a[low + 2], b[low + 2]) - greater(a[low], b[low]);
        greater(length, 0.0)
    };
    let shared = side(0) * side(1);
    shared / (area_a + area_b - shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_move_and_stretch_anchors() {
        // Anchor 2 high, 4 wide at (1, 2). One height down (10 / 10 * 2), as wide as it is (exp 0), twice as high (exp ln 2).
        let encoding = [10.0, 0.0, 5.0 * std::f32::consts::LN_2, 0.0];
        let found = decode(encoding, [1.0, 2.0, 2.0, 4.0], [10.0, 10.0, 5.0, 5.0]);
        assert_eq!(found, [1.0, 0.0, 5.0, 4.0]);
    }

    #[test]
    fn overlap_is_the_shared_part_of_both_areas() {
        // 2 x 2 and 2 x 2 share 1 x 2: 2 of 6.
        let found = overlap(&[0.0, 0.0, 2.0, 2.0], &[1.0, 0.0, 3.0, 2.0]);
        assert_eq!(found, 2.0 / 6.0);
        assert_eq!(overlap(&[0.0, 0.0, 0.0, 2.0], &[0.0, 0.0, 2.0, 2.0]), 0.0);
    }
}
