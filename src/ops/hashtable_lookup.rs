//! HASHTABLE_LOOKUP: rows of a table by key, and which keys were found.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};
use std::cmp::Ordering;

const LOOKUP: usize = 0;
const KEY: usize = 1;
const VALUE: usize = 2;
const OUTPUT: usize = 0;
const HITS: usize = 1;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::HASHTABLE_LOOKUP,
    name: "HASHTABLE_LOOKUP",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::Int32, T::Int32, T::Int8], &[T::Int8, T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int32, T::UInt8], &[T::UInt8, T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int32, T::Int16], &[T::Int16, T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int32, T::Int32], &[T::Int32, T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int32, T::Int64], &[T::Int64, T::UInt8]),
        TypeRow::new(&[T::Int32, T::Int32, T::Float32], &[T::Float32, T::UInt8]),
    ],
    check: |node, report| check::same_as_operand(node, VALUE, "value", report),
    prepare: |node, _: &Settings| prepare(node),
};

fn prepare(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let lookup = node.input(LOOKUP, "lookup")?;
    let key = node.input(KEY, "key")?;
    let value = node.input(VALUE, "value")?;
    node.output(OUTPUT, "output")?;
    node.output(HITS, "hits")?;
    let [count] = lookup.dims("[keys that are looked up]")?;
    let [keys] = key.dims("[keys]")?;
    let columns = match value.shape.dims().split_first() {
        Some((&rows, columns)) if rows == keys => columns,
        _ => return Err(value.shape_error(format!("[{keys}, ...], a row for each key"))),
    };
    let found = Shape::new(&[&[count], columns].concat())?;
    let kernel = HashtableLookup {
        run: value.bytes_from(1)?,
    };
    Ok(Prepared::new(kernel, [found, Shape::new(&[count])?]))
}

/// Rows of keys that are not there are code 0. Source: TFLite `kernels/hashtable_lookup.cc`, which searches the keys with
/// `bsearch` of the C library: they are sorted in every model it gives sense to.
struct HashtableLookup {
    /// Bytes of a row.
    run: usize,
}

impl Kernel for HashtableLookup {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [lookup, key, value],
            outputs: [mut output, hits],
            ..
        } = io.views([LOOKUP, KEY, VALUE], [OUTPUT, HITS], [])?;
        let lookup = required(lookup, LOOKUP)?.as_slice::<i32>()?;
        let keys = required(key, KEY)?.as_slice::<i32>()?;
        let value = required(value, VALUE)?.bytes();
        let output = output.bytes_mut();
        let hits = hits.into_slice::<u8>()?;
        for (number, (wanted, hit)) in lookup.iter().zip(hits).enumerate() {
            let to = &mut output[number * self.run..][..self.run];
            let row = search(keys, *wanted);
            *hit = row.is_some().into();
            match row {
                Some(row) => to.copy_from_slice(&value[row * self.run..][..self.run]),
                None => to.fill(0),
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "hashtable_lookup.reference"
    }
}

/// Of equal keys, the one that halving meets first.
fn search(keys: &[i32], wanted: i32) -> Option<usize> {
    let (mut low, mut high) = (0, keys.len());
    while low < high {
        let middle = low.midpoint(high);
        match wanted.cmp(&keys[middle]) {
            Ordering::Less => high = middle,
            Ordering::Greater => low = middle + 1,
            Ordering::Equal => return Some(middle),
        }
    }
    None
}
