//! Functions of one element at a time: the loop, and tables in place of any function of an 8-bit element.

use super::Integer;
use crate::ops::{EvalError, Kernel, KernelIo, KernelMemory, Prepared};
use crate::tensor::{Element, Shape};
use std::marker::PhantomData;

/// Result 0 = `f` of operand 0, element by element.
pub fn map<I, O, F>(name: &'static str, shape: Shape, f: F) -> Prepared
where
    I: Element + Send,
    O: Element + Send,
    F: Fn(I) -> O + Send + Sync + 'static,
{
    let map = Map {
        name,
        f,
        count: shape.count(),
        elements: PhantomData,
    };
    let prepared = Prepared::new(map, [shape]);
    match size_of::<I>() == size_of::<O>() {
        true => prepared.in_place(&[0]),
        false => prepared,
    }
}

/// [`map`] with a table of the 256 values of `f`; `I` is int8 or uint8.
pub fn table<I, O>(name: &'static str, shape: Shape, f: impl Fn(I) -> O) -> Prepared
where
    I: Integer,
    O: Element + Send,
{
    let table = Table::new(f);
    // Values of one byte.
    if let Ok(&bytes) = <&[u8; 256]>::try_from(bytemuck::cast_slice::<O, u8>(&table.0[..])) {
        let table = ByteTable {
            name,
            bytes: Box::new(bytes),
            count: shape.count(),
        };
        return Prepared::new(table, [shape]).in_place(&[0]);
    }
    map(name, shape, move |q: I| table.value(q))
}

/// A table of bytes for bytes.
struct ByteTable {
    name: &'static str,
    bytes: Box<[u8; 256]>,
    /// Elements of the result.
    count: usize,
}

impl Kernel for ByteTable {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let target = workers.target();
        let ([input], output) = io.elements_in_place::<u8, 1>([0], 0)?;
        workers.split_elements(output, 1, &|first, piece| match input {
            Some(input) => target.look_up(&self.bytes, &input[first..][..piece.len()], piece),
            None => target.look_up_in_place(&self.bytes, piece),
        });
        Ok(())
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory::of_elements(self.count)
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// The 256 values of a function of int8 or uint8, indexed by the element's low 8 bits: 0 to 127 stand before -128 to -1.
pub struct Table<O>(Box<[O; 256]>);

impl<O: Element> Table<O> {
    /// The values of `f`.
    pub fn new<I: Integer>(f: impl Fn(I) -> O) -> Self {
        let code = |index: usize| {
            let index = i32::try_from(index).unwrap_or(0);
            I::saturate(if index > I::RANGE.1 {
                index - 256
            } else {
                index
            })
        };
        Self(Box::new(std::array::from_fn(|index| f(code(index)))))
    }

    /// `f(q)`.
    #[inline(always)]
    pub fn value<I: Integer>(&self, q: I) -> O {
        self.0[usize::from(q.widen() as u8)]
    }
}

struct Map<I, O, F> {
    name: &'static str,
    f: F,
    /// Elements of the result.
    count: usize,
    elements: PhantomData<(I, O)>,
}

impl<I, O, F> Kernel for Map<I, O, F>
where
    I: Element + Send,
    O: Element + Send,
    F: Fn(I) -> O + Send + Sync,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let target = workers.target();
        let (input, output) = io.unary_in_place::<I, O>()?;
        workers.split_elements(output, 1, &|first, piece| match input {
            Some(input) => {
                let input = &input[first..][..piece.len()];
                target.run(|| {
                    for (output, &input) in piece.iter_mut().zip(input) {
                        *output = (self.f)(input);
                    }
                });
            }
            None => target.run(|| {
                for element in piece {
                    *element = (self.f)(bytemuck::cast(*element));
                }
            }),
        });
        Ok(())
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory::of_elements(self.count)
    }

    fn name(&self) -> &'static str {
        self.name
    }
}
