//! Copies between a dense block and one that is addressed with a stride per axis.
//!
//! Slices, transpositions, broadcasts, paddings and their kin are this one copy with other strides. Elements are bytes of
//! a given size, so one loop serves every type.

use crate::ops::{EvalError, Kernel, KernelIo, Prepared};
use crate::tensor::{MAX_RANK, Shape};

/// A copy over up to [`MAX_RANK`] axes, with neighbouring axes merged where their strides allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StridedCopy {
    /// Bytes per element, or [`INT4`](Self::INT4).
    element: usize,
    rank: usize,
    dims: [usize; MAX_RANK],
    /// In elements of the strided side; 0 repeats, negative runs backwards.
    strides: [isize; MAX_RANK],
    /// The strided side's first element.
    offset: usize,
}

impl StridedCopy {
    /// In place of the bytes of an element: two elements share a byte, the first in its low bits.
    pub const INT4: usize = 0;

    /// A copy of `dims` elements of `element` bytes (1, 2, 4 or 8, or [`INT4`](Self::INT4)): element `i, j, ..` of the dense side is element
    /// `offset + i * strides[0] + j * strides[1] + ..` of the strided one. `dims` and `strides` are equally long.
    ///
    /// The caller vouches that every element it addresses exists; [`gather`](Self::gather) and
    /// [`scatter`](Self::scatter) would panic otherwise.
    pub fn new(element: usize, dims: &[usize], strides: &[isize], offset: usize) -> Self {
        let mut copy = Self {
            element,
            rank: 0,
            dims: [1; MAX_RANK],
            strides: [0; MAX_RANK],
            offset,
        };
        for (&dim, &stride) in dims.iter().zip(strides).filter(|&(&dim, _)| dim != 1) {
            let last = copy.rank.wrapping_sub(1);
            if copy.rank > 0 && copy.strides[last] == stride * dim as isize {
                copy.dims[last] *= dim;
                copy.strides[last] = stride;
            } else if copy.rank < MAX_RANK {
                copy.dims[copy.rank] = dim;
                copy.strides[copy.rank] = stride;
                copy.rank += 1;
            }
        }
        copy
    }

    /// The strides, in elements, of a dense block with `dims`.
    pub fn dense_strides(dims: &[usize]) -> [isize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = 1isize;
        for (stride, &dim) in strides.iter_mut().zip(dims).rev() {
            *stride = step;
            step *= dim as isize;
        }
        strides
    }

    /// Reads `strided` element by element into `dense`.
    pub fn gather(&self, strided: &[u8], dense: &mut [u8]) {
        if self.element == Self::INT4 {
            self.each_int4(|at, index| set_int4(dense, index, int4(strided, at)));
            return;
        }
        let run = self.run() * self.element;
        let mut runs = dense.chunks_exact_mut(run.max(1));
        self.for_each_run(|start, stride| {
            let Some(to) = runs.next() else { return };
            if stride == 1 {
                to.copy_from_slice(&strided[start * self.element..][..run]);
                return;
            }
            match self.element {
                1 => pick::<1>(strided, start, stride, to),
                2 => pick::<2>(strided, start, stride, to),
                4 => pick::<4>(strided, start, stride, to),
                _ => pick::<8>(strided, start, stride, to),
            }
        });
    }

    /// Writes `dense` element by element into `strided`.
    pub fn scatter(&self, dense: &[u8], strided: &mut [u8]) {
        if self.element == Self::INT4 {
            self.each_int4(|at, index| set_int4(strided, at, int4(dense, index)));
            return;
        }
        let run = self.run() * self.element;
        let mut runs = dense.chunks_exact(run.max(1));
        self.for_each_run(|start, stride| {
            let Some(from) = runs.next() else { return };
            if stride == 1 {
                strided[start * self.element..][..run].copy_from_slice(from);
                return;
            }
            match self.element {
                1 => place::<1>(from, strided, start, stride),
                2 => place::<2>(from, strided, start, stride),
                4 => place::<4>(from, strided, start, stride),
                _ => place::<8>(from, strided, start, stride),
            }
        });
    }

    /// The first byte of the strided side, where all its elements are neighbours in the order of the dense side.
    fn neighbours(&self) -> Option<usize> {
        let is_run = match self.rank {
            0 => true,
            1 => self.strides[0] == 1 && self.dims[0] > 0,
            _ => false,
        };
        (is_run && self.element != Self::INT4).then_some(self.offset * self.element)
    }

    /// Elements of one run along the innermost axis.
    fn run(&self) -> usize {
        match self.rank {
            0 => 1,
            rank => self.dims[rank - 1],
        }
    }

    /// Calls `copy` with the strided and the dense position of every element.
    fn each_int4(&self, mut copy: impl FnMut(usize, usize)) {
        let mut index = 0;
        self.for_each_run(|start, stride| {
            let mut at = start;
            for _ in 0..self.run() {
                copy(at, index);
                at = at.wrapping_add_signed(stride);
                index += 1;
            }
        });
    }

    /// Calls `run` with the first strided element and the stride of each run along the innermost axis, in dense order.
    fn for_each_run(&self, mut run: impl FnMut(usize, isize)) {
        if self.dims[..self.rank].contains(&0) {
            return;
        }
        let outer = self.rank.saturating_sub(1);
        let inner_stride = if self.rank == 0 {
            1
        } else {
            self.strides[outer]
        };
        let mut index = [0usize; MAX_RANK];
        let mut position = self.offset as isize;
        loop {
            run(position as usize, inner_stride);
            let mut axis = outer;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                index[axis] += 1;
                position += self.strides[axis];
                if index[axis] < self.dims[axis] {
                    break;
                }
                position -= self.strides[axis] * self.dims[axis] as isize;
                index[axis] = 0;
            }
        }
    }
}

