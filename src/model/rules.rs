//! The rules that models are held to: one list for loading, `corallite check` and the QAT lint.

use super::report::Severity;

/// A rule: a stable id, what breaking it means and what to do about it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Stable name, in kebab case.
    pub id: &'static str,
    /// Who applies it.
    pub stage: Stage,
    /// Whether a model that breaks it is refused.
    pub severity: Severity,
    /// What the rule demands and why.
    pub demand: &'static str,
    /// What to do about a finding.
    pub remedy: &'static str,
}

/// Who applies a rule. Each stage applies the rules of those before it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Loading a model, building an interpreter, `corallite check`: whether the arithmetic means something.
    Check,
    /// `corallite qat lint`: whether the numbers are good.
    Lint,
    /// `corallite qat lint --edgetpu`: whether an Edge TPU can take the operators.
    EdgeTpu,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Check => "check",
            Self::Lint => "qat lint",
            Self::EdgeTpu => "qat lint --edgetpu",
        })
    }
}

/// Declares the rules of each stage as constants and lists them all in [`RULES`], in order.
macro_rules! rules {
    ($($stage:ident { $($name:ident = $id:literal, $severity:ident, $demand:literal, $remedy:literal;)* })*) => {
        $($(#[doc = $demand]
        pub const $name: &Rule = &Rule {
            id: $id,
            stage: Stage::$stage,
            severity: Severity::$severity,
            demand: $demand,
            remedy: $remedy,
        };)*)*
        /// Every rule, in the order in which they are documented.
        pub const RULES: &[&Rule] = &[$($($name),*),*];
    };
}

