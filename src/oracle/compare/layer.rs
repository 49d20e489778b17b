//! One tensor beside its array: what is known before the runs, and what they add.

use super::law::{self, Law};
use super::mapping::{Pairing, Unpaired};
use super::statistics::Statistics;
use super::verdict::{Evidence, Verdict};
use super::{Codes, Reference};
use crate::model::{Graph, OperatorKind, Subgraph, Tensor};
use crate::ops::Accumulators;
use crate::tensor::Shape;

/// One tensor of the model beside the training side's array.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Layer {
    /// The operator that computes it: its index.
    pub operator: usize,
    /// The operator that computes it: its kind.
    pub kind: OperatorKind,
    /// Index of the tensor.
    pub tensor: usize,
    /// Name of the tensor.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Scale, zero point, codes.
    pub codes: Codes,
    /// The array, or why there is none.
    pub pairing: Result<Pairing, Unpaired>,
    /// On the model's own inputs: all differences up to here.
    pub cumulative: Statistics,
    /// On the training side's own inputs: what this layer adds. Empty where they are not all known.
    pub local: Statistics,
    /// `M/2 + 2^-(s+1)`, the largest of all channels, of operators with weights.
    pub bound: Option<f64>,
    /// The largest distance between a code and the real number behind it, as a fraction of what the law allows.
    pub largest_ratio: f64,
    /// Local differences that rounding does not explain.
    pub unexplained: u64,
    /// What the layer is.
    pub verdict: Verdict,
    pub(super) law: Option<Law>,
    /// By channel, the sum of the magnitudes of the weights, in codes: what one LSB of input error can become.
    pub(super) gains: Vec<f64>,
    /// Where a CONCATENATION gave the tensor its own range: the step that training's values lie on, in LSB.
    pub(super) regridded: Option<f64>,
    /// By channel, the training side's bias minus the stored one, in LSB of the output.
    pub(super) bias_difference: Vec<f64>,
    pub(super) evidence: Evidence,
}

/// How far an input of the training side is from the codes that the model got for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct InputError {
    /// The largest distance, in LSB of the input.
    pub(super) lsb: f64,
    /// The input's scale.
    pub(super) scale: f64,
}

impl Layer {
    /// The result of operator `operator` that is tensor `tensor`, where it is a quantized activation.
    pub(super) fn new(
        graph: &Graph,
        subgraph: &Subgraph,
        operator: usize,
        tensor: usize,
        shape: Shape,
    ) -> Option<Self> {
        let declared = subgraph.tensors.get(tensor)?;
        let codes = Codes::of(declared)?;
        let kind = subgraph.operators[operator].kind.clone();
        Some(Self {
            operator,
            kind,
            tensor,
            name: graph.tensor_name(declared).to_owned(),
            shape,
            cumulative: Statistics::new(&codes),
            local: Statistics::new(&codes),
            codes,
            pairing: Err(Unpaired::NoCandidate),
            bound: None,
            largest_ratio: 0.0,
            unexplained: 0,
            verdict: Verdict::NotJudged,
            law: None,
            gains: Vec::new(),
            regridded: None,
            bias_difference: Vec::new(),
            evidence: Evidence::default(),
        })
    }

    /// Sets up the law of an operator with weights: `input`, `filter` are its operands, `codes` the stored weights.
    pub(super) fn set_law(&mut self, input: &Tensor, filter: &Tensor, codes: &[i64]) {
        let scale = |tensor: &Tensor| tensor.quantization.as_deref().and_then(|q| q.scale());
        let (Some(input_scale), Some(quantization)) =
            (scale(input), filter.quantization.as_deref())
        else {
            return;
        };
        let law = Law::new(
            input_scale,
            quantization.scales(),
            self.codes.scale as f32,
            self.shape.last(),
        );
        self.bound = Some(law.largest_bound());
        self.gains = vec![0.0; self.shape.last()];
        let dims = filter.shape.dims();
        // The output channels lie along axis 0, those of depthwise weights (1, H, W, C) along the last.
        let is_last = dims.len() == 4 && dims[0] == 1 && dims[3] == self.gains.len();
        let per_channel = codes.len() / self.gains.len().max(1);
        for (index, &code) in codes.iter().enumerate() {
            let channel = match is_last {
                true => index % self.gains.len(),
                false => index / per_channel.max(1),
            };
            if let Some(gain) = self.gains.get_mut(channel) {
                *gain += (code - i64::from(quantization.zero_point())).abs() as f64;
            }
        }
        self.law = Some(law);
    }

