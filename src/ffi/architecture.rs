//! The machine that an ELF file is for.

use std::fmt;
use std::io::Read;
use std::path::Path;

/// What an ELF file says about the machine it is for.
///
/// ```
/// use corallite::ffi::Architecture;
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
pub(super) const EM_386: u16 = 3;
pub(super) const EM_ARM: u16 = 40;
pub(super) const EM_X86_64: u16 = 62;
pub(super) const EM_AARCH64: u16 = 183;
pub(super) const EM_RISCV: u16 = 243;
/// `e_flags` bit of a soft-float Arm object (ELF for the Arm Architecture).
const EF_ARM_ABI_FLOAT_SOFT: u32 = 0x200;
/// Size of a 32-bit ELF header, the shorter one.
pub(super) const ELF_HEADER_LEN: usize = 52;

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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::ffi) fn header(class: u8, machine: u16, flags: u32) -> [u8; ELF_HEADER_LEN] {
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
}
