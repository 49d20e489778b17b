//! CONCATENATION: tensors one after the other along an axis; uint8 operands are brought to the result's scale.

use super::shared::integers;
use super::shared::{StridedCopy, check, join, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, Views,
    required,
};
use crate::model::{BuiltinOperator, Report};
use crate::schema::tflite::ActivationFunctionType;
use crate::tensor::{Shape, TensorType as T};

const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CONCATENATION,
    name: "CONCATENATION",
    versions: 1..=7,
    types: rows![[_] -> _ => Int8 UInt8 Int16 Int32 UInt32 Int64 Float16 Float32 Bool Int4;],
    check,
    prepare,
};

/// All operands but uint8 ones, which are rescaled, have the result's scale and zero point.
fn check(node: &Node<'_>, report: &mut Report) {
    let Ok(output) = node.output(OUTPUT, "output") else {
        return;
    };
    if output.ty == T::UInt8 {
        return;
    }
    for slot in 0..node.operator().inputs.len() {
        if let Ok(input) = node.input(slot, "input") {
            check::same_as(node, &input, &output, report);
        }
    }
}

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_concatenation_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "ConcatenationOptions",
    })?;
    let activation = options.fused_activation_function();
    if activation != ActivationFunctionType::NONE {
        return Err(PrepareError::Attribute {
            name: "fused_activation_function",
            found: activation.0.to_string(),
            expected: "NONE",
        });
    }
    let first = node.input(0, "input")?;
    let output = node.output(OUTPUT, "output")?;
    // Scalars are concatenated as vectors of one element.
    let mut dims = match first.shape.dims() {
        [] => vec![1],
        dims => dims.to_vec(),
    };
    let axis = integers::axis("axis", options.axis().into(), dims.len())?;
    let slots = 0..node.operator().inputs.len();
    let inputs: Vec<_> = slots
        .map(|slot| node.input(slot, "input"))
        .collect::<Result<_, _>>()?;
    let extents: Vec<usize> = inputs
        .iter()
        .map(|input| extent(&first, input, axis))
        .collect::<Result<_, _>>()?;
    dims[axis] = extents.iter().copied().fold(0, usize::saturating_add);
    let shape = Shape::new(&dims)?;
    if first.ty == T::Int4 {
        return Ok(Prepared::new(Int4::new(&dims, axis, &extents), [shape]));
    }
    let inner = first.bytes_from(axis + 1)?;
    let runs: Vec<usize> = extents
        .iter()
        .map(|&extent| extent.saturating_mul(inner))
        .collect();
    let tables: Vec<_> = inputs
        .iter()
        .map(|input| Ok(Rescale::new(input, &output)?.map(Rescale::table)))
        .collect::<Result<_, PrepareError>>()?;
    if tables.iter().all(Option::is_none) {
        return Ok(join("concatenation.reference", runs, shape));
    }
    let total = runs.iter().copied().fold(0, usize::saturating_add);
    let operands = runs.into_iter().zip(tables).collect();
    Ok(Prepared::new(Rescaling { operands, total }, [shape]))
}

/// The extent of `input` along `axis`; along every other axis it is that of `first`.
fn extent(
    first: &NodeTensor<'_>,
    input: &NodeTensor<'_>,
    axis: usize,
) -> Result<usize, PrepareError> {
    let (expected, found) = (first.shape.dims(), input.shape.dims());
    let fits = expected.len() == found.len()
        && (0..found.len()).all(|other| other == axis || expected[other] == found[other]);
    if !fits {
        return Err(input.shape_error(format!("{} but for axis {axis}", first.shape)));
    }
    Ok(found.get(axis).copied().unwrap_or(1))
}

/// From the codes of one uint8 operand to those of the result, in float32.
///
/// Source: TFLite `kernels/internal/reference/concatenation.h`, `ConcatenationWithScaling`.
#[derive(Debug, Clone, Copy)]
struct Rescale {
    factor: f32,
    bias: f32,
    zero_point: i32,
}

