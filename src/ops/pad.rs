//! PAD and PADV2: a constant border around a tensor, real zero for PAD.

use super::shared::{StridedCopy, check};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings,
    TypeRow, Views, required,
};
use crate::model::{BuiltinOperator, Report, rules};
use crate::tensor::{Shape, TensorType as T};

const INPUT: usize = 0;
const PADDINGS: usize = 1;
const VALUE: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::PAD,
    name: "PAD",
    versions: 1..=4,
    types: &[
        TypeRow::new(&[T::Int8, T::Int32], &[T::Int8]),
        TypeRow::new(&[T::UInt8, T::Int32], &[T::UInt8]),
        TypeRow::new(&[T::Int16, T::Int32], &[T::Int16]),
        TypeRow::new(&[T::Int32, T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64, T::Int32], &[T::Int64]),
        TypeRow::new(&[T::Float32, T::Int32], &[T::Float32]),
        TypeRow::new(&[T::Bool, T::Int32], &[T::Bool]),
        TypeRow::new(&[T::Int8, T::Int64], &[T::Int8]),
        TypeRow::new(&[T::UInt8, T::Int64], &[T::UInt8]),
        TypeRow::new(&[T::Int16, T::Int64], &[T::Int16]),
        TypeRow::new(&[T::Float32, T::Int64], &[T::Float32]),
    ],
    check: check::same_quantization,
    prepare,
};

/// PADV2 pads with its third operand, which has the input's type and quantization.
pub(super) const DEF_V2: OpDef = OpDef {
    code: BuiltinOperator::PADV2,
    name: "PADV2",
    versions: 1..=4,
    types: &[
        TypeRow::new(&[T::Int8, T::Int32, T::Int8], &[T::Int8]),
        TypeRow::new(&[T::UInt8, T::Int32, T::UInt8], &[T::UInt8]),
        TypeRow::new(&[T::Int16, T::Int32, T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Int32, T::Int32, T::Int32], &[T::Int32]),
        TypeRow::new(&[T::Int64, T::Int32, T::Int64], &[T::Int64]),
        TypeRow::new(&[T::Float32, T::Int32, T::Float32], &[T::Float32]),
    ],
    check: check_v2,
    prepare,
};

fn check_v2(node: &Node<'_>, report: &mut Report) {
    check::same_quantization(node, report);
    if let (Ok(input), Ok(value)) = (node.input(INPUT, "input"), node.input(VALUE, "value"))
        && let (Ok(expected), Ok(found)) = (input.per_tensor(), value.per_tensor())
        && expected != found
    {
        check::report(
            node,
            &value,
            rules::PAD_VALUE,
            format!("scale {}, zero point {}", found.0, found.1),
            format!(
                "scale {}, zero point {} of the input",
                expected.0, expected.1
            ),
            report,
        );
    }
}

/// Elements before and behind along each axis. `paddings` is `[rank, 2]`, int32 or int64.
pub(super) fn paddings(
    input: &NodeTensor<'_>,
    paddings: &NodeTensor<'_>,
) -> Result<Vec<[usize; 2]>, PrepareError> {
    let rank = input.shape.rank();
    if paddings.shape.count() != 2 * rank || paddings.shape.rank() != 2 {
        return Err(paddings.shape_error(format!("[{rank}, 2]")));
    }
    let values: Vec<i64> = match paddings.ty {
        T::Int64 => paddings.constant::<i64>()?.to_vec(),
        _ => paddings
            .constant::<i32>()?
            .iter()
            .map(|&v| v.into())
            .collect(),
    };
    let count = |value: i64| {
        usize::try_from(value)
            .ok()
            .filter(|&v| v <= i32::MAX as usize)
            .ok_or(PrepareError::Attribute {
                name: "paddings",
                found: value.to_string(),
                expected: "0 or more",
            })
    };
    values
        .chunks_exact(2)
        .map(|pair| Ok([count(pair[0])?, count(pair[1])?]))
        .collect()
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let around = paddings(&input, &node.input(PADDINGS, "paddings")?)?;
    let dims: Vec<usize> = input
        .shape
        .dims()
        .iter()
        .zip(&around)
        .map(|(&dim, [before, after])| dim + before + after)
        .collect();
    let shape = Shape::new(&dims)?;
    let element = input
        .ty
        .size()
        .ok_or_else(|| input.type_error("elements of whole bytes"))?;
    let strides = StridedCopy::dense_strides(&dims);
    let offset: usize = around
        .iter()
        .zip(strides)
        .map(|([before, _], stride)| before * stride as usize)
        .sum();
    let fill = match node.optional_input(VALUE, "value") {
        Some(value) if value.shape.count() != 1 => return Err(value.shape_error("one element")),
        Some(_) => None,
        None => Some(zero(&output)),
    };
    Ok(Prepared::new(
        Reference {
            copy: StridedCopy::new(element, input.shape.dims(), &strides[..dims.len()], offset),
            element,
            fill,
        },
        [shape],
    ))
}

/// The bytes of real zero: the zero point of a quantized tensor.
fn zero(output: &NodeTensor<'_>) -> [u8; 8] {
    let zero_point = match output.ty {
        T::Int8 | T::UInt8 | T::Int16 => output.quantization.map_or(0, |q| q.zero_point()),
        _ => 0,
    };
    i64::from(zero_point).to_le_bytes()
}

struct Reference {
    copy: StridedCopy,
    element: usize,
    /// Little-endian; `None` where the operand holds it.
    fill: Option<[u8; 8]>,
}

impl Kernel for Reference {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, value],
            outputs: [mut output],
            ..
        } = io.views([INPUT, VALUE], [OUTPUT], [])?;
        let output = output.bytes_mut();
        let fill = match &self.fill {
            Some(bytes) => &bytes[..self.element],
            None => required(value, VALUE)?.bytes(),
        };
        for to in output.chunks_exact_mut(self.element) {
            to.copy_from_slice(fill);
        }
        self.copy.scatter(required(input, INPUT)?.bytes(), output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "pad.reference"
    }
}
