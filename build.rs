//! Writes the accessors of the FlatBuffers schemas into OUT_DIR. `src/schema/` includes them.

#[path = "src/schema/generator/mod.rs"]
mod generator;

use std::path::Path;
use std::{env, fs};

const FOLDER: &str = "src/schema";
const SCHEMAS: [&str; 3] = ["tflite", "darwinn", "metadata"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={FOLDER}/generator");
    if let Err(message) = SCHEMAS.iter().try_for_each(|schema| generate(schema)) {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

fn generate(name: &str) -> Result<(), String> {
    let input = format!("{FOLDER}/{name}.fbs");
    println!("cargo:rerun-if-changed={input}");
    let text = fs::read_to_string(&input).map_err(|error| format!("{input}: {error}"))?;
    let rust = generator::generate(&text).map_err(|error| format!("{input}: {error}"))?;
    let folder = env::var("OUT_DIR").map_err(|error| format!("OUT_DIR: {error}"))?;
    let output = Path::new(&folder).join(format!("{name}.rs"));
    fs::write(&output, rust).map_err(|error| format!("{}: {error}", output.display()))
}
