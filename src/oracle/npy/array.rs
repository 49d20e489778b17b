//! One array in memory: element type, shape and little-endian bytes in C order.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use bytemuck::Pod;

use super::NpyError;
use super::header::{self, Header};

/// The element type of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NpyType {
    /// `|b1`: one byte, 0 or 1.
    Bool,
    /// `|u1`
    U8,
    /// `|i1`
    I8,
    /// `<u2`
    U16,
    /// `<i2`
    I16,
    /// `<u4`
    U32,
    /// `<i4`
    I32,
    /// `<u8`
    U64,
    /// `<i8`
    I64,
    /// `<f2`: IEEE 754 half precision.
    F16,
    /// `<f4`
    F32,
    /// `<f8`
    F64,
    /// `<U{chars}`: text of at most `chars` Unicode characters, four bytes each, padded with zeros.
    Text {
        /// Characters in every element.
        chars: u16,
    },
}

/// A Rust type that elements can be viewed as.
pub trait NpyElement: Pod {
    /// The element type in the file.
    const TYPE: NpyType;
    /// Its name in messages: numpy's `descr`.
    const NAME: &'static str;
}

/// Implements [`NpyElement`] for a list of `rust type = variant, "numpy's name"`.
macro_rules! elements {
    ($($rust:ty = $variant:ident, $name:literal;)*) => {
        $(impl NpyElement for $rust {
            const TYPE: NpyType = NpyType::$variant;
            const NAME: &'static str = $name;
        })*
    };
}

elements! {
    u8 = U8, "|u1";
    i8 = I8, "|i1";
    u16 = U16, "<u2";
    i16 = I16, "<i2";
    u32 = U32, "<u4";
    i32 = I32, "<i4";
    u64 = U64, "<u8";
    i64 = I64, "<i8";
    f32 = F32, "<f4";
    f64 = F64, "<f8";
}

impl NpyType {
    /// The element type that numpy's `descr` names.
    ///
    /// # Errors
    ///
    /// A type that is big-endian where that matters, or that has no counterpart here.
    pub(super) fn from_descr(descr: &str) -> Result<Self, NpyError> {
        // A damaged header may hold up to 64 KiB between its quotes; a message wants its beginning.
        let shown = || descr.chars().take(32).collect::<String>();
        let unsupported = || NpyError::UnsupportedType { descr: shown() };
        let mut chars = descr.chars();
        let order = chars.next().ok_or_else(unsupported)?;
        let kind = match chars.as_str() {
            "b1" => NpyType::Bool,
            "u1" => NpyType::U8,
            "i1" => NpyType::I8,
            "u2" => NpyType::U16,
            "i2" => NpyType::I16,
            "u4" => NpyType::U32,
            "i4" => NpyType::I32,
            "u8" => NpyType::U64,
            "i8" => NpyType::I64,
            "f2" => NpyType::F16,
            "f4" => NpyType::F32,
            "f8" => NpyType::F64,
            other => {
                let chars = other
                    .strip_prefix('U')
                    .and_then(|chars| chars.parse().ok())
                    .filter(|chars| *chars > 0);
                let chars = chars.ok_or_else(unsupported)?;
                NpyType::Text { chars }
            }
        };
        match order {
            '<' => Ok(kind),
            '|' | '>' if kind.size() == 1 => Ok(kind),
            '>' => Err(NpyError::BigEndian { descr: shown() }),
            _ => Err(unsupported()),
        }
    }

    /// Bytes in one element.
    pub fn size(self) -> usize {
        match self {
            NpyType::Bool | NpyType::U8 | NpyType::I8 => 1,
            NpyType::U16 | NpyType::I16 | NpyType::F16 => 2,
            NpyType::U32 | NpyType::I32 | NpyType::F32 => 4,
            NpyType::U64 | NpyType::I64 | NpyType::F64 => 8,
            NpyType::Text { chars } => 4 * usize::from(chars),
        }
    }
}

