//! Bilinear means of bytes: blocks of channels side by side, with weights that are fixed for a pixel.
//!
//! Neighbouring results mostly lie between the same two columns of the operand. Their columns are first averaged from above
//! to below, once for such a run of results, then from left to right for each result.
//!
//! Sums come in three forms. Weights that are whole numbers of 2^-8 when those of both axes are multiplied leave sums that
//! have 16 bits, and no float32 operation of the reference would round: a form in words serves all types. Other weights take
//! the reference's own arithmetic, 32-bit integers or float32 in its order.

use super::lanes::{Lanes, for_each_isa};
use super::picture::{Rows, Vectors};
use super::{Element8, PictureKernel, Primitive, Variant};
use crate::fixedpoint::Rounding;

/// A position of the result along one axis: the two neighbours in the operand, and how far it is from the lower one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tap<W> {
    /// The neighbour at the lower index.
    pub lower: usize,
    /// The neighbour at the higher index, perhaps the same.
    pub upper: usize,
    /// The share of the upper neighbour, in units of [`Means`].
    pub weight: W,
}

/// The positions of a result's rows and columns, and how four neighbours are averaged.
#[derive(Debug, Clone, Copy)]
pub enum Means<'a> {
    /// In float32, a half added before the fraction is cut off.
    Real([&'a [Tap<f32>]; 2]),
    /// In integers, weights in 1/1024.
    Fixed([&'a [Tap<i64>]; 2], Rounding),
}

/// Pictures (NHWC) of another size.
#[derive(Debug, Clone, Copy)]
pub struct ResizeBilinear<'a> {
    /// Type of operand and result.
    pub element: Element8,
    /// H of the operand.
    pub height: usize,
    /// W of the operand.
    pub width: usize,
    /// C.
    pub channels: usize,
    /// H and W of the result.
    pub means: Means<'a>,
}

/// Results that are worth a thread's attention.
const TASK_BYTES: usize = 50_000;

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("resize_bilinear.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("resize_bilinear.", $isa), problem),
        },)*]
    };
}

/// RESIZE_BILINEAR of bytes.
pub struct ResizeBilinearPrimitive;

impl Primitive for ResizeBilinearPrimitive {
    type Problem<'a> = ResizeBilinear<'a>;
    type Kernel = dyn PictureKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &ResizeBilinear<'_>,
) -> Option<Box<dyn PictureKernel>> {
    let lanes = L::detect()?;
    Some(match (problem.means, problem.element) {
        (Means::Real(taps), Element8::UInt8) => {
            if let Some([rows, columns]) = word_shares(taps, |weight| weight * 256.0) {
                let form = InWords::<false> { half_up: true };
                return Some(kernel(name, lanes, problem, form, rows, columns));
            }
            let [rows, columns] = taps.map(|taps| shares(taps, |y| [1.0 - y, y]));
            kernel(name, lanes, problem, InReal, rows, columns)
        }
        (Means::Fixed(taps, rounding), Element8::Int8) => {
            let half_up = rounding == Rounding::Single;
            if let Some([rows, columns]) = word_shares(taps, |weight| weight as f32 / 4.0) {
                let form = InWords::<true> { half_up };
                return Some(kernel(name, lanes, problem, form, rows, columns));
            }
            // A weight is less than twice the one: it has 12 bits.
            let share = |y: i64| [1024 - y as i32, y as i32];
            let [rows, columns] = taps.map(|taps| shares(taps, share));
            kernel(name, lanes, problem, InFixed { half_up }, rows, columns)
        }
        _ => return None,
    })
}

fn kernel<L: Lanes, F: Form>(
    name: &'static str,
    lanes: L,
    problem: &ResizeBilinear<'_>,
    form: F,
    rows: Shares<F::Number>,
    columns: Shares<F::Number>,
) -> Box<dyn PictureKernel> {
    let same = |a: &Tap<_>, b: &Tap<_>| (a.lower, a.upper) == (b.lower, b.upper);
    let runs = columns.chunk_by(same).map(|run| run.len()).collect();
    let resize = Resize {
        form,
        height: problem.height,
        width: problem.width,
        channels: problem.channels,
        rows,
        columns,
        runs,
    };
    Vectors::boxed(name, lanes, resize)
}

/// Positions along an axis with the shares of the lower and the upper neighbour.
type Shares<N> = Box<[Tap<[N; 2]>]>;

/// The positions with the shares of both neighbours.
fn shares<W: Copy, N>(taps: &[Tap<W>], shares: impl Fn(W) -> [N; 2]) -> Shares<N> {
    taps.iter()
        .map(|tap| Tap {
            lower: tap.lower,
            upper: tap.upper,
            weight: shares(tap.weight),
        })
        .collect()
}

