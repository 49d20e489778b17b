//! ARG_MAX and ARG_MIN: where along an axis the largest or smallest element stands, the first of equals.

use super::shared::integers;
use super::shared::{Integers, check, element8, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::fast::{self, ArgMaxKernel, ArgMaxPrimitive, Positions};
use crate::model::BuiltinOperator;
use crate::tensor::{Element, Shape, TensorType as T};
use std::marker::PhantomData;

const INPUT: usize = 0;
const AXIS: usize = 1;
const OUTPUT: usize = 0;

const TYPES: &[TypeRow] = rows![
    [_ Int32] -> Int32 => Int8 UInt8 Int32 Float32 Bool;
    [_ Int64] -> Int32 => Int8 UInt8 Int32 Float32 Bool;
    [_ Int32] -> Int64 => Int8 UInt8 Int32 Float32 Bool;
    [_ Int64] -> Int64 => Int8 UInt8 Int32 Float32 Bool;
];

pub(super) const DEF_MAX: OpDef = OpDef {
    code: BuiltinOperator::ARG_MAX,
    name: "ARG_MAX",
    versions: 1..=3,
    types: TYPES,
    check: check::none,
    prepare: |node, settings| prepare::<true>("arg_max.reference", node, settings),
};

pub(super) const DEF_MIN: OpDef = OpDef {
    code: BuiltinOperator::ARG_MIN,
    name: "ARG_MIN",
    versions: 1..=3,
    types: TYPES,
    check: check::none,
    prepare: |node, settings| prepare::<false>("arg_min.reference", node, settings),
};

fn prepare<const MAX: bool>(
    name: &'static str,
    node: &Node<'_>,
    settings: &Settings,
) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let axis = node.input(AXIS, "axis")?;
    let output = node.output(OUTPUT, "output")?;
    let axis = integers::axis(
        "axis",
        Integers::constant_scalar(&axis)?,
        input.shape.rank(),
    )?;
    let mut dims = input.shape.dims().to_vec();
    let extent = dims.remove(axis);
    if extent == 0 {
        return Err(input.shape_error(format!("1 or more at axis {axis}")));
    }
    let scan = Scan {
        name,
        extent,
        inner: dims[axis..].iter().product(),
    };
    let shape = Shape::new(&dims)?;
    if let (Some(element), 1) = (element8(input.ty), scan.inner) {
        let problem = fast::ArgMax {
            element,
            smallest: !MAX,
            extent,
        };
        if let Some(kernel) = fast::choose::<ArgMaxPrimitive>(settings.kernels, &problem) {
            return Ok(Prepared::new(FastArgMax(kernel), [shape]));
        }
    }
    Ok(match input.ty {
        T::Float32 => of(scan, output.ty, shape, beyond::<f32, MAX>),
        T::Int8 => of(scan, output.ty, shape, beyond::<i8, MAX>),
        T::Int32 => of(scan, output.ty, shape, beyond::<i32, MAX>),
        _ => of(scan, output.ty, shape, beyond::<u8, MAX>),
    })
}

/// Whether `x` takes the place of the best so far; not-a-number never does, and is never replaced.
fn beyond<E: PartialOrd, const MAX: bool>(x: E, best: E) -> bool {
    if MAX { x > best } else { x < best }
}

fn of<E, F>(scan: Scan, to: T, shape: Shape, better: F) -> Prepared
where
    E: Element + Send,
    F: Fn(E, E) -> bool + Send + 'static,
{
    match to {
        T::Int64 => with::<E, i64, F>(scan, shape, better),
        _ => with::<E, i32, F>(scan, shape, better),
    }
}

fn with<E, O, F>(scan: Scan, shape: Shape, better: F) -> Prepared
where
    E: Element + Send,
    O: Position,
    F: Fn(E, E) -> bool + Send + 'static,
{
    let elements: PhantomData<(E, O)> = PhantomData;
    let kernel = ArgMax {
        scan,
        better,
        elements,
    };
    Prepared::new(kernel, [shape])
}