/// Writes numpy's `descr`, such as `<i4`.
impl fmt::Display for NpyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NpyType::Bool => "|b1",
            NpyType::U8 => "|u1",
            NpyType::I8 => "|i1",
            NpyType::U16 => "<u2",
            NpyType::I16 => "<i2",
            NpyType::U32 => "<u4",
            NpyType::I32 => "<i4",
            NpyType::U64 => "<u8",
            NpyType::I64 => "<i8",
            NpyType::F16 => "<f2",
            NpyType::F32 => "<f4",
            NpyType::F64 => "<f8",
            NpyType::Text { chars } => return write!(f, "<U{chars}"),
        })
    }
}

/// An array as `numpy.load` would return it, always in C order (last axis fastest).
///
/// ```
/// use corallite::oracle::npy::{NpyArray, NpyType};
///
/// let array = NpyArray::from_slice(&[1_i16, -2, 3, -4, 5, -6], &[2, 3])?;
/// let bytes = array.to_bytes()?;
/// let again = NpyArray::from_bytes(&bytes)?;
/// assert_eq!(again.dtype, NpyType::I16);
/// assert_eq!(again.shape, [2, 3]);
/// assert_eq!(*again.as_slice::<i16>()?, [1, -2, 3, -4, 5, -6]);
/// # Ok::<(), corallite::oracle::npy::NpyError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpyArray {
    /// The type of every element.
    pub dtype: NpyType,
    /// The length of every axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements: little-endian, C order, `dtype.size()` times the product of `shape` bytes.
    pub data: Vec<u8>,
}

impl NpyArray {
    /// An array with a copy of `elements`, of shape `shape`.
    ///
    /// # Errors
    ///
    /// The product of `shape` is not the number of elements, or it has more than 32 axes.
    pub fn from_slice<T: NpyElement>(elements: &[T], shape: &[usize]) -> Result<Self, NpyError> {
        let array = NpyArray {
            dtype: T::TYPE,
            shape: shape.to_vec(),
            data: bytemuck::cast_slice(elements).to_vec(),
        };
        array.check().map(|()| array)
    }

