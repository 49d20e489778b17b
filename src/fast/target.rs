//! Plain loops, compiled for the machine's instructions.

use super::KernelChoice;
use super::lanes::{Lanes, Work};

#[cfg(target_arch = "x86_64")]
use super::Isa;
#[cfg(target_arch = "x86_64")]
use super::lanes::{Avx2, Avx512Bw, Avx512Vbmi, LookUp};

/// What a loop that the compiler vectorises by itself is compiled for.
///
/// Its numbers are those of the same loop compiled for any machine: Rust neither reorders nor contracts float operations.
#[derive(Debug, Clone, Copy)]
pub struct Target(Compiled);

/// The instruction sets beyond the build's own target that make such loops faster.
#[derive(Debug, Clone, Copy)]
enum Compiled {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512Bw),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    AnyMachine,
}

impl Target {
    /// What `choice` allows on this machine: nothing beyond the build's own target for the reference kernels.
    pub fn new(choice: KernelChoice) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = choice.allows(Isa::Avx512Vnni) || choice.allows(Isa::Avx512Bw);
            if let Some(lanes) = Avx512Bw::detect().filter(|_| avx512) {
                return Self(Compiled::Avx512(lanes));
            }
            if let Some(lanes) = Avx2::detect().filter(|_| choice.allows(Isa::Avx2)) {
                return Self(Compiled::Avx2(lanes));
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = choice;
        Self(Compiled::AnyMachine)
    }

    /// Runs `work`, which should be one loop, with everything it calls small enough to be inlined.
    #[inline(always)]
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Compiled::Avx512(lanes) => lanes.run(Loop(work)),
            #[cfg(target_arch = "x86_64")]
            Compiled::Avx2(lanes) => lanes.run(Loop(work)),
            Compiled::AnyMachine => work(),
        }
    }

    /// Writes the entry of `table` for each byte of `from`, which is as long as `to`.
    pub fn look_up(self, table: &[u8; 256], from: &[u8], to: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.vbmi() {
            return lanes.look_up(table, from, to);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.avx2() {
            return lanes.look_up(table, from, to);
        }
        for (to, &from) in to.iter_mut().zip(from) {
            *to = table[usize::from(from)];
        }
    }

    /// Replaces each byte by its entry of `table`.
    pub fn look_up_in_place(self, table: &[u8; 256], bytes: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.vbmi() {
            return lanes.look_up_in_place(table, bytes);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(lanes) = self.avx2() {
            return lanes.look_up_in_place(table, bytes);
        }
        for byte in bytes {
            *byte = table[usize::from(*byte)];
        }
    }

    /// Some machines with AVX-512 have it.
    #[cfg(target_arch = "x86_64")]
    fn vbmi(self) -> Option<Avx512Vbmi> {
        match self.0 {
            Compiled::Avx512(_) => Avx512Vbmi::detect(),
            _ => None,
        }
    }

    /// Machines with AVX-512 have AVX2, too.
    #[cfg(target_arch = "x86_64")]
    fn avx2(self) -> Option<Avx2> {
        match self.0 {
            Compiled::Avx2(lanes) => Some(lanes),
            Compiled::Avx512(_) => Avx2::detect(),
            Compiled::AnyMachine => None,
        }
    }
}

#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "the build's own target has what helps")
)]
struct Loop<F>(F);

impl<R, F: FnOnce() -> R> Work for Loop<F> {
    type Output = R;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> R {
        (self.0)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::Isa;

    #[test]
    fn reference_kernels_are_compiled_for_any_machine() {
        for choice in [KernelChoice::Reference, KernelChoice::Only(Isa::Portable)] {
            assert!(matches!(Target::new(choice).0, Compiled::AnyMachine));
        }
    }

    #[test]
    fn look_up_gives_every_entry_on_every_target() {
        // A permutation of the bytes, and lengths with and without a rest.
        let table: [u8; 256] = std::array::from_fn(|i| (i * 167 + 13) as u8);
        let only = Isa::ALL.iter().map(|&isa| KernelChoice::Only(isa));
        for choice in only.chain([KernelChoice::Reference, KernelChoice::Fastest]) {
            for len in [0, 1, 31, 32, 33, 64, 300, 512] {
                let from: Vec<u8> = (0..len).map(|i| (i * 3) as u8).collect();
                let expected: Vec<u8> = from.iter().map(|&byte| table[byte as usize]).collect();
                let mut found = vec![0x55; len];
                Target::new(choice).look_up(&table, &from, &mut found);
                assert_eq!(found, expected, "{choice:?}, {len} bytes");
                let mut found = from;
                Target::new(choice).look_up_in_place(&table, &mut found);
                assert_eq!(found, expected, "{choice:?}, {len} bytes in place");
            }
        }
    }

    #[test]
    fn work_runs_once_on_every_target() {
        let choices = [KernelChoice::Reference, KernelChoice::Fastest];
        let only = Isa::ALL.iter().map(|&isa| KernelChoice::Only(isa));
        for choice in choices.into_iter().chain(only) {
            let mut count = 0;
            Target::new(choice).run(|| count += 1);
            assert_eq!(count, 1, "{choice:?}");
        }
    }
}
