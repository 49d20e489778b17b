//! The rules that tensor parameters are held to: one list for loading, `corallite check` and the QAT lint.

use super::report::Severity;

/// A rule: a stable id, what breaking it means and what to do about it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Stable name, in kebab case.
    pub id: &'static str,
    /// Whether a model that breaks it is refused.
    pub severity: Severity,
    /// What the rule demands and why.
    pub demand: &'static str,
    /// What to do about a finding.
    pub remedy: &'static str,
}

/// Declares the rules as constants and lists them all in [`RULES`], in order.
macro_rules! rules {
    ($($name:ident = $id:literal, $severity:ident, $demand:literal, $remedy:literal;)*) => {
        $(#[doc = $demand]
        pub const $name: &Rule = &Rule {
            id: $id,
            severity: Severity::$severity,
            demand: $demand,
            remedy: $remedy,
        };)*
        /// Every rule, in the order in which they are documented.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
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
    ACTIVATION_RANGE = "activation-range", Warning,
        "The range of a fused activation contains more than one code of the output.",
        "check the output's scale: the clamp leaves a single value";
    RANGE_UNUSED = "range-unused", Warning,
        "The output's range fits its operator: codes below a ReLU's zero or beyond an activation's bounds are never used.",
        "let the range converge (more steps, or calibrate first): part of the codes is wasted";
    CHANNEL_DEAD = "channel-dead", Warning,
        "A channel's weights are not all zero.",
        "the channel contributes its bias alone; prune it or look at its training";
    DOUBLE_QUANTIZATION = "double-quantization", Warning,
        "No QUANTIZE reads the output of another: each rounds once more.",
        "give the tensor one range";
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
