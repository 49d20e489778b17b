//! Products of int8 matrices with a vector, all of whose sums are scaled alike: what recurrent layers are made of.

use super::aligned::Aligned;
use super::lanes::Lanes;
use super::lanes::rows::Rows;
use super::stage::Scale;
use crate::fixedpoint::QuantizedMultiplier;

/// What becomes of the sums of a product.
pub struct ScaledProducts {
    scale: QuantizedMultiplier,
    /// Added before scaling; padded to whole vectors.
    bias: Aligned,
}

impl ScaledProducts {
    /// `bias`: one per unit, which is a row of `depth` of the matrix, `weights`.
    pub fn new<L: Lanes>(
        scale: QuantizedMultiplier,
        bias: &[i32],
        weights: &[u8],
        depth: usize,
    ) -> Self {
        let offset = L::activation_offset(true);
        let units = bias.iter().zip(weights.chunks_exact(depth));
        let bias = units.map(|(bias, weights)| {
            let weights = weights.iter().map(|&w| i32::from(w.cast_signed()));
            let sum = weights.fold(0, i32::wrapping_add);
            bias.wrapping_sub(sum.wrapping_mul(offset))
        });
        let mut padded: Vec<i32> = bias.collect();
        padded.resize(padded.len().next_multiple_of(L::N), 0);
        Self {
            scale,
            bias: Aligned::of(&padded),
        }
    }

    /// Bytes of the biases.
    pub fn bytes(&self) -> usize {
        self.bias.bytes()
    }

    /// The scaled sums of `weights`, units x `depth`, with a row of int8. `to` has room for whole vectors.
    #[inline(always)]
    pub fn run<L: Lanes>(
        &self,
        lanes: L,
        weights: &[u8],
        depth: usize,
        row: &[L::Activation],
        to: &mut [i32],
    ) {
        let (scale, zero) = (Scale::new(lanes, self.scale), lanes.splat_sum(0));
        let bias: &[i32] = self.bias.slice();
        let rows = Rows {
            activations: row,
            filter: weights,
            depth,
            signed: true,
        };
        rows.sums(lanes, 0, to);
        for (to, bias) in to.chunks_exact_mut(L::N).zip(bias.chunks_exact(L::N)) {
            let sums = lanes.add(lanes.load_sums(to), lanes.load_sums(bias));
            lanes.store_sums(scale.apply(lanes, sums, zero), to);
        }
    }
}

/// Scales `sums`, which have room for whole vectors, to int8 results.
#[inline(always)]
pub fn scale_to_int8<L: Lanes>(
    lanes: L,
    sums: &[i32],
    scale: QuantizedMultiplier,
    zero_point: i32,
    output: &mut [u8],
) {
    let (scale, zero) = (Scale::new(lanes, scale), lanes.splat_sum(zero_point));
    let limits = lanes.limits(-128, 127);
    for (to, sums) in output.chunks_mut(L::N).zip(sums.chunks_exact(L::N)) {
        let codes = scale.apply(lanes, lanes.load_sums(sums), zero);
        lanes.store_codes(codes, limits, to);
    }
}
