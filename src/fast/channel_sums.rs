//! Sums of bytes over positions, channel by channel, scaled: MEAN and SUM of pictures.

use super::aligned::Aligned;
use super::lanes::{Lanes, Work, for_each_isa, same_pair};
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

/// Values that are worth a thread's attention.
const TASK_VALUES: usize = 100_000;

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
        Box::new(Sums {
            name,
            lanes,
            signed: problem.element.is_signed(),
            positions: problem.positions,
            channels: problem.channels,
            start: zeros.wrapping_neg(),
            ones: same_pair::<L>([1, 1]),
            stage: StageVectors::new::<L>(problem.stage.clone(), &vec![0; 2 * L::N]),
        }) as Box<dyn PictureKernel>
    })
}

struct Sums<L: Lanes> {
    name: &'static str,
    lanes: L,
    signed: bool,
    positions: usize,
    channels: usize,
    /// What takes the zero points off.
    start: i32,
    ones: Aligned,
    stage: StageVectors,
}

impl<L: Lanes> PictureKernel for Sums<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row_elements(&self) -> usize {
        self.channels
    }

    fn task_elements(&self) -> usize {
        (TASK_VALUES / self.positions).max(1)
    }

    fn run(&self, input: &[u8], output: &mut [u8], first: usize) {
        self.lanes.run(Run {
            sums: self,
            input,
            output,
            first,
        });
    }
}

/// One call of [`PictureKernel::run`].
struct Run<'a, L: Lanes> {
    sums: &'a Sums<L>,
    input: &'a [u8],
    output: &'a mut [u8],
    first: usize,
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let s = self.sums;
        let picture = s.positions * s.channels;
        let results = self.output.chunks_exact_mut(s.channels.max(1));
        for (number, results) in (self.first..).zip(results) {
            let picture = &self.input[number * picture..][..picture];
            match s.signed {
                true => s.picture::<true>(picture, results),
                false => s.picture::<false>(picture, results),
            }
        }
    }
}

impl<L: Lanes> Sums<L> {
    /// The results of one picture, a block of channels at a time.
    #[inline(always)]
    fn picture<const SIGNED: bool>(&self, picture: &[u8], results: &mut [u8]) {
        let (lanes, stage) = (self.lanes, self.stage.view());
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