impl Rescale {
    /// `None` where the codes stay what they are.
    fn new(input: &NodeTensor<'_>, output: &NodeTensor<'_>) -> Result<Option<Self>, PrepareError> {
        if output.ty != T::UInt8 || output.quantization.is_none() && input.quantization.is_none() {
            return Ok(None);
        }
        let (input_scale, input_zero_point) = input.per_tensor()?;
        let (output_scale, zero_point) = output.per_tensor()?;
        if (input_scale, input_zero_point) == (output_scale, zero_point) {
            return Ok(None);
        }
        let factor = input_scale * (1.0 / output_scale);
        Ok(Some(Self {
            factor,
            bias: -input_zero_point as f32 * factor,
            zero_point,
        }))
    }

    fn apply(self, code: u8) -> u8 {
        let rounded = (f32::from(code) * self.factor + self.bias).round() as i32;
        rounded.saturating_add(self.zero_point).clamp(0, 255) as u8
    }

    /// The result for every code.
    fn table(self) -> Box<[u8; 256]> {
        Box::new(std::array::from_fn(|code| self.apply(code as u8)))
    }
}

struct Rescaling {
    /// Bytes of each operand that stay together, and what becomes of each.
    operands: Vec<(usize, Option<Box<[u8; 256]>>)>,
    total: usize,
}

impl Kernel for Rescaling {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let target = io.workers().target();
        let mut before = 0;
        let operands = self.operands.iter().enumerate();
        for (slot, &(run, ref table)) in operands.filter(|&(_, &(run, _))| run > 0) {
            let Views {
                inputs: [input],
                outputs: [mut output],
                ..
            } = io.views([slot], [OUTPUT], [])?;
            let periods = output.bytes_mut().chunks_exact_mut(self.total);
            for (to, from) in periods.zip(required(input, slot)?.bytes().chunks_exact(run)) {
                let to = &mut to[before..][..run];
                match table {
                    None => to.copy_from_slice(from),
                    Some(table) => target.look_up(table, from, to),
                }
            }
            before += run;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "concatenation_rescaled.reference"
    }
}

/// int4, whose runs need not be whole bytes.
struct Int4 {
    /// Where each operand goes.
    places: Vec<StridedCopy>,
}

impl Int4 {
    /// Operands of `extents` along `axis` of a result of `dims`.
    fn new(dims: &[usize], axis: usize, extents: &[usize]) -> Self {
        let outer = dims[..axis].iter().product();
        let inner: usize = dims[axis + 1..].iter().product();
        let mut before = 0;
        let place = |&extent: &usize| {
            let (run, total) = (extent * inner, (dims[axis] * inner) as isize);
            let place = StridedCopy::new(StridedCopy::INT4, &[outer, run], &[total, 1], before);
            before += run;
            place
        };
        Self {
            places: extents.iter().map(place).collect(),
        }
    }
}

impl Kernel for Int4 {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        for (slot, place) in self.places.iter().enumerate() {
            let Views {
                inputs: [input],
                outputs: [mut output],
                ..
            } = io.views([slot], [OUTPUT], [])?;
            place.scatter(required(input, slot)?.bytes(), output.bytes_mut());
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "concatenation_int4.reference"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rescale_rounds_away_from_zero_and_saturates() {
        // 0.5 * (q - 10) in steps of 1 from 3: (13 - 10) * 0.5 = 1.5 -> 2, + 3; (7 - 10) * 0.5 = -1.5 -> -2, + 3.
        let rescale = Rescale {
            factor: 0.5,
            bias: -5.0,
            zero_point: 3,
        };
        assert_eq!([13, 7, 0].map(|q| rescale.apply(q)), [5, 1, 0]);
        let rescale = Rescale {
            factor: 2.0,
            bias: 0.0,
            zero_point: 0,
        };
        assert_eq!(rescale.apply(200), 255);
    }
}
