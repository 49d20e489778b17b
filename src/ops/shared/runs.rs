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
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let ([input], output) = io.elements::<u8, 1>([slot], 0)?;
            let periods = output.chunks_exact_mut(self.total);
            for (to, from) in periods.zip(input.chunks_exact(run)) {
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
        let mut before = 0;
        for (slot, &run) in self.runs.iter().enumerate().filter(|&(_, &run)| run > 0) {
            let ([input], output) = io.elements::<u8, 1>([self.slot], slot)?;
            let periods = input.chunks_exact(self.total);
            for (to, from) in output.chunks_exact_mut(run).zip(periods) {
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
