//! Files and bytes to candidates and models.

use super::bytes::FileBytes;
use super::error::LoadError;
use super::graph::Graph;
use super::read::read;
use super::report::Report;
use super::verify;
use std::path::Path;
use std::sync::Arc;

/// A verified model: cheap to clone, shared between interpreters and threads.
///
/// ```no_run
/// use corallite::model::Model;
/// let model = Model::from_file("mobilenet_v2_1.0_224_quant.tflite")?;
/// println!("{} operators", model.graph().subgraphs()[0].operators.len());
/// # Ok::<(), corallite::model::LoadError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Model {
    graph: Arc<Graph>,
    warnings: Arc<Report>,
}

/// A file whose structure is sound, with all that verification found; [`into_model`](Self::into_model) ends the doubt.
#[derive(Debug)]
pub struct Candidate {
    graph: Graph,
    report: Report,
}

impl Candidate {
    /// Maps and reads a file; see [`Model::from_file`].
    ///
    /// # Errors
    /// The file cannot be read or its structure is broken.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes = FileBytes::open(path).map_err(|source| LoadError::File {
            path: path.to_owned(),
            source,
        })?;
        Self::new(bytes)
    }

    /// Reads a copy of `bytes`.
    ///
    /// # Errors
    /// The structure is broken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::new(FileBytes::copy(bytes))
    }

    fn new(bytes: FileBytes) -> Result<Self, LoadError> {
        let graph = read(bytes)?;
        let report = verify::verify(&graph);
        Ok(Self { graph, report })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Every finding on the tensors' quantization parameters.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The model, unless a finding is an error.
    ///
    /// # Errors
    /// At least one rule of severity error is broken; the report names all.
    pub fn into_model(self) -> Result<Model, LoadError> {
        if self.report.has_errors() {
            return Err(LoadError::Verify {
                report: self.report,
            });
        }
        for finding in self.report.findings() {
            log::debug!("{finding}");
        }
        Ok(Model {
            graph: Arc::new(self.graph),
            warnings: Arc::new(self.report),
        })
    }
}

impl Model {
    /// Maps a file into memory and verifies it; weights are read where they lie, not copied.
    ///
    /// The file must not be changed in place while the model lives: replace it by renaming a new one over it.
    ///
    /// # Errors
    /// The file cannot be read, its structure is broken, or quantization parameters are meaningless.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        Candidate::from_file(path)?.into_model()
    }

    /// Verifies a copy of `bytes`.
    ///
    /// # Errors
    /// The structure is broken, or quantization parameters are meaningless.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        Candidate::from_bytes(bytes)?.into_model()
    }

    /// Verifies bytes that live as long as the program, such as `include_bytes!`; they are copied only where they do not
    /// start at a multiple of eight.
    ///
    /// # Errors
    /// The structure is broken, or quantization parameters are meaningless.
    pub fn from_static(bytes: &'static [u8]) -> Result<Self, LoadError> {
        let aligned = bytes.as_ptr().align_offset(8) == 0;
        let bytes = if aligned {
            FileBytes::Static(bytes)
        } else {
            FileBytes::copy(bytes)
        };
        Candidate::new(bytes)?.into_model()
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What verification found that does not keep the model from running.
    pub fn warnings(&self) -> &Report {
        &self.warnings
    }
}
