//! What the metadata buffer says: the model's name and its files with labels.

use corallite::model::Graph;
use corallite::schema::{metadata, verifier_options};

/// The parts of the metadata that people look for.
#[derive(Default)]
pub struct ModelMetadata {
    /// Name, version, author, license and description, where given.
    pub texts: Vec<(&'static str, String)>,
    /// Files that belong to the model (labels, vocabularies), and the output they describe, where they describe one.
    pub files: Vec<(Option<usize>, String)>,
    /// Why the buffer could not be read.
    pub error: Option<String>,
}

impl ModelMetadata {
    /// Reads the buffer called `TFLITE_METADATA`; empty where there is none.
    pub fn of(graph: &Graph) -> Self {
        let mut read = Self::default();
        let Some(buffer) = graph.metadata_named("TFLITE_METADATA") else {
            return read;
        };
        let root = match metadata::root_as_model_metadata(buffer, &verifier_options(buffer.len())) {
            Ok(root) => root,
            Err(error) => {
                read.error = Some(error.to_string());
                return read;
            }
        };
        let texts = [
            ("name", root.name()),
            ("version", root.version()),
            ("author", root.author()),
            ("license", root.license()),
            ("description", root.description()),
        ];
        for (what, text) in texts {
            if let Some(text) = text {
                read.texts.push((what, text.to_owned()));
            }
        }
        let names = |files: metadata::AssociatedFile<'_>| files.name().map(str::to_owned);
        let mut add = |output, file: Option<String>| {
            if let Some(file) = file {
                read.files.push((output, file));
            }
        };
        for file in root.associated_files().iter().flatten() {
            add(None, names(file));
        }
        for subgraph in root.subgraph_metadata().iter().flatten() {
            for file in subgraph.associated_files().iter().flatten() {
                add(None, names(file));
            }
            let outputs = subgraph.output_tensor_metadata();
            for (index, output) in outputs.iter().flatten().enumerate() {
                for file in output.associated_files().iter().flatten() {
                    add(Some(index), names(file));
                }
            }
        }
        read
    }
}
