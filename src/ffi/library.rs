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
use std::fmt;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

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

/// Why no libedgetpu is open.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LibraryError {
    /// No path led to a library that loads.
    NotLoaded {
        /// Every path tried, in order, with what was wrong there.
        attempts: Vec<Attempt>,
    },
    /// This program is linked statically against musl, whose `dlopen` always fails.
    StaticProgram,
    /// The file loads but is no libedgetpu.
    MissingSymbol {
        /// The file.
        path: PathBuf,
        /// The function it should export.
        symbol: &'static str,
    },
    /// The library is too old for this host, or does not say what it is.
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// What the library says about itself.
        version: String,
    },
}

impl fmt::Display for LibraryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoaded { attempts } => {
                f.write_str("libedgetpu not loaded: ")?;
                let mut separator = "";
                for attempt in attempts.iter().filter(|attempt| attempt.failure != AttemptFailure::Missing) {
                    write!(f, "{separator}{attempt}")?;
                    separator = "; ";
                }
                for attempt in attempts.iter().filter(|attempt| attempt.failure == AttemptFailure::Missing) {
                    write!(f, "{separator}{attempt}")?;
                    separator = "; ";
                }
                write!(f, "; install libedgetpu1-std or name the file in {LIBRARY_VARIABLE}")
            }
            Self::StaticProgram => f.write_str(
                "libedgetpu not loaded: this program is linked statically against musl and cannot load libraries; \
                 build it for a glibc target",
            ),
            Self::MissingSymbol { path, symbol } => {
                write!(f, "{} is no libedgetpu: it does not export {symbol}", path.display())
            }
            Self::UnsupportedVersion { path, version } => write!(
                f,
                "libedgetpu {} is not supported: found \"{version}\", expected RuntimeVersion 14 or newer, or 13 of \
                 release 15.0; install libedgetpu 16.0",
                path.display()
            ),
        }
    }
}

impl std::error::Error for LibraryError {}

/// One path that was tried, and what was wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The path as handed to the dynamic loader.
    pub path: PathBuf,
    /// What was wrong.
    pub failure: AttemptFailure,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.failure)
    }
}

/// What was wrong with one path.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptFailure {
    /// There is no such file.
    Missing,
    /// The file is a library for other machines.
    WrongArchitecture {
        /// What the file is for.
        found: Architecture,
        /// What this program is.
        expected: Architecture,
    },
    /// The dynamic loader refused, in its own words.
    Refused {
        /// Text of `dlerror`, without the leading path.
        dlerror: String,
    },
    /// The path holds a zero byte, which no file name can.
    ZeroByte,
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::WrongArchitecture { found, expected } => {
                write!(f, "library for {found}, this program is {expected}")
            }
            Self::Refused { dlerror } => f.write_str(dlerror),
            Self::ZeroByte => f.write_str("zero byte in path"),
        }
    }
}

/// What an ELF file says about the machine it is for.
///
/// ```
/// use corallite::ffi::library::Architecture;
///
/// let header = [
///     0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, // 64-bit, little-endian
///     3, 0, 183, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // shared object, EM_AARCH64
///     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
/// ];
/// assert_eq!(Architecture::of_elf(&header).unwrap().to_string(), "aarch64");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// `e_machine` of the ELF header.
    pub machine: u16,
    /// Pointer width in bits, 32 or 64.
    pub bits: u8,
    /// Whether the byte order is big-endian.
    pub big_endian: bool,
    /// Arm only: whether the calls pass floats in core registers (armel) rather than in VFP registers (armhf).
    pub soft_float: bool,
}

/// `e_machine` values (System V ABI, machine registry).
const EM_386: u16 = 3;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
/// `e_flags` bit of a soft-float Arm object (ELF for the Arm Architecture).
const EF_ARM_ABI_FLOAT_SOFT: u32 = 0x200;
/// Size of a 32-bit ELF header, the shorter one.
const ELF_HEADER_LEN: usize = 52;