struct Scan {
    name: &'static str,
    /// Of the axis.
    extent: usize,
    /// Elements within one position of the axis.
    inner: usize,
}

/// Source: TFLite `kernels/internal/reference/arg_min_max.h`.
struct ArgMax<E, O, F> {
    scan: Scan,
    /// Whether an element takes the place of the best so far.
    better: F,
    elements: PhantomData<(E, O)>,
}

/// An integer type for positions, which are below 2^31.
trait Position: Element + Send {
    fn of(position: usize) -> Self;
    fn get(self) -> usize;
}

impl Position for i32 {
    fn of(position: usize) -> Self {
        position as i32
    }

    fn get(self) -> usize {
        self as usize
    }
}

impl Position for i64 {
    fn of(position: usize) -> Self {
        position as i64
    }

    fn get(self) -> usize {
        self as usize
    }
}

impl<E, O, F> Kernel for ArgMax<E, O, F>
where
    E: Element + Send,
    O: Position,
    F: Fn(E, E) -> bool + Send,
{
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.as_slice::<E>()?;
        let output = output.into_slice::<O>()?;
        let Scan { extent, inner, .. } = self.scan;
        if output.is_empty() {
            return Ok(());
        }
        let blocks = input.chunks_exact(extent * inner);
        for (block, found) in blocks.zip(output.chunks_exact_mut(inner)) {
            found.fill(O::of(0));
            for (position, row) in block.chunks_exact(inner).enumerate().skip(1) {
                for ((i, &element), found) in row.iter().enumerate().zip(&mut *found) {
                    let best = block[found.get() * inner + i];
                    if (self.better)(element, best) {
                        *found = O::of(position);
                    }
                }
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.scan.name
    }
}

struct FastArgMax(Box<dyn ArgMaxKernel>);

impl Kernel for FastArgMax {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let positions = match output.ty() {
            T::Int64 => Positions::Int64(output.as_slice_mut()?),
            _ => Positions::Int32(output.as_slice_mut()?),
        };
        self.0.run(input, positions);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Element8;
    use crate::fast::Primitive;
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    /// Beside the first of the best, found by a search that goes on while elements are better.
    #[test]
    fn variants_find_the_first_of_the_best() {
        let mut ran = Ran::new();
        for seed in 0..300 {
            let n = &mut Numbers::new(seed);
            let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
            let problem = fast::ArgMax {
                element,
                smallest: n.chance(2),
                extent: n.one_of(&[8, 9, 15, 16, 21, 32, 100, 255, 256]),
            };
            let rows = n.size(1, 5);
            let mut input = n.bytes(rows * problem.extent);
            if n.chance(3) {
                // Few values, many equals.
                input.iter_mut().for_each(|byte| *byte &= 0x81);
            }
            let sign = if problem.smallest { -1 } else { 1 };
            let position = |row: &[u8]| {
                let value = |at: usize| sign * element.value(row[at]);
                (1..row.len()).fold(
                    0,
                    |best, at| if value(at) > value(best) { at } else { best },
                )
            };
            let expected: Vec<usize> = input.chunks(problem.extent).map(position).collect();
            for variant in ArgMaxPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&problem) else {
                    continue;
                };
                ran.insert(variant.name);
                let (mut narrow, mut wide) = (vec![-1i32; rows], vec![-1i64; rows]);
                kernel.run(&input, Positions::Int32(&mut narrow));
                kernel.run(&input, Positions::Int64(&mut wide));
                let narrow: Vec<usize> = narrow.iter().map(|&at| at as usize).collect();
                let wide: Vec<usize> = wide.iter().map(|&at| at as usize).collect();
                let name = kernel.name();
                assert_eq!(narrow, expected, "{name}, seed {seed}: {problem:?}");
                assert_eq!(wide, expected, "{name}, seed {seed}: {problem:?}");
            }
        }
        assert_all_ran::<ArgMaxPrimitive>(&ran);
    }
}
