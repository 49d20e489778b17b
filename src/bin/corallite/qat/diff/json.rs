//! The report for programs.

use super::{Inputs, Options, because, conclusion, given, remarks};
use corallite::oracle::compare::Statistics;
use corallite::oracle::diff::{Difference, LayerDifference};
use serde_json::{Value, json};

pub fn report(options: &Options, difference: &Difference) -> Value {
    let seed = match options.inputs {
        Inputs::Random { seed, .. } => Some(seed),
        Inputs::Files(_) => None,
    };
    let first = difference.first().map(
        |layer| json!({ "operator": layer.operator, "name": layer.name, "reason": because(layer) }),
    );
    json!({
        "a": { "model": options.a.to_string_lossy(), "profile": options.profile_a.name() },
        "b": { "model": options.b.to_string_lossy(), "profile": options.profile_b.name() },
        "inputs": given(&options.inputs),
        "seed": seed,
        "inferences": difference.inferences,
        "layers": difference.layers.iter().map(layer).collect::<Vec<_>>(),
        "first_differing": first,
        "unmatched_in_b": difference.unmatched,
        "not_compared": difference.not_compared,
        "remarks": remarks(difference),
        "conclusion": conclusion(difference),
    })
}

fn layer(layer: &LayerDifference) -> Value {
    let partner = layer.partner.as_ref();
    let partner_json =
        partner.map(|(operator, name)| json!({ "operator": operator, "name": name }));
    json!({
        "operator": layer.operator,
        "kind": layer.kind.to_string(),
        "name": layer.name,
        "scale": layer.codes.scale,
        "zero_point": layer.codes.zero_point,
        "partner": partner_json.ok(),
        "unmatched": partner.err().map(ToString::to_string),
        "all": statistics(&layer.all),
        "own": statistics(&layer.own),
        "differs_by_itself": layer.is_source,
        "reasons": layer.reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn statistics(statistics: &Statistics) -> Value {
    if statistics.count == 0 {
        return Value::Null;
    }
    json!({
        "n": statistics.count,
        "differing": statistics.differing,
        "max_lsb": statistics.max,
        "mean_lsb": statistics.mean_magnitude(),
        "signed_mean_lsb": statistics.mean(),
        "histogram": statistics.histogram,
    })
}
