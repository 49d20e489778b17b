//! FULLY_CONNECTED: every unit is a weighted sum of a whole row of the input.

use super::shared::{
    Arithmetic, DoubleStage, OutputStage, Problem, ScaleProduct, Scaled, check, check_bias_length,
    fast_float_fully_connected, fast_fully_connected, float_kernel, fused_activation, hybrid,
    integer_kernel, wide_accumulator,
};
use super::{Kernel, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, TypeRow, Weighted};
use crate::fixedpoint::FusedActivation;
use crate::model::{BuiltinOperator, Report};
use crate::schema::tflite::{self as schema, FullyConnectedOptionsWeightsFormat as WeightsFormat};
use crate::tensor::{Shape, TensorType};

const INPUT: usize = 0;
const FILTER: usize = 1;
const BIAS: usize = 2;
const OUTPUT: usize = 0;

const INT8: &[TensorType] = &[TensorType::Int8, TensorType::Int8, TensorType::Int32];
const UINT8: &[TensorType] = &[TensorType::UInt8, TensorType::UInt8, TensorType::Int32];
const INT4: &[TensorType] = &[TensorType::Int8, TensorType::Int4, TensorType::Int32];
const INT16: &[TensorType] = &[TensorType::Int16, TensorType::Int8, TensorType::Int64];
const FLOAT32: &[TensorType] = &[TensorType::Float32];
/// int16 with a 32-bit accumulator, declared as such or not: a converter that means int64 writes int64.
const INT16_BIAS32: &[TensorType] = &[TensorType::Int16, TensorType::Int8, TensorType::Int32];
const INT16_FILTER16: &[TensorType] = &[TensorType::Int16, TensorType::Int16, TensorType::Int64];
const HYBRID: &[TensorType] = &[TensorType::Float32, TensorType::Int8, TensorType::Float32];
const HYBRID4: &[TensorType] = &[TensorType::Float32, TensorType::Int4, TensorType::Float32];

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::FULLY_CONNECTED,
    name: "FULLY_CONNECTED",
    versions: 1..=14,
    types: &[
        TypeRow::new(INT8, &[TensorType::Int8]),
        TypeRow::new(UINT8, &[TensorType::UInt8]),
        TypeRow::new(INT4, &[TensorType::Int8]),
        TypeRow::new(INT16, &[TensorType::Int16]),
        TypeRow::new(FLOAT32, &[TensorType::Float32]),
        TypeRow::new(INT16_BIAS32, &[TensorType::Int16]),
        TypeRow::new(INT16_FILTER16, &[TensorType::Int16]),
        TypeRow::new(UINT8, &[TensorType::Int16]),
        TypeRow::new(HYBRID, &[TensorType::Float32]),
        TypeRow::new(HYBRID4, &[TensorType::Float32]),
    ],
    check,
    prepare,
};

struct Options {
    activation: FusedActivation,
    keep_num_dims: bool,
    asymmetric: bool,
    bias_type: schema::TensorType,
}

fn parse(node: &Node<'_>) -> Result<Options, PrepareError> {
    let options = node.table()?.builtin_options_as_fully_connected_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "FullyConnectedOptions",
    })?;
    let format = options.weights_format();
    if format != WeightsFormat::DEFAULT {
        return Err(PrepareError::Attribute {
            name: "weights_format",
            found: match format.variant_name() {
                Some(name) => name.to_owned(),
                None => format.0.to_string(),
            },
            expected: "DEFAULT",
        });
    }
    Ok(Options {
        activation: fused_activation(options.fused_activation_function())?,
        keep_num_dims: options.keep_num_dims(),
        asymmetric: options.asymmetric_quantize_inputs(),
        bias_type: options.quantized_bias_type(),
    })
}

fn check(node: &Node<'_>, report: &mut Report) {
    let per_tensor = |operands: &Weighted<'_>| {
        let filter = operands.filter.quantization;
        filter.is_some_and(|q| !q.is_per_channel())
    };
    check::weighted(node, per_tensor, report);
}

/// The geometry of a matrix product. Inputs are `rows` x `depth`, weights `units` x `depth`, results `rows` x `units`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FullyConnected {
    pub depth: usize,
    pub units: usize,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = parse(node)?;
    let input = node.input(INPUT, "input")?;
    let filter = node.input(FILTER, "filter")?;
    let output = node.output(OUTPUT, "output")?;
    let [units, depth] = filter.dims("[units, depth]")?;
    if depth == 0 || input.shape.count() % depth != 0 {
        return Err(input.shape_error(format!("rows of the weights' {depth} values")));
    }
    let bias = node.optional_input(BIAS, "bias");
    check_bias_length(bias.as_ref(), units)?;
    let wide = wide_accumulator(bias.as_ref(), options.bias_type, settings);
    let shape = match (options.keep_num_dims, input.shape.dims().split_last()) {
        (true, Some((&last, rows))) if last == depth => Shape::new(&[rows, &[units]].concat())?,
        (true, _) => return Err(input.shape_error(format!("a last axis of {depth} values"))),
        (false, _) => Shape::new(&[input.shape.count() / depth, units])?,
    };
    let problem = FullyConnected { depth, units };
    let scaled = Scaled {
        input: &input,
        filter: &filter,
        output: &output,
        channels: units,
        activation: options.activation,
    };
    let macs = (shape.count() as u64).saturating_mul(depth as u64);
    if input.ty == TensorType::Float32 && filter.ty != TensorType::Float32 {
        let scheme = hybrid::Scheme {
            codes: hybrid::RowCodes::new(options.asymmetric, settings),
            weights_first: false,
        };
        return Ok(hybrid::prepare(problem, [depth, units], &scaled, scheme, shape)?.macs(macs));
    }
    let rows = input.shape.count() / depth;
    let kernel = kernel(problem, rows, &scaled, bias.as_ref(), wide, settings)?;
    Ok(Prepared::boxed(kernel, [shape]).macs(macs))
}

