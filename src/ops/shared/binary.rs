//! The kernel of operators that combine two tensors element by element.

use super::{Broadcast, zip, zip_in_place};
use crate::ops::{EvalError, Kernel, KernelIo, Prepared};
use crate::tensor::Element;
use std::marker::PhantomData;

/// Result 0 = `f` of operands 0 and 1, element by element.
pub fn binary<A, B, O, F>(name: &'static str, broadcast: Broadcast<2>, f: F) -> Prepared
where
    A: Element + Send,
    B: Element + Send,
    O: Element + Send,
    F: Fn(A, B) -> O + Send + 'static,
{
    let shape = broadcast.output();
    let kernel = Binary {
        name,
        broadcast,
        f,
        elements: PhantomData,
    };
    let prepared = Prepared::new(kernel, [shape]);
    match size_of::<A>() == size_of::<O>() {
        true => prepared.in_place(&[0]),
        false => prepared,
    }
}

/// [`binary`] of one type that refuses `zero` as a right operand, where there is one.
pub fn division<E, F>(
    name: &'static str,
    broadcast: Broadcast<2>,
    zero: Option<E>,
    f: F,
) -> Prepared
where
    E: Element + PartialEq + Send,
    F: Fn(E, E) -> E + Send + 'static,
{
    let shape = broadcast.output();
    let kernel = Division {
        name,
        broadcast,
        zero,
        f,
    };
    Prepared::new(kernel, [shape])
}

struct Division<E, F> {
    name: &'static str,
    broadcast: Broadcast<2>,
    zero: Option<E>,
    f: F,
}

impl<E, F> Kernel for Division<E, F>
where
    E: Element + PartialEq + Send,
    F: Fn(E, E) -> E + Send,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let (left, right, output) = io.binary::<E, E>()?;
        if self.zero.is_some_and(|zero| right.contains(&zero)) {
            return Err(EvalError::Value {
                operand: "right",
                found: 0,
                expected: "divisors other than 0",
            });
        }
        zip(&self.broadcast, left, right, output, &self.f);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

struct Binary<A, B, O, F> {
    name: &'static str,
    broadcast: Broadcast<2>,
    f: F,
    elements: PhantomData<(A, B, O)>,
}

impl<A, B, O, F> Kernel for Binary<A, B, O, F>
where
    A: Element + Send,
    B: Element + Send,
    O: Element + Send,
    F: Fn(A, B) -> O + Send,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let target = io.workers().target();
        let (left, right, output) = io.binary_in_place::<A, B, O>()?;
        match left {
            Some(left) => target.run(|| zip(&self.broadcast, left, right, output, &self.f)),
            None => target.run(|| zip_in_place(&self.broadcast, right, output, &self.f)),
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
