//! What the file says about itself beside the graph.

use super::graph::Graph;

impl Graph {
    /// The bytes of the metadata block called `name`.
    pub fn metadata_named(&self, name: &str) -> Option<&[u8]> {
        let metadata = self
            .metadata()
            .iter()
            .find(|metadata| metadata.name == name)?;
        Some(self.metadata_bytes(metadata))
    }

    /// The smallest TFLite version that can run the model, as the converter wrote it.
    pub fn min_runtime_version(&self) -> Option<&str> {
        let bytes = self.metadata_named("min_runtime_version")?;
        let text = std::str::from_utf8(bytes)
            .ok()?
            .trim_end_matches('\0')
            .trim();
        (!text.is_empty()).then_some(text)
    }
}
