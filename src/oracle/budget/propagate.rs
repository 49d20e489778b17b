//! What each operator makes of the differences in its operands.

use super::errors::{Errors, Moments};
use crate::fixedpoint::{FusedActivation, QuantizedMultiplier};
use crate::model::{BuiltinOperator as Op, OperatorKind};
use crate::ops::{Node, Weighted};
use crate::oracle::codes::Codes;
use crate::tensor::Shape;

/// The fraction of values in front of a ReLU that it lets through.
const ACTIVE: f64 = 0.5;

/// The differences in a tensor by its index; `None` where they are not known.
pub(super) type Before<'b> = dyn Fn(usize) -> Option<&'b Errors> + 'b;

/// The differences in result `tensor` of an operator, from those in the tensors before it. `None` where the operator, or one
/// before it, is not modelled.
pub(super) fn result<'b>(node: &Node<'_>, tensor: usize, before: &Before<'b>) -> Option<Errors> {
    let OperatorKind::Builtin(code) = node.operator().kind else {
        return None;
    };
    let job = Job {
        node,
        before,
        output: Codes::of(&node.subgraph().tensors[tensor])?,
    };
    let errors = match code {
        Op::CONV_2D | Op::DEPTHWISE_CONV_2D | Op::FULLY_CONNECTED | Op::TRANSPOSE_CONV => {
            job.weighted(code)
        }
        Op::ADD | Op::SUB => job.sum(),
        Op::MUL => job.product(),
        Op::AVERAGE_POOL_2D | Op::MEAN => job.average(),
        Op::SOFTMAX => job.softmax(),
        Op::LOGISTIC => job.function(|x| 1.0 / (1.0 + (-x).exp()), Moments::against_real),
        Op::TANH => job.function(f64::tanh, Moments::against_real),
        Op::HARD_SWISH => job.function(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0, Moments::rounded),
        Op::RELU | Op::RELU6 | Op::RELU_N1_TO_1 => {
            let rescaled = job.rescaled(0)?;
            Some(rescaled.map(|m| m.in_fraction(ACTIVE)))
        }
        Op::QUANTIZE => job.rescaled(0),
        Op::CONCATENATION => job.joined(),
        // Numbers at the same places under another shape.
        Op::RESHAPE | Op::SQUEEZE | Op::EXPAND_DIMS => before(job.operand(0)?).cloned(),
        // Numbers of the same channels elsewhere, or mixed from several pixels.
        Op::MAX_POOL_2D
        | Op::PAD
        | Op::RESIZE_NEAREST_NEIGHBOR
        | Op::RESIZE_BILINEAR
        | Op::BATCH_TO_SPACE_ND
        | Op::SPACE_TO_BATCH_ND => before(job.operand(0)?).cloned(),
        // Numbers of any channels.
        Op::TRANSPOSE
        | Op::SLICE
        | Op::STRIDED_SLICE
        | Op::GATHER
        | Op::UNPACK
        | Op::SPLIT_V
        | Op::SPACE_TO_DEPTH
        | Op::DEPTH_TO_SPACE
        | Op::REVERSE_V2 => job.any_of(0),
        Op::SPLIT => job.any_of(1),
        _ => None,
    }?;
    // A range that begins at zero clips as a ReLU does; converters leave the ReLU out there.
    let computes = matches!(
        code,
        Op::CONV_2D
            | Op::DEPTHWISE_CONV_2D
            | Op::FULLY_CONNECTED
            | Op::TRANSPOSE_CONV
            | Op::ADD
            | Op::SUB
            | Op::MUL
    );
    let begins_at_zero = job.output.zero_point == job.output.range.0;
    let is_clipped = begins_at_zero || node.attributes().activation != FusedActivation::None;
    Some(match computes && is_clipped {
        true => errors.map(|m| m.in_fraction(ACTIVE)),
        false => errors,
    })
}

/// One operator and what is known of its operands.
struct Job<'j, 'n, 'b> {
    node: &'j Node<'n>,
    before: &'j Before<'b>,
    output: Codes,
}

impl<'b> Job<'_, '_, 'b> {
    /// The tensor in `slot`.
    fn operand(&self, slot: usize) -> Option<usize> {
        self.node.operator().inputs.get(slot).copied().flatten()
    }

    /// The differences and the grid of the operand in `slot`.
    fn known(&self, slot: usize) -> Option<(&'b Errors, Codes)> {
        let tensor = self.operand(slot)?;
        let codes = Codes::of(&self.node.subgraph().tensors[tensor])?;
        Some(((self.before)(tensor)?, codes))
    }

