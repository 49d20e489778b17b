//! Tiles of four rows by four or two vectors for lanes with dot products.
#![expect(unsafe_code, reason = "assembly")]

use super::neon_ends::{begin_four, begin_two, end_four, end_two};
use super::tile::WholeTiles;
use std::arch::aarch64::{int8x16_t, int32x4_t};
use std::arch::asm;
use std::mem::offset_of;

/// `sums` plus the dot products of four activations and four weights in each lane.
///
/// # Safety
/// The machine has dot products.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn dots(sums: int32x4_t, activations: int8x16_t, weights: int8x16_t) -> int32x4_t {
    let mut sums = sums;
    // SAFETY: the instruction reads and writes nothing but registers.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {activations:v}.16b",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            activations = in(vreg) activations,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}

/// A dot step of all rows, whose activations are four bytes at `$lane` of `v0`-`v3`, with the weights of the vectors.
macro_rules! dot_step {
    ($lane:literal, [$($weights:literal)*], [$($sums:tt)*]) => {
        dot_step!(@rows $lane, [$($weights)*], ["v0" "v1" "v2" "v3"], [$($sums)*])
    };
    (@rows $lane:literal, $weights:tt, [$($row:literal)*], [$($sums:tt)*]) => {
        concat!($(dot_step!(@row $lane, $row, $sums, $weights),)*)
    };
    (@row $lane:literal, $row:literal, [$($sums:literal)*], [$($weights:literal)*]) => {
        concat!($("sdot ", $sums, ".4s, ", $weights, ".16b, ", $row, ".4b[", $lane, "]\n",)*)
    };
}

/// Reads activations of the four rows into `v0`-`v3`: `$bytes` each, in registers of kind `$kind`.
macro_rules! load_rows {
    ($kind:literal, $bytes:literal) => {
        concat!(
            "ldr ",
            $kind,
            "0, [{a0}], #",
            $bytes,
            "\nldr ",
            $kind,
            "1, [{a1}], #",
            $bytes,
            "\n",
            "ldr ",
            $kind,
            "2, [{a2}], #",
            $bytes,
            "\nldr ",
            $kind,
            "3, [{a3}], #",
            $bytes,
            "\n",
        )
    };
}

/// A step of four vectors.
macro_rules! step_four {
    ($lane:literal, $weights:tt) => {
        dot_step!($lane, $weights, [
            ["v16" "v17" "v18" "v19"] ["v20" "v21" "v22" "v23"]
            ["v24" "v25" "v26" "v27"] ["v28" "v29" "v30" "v31"]
        ])
    };
}

/// A step of two vectors.
macro_rules! step_two {
    ($lane:literal, $weights:tt) => {
        dot_step!($lane, $weights, [["v16" "v17"] ["v18" "v19"] ["v20" "v21"] ["v22" "v23"]])
    };
}