impl Architecture {
    /// The machine this program was built for, if it is one libedgetpu exists for.
    pub const fn of_this_program() -> Option<Self> {
        let machine = if cfg!(target_arch = "x86_64") {
            EM_X86_64
        } else if cfg!(target_arch = "aarch64") {
            EM_AARCH64
        } else if cfg!(target_arch = "arm") {
            EM_ARM
        } else if cfg!(target_arch = "x86") {
            EM_386
        } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
            EM_RISCV
        } else {
            return None;
        };
        Some(Self {
            machine,
            bits: if cfg!(target_pointer_width = "64") {
                64
            } else {
                32
            },
            big_endian: cfg!(target_endian = "big"),
            soft_float: cfg!(all(target_arch = "arm", not(target_abi = "eabihf"))),
        })
    }

    /// Reads the first bytes of an ELF file; `None` if they are not an ELF header.
    pub fn of_elf(header: &[u8]) -> Option<Self> {
        if header.len() < ELF_HEADER_LEN || !header.starts_with(b"\x7fELF") {
            return None;
        }
        let bits = match header[4] {
            1 => 32,
            2 => 64,
            _ => return None,
        };
        let big_endian = match header[5] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let machine = [header[18], header[19]];
        let machine = if big_endian {
            u16::from_be_bytes(machine)
        } else {
            u16::from_le_bytes(machine)
        };
        // e_flags follows e_entry, e_phoff and e_shoff; only read for Arm, which is 32-bit.
        let flags = [header[36], header[37], header[38], header[39]];
        let flags = if big_endian {
            u32::from_be_bytes(flags)
        } else {
            u32::from_le_bytes(flags)
        };
        let soft_float = machine == EM_ARM && flags & EF_ARM_ABI_FLOAT_SOFT != 0;
        Some(Self {
            machine,
            bits,
            big_endian,
            soft_float,
        })
    }

    /// Reads the header of the file at `path`; `None` if it cannot be read or is no ELF file.
    pub fn of_file(path: &Path) -> Option<Self> {
        let mut header = [0; ELF_HEADER_LEN];
        std::fs::File::open(path)
            .ok()?
            .read_exact(&mut header)
            .ok()?;
        Self::of_elf(&header)
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.machine, self.bits) {
            (EM_386, _) => f.write_str("32-bit x86"),
            (EM_ARM, _) if self.soft_float => f.write_str("32-bit arm (soft float, armel)"),
            (EM_ARM, _) => f.write_str("32-bit arm (hard float, armhf)"),
            (EM_X86_64, 64) => f.write_str("x86-64"),
            (EM_X86_64, _) => f.write_str("x32"),
            (EM_AARCH64, _) => f.write_str("aarch64"),
            (EM_RISCV, bits) => write!(f, "riscv{bits}"),
            (machine, bits) => write!(f, "{bits}-bit ELF machine {machine}"),
        }?;
        if self.big_endian {
            f.write_str(" big-endian")
        } else {
            Ok(())
        }
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

    fn header(class: u8, machine: u16, flags: u32) -> [u8; ELF_HEADER_LEN] {
        let mut header = [0; ELF_HEADER_LEN];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4] = class;
        header[5] = 1;
        header[18..20].copy_from_slice(&machine.to_le_bytes());
        header[36..40].copy_from_slice(&flags.to_le_bytes());
        header
    }

    #[test]
    fn architecture_names_what_an_elf_header_is_for() {
        struct Case {
            header: [u8; ELF_HEADER_LEN],
            name: &'static str,
        }
        // Machine numbers and flags: System V ABI machine registry; ELF for the Arm Architecture.
        let cases = [
            Case {
                header: header(2, 62, 0),
                name: "x86-64",
            },
            Case {
                header: header(1, 62, 0),
                name: "x32",
            },
            Case {
                header: header(2, 183, 0),
                name: "aarch64",
            },
            Case {
                header: header(1, 40, 0x0500_0400),
                name: "32-bit arm (hard float, armhf)",
            },
            Case {
                header: header(1, 40, 0x0500_0200),
                name: "32-bit arm (soft float, armel)",
            },
            Case {
                header: header(1, 3, 0),
                name: "32-bit x86",
            },
            Case {
                header: header(2, 243, 0),
                name: "riscv64",
            },
            Case {
                header: header(2, 21, 0),
                name: "64-bit ELF machine 21",
            },
        ];
        for case in cases {
            let found =
                Architecture::of_elf(&case.header).map(|architecture| architecture.to_string());
            assert_eq!(found.as_deref(), Some(case.name));
        }
        assert_eq!(Architecture::of_elf(b"\x7fELF"), None);
        assert_eq!(Architecture::of_elf(&[0; ELF_HEADER_LEN]), None);
    }

    #[test]
    fn architecture_of_this_program_is_that_of_its_file() {
        let own = std::env::current_exe().expect("test programs know their path");
        // Under user-mode emulation the path may be the emulator's; then there is nothing to compare.
        if Architecture::of_file(&own)
            .is_some_and(|found| Some(found.machine) == machine_of_this_program())
        {
            assert_eq!(Architecture::of_file(&own), Architecture::of_this_program());
        }
    }

    fn machine_of_this_program() -> Option<u16> {
        Architecture::of_this_program().map(|architecture| architecture.machine)
    }

    #[test]
    fn errors_name_every_path_and_the_way_out() {
        let error = LibraryError::NotLoaded {
            attempts: vec![
                Attempt {
                    path: "/b/libedgetpu.so.1".into(),
                    failure: AttemptFailure::Missing,
                },
                Attempt {
                    path: "libedgetpu.so.1".into(),
                    failure: AttemptFailure::Refused {
                        dlerror: "cannot open shared object file".into(),
                    },
                },
            ],
        };
        assert_eq!(
            error.to_string(),
            "libedgetpu not loaded: libedgetpu.so.1: cannot open shared object file; /b/libedgetpu.so.1: no such file; \
             install libedgetpu1-std or name the file in CORALLITE_LIBEDGETPU"
        );
        let error = AttemptFailure::WrongArchitecture {
            found: Architecture {
                machine: EM_AARCH64,
                bits: 64,
                big_endian: false,
                soft_float: false,
            },
            expected: Architecture {
                machine: EM_X86_64,
                bits: 64,
                big_endian: false,
                soft_float: false,
            },
        };
        assert_eq!(
            error.to_string(),
            "library for aarch64, this program is x86-64"
        );
        assert_eq!(AttemptFailure::ZeroByte.to_string(), "zero byte in path");
        assert_eq!(
            LibraryError::StaticProgram.to_string(),
            "libedgetpu not loaded: this program is linked statically against musl and cannot load libraries; build it \
             for a glibc target"
        );
        let error = LibraryError::MissingSymbol {
            path: "/x.so".into(),
            symbol: "edgetpu_version",
        };
        assert_eq!(
            error.to_string(),
            "/x.so is no libedgetpu: it does not export edgetpu_version"
        );
    }

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
