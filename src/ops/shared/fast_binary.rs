//! The fast kernels of operators that combine two tensors element by element.

use super::Broadcast;
use crate::fast::{
    self, AddSub, AddSubInt16, AddSubInt16Primitive, AddSubPrimitive, BinaryKernel, Mul,
    MulPrimitive, Pair, Workers,
};
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, Prepared, Settings};
use bytemuck::Pod;

/// The fast kernel of ADD and SUB; `None` where the reference has to do.
pub fn fast_add_sub(
    problem: &AddSub,
    broadcast: &Broadcast<2>,
    settings: &Settings,
) -> Option<Prepared> {
    let kernel = fast::choose::<AddSubPrimitive>(settings.kernels, problem)?;
    Some(FastBinary::prepared(kernel, broadcast))
}

/// The fast kernel of ADD and SUB of int16; `None` where the reference has to do.
pub fn fast_add_sub_int16(
    problem: &AddSubInt16,
    broadcast: &Broadcast<2>,
    settings: &Settings,
) -> Option<Prepared> {
    let kernel = fast::choose::<AddSubInt16Primitive>(settings.kernels, problem)?;
    Some(FastBinary::prepared(kernel, broadcast))
}

/// The fast kernel of MUL; `None` where the reference has to do.
pub fn fast_mul(problem: &Mul, broadcast: &Broadcast<2>, settings: &Settings) -> Option<Prepared> {
    let kernel = fast::choose::<MulPrimitive>(settings.kernels, problem)?;
    Some(FastBinary::prepared(kernel, broadcast))
}

/// Elements that are computed at once where an operand has to be repeated.
const BLOCK: usize = 1024;

/// Rows that are computed one by one have at least as many elements.
const LONG_ROW: usize = 64;

struct FastBinary<E> {
    kernel: Box<dyn BinaryKernel<E>>,
    broadcast: Broadcast<2>,
}

impl<E: Pod + Send + Sync> FastBinary<E> {
    fn prepared(kernel: Box<dyn BinaryKernel<E>>, broadcast: &Broadcast<2>) -> Prepared {
        let kernel = Self {
            kernel,
            broadcast: broadcast.clone(),
        };
        Prepared::new(kernel, [broadcast.output()]).in_place(&[0, 1])
    }

    fn run(&self, operands: Pair<'_, E>, output: &mut [E], workers: &Workers) {
        let (len, steps) = self.broadcast.row();
        let repeats = |operand: Option<&[E]>| {
            operand.is_none_or(|operand| {
                let row = operand.len() == len && len <= BLOCK;
                row || operand.len() == 1 || operand.len() == output.len()
            })
        };
        if output.is_empty() {
            return;
        }
        let is_whole =
            |operand: Option<&[E]>| operand.is_none_or(|operand| operand.len() == output.len());
        if operands.into_iter().all(is_whole) {
            let [left, right] = operands;
            return workers.split_elements(output, 1, &|first, piece| {
                let len = piece.len();
                self.kernel
                    .run(part(left, first, len), part(right, first, len), piece);
            });
        }
        let all_repeat = operands.into_iter().all(repeats);
        // Where rows follow each other in place, one waits for the end of the other to be written.
        let is_apart = operands.into_iter().all(|operand| operand.is_some());
        if steps == [true, true] && len >= LONG_ROW && (is_apart || !all_repeat) {
            self.long_rows(operands, output);
        } else if all_repeat {
            self.repeated_rows(operands, output, workers);
        } else {
            self.gathered_rows(operands, output);
        }
    }

    /// Rows along which both operands step.
    fn long_rows(&self, [left, right]: Pair<'_, E>, output: &mut [E]) {
        let (len, _) = self.broadcast.row();
        let mut rows = output.chunks_exact_mut(len);
        self.broadcast.rows(|[l, r]| {
            if let Some(output) = rows.next() {
                self.kernel
                    .run(part(left, l, len), part(right, r, len), output);
            }
        });
    }

    /// Operands each of which is as long as the result, or is one row that repeats, or one value.
    fn repeated_rows(&self, operands: Pair<'_, E>, output: &mut [E], workers: &Workers) {
        let (len, _) = self.broadcast.row();
        let mut block = [[E::zeroed(); BLOCK]; 2];
        let count = output.len();
        let repeats = |operand: &[E]| operand.len() == len && len < count;
        // Whole rows, unless nothing but single values repeat.
        let step = match operands.into_iter().flatten().any(repeats) {
            true => BLOCK / len * len,
            false => BLOCK,
        };
        for (block, operand) in block.iter_mut().zip(operands) {
            match operand {
                Some([value]) => block.fill(*value),
                Some(row) if repeats(row) => {
                    let rows = block.chunks_exact_mut(len);
                    rows.for_each(|to| to.copy_from_slice(row));
                }
                _ => {}
            }
        }
        workers.split_elements(output, step, &|first, piece| {
            for (number, output) in piece.chunks_mut(step).enumerate() {
                let first = first + number * step;
                let operand = |which: usize| {
                    Some(match operands[which]? {
                        whole if whole.len() == count => &whole[first..][..output.len()],
                        _ => &block[which][..output.len()],
                    })
                };
                self.kernel.run(operand(0), operand(1), output);
            }
        });
    }

