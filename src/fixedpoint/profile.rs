//! Which of TFLite's arithmetics an inference reproduces.

use std::fmt;
use std::str::FromStr;

/// How a 32-bit accumulator is rounded when it is scaled by a [`QuantizedMultiplier`](super::QuantizedMultiplier).
///
/// The two differ near ties. The multiplier 1/4 is 1/2 with a right shift of one: from the input 1, double rounding makes
/// 0.5, then 1, then 0.5, then 1; single rounding makes 0.25, then 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// gemmlowp's: a rounding high multiply, then a rounding right shift. What TFLite's reference kernels do.
    #[default]
    Double,
    /// One 64-bit product, half added, one arithmetic shift (`TFLITE_SINGLE_ROUNDING` builds; close to XNNPACK and ruy).
    Single,
}

/// A named set of the choices in which TFLite's releases and builds differ.
///
/// ```
/// use corallite::fixedpoint::{Profile, Rounding};
/// let profile: Profile = "single-rounding".parse()?;
/// assert_eq!(profile.rounding(), Rounding::Single);
/// assert_eq!(Profile::default().to_string(), "tflite");
/// # Ok::<(), corallite::fixedpoint::UnknownProfile>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// TFLite's reference kernels up to TF 2.19, tflite-runtime 2.14 and the arithmetic of arXiv 1712.05877: every
    /// requantization by a Q31 multiplier with double rounding.
    #[default]
    Tflite,
    /// LiteRT 1.3 and later: as [`Profile::Tflite`], with FULLY_CONNECTED requantized in double, and EQUAL and NOT_EQUAL
    /// of quantized int16 scaled as those of 8 bits.
    Litert,
    /// Every 32-bit requantization with one rounding.
    SingleRounding,
}

impl Profile {
    /// Every profile, the default first.
    pub const ALL: [Profile; 3] = [Profile::Tflite, Profile::Litert, Profile::SingleRounding];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    pub const fn name(self) -> &'static str {
        match self {
            Profile::Tflite => "tflite",
            Profile::Litert => "litert",
            Profile::SingleRounding => "single-rounding",
        }
    }

    /// How this profile rounds a requantized 32-bit accumulator.
    pub const fn rounding(self) -> Rounding {
        match self {
            Profile::Tflite | Profile::Litert => Rounding::Double,
            Profile::SingleRounding => Rounding::Single,
        }
    }

    /// Whether 8-bit FULLY_CONNECTED goes through `round_half_away(acc * (s_in * s_w / s_out))` in double instead of the
    /// fixed-point multiplier.
    pub const fn fully_connected_in_double(self) -> bool {
        matches!(self, Profile::Litert)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Profile::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownProfile { name: name.into() })
    }
}

/// A profile was asked for by a name that is not one of [`Profile::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile {
    /// The name as it was given.
    pub name: String,
}

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown arithmetic profile {:?}: expected one of",
            self.name
        )?;
        for (i, profile) in Profile::ALL.into_iter().enumerate() {
            write!(f, "{} {profile}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownProfile {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profile_names_round_trip() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }

    #[test]
    fn unknown_profile_names_the_choices() {
        let error = "gemmlowp".parse::<Profile>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown arithmetic profile \"gemmlowp\": expected one of tflite, litert, single-rounding"
        );
    }

    #[test]
    fn only_litert_computes_fully_connected_in_double() {
        let cases = [
            (Profile::Tflite, Rounding::Double, false),
            (Profile::Litert, Rounding::Double, true),
            (Profile::SingleRounding, Rounding::Single, false),
        ];
        for (profile, rounding, in_double) in cases {
            assert_eq!(
                (profile.rounding(), profile.fully_connected_in_double()),
                (rounding, in_double),
                "{profile}"
            );
        }
    }
}
