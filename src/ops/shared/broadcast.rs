//! How operands of unlike shapes line up: axes of extent 1, and axes that are missing in front, are repeated.
//!
//! Neighbouring axes that every operand either steps along or repeats are merged, so that operands of one shape, or one
//! of a single element, give one long row. Inside a row each operand is a slice or a single value, which compilers
//! vectorise.

use crate::ops::{NodeTensor, PrepareError};
use crate::tensor::{Element, MAX_RANK, Shape};
use std::array;

/// The way `N` operands are read to compute one result.
#[derive(Debug, Clone)]
pub struct Broadcast<const N: usize> {
    output: Shape,
    /// Elements of a row, and whether each operand steps along it.
    row: usize,
    steps: [bool; N],
    /// Extents of the axes outside a row and each operand's stride along them, innermost first.
    outer: [usize; MAX_RANK],
    strides: [[usize; MAX_RANK]; N],
    axes: usize,
}

impl<const N: usize> Broadcast<N> {
    /// The way to read `operands`, whose shapes are aligned at the last axis.
    ///
    /// # Errors
    /// Extents that differ where neither is 1.
    pub fn new(operands: [&NodeTensor<'_>; N]) -> Result<Self, PrepareError> {
        Self::line_up(operands.map(|operand| operand.shape))
            .map_err(|(operand, expected)| operands[operand].shape_error(expected))
    }

    /// The way to read operands of `shapes`, or the operand that does not fit and what would.
    pub(super) fn line_up(shapes: [Shape; N]) -> Result<Self, (usize, String)> {
        let rank = shapes.iter().map(Shape::rank).max().unwrap_or(0);
        let extent = |operand: usize, axis: usize| {
            let shape = shapes[operand];
            let missing = rank - shape.rank();
            axis.checked_sub(missing)
                .and_then(|axis| shape.dim(axis))
                .unwrap_or(1)
        };
        let mut dims = [1; MAX_RANK];
        for (axis, dim) in dims[..rank].iter_mut().enumerate() {
            for operand in 0..N {
                let found = extent(operand, axis);
                if *dim == 1 {
                    *dim = found;
                } else if found != 1 && found != *dim {
                    return Err((operand, format!("{dim} or 1 at axis {axis} of {rank}")));
                }
            }
        }
        let output = Shape::new(&dims[..rank]).map_err(|error| (0, error.to_string()))?;

        let mut this = Self {
            output,
            row: 1,
            steps: [true; N],
            outer: [1; MAX_RANK],
            strides: [[0; MAX_RANK]; N],
            axes: 0,
        };
        let mut below = [1; N];
        let mut merged: Option<[bool; N]> = None;
        let mut groups = 0;
        for axis in (0..rank).rev().filter(|&axis| dims[axis] != 1) {
            let steps = array::from_fn(|operand| extent(operand, axis) != 1);
            if merged != Some(steps) {
                groups += 1;
                if groups > 1 {
                    let outer = groups - 2;
                    for operand in 0..N {
                        let stride = if steps[operand] { below[operand] } else { 0 };
                        this.strides[operand][outer] = stride;
                    }
                    this.axes = outer + 1;
                } else {
                    this.steps = steps;
                }
                merged = Some(steps);
            }
            let extent = match this.axes {
                0 => &mut this.row,
                outer => &mut this.outer[outer - 1],
            };
            *extent = extent.saturating_mul(dims[axis]);
            for operand in 0..N {
                if steps[operand] {
                    below[operand] = below[operand].saturating_mul(dims[axis]);
                }
            }
        }
        Ok(this)
    }

    /// The result's shape.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Elements of a row, and whether each operand steps along it (else it is one value).
    pub fn row(&self) -> (usize, [bool; N]) {
        (self.row, self.steps)
    }

    /// Calls `row` with the first element of each operand, row after row of the result.
    #[inline(always)]
    pub fn rows(&self, mut row: impl FnMut([usize; N])) {
        if self.output.count() == 0 {
            return;
        }
        let mut index = [0; MAX_RANK];
        let mut starts = [0; N];
        loop {
            row(starts);
            let mut axis = 0;
            loop {
                if axis == self.axes {
                    return;
                }
                index[axis] += 1;
                for (start, strides) in starts.iter_mut().zip(&self.strides) {
                    *start += strides[axis];
                }
                if index[axis] < self.outer[axis] {
                    break;
                }
                for (start, strides) in starts.iter_mut().zip(&self.strides) {
                    *start -= strides[axis] * self.outer[axis];
                }
                index[axis] = 0;
                axis += 1;
            }
        }
    }
}

/// `output = f(left, right)`, element by element of the result. The slices have the shapes that `broadcast` was made for.
#[inline(always)]
pub fn zip<A: Element, B: Element, O: Element>(
    broadcast: &Broadcast<2>,
    left: &[A],
    right: &[B],
    output: &mut [O],
    f: impl Fn(A, B) -> O,
) {
    let (n, steps) = broadcast.row();
    let mut rows = output.chunks_exact_mut(n.max(1));
    broadcast.rows(|[l, r]| {
        let Some(output) = rows.next() else { return };
        match steps {
            [true, true] => {
                let operands = left[l..][..n].iter().zip(&right[r..][..n]);
                for (output, (&a, &b)) in output.iter_mut().zip(operands) {
                    *output = f(a, b);
                }
            }
            [true, false] => {
                let b = right[r];
                for (output, &a) in output.iter_mut().zip(&left[l..][..n]) {
                    *output = f(a, b);
                }
            }
            [false, _] => {
                let a = left[l];
                for (output, &b) in output.iter_mut().zip(&right[r..][..n]) {
                    *output = f(a, b);
                }
            }
        }
    });
}

/// As [`zip`], of a left operand that lies where the result lies: `output` holds its elements, which are as large.
#[inline(always)]
pub fn zip_in_place<A: Element, B: Element, O: Element>(
    broadcast: &Broadcast<2>,
    right: &[B],
    output: &mut [O],
    f: impl Fn(A, B) -> O,
) {
    let (n, [_, steps]) = broadcast.row();
    let mut rows = output.chunks_exact_mut(n.max(1));
    broadcast.rows(|[_, r]| {
        let Some(output) = rows.next() else { return };
        if steps {
            for (output, &b) in output.iter_mut().zip(&right[r..][..n]) {
                *output = f(bytemuck::cast(*output), b);
            }
        } else {
            let b = right[r];
            for output in output {
                *output = f(bytemuck::cast(*output), b);
            }
        }
    });
}

/// `output = condition ? then : otherwise`, element by element of the result; any byte but 0 is true. The slices have the
/// shapes that `broadcast` was made for.
pub fn select<E: Element>(
    broadcast: &Broadcast<3>,
    condition: &[u8],
    then: &[E],
    otherwise: &[E],
    output: &mut [E],
) {
    let (n, steps) = broadcast.row();
    let [c_step, t_step, o_step] = steps.map(usize::from);
    let mut rows = output.chunks_exact_mut(n.max(1));
    broadcast.rows(|[c, t, o]| {
        let Some(output) = rows.next() else { return };
        for (i, output) in output.iter_mut().enumerate() {
            *output = if condition[c + i * c_step] != 0 {
                then[t + i * t_step]
            } else {
                otherwise[o + i * o_step]
            };
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of `N` operands lined up, without the tensors around them.
    fn line_up<const N: usize>(shapes: [&[usize]; N]) -> Result<Broadcast<N>, usize> {
        Broadcast::line_up(shapes.map(|dims| Shape::new(dims).expect("valid shape")))
            .map_err(|(operand, _)| operand)
    }

    /// Every pair of shapes gives what indices computed axis by axis give.
    #[test]
    fn zip_reads_each_operand_at_its_own_index() {
        let shapes: [&[usize]; 12] = [
            &[],
            &[1],
            &[4],
            &[3, 4],
            &[3, 1],
            &[1, 4],
            &[2, 3, 4],
            &[2, 1, 1],
            &[2, 1, 4],
            &[1, 3, 1],
            &[5, 1, 3, 4],
            &[5, 2, 1, 1],
        ];
        let mut compared = 0;
        for a in shapes {
            for b in shapes {
                let Ok(broadcast) = line_up([a, b]) else {
                    panic!("{a:?} {b:?}")
                };
                let output = broadcast.output();
                let numbers = |dims: &[usize], from: i32| -> Vec<i32> {
                    (from..).take(dims.iter().product()).collect()
                };
                let (left, right) = (numbers(a, 0), numbers(b, 1000));
                let mut found = vec![0; output.count()];
                zip(&broadcast, &left, &right, &mut found, |a, b| a * 10_000 + b);
                if left.len() == found.len() {
                    let mut output: Vec<u32> = left.iter().map(|&a| a as u32).collect();
                    let f = |a: i32, b| (a * 10_000 + b) as u32;
                    zip_in_place(&broadcast, &right, &mut output, f);
                    assert!(output.into_iter().eq(found.iter().map(|&f| f as u32)));
                }
                for (flat, &found) in found.iter().enumerate() {
                    let index = |dims: &[usize]| {
                        let (mut rest, mut index, mut stride) = (flat, 0, 1);
                        for (axis, &dim) in output.dims().iter().enumerate().rev() {
                            let position = rest % dim;
                            rest /= dim;
                            let missing = output.rank() - dims.len();
                            if axis >= missing && dims[axis - missing] != 1 {
                                index += position * stride;
                                stride *= dims[axis - missing];
                            }
                        }
                        index
                    };
                    let expected = left[index(a)] * 10_000 + right[index(b)];
                    assert_eq!(found, expected, "{a:?} {b:?} at {flat}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 1000);
    }

    #[test]
    fn neighbouring_axes_are_merged_into_rows() {
        type Case = (&'static [usize], &'static [usize], usize, [bool; 2]);
        let cases: [Case; 5] = [
            (&[2, 3, 4], &[2, 3, 4], 24, [true, true]),
            (&[2, 3, 4], &[], 24, [true, false]),
            (&[2, 3, 4], &[4], 4, [true, true]),
            (&[2, 1, 1], &[2, 3, 4], 12, [false, true]),
            (&[1, 1], &[1], 1, [true, true]),
        ];
        for (a, b, row, steps) in cases {
            let broadcast = line_up([a, b]).expect("compatible");
            assert_eq!(broadcast.row(), (row, steps), "{a:?} {b:?}");
        }
    }

    #[test]
    fn unlike_extents_name_the_operand() {
        assert_eq!(line_up([&[2, 3], &[2, 4]]).unwrap_err(), 1);
        assert_eq!(line_up([&[3], &[2, 3], &[2]]).unwrap_err(), 2);
    }

    #[test]
    fn empty_result_has_no_rows() {
        let broadcast = line_up([&[2, 0], &[1, 1]]).expect("compatible");
        assert_eq!(broadcast.output().dims(), [2, 0]);
        broadcast.rows(|_| panic!("no row expected"));
    }

    #[test]
    fn select_repeats_each_of_three_operands() {
        let broadcast = line_up([&[2, 1], &[3], &[]]).expect("compatible");
        let mut output = [0; 6];
        select(&broadcast, &[1, 0], &[10, 20, 30], &[7], &mut output);
        assert_eq!(output, [10, 20, 30, 7, 7, 7]);
    }
}
