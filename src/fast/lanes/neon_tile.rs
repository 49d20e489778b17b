//! Tiles of four rows by four or two vectors for NEON lanes.
//!
//! The loop of NEON lanes stands in the order in which a Cortex-A53 takes it without waiting. That core begins two instructions a cycle, but only one that multiplies or adds whole vectors, and none of these beside a load into
//! a vector register. Activations therefore come through general registers, whose loads cost nothing beside arithmetic, and so does
//! half of the weights: a move into a vector register is done beside another move or beside a load. A step of 256 products takes 48
//! cycles of arithmetic and 8 of moves and loads.
#![expect(unsafe_code, reason = "assembly")]

use super::neon_ends::{begin_four, begin_two, end_four, end_two};
use super::tile::WholeTiles;
use std::arch::asm;
use std::mem::offset_of;

/// One row: four vectors of weights, `v4`-`v7` with the first pair of activations and `v8`-`v11` with the second, in `$pair`;
/// meanwhile the next row's activations come from `$from` into `$next`. `$then` fills the places of weights that are done with.
macro_rules! row {
    (
        $pair:tt, $next:tt, $from:literal, $sums:tt,
        [$($load:literal),*], [$($first:literal),*], [$($reload:literal),*], [$($second:literal),*]
    ) => {
        concat!(
            row!(@low $pair "v0" "v4"), "ldr {t:w}, [", $from, "], #4\n",
            row!(@low $pair "v1" "v5"), $($load, "\n",)*
            row!(@low $pair "v2" "v6"),
            row!(@low $pair "v3" "v7"), $($first, "\n",)*
            row!(@high $pair "v0" "v8"), "lsr {u:w}, {t:w}, #16\n",
            row!(@high $pair "v1" "v9"), $($reload, "\n",)*
            row!(@high $pair "v2" "v10"),
            row!(@high $pair "v3" "v11"), $($second, "\n",)*
            row!(@next $next),
            row!(@add $sums),
        )
    };
    (@low [$low:literal $high:literal] $product:literal $weights:literal) => {
        concat!("smull ", $product, ".8h, ", $weights, ".8b, ", $low, ".8b\n")
    };
    (@high [$low:literal $high:literal] $product:literal $weights:literal) => {
        concat!("smlal ", $product, ".8h, ", $weights, ".8b, ", $high, ".8b\n")
    };
    (@next [$low:literal $high:literal]) => {
        concat!("dup ", $low, ".4h, {t:w}\ndup ", $high, ".4h, {u:w}\n")
    };
    (@add [$a:literal $b:literal $c:literal $d:literal]) => {
        concat!(
            "sadalp ", $a, ".4s, v0.8h\nsadalp ", $b, ".4s, v1.8h\n",
            "sadalp ", $c, ".4s, v2.8h\nsadalp ", $d, ".4s, v3.8h\n",
        )
    };
}

