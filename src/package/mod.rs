//! The Edge TPU package inside the custom options of an `edgetpu-custom-op`: checked before libedgetpu sees it.
//!
//! libedgetpu verifies the package's buffers but not the FlexBuffer map around them: a corrupt index there ends the
//! process. Nor does it check the numbers inside, by which it writes into instructions and reads what the device sent. So
//! all of it is walked here: the map, the three nested buffers, and every offset in them. Knows nothing of graphs, devices
//! or libedgetpu.
//!
//! | file | content |
//! | --- | --- |
//! | `flexbuffer.rs` | the map around the package |
//! | `executable.rs` | [`Executable`]: one program, its chunks and the addresses written into them |
//! | `layer.rs` | [`Layer`]: one input or output and where its elements lie |
//! | `transfers.rs` | [`Transfers`]: what one run sends and receives |
//! | `error.rs`, `fault.rs` | why a package is refused |
//!
//! Facts: libedgetpu `executable/custom_op_data.cc` and `driver/package_registry.cc` at 16.0; the FlexBuffers format
//! of google/flatbuffers.

mod error;
mod executable;
mod fault;
mod layer;
mod transfers;

pub use error::PackageError;
pub use executable::{Executable, ExecutableKind};
pub use fault::{ExecutableFault, Side};
pub use layer::{Layer, LayerType};
pub use transfers::Transfers;

use crate::schema::darwinn::{self, MultiExecutable, root_as_package};
use crate::schema::flexbuffer::{self, Value};
use crate::schema::{read_root, verifier_options};

/// What custom options hold, after every offset in them was checked.
///
/// ```
/// use corallite::package::Package;
///
/// let error = Package::from_custom_options(b"").unwrap_err();
/// assert_eq!(error.to_string(), "custom options are no FlexBuffer map: root at byte 0 is out of bounds");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Package {
    /// The oldest runtime that may load it, 10 to 14 in the wild.
    pub min_runtime_version: i32,
    /// Version of the compiler, as text; empty if it does not say.
    pub compiler_version: String,
    /// Whether the device gets all its transfers from the host. Otherwise (LSTM) libedgetpu refuses to run it over
    /// USB, unless `USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE=1` was set before libedgetpu was opened.
    pub fully_deterministic: bool,
    /// Its programs, at most one of each kind, at least one that runs inferences.
    pub executables: Vec<Executable>,
    /// Which of them runs inferences.
    main: usize,
}

impl Package {
    /// Checks the custom options of an `edgetpu-custom-op`.
    ///
    /// # Errors
    /// The map, the package or one of its executables is broken, or it is of a kind libedgetpu refuses: executables
    /// beside the package, several chips, or no executable that runs inferences.
    pub fn from_custom_options(options: &[u8]) -> Result<Self, PackageError> {
        let entries = flexbuffer::read_map(options)?;
        let mut package = None;
        for (key, value) in &entries {
            match (*key, value) {
                (b"4", Value::Bytes(bytes)) => package = Some(*bytes),
                (b"6", Value::Elements(count)) if *count != 1 => {
                    return Err(PackageError::Chips { count: *count });
                }
                (b"7", Value::Elements(count)) if *count > 0 => {
                    return Err(PackageError::FurtherExecutables { count: *count });
                }
                (key, Value::Float(_) | Value::Bool(_)) => {
                    return Err(PackageError::Kind {
                        key: String::from_utf8_lossy(key).into_owned(),
                        found: value.kind(),
                    });
                }
                _ => {}
            }
        }
        let package = package.ok_or(PackageError::NoPackage)?;
        let package = root_as_package(package, &verifier_options(package.len()))
            .map_err(|source| PackageError::Package { source })?;
        if package.virtual_chip_id() == -1 {
            return Err(PackageError::SeveralChips);
        }
        let multi = package
            .serialized_multi_executable()
            .ok_or(PackageError::NoExecutable)?
            .bytes();
        let multi = read_root::<MultiExecutable>(multi, &verifier_options(multi.len()))
            .map_err(|source| PackageError::Executables { source })?;
        let mut executables: Vec<Executable> = Vec::new();
        let buffers = multi.serialized_executables();
        for (index, buffer) in buffers.into_iter().flatten().enumerate() {
            let bytes = buffer.bytes();
            let buffer = read_root::<darwinn::Executable>(bytes, &verifier_options(bytes.len()))
                .map_err(|source| PackageError::Executable { index, source })?;
            let invalid = |source| PackageError::Invalid { index, source };
            let executable = Executable::read(buffer).map_err(invalid)?;
            if executables
                .iter()
                .any(|other| other.kind == executable.kind)
            {
                return Err(invalid(ExecutableFault::SecondOfType));
            }
            executables.push(executable);
        }
        let of_kind = |kind| executables.iter().position(|e| e.kind == kind);
        // libedgetpu's order: with a stand-alone program it leaves the caching alone.
        let main = of_kind(ExecutableKind::StandAlone)
            .or_else(|| of_kind(ExecutableKind::ExecutionOnly))
            .ok_or(PackageError::NoExecutable)?;
        Ok(Self {
            min_runtime_version: package.min_runtime_version(),
            compiler_version: package.compiler_version().unwrap_or_default().to_owned(),
            fully_deterministic: executables[main].fully_deterministic,
            executables,
            main,
        })
    }

    /// The program that runs inferences.
    pub fn main(&self) -> &Executable {
        &self.executables[self.main]
    }

    /// The program that puts constants on the chip before the first inference, where there is one.
    pub fn caching(&self) -> Option<&Executable> {
        let caching = |e: &&Executable| e.kind == ExecutableKind::ParameterCaching;
        let executables = self.executables.iter();
        executables
            .filter(|_| self.main().kind == ExecutableKind::ExecutionOnly)
            .find(caching)
    }

    /// Bytes of the constants that stay on the chip as long as no model with another token runs.
    pub fn cached_bytes(&self) -> usize {
        self.caching().map_or(0, |caching| caching.parameter_bytes)
    }

    /// Models with the same token, compiled together, stay on the chip side by side. None: nothing stays there.
    pub fn caching_token(&self) -> Option<u64> {
        let token = self.main().caching_token;
        self.caching().map(|_| token).filter(|&token| token != 0)
    }
}
