//! The FlexBuffer map of custom options, read with every offset checked.
//!
//! A FlexBuffer ends with its root: the value, its packed type (type and, in the low two bits, the width of what it
//! points at as a power of two), and the value's own width. Offsets count back from where they stand. A vector is
//! preceded by its length; a map also by its key vector's offset and width; values are followed by one packed type
//! each. Source: the format notes of google/flatbuffers, `flexbuffers.h`.

use std::fmt;

/// FlexBuffers' type numbers.
const INT: u8 = 1;
const UINT: u8 = 2;
const FLOAT: u8 = 3;
const STRING: u8 = 5;
const MAP: u8 = 9;
const VECTOR: u8 = 10;
const VECTOR_INT: u8 = 11;
const VECTOR_UINT: u8 = 12;
const VECTOR_KEY: u8 = 14;
const VECTOR_STRING_DEPRECATED: u8 = 15;
const BLOB: u8 = 25;
const BOOL: u8 = 26;

/// More entries than this are in no compiled model (they have five).
const MAX_ENTRIES: usize = 64;
/// More elements than this are in no vector of one (they have one or none).
const MAX_ELEMENTS: usize = 1024;

/// A value of the map, as far as it matters.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// An integer; one beyond `i64` is its largest.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A string or blob.
    Bytes(&'a [u8]),
    /// A vector of this many integers, strings or blobs.
    Elements(usize),
}

impl Value<'_> {
    /// FlexBuffers' number of the type, one of those it can be.
    pub fn kind(&self) -> u8 {
        match self {
            Self::Integer(_) => INT,
            Self::Float(_) => FLOAT,
            Self::Bool(_) => BOOL,
            Self::Bytes(_) => STRING,
            Self::Elements(_) => VECTOR,
        }
    }
}

/// Why a buffer is no map, or none that is read here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlexBufferError {
    /// A part of it would lie outside of the buffer, or is malformed.
    Bounds {
        /// Which part.
        part: &'static str,
        /// Where that part should be, in bytes from the start.
        at: usize,
    },
    /// An entry of a type that no options have.
    Kind {
        /// Its key.
        key: String,
        /// FlexBuffers' number of the type found.
        found: u8,
    },
}

impl fmt::Display for FlexBufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounds { part, at } => write!(
                f,
                "custom options are no FlexBuffer map: {part} at byte {at} is out of bounds"
            ),
            Self::Kind { key, found } => write!(
                f,
                "custom options, entry {key:?}: found FlexBuffer type {found}, expected a number, a string or a vector"
            ),
        }
    }
}

impl std::error::Error for FlexBufferError {}

/// Reads the map at the root: keys in order, with their values.
///
/// # Errors
/// An offset, a length or a type that is not as the format says, or a value that is a map itself.
pub fn read_map(buffer: &[u8]) -> Result<Vec<(&[u8], Value<'_>)>, FlexBufferError> {
    let reader = Reader { buffer };
    let out = |part, at| FlexBufferError::Bounds { part, at };
    let (Some(&width), Some(&packed)) = (
        buffer.last(),
        buffer.len().checked_sub(2).and_then(|at| buffer.get(at)),
    ) else {
        return Err(out("root", 0));
    };
    let width = usize::from(width);
    let root = (buffer.len() - 2)
        .checked_sub(width)
        .filter(|_| [1, 2, 4, 8].contains(&width));
    let root = root.ok_or(out("root", buffer.len() - 1))?;
    if packed >> 2 != MAP {
        return Err(out("map", root));
    }
    let map = reader.target(root, width).ok_or(out("map", root))?;
    let width = 1 << (packed & 3);
    let (count, types) = reader
        .vector(map, width, MAX_ENTRIES)
        .ok_or(out("map", map))?;

    let back = |words: usize| map.checked_sub(words * width).ok_or(out("keys", map));
    let keys = reader.target(back(3)?, width).ok_or(out("keys", map))?;
    let key_width = reader.unsigned(back(2)?, width).ok_or(out("keys", map))?;
    if ![1, 2, 4, 8].contains(&key_width) {
        return Err(out("keys", keys));
    }
    // The same count, so that no key lies outside; keys have no packed types behind them.
    if keys
        .checked_sub(key_width)
        .and_then(|at| reader.unsigned(at, key_width))
        != Some(count)
    {
        return Err(out("keys", keys));
    }
    let mut entries: Vec<(&[u8], Value<'_>)> = Vec::with_capacity(count);
    for index in 0..count {
        let at = keys + index * key_width;
        let key = reader
            .target(at, key_width)
            .and_then(|at| reader.key(at))
            .ok_or(out("key", at))?;
        // libedgetpu looks keys up by bisection.
        if entries.last().is_some_and(|(last, _)| *last >= key) {
            return Err(out("order of keys", at));
        }
        let packed = *buffer.get(types + index).ok_or(out("type", types))?;
        let value = reader.value(map + index * width, width, packed, true);
        let value = value.map_err(|at| match at {
            Fault::Bounds(at) => out("value", at),
            Fault::Kind(found) => FlexBufferError::Kind {
                key: String::from_utf8_lossy(key).into_owned(),
                found,
            },
        })?;
        entries.push((key, value));
    }
    Ok(entries)
}

/// What is wrong with a value.
enum Fault {
    Bounds(usize),
    Kind(u8),
}

struct Reader<'a> {
    buffer: &'a [u8],
}

