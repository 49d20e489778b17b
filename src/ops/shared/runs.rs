//! Tensors side by side along an axis, joined into one or taken apart: runs of bytes that alternate.

use crate::ops::{EvalError, Kernel, KernelIo, Prepared, Views, required};
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
        // Two are the usual case, and cheaper together.
        if let [left, right] = self.runs[..]
            && left.min(right) > 0
        {
            let Views {
                inputs: [first, second],
                outputs: [mut output],
                ..
            } = io.views([0, 1], [0], [])?;
            let first = required(first, 0)?.bytes().chunks_exact(left);
            let second = required(second, 1)?.bytes().chunks_exact(right);
            let periods = output.bytes_mut().chunks_exact_mut(self.total);
            for (to, (first, second)) in periods.zip(first.zip(second)) {
                let (left, right) = to.split_at_mut(left);
                left.copy_from_slice(first);
                right.copy_from_slice(second);
            }
            return Ok(());
        }
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let Views {
                inputs: [input],
                outputs: [mut output],
                ..
            } = io.views([slot], [0], [])?;
            let periods = output.bytes_mut().chunks_exact_mut(self.total);
            for (to, from) in periods.zip(required(input, slot)?.bytes().chunks_exact(run)) {
                to[before..][..run].copy_from_slice(from);
            }
            before += run;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
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
        // Two are the usual case, and cheaper together.
        if let [left, right] = self.runs[..]
            && left.min(right) > 0
        {
            let Views {
                inputs: [input],
                outputs: [mut first, mut second],
                ..
            } = io.views([self.slot], [0, 1], [])?;
            let periods = required(input, self.slot)?.bytes().chunks_exact(self.total);
            let first = first.bytes_mut().chunks_exact_mut(left);
            let second = second.bytes_mut().chunks_exact_mut(right);
            for (from, (first, second)) in periods.zip(first.zip(second)) {
                let (left, right) = from.split_at(left);
                first.copy_from_slice(left);
                second.copy_from_slice(right);
            }
            return Ok(());
        }
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let Views {
                inputs: [input],
                outputs: [mut output],
                ..
            } = io.views([self.slot], [slot], [])?;
            let periods = required(input, self.slot)?.bytes().chunks_exact(self.total);
            for (to, from) in output.bytes_mut().chunks_exact_mut(run).zip(periods) {
                to.copy_from_slice(&from[before..][..run]);
            }
            before += run;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
