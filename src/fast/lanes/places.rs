//! Two operands and a result of as many elements, block by block, where operands may lie where the result lies.
#![expect(unsafe_code, reason = "operands and result may be the same memory")]

use std::marker::PhantomData;

/// What is left of two operands and a result.
pub struct Places<'a, E> {
    /// Each with at least `left` elements, at the result or apart from it.
    operands: [*const E; 2],
    output: *mut E,
    left: usize,
    borrowed: PhantomData<(&'a [E], &'a mut [E])>,
}

impl<'a, E> Places<'a, E> {
    /// Of `output` and the elements that it is computed from; those of an operand that is `None` are what `output` holds.
    #[inline(always)]
    pub fn new(operands: [Option<&'a [E]>; 2], output: &'a mut [E]) -> Self {
        let left = output.len();
        let output = output.as_mut_ptr();
        let operands = operands.map(|operand| match operand {
            Some(operand) => operand[..left].as_ptr(),
            None => output.cast_const(),
        });
        Self {
            operands,
            output,
            left,
            borrowed: PhantomData,
        }
    }

    /// How many elements are left.
    #[inline(always)]
    pub fn left(&self) -> usize {
        self.left
    }

    /// The next `len` elements of each operand.
    #[inline(always)]
    pub fn operands(&self, len: usize) -> [&[E]; 2] {
        assert!(len <= self.left);
        self.operands.map(|operand| {
            // SAFETY: as many elements are left. They are borrowed as long as `self` is, and whoever writes the result needs
            // `self` for himself.
            unsafe { std::slice::from_raw_parts(operand, len) }
        })
    }

    /// The next `len` elements of the result, for which the operands' are done with.
    #[inline(always)]
    pub fn next(&mut self, len: usize) -> &mut [E] {
        assert!(len <= self.left);
        let output = self.output;
        self.left -= len;
        self.operands = self.operands.map(|operand| {
            // SAFETY: at most the end of the operand.
            unsafe { operand.add(len) }
        });
        // SAFETY: at most the end of the result.
        self.output = unsafe { output.add(len) };
        // SAFETY: as many elements were left, `new` was given them for writing, and they are borrowed as long as `self` is.
        unsafe { std::slice::from_raw_parts_mut(output, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `10 * left - right`, in blocks of 8.
    fn compute(operands: [Option<&[i32]>; 2], output: &mut [i32]) {
        let mut places = Places::new(operands, output);
        while places.left() > 0 {
            let len = places.left().min(8);
            let [left, right] = places.operands(len);
            let pairs = left.iter().zip(right);
            let codes: Vec<i32> = pairs.map(|(left, right)| 10 * left - right).collect();
            places.next(len).copy_from_slice(&codes);
        }
    }

    #[test]
    fn operands_may_lie_where_the_result_lies() {
        for len in [0, 1, 3, 8, 11, 16, 29] {
            let left: Vec<i32> = (0..len).map(|i| 3 * i + 1).collect();
            let right: Vec<i32> = (0..len).map(|i| 1000 - i).collect();
            let expected = |f: fn(i32) -> i32| (0..len).map(f).collect::<Vec<i32>>();
            let apart = expected(|i| 10 * (3 * i + 1) - (1000 - i));
            let mut output = vec![0; left.len()];
            compute([Some(&left), Some(&right)], &mut output);
            assert_eq!(output, apart);
            output.copy_from_slice(&left);
            compute([None, Some(&right)], &mut output);
            assert_eq!(output, apart);
            output.copy_from_slice(&right);
            compute([Some(&left), None], &mut output);
            assert_eq!(output, apart);
            output.copy_from_slice(&left);
            compute([None, None], &mut output);
            assert_eq!(output, expected(|i| 9 * (3 * i + 1)));
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn operands_that_are_too_short_are_refused() {
        compute([Some(&[1, 2]), None], &mut [0; 3]);
    }
}