/// Computes `count` times four rows, at least once, that begin where `begins` says; `terms` is null or those of the rows. Results go
/// to `to`, rows `stride` apart.
///
/// # Safety
/// What `tiles` and the other pointers point to is there; `to` is valid for writing sixteen bytes in each row. The machine has dot
/// products.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn four_by_four_dots(
    tiles: &WholeTiles<i8, i8>,
    begins: *const u32,
    terms: *const i32,
    to: *mut u8,
    stride: usize,
    count: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector.
    unsafe {
        asm!(
            "9:",
            begin_four!(),
            "ldp {w0}, {x}, [{tiles}, {WEIGHTS}]",
            "add {w1}, {w0}, {x}",
            "add {w2}, {w1}, {x}",
            "add {w3}, {w2}, {x}",
            "ldr {runs}, [{tiles}, {RUNS}]",
            "ldr {gap}, [{tiles}, {GAP}]",
            "5:",
            "ldr {steps}, [{tiles}, {STEPS}]",
            "subs {steps}, {steps}, #4",
            "b.lo 6f",
            // Four steps.
            "2:",
            load_rows!("q", "16"),
            "ldp q4, q8, [{w0}], #32",
            "ldp q5, q9, [{w1}], #32",
            "ldp q6, q10, [{w2}], #32",
            "ldp q7, q11, [{w3}], #32",
            step_four!("0", ["v4" "v5" "v6" "v7"]),
            step_four!("1", ["v8" "v9" "v10" "v11"]),
            "ldp q4, q12, [{w0}], #32",
            "ldp q5, q13, [{w1}], #32",
            "ldp q6, q14, [{w2}], #32",
            "ldp q7, q15, [{w3}], #32",
            step_four!("2", ["v4" "v5" "v6" "v7"]),
            step_four!("3", ["v12" "v13" "v14" "v15"]),
            "subs {steps}, {steps}, #4",
            "b.hs 2b",
            // Two steps, and one.
            "6:",
            "tbz {steps}, #1, 7f",
            load_rows!("d", "8"),
            "ldp q4, q8, [{w0}], #32",
            "ldp q5, q9, [{w1}], #32",
            "ldp q6, q10, [{w2}], #32",
            "ldp q7, q11, [{w3}], #32",
            step_four!("0", ["v4" "v5" "v6" "v7"]),
            step_four!("1", ["v8" "v9" "v10" "v11"]),
            "7:",
            "tbz {steps}, #0, 8f",
            load_rows!("s", "4"),
            "ldr q4, [{w0}], #16",
            "ldr q5, [{w1}], #16",
            "ldr q6, [{w2}], #16",
            "ldr q7, [{w3}], #16",
            step_four!("0", ["v4" "v5" "v6" "v7"]),
            "8:",
            "subs {runs}, {runs}, #1",
            "add {a0}, {a0}, {gap}",
            "add {a1}, {a1}, {gap}",
            "add {a2}, {a2}, {gap}",
            "add {a3}, {a3}, {gap}",
            "b.ne 5b",
            end_four!(),
            "subs {count}, {count}, #1",
            "b.ne 9b",
            tiles = in(reg) tiles,
            begins = inout(reg) begins => _,
            terms = inout(reg) terms => _,
            count = inout(reg) count => _,
            to = inout(reg) to => _,
            stride = in(reg) stride,
            a0 = out(reg) _,
            a1 = out(reg) _,
            a2 = out(reg) _,
            a3 = out(reg) _,
            w0 = out(reg) _,
            w1 = out(reg) _,
            w2 = out(reg) _,
            w3 = out(reg) _,
            runs = out(reg) _,
            gap = out(reg) _,
            steps = out(reg) _,
            x = out(reg) _,
            y = out(reg) _,
            ACTIVATIONS = const offset_of!(WholeTiles<i8, i8>, activations),
            WEIGHTS = const offset_of!(WholeTiles<i8, i8>, weights),
            BIAS = const offset_of!(WholeTiles<i8, i8>, bias),
            MULTIPLIERS = const offset_of!(WholeTiles<i8, i8>, multipliers),
            RUNS = const offset_of!(WholeTiles<i8, i8>, runs),
            STEPS = const offset_of!(WholeTiles<i8, i8>, steps),
            GAP = const offset_of!(WholeTiles<i8, i8>, gap),
            ZERO = const offset_of!(WholeTiles<i8, i8>, zero),
            POSITIVE = const offset_of!(WholeTiles<i8, i8>, positive),
            out("v0") _,
            out("v1") _,
            out("v2") _,
            out("v3") _,
            out("v4") _,
            out("v5") _,
            out("v6") _,
            out("v7") _,
            out("v8") _,
            out("v9") _,
            out("v10") _,
            out("v11") _,
            out("v12") _,
            out("v13") _,
            out("v14") _,
            out("v15") _,
            out("v16") _,
            out("v17") _,
            out("v18") _,
            out("v19") _,
            out("v20") _,
            out("v21") _,
            out("v22") _,
            out("v23") _,
            out("v24") _,
            out("v25") _,
            out("v26") _,
            out("v27") _,
            out("v28") _,
            out("v29") _,
            out("v30") _,
            out("v31") _,
            options(nostack),
        );
    }
}