    /// Reads the array in the file at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is not in the format, is shorter or longer than its shape says, or has elements of a type
    /// not supported here. The message names the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NpyError> {
        let path = path.as_ref();
        let read = || {
            let mut file = File::open(path)?;
            let metadata = file.metadata()?;
            let available = metadata.is_file().then_some(metadata.len());
            read_array(&mut file, available)
        };
        read().map_err(|error| error.in_file(path))
    }

    /// Reads the array that `bytes` are, to their end.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NpyError> {
        let mut reader = bytes;
        read_array(&mut reader, u64::try_from(bytes.len()).ok())
    }

    /// Reads an array from `reader`, to its end.
    ///
    /// Memory grows with what is read, never with what the header claims.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_from(mut reader: impl Read) -> Result<Self, NpyError> {
        read_array(&mut reader, None)
    }

    /// Writes the file at `path`, byte for byte as `numpy.save` would.
    ///
    /// # Errors
    ///
    /// The file cannot be written, or the fields of the array contradict each other.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), NpyError> {
        let path = path.as_ref();
        let write = || {
            self.check()?;
            let mut writer = BufWriter::new(File::create(path)?);
            self.write_to(&mut writer)?;
            Ok(writer.flush()?)
        };
        write().map_err(|error: NpyError| error.in_file(path))
    }

    /// Writes the array to `writer`, byte for byte as `numpy.save` would.
    ///
    /// # Errors
    ///
    /// The writer fails, or the fields of the array contradict each other.
    pub fn write_to(&self, mut writer: impl Write) -> Result<(), NpyError> {
        self.check()?;
        writer.write_all(&header::write(self.dtype, &self.shape))?;
        Ok(writer.write_all(&self.data)?)
    }

    /// The bytes that `numpy.save` would write.
    ///
    /// # Errors
    ///
    /// The fields of the array contradict each other.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NpyError> {
        self.check()?;
        let mut bytes = header::write(self.dtype, &self.shape);
        bytes
            .try_reserve_exact(self.data.len())
            .map_err(|_| NpyError::OutOfMemory {
                bytes: self.data.len(),
            })?;
        bytes.extend_from_slice(&self.data);
        Ok(bytes)
    }

    /// The elements as Rust values: borrowed, or copied where the bytes happen not to be aligned for `T`.
    ///
    /// # Errors
    ///
    /// The elements are of another type.
    pub fn as_slice<T: NpyElement>(&self) -> Result<Cow<'_, [T]>, NpyError> {
        if self.dtype != T::TYPE {
            return Err(NpyError::Type {
                found: self.dtype,
                expected: T::NAME,
            });
        }
        self.check()?;
        Ok(match bytemuck::try_cast_slice(&self.data) {
            Ok(elements) => Cow::Borrowed(elements),
            Err(_) => {
                let mut elements = vec![T::zeroed(); self.len()];
                bytemuck::cast_slice_mut::<T, u8>(&mut elements).copy_from_slice(&self.data);
                Cow::Owned(elements)
            }
        })
    }

    /// The elements as `f32`, rounded to nearest where the type holds more; `bool` as 0 and 1.
    ///
    /// # Errors
    ///
    /// The elements are text.
    pub fn to_f32_vec(&self) -> Result<Vec<f32>, NpyError> {
        self.check()?;
        // Every `as` below rounds to nearest, ties to even, or is exact.
        Ok(match self.dtype {
            NpyType::Bool => self
                .data
                .iter()
                .map(|byte| f32::from(u8::from(*byte != 0)))
                .collect(),
            NpyType::U8 => self.data.iter().map(|byte| f32::from(*byte)).collect(),
            NpyType::I8 => self
                .as_slice::<i8>()?
                .iter()
                .map(|value| f32::from(*value))
                .collect(),
            NpyType::U16 => self
                .as_slice::<u16>()?
                .iter()
                .map(|value| f32::from(*value))
                .collect(),
            NpyType::I16 => self
                .as_slice::<i16>()?
                .iter()
                .map(|value| f32::from(*value))
                .collect(),
            NpyType::U32 => self
                .as_slice::<u32>()?
                .iter()
                .map(|value| *value as f32)
                .collect(),
            NpyType::I32 => self
                .as_slice::<i32>()?
                .iter()
                .map(|value| *value as f32)
                .collect(),
            NpyType::U64 => self
                .as_slice::<u64>()?
                .iter()
                .map(|value| *value as f32)
                .collect(),
            NpyType::I64 => self
                .as_slice::<i64>()?
                .iter()
                .map(|value| *value as f32)
                .collect(),
            NpyType::F16 => {
                let (halves, _) = self.data.as_chunks::<2>();
                halves
                    .iter()
                    .map(|half| half_to_f32(u16::from_le_bytes(*half)))
                    .collect()
            }
            NpyType::F32 => self.as_slice::<f32>()?.into_owned(),
            NpyType::F64 => self
                .as_slice::<f64>()?
                .iter()
                .map(|value| *value as f32)
                .collect(),
            NpyType::Text { .. } => {
                return Err(NpyError::Type {
                    found: self.dtype,
                    expected: "numbers",
                });
            }
        })
    }

    /// The elements of a text array, without the padding.
    ///
    /// # Errors
    ///
    /// The elements are not text, or hold codes that are no Unicode characters.
    pub fn to_strings(&self) -> Result<Vec<String>, NpyError> {
        self.check()?;
        let NpyType::Text { chars } = self.dtype else {
            return Err(NpyError::Type {
                found: self.dtype,
                expected: "text",
            });
        };
        let chars = usize::from(chars);
        let (codes, _) = self.data.as_chunks::<4>();
        (0..self.len())
            .map(|index| {
                let element = codes
                    .get(index * chars..(index + 1) * chars)
                    .unwrap_or_default();
                let used = element
                    .iter()
                    .rposition(|code| *code != [0; 4])
                    .map_or(0, |last| last + 1);
                element[..used]
                    .iter()
                    .map(|code| {
                        let code = u32::from_le_bytes(*code);
                        char::from_u32(code).ok_or(NpyError::Text { index, code })
                    })
                    .collect()
            })
            .collect()
    }

    /// The number of elements: the product of the shape, 1 for a scalar.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |product: usize, dimension| {
            product.saturating_mul(*dimension)
        })
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether the three fields, which anybody can set, agree.
    fn check(&self) -> Result<(), NpyError> {
        let bytes = byte_count(self.dtype, &self.shape)?;
        if bytes != self.data.len() {
            return Err(NpyError::Length {
                shape: self.shape.clone(),
                expected: self.len(),
                found: self
                    .data
                    .len()
                    .checked_div(self.dtype.size())
                    .unwrap_or_default(),
            });
        }
        Ok(())
    }
}

