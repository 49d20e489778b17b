//! SCATTER_ND: slices added into a tensor of zeros, at indices that the model may compute.

use super::gather::place;
use super::shared::integers;
use super::shared::{Integers, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::ops::shared::check;
use crate::tensor::{Element, MAX_RANK, Shape, TensorType as T};
use std::marker::PhantomData;

const INDICES: usize = 0;
const UPDATES: usize = 1;
const SHAPE: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SCATTER_ND,
    name: "SCATTER_ND",
    versions: 1..=1,
    types: rows![[Int32 _ Int32] -> _ => Int8 UInt8 Int32 Int64 Float32 Bool;],
    check: |node, report| check::same_as_operand(node, UPDATES, "updates", report),
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let indices = node.input(INDICES, "indices")?;
    let updates = node.input(UPDATES, "updates")?;
    let shape = node.input(SHAPE, "shape")?;
    node.output(OUTPUT, "output")?;
    let dims: Vec<usize> = Integers::constant(&shape)?
        .iter()
        .map(|dim| integers::extent("shape", dim))
        .collect::<Result<_, _>>()?;
    let result = Shape::new(&dims)?;
    let (&depth, positions) = indices
        .shape
        .dims()
        .split_last()
        .filter(|&(&depth, _)| depth <= dims.len())
        .ok_or_else(|| indices.shape_error(format!("at most {} at the last axis", dims.len())))?;
    let expected = [positions, &dims[depth..]].concat();
    if updates.shape.dims() != expected {
        return Err(updates.shape_error(format!("{expected:?}, one slice per tuple of indices")));
    }
    let mut extents = [0; MAX_RANK];
    extents[..depth].copy_from_slice(&dims[..depth]);
    let target = Target {
        extents,
        depth,
        slice: dims[depth..].iter().product(),
    };
    Ok(match updates.ty {
        T::Float32 => of(target, result, |a: f32, b| a + b),
        T::Int8 => of(target, result, i8::wrapping_add),
        T::UInt8 => of(target, result, u8::wrapping_add),
        T::Int32 => of(target, result, i32::wrapping_add),
        T::Int64 => of(target, result, i64::wrapping_add),
        _ => of(target, result, |a: u8, b| u8::from(a != 0 || b != 0)),
    })
}

fn of<E, F>(target: Target, shape: Shape, add: F) -> Prepared
where
    E: Element + Send,
    F: Fn(E, E) -> E + Send + 'static,
{
    let elements = PhantomData;
    Prepared::new(
        ScatterNd {
            target,
            add,
            elements,
        },
        [shape],
    )
}

/// Where slices go.
struct Target {
    /// Of the axes that the indices address.
    extents: [usize; MAX_RANK],
    depth: usize,
    /// Elements of a slice.
    slice: usize,
}

/// Source: TFLite `kernels/internal/reference/reference_ops.h`, `ScatterNd`: slices of one place add up, in order.
struct ScatterNd<E, F> {
    target: Target,
    add: F,
    elements: PhantomData<E>,
}

impl<E: Element + Send, F: Fn(E, E) -> E + Send> Kernel for ScatterNd<E, F> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [indices, updates],
            outputs: [output],
            ..
        } = io.views([INDICES, UPDATES], [OUTPUT], [])?;
        let indices = Integers::view(indices, INDICES)?;
        let updates = required(updates, UPDATES)?.as_slice::<E>()?;
        let output = output.into_slice::<E>()?;
        output.fill(E::zeroed());
        let Target {
            extents,
            depth,
            slice,
        } = &self.target;
        for (tuple, from) in updates.chunks_exact((*slice).max(1)).enumerate() {
            let start = place(indices, tuple, &extents[..*depth])? * slice;
            for (to, &from) in output[start..][..*slice].iter_mut().zip(from) {
                *to = (self.add)(*to, from);
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "scatter_nd.reference"
    }
}
