//! float16 numbers, which are stored as their bits and computed on as float32.

/// The float32 of the same value as the float16 with these bits.
pub fn float16_to_float32(bits: u16) -> f32 {
    let bits = u32::from(bits);
    let sign = (bits & 0x8000) << 16;
    let magnitude = bits & 0x7FFF;
    let float = match magnitude >> 10 {
        // Zero and subnormal: a multiple of 2^-24, exact in float32.
        0 => return f32::from_bits(sign | ((magnitude as f32) * (-24f32).exp2()).to_bits()),
        // Infinity and not-a-number, whose payload is kept.
        31 => 0x7F80_0000 | magnitude << 13,
        // The exponent's bias is 15 in one format and 127 in the other.
        _ => (magnitude << 13) + ((127 - 15) << 23),
    };
    f32::from_bits(sign | float)
}

/// The bits of the float16 nearest to `value`, of two equally near ones the even.
pub fn float32_to_float16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7FFF_FFFF;
    if magnitude > 0x7F80_0000 {
        // Not a number.
        return sign | 0x7E00;
    }
    // From 65520 on, half-way between the largest float16 and the next power of two, everything rounds to infinity.
    if magnitude >= 65520f32.to_bits() {
        return sign | 0x7C00;
    }
    // 2^-14, the smallest with a full fraction.
    if magnitude < 0x3880_0000 {
        // A multiple of 2^-24: adding 1/2, whose last fraction bit is 2^-24, rounds to one and leaves it in the fraction.
        let shifted = f32::from_bits(magnitude) + 0.5;
        return sign | (shifted.to_bits() - 0.5f32.to_bits()) as u16;
    }
    // Thirteen fraction bits go; a carry moves on into the exponent.
    let rebased = magnitude - ((127 - 15) << 23);
    let rounded = rebased + 0x0FFF + (rebased >> 13 & 1);
    sign | (rounded >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn float16_values_are_exact_in_float32() {
        // Sign, 5 bits of exponent biased by 15, 10 bits of fraction.
        let cases = [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3C00, 1.0),
            (0xC500, -5.0),         // -1.25 * 2^2
            (0x7BFF, 65504.0),      // (2 - 2^-10) * 2^15, the largest
            (0x0001, 5.9604645e-8), // 2^-24, the smallest
            (0x83FF, -6.097555e-5), // -(2^-14 - 2^-24)
            (0x7C00, f32::INFINITY),
            (0xFC00, f32::NEG_INFINITY),
        ];
        for (bits, expected) in cases {
            let found = float16_to_float32(bits);
            assert_eq!(found.to_bits(), f32::to_bits(expected), "{bits:#06x}");
        }
        assert!(float16_to_float32(0x7E00).is_nan());
    }

    #[test]
    fn every_float16_survives_the_way_through_float32() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7FFF <= 0x7C00) {
            assert_eq!(
                float32_to_float16(float16_to_float32(bits)),
                bits,
                "{bits:#06x}"
            );
        }
        assert!(float16_to_float32(float32_to_float16(f32::NAN)).is_nan());
    }

    #[test]
    fn rounding_to_float16_is_to_the_nearest_and_to_even_at_ties() {
        // One and neighbours: a float16 step at 1 is 2^-10.
        let step = 2f32.powi(-10);
        let cases = [
            (1.0 + step / 2.0, 0x3C00),
            (1.0 + step * 1.5, 0x3C02),
            (1.0 + step * 0.51, 0x3C01),
            (65519.0, 0x7BFF),
            (65520.0, 0x7C00),
            // Subnormal numbers have steps of 2^-24; half a step is a tie with zero.
            (2f32.powi(-25), 0x0000),
            (2f32.powi(-25) * 1.5, 0x0001),
            (-(2f32.powi(-24)) * 2.5, 0x8002),
        ];
        for (value, expected) in cases {
            assert_eq!(float32_to_float16(value), expected, "{value}");
        }
    }
}