/// [`four_by_four_dots`] for two vectors.
///
/// # Safety
/// As there, but eight bytes are written in each row.
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn four_by_two_dots(
    tiles: &WholeTiles<i8, i8>,
    begins: *const u32,
    terms: *const i32,
    to: *mut u8,
    stride: usize,
    count: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector.
    unsafe {
        asm!(
            "9:",
            begin_two!(),
            "ldp {w0}, {w1}, [{tiles}, {WEIGHTS}]",
            "add {w1}, {w0}, {w1}",
            "ldr {runs}, [{tiles}, {RUNS}]",
            "ldr {gap}, [{tiles}, {GAP}]",
            "5:",
            "ldr {steps}, [{tiles}, {STEPS}]",
            "subs {steps}, {steps}, #4",
            "b.lo 6f",
            // Four steps.
            "2:",
            load_rows!("q", "16"),
            "ldp q4, q8, [{w0}], #32",
            "ldp q5, q9, [{w1}], #32",
            step_two!("0", ["v4" "v5"]),
            step_two!("1", ["v8" "v9"]),
            "ldp q4, q12, [{w0}], #32",
            "ldp q5, q13, [{w1}], #32",
            step_two!("2", ["v4" "v5"]),
            step_two!("3", ["v12" "v13"]),
            "subs {steps}, {steps}, #4",
            "b.hs 2b",
            // Two steps, and one.
            "6:",
            "tbz {steps}, #1, 7f",
            load_rows!("d", "8"),
            "ldp q4, q8, [{w0}], #32",
            "ldp q5, q9, [{w1}], #32",
            step_two!("0", ["v4" "v5"]),
            step_two!("1", ["v8" "v9"]),
            "7:",
            "tbz {steps}, #0, 8f",
            load_rows!("s", "4"),
            "ldr q4, [{w0}], #16",
            "ldr q5, [{w1}], #16",
            step_two!("0", ["v4" "v5"]),
            "8:",
            "subs {runs}, {runs}, #1",
            "add {a0}, {a0}, {gap}",
            "add {a1}, {a1}, {gap}",
            "add {a2}, {a2}, {gap}",
            "add {a3}, {a3}, {gap}",
            "b.ne 5b",
            end_two!(),
            "subs {count}, {count}, #1",
            "b.ne 9b",
            tiles = in(reg) tiles,
            begins = inout(reg) begins => _,
            terms = inout(reg) terms => _,
            count = inout(reg) count => _,
            to = inout(reg) to => _,
            stride = in(reg) stride,
            a0 = out(reg) _,
            a1 = out(reg) _,
            a2 = out(reg) _,
            a3 = out(reg) _,
            w0 = out(reg) _,
            w1 = out(reg) _,
            runs = out(reg) _,
            gap = out(reg) _,
            steps = out(reg) _,
            x = out(reg) _,
            y = out(reg) _,
            ACTIVATIONS = const offset_of!(WholeTiles<i8, i8>, activations),
            WEIGHTS = const offset_of!(WholeTiles<i8, i8>, weights),
            BIAS = const offset_of!(WholeTiles<i8, i8>, bias),
            MULTIPLIERS = const offset_of!(WholeTiles<i8, i8>, multipliers),
            RUNS = const offset_of!(WholeTiles<i8, i8>, runs),
            STEPS = const offset_of!(WholeTiles<i8, i8>, steps),
            GAP = const offset_of!(WholeTiles<i8, i8>, gap),
            ZERO = const offset_of!(WholeTiles<i8, i8>, zero),
            POSITIVE = const offset_of!(WholeTiles<i8, i8>, positive),
            out("v0") _,
            out("v1") _,
            out("v2") _,
            out("v3") _,
            out("v4") _,
            out("v5") _,
            out("v6") _,
            out("v7") _,
            out("v8") _,
            out("v9") _,
            out("v10") _,
            out("v11") _,
            out("v12") _,
            out("v13") _,
            out("v14") _,
            out("v15") _,
            out("v16") _,
            out("v17") _,
            out("v18") _,
            out("v19") _,
            out("v20") _,
            out("v21") _,
            out("v22") _,
            out("v23") _,
            options(nostack),
        );
    }
}
