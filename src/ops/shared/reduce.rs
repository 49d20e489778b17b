//! Folds a tensor along some of its axes, in row-major order as TFLite's reference does.

use crate::ops::{Node, PrepareError};
use crate::tensor::{MAX_RANK, Shape};

/// Which axes are folded, with neighbouring axes of one kind merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reduction {
    rank: usize,
    dims: [usize; MAX_RANK],
    /// Elements of the result from one index to the next; 0 along folded axes.
    strides: [usize; MAX_RANK],
    /// The result's shape.
    pub shape: Shape,
    /// Elements folded into each element of the result.
    pub folded: usize,
    /// Whether every axis is folded, which the reference computes from the first element on.
    pub is_total: bool,
}

impl Reduction {
    /// The axes of operand 1 of a reduction, folded out of operand 0.
    ///
    /// # Errors
    /// Axes that inference computes, or an axis that the operand does not have.
    pub fn of_node(node: &Node<'_>, keep_dims: bool) -> Result<Self, PrepareError> {
        let input = node.input(0, "input")?;
        let axes = node.input(1, "axis")?;
        Self::new(input.shape, axes.constant::<i32>()?, keep_dims)
            .ok_or_else(|| axes.shape_error(format!("axes of shape {}", input.shape)))
    }

    /// Folds `axes` of `shape`; negative axes count from the end, repeated ones fold once, those of a scalar do not count.
    /// `None` for an axis out of range.
    pub fn new(shape: Shape, axes: &[i32], keep_dims: bool) -> Option<Self> {
        let mut is_folded = [false; MAX_RANK];
        for &axis in axes.iter().filter(|_| shape.rank() > 0) {
            is_folded[shape.axis(axis)?] = true;
        }
        let kept: Vec<usize> = shape
            .dims()
            .iter()
            .zip(is_folded)
            .filter_map(|(&dim, folded)| match (folded, keep_dims) {
                (false, _) => Some(dim),
                (true, true) => Some(1),
                (true, false) => None,
            })
            .collect();
        let mut reduction = Self {
            rank: 0,
            dims: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            shape: Shape::new(&kept).ok()?,
            folded: shape
                .dims()
                .iter()
                .zip(is_folded)
                .filter(|(_, f)| *f)
                .map(|(&d, _)| d)
                .product(),
            is_total: is_folded[..shape.rank()].iter().all(|&folded| folded),
        };
        // Innermost first, then turned around.
        let mut step = 1;
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (&dim, folded) in shape
            .dims()
            .iter()
            .zip(is_folded)
            .rev()
            .filter(|&(&dim, _)| dim != 1)
        {
            let stride = if folded { 0 } else { step };
            match merged.last_mut() {
                Some((last, last_stride)) if (*last_stride == 0) == folded => *last *= dim,
                _ => merged.push((dim, stride)),
            }
            if !folded {
                step *= dim;
            }
        }
        reduction.rank = merged.len();
        for (axis, (dim, stride)) in merged.into_iter().rev().enumerate() {
            reduction.dims[axis] = dim;
            reduction.strides[axis] = stride;
        }
        Some(reduction)
    }

    /// How many pictures of how many positions and channels there are, if positions are what is folded.
    pub fn pictures(&self) -> Option<[usize; 3]> {
        let kept = |axis: usize| self.strides[axis] != 0;
        match self.rank {
            2 if !kept(0) && kept(1) => Some([1, self.dims[0], self.dims[1]]),
            3 if kept(0) && !kept(1) && kept(2) => Some([self.dims[0], self.dims[1], self.dims[2]]),
            _ => None,
        }
    }

    /// Folds `input` into `results`, which hold the start values: `fold(result, element)` element by element, row-major.
    pub fn fold<T: Copy, A: Copy>(&self, input: &[T], results: &mut [A], fold: impl Fn(A, T) -> A) {
        self.rows(input, results, |results, elements, _| {
            fold_row(results, elements, &fold);
        });
    }

    /// As [`fold`](Self::fold), the first element of each result becoming `first(element)`.
    pub fn fold_from_first<T: Copy, A: Copy>(
        &self,
        input: &[T],
        results: &mut [A],
        first: impl Fn(T) -> A,
        fold: impl Fn(A, T) -> A,
    ) {
        self.rows(input, results, |results, elements, is_first| {
            let mut rest = elements;
            if is_first && let Some((now, later)) = elements.split_at_checked(results.len()) {
                for (result, &element) in results.iter_mut().zip(now) {
                    *result = first(element);
                }
                rest = later;
            }
            fold_row(results, rest, &fold);
        });
    }