    /// How far, in LSB of the output, results may be off because inputs of the training side are not codes of the model:
    /// by operand the largest distance in LSB, with its scale.
    fn allowance(&self, inputs: &[InputError], channel: usize) -> f64 {
        let operands = inputs
            .iter()
            .map(|input| match (&self.law, self.gains.get(channel)) {
                (Some(law), Some(gain)) => input.lsb * gain * law.multipliers[channel],
                _ => input.lsb * input.scale / self.codes.scale,
            });
        operands.sum()
    }

    /// A value of the training side as the layer has it: in front of a CONCATENATION training clips to the shared range only
    /// behind it.
    fn clipped(&self, value: f32) -> f32 {
        if self.regridded.is_none() {
            return value;
        }
        let (low, high) = self.codes.range;
        value.clamp(self.codes.real(low) as f32, self.codes.real(high) as f32)
    }

    pub(super) fn add_cumulative(&mut self, found: &[i32], values: &[f32]) {
        for (&code, &value) in found.iter().zip(values) {
            let value = self.clipped(value);
            let reference = self.codes.reference(value);
            self.cumulative.add(&self.codes, code, value, reference);
        }
    }

    /// Adds the results of an inference on the training side's own values.
    pub(super) fn add_local(
        &mut self,
        found: &[i32],
        values: &[f32],
        accumulators: Option<&Accumulators>,
        inputs: &[InputError],
    ) {
        let channels = self.shape.last().max(1);
        // In front of a CONCATENATION training rounds to its own step first.
        let first_rounding = self.regridded.map_or(0.0, |step| step / 2.0);
        let allowances: Vec<f64> = (0..channels)
            .map(|c| self.allowance(inputs, c) + first_rounding)
            .collect();
        for (index, (&code, &value)) in found.iter().zip(values).enumerate() {
            let value = self.clipped(value);
            let reference = self.codes.reference(value);
            self.local.add(&self.codes, code, value, reference);
            let channel = index % channels;
            let real = accumulators.and_then(|sums| self.real(sums, index, channel));
            let allowance = allowances[channel];
            let explained = match real {
                Some(real) => {
                    let ratio = self.ratio(code, reference, real, channel, allowance);
                    self.largest_ratio = self.largest_ratio.max(ratio);
                    ratio <= 1.0
                }
                None => self.is_within_tolerance(code, reference, allowance),
            };
            self.unexplained += u64::from(!explained);
            let target = real.unwrap_or(f64::from(code));
            self.evidence
                .add(&self.codes, reference.lsb, target, channel, channels);
        }
    }

    /// The real number, in LSB of the output, that the integer layer rounds: with the training side's bias where known.
    fn real(&self, sums: &Accumulators, index: usize, channel: usize) -> Option<f64> {
        let multiplier = self.law.as_ref()?.multipliers.get(channel)?;
        let total = sums.totals.get(index)? * multiplier;
        let bias = self.bias_difference.get(channel).copied().unwrap_or(0.0);
        let real = total + bias + f64::from(self.codes.zero_point);
        Some(real.clamp(sums.clamp.0.into(), sums.clamp.1.into()))
    }

    /// The larger of both sides' distances from the real number, as a fraction of what the law allows.
    fn ratio(
        &self,
        code: i32,
        reference: Reference,
        real: f64,
        channel: usize,
        allowance: f64,
    ) -> f64 {
        let Some(law) = &self.law else { return 0.0 };
        let ours = law.ratio(code.into(), real, channel, 0.0);
        let theirs = law.ratio(reference.lsb, real, channel, allowance);
        ours.max(theirs)
    }

    fn is_within_tolerance(&self, code: i32, reference: Reference, allowance: f64) -> bool {
        let tolerance = match self.kind {
            OperatorKind::Builtin(operator) => law::tolerance(operator),
            OperatorKind::Custom(_) => 1.0,
        };
        // A value that the training side did not round is half a step away from its code by right.
        let rounding = if reference.on_grid { 0.0 } else { 0.5 };
        (f64::from(code) - reference.lsb).abs() <= tolerance + rounding + allowance + 1e-3
    }
}
