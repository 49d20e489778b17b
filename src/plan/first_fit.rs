//! A place for one more allocation beside those that are there.

use super::ALIGNMENT;
use std::ops::Range;

/// The lowest offset from `base` on, a multiple of [`ALIGNMENT`] as `base` is, at which `bytes` bytes meet none of
/// `occupied`, which is in order of start. `None` where the end would be beyond the address space.
///
/// ```
/// use corallite::plan::first_fit;
/// // 32 bytes do not fit between 16 and 32, but after 48.
/// assert_eq!(first_fit(&[0..16, 32..48], 0, 32), Some(48));
/// assert_eq!(first_fit(&[0..16, 32..48], 0, 10), Some(16));
/// ```
pub fn first_fit(occupied: &[Range<usize>], base: usize, bytes: usize) -> Option<usize> {
    let mut offset = base;
    for range in occupied {
        if offset.checked_add(bytes)? <= range.start {
            break;
        }
        offset = offset.max(range.end.checked_next_multiple_of(ALIGNMENT)?);
    }
    let end = offset.checked_add(bytes)?;
    (end <= isize::MAX as usize).then_some(offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_used_and_starts_are_aligned() {
        assert_eq!(first_fit(&[], 64, 5), Some(64));
        // Ranges below the base and within others do not matter.
        assert_eq!(first_fit(&[0..200, 32..48], 64, 5), Some(208));
        assert_eq!(first_fit(&[64..70, 96..100], 64, 16), Some(80));
        assert_eq!(first_fit(&[64..70, 96..100], 64, 17), Some(112));
    }

    #[test]
    fn sizes_beyond_the_address_space_are_refused() {
        assert_eq!(first_fit(&[], 16, usize::MAX), None);
    }
}
