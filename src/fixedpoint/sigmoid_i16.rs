//! LOGISTIC and TANH of int16 tensors: one integer table of the sigmoid, interpolated.
//!
//! Both functions read the same table, since tanh(x) = 2 sigmoid(2x) - 1, over \[0, 10.6\] in steps of 1/24 and by symmetry
//! below 0. The input is first brought to the scale 1 / (3 * 4096).
//!
//! Source: TFLite `kernels/internal/reference/integer_ops/logistic.h` and `tanh.h`, `kernels/activations.cc`
//! (`SigmoidPrepare`, `TanhPrepare`), `kernels/internal/common.h` (the table): TF 2.14, google-ai-edge/LiteRT commits
//! 049cdbc and 14906c9.

use super::multiplier::checked_log2;

/// sigmoid(i / 24) in Q0.16; upstream's entries are up to 1.4 units above the exact value, never below its rounding.
const SIGMOID_TABLE_UINT16: [u16; 256] = [
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794,
    41432, 42064, 42688, 43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443,
    48964, 49475, 49975, 50464, 50942, 51409, 51865, 52311, 52745, 53169, 53581, 53983, 54374,
    54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433, 57724, 58007, 58280, 58544,
    58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110, 61279,
    61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990,
    63090, 63186, 63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030,
    64090, 64148, 64204, 64257, 64308, 64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652,
    64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900, 64926, 64950, 64974, 64997, 65019,
    65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208, 65221, 65234,
    65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360,
    65367, 65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433,
    65438, 65442, 65445, 65449, 65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476,
    65479, 65481, 65483, 65485, 65488, 65489, 65491, 65493, 65495, 65497, 65498, 65500, 65501,
    65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513, 65514, 65515, 65516,
    65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529,
    65529, 65530, 65530, 65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532,
    65532, 65532, 65532, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65533, 65534, 65534,
    65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
];

/// How a stored int16 input becomes a position in the table.
///
/// ```
/// use corallite::fixedpoint::SigmoidInput;
/// // Scale 2^-12: +-8 over the type. 0 gives 1/2, 1.0 gives sigmoid(1) = 0.731059, in units of 2^-15.
/// let input = SigmoidInput::for_logistic(1.0 / 4096.0);
/// assert_eq!(input.logistic(0), 16384);
/// assert_eq!(input.logistic(4096), 23956); // 23955.3: TFLite's table is a little high
/// // tanh(1) = 0.761594
/// assert_eq!(SigmoidInput::for_tanh(1.0 / 4096.0).tanh(4096), 24956); // 24955.9
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigmoidInput {
    /// Factor of the stored input.
    multiplier: i32,
    /// Bits by which the product is shifted right, rounding half up.
    right_shift: u32,
}

impl SigmoidInput {
    /// For LOGISTIC of a tensor with zero point 0 and this scale.
    ///
    /// At scale 2^-12 the factor is exactly 3; any other scale uses a multiplier of 15 bits, truncated.
    pub fn for_logistic(scale: f32) -> Self {
        match checked_log2(scale) {
            Some(-12) => SigmoidInput {
                multiplier: 3,
                right_shift: 0,
            },
            _ => Self::general(scale),
        }
    }

    /// For TANH of a tensor with zero point 0 and this scale: exact factors at 2^-12 and 2^-11.
    pub fn for_tanh(scale: f32) -> Self {
        match checked_log2(scale) {
            Some(-12) => SigmoidInput {
                multiplier: 3,
                right_shift: 0,
            },
            Some(-11) => SigmoidInput {
                multiplier: 6,
                right_shift: 0,
            },
            _ => Self::general(scale),
        }
    }

    /// `scale * 3 * 4096` as a multiplier in (32767/2, 32767\] and a shift of at most 31.
    fn general(scale: f32) -> Self {
        let mut multiplier = f64::from(scale) * 4096.0 * 3.0;
        let mut right_shift = 0;
        while multiplier <= 32767.0 / 2.0 && right_shift <= 30 {
            right_shift += 1;
            multiplier *= 2.0;
        }
        // Truncates; saturates from a scale of 174762 on, where every input but 0 is beyond the table.
        SigmoidInput {
            multiplier: multiplier as i32,
            right_shift,
        }
    }

    /// The input in units of 1 / (3 * 4096).
    #[inline(always)]
    fn rescale(self, x: i16) -> i32 {
        let half = if self.right_shift > 0 {
            1i32 << (self.right_shift - 1)
        } else {
            0
        };
        i32::from(x)
            .wrapping_mul(self.multiplier)
            .wrapping_add(half)
            >> self.right_shift
    }

    /// sigmoid of one stored input, in units of 2^-15.
    #[inline]
    pub fn logistic(self, x: i16) -> i16 {
        let input = self.rescale(x);
        let (ua, step, ut) = interval(input.unsigned_abs(), 9).unwrap_or((0x7FFF << 1, 0, 0));
        let upper = (ua << 9) + ut * step;
        let half = 1u32 << 9;
        let rounded = if input >= 0 {
            upper + half
        } else {
            (1u32 << 25) - upper + half - 1
        };
        (rounded >> 10) as i16
    }

