//! The walk over the windows of a pool.

use crate::fast::Window;
use crate::fast::picture::TASK_VALUES;
use std::ops::Range;

/// Windows that slide over pictures (NHWC); padding does not count.
#[derive(Debug, Clone, Copy)]
pub struct PoolWindows {
    /// Along H, without dilation.
    pub rows: Window,
    /// Along W, without dilation.
    pub columns: Window,
    /// C.
    pub channels: usize,
}

/// Channels of a block, and of a narrower one.
const BLOCK: usize = 16;
const HALF_BLOCK: usize = 8;

/// Neighbouring windows that are reduced together.
const SIDE_BY_SIDE: usize = 4;

/// How values become a result.
pub(super) trait Reduce {
    /// A type of values and results.
    type Value: Copy;
    /// What is carried from value to value.
    type State: Copy;
    const START: Self::State;
    /// Tells how many values the next windows have.
    fn set_count(&mut self, _count: usize) {}
    fn step(state: Self::State, value: Self::Value) -> Self::State;
    fn finish(&self, state: Self::State) -> Self::Value;
}

impl PoolWindows {
    /// Whether there are channels for a block.
    pub(super) fn fill_blocks(&self) -> bool {
        self.channels >= HALF_BLOCK
    }

    /// Values of a window that lies inside the picture.
    pub(super) fn most_taps(&self) -> usize {
        let taps = |axis: &Window| axis.taps.min(axis.input);
        taps(&self.rows).saturating_mul(taps(&self.columns))
    }

    /// Elements of a row of the result.
    pub(super) fn row_elements(&self) -> usize {
        self.columns.output * self.channels
    }

    /// Elements of the result that are worth a thread's attention.
    pub(super) fn task_elements(&self) -> usize {
        (TASK_VALUES / self.most_taps().max(1)).max(1)
    }

    /// Computes as many rows of the result as `output` has room for, from row `first` over all pictures on.
    #[inline(always)]
    pub(super) fn reduce<R: Reduce>(
        &self,
        mut reduce: R,
        input: &[R::Value],
        output: &mut [R::Value],
        first: usize,
    ) {
        if self.row_elements() == 0 {
            return;
        }
        let line = self.columns.input * self.channels;
        let whole = self.columns.whole();
        for (number, output) in output.chunks_exact_mut(self.row_elements()).enumerate() {
            let number = first + number;
            let picture = &input[number / self.rows.output * self.rows.input * line..];
            let (first_y, end_y, y) = self.rows.inside(number % self.rows.output);
            let mut x = 0;
            while x < self.columns.output {
                let windows = side_by_side(&whole, x);
                if windows > 1 {
                    // The last ones may be reduced twice.
                    x = x.min(whole.end - windows);
                }
                let (first_x, end_x, column) = self.columns.inside(x);
                let taps = Taps {
                    picture,
                    line,
                    channels: self.channels,
                    begin: y * line + column * self.channels,
                    next: self.columns.stride * self.channels,
                    rows: end_y - first_y,
                    columns: end_x - first_x,
                };
                reduce.set_count(taps.rows * taps.columns);
                let output = &mut output[x * self.channels..][..windows * self.channels];
                match (windows, self.channels) {
                    (1, BLOCK..) => taps.reduce::<R, BLOCK, 1>(&reduce, output),
                    (1, _) => taps.reduce::<R, HALF_BLOCK, 1>(&reduce, output),
                    (_, BLOCK..) => taps.reduce::<R, BLOCK, SIDE_BY_SIDE>(&reduce, output),
                    _ => taps.reduce::<R, HALF_BLOCK, SIDE_BY_SIDE>(&reduce, output),
                }
                x += windows;
            }
        }
    }
}

/// How many windows from `x` on are reduced together: those of `whole` lie inside the picture.
fn side_by_side(whole: &Range<usize>, x: usize) -> usize {
    match whole.contains(&x) && whole.len() >= SIDE_BY_SIDE {
        true => SIDE_BY_SIDE,
        false => 1,
    }
}

/// The parts of neighbouring windows that lie inside the picture.
struct Taps<'a, T> {
    /// The picture, and what follows it.
    picture: &'a [T],
    /// Values from one line to the next.
    line: usize,
    channels: usize,
    /// Where the first window's first value stands.
    begin: usize,
    /// Values from one window to the next.
    next: usize,
    rows: usize,
    columns: usize,
}

impl<T: Copy> Taps<'_, T> {
    /// The result of every channel of `W` windows, at least `B` each: block after block, the last may overlap the one before.
    #[inline(always)]
    fn reduce<R: Reduce<Value = T>, const B: usize, const W: usize>(
        &self,
        reduce: &R,
        output: &mut [T],
    ) {
        let reach = (W - 1) * self.next + B;
        let mut channel = 0;
        loop {
            let mut states = [[R::START; B]; W];
            for y in 0..self.rows {
                for x in 0..self.columns {
                    let from = self.begin + y * self.line + x * self.channels + channel;
                    let values = &self.picture[from..][..reach];
                    for (window, states) in states.iter_mut().enumerate() {
                        let values = &values[window * self.next..][..B];
                        for (state, &value) in states.iter_mut().zip(values) {
                            *state = R::step(*state, value);
                        }
                    }
                }
            }
            for (window, states) in states.iter().enumerate() {
                let output = &mut output[window * self.channels + channel..][..B];
                for (to, &state) in output.iter_mut().zip(states) {
                    *to = reduce.finish(state);
                }
            }
            if channel + B == self.channels {
                return;
            }
            channel = (channel + B).min(self.channels - B);
        }
    }
}
