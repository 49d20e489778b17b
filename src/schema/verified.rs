//! Verification of whole buffers, and bytes that carry the proof of it.
#![allow(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use flatbuffers::{
    ErrorTraceDetail, Follow, ForwardsUOffset, InvalidFlatbuffer, Verifiable, VerifierOptions,
};

/// A table that can be the root of a buffer, named by its form for the lifetime `'static`.
///
/// # Safety
/// The verifier of `At` checks everything that its accessors read.
pub unsafe trait Root: Verifiable {
    /// The table over bytes that live for `'a`.
    type At<'a>: Follow<'a, Inner = Self::At<'a>> + Verifiable + 'a;
    /// The four bytes behind the root offset, in formats that have them.
    const IDENTIFIER: Option<[u8; 4]>;
}

/// Why bytes were refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RootError {
    /// Shorter than the root offset and the file identifier.
    TooShort {
        /// Length of the bytes.
        len: usize,
    },
    /// Another format, or none.
    Identifier {
        /// The four bytes found.
        found: [u8; 4],
        /// The four bytes that the format has.
        expected: [u8; 4],
    },
    /// Offsets, lengths or strings that do not fit together.
    Invalid(InvalidFlatbuffer),
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RootError::TooShort { len } => {
                write!(
                    f,
                    "{len} bytes are too few for a FlatBuffer: is the file complete?"
                )
            }
            RootError::Identifier { found, expected } => write!(
                f,
                "file identifier is \"{}\", expected \"{}\": is this the right file?",
                found.escape_ascii(),
                expected.escape_ascii()
            ),
            RootError::Invalid(invalid) => {
                f.write_str("FlatBuffer is corrupt: ")?;
                fmt_invalid(f, invalid)
            }
        }
    }
}

impl Error for RootError {}

/// `invalid` on one line, with the way to the place from the root.
fn fmt_invalid(f: &mut fmt::Formatter<'_>, invalid: &InvalidFlatbuffer) -> fmt::Result {
    use InvalidFlatbuffer as I;
    let trace = match invalid {
        I::MissingRequiredField {
            required,
            error_trace,
        } => {
            write!(f, "required field {required} is missing")?;
            error_trace
        }
        I::InconsistentUnion {
            field,
            field_type,
            error_trace,
        } => {
            write!(f, "only one of {field} and {field_type} is present")?;
            error_trace
        }
        I::Utf8Error {
            range, error_trace, ..
        } => {
            write!(f, "string in bytes {range:?} is not UTF-8")?;
            error_trace
        }
        I::MissingNullTerminator { range, error_trace } => {
            write!(f, "string in bytes {range:?} has no terminator")?;
            error_trace
        }
        I::Unaligned {
            position,
            unaligned_type,
            error_trace,
        } => {
            write!(
                f,
                "value of type {unaligned_type} at byte {position} is not aligned"
            )?;
            error_trace
        }
        I::RangeOutOfBounds { range, error_trace } => {
            write!(
                f,
                "bytes {range:?} are beyond the end: is the file complete?"
            )?;
            error_trace
        }
        I::SignedOffsetOutOfBounds {
            soffset,
            position,
            error_trace,
        } => {
            write!(
                f,
                "offset {soffset} at byte {position} leads out of the file"
            )?;
            error_trace
        }
        I::TooManyTables => return f.write_str("it holds too many tables"),
        I::ApparentSizeTooLarge => {
            return f
                .write_str("its parts are shared so often that reading it would take too long");
        }
        I::DepthLimitReached => return f.write_str("its tables are nested too deeply"),
    };
    // Innermost first in the trace.
    for (i, step) in trace.as_ref().iter().rev().enumerate() {
        let separator = match (i, step) {
            (0, _) => " at ",
            (_, ErrorTraceDetail::TableField { .. }) => ".",
            _ => "",
        };
        f.write_str(separator)?;
        match step {
            ErrorTraceDetail::VectorElement { index, .. } => write!(f, "[{index}]")?,
            ErrorTraceDetail::TableField { field_name, .. } => f.write_str(field_name)?,
            ErrorTraceDetail::UnionVariant { variant, .. } => write!(f, "<{variant}>")?,
        }
    }
    Ok(())
}

/// Limits for a buffer of `len` bytes: tables nested 64 deep, a million tables, and no more than 16 visits per byte,
/// so that a small hostile file cannot keep the verifier busy. Models visit each byte about once.
pub fn verifier_options(len: usize) -> VerifierOptions {
    // Half of the address space: the verifier's own sum cannot overflow then.
    const MOST: usize = isize::MAX.unsigned_abs();
    VerifierOptions {
        max_depth: 64,
        max_tables: 1_000_000,
        max_apparent_size: len.saturating_mul(16).saturating_add(1 << 16).min(MOST),
        ignore_missing_null_terminator: false,
    }
}

