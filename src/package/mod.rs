//! The Edge TPU package inside the custom options of an `edgetpu-custom-op`: checked before libedgetpu sees it.
//!
//! libedgetpu verifies the package but not the FlexBuffer map around it: a corrupt index there ends the process. So
//! the map is walked here, every offset within bounds, and the package's three nested buffers are verified as well.
//! Knows nothing of graphs, devices or libedgetpu.
//!
//! Facts: libedgetpu `executable/custom_op_data.cc` and `driver/package_registry.cc` at 16.0; the FlexBuffers format
//! of google/flatbuffers.

mod error;
mod flexbuffer;

pub use error::PackageError;

use crate::schema::darwinn::{Executable, ExecutableType, MultiExecutable, root_as_package};
use crate::schema::{read_root, verifier_options};

/// What custom options hold, after every offset in them was checked.
///
/// ```
/// use corallite::package::Package;
///
/// let error = Package::from_custom_options(b"").unwrap_err();
/// assert_eq!(error.to_string(), "custom options are no FlexBuffer map: root at byte 0 is out of bounds");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Package {
    /// The oldest runtime that may load it, 10 to 14 in the wild.
    pub min_runtime_version: i32,
    /// Version of the compiler, as text; empty if it does not say.
    pub compiler_version: String,
    /// Whether the device gets all its transfers from the host. Otherwise (LSTM) libedgetpu refuses to run it over
    /// USB, unless `USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE=1` was set before libedgetpu was opened.
    pub fully_deterministic: bool,
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
                (b"4", flexbuffer::Value::Bytes(bytes)) => package = Some(*bytes),
                (b"7", flexbuffer::Value::Elements(count)) if *count > 0 => {
                    return Err(PackageError::FurtherExecutables { count: *count });
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
        let mut runs = false;
        let mut fully_deterministic = true;
        for (index, executable) in multi
            .serialized_executables()
            .into_iter()
            .flatten()
            .enumerate()
        {
            let bytes = executable.bytes();
            let executable = read_root::<Executable>(bytes, &verifier_options(bytes.len()))
                .map_err(|source| PackageError::Executable { index, source })?;
            if executable.type_() != ExecutableType::PARAMETER_CACHING {
                runs = true;
                fully_deterministic &= executable
                    .dma_hints()
                    .is_some_and(|hints| hints.fully_deterministic());
            }
        }
        if !runs {
            return Err(PackageError::NoExecutable);
        }
        Ok(Self {
            min_runtime_version: package.min_runtime_version(),
            compiler_version: package.compiler_version().unwrap_or_default().to_owned(),
            fully_deterministic,
        })
    }
}
