//! PAD and PADV2: a constant border around a tensor, real zero for PAD.

use super::shared::{Border, StridedCopy, check, real_zero, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, Views,
    ZeroBorder, required,
};
use crate::model::{BuiltinOperator, Report, rules};
use crate::tensor::TensorType;

const INPUT: usize = 0;
const PADDINGS: usize = 1;
const VALUE: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::PAD,
    name: "PAD",
    versions: 1..=6,
    types: rows![
        [_ Int32] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int64] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int8] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int16] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
    ],
    check: check::same_quantization,
    prepare,
};

/// PADV2 pads with its third operand, which has the input's type and quantization.
pub(super) const DEF_V2: OpDef = OpDef {
    code: BuiltinOperator::PADV2,
    name: "PADV2",
    versions: 1..=6,
    types: rows![
        [_ Int32 _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int64 _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int8 _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
        [_ Int16 _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float16 Float32 Bool;
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

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let border = Border::new(&input, &node.input(PADDINGS, "paddings")?)?;
    let value = node.optional_input(VALUE, "value");
    let zero = real_zero(&output);
    let (fill, is_zero) = match &value {
        Some(value) if value.shape.count() != 1 => return Err(value.shape_error("one element")),
        Some(value) => (None, is_constant(value, zero)),
        None => (Some(zero), true),
    };
    let kernel = Reference {
        inside: border.inside,
        element: input.element_bytes()?,
        fill,
    };
    // A float's product with zero is not always zero, and padding that is left out has none.
    let adds_nothing = is_zero && input.ty != TensorType::Float32;
    Ok(Prepared {
        border: zero_border(&border.sides).filter(|_| adds_nothing),
        ..Prepared::new(kernel, [border.shape])
    })
}

/// Whether an operand is the same element at every inference, with these little-endian bytes.
fn is_constant(value: &NodeTensor<'_>, bytes: [u8; 8]) -> bool {
    let found = value.is_constant().then(|| value.constant_bytes());
    matches!(found, Some(Ok(found)) if bytes.starts_with(found))
}

/// A border around pictures alone.
fn zero_border(sides: &[[usize; 2]]) -> Option<ZeroBorder> {
    match *sides {
        [[0, 0], rows, columns, [0, 0]] => Some(ZeroBorder { rows, columns }),
        _ => None,
    }
}

struct Reference {
    inside: StridedCopy,
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
        match *fill {
            [byte] => output.fill(byte),
            _ => {
                for to in output.chunks_exact_mut(self.element) {
                    to.copy_from_slice(fill);
                }
            }
        }
        self.inside.scatter(required(input, INPUT)?.bytes(), output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "pad.reference"
    }
}
