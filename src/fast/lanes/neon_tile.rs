//! The inner loops of a tile of four rows by four vectors.
//!
//! The loop of NEON lanes stands in the order in which a Cortex-A53 takes it without waiting. That core begins two instructions a cycle, but only one that multiplies or adds whole vectors, and none of these beside a load into
//! a vector register. Activations therefore come through general registers, whose loads cost nothing beside arithmetic, and so does
//! half of the weights: a move into a vector register is done beside another move or beside a load. A step of 256 products takes 48
//! cycles of arithmetic and 8 of moves and loads.
#![expect(unsafe_code, reason = "assembly")]

use std::arch::aarch64::{int8x16_t, int32x4_t};
use std::arch::asm;

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

/// Adds the products of `steps` dot steps, at least one, to `sums`, which are those of the first row first.
///
/// # Safety
/// Each of `rows` is valid for reading `4 * steps + 4` activations and each of `vectors` for `16 * steps + 16` weights. No two
/// weights that are eight apart within sixteen are both -128: the sum of their products may need 17 bits.
#[inline(always)]
pub unsafe fn four_by_four(
    sums: &mut [int32x4_t; 16],
    rows: [*const i8; 4],
    vectors: [*const i8; 4],
    steps: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector, and those of the step after it.
    unsafe {
        asm!(
            "ldr {t:w}, [{a0}], #4",
            "ldp d4, d8, [{w0}]",
            "ldp d5, d9, [{w1}]",
            "ldp d6, d10, [{w2}]",
            "ldp d7, d11, [{w3}]",
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
            a0 = inout(reg) rows[0] => _,
            a1 = inout(reg) rows[1] => _,
            a2 = inout(reg) rows[2] => _,
            a3 = inout(reg) rows[3] => _,
            w0 = inout(reg) vectors[0] => _,
            w1 = inout(reg) vectors[1] => _,
            w2 = inout(reg) vectors[2] => _,
            w3 = inout(reg) vectors[3] => _,
            steps = inout(reg) steps => _,
            t = out(reg) _,
            u = out(reg) _,
            x = out(reg) _,
            y = out(reg) _,
            inout("v16") sums[0],
            inout("v17") sums[1],
            inout("v18") sums[2],
            inout("v19") sums[3],
            inout("v20") sums[4],
            inout("v21") sums[5],
            inout("v22") sums[6],
            inout("v23") sums[7],
            inout("v24") sums[8],
            inout("v25") sums[9],
            inout("v26") sums[10],
            inout("v27") sums[11],
            inout("v28") sums[12],
            inout("v29") sums[13],
            inout("v30") sums[14],
            inout("v31") sums[15],
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
            options(readonly, nostack),
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
/// As there.
#[inline(always)]
pub unsafe fn four_by_two(
    sums: &mut [int32x4_t; 8],
    rows: [*const i8; 4],
    vectors: [*const i8; 2],
    steps: usize,
) {
    // SAFETY: a step reads four activations of each row and sixteen weights of each vector, and those of the step after it.
    unsafe {
        asm!(
            "ldr {t:w}, [{a0}], #4",
            "ldr {x:w}, [{a1}], #4",
            "ldp d4, d8, [{w0}]",
            "ldp d5, d9, [{w1}]",
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
            a0 = inout(reg) rows[0] => _,
            a1 = inout(reg) rows[1] => _,
            a2 = inout(reg) rows[2] => _,
            a3 = inout(reg) rows[3] => _,
            w0 = inout(reg) vectors[0] => _,
            w1 = inout(reg) vectors[1] => _,
            steps = inout(reg) steps => _,
            t = out(reg) _,
            u = out(reg) _,
            x = out(reg) _,
            y = out(reg) _,
            inout("v16") sums[0],
            inout("v17") sums[1],
            inout("v18") sums[2],
            inout("v19") sums[3],
            inout("v20") sums[4],
            inout("v21") sums[5],
            inout("v22") sums[6],
            inout("v23") sums[7],
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
            options(readonly, nostack),
        );
    }
}

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

/// A dot step of all rows, whose activations are four bytes at `$lane` of `v0`-`v3`, with the weights of the four vectors.
macro_rules! dot_step {
    ($lane:literal, [$($weights:literal)*]) => {
        concat!(
            dot_step!(@row $lane "v0" ["v16" "v17" "v18" "v19"] [$($weights)*]),
            dot_step!(@row $lane "v1" ["v20" "v21" "v22" "v23"] [$($weights)*]),
            dot_step!(@row $lane "v2" ["v24" "v25" "v26" "v27"] [$($weights)*]),
            dot_step!(@row $lane "v3" ["v28" "v29" "v30" "v31"] [$($weights)*]),
        )
    };
    (@row $lane:literal $row:literal [$($sums:literal)*] [$($weights:literal)*]) => {
        concat!($("sdot ", $sums, ".4s, ", $weights, ".16b, ", $row, ".4b[", $lane, "]\n",)*)
    };
}

/// Adds the products of `steps` dot steps to `sums`, which are those of the first row first.
///
/// # Safety
/// Each of `rows` is valid for reading `4 * steps` activations and each of `vectors` for `16 * steps` weights; the machine has
/// dot products.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn four_by_four_dots(
    sums: &mut [int32x4_t; 16],
    rows: [*const i8; 4],
    vectors: [*const i8; 4],
    steps: usize,
) {
    // SAFETY: four steps read sixteen activations of each row and 64 weights of each vector, one step a quarter of them.
    unsafe {
        asm!(
            "subs {steps}, {steps}, #4",
            "b.lo 3f",
            "2:",
            "ldr q0, [{a0}], #16",
            "ldr q1, [{a1}], #16",
            "ldr q2, [{a2}], #16",
            "ldr q3, [{a3}], #16",
            "ldp q4, q8, [{w0}]",
            "ldp q5, q9, [{w1}]",
            "ldp q6, q10, [{w2}]",
            "ldp q7, q11, [{w3}]",
            dot_step!("0", ["v4" "v5" "v6" "v7"]),
            "ldp q4, q12, [{w0}, #32]",
            "ldp q5, q13, [{w1}, #32]",
            "ldp q6, q14, [{w2}, #32]",
            "ldp q7, q15, [{w3}, #32]",
            dot_step!("1", ["v8" "v9" "v10" "v11"]),
            "add {w0}, {w0}, #64",
            "add {w1}, {w1}, #64",
            dot_step!("2", ["v4" "v5" "v6" "v7"]),
            "add {w2}, {w2}, #64",
            "add {w3}, {w3}, #64",
            "subs {steps}, {steps}, #4",
            dot_step!("3", ["v12" "v13" "v14" "v15"]),
            "b.hs 2b",
            "3:",
            "adds {steps}, {steps}, #4",
            "b.eq 5f",
            "4:",
            "ldr s0, [{a0}], #4",
            "ldr s1, [{a1}], #4",
            "ldr s2, [{a2}], #4",
            "ldr s3, [{a3}], #4",
            "ldr q4, [{w0}], #16",
            "ldr q5, [{w1}], #16",
            "ldr q6, [{w2}], #16",
            "ldr q7, [{w3}], #16",
            "subs {steps}, {steps}, #1",
            dot_step!("0", ["v4" "v5" "v6" "v7"]),
            "b.ne 4b",
            "5:",
            a0 = inout(reg) rows[0] => _,
            a1 = inout(reg) rows[1] => _,
            a2 = inout(reg) rows[2] => _,
            a3 = inout(reg) rows[3] => _,
            w0 = inout(reg) vectors[0] => _,
            w1 = inout(reg) vectors[1] => _,
            w2 = inout(reg) vectors[2] => _,
            w3 = inout(reg) vectors[3] => _,
            steps = inout(reg) steps => _,
            inout("v16") sums[0],
            inout("v17") sums[1],
            inout("v18") sums[2],
            inout("v19") sums[3],
            inout("v20") sums[4],
            inout("v21") sums[5],
            inout("v22") sums[6],
            inout("v23") sums[7],
            inout("v24") sums[8],
            inout("v25") sums[9],
            inout("v26") sums[10],
            inout("v27") sums[11],
            inout("v28") sums[12],
            inout("v29") sums[13],
            inout("v30") sums[14],
            inout("v31") sums[15],
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
            options(readonly, nostack),
        );
    }
}