/// The kernel for the operands' types and `rows` rows. `wide`: whether int16 activations have a 64-bit accumulator.
///
/// Per-tensor weights have a multiplier from a float32 product, whatever their type: TFLite `kernels/fully_connected.cc`.
/// Sparse weights, which are dense here, have a kernel of their own there, and in LiteRT no multiplier in double.
fn kernel(
    problem: FullyConnected,
    rows: usize,
    scaled: &Scaled<'_>,
    bias: Option<&NodeTensor<'_>>,
    wide: bool,
    settings: &Settings,
) -> Result<Box<dyn Kernel>, PrepareError> {
    if scaled.input.ty == TensorType::Float32 {
        let fast = fast_float_fully_connected(problem, rows, scaled, bias, settings)?;
        return Ok(fast.unwrap_or_else(|| float_kernel(problem, scaled)));
    }
    let is_sparse = scaled.filter.declared().stored_elements.is_some();
    let fixed_in_litert = scaled.filter.ty == TensorType::Int16 || is_sparse;
    if settings.profile.fully_connected_in_double() && !fixed_in_litert {
        let stage = DoubleStage::new(scaled)?;
        let fast = fast_fully_connected(problem, rows, scaled, bias, stage.clone(), settings)?;
        return fast.map_or_else(|| integer_kernel(problem, scaled, wide, stage), Ok);
    }
    let product = match scaled.filter.scales()?.len() {
        1 => ScaleProduct::Float32,
        _ => ScaleProduct::Double,
    };
    let stage = OutputStage::new(scaled, product, settings)?;
    let fast = fast_fully_connected(problem, rows, scaled, bias, stage.clone(), settings)?;
    fast.map_or_else(|| integer_kernel(problem, scaled, wide, stage), Ok)
}

impl Problem for FullyConnected {
    const NAME: &'static str = "fully_connected.reference";
    const SLOTS: [usize; 3] = [INPUT, FILTER, BIAS];

    fn run<A: Arithmetic>(
        &self,
        arithmetic: &A,
        input: &[A::Input],
        filter: &[A::Filter],
        bias: Option<&[A::Bias]>,
        output: &mut [A::Output],
    ) {
        fully_connected(self, arithmetic, input, filter, bias, output);
    }
}

/// The reference matrix product. `input`: rows x depth, `filter`: units x depth, `bias`: units, `output`: rows x units.
///
/// Source: TFLite `kernels/internal/reference/fully_connected.h` and `reference/integer_ops/fully_connected.h`. Per-channel
/// weights with a result of another rank than 2 are computed as the operator says; releases up to TF 2.14 read the shape as two
/// axes there and answer otherwise.
pub(crate) fn fully_connected<A: Arithmetic>(
    problem: &FullyConnected,
    arithmetic: &A,
    input: &[A::Input],
    filter: &[A::Filter],
    bias: Option<&[A::Bias]>,
    output: &mut [A::Output],
) {
    let FullyConnected { depth, units } = *problem;
    let rows = input.chunks_exact(depth);
    for (input, output) in rows.zip(output.chunks_exact_mut(units.max(1))) {
        let filters = filter.chunks_exact(depth);
        for (unit, (filter, output)) in filters.zip(output).enumerate() {
            let sum = arithmetic.dot(A::ZERO, input, filter);
            *output = arithmetic.finish(sum, bias.map(|bias| bias[unit]), unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixedpoint::QuantizedMultiplier;
    use crate::ops::shared::{IntegerSums, Stage};

    #[test]
    fn units_weigh_rows() {
        // Rows (1, 2) and (3, 4), weights (1, 1) and (2, -1), bias 0 and 5.
        let problem = FullyConnected { depth: 2, units: 2 };
        let arithmetic = IntegerSums::<i8, i8, _>::new(0, 0, OutputStage::identity(2));
        let mut output = [0; 4];
        let (input, filter) = ([1, 2, 3, 4], [1, 1, 2, -1]);
        fully_connected(
            &problem,
            &arithmetic,
            &input,
            &filter,
            Some(&[0, 5]),
            &mut output,
        );
        assert_eq!(output, [3, 5, 7, 7]);
    }

    #[test]
    fn litert_rounds_once_where_tflite_rounds_twice() {
        // 7 * 0.07 = 0.49 is 0 in double. In Q31 0.07 is 0.56 * 2^-3: 7 * 0.56 = 3.92 -> 4, 4 / 8 = 0.5 -> 1.
        let double = DoubleStage::with_scales(&[0.07]);
        let stage = OutputStage {
            multipliers: Box::new([QuantizedMultiplier::from_real(0.07).expect("finite")]),
            ..OutputStage::identity(1)
        };
        assert_eq!((double.code(7, 0), stage.code(7, 0)), (0, 1));
        // 2.5 and -2.5 are ties: away from zero.
        let double = DoubleStage::with_scales(&[0.5]);
        assert_eq!((double.code(5, 0), double.code(-5, 0)), (3, -3));
    }
}