/// Element `index` of int4 elements, in the low bits.
fn int4(packed: &[u8], index: usize) -> u8 {
    packed[index / 2] >> (4 * (index % 2)) & 0x0F
}

/// Replaces element `index` of int4 elements.
fn set_int4(packed: &mut [u8], index: usize, value: u8) {
    let byte = &mut packed[index / 2];
    let shift = 4 * (index % 2);
    *byte = *byte & !(0x0F << shift) | value << shift;
}

/// Element by element from `strided`, beginning at its element `start`, into `dense`.
fn pick<const N: usize>(strided: &[u8], start: usize, stride: isize, dense: &mut [u8]) {
    let (strided, _) = strided.as_chunks::<N>();
    let (dense, _) = dense.as_chunks_mut::<N>();
    let mut from = start;
    for to in dense {
        *to = strided[from];
        from = from.wrapping_add_signed(stride);
    }
}

/// Element by element from `dense` into `strided`, beginning at its element `start`.
fn place<const N: usize>(dense: &[u8], strided: &mut [u8], start: usize, stride: isize) {
    let (strided, _) = strided.as_chunks_mut::<N>();
    let (dense, _) = dense.as_chunks::<N>();
    let mut to = start;
    for from in dense {
        strided[to] = *from;
        to = to.wrapping_add_signed(stride);
    }
}

/// Result 0, of `shape`, = the elements of operand 0 that `copy` addresses.
pub fn gathered(name: &'static str, copy: StridedCopy, shape: Shape) -> Prepared {
    Prepared {
        part: copy.neighbours(),
        ..Prepared::new(Gathered { name, copy }, [shape])
    }
}

struct Gathered {
    name: &'static str,
    copy: StridedCopy,
}

impl Kernel for Gathered {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let ([input], output) = io.elements([0], 0)?;
        self.copy.gather(input, output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_strides_count_from_the_innermost_axis() {
        assert_eq!(StridedCopy::dense_strides(&[2, 3, 4])[..3], [12, 4, 1]);
        assert_eq!(StridedCopy::dense_strides(&[]), [0; MAX_RANK]);
    }

    #[test]
    fn transposition_is_a_gather() {
        // [[0, 1, 2], [3, 4, 5]] transposed.
        let copy = StridedCopy::new(1, &[3, 2], &[1, 3], 0);
        let mut out = [0; 6];
        copy.gather(&[0, 1, 2, 3, 4, 5], &mut out);
        assert_eq!(out, [0, 3, 1, 4, 2, 5]);
    }

    #[test]
    fn neighbours_are_told_from_elements_apart() {
        let begin = |dims: &[usize], strides: &[isize], offset| {
            StridedCopy::new(2, dims, strides, offset).neighbours()
        };
        // Rows 1 and 2 of [4, 3]: from the third element of two bytes on.
        assert_eq!(begin(&[2, 3], &[3, 1], 3), Some(6));
        assert_eq!(begin(&[1], &[7], 5), Some(10));
        // Two of three columns, every other element, backwards, repeated, none.
        assert_eq!(begin(&[2, 2], &[3, 1], 0), None);
        assert_eq!(begin(&[3], &[2], 0), None);
        assert_eq!(begin(&[3], &[-1], 2), None);
        assert_eq!(begin(&[3], &[0], 0), None);
        assert_eq!(begin(&[0, 3], &[3, 1], 0), None);
        // Half bytes.
        assert_eq!(
            StridedCopy::new(StridedCopy::INT4, &[4], &[1], 2).neighbours(),
            None
        );
    }

    #[test]
    fn reversal_and_repetition() {
        let mut out = [0; 6];
        StridedCopy::new(2, &[3], &[-1], 2).gather(&[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [5, 6, 3, 4, 1, 2]);
        StridedCopy::new(1, &[2, 3], &[0, 1], 0).gather(&[7, 8, 9], &mut out);
        assert_eq!(out, [7, 8, 9, 7, 8, 9]);
    }

    #[test]
    fn padding_is_a_scatter() {
        // A 2 x 2 block into the middle of 4 x 4.
        let mut out = [0; 16];
        StridedCopy::new(1, &[2, 2], &[4, 1], 5).scatter(&[1, 2, 3, 4], &mut out);
        assert_eq!(out, [0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn dense_axes_are_merged_and_empty_ones_copy_nothing() {
        assert_eq!(StridedCopy::new(1, &[2, 3, 4], &[12, 4, 1], 0).rank, 1);
        let mut out = [9; 1];
        StridedCopy::new(1, &[0, 3], &[3, 1], 0).gather(&[], &mut out);
        assert_eq!(out, [9]);
    }

    #[test]
    fn int4_elements_are_taken_out_of_bytes() {
        // 1, 2, 3, 4, 5 backwards, and 6 and 7 into the places 1 and 3.
        let mut out = [0; 3];
        let packed = [0x21, 0x43, 0x05];
        StridedCopy::new(StridedCopy::INT4, &[5], &[-1], 4).gather(&packed, &mut out);
        assert_eq!(out, [0x45, 0x23, 0x01]);
        let mut out = packed;
        StridedCopy::new(StridedCopy::INT4, &[2], &[2], 1).scatter(&[0x76], &mut out);
        assert_eq!(out, [0x61, 0x73, 0x05]);
    }

    #[test]
    fn a_scalar_is_one_element() {
        let mut out = [0; 2];
        StridedCopy::new(2, &[], &[], 1).gather(&[1, 2, 3, 4], &mut out);
        assert_eq!(out, [3, 4]);
    }
}
