//! What the generated accessors are written with: flatbuffers' types, and our own where the format is read more
//! leniently than that crate does.
//!
//! Scalars of eight bytes are accepted at multiples of four. Some real models hold int64 vectors at such places; TFLite
//! loads them, and reading goes byte by byte anyway.
#![allow(unsafe_code)]

pub(super) use flatbuffers::{
    Follow, ForwardsUOffset, InvalidFlatbuffer, SimpleToVerifyInSlice, Table, Vector, Verifiable,
    Verifier, VerifierOptions,
};
pub(super) use std::fmt;

use flatbuffers::{TableVerifier, VOffsetT};

/// Reads `N` bytes at `loc`, which the verifier has found to be in `buf`.
pub(super) fn read_bytes<const N: usize>(buf: &[u8], loc: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&buf[loc..loc + N]);
    bytes
}

/// Defines a scalar of eight bytes that is content with an alignment of four; it reads as `$number`.
macro_rules! scalar_of_eight_bytes {
    ($(#[$doc:meta])* $name:ident, $number:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[repr(transparent)]
        pub struct $name([u8; 8]);
        impl<'a> Follow<'a> for $name {
            type Inner = $number;
            unsafe fn follow(buf: &'a [u8], loc: usize) -> $number {
                <$number>::from_le_bytes(read_bytes(buf, loc))
            }
        }
        impl Verifiable for $name {
            fn run_verifier(v: &mut Verifier<'_, '_>, pos: usize) -> Result<(), InvalidFlatbuffer> {
                v.in_buffer::<[u32; 2]>(pos)
            }
        }
        impl SimpleToVerifyInSlice for $name {}
    };
}

scalar_of_eight_bytes!(
    /// A stored `long`; vectors of it yield `i64`.
    Long,
    i64
);
scalar_of_eight_bytes!(
    /// A stored `ulong`; vectors of it yield `u64`.
    Ulong,
    u64
);
scalar_of_eight_bytes!(
    /// A stored `double`; vectors of it yield `f64`.
    Double,
    f64
);

/// Verifies the union of a table whose type is at slot `key` and whose value is at slot `value`.
///
/// As TFLite's own verifier does, and unlike flatbuffers' `visit_union`, a type without a value is accepted (the
/// accessors return None), and so is a value of a type that is missing or unknown (nothing ever reads it).
pub(super) fn visit_union<'v, 'o, 'b>(
    mut table: TableVerifier<'v, 'o, 'b>,
    key: VOffsetT,
    value: VOffsetT,
    verify: fn(u8, &mut Verifier<'_, '_>, usize) -> Result<(), InvalidFlatbuffer>,
) -> Result<TableVerifier<'v, 'o, 'b>, InvalidFlatbuffer> {
    let member = match table.deref(key)? {
        Some(pos) => table.verifier().get_u8(pos)?,
        None => 0,
    };
    if let Some(pos) = table.deref(value)? {
        verify(member, table.verifier(), pos)?;
    }
    Ok(table)
}
