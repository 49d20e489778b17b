//! The fast kernels of ADD and SUB of bytes.

use super::Broadcast;
use crate::fast::{self, AddSub, AddSubKernel, AddSubPrimitive};
use crate::ops::{EvalError, Kernel, KernelIo, Prepared, Settings, Views, required};

/// The fast kernel; `None` where the reference has to do, such as for operands that repeat one value along a row.
pub fn fast_add_sub(
    problem: &AddSub,
    broadcast: &Broadcast<2>,
    settings: &Settings,
) -> Option<Prepared> {
    let (_, steps) = broadcast.row();
    if steps != [true, true] {
        return None;
    }
    let kernel = FastAddSub {
        kernel: fast::choose::<AddSubPrimitive>(settings.kernels, problem)?,
        broadcast: broadcast.clone(),
    };
    Some(Prepared::new(kernel, [broadcast.output()]))
}

struct FastAddSub {
    kernel: Box<dyn AddSubKernel>,
    broadcast: Broadcast<2>,
}

impl Kernel for FastAddSub {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [left, right],
            outputs: [mut output],
            ..
        } = io.views([0, 1], [0], [])?;
        let (left, right) = (required(left, 0)?.bytes(), required(right, 1)?.bytes());
        let (len, _) = self.broadcast.row();
        let mut rows = output.bytes_mut().chunks_exact_mut(len.max(1));
        self.broadcast.rows(|[l, r]| {
            if let Some(output) = rows.next() {
                self.kernel
                    .run(&left[l..][..len], &right[r..][..len], output);
            }
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }
}
