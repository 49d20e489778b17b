//! The rules on weights that read every one of them.

use super::check::report;
use crate::model::{Report, rules};
use crate::ops::{Node, Weighted};
use crate::tensor::TensorType;

/// How many times smaller than another's a channel's weights may be under a common scale.
const SPREAD: i32 = 64;

/// Applies the rules to weights of 8 bits.
pub fn check(node: &Node<'_>, operands: &Weighted<'_>, to: &mut Report) {
    let Some(channels) = operands.channels() else {
        return;
    };
    lowest_code(node, operands, &channels, to);
    channel_ranges(node, operands, &channels, to);
    accumulator_overflow(node, operands, &channels, to);
}

fn lowest_code(node: &Node<'_>, operands: &Weighted<'_>, channels: &[Vec<i32>], to: &mut Report) {
    let filter = &operands.filter;
    let (Some((code, _)), Some(quantization)) = (filter.ty.integer_range(), filter.quantization)
    else {
        return;
    };
    let lowest = code.saturating_sub(quantization.zero_point());
    let count = channels.iter().flatten().filter(|&&w| w == lowest).count();
    if count > 0 {
        let found = format!("code {code} in {count} weight(s)");
        let expected = format!("codes from {} up", code + 1);
        report(node, filter, rules::WEIGHT_LOWEST_CODE, found, expected, to);
    }
}

/// Channels whose weights are all zero, or nearly so because another channel decided the scale.
fn channel_ranges(
    node: &Node<'_>,
    operands: &Weighted<'_>,
    channels: &[Vec<i32>],
    to: &mut Report,
) {
    let filter = &operands.filter;
    let largest = |channel: &Vec<i32>| channel.iter().map(|w| w.saturating_abs()).max();
    let extremes: Vec<i32> = channels.iter().filter_map(largest).collect();
    let dead = extremes.iter().filter(|&&extreme| extreme == 0).count();
    if let Some(first) = extremes.iter().position(|&extreme| extreme == 0) {
        let found = format!(
            "only zeros in {dead} of {} channels, first {first}",
            extremes.len()
        );
        let expected = "a weight beside zero in each channel".to_owned();
        report(node, filter, rules::CHANNEL_DEAD, found, expected, to);
    }
    let widest = extremes.iter().copied().max().unwrap_or(0);
    let is_small = |&&extreme: &&i32| extreme > 0 && extreme <= widest / SPREAD;
    let small = extremes.iter().filter(is_small).count();
    let is_per_channel = filter.quantization.is_some_and(|q| q.is_per_channel());
    // A few channels that training has nearly switched off are no spread.
    if small * 10 >= extremes.len() && small > 0 && !is_per_channel {
        let found = format!(
            "weights within {} code(s) of zero in {small} of {} channels, up to {widest} in others",
            widest / SPREAD,
            extremes.len()
        );
        let expected = format!("weights beyond {} codes in each channel", widest / SPREAD);
        report(node, filter, rules::CHANNEL_SPREAD, found, expected, to);
    }
}

fn accumulator_overflow(
    node: &Node<'_>,
    operands: &Weighted<'_>,
    channels: &[Vec<i32>],
    to: &mut Report,
) {
    let input = &operands.input;
    let (TensorType::Int8 | TensorType::UInt8, Some((low, high)), Ok((_, zero_point))) =
        (input.ty, input.ty.integer_range(), input.per_tensor())
    else {
        return;
    };
    let distance = |code: i32| (i64::from(code) - i64::from(zero_point)).abs();
    let furthest = distance(low).max(distance(high));
    let biases = operands.bias.and_then(|bias| bias.constant::<i32>().ok());
    let sum = |(channel, weights): (usize, &Vec<i32>)| {
        let weights = weights.iter().map(|&w| i64::from(w).abs()).sum::<i64>();
        let bias = biases.and_then(|biases| biases.get(channel)).copied();
        let bias = i64::from(bias.unwrap_or(0)).abs();
        (
            channel,
            weights.saturating_mul(furthest).saturating_add(bias),
        )
    };
    let all = channels.iter().enumerate().map(sum);
    if let Some((channel, sum)) = all.max_by_key(|&(_, sum)| sum)
        && sum > i64::from(i32::MAX)
    {
        report(
            node,
            &operands.filter,
            rules::ACCUMULATOR_OVERFLOW,
            format!("sums up to {sum} in channel {channel}"),
            format!("{} at most", i32::MAX),
            to,
        );
    }
}
