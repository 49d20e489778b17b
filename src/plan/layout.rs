//! Offsets for tensors in one arena: largest first, each at the lowest place that is free for its whole life.
//!
//! The method is "greedy by size" of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference"
//! (arXiv 2001.03288, section 5.2), which TFLite's arena planner uses too.

use super::Lifetime;

/// Every allocation starts at a multiple of this many bytes.
pub const ALIGNMENT: usize = 16;

/// Bytes needed during a lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// How many bytes.
    pub bytes: usize,
    /// When.
    pub life: Lifetime,
}

/// Offsets of allocations and the size of the arena that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Byte offset of each allocation, in the order they were given.
    pub offsets: Vec<usize>,
    /// Bytes of the arena, a multiple of [`ALIGNMENT`].
    pub bytes: usize,
}

/// Places all allocations, or returns `None` when the arena would be larger than the address space.
///
/// ```
/// use corallite::plan::{Allocation, Lifetime, layout};
/// let at = |bytes, first, last| Allocation { bytes, life: Lifetime { first, last } };
/// // The first and the last never live together and share a place.
/// let plan = layout(&[at(64, 0, 1), at(32, 1, 2), at(64, 2, 3)]).unwrap();
/// assert_eq!(plan.offsets, [0, 64, 0]);
/// assert_eq!(plan.bytes, 96);
/// ```
pub fn layout(allocations: &[Allocation]) -> Option<Layout> {
    let mut order: Vec<usize> = (0..allocations.len()).collect();
    order.sort_by_key(|&i| {
        (
            std::cmp::Reverse(allocations[i].bytes),
            allocations[i].life.first,
            i,
        )
    });
    let mut offsets = vec![0; allocations.len()];
    // Placed allocations by offset.
    let mut placed: Vec<(usize, usize, Lifetime)> = Vec::with_capacity(allocations.len());
    let mut total = 0;
    for i in order {
        let Allocation { bytes, life } = allocations[i];
        let size = bytes.checked_next_multiple_of(ALIGNMENT)?;
        if size == 0 {
            continue;
        }
        let mut offset: usize = 0;
        for &(start, end, other) in &placed {
            if life.overlaps(other) {
                if offset.checked_add(size)? <= start {
                    break;
                }
                offset = offset.max(end);
            }
        }
        let end = offset
            .checked_add(size)
            .filter(|&end| end <= isize::MAX as usize)?;
        let at = placed.partition_point(|&(start, ..)| start < offset);
        placed.insert(at, (offset, end, life));
        offsets[i] = offset;
        total = total.max(end);
    }
    Some(Layout {
        offsets,
        bytes: total,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of reproducible numbers (SplitMix64).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    #[test]
    fn allocations_alive_together_never_overlap() {
        let problems = if cfg!(miri) { 10 } else { 200 };
        for seed in 0..problems {
            let mut state = seed;
            let count = 1 + next(&mut state) as usize % 40;
            let allocations: Vec<Allocation> = (0..count)
                .map(|_| {
                    let first = next(&mut state) as usize % 30;
                    let last = first + next(&mut state) as usize % 8;
                    Allocation {
                        bytes: next(&mut state) as usize % 500,
                        life: Lifetime { first, last },
                    }
                })
                .collect();
            let plan = layout(&allocations).expect("small");
            for (i, a) in allocations.iter().enumerate() {
                assert!(plan.offsets[i] + a.bytes <= plan.bytes, "seed {seed}");
                assert_eq!(plan.offsets[i] % ALIGNMENT, 0, "seed {seed}");
                for (j, b) in allocations.iter().enumerate().skip(i + 1) {
                    let apart = plan.offsets[i] + a.bytes <= plan.offsets[j]
                        || plan.offsets[j] + b.bytes <= plan.offsets[i];
                    assert!(
                        apart || !a.life.overlaps(b.life),
                        "seed {seed}: {i} and {j}"
                    );
                }
            }
        }
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        let life = Lifetime { first: 0, last: 0 };
        let huge = Allocation {
            bytes: isize::MAX as usize,
            life,
        };
        assert_eq!(layout(&[huge, huge]), None);
    }
}
