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

/// Why operators of the schema are refused. Which resolvers have them was asked of the peers that
/// `tests/conformance` uses, with `OpResolverType.BUILTIN_REF`.
const REFUSED: &[(&str, &[BuiltinOperator])] = &[
    (
        "TFLite has kernels of floats, some of 32-bit integers as well, and none of 8 or 16 bits",
        &[
            BuiltinOperator::L2_POOL_2D,
            BuiltinOperator::LOCAL_RESPONSE_NORMALIZATION,
            BuiltinOperator::CONV_3D_TRANSPOSE,
            BuiltinOperator::EMBEDDING_LOOKUP_SPARSE,
            BuiltinOperator::NON_MAX_SUPPRESSION_V4,
            BuiltinOperator::NON_MAX_SUPPRESSION_V5,
            BuiltinOperator::BUCKETIZE,
            BuiltinOperator::SEGMENT_SUM,
            BuiltinOperator::UNSORTED_SEGMENT_MAX,
            BuiltinOperator::UNSORTED_SEGMENT_MIN,
            BuiltinOperator::UNSORTED_SEGMENT_PROD,
            BuiltinOperator::UNSORTED_SEGMENT_SUM,
        ],
    ),
    (
        "recurrent cells that TFLite computes in floats, if need be with 8-bit weights; LSTM, \
         UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF, which it computes in integers, are here",
        &[
            BuiltinOperator::RNN,
            BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_RNN,
            BuiltinOperator::BIDIRECTIONAL_SEQUENCE_RNN,
            BuiltinOperator::BIDIRECTIONAL_SEQUENCE_LSTM,
        ],
    ),
    (
        "complex numbers",
        &[
            BuiltinOperator::RFFT2D,
            BuiltinOperator::REAL,
            BuiltinOperator::IMAG,
            BuiltinOperator::COMPLEX_ABS,
        ],
    ),
    (
        "random numbers, which no reference fixes",
        &[
            BuiltinOperator::RANDOM_UNIFORM,
            BuiltinOperator::RANDOM_STANDARD_NORMAL,
            BuiltinOperator::MULTINOMIAL,
        ],
    ),
    (
        "text and its hashes; tensors of strings are refused",
        &[
            BuiltinOperator::SKIP_GRAM,
            BuiltinOperator::LSH_PROJECTION,
            BuiltinOperator::HASHTABLE,
            BuiltinOperator::HASHTABLE_FIND,
            BuiltinOperator::HASHTABLE_IMPORT,
            BuiltinOperator::HASHTABLE_SIZE,
        ],
    ),
    (
        "names in the schema without a kernel in TFLite",
        &[BuiltinOperator::CALL, BuiltinOperator::CONCAT_EMBEDDINGS],
    ),
    (
        "not written yet; LiteRT has kernels, TFLite 2.14 has none",
        &[BuiltinOperator::DILATE, BuiltinOperator::REDUCE_WINDOW],
    ),
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

/// The operators of the schema that the registry lacks.
fn refused() -> impl Iterator<Item = BuiltinOperator> {
    (0..=LAST).map(BuiltinOperator).filter(|code| {
        !NOT_OPERATORS.contains(code)
            && code.variant_name().is_some()
            && OPERATORS.iter().all(|def| def.code != *code)
    })
}

fn is_stablehlo(code: &BuiltinOperator) -> bool {
    code.variant_name()
        .is_some_and(|name| name.starts_with("STABLEHLO_"))
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
    text += "\n## What is refused, and why\n\n\
             A model with operators of this table, or with other types than above, is refused with all of them named.\n\n\
             | operators | why |\n| --- | --- |\n";
    for (reason, operators) in REFUSED {
        let names: Vec<&str> = operators.iter().filter_map(|o| o.variant_name()).collect();
        writeln!(text, "| {} | {reason} |", names.join(", ")).expect("text");
    }
    let stablehlo = refused().filter(is_stablehlo).count();
    writeln!(
        text,
        "| the {stablehlo} of StableHLO | TFLite's reference resolver has none of them, LiteRT's has ten |\n\
         | custom operators but `TFLite_Detection_PostProcess` and `edgetpu-custom-op` | their code is not in the file |"
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

#[test]
fn every_refused_operator_has_its_reason_once() {
    let mut expected: Vec<i32> = refused()
        .filter(|code| !is_stablehlo(code))
        .map(|code| code.0)
        .collect();
    let mut told: Vec<i32> = REFUSED
        .iter()
        .flat_map(|(_, operators)| operators.iter().map(|code| code.0))
        .collect();
    expected.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, expected);
}