/// Computes `count` times four rows, at least once, that begin where `begins` says; `terms` is null or those of the rows. Results go
/// to `to`, rows `stride` apart.
///
/// # Safety
/// What `tiles` and the other pointers point to is there, with one step more of the first row and of weights; `to` is valid for
/// writing sixteen bytes in each row. No two weights that are eight apart within sixteen are both -128: the sum of their products
/// may need 17 bits.
#[inline(never)]
pub unsafe fn four_by_four(
    tiles: &WholeTiles<i8, i8>,
    begins: *const u32,
    terms: *const i32,
    to: *mut u8,
    stride: usize,
    count: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector, and those of the step after it.
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
            "ldp d4, d8, [{w0}]",
            "ldp d5, d9, [{w1}]",
            "ldp d6, d10, [{w2}]",
            "ldp d7, d11, [{w3}]",
            "5:",
            "ldr {t:w}, [{a0}], #4",
            "ldr {steps}, [{tiles}, {STEPS}]",
            "lsr {u:w}, {t:w}, #16",
            "dup v12.4h, {t:w}",
            "dup v13.4h, {u:w}",
            "2:",
            row!(["v12" "v13"], ["v14" "v15"], "{a1}", ["v16" "v17" "v18" "v19"], [], [], [], []),
            row!(["v14" "v15"], ["v12" "v13"], "{a2}", ["v20" "v21" "v22" "v23"], [], [], [], []),
            row!(["v12" "v13"], ["v14" "v15"], "{a3}", ["v24" "v25" "v26" "v27"],
                ["ldr {x}, [{w1}, #16]!"], [], ["ldr {y}, [{w3}, #16]!"], ["subs {steps}, {steps}, #1"]),
            row!(["v14" "v15"], ["v12" "v13"], "{a0}", ["v28" "v29" "v30" "v31"],
                [],
                ["ldr d4, [{w0}, #16]!", "fmov d5, {x}", "ldr d6, [{w2}, #16]!", "fmov d7, {y}", "ldr {x}, [{w1}, #8]"],
                ["ldr {y}, [{w3}, #8]"],
                ["ldr d8, [{w0}, #8]", "fmov d9, {x}", "ldr d10, [{w2}, #8]", "fmov d11, {y}"]),
            "b.ne 2b",
            "subs {runs}, {runs}, #1",
            // The first row has been read on for a step.
            "sub {a0}, {a0}, #4",
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
            t = out(reg) _,
            u = out(reg) _,
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

/// Two rows and two vectors of weights, `v4`, `v5` with the first pair of activations and `v8`, `v9` with the second;
/// meanwhile the next two rows' activations come from `$from` and `$with` into `$next`. `$load`s stand beside moves.
macro_rules! two_rows {
    (
        [$a:literal $b:literal $c:literal $d:literal], [$e:literal $f:literal $g:literal $h:literal],
        $from:literal, $with:literal, $sums:tt,
        [$load:literal $load_2:literal $load_3:literal $load_4:literal]
    ) => {
        concat!(
            "smull v0.8h, v4.8b, ", $a, ".8b\n", "ldr {t:w}, [", $from, "], #4\n",
            "smull v1.8h, v5.8b, ", $a, ".8b\n", "ldr {x:w}, [", $with, "], #4\n",
            "smull v2.8h, v4.8b, ", $c, ".8b\n",
            "smull v3.8h, v5.8b, ", $c, ".8b\n",
            "smlal v0.8h, v8.8b, ", $b, ".8b\n", "lsr {u:w}, {t:w}, #16\n",
            "smlal v1.8h, v9.8b, ", $b, ".8b\n", "lsr {y:w}, {x:w}, #16\n",
            "smlal v2.8h, v8.8b, ", $d, ".8b\n",
            "smlal v3.8h, v9.8b, ", $d, ".8b\n",
            "dup ", $e, ".4h, {t:w}\n", $load, "\n",
            "dup ", $f, ".4h, {u:w}\n", $load_2, "\n",
            "dup ", $g, ".4h, {x:w}\n", $load_3, "\n",
            "dup ", $h, ".4h, {y:w}\n", $load_4, "\n",
            row!(@add $sums),
        )
    };
}

/// [`four_by_four`] for two vectors.
///
/// # Safety
/// As there, but eight bytes are written in each row.
#[inline(never)]
pub unsafe fn four_by_two(
    tiles: &WholeTiles<i8, i8>,
    begins: *const u32,
    terms: *const i32,
    to: *mut u8,
    stride: usize,
    count: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector, and those of the step after it.
    unsafe {
        asm!(
            "9:",
            begin_two!(),
            "ldp {w0}, {w1}, [{tiles}, {WEIGHTS}]",
            "add {w1}, {w0}, {w1}",
            "ldr {runs}, [{tiles}, {RUNS}]",
            "ldr {gap}, [{tiles}, {GAP}]",
            "ldp d4, d8, [{w0}]",
            "ldp d5, d9, [{w1}]",
            "5:",
            "ldr {t:w}, [{a0}], #4",
            "ldr {x:w}, [{a1}], #4",
            "ldr {steps}, [{tiles}, {STEPS}]",
            "lsr {u:w}, {t:w}, #16",
            "lsr {y:w}, {x:w}, #16",
            "dup v12.4h, {t:w}",
            "dup v13.4h, {u:w}",
            "dup v14.4h, {x:w}",
            "dup v15.4h, {y:w}",
            "2:",
            two_rows!(["v12" "v13" "v14" "v15"], ["v6" "v7" "v10" "v11"], "{a2}", "{a3}",
                ["v16" "v17" "v18" "v19"], ["" "" "" ""]),
            "subs {steps}, {steps}, #1",
            two_rows!(["v6" "v7" "v10" "v11"], ["v12" "v13" "v14" "v15"], "{a0}", "{a1}",
                ["v20" "v21" "v22" "v23"],
                ["ldr d4, [{w0}, #16]!" "ldr d5, [{w1}, #16]!" "ldr d8, [{w0}, #8]" "ldr d9, [{w1}, #8]"]),
            "b.ne 2b",
            "subs {runs}, {runs}, #1",
            // The first two rows have been read on for a step.
            "sub {a0}, {a0}, #4",
            "sub {a1}, {a1}, #4",
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
            t = out(reg) _,
            u = out(reg) _,
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
