//! Lower layers never name higher ones: every `crate::` in `src/` against one table.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders of `src/`, lowest first, and the other folders each may name. All of these stand above it in the list, so the
/// table cannot hold a cycle.
const LAYERS: &[(&str, &[&str])] = &[
    ("tensor", &[]),
    ("fixedpoint", &[]),
    ("schema", &[]),
    ("device", &[]),
    ("ffi", &["tensor"]),
    ("model", &["tensor", "schema"]),
    ("package", &["schema"]),
    ("fast", &["fixedpoint"]),
    // `schema` for the option tables alone; `Node` hands them to `parse`.
    ("ops", &["model", "schema", "tensor", "fixedpoint", "fast"]),
    ("plan", &["model", "ops"]),
    (
        "delegate",
        &["model", "tensor", "package", "ops", "ffi", "device"],
    ),
    // `fixedpoint` for the profile, which is a choice of whoever builds an interpreter.
    (
        "interpreter",
        &[
            "plan",
            "delegate",
            "ops",
            "fast",
            "model",
            "tensor",
            "fixedpoint",
        ],
    ),
    (
        "oracle",
        &["interpreter", "ops", "model", "fixedpoint", "tensor"],
    ),
    ("vision", &["tensor", "model"]),
];

/// Files of the crate itself, above all layers, and the tool, which is another crate.
const ABOVE: &[&str] = &["bin", "error.rs", "lib.rs"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The Rust files of a folder and of the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder of the crate") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The names that stand directly behind `crate::`, in code, with their line numbers. Comments, and so doc tests, are
/// left out.
fn names(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    for (at, marker) in code.match_indices("crate::") {
        let number = code[..at].matches('\n').count() + 1;
        let rest = &code[at + marker.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group).map(|name| (number, name))),
            None => found.push((number, identifier(rest).to_owned())),
        }
    }
    found
}

/// The identifier that `text` begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// The first name of every item of a `use crate::{a::b, c}` group, from behind its brace.
fn first_names(group: &str) -> impl Iterator<Item = String> {
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            _ => {}
        }
        if c == ',' && depth == 0 {
            items.push(std::mem::take(&mut item));
        } else {
            item.push(c);
        }
    }
    items.push(item);
    items
        .into_iter()
        .map(|item| identifier(item.trim()).to_owned())
        .filter(|name| !name.is_empty())
}

#[test]
fn lower_layers_never_name_higher_ones() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    for &(layer, allowed) in LAYERS {
        let folder = source().join(layer);
        if !folder.is_dir() {
            continue;
        }
        for file in files(&folder) {
            let text = std::fs::read_to_string(&file).expect("source");
            for (line, name) in names(&text) {
                checked += 1;
                if name != layer && !allowed.contains(&name.as_str()) {
                    let file = file.display();
                    wrong.push(format!(
                        "{file}:{line}: {layer} names crate::{name}, may name {allowed:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        checked > 100,
        "only {checked} names found: is the search broken?"
    );
}

#[test]
fn table_lists_lower_layers_first_and_every_folder() {
    for (index, (layer, allowed)) in LAYERS.iter().enumerate() {
        for name in *allowed {
            let below = LAYERS[..index].iter().any(|(lower, _)| lower == name);
            assert!(below, "{layer} may name {name}, which is not below it");
        }
    }
    let mut unknown = BTreeSet::new();
    for entry in std::fs::read_dir(source()).expect("src") {
        let name = entry.expect("entry").file_name();
        let name = name.to_string_lossy().into_owned();
        if !ABOVE.contains(&name.as_str()) && !LAYERS.iter().any(|(layer, _)| *layer == name) {
            unknown.insert(name);
        }
    }
    assert!(unknown.is_empty(), "no row for {unknown:?}");
}

#[test]
fn names_are_found_in_every_form() {
    let text = "use crate::ops::Node;\n\
                // use crate::comment;\n\
                /// use crate::doc_test;\n\
                use crate::{model::{Graph, rules}, tensor, plan::Step};\n\
                let x = crate::fast::lanes(); // crate::remark\n\
                pub(crate) fn f() {}\n";
    let found = names(text);
    let expected = [
        (1, "ops"),
        (4, "model"),
        (4, "tensor"),
        (4, "plan"),
        (5, "fast"),
    ];
    assert_eq!(found, expected.map(|(line, name)| (line, name.to_owned())));
}
