//! Corrupts model files where it matters: in the fields of their tables, in counts, indices and small constants.
//!
//! Random bits mostly break a FlatBuffer's offsets, which the verifier refuses at once. These mutants keep the frame and
//! change what is in it, so that they reach the layers behind. The fuzz targets use the same mutator.

mod walk;

pub use walk::{Site, sites};

/// A small generator with a state of one word: xorshift64*, Vigna 2016.
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 where there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 {
            return 0;
        }
        (self.next() >> 16) as usize % limit
    }
}

/// Changes one to four fields of `file`, in place. Files that are no models get their bytes changed.
pub fn mutate(file: &mut [u8], random: &mut Random) {
    let sites = sites(file);
    for _ in 0..1 + random.below(4) {
        if sites.is_empty() {
            let len = file.len();
            if let Some(byte) = file.get_mut(random.below(len)) {
                *byte = random.next() as u8;
            }
            continue;
        }
        let site = &sites[random.below(sites.len())];
        change(file, site, &sites, random);
    }
}

/// Gives one field another value: one at an edge, a neighbour of its own, or that of another field as wide.
fn change(file: &mut [u8], site: &Site, sites: &[Site], random: &mut Random) {
    let bits = 8 * site.width as u32;
    let old = read(file, site);
    let largest = u64::MAX >> (64 - bits);
    let value = match random.below(8) {
        0 => 0,
        1 => largest,
        2 => largest >> 1,
        3 => (largest >> 1) + 1,
        4 => old.wrapping_add(1 + random.below(3) as u64),
        5 => old.wrapping_sub(1 + random.below(3) as u64),
        6 => match sites.get(random.below(sites.len())) {
            Some(other) if other.width == site.width => read(file, other),
            _ => random.next() & 0xff,
        },
        _ => random.next(),
    };
    let end = site.position + site.width;
    if let Some(to) = file.get_mut(site.position..end) {
        to.copy_from_slice(&value.to_le_bytes()[..site.width]);
    }
}

fn read(file: &[u8], site: &Site) -> u64 {
    let mut word = [0; 8];
    if let Some(from) = file.get(site.position..site.position + site.width) {
        word[..site.width].copy_from_slice(from);
    }
    u64::from_le_bytes(word)
}
