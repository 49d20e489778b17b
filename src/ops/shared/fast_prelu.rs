//! The fast kernels of PRELU of bytes.

use super::Broadcast;
use crate::fast::{self, Prelu, PreluKernel, PreluPrimitive};
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, Prepared, Settings, Views, required};

/// The fast kernel; `None` where the reference has to do, such as for factors that do not lie along the innermost axes.
pub fn fast_prelu(
    problem: &Prelu<'_>,
    broadcast: &Broadcast<2>,
    settings: &Settings,
) -> Option<Prepared> {
    if broadcast.row() != (problem.factors.len(), [true, true]) {
        return None;
    }
    let kernel = fast::choose::<PreluPrimitive>(settings.kernels, problem)?;
    Some(Prepared::new(FastPrelu(kernel), [broadcast.output()]))
}

struct FastPrelu(Box<dyn PreluKernel>);

impl Kernel for FastPrelu {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([0], [0], [])?;
        self.0.run(required(input, 0)?.bytes(), output.bytes_mut());
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: self.0.packed_bytes(),
            ..KernelMemory::default()
        }
    }
}
