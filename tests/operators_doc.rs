//! `docs/operators.md` is the registry, written out. `CORALLITE_WRITE_DOCS=1 cargo test --test operators_doc` writes it anew.

use corallite::model::BuiltinOperator;
use corallite::ops::OpDef;
use corallite::ops::registry::OPERATORS;
use corallite::tensor::TensorType;
use std::fmt::Write;
use std::path::Path;

/// Operator codes of the schema: the last one and the two that are no operators of the runtime.
const LAST: i32 = BuiltinOperator::STABLEHLO_CASE.0;
const NOT_OPERATORS: [BuiltinOperator; 3] = [
    BuiltinOperator::CUSTOM,
    BuiltinOperator::DELEGATE,
    BuiltinOperator::PLACEHOLDER_FOR_GREATER_OP_CODES,
];

fn list(types: &[TensorType]) -> String {
    let names: Vec<String> = types.iter().map(ToString::to_string).collect();
    names.join(", ")
}

fn rows(def: &OpDef) -> String {
    if def.types.is_empty() {
        return "any, as its subgraphs take".into();
    }
    let row = |inputs, outputs| format!("({}) → ({})", list(inputs), list(outputs));
    let rows: Vec<String> = def
        .types
        .iter()
        .map(|types| row(types.inputs, types.outputs))
        .collect();
    rows.join("<br>")
}

fn table() -> String {
    let mut text = String::from(
        "# Operators\n\n\
         Written from the registry by `CORALLITE_WRITE_DOCS=1 cargo test --test operators_doc`; do not edit.\n\n\
         What a model may use: operators by TFLite's names, the versions of each, and the element types of operands and results.\n\
         The last type of a list stands for all further operands; operands may be left out where TFLite allows it. Every line\n\
         has vectors of TFLite's own reference kernels in `tests/conformance`; where numbers may differ is in\n\
         [exceptions.md](exceptions.md). `edgetpu-custom-op` goes to an Edge TPU.\n\n\
         | operator | versions | types |\n| --- | --- | --- |\n",
    );
    for def in OPERATORS {
        let (first, last) = (def.versions.start(), def.versions.end());
        writeln!(text, "| {} | {first} to {last} | {} |", def.name, rows(def)).expect("text");
    }
    let missing: Vec<&str> = (0..=LAST)
        .map(BuiltinOperator)
        .filter(|code| {
            !NOT_OPERATORS.contains(code) && OPERATORS.iter().all(|def| def.code != *code)
        })
        .filter_map(BuiltinOperator::variant_name)
        .collect();
    let (stablehlo, others): (Vec<&str>, Vec<&str>) = missing
        .into_iter()
        .partition(|name| name.starts_with("STABLEHLO_"));
    write!(
        text,
        "\n## Refused\n\nModels with these are refused with all of them named: {}; and the {} operators of StableHLO.\n",
        others.join(", "),
        stablehlo.len(),
    )
    .expect("text");
    text
}

#[test]
fn documentation_lists_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md");
    let expected = table();
    if std::env::var_os("CORALLITE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/operators.md is written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/operators.md is stale: CORALLITE_WRITE_DOCS=1 cargo test --test operators_doc"
    );
}
