//! For which processor a shared library is.
//!
//! glibc says "No such file or directory" of a library for another processor, so the header is read here. Layout and
//! numbers: System V ABI, ELF header; `e_machine` values of the gABI registry.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Word size and processor of an ELF file.
///
/// ```
/// use corallite::device::doctor::ElfIdentity;
/// assert_eq!(ElfIdentity { bits: 64, machine: 183 }.to_string(), "aarch64");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ElfIdentity {
    /// 32 or 64.
    pub bits: u8,
    /// `e_machine`.
    pub machine: u16,
}

/// Name, bits and `e_machine` of the processors that libedgetpu has been built for.
const KNOWN: [(&str, u8, u16); 5] = [
    ("x86", 32, 3),
    ("arm", 32, 40),
    ("x86_64", 64, 62),
    ("aarch64", 64, 183),
    ("riscv64", 64, 243),
];

impl ElfIdentity {
    /// Reads it from the start of a file. None: not an ELF file, or not readable.
    pub fn of_file(path: &Path) -> Option<Self> {
        let mut header = [0; 20];
        File::open(path).ok()?.read_exact(&mut header).ok()?;
        Self::of_header(&header)
    }

    /// What this program was compiled for. None: a processor this table does not have.
    pub fn of_this_program() -> Option<Self> {
        let (_, bits, machine) = *KNOWN
            .iter()
            .find(|(name, _, _)| *name == std::env::consts::ARCH)?;
        Some(Self { bits, machine })
    }

    fn of_header(header: &[u8; 20]) -> Option<Self> {
        let [0x7f, b'E', b'L', b'F', class, order, .., low, high] = *header else {
            return None;
        };
        let bits = match class {
            1 => 32,
            2 => 64,
            _ => return None,
        };
        let machine = match order {
            1 => u16::from_le_bytes([low, high]),
            2 => u16::from_be_bytes([low, high]),
            _ => return None,
        };
        Some(Self { bits, machine })
    }
}

impl fmt::Display for ElfIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KNOWN
            .iter()
            .find(|(_, bits, machine)| (*bits, *machine) == (self.bits, self.machine))
        {
            Some((name, _, _)) => f.write_str(name),
            None => write!(f, "{} bit processor number {}", self.bits, self.machine),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read() {
        // First 20 bytes of the libedgetpu.so.1.0 in google-coral/pycoral 9972f8e, libedgetpu_bin/direct.
        let k8 = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0";
        let mut header = k8;
        assert_eq!(
            ElfIdentity::of_header(&header).unwrap().to_string(),
            "x86_64"
        );
        header[18] = 183;
        assert_eq!(
            ElfIdentity::of_header(&header).unwrap().to_string(),
            "aarch64"
        );
        header[4] = 1;
        header[18] = 40;
        assert_eq!(ElfIdentity::of_header(&header).unwrap().to_string(), "arm");
        // Big endian MIPS.
        header[5] = 2;
        header[18..].copy_from_slice(&[0, 8]);
        assert_eq!(
            ElfIdentity::of_header(&header).unwrap().to_string(),
            "32 bit processor number 8"
        );
        for (position, wrong) in [(0, 0x7e), (4, 3), (5, 0)] {
            let mut header = k8;
            header[position] = wrong;
            assert_eq!(ElfIdentity::of_header(&header), None);
        }
    }

    #[test]
    fn this_program_is_what_it_was_compiled_for() {
        let own = std::env::current_exe().unwrap();
        assert_eq!(ElfIdentity::of_file(&own), ElfIdentity::of_this_program());
        assert_eq!(ElfIdentity::of_file("/nonexistent".as_ref()), None);
    }
}