/// How four neighbours are averaged, `B` channels at a time.
trait Form: Copy + Send + Sync + 'static {
    /// The share of a neighbour.
    type Number: Copy + Send + Sync;
    /// The means of a column from above to below.
    type Column<const B: usize>: Copy;

    /// The mean of two neighbours in a column.
    fn down<const B: usize>(
        self,
        above: [u8; B],
        below: [u8; B],
        shares: [Self::Number; 2],
    ) -> Self::Column<B>;
    /// The mean of two neighbouring columns.
    fn across<const B: usize>(
        self,
        left: &Self::Column<B>,
        right: &Self::Column<B>,
        shares: [Self::Number; 2],
    ) -> [u8; B];
}

/// Sums in 1/256, which wrap on the way but have 16 bits in the end.
#[derive(Clone, Copy)]
struct InWords<const SIGNED: bool> {
    /// Whether ties are rounded upward, not away from zero.
    half_up: bool,
}

/// Shares whose products are whole numbers of 1/256, given weights in 1/256; `None` where they are not.
fn word_shares<W: Copy>(
    taps: [&[Tap<W>]; 2],
    scaled: impl Fn(W) -> f32,
) -> Option<[Shares<u16>; 2]> {
    // Binary digits that the weights of an axis have behind the point.
    let digits = |taps: &[Tap<W>]| {
        (0..=8).find(|digits| {
            let unit = f32::from(256u16 >> digits);
            taps.iter().all(|tap| scaled(tap.weight) % unit == 0.0)
        })
    };
    let [rows, columns] = [digits(taps[0])?, digits(taps[1])?];
    (rows + columns <= 8).then(|| {
        [(taps[0], rows), (taps[1], 8 - rows)].map(|(taps, digits)| {
            shares(taps, |weight| {
                let weight = (scaled(weight) as i16) >> (8 - digits);
                [(1i16 << digits) - weight, weight].map(i16::cast_unsigned)
            })
        })
    })
}

impl<const SIGNED: bool> Form for InWords<SIGNED> {
    type Number = u16;
    type Column<const B: usize> = [u16; B];

    #[inline(always)]
    fn down<const B: usize>(self, above: [u8; B], below: [u8; B], [a, b]: [u16; 2]) -> [u16; B] {
        let word = |byte: u8| match SIGNED {
            true => i16::from(byte.cast_signed()).cast_unsigned(),
            false => u16::from(byte),
        };
        let mut sums = [0; B];
        for (i, sum) in sums.iter_mut().enumerate() {
            let above = word(above[i]).wrapping_mul(a);
            *sum = above.wrapping_add(word(below[i]).wrapping_mul(b));
        }
        sums
    }

    #[inline(always)]
    fn across<const B: usize>(
        self,
        left: &[u16; B],
        right: &[u16; B],
        [a, b]: [u16; 2],
    ) -> [u8; B] {
        let mut codes = [0; B];
        for (i, code) in codes.iter_mut().enumerate() {
            let left = left[i].wrapping_mul(a);
            let sum = left.wrapping_add(right[i].wrapping_mul(b));
            let down = match SIGNED && !self.half_up {
                true => (sum.cast_signed() >> 15).cast_unsigned(),
                false => 0,
            };
            // The high byte is the same with and without a sign.
            *code = (sum.wrapping_add(128).wrapping_add(down) >> 8) as u8;
        }
        codes
    }
}

/// Sums in 2^-20, as the reference has them.
#[derive(Clone, Copy)]
struct InFixed {
    /// Whether ties are rounded upward, not away from zero.
    half_up: bool,
}

impl Form for InFixed {
    type Number = i32;
    type Column<const B: usize> = [i32; B];

    #[inline(always)]
    fn down<const B: usize>(self, above: [u8; B], below: [u8; B], [a, b]: [i32; 2]) -> [i32; B] {
        let mut sums = [0; B];
        for (i, sum) in sums.iter_mut().enumerate() {
            let [above, below] = [above[i], below[i]].map(|byte| i32::from(byte.cast_signed()));
            *sum = above * a + below * b;
        }
        sums
    }

    #[inline(always)]
    fn across<const B: usize>(
        self,
        left: &[i32; B],
        right: &[i32; B],
        [a, b]: [i32; 2],
    ) -> [u8; B] {
        let mut codes = [0; B];
        for (i, code) in codes.iter_mut().enumerate() {
            // 27 bits: a byte times the one of each axis.
            let sum = left[i]
                .wrapping_mul(a)
                .wrapping_add(right[i].wrapping_mul(b));
            let down = if self.half_up { 0 } else { sum >> 31 };
            *code = (sum.wrapping_add(1 << 19).wrapping_add(down) >> 20) as u8;
        }
        codes
    }
}

/// float32 in the reference's order: the shares from above to below first.
#[derive(Clone, Copy)]
struct InReal;

impl Form for InReal {
    type Number = f32;
    type Column<const B: usize> = [[f32; B]; 2];

    #[inline(always)]
    fn down<const B: usize>(
        self,
        above: [u8; B],
        below: [u8; B],
        [a, b]: [f32; 2],
    ) -> [[f32; B]; 2] {
        let mut products = [[0.0; B]; 2];
        for i in 0..B {
            products[0][i] = f32::from(above[i]) * a;
            products[1][i] = f32::from(below[i]) * b;
        }
        products
    }