rules! {
    Check {
        SCALE_INVALID = "scale-invalid", Error,
            "Every scale is finite and above zero: real = scale * (stored - zero_point) means nothing otherwise.",
            "convert the model again from finite ranges that are not empty";
        SCALE_SUBNORMAL = "scale-subnormal", Warning,
            "A scale is a normal float32: hardware that flushes subnormal numbers to zero computes something else.",
            "the range of this tensor collapsed; check that it receives data in training or calibration";
        SCALE_COUNT = "scale-count", Error,
            "A tensor has one scale, or one per slice along its quantized axis.",
            "convert the model again; the file was edited or cut";
        ZERO_POINT_COUNT = "zero-point-count", Error,
            "There are as many zero points as scales.",
            "convert the model again; the file was edited or cut";
        ZERO_POINT_RANGE = "zero-point-range", Error,
            "A zero point is a value of the tensor's type, so that real zero is exactly representable.",
            "choose a range that contains zero and convert again";
        AXIS_RANGE = "axis-range", Error,
            "The axis of a per-channel quantization is an axis of the tensor.",
            "convert the model again; the file was edited or cut";
        AXIS_OF_VECTOR = "axis-of-vector", Warning,
            "A vector quantized per channel is quantized along axis 0, the only one it has.",
            "nothing to do here: kernels take axis 0; a converter wrote the weights' axis";
        PER_CHANNEL_TYPE = "per-channel-type", Error,
            "Only int4, int8 and int16 weights and their int32 or int64 biases are quantized per channel; uint8 is per tensor.",
            "convert with per-tensor quantization or to int8";
        QUANTIZATION_MISSING = "quantization-missing", Error,
            "An operator that computes on quantized numbers needs the scale of each of its tensors.",
            "convert the model again with quantization parameters for every activation";
        WEIGHT_AXIS = "weight-axis", Error,
            "Per-channel weights are quantized along the output channel: axis 0, for depthwise convolutions axis 3.",
            "quantize the weights along the output channel";
        WEIGHT_ZERO_POINT = "weight-zero-point", Error,
            "Signed weights are symmetric: the kernels take their zero point as 0 and would ignore another.",
            "quantize the weights symmetrically (zero point 0)";
        WEIGHT_LOWEST_CODE = "weight-lowest-code", Warning,
            "Weights do not take the lowest code (-128 in int8, 0 in uint8): two products with it leave int16 (arXiv 1712.05877, section 2.3).",
            "quantize the weights with narrow_range";
        BIAS_ZERO_POINT = "bias-zero-point", Error,
            "A bias is added to the accumulator as it is: its zero point is 0.",
            "quantize the bias with zero point 0 and scale input_scale * weight_scale";
        BIAS_SCALE = "bias-scale", Warning,
            "A bias has the accumulator's scale, input_scale * weight_scale; the kernels add it unscaled whatever it declares.",
            "quantize the bias with scale input_scale * weight_scale";
        BIAS_SCALE_REFUSED = "bias-scale-refused", Error,
            "TFLite refuses per-tensor biases whose scale is off by more than 2 % of the output scale.",
            "quantize the bias with scale input_scale * weight_scale";
        ACCUMULATOR_OVERFLOW = "accumulator-overflow", Warning,
            "The largest sum of products plus bias stays within int32.",
            "reduce the number of inputs per output or the size of the bias";
        MULTIPLIER_LARGE = "multiplier-large", Warning,
            "input_scale * weight_scale / output_scale is below 1: above it one step of the accumulator is more than one code.",
            "check the output's range: it is narrower than the products it has to hold";
        MULTIPLIER_TINY = "multiplier-tiny", Warning,
            "input_scale * weight_scale / output_scale is above 2^-32: below it the channel is constant.",
            "check the channel's weights and the output's range";
        FIXED_OUTPUT = "fixed-output", Error,
            "SOFTMAX, LOGISTIC, TANH, LOG_SOFTMAX and L2_NORMALIZATION write with fixed parameters and ignore the declared ones.",
            "declare the operator's fixed scale and zero point, and requantize behind it if another range is wanted";
        SAME_QUANTIZATION = "same-quantization", Error,
            "An operator that moves numbers without computing gives its output the input's scale and zero point.",
            "give input and output the same scale and zero point, or put a QUANTIZE between them";
        PAD_VALUE = "pad-value", Error,
            "The constant that PADV2 pads with has the input's scale and zero point.",
            "quantize the padding value as the input";
        CHANNEL_SPREAD = "channel-spread", Warning,
            "Under one scale for all channels, no tenth of the channels has weights 64 times smaller than another's: they keep a few codes.",
            "quantize the weights per channel, or train with per-tensor fake quantization so that channels adapt";
        CHANNEL_DEAD = "channel-dead", Warning,
            "A channel's weights are not all zero.",
            "the channel contributes its bias alone; prune it or look at its training";
        DOUBLE_QUANTIZATION = "double-quantization", Warning,
            "No QUANTIZE reads the output of another: each rounds once more.",
            "give the tensor one range";
    }
    Lint {
        ACTIVATION_RANGE = "activation-range", Warning,
            "The range of a fused activation contains more than one code of the output.",
            "check the output's scale: the clamp leaves a single value";
        RANGE_UNUSED = "range-unused", Warning,
            "The output's range fits its operator: codes below a ReLU's zero or beyond an activation's bounds are never used.",
            "let the range converge (more steps, or calibrate first): part of the codes is wasted";
        RANGE_SQUEEZED = "range-squeezed", Warning,
            "A QUANTIZE keeps more than a third of the codes: it gives its operand the range of something wider.",
            "give the branches of a CONCATENATION like ranges, or let the range behind the QUANTIZE converge";
        RANGE_NOT_CONVERGED = "range-not-converged", Warning,
            "The range behind a ReLU begins at 0: a moving average that starts at -6 and is not debiased (TensorFlow's Keras toolkit) keeps -6 * 0.999^steps.",
            "train on, or calibrate the ranges before training: below half a code of [0, 6] after 6200 steps";
        FLOAT_ISLAND = "float-island", Warning,
            "No floats stand between quantized tensors: DEQUANTIZE, float operators and QUANTIZE round again and run slowly.",
            "train and convert the operators between with fake quantization, or move them to the end of the model";
        FAKE_QUANT_LEFT = "fake-quant-left", Warning,
            "No FAKE_QUANT is left: converters turn each into scale and zero point of the tensor around it.",
            "convert the evaluation graph, with a range on every operand of the operator";
    }
    EdgeTpu {
        EDGETPU_OPERATOR = "edgetpu-operator", Warning,
            "The Edge TPU compiler knows the operator (coral.ai, models-intro, supported operations).",
            "replace the operator, or move it to the end of the model";
        EDGETPU_TYPE = "edgetpu-type", Warning,
            "Operands and results are uint8 or int8, biases int32.",
            "quantize the model throughout, inputs and outputs included";
        EDGETPU_DYNAMIC = "edgetpu-dynamic", Warning,
            "All shapes are known when the model is compiled; an open batch of 1 is fine.",
            "convert with fixed input shapes";
        EDGETPU_SHAPE = "edgetpu-shape", Warning,
            "At most the three innermost axes of a tensor are longer than 1.",
            "use a batch of 1 and tensors of three axes";
        EDGETPU_CONDITION = "edgetpu-condition", Warning,
            "The operator meets the compiler's condition for it (coral.ai, models-intro, known limitations).",
            "change the operator's attributes or replace it";
        EDGETPU_UNCERTAIN = "edgetpu-uncertain", Warning,
            "The compiler decides by size whether a RESIZE loses too much precision to be mapped; it does not say where the limit is.",
            "read the compiler's log for this operator";
        EDGETPU_CUT = "edgetpu-cut", Warning,
            "Nothing reads the result of an operator that does not map: one part of the graph is mapped, and everything that depends on such an operator behind it runs on the CPU.",
            "replace the operator, or move it behind the ones that map";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_texts_are_present() {
        for (i, rule) in RULES.iter().enumerate() {
            assert!(
                RULES[..i].iter().all(|other| other.id != rule.id),
                "{}",
                rule.id
            );
            assert!(
                !rule.demand.is_empty() && !rule.remedy.is_empty(),
                "{}",
                rule.id
            );
            assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        }
    }
}
