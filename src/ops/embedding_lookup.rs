//! EMBEDDING_LOOKUP: rows of a table by number, as they are or dequantized.

use super::shared::integers;
use super::shared::{Integers, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, Views,
    required,
};
use crate::model::{BuiltinOperator, Report, rules};
use crate::tensor::{Shape, TensorType as T};

const LOOKUP: usize = 0;
const VALUE: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::EMBEDDING_LOOKUP,
    name: "EMBEDDING_LOOKUP",
    versions: 1..=5,
    types: rows![
        [Int32 _] -> _ =>
            Int8 UInt8 Int16 UInt16 Int32 UInt32 Int64 UInt64 Float16 Float32 Float64 Bool;
        [Int32 _] -> Float32 => Int8 UInt8 Int4;
    ],
    check,
    prepare,
};

/// Rows that stay codes keep their scale; rows that become real numbers are symmetric, with one scale or one per row.
fn check(node: &Node<'_>, report: &mut Report) {
    let (Ok(value), Ok(output)) = (node.input(VALUE, "value"), node.output(OUTPUT, "output"))
    else {
        return;
    };
    check::same_as(node, &value, &output, report);
    let Some(quantization) = value.quantization.filter(|_| value.ty != output.ty) else {
        return;
    };
    if let Some(found) = quantization.zero_points().iter().find(|&&z| z != 0) {
        let (found, expected) = (format!("zero point {found}"), "zero point 0".into());
        check::report(
            node,
            &value,
            rules::WEIGHT_ZERO_POINT,
            found,
            expected,
            report,
        );
    }
    if quantization.is_per_channel() && quantization.axis() != 0 {
        let found = format!("axis {}", quantization.axis());
        let expected = "axis 0, the rows".into();
        check::report(node, &value, rules::WEIGHT_AXIS, found, expected, report);
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let lookup = node.input(LOOKUP, "lookup")?;
    let value = node.input(VALUE, "value")?;
    let output = node.output(OUTPUT, "output")?;
    let [count] = lookup.dims("[numbers of rows]")?;
    let Some((&rows, columns)) = value
        .shape
        .dims()
        .split_first()
        .filter(|(_, c)| !c.is_empty())
    else {
        return Err(value.shape_error("two axes or more, rows outermost"));
    };
    let dims = [&[count], columns].concat();
    let shape = Shape::new(&dims)?;
    if value.ty == output.ty {
        let run = value.bytes_from(1)?;
        return Ok(Prepared::new(Rows { rows, run }, [shape]));
    }
    let columns = columns.iter().product();
    let kernel = Dequantized {
        rows,
        columns,
        packed: value.ty == T::Int4,
        scales: scales(&value, rows)?,
    };
    Ok(Prepared::new(kernel, [shape]))
}

/// One scale, or one per row.
fn scales(value: &NodeTensor<'_>, rows: usize) -> Result<Box<[f32]>, PrepareError> {
    let scales = value.scales()?;
    if scales.len() != 1 && scales.len() != rows {
        return Err(value.shape_error(format!("{} rows, one per scale", scales.len())));
    }
    Ok(scales.into())
}

struct Rows {
    rows: usize,
    /// Bytes of a row.
    run: usize,
}

impl Kernel for Rows {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [lookup, value],
            outputs: [mut output],
            ..
        } = io.views([LOOKUP, VALUE], [OUTPUT], [])?;
        let lookup = Integers::view(lookup, LOOKUP)?;
        let value = required(value, VALUE)?.bytes();
        let rows = output.bytes_mut().chunks_exact_mut(self.run.max(1));
        for (number, to) in lookup.iter().zip(rows) {
            let row = integers::position("lookup", number, self.rows)?;
            to.copy_from_slice(&value[row * self.run..][..self.run]);
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "embedding_lookup.reference"
    }
}

/// Source: TFLite `kernels/embedding_lookup.cc`, `EvalHybrid`.
struct Dequantized {
    rows: usize,
    columns: usize,
    /// Whether two int4 codes share a byte, the first one in its low bits.
    packed: bool,
    scales: Box<[f32]>,
}

impl Kernel for Dequantized {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [lookup, value],
            outputs: [output],
            ..
        } = io.views([LOOKUP, VALUE], [OUTPUT], [])?;
        let lookup = Integers::view(lookup, LOOKUP)?;
        let value = required(value, VALUE)?.bytes();
        let output = output.into_slice::<f32>()?;
        let rows = output.chunks_exact_mut(self.columns.max(1));
        for (number, to) in lookup.iter().zip(rows) {
            let row = integers::position("lookup", number, self.rows)?;
            let scale = self.scales.get(row).unwrap_or(&self.scales[0]);
            let first = row * self.columns;
            for (column, to) in (first..).zip(to) {
                let code = if self.packed {
                    // Up to the high nibble, then down with the sign.
                    let high = value[column / 2] << (4 * (1 - column % 2));
                    high.cast_signed() >> 4
                } else {
                    value[column].cast_signed()
                };
                *to = f32::from(code) * scale;
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "embedding_lookup_dequantized.reference"
    }
}