impl<'a> Reader<'a> {
    /// The `width` bytes at `at` as an unsigned number.
    fn word(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.buffer.get(at..at.checked_add(width)?)?;
        let mut word = [0; 8];
        word.get_mut(..width)?.copy_from_slice(bytes);
        Some(u64::from_le_bytes(word))
    }

    /// The unsigned number of `width` bytes at `at`, where this machine's words hold it.
    fn unsigned(&self, at: usize, width: usize) -> Option<usize> {
        usize::try_from(self.word(at, width)?).ok()
    }

    /// The signed number of `width` bytes at `at`.
    fn signed(&self, at: usize, width: usize) -> Option<i64> {
        let unused = 64 - 8 * u32::try_from(width).ok()?;
        Some((self.word(at, width)?.cast_signed() << unused) >> unused)
    }

    /// The floating-point number of 4 or 8 bytes at `at`.
    fn float(&self, at: usize, width: usize) -> Option<f64> {
        let word = self.word(at, width)?;
        match width {
            4 => Some(f32::from_bits(u32::try_from(word).ok()?).into()),
            8 => Some(f64::from_bits(word)),
            _ => None,
        }
    }

    /// Where the offset at `at` leads.
    fn target(&self, at: usize, width: usize) -> Option<usize> {
        at.checked_sub(self.unsigned(at, width)?)
    }

    /// The length of the vector at `at` and where its packed types begin, all within the buffer.
    fn vector(&self, at: usize, width: usize, most: usize) -> Option<(usize, usize)> {
        let count = self
            .unsigned(at.checked_sub(width)?, width)
            .filter(|&count| count <= most)?;
        let types = at.checked_add(count.checked_mul(width)?)?;
        (types.checked_add(count)? <= self.buffer.len()).then_some((count, types))
    }

