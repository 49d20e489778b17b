//! How a tile of four rows begins and ends: macros that give assembly. Named operands are those of the loops around it.
//!
//! A loop may use `v0`-`v15`; the sums stand in `v16`-`v31`, the first row's first. Around it the same registers are
//! needed for other things: multipliers and shifts of each vector in `v0`-`v7`, zero point and limits in `v8`-`v10`, results in
//! `v11`-`v14`.

/// Pointers to the rows in `{a0}`-`{a3}`, from their beginnings at `{begins}`, which moves on.
macro_rules! rows {
    () => {
        concat!(
            "ldp {a0:w}, {a1:w}, [{begins}], #16\n",
            "ldp {a2:w}, {a3:w}, [{begins}, #-8]\n",
            "ldr {x}, [{tiles}, {ACTIVATIONS}]\n",
            "add {a0}, {a0}, {x}\nadd {a1}, {a1}, {x}\nadd {a2}, {a2}, {x}\nadd {a3}, {a3}, {x}\n",
        )
    };
}

/// Sums of four rows: the biases of each vector, and the row's term where `{terms}`, which moves on, is not 0. `$sums` are the registers of each
/// row, `$load` reads the biases from `{x}` into those of the first.
macro_rules! sums {
    ($load:literal, [$($a:literal)*], [$($b:literal)*], [$($c:literal)*], [$($d:literal)*]) => {
        concat!(
            "ldr {x}, [{tiles}, {BIAS}]\n",
            $load, "\n",
            "cbz {terms}, 3f\n",
            "ldr q4, [{terms}], #16\n",
            "dup v0.4s, v4.s[0]\ndup v1.4s, v4.s[1]\ndup v2.4s, v4.s[2]\ndup v3.4s, v4.s[3]\n",
            $("add ", $b, ".4s, ", $a, ".4s, v1.4s\n",)*
            $("add ", $c, ".4s, ", $a, ".4s, v2.4s\n",)*
            $("add ", $d, ".4s, ", $a, ".4s, v3.4s\n",)*
            $("add ", $a, ".4s, ", $a, ".4s, v0.4s\n",)*
            "b 4f\n",
            "3:\n",
            $("mov ", $b, ".16b, ", $a, ".16b\n",)*
            $("mov ", $c, ".16b, ", $a, ".16b\n",)*
            $("mov ", $d, ".16b, ", $a, ".16b\n",)*
            "4:\n",
        )
    };
}

/// What requantization needs, for as many vectors as `$load` reads from `{x}` and `{y}`.
macro_rules! scales {
    ($load:literal) => {
        concat!(
            "ldp {x}, {y}, [{tiles}, {MULTIPLIERS}]\n",
            "ldr d10, [{tiles}, {ZERO}]\n",
            $load,
            "\n",
            "ldr {x}, [{tiles}, {POSITIVE}]\n",
        )
    };
}

/// Requantizes eight vectors, as [`Lanes::scale_right`](super::Lanes::scale_right) says, to bytes in `v11` and `v13`.
macro_rules! bytes {
    ($sums:tt, $multipliers:tt, $rights:tt) => {
        concat!(
            $crate::fast::lanes::neon_ends::each!("sqrdmulh", $sums, $multipliers),
            // Shifts round ties up; one less makes those of negative numbers round away from zero.
            $crate::fast::lanes::neon_ends::lower_negative!($sums),
            $crate::fast::lanes::neon_ends::each!("srshl", $sums, $rights),
            $crate::fast::lanes::neon_ends::words!($sums),
            $crate::fast::lanes::neon_ends::each_word!("sqadd", "v8"),
            $crate::fast::lanes::neon_ends::each_word!("smax", "v9"),
            $crate::fast::lanes::neon_ends::each_word!("smin", "v10"),
            "uzp1 v11.16b, v11.16b, v12.16b\nuzp1 v13.16b, v13.16b, v14.16b\n",
        )
    };
}

/// [`bytes`] where the zero point is the least that a byte holds, and limits are those of the byte: how negative numbers round
/// does not matter, and saturation does the rest. The highest bits of results are those of `v8`, exclusive or.
macro_rules! positive_bytes {
    ($sums:tt, $multipliers:tt, $rights:tt) => {
        concat!(
            $crate::fast::lanes::neon_ends::each!("sqrdmulh", $sums, $multipliers),
            $crate::fast::lanes::neon_ends::each!("srshl", $sums, $rights),
            $crate::fast::lanes::neon_ends::words!($sums),
            "sqxtun v11.8b, v11.8h\nsqxtun v13.8b, v13.8h\n",
            "sqxtun2 v11.16b, v12.8h\nsqxtun2 v13.16b, v14.8h\n",
            "eor v11.16b, v11.16b, v8.16b\neor v13.16b, v13.16b, v8.16b\n",
        )
    };
}

/// An instruction for each of some vectors with each of others.
macro_rules! each {
    ($name:literal, [$($sum:literal)*], [$($with:literal)*]) => {
        concat!($($name, " ", $sum, ".4s, ", $sum, ".4s, ", $with, ".4s\n",)*)
    };
}

/// Takes one from each negative number.
macro_rules! lower_negative {
    ([$($sum:literal)*]) => {
        concat!($("ssra ", $sum, ".4s, ", $sum, ".4s, #31\n",)*)
    };
}