    /// tanh of one stored input, in units of 2^-15.
    #[inline]
    pub fn tanh(self, x: i16) -> i16 {
        let input = self.rescale(x);
        let (ua, step, ut) = interval(input.unsigned_abs(), 8).unwrap_or((0xFFFF, 0, 0));
        // At most 0xFFFF << 8: 24 bits. Twice the sigmoid less one, in units of 2^-23.
        let upper = ((ua << 8) + ut * step) as i32 - (1 << 23);
        let half = 1 << 7;
        let rounded = if input >= 0 {
            upper + half
        } else {
            half - upper - 1
        };
        (rounded >> 8) as i16
    }
}

/// The table entry below `magnitude`, the step to the next one, and the position between them in `fraction_bits` bits; or
/// nothing from the table's end on.
#[inline(always)]
fn interval(magnitude: u32, fraction_bits: u32) -> Option<(u32, u32, u32)> {
    let index = usize::try_from(magnitude >> fraction_bits).ok()?;
    let below = u32::from(*SIGMOID_TABLE_UINT16.get(index)?);
    let above = u32::from(*SIGMOID_TABLE_UINT16.get(index + 1)?);
    Some((below, above - below, magnitude & ((1 << fraction_bits) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOGISTIC and TANH models on BUILTIN_REF of ai-edge-litert 2.3.0 and tflite-runtime 2.14.0 (equal answers, and equal
    /// to this code for each of the 65536 inputs at these scales and at 2^-13, 1e-5 and 0.01).
    #[test]
    fn sigmoid_and_tanh_answer_as_the_reference() {
        const Q16: [i16; 11] = [
            -32768, -20000, -4097, -300, -1, 0, 1, 129, 2048, 9999, 32767,
        ];
        struct Case {
            scale: f32,
            logistic: [i16; 11],
            tanh: [i16; 11],
            why: &'static str,
        }
        let cases = [
            Case {
                scale: 1.0 / 4096.0,
                logistic: [
                    11, 247, 8811, 15784, 16382, 16384, 16386, 16642, 20397, 30143, 32757,
                ],
                tanh: [
                    -32767, -32764, -24959, -2396, -8, 0, 8, 1032, 15143, 32275, 32767,
                ],
                why: "2^-12: factor 3 in both",
            },
            Case {
                scale: 1.0 / 2048.0,
                logistic: [
                    1, 2, 3904, 15186, 16380, 16384, 16388, 16900, 23956, 32521, 32767,
                ],
                tanh: [
                    -32767, -32767, -31590, -4766, -16, 0, 16, 2061, 24956, 32764, 32767,
                ],
                why: "2^-11: factor 6 in TANH, multiplier in LOGISTIC",
            },
            Case {
                scale: 0.00037,
                logistic: [
                    1, 20, 5901, 15476, 16381, 16384, 16387, 16775, 22310, 31977, 32767,
                ],
                tanh: [
                    -32767, -32767, -29752, -3622, -13, 0, 13, 1562, 20962, 32728, 32767,
                ],
                why: "truncated multiplier",
            },
            Case {
                scale: 3.0,
                logistic: [1, 1, 1, 1, 1554, 16384, 31214, 32767, 32767, 32767, 32767],
                tanh: [
                    -32767, -32767, -32767, -32767, -32606, 0, 32606, 32767, 32767, 32767, 32767,
                ],
                why: "multiplier over 15 bits",
            },
        ];
        for Case {
            scale,
            logistic,
            tanh,
            why,
        } in cases
        {
            let input = SigmoidInput::for_logistic(scale);
            assert_eq!(
                Q16.map(|q| input.logistic(q)),
                logistic,
                "LOGISTIC at {scale}: {why}"
            );
            let input = SigmoidInput::for_tanh(scale);
            assert_eq!(Q16.map(|q| input.tanh(q)), tanh, "TANH at {scale}: {why}");
        }
    }

    #[test]
    fn sigmoid_table_follows_the_sigmoid() {
        for (i, &entry) in (0u32..).zip(&SIGMOID_TABLE_UINT16) {
            let exact = 65536.0 / (1.0 + (-f64::from(i) / 24.0).exp());
            let above = f64::from(entry) - exact;
            assert!(
                (-0.5..1.5).contains(&above),
                "entry {i} is {entry}, exact {exact}"
            );
        }
        assert!(SIGMOID_TABLE_UINT16.is_sorted());
    }

    #[test]
    fn sigmoid_input_accepts_any_scale_without_panic() {
        for scale in [
            0.0,
            -1.0,
            f32::NAN,
            f32::INFINITY,
            f32::MIN_POSITIVE,
            f32::MAX,
            1e-45,
        ] {
            for q in [i16::MIN, -1, 0, 1, i16::MAX] {
                let _ = (
                    SigmoidInput::for_logistic(scale).logistic(q),
                    SigmoidInput::for_tanh(scale).tanh(q),
                );
            }
        }
    }
}
