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

/// What an application chooses before a file is read. [`Model`] and [`Candidate`] read with the defaults.
///
/// ```no_run
/// use corallite::model::LoadOptions;
/// let options = LoadOptions::new().dense_limit(256 << 20);
/// let model = options.read_file("pruned.tflite")?.into_model()?;
/// # Ok::<(), corallite::model::LoadError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
#[must_use]
pub struct LoadOptions {
    dense_limit: Option<usize>,
}

impl LoadOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most bytes that all constants stored sparsely may take once they are dense, as kernels read them. Unless set, 1 MiB
    /// and 256 bytes for each of the file's, 1 GiB at most.
    pub fn dense_limit(mut self, bytes: usize) -> Self {
        self.dense_limit = Some(bytes);
        self
    }

    /// Maps and reads a file; see [`Model::from_file`].
    ///
    /// # Errors
    /// The file cannot be read or its structure is broken.
    pub fn read_file(self, path: impl AsRef<Path>) -> Result<Candidate, LoadError> {
        let path = path.as_ref();
        let bytes = FileBytes::open(path).map_err(|source| LoadError::File {
            path: path.to_owned(),
            source,
        })?;
        self.read(bytes)
    }

    /// Reads a copy of `bytes`.
    ///
    /// # Errors
    /// The structure is broken.
    pub fn read_bytes(self, bytes: &[u8]) -> Result<Candidate, LoadError> {
        self.read(FileBytes::copy(bytes))
    }

    fn read(self, bytes: FileBytes) -> Result<Candidate, LoadError> {
        let graph = read(bytes, self.dense_limit)?;
        let report = verify::verify(&graph);
        Ok(Candidate { graph, report })
    }
}

impl Candidate {
    /// Maps and reads a file; see [`Model::from_file`].
    ///
    /// # Errors
    /// The file cannot be read or its structure is broken.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        LoadOptions::new().read_file(path)
    }

    /// Reads a copy of `bytes`.
    ///
    /// # Errors
    /// The structure is broken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        LoadOptions::new().read_bytes(bytes)
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
        LoadOptions::new().read(bytes)?.into_model()
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
