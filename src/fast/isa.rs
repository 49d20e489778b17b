//! Names of the instruction sets that kernels are written for.

use std::fmt;

/// An instruction set, as kernel names, logs and options spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isa {
    /// x86-64 with AVX-512 VNNI: four byte products a lane in one instruction.
    Avx512Vnni,
    /// x86-64 with AVX-512 BW.
    Avx512Bw,
    /// x86-64 with AVX2.
    Avx2,
    /// aarch64 with the dot products of Armv8.2: four byte products a lane in one instruction.
    Dotprod,
    /// aarch64 with NEON.
    Neon,
    /// Plain Rust that the compiler vectorises for its target.
    Portable,
}

impl Isa {
    /// Every instruction set, best first.
    pub const ALL: &[Self] = &[
        Self::Avx512Vnni,
        Self::Avx512Bw,
        Self::Avx2,
        Self::Dotprod,
        Self::Neon,
        Self::Portable,
    ];

    /// The name in options and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bw => "avx512bw",
            Self::Avx2 => "avx2",
            Self::Dotprod => "dotprod",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
