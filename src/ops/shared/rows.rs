//! Functions of one row along the last axis at a time.

use crate::ops::{EvalError, Kernel, KernelIo, Prepared};
use crate::tensor::{Element, Shape};
use std::marker::PhantomData;

/// Result 0 = `f` of operand 0, row by row along the last axis of `shape`; both have this shape.
pub fn map_rows<I, O, F>(name: &'static str, shape: Shape, f: F) -> Prepared
where
    I: Element + Send,
    O: Element + Send,
    F: Fn(&[I], &mut [O]) -> Result<(), EvalError> + Send + 'static,
{
    let kernel = MapRows {
        name,
        depth: shape.last(),
        f,
        elements: PhantomData,
    };
    Prepared::new(kernel, [shape])
}

struct MapRows<I, O, F> {
    name: &'static str,
    depth: usize,
    f: F,
    elements: PhantomData<(I, O)>,
}

impl<I, O, F> Kernel for MapRows<I, O, F>
where
    I: Element + Send,
    O: Element + Send,
    F: Fn(&[I], &mut [O]) -> Result<(), EvalError> + Send,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let target = io.workers().target();
        let (input, output) = io.unary::<I, O>()?;
        let depth = self.depth.max(1);
        let mut rows = input
            .chunks_exact(depth)
            .zip(output.chunks_exact_mut(depth));
        target.run(|| rows.try_for_each(|(input, output)| (self.f)(input, output)))
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
