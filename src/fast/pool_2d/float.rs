//! Pools of float32. A window is summed row by row, as the reference sums it.

use super::windows::Reduce;
use super::{PoolWindows, Pooling};
use crate::fast::lanes::{Lanes, for_each_isa};
use crate::fast::picture::{Rows, Vectors};
use crate::fast::{PictureKernel, Primitive, Variant};
use crate::fixedpoint::limit;

/// A pool of float32.
#[derive(Debug, Clone, Copy)]
pub struct Pool2dFloat {
    /// What a window is reduced to.
    pub pooling: Pooling,
    /// Which values.
    pub windows: PoolWindows,
    /// The lowest and the highest result; what is no number stays what it is.
    pub range: (f32, f32),
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("pool_2d_float.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| {
                let name = match problem.pooling {
                    Pooling::Max => concat!("max_pool_2d_float.", $isa),
                    Pooling::Mean => concat!("average_pool_2d_float.", $isa),
                };
                prepare::<$lanes>(name, problem)
            },
        },)*]
    };
}

/// MAX_POOL_2D and AVERAGE_POOL_2D of float32.
pub struct Pool2dFloatPrimitive;

impl Primitive for Pool2dFloatPrimitive {
    type Problem<'a> = Pool2dFloat;
    type Kernel = dyn PictureKernel<f32>;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &Pool2dFloat,
) -> Option<Box<dyn PictureKernel<f32>>> {
    let lanes = L::detect()?;
    let suits = problem.windows.fill_blocks();
    suits.then(|| Vectors::boxed(name, lanes, *problem))
}

impl<L: Lanes> Rows<L, f32> for Pool2dFloat {
    fn row_elements(&self) -> usize {
        self.windows.row_elements()
    }

    fn task_elements(&self) -> usize {
        self.windows.task_elements()
    }

    #[inline(always)]
    fn run(&self, _: L, input: &[f32], output: &mut [f32], first: usize) {
        let (windows, range) = (&self.windows, self.range);
        match self.pooling {
            Pooling::Max => windows.reduce(Max { range }, input, output, first),
            Pooling::Mean => windows.reduce(Mean { range, count: 1.0 }, input, output, first),
        }
    }
}

/// The largest number.
struct Max {
    range: (f32, f32),
}

impl Reduce for Max {
    type Value = f32;
    type State = f32;
    const START: f32 = f32::MIN;

    #[inline(always)]
    fn step(max: f32, value: f32) -> f32 {
        if max < value { value } else { max }
    }

    #[inline(always)]
    fn finish(&self, max: f32) -> f32 {
        limit(max, self.range)
    }
}

/// The mean of `count` numbers.
struct Mean {
    range: (f32, f32),
    count: f32,
}

impl Reduce for Mean {
    type Value = f32;
    type State = f32;
    const START: f32 = 0.0;

    #[inline(always)]
    fn set_count(&mut self, count: usize) {
        self.count = count as f32;
    }

    #[inline(always)]
    fn step(sum: f32, value: f32) -> f32 {
        sum + value
    }

    #[inline(always)]
    fn finish(&self, sum: f32) -> f32 {
        limit(sum / self.count, self.range)
    }
}
