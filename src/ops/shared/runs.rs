//! Tensors side by side along an axis, joined into one or taken apart: runs of bytes that alternate.

use crate::ops::{EvalError, Kernel, KernelIo, Prepared};
use crate::tensor::Shape;

/// Result 0 = `runs[0]` bytes of operand 0, `runs[1]` bytes of operand 1 and so on, over and over.
pub fn join(name: &'static str, runs: Vec<usize>, shape: Shape) -> Prepared {
    let total = runs.iter().copied().fold(0, usize::saturating_add);
    Prepared::new(Join { name, runs, total }, [shape])
}

/// Result 0 = the first `runs[0]` bytes of the operand in `slot`, result 1 the next `runs[1]` and so on, over and over.
pub fn part(name: &'static str, slot: usize, runs: Vec<usize>, shapes: Vec<Shape>) -> Prepared {
    let total = runs.iter().copied().fold(0, usize::saturating_add);
    let kernel = Part {
        name,
        slot,
        runs,
        total,
    };
    Prepared::new(kernel, shapes)
}

struct Join {
    name: &'static str,
    runs: Vec<usize>,
    total: usize,
}

impl Kernel for Join {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        // The usual number.
        if let [left, right] = self.runs[..]
            && left.min(right) > 0
        {
            let (inputs, output) = io.elements([0, 1], 0)?;
            self.put(inputs[0], left, output, 0);
            self.put(inputs[1], right, output, left);
            return Ok(());
        }
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let ([input], output) = io.elements([slot], 0)?;
            self.put(input, run, output, before);
            before += run;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl Join {
    /// Copies the `run`s of an operand to their places, of which the first is `before`.
    fn put(&self, input: &[u8], run: usize, output: &mut [u8], before: usize) {
        copy_runs(run, (input, run, 0), (output, self.total, before));
    }
}

struct Part {
    name: &'static str,
    slot: usize,
    runs: Vec<usize>,
    total: usize,
}

impl Kernel for Part {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let ([input], output) = io.elements::<u8, 1>([self.slot], slot)?;
            copy_runs(run, (input, self.total, before), (output, run, 0));
            before += run;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// Bytes, how many of them are a period, and where in each period the run begins.
type From<'a> = (&'a [u8], usize, usize);
type To<'a> = (&'a mut [u8], usize, usize);

/// Copies a run of `run` bytes from each period to the next.
fn copy_runs(run: usize, from: From<'_>, to: To<'_>) {
    match run {
        1 => copy::<1>(from, to),
        2 => copy::<2>(from, to),
        4 => copy::<4>(from, to),
        8 => copy::<8>(from, to),
        16 => copy::<16>(from, to),
        32 => copy::<32>(from, to),
        64 => copy::<64>(from, to),
        _ => {
            for (to, from) in periods(from, to) {
                to[..run].copy_from_slice(&from[..run]);
            }
        }
    }
}

/// [`copy_runs`] of a length for which the compiler needs no call.
fn copy<const RUN: usize>(from: From<'_>, to: To<'_>) {
    for (to, from) in periods(from, to) {
        if let (Some(to), Some(from)) = (to.first_chunk_mut::<RUN>(), from.first_chunk()) {
            *to = *from;
        }
    }
}

/// The periods of both sides, from where the runs begin.
#[inline(always)]
fn periods<'a>(from: From<'a>, to: To<'a>) -> impl Iterator<Item = (&'a mut [u8], &'a [u8])> {
    let (to, period, begin) = to;
    let to = to.chunks_exact_mut(period).map(move |to| &mut to[begin..]);
    let (from, period, begin) = from;
    to.zip(from.chunks_exact(period).map(move |from| &from[begin..]))
}