/// Bytes of all elements.
fn byte_count(dtype: NpyType, shape: &[usize]) -> Result<usize, NpyError> {
    if shape.len() > header::RANK_LIMIT {
        return Err(NpyError::Rank {
            found: shape.len(),
            limit: header::RANK_LIMIT,
        });
    }
    if shape.contains(&0) {
        return Ok(0);
    }
    shape
        .iter()
        .try_fold(dtype.size(), |bytes, dimension| {
            bytes.checked_mul(*dimension)
        })
        // No allocation may be larger.
        .filter(|bytes| isize::try_from(*bytes).is_ok())
        .ok_or_else(|| NpyError::ShapeOverflow {
            shape: shape.to_vec(),
            dtype,
        })
}

/// Reads header and elements; `available` is the length of the whole where it is known.
fn read_array(reader: &mut impl Read, available: Option<u64>) -> Result<NpyArray, NpyError> {
    let mut counted = Counted { reader, count: 0 };
    let Header {
        dtype,
        fortran_order,
        shape,
    } = header::read(&mut counted)?;
    let expected = byte_count(dtype, &shape)?;
    let data = match available {
        Some(available) => {
            let found =
                usize::try_from(available.saturating_sub(counted.count)).unwrap_or(usize::MAX);
            if found < expected {
                return Err(NpyError::DataTruncated { expected, found });
            }
            let mut data = Vec::new();
            data.try_reserve_exact(expected)
                .map_err(|_| NpyError::OutOfMemory { bytes: expected })?;
            read_elements(&mut counted, data, expected)?
        }
        None => read_elements(&mut counted, Vec::new(), expected)?,
    };
    if header::read_up_to(&mut counted, &mut [0])? > 0 {
        return Err(NpyError::TrailingBytes { expected });
    }
    // With one axis the two orders are the same.
    let data = if fortran_order && shape.len() > 1 {
        to_c_order(&data, &shape, dtype.size())?
    } else {
        data
    };
    Ok(NpyArray { dtype, shape, data })
}

/// Appends to `data` until it has `expected` bytes.
fn read_elements(
    reader: &mut impl Read,
    mut data: Vec<u8>,
    expected: usize,
) -> Result<Vec<u8>, NpyError> {
    let limit = u64::try_from(expected).unwrap_or(u64::MAX);
    let found = reader.take(limit).read_to_end(&mut data)?;
    if found < expected {
        return Err(NpyError::DataTruncated { expected, found });
    }
    Ok(data)
}

/// The elements, of `size` bytes each, with the last axis fastest instead of the first.
fn to_c_order(data: &[u8], shape: &[usize], size: usize) -> Result<Vec<u8>, NpyError> {
    let mut ordered = Vec::new();
    ordered
        .try_reserve_exact(data.len())
        .map_err(|_| NpyError::OutOfMemory { bytes: data.len() })?;
    let strides: Vec<usize> = shape
        .iter()
        .scan(size, |stride, dimension| {
            let here = *stride;
            *stride *= dimension;
            Some(here)
        })
        .collect();
    let mut index = vec![0_usize; shape.len()];
    let mut offset = 0;
    while ordered.len() < data.len() {
        ordered.extend_from_slice(&data[offset..offset + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            offset += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            offset -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    Ok(ordered)
}

/// The value of an IEEE 754 half-precision number, which `f32` holds exactly.
fn half_to_f32(half: u16) -> f32 {
    let sign = u32::from(half >> 15) << 31;
    let exponent = u32::from(half >> 10) & 0x1f;
    let fraction = u32::from(half) & 0x3ff;
    match exponent {
        // Zero and subnormals: fraction times 2^-24.
        0 => {
            let magnitude = f32::from(half & 0x3ff) / 16_777_216.0;
            if sign == 0 { magnitude } else { -magnitude }
        }
        0x1f => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // The bias changes from 15 to 127.
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// A reader that counts what went through it.
struct Counted<'a, R> {
    reader: &'a mut R,
    count: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}
