//! The checksum of ZIP: CRC-32 with the reflected polynomial 0xEDB88320 (APPNOTE.TXT 4.4.7).

const TABLE: [u32; 256] = table();

/// The checksum of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE[usize::from(low ^ byte)]
    })
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut crc = 0_u32;
    let mut index = 0;
    while index < 256 {
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
        crc = index as u32; // at most 256
    }
    table
}

#[cfg(test)]
mod tests {
    use super::crc32;

    /// The check value of the CRC catalogue for CRC-32/ISO-HDLC, and the empty string.
    #[test]
    fn crc32_has_the_published_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
