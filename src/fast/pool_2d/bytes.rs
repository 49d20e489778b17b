//! Pools of bytes.
//!
//! A sum takes 16 bits where the window is small. The mean is found without a division: see [`Divisor`].

use super::windows::Reduce;
use super::{PoolWindows, Pooling};
use crate::fast::lanes::{Lanes, for_each_isa};
use crate::fast::picture::{Rows, Vectors};
use crate::fast::{Element8, PictureKernel, Primitive, Variant};

/// A pool of bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pool2d {
    /// Type of operand and result.
    pub element: Element8,
    /// What a window is reduced to.
    pub pooling: Pooling,
    /// Which values.
    pub windows: PoolWindows,
    /// The lowest and the highest result, values of the type.
    pub clamp: (i32, i32),
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("max_pool_2d.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| {
                let name = match problem.pooling {
                    Pooling::Max => concat!("max_pool_2d.", $isa),
                    Pooling::Mean => concat!("average_pool_2d.", $isa),
                };
                prepare::<$lanes>(name, problem)
            },
        },)*]
    };
}

/// MAX_POOL_2D and AVERAGE_POOL_2D of bytes.
pub struct Pool2dPrimitive;

impl Primitive for Pool2dPrimitive {
    type Problem<'a> = Pool2d;
    type Kernel = dyn PictureKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// Values of a window whose sum has 16 bits.
const SHORT_TAPS: usize = 128;

/// Values of a window that a [`Divisor`] takes.
const MOST_TAPS: usize = 1 << 16;

fn prepare<L: Lanes>(name: &'static str, problem: &Pool2d) -> Option<Box<dyn PictureKernel>> {
    let lanes = L::detect()?;
    let suits = problem.windows.fill_blocks() && problem.windows.most_taps() <= MOST_TAPS;
    suits.then(|| Vectors::boxed(name, lanes, *problem))
}

impl<L: Lanes> Rows<L> for Pool2d {
    fn row_elements(&self) -> usize {
        self.windows.row_elements()
    }

    fn task_elements(&self) -> usize {
        self.windows.task_elements()
    }

    #[inline(always)]
    fn run(&self, _: L, input: &[u8], output: &mut [u8], first: usize) {
        match self.element {
            Element8::Int8 => self.of::<i8>(input, output, first),
            Element8::UInt8 => self.of::<u8>(input, output, first),
        }
    }
}

impl Pool2d {
    #[inline(always)]
    fn of<T: Value>(&self, input: &[u8], output: &mut [u8], first: usize) {
        let (low, high) = self.clamp;
        let input: &[T] = bytemuck::cast_slice(input);
        let (output, windows) = (bytemuck::cast_slice_mut(output), &self.windows);
        match self.pooling {
            Pooling::Max => windows.reduce(Max([low, high].map(T::of)), input, output, first),
            Pooling::Mean if windows.most_taps() <= SHORT_TAPS => {
                windows.reduce(Mean::<T, i16>::new(low, high), input, output, first);
            }
            Pooling::Mean => {
                windows.reduce(Mean::<T, i32>::new(low, high), input, output, first);
            }
        }
    }
}

/// A type of stored values.
trait Value: bytemuck::Pod + Ord + Into<i16> {
    const LOWEST: Self;
    fn of(code: i32) -> Self;
}

impl Value for i8 {
    const LOWEST: Self = Self::MIN;

    fn of(code: i32) -> Self {
        code as Self
    }
}

impl Value for u8 {
    const LOWEST: Self = Self::MIN;

    fn of(code: i32) -> Self {
        code as Self
    }
}

/// The largest value, within the lowest and the highest result.
struct Max<T>([T; 2]);

impl<T: Value> Reduce for Max<T> {
    type Value = T;
    type State = T;
    const START: T = T::LOWEST;

    #[inline(always)]
    fn step(max: T, value: T) -> T {
        max.max(value)
    }

    #[inline(always)]
    fn finish(&self, max: T) -> T {
        max.max(self.0[0]).min(self.0[1])
    }
}

/// The mean of `T` whose sum is an `S`.
struct Mean<T, S> {
    /// The lowest and the highest result.
    low: i32,
    high: i32,
    /// The least number of the type.
    lowest: i32,
    divisor: Divisor,
    /// What makes a quotient that is rounded down, and begins at `lowest`, round to nearest.
    nudge: i32,
    /// -1 where halves of negative sums would otherwise be rounded upward.
    down: i32,
    types: std::marker::PhantomData<(T, S)>,
}

impl<T: Value, S> Mean<T, S> {
    #[inline(always)]
    fn new(low: i32, high: i32) -> Self {
        let mut mean = Self {
            low,
            high,
            lowest: T::LOWEST.into().into(),
            divisor: Divisor::new(1),
            nudge: 0,
            down: 0,
            types: std::marker::PhantomData,
        };
        mean.divide_by(1);
        mean
    }

    #[inline(always)]
    fn divide_by(&mut self, count: u32) {
        let values = count.cast_signed();
        self.divisor = Divisor::new(count);
        self.nudge = values / 2 - self.lowest * values;
        // An odd number of values has no halves.
        self.down = values % 2 - 1;
    }
}

impl<T: Value, S: Sum> Reduce for Mean<T, S> {
    type Value = T;
    type State = S;
    const START: S = S::ZERO;

    #[inline(always)]
    fn set_count(&mut self, count: usize) {
        // A window that lies in the padding has a sum of 0.
        let count = count.max(1) as u32;
        if count != self.divisor.count {
            self.divide_by(count);
        }
    }

    #[inline(always)]
    fn step(sum: S, value: T) -> S {
        sum.plus(value.into())
    }

    #[inline(always)]
    fn finish(&self, sum: S) -> T {
        let sum: i32 = sum.into();
        let dividend = sum + self.nudge + ((sum >> 31) & self.down);
        let mean = self.divisor.quotient(dividend.cast_unsigned()) + self.lowest;
        T::of(mean.max(self.low).min(self.high))
    }
}

/// A type of sums.
trait Sum: Copy + Into<i32> {
    const ZERO: Self;
    fn plus(self, value: i16) -> Self;
}

impl Sum for i16 {
    const ZERO: Self = 0;

    #[inline(always)]
    fn plus(self, value: i16) -> Self {
        self.wrapping_add(value)
    }
}

impl Sum for i32 {
    const ZERO: Self = 0;

    #[inline(always)]
    fn plus(self, value: i16) -> Self {
        self.wrapping_add(value.into())
    }
}

/// Division by `count` as a product with `multiplier`, a little more than 2^shift / count, shifted to the right.
///
/// The quotient exceeds the true one by less than dividend / 2^shift, which is below 1 / count for dividends below 256 * count
/// with a count up to 2^16: it is rounded down to the same number.
struct Divisor {
    count: u32,
    multiplier: u32,
    shift: u32,
}

impl Divisor {
    #[inline(always)]
    fn new(count: u32) -> Self {
        let shift = 31 + count.ilog2();
        // At most 2^31.
        let multiplier = (1u64 << shift).div_ceil(count.into()) as u32;
        Self {
            count,
            multiplier,
            shift,
        }
    }

    #[inline(always)]
    fn quotient(&self, dividend: u32) -> i32 {
        ((u64::from(dividend) * u64::from(self.multiplier)) >> self.shift) as i32
    }
}