    fn any_of(&self, slot: usize) -> Option<Errors> {
        let errors = (self.before)(self.operand(slot)?)?;
        Some(Errors::of(vec![errors.mean()]))
    }

    /// The operand in `slot` on the grid of the result.
    fn rescaled(&self, slot: usize) -> Option<Errors> {
        let tensor = &self.node.subgraph().tensors[self.operand(slot)?];
        if Codes::of(tensor).is_none() {
            // Real numbers are rounded the same way on both sides.
            return Some(Errors::none());
        }
        let (errors, codes) = self.known(slot)?;
        let factor = codes.scale / self.output.scale;
        if factor == 1.0 {
            return Some(errors.clone());
        }
        let own = first_rounding(factor);
        Some(errors.map(|m| m.times(factor).plus(own).rounded()))
    }

    /// Weights times inputs: by output channel the sum over the inputs, the bias rounded to a unit of the accumulator, and
    /// the two roundings of the multiplier.
    fn weighted(&self, code: Op) -> Option<Errors> {
        let operands = Weighted::of(self.node)?;
        let errors = (self.before)(operands.input.index)?;
        let (input_scale, _) = operands.input.per_tensor().ok()?;
        let scales = operands.filter.scales().ok()?;
        let channels = operands.channels()?;
        let outputs = channels.len();
        let inputs = operands.input.shape.last().max(1);
        let fraction = match code {
            // Only some of the taps meet an input where the result is larger.
            Op::TRANSPOSE_CONV => {
                let pixels = |shape: Shape| shape.count() / shape.last().max(1);
                let (from, to) = (pixels(operands.input.shape), pixels(operands.output.shape));
                (from as f64 / to.max(1) as f64).min(1.0)
            }
            _ => 1.0,
        };
        let is_depthwise = code == Op::DEPTHWISE_CONV_2D;
        let moments = channels.iter().enumerate().map(|(channel, weights)| {
            let scale = scales.get(channel).or(scales.first())?;
            let multiplier = f64::from(input_scale) * f64::from(*scale) / self.output.scale;
            let mut sum = Moments::default();
            for (index, &weight) in weights.iter().enumerate() {
                let input = match is_depthwise {
                    true => channel * inputs / outputs,
                    // Rows of matrices may be longer than the last axis of what they read.
                    false => index,
                };
                let term = errors.at(input).times(f64::from(weight));
                sum.square += term.square;
                sum.magnitude += term.magnitude;
            }
            let own = match operands.bias {
                Some(_) => Moments::uniform(multiplier / 2.0).plus(first_rounding(multiplier)),
                None => first_rounding(multiplier),
            };
            Some(
                sum.in_fraction(fraction)
                    .times(multiplier)
                    .plus(own)
                    .rounded(),
            )
        });
        Some(Errors::of(moments.collect::<Option<_>>()?))
    }

    /// Both operands on the grid of the result, rounded once; the kernels' own rescaling has twenty bits more.
    fn sum(&self) -> Option<Errors> {
        let (a, b) = (self.known(0)?, self.known(1)?);
        let on_grid = |(errors, codes): (&Errors, Codes), element: usize| {
            errors.at(element).times(codes.scale / self.output.scale)
        };
        let period = match (a.0.period(), b.0.period()) {
            (a, b) if a % b == 0 => a,
            (a, b) if b % a == 0 => b,
            _ => 1,
        };
        let elements = (0..period).map(|i| on_grid(a, i).plus(on_grid(b, i)).rounded());
        Some(Errors::of(elements.collect()))
    }

    /// Each operand's differences times the other's values, which are anywhere in their range.
    fn product(&self) -> Option<Errors> {
        let (a, b) = (self.known(0)?, self.known(1)?);
        let factor = a.1.scale * b.1.scale / self.output.scale;
        let term = |errors: &Errors, values: f64| errors.mean().times(factor * values);
        let (of_a, of_b) = (self.typical(0)?, self.typical(1)?);
        let own = first_rounding(factor);
        let moments = term(a.0, of_b).plus(term(b.0, of_a)).plus(own).rounded();
        Some(Errors::of(vec![moments]))
    }

