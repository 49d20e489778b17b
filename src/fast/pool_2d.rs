//! Pools of bytes: windows reduced for blocks of neighbouring channels.
//!
//! A sum takes 16 bits where the window is small. The mean is found without a division: see [`Divisor`].

use super::lanes::{Lanes, Work, for_each_isa};
use super::{Element8, PictureKernel, Primitive, Variant, Window};

/// What becomes of the values of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The largest.
    Max,
    /// The mean, rounded half away from zero.
    Mean,
}

/// Windows that slide over pictures (NHWC); padding does not count.
#[derive(Debug, Clone, Copy)]
pub struct Pool2d {
    /// Type of operand and result.
    pub element: Element8,
    /// What a window is reduced to.
    pub pooling: Pooling,
    /// Along H, without dilation.
    pub rows: Window,
    /// Along W, without dilation.
    pub columns: Window,
    /// C.
    pub channels: usize,
    /// The lowest and the highest result, values of the type.
    pub clamp: (i32, i32),
}

/// Values of windows that are worth a thread's attention.
const TASK_VALUES: usize = 400_000;

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

/// Channels of a block, and of a narrower one.
const BLOCK: usize = 16;
const HALF_BLOCK: usize = 8;

/// Values of a window whose sum has 16 bits.
const SHORT_TAPS: usize = 128;

/// Values of a window that a [`Divisor`] takes.
const MOST_TAPS: usize = 1 << 16;

impl Pool2d {
    /// Values of a window that lies inside the picture.
    fn most_taps(&self) -> usize {
        let taps = |axis: &Window| axis.taps.min(axis.input);
        taps(&self.rows).saturating_mul(taps(&self.columns))
    }

    /// Elements of a row of the result.
    fn row_elements(&self) -> usize {
        self.columns.output * self.channels
    }
}

fn prepare<L: Lanes>(name: &'static str, problem: &Pool2d) -> Option<Box<dyn PictureKernel>> {
    let lanes = L::detect()?;
    let suits = problem.channels >= HALF_BLOCK && problem.most_taps() <= MOST_TAPS;
    suits.then(|| {
        Box::new(Pool {
            name,
            lanes,
            problem: *problem,
        }) as Box<dyn PictureKernel>
    })
}

struct Pool<L: Lanes> {
    name: &'static str,
    lanes: L,
    problem: Pool2d,
}

impl<L: Lanes> PictureKernel for Pool<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row_elements(&self) -> usize {
        self.problem.row_elements()
    }

    fn task_elements(&self) -> usize {
        (TASK_VALUES / self.problem.most_taps().max(1)).max(1)
    }

    fn run(&self, input: &[u8], output: &mut [u8], first: usize) {
        self.lanes.run(Run {
            problem: &self.problem,
            input,
            output,
            first,
        });
    }
}

/// One call of [`PictureKernel::run`].
struct Run<'a> {
    problem: &'a Pool2d,
    input: &'a [u8],
    output: &'a mut [u8],
    first: usize,
}

impl Work for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        match self.problem.element {
            Element8::Int8 => self.of::<i8>(),
            Element8::UInt8 => self.of::<u8>(),
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    fn of<T: Value>(self) {
        let (low, high) = self.problem.clamp;
        match self.problem.pooling {
            Pooling::Max => self.rows(Max([low, high].map(T::of))),
            Pooling::Mean if self.problem.most_taps() <= SHORT_TAPS => {
                self.rows::<T, _>(Mean::<i16>::new::<T>(low, high));
            }
            Pooling::Mean => self.rows::<T, _>(Mean::<i32>::new::<T>(low, high)),
        }
    }

    #[inline(always)]
    fn rows<T: Value, R: Reduce<T>>(self, mut reduce: R) {
        let p = self.problem;
        if p.row_elements() == 0 {
            return;
        }
        let input: &[T] = bytemuck::cast_slice(self.input);
        let line = p.columns.input * p.channels;
        for (number, output) in self.output.chunks_exact_mut(p.row_elements()).enumerate() {
            let number = self.first + number;
            let picture = &input[number / p.rows.output * p.rows.input * line..];
            let (first_y, end_y, y) = p.rows.inside(number % p.rows.output);
            for (x, output) in output.chunks_exact_mut(p.channels).enumerate() {
                let (first_x, end_x, x) = p.columns.inside(x);
                let taps = Taps {
                    picture,
                    line,
                    channels: p.channels,
                    begin: y * line + x * p.channels,
                    rows: end_y - first_y,
                    columns: end_x - first_x,
                };
                reduce.set_count(taps.rows * taps.columns);
                match p.channels {
                    BLOCK.. => taps.reduce::<R, BLOCK>(&reduce, output),
                    _ => taps.reduce::<R, HALF_BLOCK>(&reduce, output),
                }
            }
        }
    }
}

/// The part of a window that lies inside the picture.
struct Taps<'a, T> {
    /// The picture, and what follows it.
    picture: &'a [T],
    /// Values from one line to the next.
    line: usize,
    channels: usize,
    /// Where the first value stands.
    begin: usize,
    rows: usize,
    columns: usize,
}

impl<T: Value> Taps<'_, T> {
    /// The result of every channel, of which there are at least `B`: block after block, the last may overlap the one before.
    #[inline(always)]
    fn reduce<R: Reduce<T>, const B: usize>(&self, reduce: &R, output: &mut [u8]) {
        let mut channel = 0;
        loop {
            let mut states = [R::START; B];
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let from = self.begin + y * self.line + x * self.channels + channel;
                    let values = self.picture[from..].first_chunk::<B>();
                    let values = values.expect("a pixel has B channels from here");
                    for (state, &value) in states.iter_mut().zip(values) {
                        *state = R::step(*state, value);
                    }
                }
            }
            for (to, &state) in output[channel..][..B].iter_mut().zip(&states) {
                *to = reduce.finish(state);
            }
            if channel + B == self.channels {
                return;
            }
            channel = (channel + B).min(self.channels - B);
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

/// How values become a result.
trait Reduce<T> {
    /// What is carried from value to value.
    type State: Copy;
    const START: Self::State;
    /// Tells how many values the next windows have.
    fn set_count(&mut self, _count: usize) {}
    fn step(state: Self::State, value: T) -> Self::State;
    fn finish(&self, state: Self::State) -> u8;
}

/// The largest value, within the lowest and the highest result.
struct Max<T>([T; 2]);

impl<T: Value> Reduce<T> for Max<T> {
    type State = T;
    const START: T = T::LOWEST;

    #[inline(always)]
    fn step(max: T, value: T) -> T {
        max.max(value)
    }

    #[inline(always)]
    fn finish(&self, max: T) -> u8 {
        bytemuck::cast(max.max(self.0[0]).min(self.0[1]))
    }
}

/// The mean of values whose sum is an `S`.
struct Mean<S> {
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
    sum: std::marker::PhantomData<S>,
}

impl<S> Mean<S> {
    #[inline(always)]
    fn new<T: Value>(low: i32, high: i32) -> Self {
        let mut mean = Self {
            low,
            high,
            lowest: T::LOWEST.into().into(),
            divisor: Divisor::new(1),
            nudge: 0,
            down: 0,
            sum: std::marker::PhantomData,
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

impl<T: Value, S: Sum> Reduce<T> for Mean<S> {
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
    fn finish(&self, sum: S) -> u8 {
        let sum: i32 = sum.into();
        let dividend = sum + self.nudge + ((sum >> 31) & self.down);
        let mean = self.divisor.quotient(dividend.cast_unsigned()) + self.lowest;
        mean.max(self.low).min(self.high) as u8
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