/// Eight vectors saturated to words in `v11`-`v14`.
macro_rules! words {
    (
        [$a:literal $b:literal $c:literal $d:literal $e:literal $f:literal $g:literal $h:literal]
    ) => {
        concat!(
            "sqxtn v11.4h, ",
            $a,
            ".4s\nsqxtn v12.4h, ",
            $c,
            ".4s\n",
            "sqxtn v13.4h, ",
            $e,
            ".4s\nsqxtn v14.4h, ",
            $g,
            ".4s\n",
            "sqxtn2 v11.8h, ",
            $b,
            ".4s\nsqxtn2 v12.8h, ",
            $d,
            ".4s\n",
            "sqxtn2 v13.8h, ",
            $f,
            ".4s\nsqxtn2 v14.8h, ",
            $h,
            ".4s\n",
        )
    };
}

/// An instruction for the words of two rows.
macro_rules! each_word {
    ($name:literal, $with:literal) => {
        concat!(
            $name,
            " v11.8h, v11.8h, ",
            $with,
            ".8h\n",
            $name,
            " v12.8h, v12.8h, ",
            $with,
            ".8h\n",
            $name,
            " v13.8h, v13.8h, ",
            $with,
            ".8h\n",
            $name,
            " v14.8h, v14.8h, ",
            $with,
            ".8h\n",
        )
    };
}

/// The beginning of four rows of four vectors.
macro_rules! begin_four {
    () => {
        concat!(
            $crate::fast::lanes::neon_ends::rows!(),
            $crate::fast::lanes::neon_ends::sums!(
                "ldp q16, q17, [{x}]\nldp q18, q19, [{x}, #32]",
                ["v16" "v17" "v18" "v19"], ["v20" "v21" "v22" "v23"],
                ["v24" "v25" "v26" "v27"], ["v28" "v29" "v30" "v31"]
            ),
        )
    };
}

/// The beginning of four rows of two vectors.
macro_rules! begin_two {
    () => {
        concat!(
            $crate::fast::lanes::neon_ends::rows!(),
            $crate::fast::lanes::neon_ends::sums!(
                "ldp q16, q17, [{x}]",
                ["v16" "v17"], ["v18" "v19"], ["v20" "v21"], ["v22" "v23"]
            ),
        )
    };
}

/// The end of four rows of four vectors: sixteen bytes each, `{stride}` apart from `{to}` on, which moves on.
macro_rules! end_four {
    () => {
        concat!(
            $crate::fast::lanes::neon_ends::scales!(
                "ldp q0, q1, [{x}]\nldp q2, q3, [{x}, #32]\nldp q4, q5, [{y}]\nldp q6, q7, [{y}, #32]"
            ),
            "cbnz {x}, 20f\n",
            "dup v8.8h, v10.h[0]\ndup v9.8h, v10.h[1]\ndup v10.8h, v10.h[2]\n",
            $crate::fast::lanes::neon_ends::end_four!(bytes),
            "b 21f\n",
            "20:\n",
            "dup v8.16b, v10.b[0]\n",
            $crate::fast::lanes::neon_ends::end_four!(positive_bytes),
            "21:\n",
            "add {to}, {to}, {stride}, lsl #1\n",
        )
    };
    ($bytes:ident) => {
        concat!(
            $crate::fast::lanes::neon_ends::$bytes!(
                ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23"],
                ["v0" "v1" "v2" "v3" "v0" "v1" "v2" "v3"],
                ["v4" "v5" "v6" "v7" "v4" "v5" "v6" "v7"]
            ),
            "str q11, [{to}]\nstr q13, [{to}, {stride}]\n",
            "add {to}, {to}, {stride}, lsl #1\n",
            $crate::fast::lanes::neon_ends::$bytes!(
                ["v24" "v25" "v26" "v27" "v28" "v29" "v30" "v31"],
                ["v0" "v1" "v2" "v3" "v0" "v1" "v2" "v3"],
                ["v4" "v5" "v6" "v7" "v4" "v5" "v6" "v7"]
            ),
            "str q11, [{to}]\nstr q13, [{to}, {stride}]\n",
        )
    };
}

/// The end of four rows of two vectors: eight bytes each, `{stride}` apart from `{to}` on, which moves on.
macro_rules! end_two {
    () => {
        concat!(
            $crate::fast::lanes::neon_ends::scales!(
                "ldp q0, q1, [{x}]\nldp q4, q5, [{y}]"
            ),
            "cbnz {x}, 20f\n",
            "dup v8.8h, v10.h[0]\ndup v9.8h, v10.h[1]\ndup v10.8h, v10.h[2]\n",
            $crate::fast::lanes::neon_ends::end_two!(bytes),
            "b 21f\n",
            "20:\n",
            "dup v8.16b, v10.b[0]\n",
            $crate::fast::lanes::neon_ends::end_two!(positive_bytes),
            "21:\n",
            "add {x}, {to}, {stride}\n",
            "str d11, [{to}]\nst1 {{v11.d}}[1], [{x}]\n",
            "add {to}, {to}, {stride}, lsl #1\nadd {x}, {x}, {stride}, lsl #1\n",
            "str d13, [{to}]\nst1 {{v13.d}}[1], [{x}]\n",
            "add {to}, {to}, {stride}, lsl #1\n",
        )
    };
    ($bytes:ident) => {
        $crate::fast::lanes::neon_ends::$bytes!(
            ["v16" "v17" "v18" "v19" "v20" "v21" "v22" "v23"],
            ["v0" "v1" "v0" "v1" "v0" "v1" "v0" "v1"],
            ["v4" "v5" "v4" "v5" "v4" "v5" "v4" "v5"]
        )
    };
}

pub(super) use {
    begin_four, begin_two, bytes, each, each_word, end_four, end_two, lower_negative,
    positive_bytes, rows, scales, sums, words,
};