    /// Calls `row` with each run of `input`, the results that it goes into (one, or one per element) and whether they have
    /// met no element before.
    fn rows<T, A>(
        &self,
        input: &[T],
        results: &mut [A],
        mut row: impl FnMut(&mut [A], &[T], bool),
    ) {
        if input.is_empty() {
            return;
        }
        let outer = self.rank.saturating_sub(1);
        let (run, inner_stride) = if self.rank == 0 {
            (1, 0)
        } else {
            (self.dims[outer], self.strides[outer])
        };
        let width = if inner_stride == 0 { 1 } else { run };
        let mut index = [0usize; MAX_RANK];
        let mut position = 0;
        for elements in input.chunks_exact(run) {
            let folded = index.iter().zip(&self.strides);
            let is_first = folded
                .into_iter()
                .all(|(&i, &stride)| i == 0 || stride != 0);
            row(&mut results[position..][..width], elements, is_first);
            for axis in (0..outer).rev() {
                index[axis] += 1;
                position += self.strides[axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                position -= self.strides[axis] * self.dims[axis];
                index[axis] = 0;
            }
        }
    }
}

/// Folds one run into the one result it has, or into one result per element.
#[inline(always)]
fn fold_row<T: Copy, A: Copy>(results: &mut [A], elements: &[T], fold: impl Fn(A, T) -> A) {
    if let [result] = results {
        *result = elements.iter().fold(*result, |a, &x| fold(a, x));
    } else {
        for (result, &element) in results.iter_mut().zip(elements) {
            *result = fold(*result, element);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_any_axes_in_row_major_order() {
        let shape = Shape::new(&[2, 2, 3]).expect("small");
        let input: Vec<i32> = (0..12).collect();
        // Rows: [[0,1,2],[3,4,5]], [[6,7,8],[9,10,11]].
        let cases: [(&[i32], &[i32]); 5] = [
            (&[0], &[6, 8, 10, 12, 14, 16]),
            (&[1], &[3, 5, 7, 15, 17, 19]),
            (&[-1], &[3, 12, 21, 30]),
            (&[0, 2], &[24, 42]),
            (&[0, 1, 2, 2], &[66]),
        ];
        for (axes, expected) in cases {
            let reduction = Reduction::new(shape, axes, false).expect("axes exist");
            let mut sums = vec![0; reduction.shape.count()];
            reduction.fold(&input, &mut sums, |a, x| a + x);
            assert_eq!(sums, expected, "{axes:?}");
            assert_eq!(reduction.folded * expected.len(), 12);
        }
    }

    #[test]
    fn first_elements_start_their_results() {
        let shape = Shape::new(&[2, 2, 3]).expect("small");
        let input: Vec<i32> = (0..12).collect();
        // Digits are appended, the first one negated: 0, 3, 6, 9 give (((-0)*10+3)*10+6)*10+9.
        let cases: [(&[i32], &[i32]); 4] = [
            (&[0], &[6, -3, -12, -21, -30, -39]),
            (&[0, 1], &[369, -520, -1409]),
            (&[2], &[12, -255, -522, -789]),
            (&[], &[0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11]),
        ];
        for (axes, expected) in cases {
            let reduction = Reduction::new(shape, axes, false).expect("axes exist");
            let mut results = vec![99; reduction.shape.count()];
            reduction.fold_from_first(&input, &mut results, |x| -x, |a, x| a * 10 + x);
            assert_eq!(results, expected, "{axes:?}");
        }
    }

    #[test]
    fn total_reductions_fold_every_axis() {
        let shape = Shape::new(&[2, 1, 3]).expect("small");
        let total = |axes: &[i32]| {
            let reduction = Reduction::new(shape, axes, true).expect("axes exist");
            reduction.is_total
        };
        assert_eq!(
            [total(&[0, 1, 2]), total(&[0, 2]), total(&[0])],
            [true, false, false]
        );
    }

    #[test]
    fn positions_in_front_of_channels_are_pictures() {
        let pictures = |dims: &[usize], axes: &[i32]| {
            let shape = Shape::new(dims).expect("small");
            Reduction::new(shape, axes, false)
                .expect("axes exist")
                .pictures()
        };
        assert_eq!(pictures(&[2, 3, 4, 5], &[1, 2]), Some([2, 12, 5]));
        assert_eq!(pictures(&[1, 3, 4, 5], &[2, 1]), Some([1, 12, 5]));
        assert_eq!(pictures(&[2, 3, 1, 5], &[0, 1]), Some([1, 6, 5]));
        assert_eq!(pictures(&[2, 3, 4, 5], &[0, 2]), None);
        assert_eq!(pictures(&[2, 3, 4, 5], &[3]), None);
        assert_eq!(pictures(&[2, 3], &[]), None);
    }

    #[test]
    fn keep_dims_and_bad_axes() {
        let shape = Shape::new(&[2, 3]).expect("small");
        let kept = Reduction::new(shape, &[1], true).expect("axis exists");
        assert_eq!(kept.shape.dims(), [2, 1]);
        assert_eq!(Reduction::new(shape, &[2], false), None);
        let scalar = Reduction::new(Shape::SCALAR, &[0], false).expect("no axes");
        assert!(scalar.is_total && scalar.shape == Shape::SCALAR);
    }

    #[test]
    fn nothing_is_folded_without_axes() {
        let shape = Shape::new(&[3]).expect("small");
        let reduction = Reduction::new(shape, &[], false).expect("no axes");
        let mut results = [0; 3];
        reduction.fold(&[1, 2, 3], &mut results, |a, x| a + x);
        assert_eq!(results, [1, 2, 3]);
    }
}
