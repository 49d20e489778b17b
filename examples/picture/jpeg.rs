//! What has to be known of a JPEG file before it is decoded: whether it ends, and how much memory it takes.
//!
//! Source: ITU-T T.81, annex B: markers are 0xFF and a code; segments carry their length; in entropy-coded data 0xFF is
//! followed by 0x00 or a restart marker.

use std::io::{self, BufRead, Read};

/// The markers that matter here.
const START_OF_IMAGE: u8 = 0xD8;
const END_OF_IMAGE: u8 = 0xD9;
const START_OF_SCAN: u8 = 0xDA;
const PROGRESSIVE: [u8; 2] = [0xC2, 0xCA];

/// What the markers of a file tell.
pub struct Summary {
    /// Whether the end marker is there, after the first scan.
    pub is_complete: bool,
    /// What a progressive picture's coefficients take while it is decoded, in bytes.
    pub coefficient_bytes: u64,
}

/// Reads `source` up to the end marker, or to its end.
pub fn summarize(source: &mut impl BufRead) -> io::Result<Summary> {
    let mut summary = Summary {
        is_complete: false,
        coefficient_bytes: 0,
    };
    let mut in_scan = false;
    while let Some(marker) = next_marker(source)? {
        match marker {
            END_OF_IMAGE if in_scan => {
                summary.is_complete = true;
                break;
            }
            // Without a segment: stuffed zeros, fill bytes, restarts, start and end.
            0x00 | 0x01 | 0xD0..=START_OF_IMAGE | END_OF_IMAGE | 0xFF => {}
            _ => {
                in_scan |= marker == START_OF_SCAN;
                let mut length = [0; 2];
                if read_up_to(source, &mut length)? < length.len() {
                    break;
                }
                let mut rest = u64::from(u16::from_be_bytes(length).saturating_sub(2));
                if PROGRESSIVE.contains(&marker) {
                    // Precision, height, width, number of components.
                    let mut frame = [0; 6];
                    rest = rest.saturating_sub(read_up_to(source, &mut frame)? as u64);
                    let [_, high, low, wide, narrow, components] = frame.map(u64::from);
                    // Two bytes a coefficient; subsampled components have fewer.
                    summary.coefficient_bytes =
                        2 * (high << 8 | low) * (wide << 8 | narrow) * components;
                }
                io::copy(&mut source.by_ref().take(rest), &mut io::sink())?;
            }
        }
    }
    Ok(summary)
}

/// The code after the next 0xFF.
fn next_marker(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let (used, found) = match bytes.iter().position(|byte| *byte == 0xFF) {
            Some(at) => (at + 1, true),
            None => (bytes.len(), false),
        };
        source.consume(used);
        if found {
            // Any number of 0xFF may stand before a code.
            let mut code = [0xFF];
            while code == [0xFF] {
                if read_up_to(source, &mut code)? == 0 {
                    return Ok(None);
                }
            }
            return Ok(Some(code[0]));
        }
    }
}

/// Fills `buffer` as far as `source` goes.
fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
