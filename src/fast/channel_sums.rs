//! Sums of bytes over positions, channel by channel, scaled: MEAN and SUM of pictures.

use super::aligned::Aligned;
use super::lanes::{Lanes, for_each_isa, same_pair};
use super::picture::{Rows, TASK_VALUES, Vectors};
use super::stage::StageVectors;
use super::{Element8, PictureKernel, Primitive, Stage, Variant};

/// The sums of pictures of `positions` x `channels`, as they are stored.
#[derive(Debug, Clone)]
pub struct ChannelSums {
    /// Type of operand and result.
    pub element: Element8,
    /// What is summed.
    pub positions: usize,
    /// What is kept.
    pub channels: usize,
    /// Zero point of the operand.
    pub zero_point: i32,
    /// From sums of numbers without their zero point to results: one channel's.
    pub stage: Stage,
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("channel_sums.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("channel_sums.", $isa), problem),
        },)*]
    };
}

/// MEAN and SUM of bytes along the axes in front of the channels.
pub struct ChannelSumsPrimitive;

impl Primitive for ChannelSumsPrimitive {
    type Problem<'a> = ChannelSums;
    type Kernel = dyn PictureKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &ChannelSums) -> Option<Box<dyn PictureKernel>> {
    let lanes = L::detect()?;
    let zeros = problem.zero_point.wrapping_mul(problem.positions as i32);
    (problem.positions > 0).then(|| {
        let sums = Sums {
            signed: problem.element.is_signed(),
            positions: problem.positions,
            channels: problem.channels,
            start: zeros.wrapping_neg(),
            ones: same_pair::<L>([1, 1]),
            stage: StageVectors::new::<L>(problem.stage.clone(), &vec![0; 2 * L::N]),
        };
        Vectors::boxed(name, lanes, sums)
    })
}

struct Sums {
    signed: bool,
    positions: usize,
    channels: usize,
    /// What takes the zero points off.
    start: i32,
    ones: Aligned,
    stage: StageVectors,
}

impl<L: Lanes> Rows<L> for Sums {
    fn row_elements(&self) -> usize {
        self.channels
    }

    fn task_elements(&self) -> usize {
        (TASK_VALUES / self.positions).max(1)
    }

    #[inline(always)]
    fn run(&self, lanes: L, input: &[u8], output: &mut [u8], first: usize) {
        let picture = self.positions * self.channels;
        let results = output.chunks_exact_mut(self.channels.max(1));
        for (number, results) in (first..).zip(results) {
            let picture = &input[number * picture..][..picture];
            match self.signed {
                true => self.picture::<L, true>(lanes, picture, results),
                false => self.picture::<L, false>(lanes, picture, results),
            }
        }
    }
}

impl Sums {
    /// The results of one picture, a block of channels at a time.
    #[inline(always)]
    fn picture<L: Lanes, const SIGNED: bool>(&self, lanes: L, picture: &[u8], results: &mut [u8]) {
        let stage = self.stage.view();
        let (limits, scales) = (stage.limits(lanes), stage.at::<L, 2>(lanes, 0));
        let ones = lanes.pair_weights(self.ones.slice());
        for (block, results) in results.chunks_mut(2 * L::N).enumerate() {
            let (len, channel) = (results.len(), block * 2 * L::N);
            let words = |position: usize| {
                let at = position * self.channels + channel;
                lanes.words(&picture[at..][..len], SIGNED)
            };
            let mut sums = [lanes.splat_sum(self.start); 2];
            for pair in 0..self.positions / 2 {
                sums = lanes.tap_pair(sums, words(2 * pair), words(2 * pair + 1), ones);
            }
            if self.positions % 2 == 1 {
                sums = lanes.last_tap(sums, words(self.positions - 1), ones);
            }
            scales.apply(lanes, [sums], |[codes]| {
                lanes.store_block(codes, limits, results);
            });
        }
    }
}
