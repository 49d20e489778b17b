//! Reads of fewer than eight bytes without a loop.
#![expect(unsafe_code, reason = "reads that overlap in place of a loop")]

/// Reads `len` bytes, fewer than eight: the lowest bytes of the result in little-endian order, above which it is 0.
///
/// # Safety
/// `from` is valid for reading `len` bytes.
#[inline(always)]
pub unsafe fn read_few(from: *const u8, len: usize) -> u64 {
    match len {
        4..8 => {
            // SAFETY: there are at least four bytes.
            let first = unsafe { from.cast::<[u8; 4]>().read() };
            let end = from.wrapping_add(len - 4).cast::<[u8; 4]>();
            // SAFETY: as above; these end where the bytes end.
            let last = unsafe { end.read() };
            let last = u64::from(u32::from_le_bytes(last)) << (8 * (len - 4));
            last | u64::from(u32::from_le_bytes(first))
        }
        2 | 3 => {
            // SAFETY: there are at least two bytes.
            let first = unsafe { from.cast::<[u8; 2]>().read() };
            let end = from.wrapping_add(len - 2).cast::<[u8; 2]>();
            // SAFETY: as above; these end where the bytes end.
            let last = unsafe { end.read() };
            let last = u64::from(u16::from_le_bytes(last)) << (8 * (len - 2));
            last | u64::from(u16::from_le_bytes(first))
        }
        // SAFETY: there is a byte.
        1 => u64::from(unsafe { *from }),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_from_the_lowest_up() {
        let bytes = [1, 2, 3, 4, 5, 6, 7];
        let expected = [
            0,
            0x01,
            0x02_01,
            0x03_02_01,
            0x0403_0201,
            0x05_0403_0201,
            0x0605_0403_0201,
            0x07_0605_0403_0201,
        ];
        for (len, expected) in expected.into_iter().enumerate() {
            let exactly = bytes[..len].to_vec();
            // SAFETY: the vector has `len` bytes.
            assert_eq!(unsafe { read_few(exactly.as_ptr(), len) }, expected);
        }
    }
}