    /// The key at `at`, which ends at a zero byte.
    fn key(&self, at: usize) -> Option<&'a [u8]> {
        let rest = self.buffer.get(at..)?;
        rest.get(..rest.iter().position(|&byte| byte == 0)?)
    }

    /// The bytes of the string or blob at `at`.
    fn bytes(&self, at: usize, width: usize) -> Option<&'a [u8]> {
        let len = self.unsigned(at.checked_sub(width)?, width)?;
        self.buffer.get(at..at.checked_add(len)?)
    }

    /// The value at `at`; its parent's words are `width` wide.
    fn value(
        &self,
        at: usize,
        width: usize,
        packed: u8,
        may_nest: bool,
    ) -> Result<Value<'a>, Fault> {
        let bounds = || Fault::Bounds(at);
        let inner = 1 << (packed & 3);
        let kind = packed >> 2;
        match kind {
            INT => self
                .signed(at, width)
                .map(Value::Integer)
                .ok_or_else(bounds),
            UINT | BOOL => {
                let word = self.word(at, width).ok_or_else(bounds)?;
                Ok(match kind {
                    BOOL => Value::Bool(word != 0),
                    _ => Value::Integer(i64::try_from(word).unwrap_or(i64::MAX)),
                })
            }
            FLOAT => self.float(at, width).map(Value::Float).ok_or_else(bounds),
            STRING | BLOB => {
                let place = self.target(at, width).ok_or_else(bounds)?;
                let bytes = self.bytes(place, inner).ok_or_else(bounds)?;
                // A string is followed by a zero byte.
                if kind == STRING && self.buffer.get(place + bytes.len()) != Some(&0) {
                    return Err(bounds());
                }
                Ok(Value::Bytes(bytes))
            }
            VECTOR if may_nest => {
                let place = self.target(at, width).ok_or_else(bounds)?;
                let (count, types) = self.vector(place, inner, MAX_ELEMENTS).ok_or_else(bounds)?;
                for index in 0..count {
                    let packed = *self.buffer.get(types + index).ok_or_else(bounds)?;
                    self.value(place + index * inner, inner, packed, false)?;
                }
                Ok(Value::Elements(count))
            }
            // Numbers without packed types; the keys and strings of the others are looked at one by one.
            VECTOR_INT | VECTOR_UINT | VECTOR_KEY | VECTOR_STRING_DEPRECATED if may_nest => {
                let place = self.target(at, width).ok_or_else(bounds)?;
                let count = place
                    .checked_sub(inner)
                    .and_then(|at| self.unsigned(at, inner));
                let count = count
                    .filter(|&count| count <= MAX_ELEMENTS)
                    .ok_or_else(bounds)?;
                for index in 0..count {
                    let at = place + index * inner;
                    let is_good = match kind {
                        VECTOR_INT | VECTOR_UINT => self.word(at, inner).is_some(),
                        VECTOR_KEY => self.target(at, inner).and_then(|at| self.key(at)).is_some(),
                        // Their lengths' width is not recorded: that is why they are deprecated.
                        _ => false,
                    };
                    if !is_good {
                        return Err(Fault::Bounds(at));
                    }
                }
                Ok(Value::Elements(count))
            }
            other => Err(Fault::Kind(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map as the compiler writes it, byte by byte: {"1": 0, "4": "abc", "6": [7]}.
    fn map() -> Vec<u8> {
        let mut bytes = b"1\x004\x006\x00".to_vec(); // keys at 0, 2, 4
        bytes.extend(b"\x03abc\x00"); // string: length at 6, text at 7, zero at 10
        bytes.extend([1, 7]); // vector of integers: length at 11, element at 12
        bytes.extend([3, 14, 13, 12]); // keys: length at 13; elements at 14, 15, 16, back to 0, 2, 4
        bytes.extend([3, 1, 3]); // map: keys at 17 - 3 = 14, their width, length
        bytes.extend([0, 14, 10]); // values at 20, 21 (back to 7), 22 (back to 12)
        bytes.extend([INT << 2, STRING << 2, VECTOR_INT << 2]);
        bytes.extend([6, MAP << 2, 1]); // root at 26, back to 20
        bytes
    }

    #[test]
    fn map_is_read_in_order() {
        let bytes = map();
        let entries = read_map(&bytes).expect("a map");
        let expected: [(&[u8], Value<'_>); 3] = [
            (b"1", Value::Integer(0)),
            (b"4", Value::Bytes(b"abc")),
            (b"6", Value::Elements(1)),
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn numbers_are_read_by_their_width() {
        let bytes = [254, 255, 0, 0, 128, 63, 1];
        let reader = Reader { buffer: &bytes };
        let value = |at, width, kind| reader.value(at, width, kind << 2, false).ok();
        assert_eq!(value(0, 1, INT), Some(Value::Integer(-2)));
        assert_eq!(value(0, 2, UINT), Some(Value::Integer(0xfffe)));
        assert_eq!(value(2, 4, FLOAT), Some(Value::Float(1.0)));
        assert_eq!(value(6, 1, BOOL), Some(Value::Bool(true)));
        assert_eq!(value(4, 4, FLOAT), None);
    }

    /// Each byte set to each value, and each length: a map or an error, never a panic.
    #[test]
    fn damaged_maps_are_refused_or_read_within_bounds() {
        let good = map();
        let mut refused = 0;
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut bytes = good.clone();
                bytes[place] = byte;
                refused += usize::from(read_map(&bytes).is_err());
            }
            assert!(read_map(&good[..place]).is_err(), "{place} bytes");
        }
        assert!(refused > 1000, "{refused}");
    }
}
