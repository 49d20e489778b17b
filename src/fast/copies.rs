//! Loops that read an operand and write the result apart, of an operand that lies where the result lies.

use bytemuck::Pod;

/// Bytes that are copied at once.
const BYTES: usize = 1024;

/// Whether as many elements are copied at once.
pub fn copies_hold<E>(unit: usize) -> bool {
    unit.saturating_mul(size_of::<E>()) <= BYTES
}

/// Calls `job` with block after block of `output`, whole units until the last: the place where it begins, a copy of what it held,
/// and the block.
#[inline(always)]
pub fn over_copies<E: Pod>(
    output: &mut [E],
    unit: usize,
    mut job: impl FnMut(usize, &[E], &mut [E]),
) {
    let mut words = [0u64; BYTES / size_of::<u64>()];
    let copy: &mut [E] = bytemuck::cast_slice_mut(&mut words);
    let unit = unit.max(1);
    let len = (copy.len() / unit * unit).max(1);
    for (number, block) in output.chunks_mut(len).enumerate() {
        let copy = &mut copy[..block.len()];
        copy.copy_from_slice(block);
        job(number * len, copy, block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_whole_units_cover_the_output_beside_what_they_held() {
        let held = |place: usize| place as u32 * 3;
        for unit in [1, 7, 256] {
            for len in [0, 1, 255, 256, 257, 1700] {
                let mut output: Vec<u32> = (0..len).map(held).collect();
                over_copies(&mut output, unit, |first, copy, block| {
                    assert_eq!((first % unit, copy.len()), (0, block.len()));
                    for (place, (to, &copy)) in (first..).zip(block.iter_mut().zip(copy)) {
                        assert_eq!(copy, held(place));
                        *to = place as u32;
                    }
                });
                assert!(output.into_iter().eq(0..len as u32), "{len} of {unit}");
            }
        }
    }

    #[test]
    fn units_have_to_fit() {
        assert!(copies_hold::<u32>(256) && copies_hold::<u8>(1024));
        assert!(!copies_hold::<u32>(257) && !copies_hold::<u64>(usize::MAX));
    }
}
