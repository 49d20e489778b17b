//! Finding and opening libedgetpu at run time.
//!
//! libedgetpu is never a link dependency: a program with corallite in it starts on a machine without the library and
//! learns why it is not there. A library that was opened stays open: it runs threads of its own and keeps static
//! singletons, so there is nothing to gain from `dlclose` and a crash to lose.
//!
//! Search order: the path the caller names, else the one in `CORALLITE_LIBEDGETPU`, else `libedgetpu.so.1` as the
//! dynamic loader finds it, else the directories distributions put it in. A path that was named explicitly is the
//! only one tried: whoever names a library wants that one or the reason.
#![allow(unsafe_code, reason = "dlopen, dlsym and dlerror are C functions")]

use std::ffi::{CStr, CString, OsString, c_void};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

use super::architecture::Architecture;
use super::library_error::{Attempt, AttemptFailure, LibraryError};

/// Environment variable that names the libedgetpu to load, taken when the caller names none.
pub const LIBRARY_VARIABLE: &str = "CORALLITE_LIBEDGETPU";

/// Name under which the dynamic loader finds an installed libedgetpu.
#[cfg(not(target_vendor = "apple"))]
const SYSTEM_NAME: &str = "libedgetpu.so.1";
#[cfg(target_vendor = "apple")]
const SYSTEM_NAME: &str = "libedgetpu.1.dylib";

/// Directories tried after the loader's own search, this machine's architecture first. The others cannot load, but a
/// library found there turns "not found" into "wrong architecture".
const DIRECTORIES: &[&str] = &[
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu",
    #[cfg(target_arch = "arm")]
    "/usr/lib/arm-linux-gnueabihf",
    "/usr/local/lib",
    "/usr/lib64",
    "/usr/lib",
    #[cfg(not(target_arch = "x86_64"))]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(not(target_arch = "aarch64"))]
    "/usr/lib/aarch64-linux-gnu",
    #[cfg(not(target_arch = "arm"))]
    "/usr/lib/arm-linux-gnueabihf",
];

/// Where to look for libedgetpu.
///
/// ```
/// use corallite::ffi::SearchPath;
///
/// let named = SearchPath::named("/opt/coral/libedgetpu.so.1");
/// assert_eq!(named.candidates().len(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath {
    candidates: Vec<PathBuf>,
}

impl SearchPath {
    /// Only the library at `path`; a name without a slash is searched by the dynamic loader.
    pub fn named(path: impl Into<PathBuf>) -> Self {
        Self {
            candidates: vec![path.into()],
        }
    }

    /// The libraries at these paths, in this order.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(candidates: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            candidates: candidates.into_iter().collect(),
        }
    }

    /// The library in `CORALLITE_LIBEDGETPU` if that is set and not empty, else the installed one.
    pub fn from_environment() -> Self {
        match std::env::var_os(LIBRARY_VARIABLE) {
            Some(path) if !path.is_empty() => Self::named(path),
            _ => Self::installed(),
        }
    }

    /// The installed library: as the dynamic loader finds it, then in the usual directories.
    pub fn installed() -> Self {
        let mut candidates = vec![PathBuf::from(SYSTEM_NAME)];
        candidates.extend(
            DIRECTORIES
                .iter()
                .map(|directory| Path::new(directory).join(SYSTEM_NAME)),
        );
        Self { candidates }
    }

    /// The paths in the order in which they are tried.
    pub fn candidates(&self) -> &[PathBuf] {
        &self.candidates
    }
}

/// A shared library that is open for the rest of the process.
#[derive(Debug)]
pub(super) struct DynamicLibrary {
    handle: NonNull<c_void>,
    path: PathBuf,
}

// SAFETY: a dlopen handle belongs to the process, not to a thread, and this one is never closed.
unsafe impl Send for DynamicLibrary {}
// SAFETY: as above; dlsym may be called from any thread at any time.
unsafe impl Sync for DynamicLibrary {}

impl DynamicLibrary {
    /// Opens the first library of `search` that loads.
    pub(super) fn open(search: &SearchPath) -> Result<Self, LibraryError> {
        if cfg!(all(target_env = "musl", target_feature = "crt-static")) {
            return Err(LibraryError::StaticProgram);
        }
        let mut attempts = Vec::new();
        for path in search.candidates() {
            match load(path) {
                Ok(handle) => {
                    return Ok(Self {
                        handle,
                        path: path.clone(),
                    });
                }
                Err(failure) => attempts.push(Attempt {
                    path: path.clone(),
                    failure,
                }),
            }
        }
        Err(LibraryError::NotLoaded { attempts })
    }