/// Verifies `bytes` and returns the table at their root. [`Verified`] does the same once and keeps the proof.
///
/// # Errors
/// The file identifier is another, or the structure is broken.
pub fn read_root<'a, R: Root>(
    bytes: &'a [u8],
    options: &VerifierOptions,
) -> Result<R::At<'a>, RootError> {
    if bytes.len() < 8 {
        return Err(RootError::TooShort { len: bytes.len() });
    }
    let found = [bytes[4], bytes[5], bytes[6], bytes[7]];
    match R::IDENTIFIER {
        Some(expected) if expected != found => Err(RootError::Identifier { found, expected }),
        _ => flatbuffers::root_with_opts::<R::At<'a>>(options, bytes).map_err(RootError::Invalid),
    }
}

/// Something that holds bytes which stay as they are.
///
/// # Safety
/// As long as a value is not borrowed mutably, every call of `stable_bytes` returns the same contents, wherever the
/// value was moved and whatever other threads or processes do. (Of a mapped file this demands that nobody changes the
/// file; who implements it for a mapping has to say why that may be relied on.)
pub unsafe trait StableBytes {
    /// The bytes.
    fn stable_bytes(&self) -> &[u8];
}

// SAFETY: a vector's contents change only through a mutable borrow.
unsafe impl StableBytes for Vec<u8> {
    fn stable_bytes(&self) -> &[u8] {
        self
    }
}

// SAFETY: a shared slice does not change while it is borrowed.
unsafe impl StableBytes for &[u8] {
    fn stable_bytes(&self) -> &[u8] {
        self
    }
}

// SAFETY: the box adds nothing to what its contents promise.
unsafe impl<B: StableBytes + ?Sized> StableBytes for Box<B> {
    fn stable_bytes(&self) -> &[u8] {
        (**self).stable_bytes()
    }
}

// SAFETY: the count beside the contents adds nothing to what they promise.
unsafe impl<B: StableBytes + ?Sized> StableBytes for Arc<B> {
    fn stable_bytes(&self) -> &[u8] {
        (**self).stable_bytes()
    }
}

/// Bytes that were verified to be a buffer with an `R` at its root.
///
/// They are never lent mutably, so [`Verified::root`] needs no second look.
///
/// ```
/// use corallite::schema::tflite::VerifiedModel;
///
/// let error = VerifiedModel::new(b"not a model file".to_vec()).unwrap_err();
/// assert_eq!(error.to_string(), "file identifier is \"a mo\", expected \"TFL3\": is this the right file?");
/// ```
pub struct Verified<R: Root, B: StableBytes> {
    bytes: B,
    root: PhantomData<fn() -> R>,
}

impl<R: Root, B: StableBytes> Verified<R, B> {
    /// Verifies `bytes` within [`verifier_options`].
    ///
    /// # Errors
    /// The file identifier is another, or the structure is broken.
    pub fn new(bytes: B) -> Result<Self, RootError> {
        let options = verifier_options(bytes.stable_bytes().len());
        Self::with_options(bytes, &options)
    }

    /// Verifies `bytes` within limits of the caller's.
    ///
    /// # Errors
    /// As [`Verified::new`].
    pub fn with_options(bytes: B, options: &VerifierOptions) -> Result<Self, RootError> {
        read_root::<R>(bytes.stable_bytes(), options)?;
        Ok(Self {
            bytes,
            root: PhantomData,
        })
    }

    /// The table at the root.
    pub fn root(&self) -> R::At<'_> {
        let bytes = self.bytes.stable_bytes();
        // SAFETY: `with_options` verified these very contents (`StableBytes`) with the same type, and nobody had them
        // mutably since: the field is private and only ever lent shared.
        unsafe { <ForwardsUOffset<R::At<'_>>>::follow(bytes, 0) }
    }

    /// The bytes, those behind the FlatBuffer included.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.stable_bytes()
    }

    /// What holds the bytes.
    pub fn holder(&self) -> &B {
        &self.bytes
    }

    /// Gives the bytes back; the proof ends here.
    pub fn into_inner(self) -> B {
        self.bytes
    }
}

impl<R: Root, B: StableBytes> fmt::Debug for Verified<R, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("len", &self.bytes().len())
            .finish_non_exhaustive()
    }
}
