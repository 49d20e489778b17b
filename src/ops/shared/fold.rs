//! The kernel of reductions whose results are folded in place.

use super::Reduction;
use crate::ops::{EvalError, Kernel, KernelIo, Prepared};
use crate::tensor::Element;

/// Result 0 = operand 0 folded by `f` along the axes of `reduction`, from `start` on; where every axis is folded, from the
/// first element on.
///
/// Source: TFLite `kernels/reduce.cc`, `EvalType`.
pub fn fold<E: Element + Send>(
    name: &'static str,
    reduction: Reduction,
    start: E,
    f: impl Fn(E, E) -> E + Send + 'static,
) -> Prepared {
    let kernel = Fold {
        name,
        reduction,
        start,
        f,
    };
    Prepared::new(kernel, [reduction.shape])
}

struct Fold<E, F> {
    name: &'static str,
    reduction: Reduction,
    start: E,
    f: F,
}

impl<E: Element + Send, F: Fn(E, E) -> E + Send> Kernel for Fold<E, F> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (input, output) = io.unary::<E, E>()?;
        output.fill(self.start);
        if self.reduction.is_total {
            self.reduction
                .fold_from_first(input, output, |x| x, &self.f);
        } else {
            self.reduction.fold(input, output, &self.f);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
