//! Whose formula.

use std::fmt;
use std::str::FromStr;

/// Whose FakeQuant is computed. With `c` the clamped input, `m` the nudged minimum, `s` the scale, float32 throughout:
///
/// | profile | per tensor | per channel |
/// | --- | --- | --- |
/// | `tf1.13` | `floor((c - m) / s + 0.5) * s + m` | the same |
/// | `tf2` | `floor((c - m) / s - z + 0.5) * s` | `floor((c - m) * i - z + 0.5) * s` |
/// | `tflite` | `round_half_away((c - m) * (1 / s)) * s + m` | not in TFLite; the same per channel |
///
/// `i = steps / (max - min)` and `z = floor(-m * i + 0.5)`. Sources: `fake_quant_ops_functor.h` of TensorFlow 1.13.1 and
/// 2.15.1; `FakeQuantizeArray` in TFLite's `kernels/internal/quantization_util.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FakeQuantProfile {
    /// TensorFlow 1, as `tf.contrib.quantize` trains.
    #[default]
    Tf113,
    /// TensorFlow 2, as the model optimization toolkit trains.
    Tf2,
    /// TFLite's FAKE_QUANT kernel, and toco's treatment of constants.
    Tflite,
}

impl FakeQuantProfile {
    /// Every profile, the default first.
    pub const ALL: [Self; 3] = [Self::Tf113, Self::Tf2, Self::Tflite];

    /// The name that [`FromStr`] reads and [`fmt::Display`] writes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tf113 => "tf1.13",
            Self::Tf2 => "tf2",
            Self::Tflite => "tflite",
        }
    }
}

impl fmt::Display for FakeQuantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for FakeQuantProfile {
    type Err = UnknownFakeQuantProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownFakeQuantProfile { name: name.into() })
    }
}

/// A name that is not one of [`FakeQuantProfile::ALL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFakeQuantProfile {
    /// The name as it was given.
    pub name: String,
}

impl fmt::Display for UnknownFakeQuantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = FakeQuantProfile::ALL.map(FakeQuantProfile::name).join(", ");
        write!(
            f,
            "unknown FakeQuant profile {:?}, expected one of {names}",
            self.name
        )
    }
}

impl std::error::Error for UnknownFakeQuantProfile {}