    /// Root mean square of the values of an operand, in LSB: of a constant's own, else of all codes.
    fn typical(&self, slot: usize) -> Option<f64> {
        let (_, codes) = self.known(slot)?;
        let square = |code: i32| (f64::from(code) - f64::from(codes.zero_point)).powi(2);
        let rms = |squares: &mut dyn Iterator<Item = f64>| {
            let (count, sum) = squares.fold((0u64, 0.0), |(n, sum), square| (n + 1, sum + square));
            (sum / count.max(1) as f64).sqrt()
        };
        let operand = self.node.input(slot, "operand").ok()?;
        if let Ok(constant) = operand.constant::<i8>() {
            return Some(rms(&mut constant.iter().map(|&code| square(code.into()))));
        }
        if let Ok(constant) = operand.constant::<u8>() {
            return Some(rms(&mut constant.iter().map(|&code| square(code.into()))));
        }
        Some(rms(&mut (codes.range.0..=codes.range.1).map(square)))
    }

    /// The mean of many differences. Training rounds it where it gave the result a range of its own, else not at all.
    fn average(&self) -> Option<Errors> {
        let (errors, codes) = self.known(0)?;
        let (input, output) = (
            self.node.input(0, "input").ok()?,
            self.node.output(0, "output").ok()?,
        );
        let pixels = match self.node.operator().kind {
            // Windows overlap: how large they are says the option table, how many there are the shape.
            OperatorKind::Builtin(Op::AVERAGE_POOL_2D) => {
                let [height, width] = self.node.attributes().window;
                (height.max(1) as usize).saturating_mul(width.max(1) as usize)
            }
            _ => input.shape.count() / output.shape.count().max(1),
        };
        let count = pixels.max(1) as f64;
        let factor = codes.scale / self.output.scale;
        let keeps_channels = input.shape.last() == output.shape.last();
        let each = |m: Moments| {
            let mean = Moments {
                square: m.square / count,
                magnitude: m.magnitude,
            };
            let mean = mean.times(factor).plus(Moments::default());
            match codes == self.output {
                true => mean.against_real(),
                false => mean.plus(first_rounding(factor / count)).rounded(),
            }
        };
        Some(match keeps_channels {
            true => errors.map(each),
            false => Errors::of(vec![each(errors.mean())]),
        })
    }

    /// With all of n classes equally likely, each probability p = 1/n changes by `p (1 - p)` of its own logit's change and
    /// `p^2` of the others': in all `p sqrt(1 - p)` of one. Training does not round the result.
    fn softmax(&self) -> Option<Errors> {
        let (errors, codes) = self.known(0)?;
        let classes = self.node.input(0, "input").ok()?.shape.last().max(1) as f64;
        let slope = (1.0 - 1.0 / classes).sqrt() / classes;
        let factor = codes.scale * slope / self.output.scale;
        Some(errors.map(|m| m.times(factor).against_real()))
    }

    /// A function of one value: its mean square slope over all codes of the operand.
    fn function(&self, f: fn(f64) -> f64, round: fn(Moments) -> Moments) -> Option<Errors> {
        let (errors, codes) = self.known(0)?;
        let steps = codes.range.0..codes.range.1;
        let count = f64::from(codes.range.1 - codes.range.0);
        let squares = steps.map(|code| {
            let step = f(codes.real(code + 1)) - f(codes.real(code));
            (step / self.output.scale).powi(2)
        });
        let slope = (squares.sum::<f64>() / count).sqrt();
        Some(errors.map(|m| round(m.times(slope))))
    }

    /// Operands one behind the other: along the channels each keeps its own, else they mix.
    fn joined(&self) -> Option<Errors> {
        let output = self.node.output(0, "output").ok()?;
        let last = output.shape.last();
        let mut channels = Vec::new();
        let mut all = Vec::new();
        for slot in 0..self.node.operator().inputs.len() {
            let errors = self.rescaled(slot)?;
            let extent = self.node.input(slot, "input").ok()?.shape.last();
            channels.extend((0..extent).map(|channel| errors.at(channel)));
            all.push(errors.mean());
        }
        match channels.len() == last {
            true => Some(Errors::of(channels)),
            false => Some(Errors::of(vec![Errors::of(all).mean()])),
        }
    }
}

/// What the first of a multiplier's two roundings adds, in LSB: half a unit in front of a right shift of s bits. Without a
/// shift there is only one rounding.
fn first_rounding(multiplier: f64) -> Moments {
    let shift = QuantizedMultiplier::from_real(multiplier).map_or(0, |m| -m.shift);
    match shift {
        1.. => Moments::uniform(0.5f64.powi(shift + 1)),
        _ => Moments::default(),
    }
}