    /// The path it was opened by.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both are the same library, opened by whatever path.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.handle == other.handle
    }

    /// Address of the exported function `name`.
    pub(super) fn symbol(&self, name: &'static CStr) -> Result<NonNull<c_void>, LibraryError> {
        // SAFETY: the handle came from dlopen and was never closed; the name ends in a zero byte by its type.
        let address = unsafe { libc::dlsym(self.handle.as_ptr(), name.as_ptr()) };
        NonNull::new(address).ok_or_else(|| LibraryError::MissingSymbol {
            path: self.path.clone(),
            symbol: name.to_str().unwrap_or("a function"),
        })
    }
}

/// Opens one path; on failure says what is wrong with it.
fn load(path: &Path) -> Result<NonNull<c_void>, AttemptFailure> {
    let bytes = OsString::from(path).into_vec();
    // dlopen takes an empty name for the program itself.
    if bytes.is_empty() {
        return Err(AttemptFailure::Missing);
    }
    let is_file = bytes.contains(&b'/');
    let name = CString::new(bytes).map_err(|_| AttemptFailure::ZeroByte)?;
    if is_file && !path.exists() {
        return Err(AttemptFailure::Missing);
    }
    // SAFETY: the name ends in a zero byte by its type. The library's own initialisers run here: naming a file as
    // libedgetpu is trusting it with this process, which no check could take back.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if let Some(handle) = NonNull::new(handle) {
        return Ok(handle);
    }
    let dlerror = last_dlerror();
    if is_file
        && let (Some(found), Some(expected)) =
            (Architecture::of_file(path), Architecture::of_this_program())
        && found != expected
    {
        return Err(AttemptFailure::WrongArchitecture { found, expected });
    }
    let prefix = format!("{}: ", path.display());
    let dlerror = dlerror.strip_prefix(&prefix).unwrap_or(&dlerror).to_owned();
    Err(AttemptFailure::Refused { dlerror })
}

/// The loader's text about the failure just seen on this thread.
fn last_dlerror() -> String {
    // SAFETY: no preconditions; the text is per thread and lives until this thread's next dl call.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return "the dynamic loader gave no reason".to_owned();
    }
    // SAFETY: a non-null result of dlerror is a string that ends in a zero byte; no dl call happens before the copy.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::architecture::EM_386;
    use crate::ffi::architecture::tests::header;

    #[test]
    #[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
    fn open_says_what_is_wrong_with_each_path() {
        let directory =
            std::env::temp_dir().join(format!("corallite-library-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("temporary directory");
        let foreign = directory.join("foreign.so");
        std::fs::write(&foreign, header(1, EM_386, 0)).expect("temporary file");
        let text = directory.join("text.so");
        std::fs::write(&text, "not a library").expect("temporary file");

        let failure = |path: &Path| match DynamicLibrary::open(&SearchPath::named(path)) {
            Err(LibraryError::NotLoaded { mut attempts }) => {
                attempts.pop().map(|attempt| attempt.failure)
            }
            other => panic!("{path:?}: {other:?}"),
        };
        assert_eq!(
            failure(&directory.join("absent.so")),
            Some(AttemptFailure::Missing)
        );
        assert_eq!(failure(Path::new("")), Some(AttemptFailure::Missing));
        assert!(
            matches!(failure(&text), Some(AttemptFailure::Refused { dlerror }) if !dlerror.is_empty())
        );
        assert!(matches!(
            failure(&foreign),
            Some(AttemptFailure::WrongArchitecture {
                found: Architecture {
                    machine: EM_386,
                    ..
                },
                ..
            })
        ));
        std::fs::remove_dir_all(&directory).expect("temporary directory");
    }

    #[test]
    fn search_path_tries_the_loader_first_then_the_directories() {
        let candidates = SearchPath::installed().candidates().to_vec();
        assert_eq!(candidates[0], Path::new(SYSTEM_NAME));
        assert!(candidates.contains(&Path::new("/usr/lib").join(SYSTEM_NAME)));
        assert!(candidates.contains(&Path::new("/usr/lib/aarch64-linux-gnu").join(SYSTEM_NAME)));
    }
}
