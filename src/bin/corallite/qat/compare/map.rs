//! Map files: `{"inputs": {"INPUT": "ARRAY"}, "tensors": {"TENSOR": "ARRAY" or null}}`.

use super::super::QatFailure;
use crate::failure::Failure;
use corallite::oracle::compare::Map;
use serde_json::{Map as Object, Value};
use std::path::Path;

/// Reads a map file.
pub fn read(file: &Path) -> Result<Map, Failure> {
    let text = std::fs::read_to_string(file).map_err(|source| Failure::File {
        path: file.to_owned(),
        source,
    })?;
    parse(&text).map_err(|reason| {
        QatFailure::Map {
            file: file.to_owned(),
            reason,
        }
        .into()
    })
}

fn parse(text: &str) -> Result<Map, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let object = value.as_object().ok_or("no JSON object")?;
    let mut map = Map::default();
    for (key, value) in object {
        let pairs = value
            .as_object()
            .ok_or_else(|| format!("{key:?} is no JSON object"))?;
        match key.as_str() {
            "inputs" => map.inputs = pairs_of(pairs, string)?,
            "tensors" => map.tensors = pairs_of(pairs, optional)?,
            _ => {
                return Err(format!(
                    "unknown key {key:?}, expected \"inputs\" and \"tensors\""
                ));
            }
        }
    }
    Ok(map)
}

fn pairs_of<T>(
    pairs: &Object<String, Value>,
    read: fn(&str, &Value) -> Result<T, String>,
) -> Result<Vec<(String, T)>, String> {
    pairs
        .iter()
        .map(|(key, value)| Ok((key.clone(), read(key, value)?)))
        .collect()
}

fn string(key: &str, value: &Value) -> Result<String, String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("{key:?} is {value}, expected the name of an array"))
}

fn optional(key: &str, value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        _ => string(key, value).map(Some),
    }
}
