//! Where the positions of a result lie in the operand.

use crate::fast::Tap;
use crate::ops::PrepareError;

/// One axis: how positions of the result map to the operand's.
pub struct Steps {
    pub from: usize,
    pub to: usize,
    pub align_corners: bool,
    pub half_pixel_centers: bool,
}

impl Steps {
    /// Positions in float32.
    pub fn real(&self) -> Result<Vec<Tap<f32>>, PrepareError> {
        let scale = if self.align_corners && self.to > 1 {
            self.from.saturating_sub(1) as f32 / (self.to - 1) as f32
        } else {
            self.from as f32 / self.to as f32
        };
        let taps = (0..self.to).map(|position| {
            let at = if self.half_pixel_centers {
                (position as f32 + 0.5) * scale - 0.5
            } else {
                position as f32 * scale
            };
            let lower = at.floor().max(0.0);
            Tap {
                lower: lower as usize,
                upper: (at.ceil() as usize).min(self.from.saturating_sub(1)),
                weight: at - lower,
            }
        });
        self.within(taps.collect())
    }

    /// Positions in 1/1024.
    pub fn fixed(&self) -> Result<Vec<Tap<i64>>, PrepareError> {
        let (from, to) = (self.from as i64, self.to as i64);
        let scale = if self.align_corners && to > 1 {
            (((from - 1) << 10) + (to - 1) / 2) / (to - 1)
        } else {
            ((from << 10) + to / 2) / to
        };
        let taps = (0..to).map(|position| {
            let at = if self.half_pixel_centers {
                position * scale + scale / 2 - (1 << 9)
            } else {
                position * scale
            };
            // Divisions truncate, as in C++.
            let lower = (at / (1 << 10)).max(0);
            let upper = ((at + (1 << 10) - 1) / (1 << 10)).min(from - 1);
            Tap {
                lower: lower as usize,
                upper: upper.max(0) as usize,
                weight: at - (lower << 10),
            }
        });
        self.within(taps.collect())
    }

    /// Refuses positions beyond the operand: there are none unless float32 cannot tell neighbours apart.
    fn within<W>(&self, taps: Vec<Tap<W>>) -> Result<Vec<Tap<W>>, PrepareError> {
        if taps.iter().all(|tap| tap.lower.max(tap.upper) < self.from) {
            return Ok(taps);
        }
        Err(PrepareError::Attribute {
            name: "size",
            found: format!("{} from {}", self.to, self.from),
            expected: "positions within the input",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn steps(from: usize, to: usize, align: bool, half: bool) -> Steps {
        Steps {
            from,
            to,
            align_corners: align,
            half_pixel_centers: half,
        }
    }

    fn tap<W>(lower: usize, upper: usize, weight: W) -> Tap<W> {
        Tap {
            lower,
            upper,
            weight,
        }
    }

    #[test]
    fn positions_follow_the_options() {
        // 2 -> 4: scale 1/2; with corners aligned 1/3, in 1/1024 (1024 + 1) / 3 = 341.
        assert_eq!(
            steps(2, 4, false, false).real().expect("within"),
            [
                tap(0, 0, 0.0),
                tap(0, 1, 0.5),
                tap(1, 1, 0.0),
                tap(1, 1, 0.5)
            ]
        );
        assert_eq!(
            steps(2, 4, true, false).fixed().expect("within"),
            [
                tap(0, 0, 0),
                tap(0, 1, 341),
                tap(0, 1, 682),
                tap(0, 1, 1023)
            ]
        );
        // (0 + 0.5) / 2 - 0.5 = -0.25: before the first centre both neighbours are the first.
        let half = steps(2, 4, false, true);
        assert_eq!(half.real().expect("within")[0], tap(0, 0, -0.25));
        assert_eq!(half.fixed().expect("within")[0], tap(0, 0, -256));
    }
}
