//! The report for programs.

use super::{Options, conclusion, partner, remarks};
use corallite::oracle::compare::{Comparison, Dump, Layer, PairedBy, Statistics, Verdict};
use serde_json::{Value, json};

pub fn report(options: &Options, dump: &Dump, comparison: &Comparison) -> Value {
    let layers: Vec<Value> = comparison
        .layers
        .iter()
        .map(|layer| layer_json(layer, dump))
        .collect();
    let first = comparison.first_unexplained.as_ref().map(|(index, cause)| {
        let layer = &comparison.layers[*index];
        json!({
            "operator": layer.operator,
            "tensor": layer.tensor,
            "name": layer.name,
            "cause": cause.to_string(),
        })
    });
    json!({
        "model": options.model.to_string_lossy(),
        "dump": options.dump.to_string_lossy(),
        "inferences": comparison.inferences,
        "layers": layers,
        "first_unexplained": first,
        "remarks": remarks(dump, comparison),
        "unused_arrays": comparison.unused,
        "conclusion": conclusion(comparison),
    })
}

fn layer_json(layer: &Layer, dump: &Dump) -> Value {
    let pairing = layer.pairing.as_ref().ok();
    let by = pairing.map(|pairing| match &pairing.by {
        PairedBy::Map => json!({ "by": "map" }),
        PairedBy::Name => json!({ "by": "name" }),
        PairedBy::Value { mean, runner_up } => {
            let second = runner_up.as_ref();
            let second = second.map(|(name, mean)| json!({ "array": name, "mean_lsb": mean }));
            json!({ "by": "value", "mean_lsb": mean, "runner_up": second })
        }
        _ => Value::Null,
    });
    json!({
        "operator": layer.operator,
        "kind": layer.kind.to_string(),
        "tensor": layer.tensor,
        "name": layer.name,
        "scale": layer.codes.scale,
        "zero_point": layer.codes.zero_point,
        "array": pairing.map(|_| partner(layer, dump)),
        "unpaired": layer.pairing.is_err().then(|| partner(layer, dump)),
        "pairing": by,
        "cumulative": statistics(&layer.cumulative),
        "local": statistics(&layer.local),
        "bound_lsb": layer.bound,
        "largest_ratio": layer.largest_ratio,
        "unexplained": layer.unexplained,
        "verdict": match layer.verdict {
            Verdict::Exact => "exact",
            Verdict::Explained => "explained",
            Verdict::Unexplained => "unexplained",
            Verdict::NotJudged => "not judged",
        },
    })
}

fn statistics(statistics: &Statistics) -> Value {
    if statistics.count == 0 {
        return Value::Null;
    }
    // Infinite without errors, which JSON has no number for.
    let finite = |value: f64| value.is_finite().then_some(value);
    json!({
        "n": statistics.count,
        "max_lsb": statistics.max,
        "mean_lsb": statistics.mean_magnitude(),
        "signed_mean_lsb": statistics.mean(),
        "rms_lsb": statistics.rms(),
        "fraction_differing": statistics.fraction_differing(),
        "histogram": statistics.histogram,
        "sqnr_db": finite(statistics.sqnr_db()),
        "effective_bits": finite(statistics.effective_bits()),
        "saturated_low": statistics.fraction_saturated_low(),
        "saturated_high": statistics.fraction_saturated_high(),
        "codes_used": statistics.codes_used(),
        "range_use": statistics.range_use(),
    })
}