    /// Any operands: what rows read is gathered until there is enough of it.
    fn gathered_rows(&self, operands: Pair<'_, E>, output: &mut [E]) {
        let (len, steps) = self.broadcast.row();
        let mut block = [[E::zeroed(); BLOCK]; 2];
        let (mut written, mut gathered) = (0, 0);
        self.broadcast.rows(|starts| {
            let mut done = 0;
            while done < len {
                let now = (len - done).min(BLOCK - gathered);
                for (which, block) in block.iter_mut().enumerate() {
                    let (to, from) = (&mut block[gathered..][..now], starts[which]);
                    let operand = operands[which].unwrap_or(output);
                    match steps[which] {
                        true => to.copy_from_slice(&operand[from + done..][..now]),
                        false => to.fill(operand[from]),
                    }
                }
                done += now;
                gathered += now;
                if gathered == BLOCK {
                    let to = &mut output[written..][..BLOCK];
                    self.kernel.run(Some(&block[0]), Some(&block[1]), to);
                    (written, gathered) = (written + BLOCK, 0);
                }
            }
        });
        let [left, right] = &block;
        let to = &mut output[written..][..gathered];
        self.kernel
            .run(Some(&left[..gathered]), Some(&right[..gathered]), to);
    }
}

/// `len` elements of an operand that does not lie where the result lies.
fn part<E>(operand: Option<&[E]>, first: usize, len: usize) -> Option<&[E]> {
    Some(&operand?[first..][..len])
}

impl<E: Pod + Send + Sync> Kernel for FastBinary<E> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let (operands, output) = io.elements_in_place([0, 1], 0)?;
        self.run(operands, output, workers);
        Ok(())
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory::of_elements(self.broadcast.output().count())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::zip;
    use crate::tensor::Shape;

    struct Mix;

    fn mix(left: u8, right: u8) -> u8 {
        left.wrapping_mul(3) ^ right
    }

    impl BinaryKernel for Mix {
        fn name(&self) -> &'static str {
            "mix"
        }

        fn run(&self, left: Option<&[u8]>, right: Option<&[u8]>, output: &mut [u8]) {
            for (place, output) in output.iter_mut().enumerate() {
                let element = |operand: Option<&[u8]>| operand.map_or(*output, |o| o[place]);
                *output = mix(element(left), element(right));
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of elements, hours under Miri")]
    fn operands_repeat_as_they_do_for_the_reference() {
        let shapes: [&[usize]; 11] = [
            &[],
            &[3],
            &[17],
            &[1100],
            &[50, 30, 3],
            &[5000, 30, 3],
            &[50, 30, 1],
            &[50, 1, 17],
            &[70, 1, 1, 17],
            &[2, 3, 1100],
            &[2, 1, 1],
        ];
        let mut workers = Workers::new(3, fast::KernelChoice::default());
        workers.reserve(1);
        let mut compared = 0;
        for left in shapes {
            for right in shapes {
                let operands = [left, right].map(|dims| Shape::new(dims).expect("valid shape"));
                let Ok(broadcast) = Broadcast::line_up(operands) else {
                    continue;
                };
                let bytes = |shape: Shape| (0..shape.count()).map(|i| (i * 7 + i / 256) as u8);
                let [l, r]: [Vec<u8>; 2] = operands.map(|shape| bytes(shape).collect());
                let mut expected = vec![0; broadcast.output().count()];
                zip(&broadcast, &l, &r, &mut expected, mix);
                let mut found = vec![0; expected.len()];
                let kernel = Box::new(Mix);
                let kernel = FastBinary { kernel, broadcast };
                kernel.run([Some(&l), Some(&r)], &mut found, &workers);
                assert!(found == expected, "{left:?} {right:?}");
                if l.len() == expected.len() {
                    let mut found = l.clone();
                    kernel.run([None, Some(&r)], &mut found, &workers);
                    assert!(found == expected, "{left:?} in place, {right:?}");
                }
                if r.len() == expected.len() {
                    let mut found = r.clone();
                    kernel.run([Some(&l), None], &mut found, &workers);
                    assert!(found == expected, "{left:?}, {right:?} in place");
                }
                compared += 1;
            }
        }
        assert!(compared > 40, "{compared}");
    }

    #[test]
    fn both_operands_may_lie_where_the_result_lies() {
        let len = if cfg!(miri) { 3000 } else { 200_000 };
        let shape = Shape::new(&[len]).expect("valid shape");
        let broadcast = Broadcast::line_up([shape; 2]).expect("alike");
        let operand: Vec<u8> = (0..len).map(|i| (i * 7 + i / 256) as u8).collect();
        let expected: Vec<u8> = operand.iter().map(|&byte| mix(byte, byte)).collect();
        let kernel = Box::new(Mix);
        let kernel = FastBinary { kernel, broadcast };
        for threads in [1, 3] {
            let mut workers = Workers::new(threads, fast::KernelChoice::default());
            workers.reserve(1);
            let mut found = operand.clone();
            kernel.run([None, None], &mut found, &workers);
            assert!(found == expected, "{threads} threads");
        }
    }
}