    #[inline(always)]
    fn across<const B: usize>(
        self,
        left: &[[f32; B]; 2],
        right: &[[f32; B]; 2],
        [a, b]: [f32; 2],
    ) -> [u8; B] {
        let mut codes = [0; B];
        for (i, code) in codes.iter_mut().enumerate() {
            let sum = left[0][i] * a + left[1][i] * a + right[0][i] * b + right[1][i] * b + 0.5;
            // From 0 to 255.
            *code = sum as i32 as u8;
        }
        codes
    }
}

/// A resizing with the shares of all positions.
struct Resize<F: Form> {
    form: F,
    height: usize,
    width: usize,
    channels: usize,
    rows: Shares<F::Number>,
    columns: Shares<F::Number>,
    /// How many neighbouring columns lie between the same two of the operand.
    runs: Box<[usize]>,
}

impl<L: Lanes, F: Form> Rows<L> for Resize<F> {
    fn row_elements(&self) -> usize {
        self.columns.len() * self.channels
    }

    fn task_elements(&self) -> usize {
        TASK_BYTES
    }

    #[inline(always)]
    fn run(&self, _: L, input: &[u8], output: &mut [u8], first: usize) {
        let line = self.width * self.channels;
        let row = (self.columns.len() * self.channels).max(1);
        for (number, output) in (first..).zip(output.chunks_exact_mut(row)) {
            let row = &self.rows[number % self.rows.len()];
            let picture = &input[number / self.rows.len() * self.height * line..];
            let lines = [row.lower, row.upper].map(|y| &picture[y * line..][..line]);
            match self.channels {
                16.. => self.row::<16>(lines, row.weight, output),
                8.. => self.row::<8>(lines, row.weight, output),
                _ => self.narrow_row(lines, row.weight, output),
            }
        }
    }
}

impl<F: Form> Resize<F> {
    /// A row of at least `B` channels, block after block; the last may overlap the one before.
    #[inline(always)]
    fn row<const B: usize>(&self, lines: [&[u8]; 2], shares: [F::Number; 2], output: &mut [u8]) {
        let mut channel = 0;
        loop {
            let mut output = output[channel..].chunks_mut(self.channels);
            let mut columns = &self.columns[..];
            for &run in &self.runs {
                let (now, later) = columns.split_at(run);
                columns = later;
                let left = self.column::<B>(lines, now[0].lower, channel, shares);
                let right = self.column::<B>(lines, now[0].upper, channel, shares);
                for (tap, to) in now.iter().zip(&mut output) {
                    let to = to.first_chunk_mut::<B>();
                    let to = to.expect("a pixel has B channels from here");
                    *to = self.form.across(&left, &right, tap.weight);
                }
            }
            if channel + B == self.channels {
                return;
            }
            channel = (channel + B).min(self.channels - B);
        }
    }

    /// Column `x` from above to below: `B` channels from `channel` on. No closure, which could stay a call.
    #[inline(always)]
    fn column<const B: usize>(
        &self,
        lines: [&[u8]; 2],
        x: usize,
        channel: usize,
        shares: [F::Number; 2],
    ) -> F::Column<B> {
        let from = x * self.channels + channel;
        let above = lines[0][from..].first_chunk::<B>();
        let below = lines[1][from..].first_chunk::<B>();
        let there = "a pixel has B channels from here";
        self.form
            .down(*above.expect(there), *below.expect(there), shares)
    }

    /// A row of fewer channels than a block has.
    #[inline(always)]
    fn narrow_row(&self, lines: [&[u8]; 2], shares: [F::Number; 2], output: &mut [u8]) {
        let mut columns = &self.columns[..];
        let mut position = 0;
        for &run in &self.runs {
            let (now, later) = columns.split_at(run);
            columns = later;
            let left = self.narrow_column(lines, now[0].lower, shares);
            let right = self.narrow_column(lines, now[0].upper, shares);
            for tap in now {
                let codes = self.form.across(&left, &right, tap.weight);
                let to = &mut output[position..];
                // What is beyond the pixel is overwritten by the next.
                match to.first_chunk_mut::<8>() {
                    Some(to) => *to = codes,
                    None => to[..self.channels].copy_from_slice(&codes[..self.channels]),
                }
                position += self.channels;
            }
        }
    }

    /// Column `x` from above to below: all channels, fewer than a block.
    #[inline(always)]
    fn narrow_column(&self, lines: [&[u8]; 2], x: usize, shares: [F::Number; 2]) -> F::Column<8> {
        let mut blocks = [[0; 8]; 2];
        for (block, line) in blocks.iter_mut().zip(lines) {
            let pixel = &line[x * self.channels..][..self.channels];
            block[..self.channels].copy_from_slice(pixel);
        }
        self.form.down(blocks[0], blocks[1], shares)
    }
}
