//! What prepared convolutions have in common: bytes in, bytes out, any part of the result at a time.

use super::lanes::Lanes;
use super::{Workers, Workspace};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// An element type of one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element8 {
    /// int8.
    Int8,
    /// uint8.
    UInt8,
}

impl Element8 {
    /// Whether it is int8.
    pub fn is_signed(self) -> bool {
        self == Self::Int8
    }

    /// The stored number.
    #[inline(always)]
    pub fn value(self, byte: u8) -> i32 {
        match self {
            Self::Int8 => byte.cast_signed().into(),
            Self::UInt8 => byte.into(),
        }
    }
}

/// What of the result a call computes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Output positions, over all batches.
    pub rows: Range<usize>,
    /// Output channels; all of them unless the kernel [splits them](ConvKernel::splits_channels). Starts at a multiple of
    /// [`ConvKernel::channel_step`].
    pub channels: Range<usize>,
}

/// The operands of a call.
#[derive(Debug, Clone, Copy)]
pub struct Operands<'a> {
    /// The whole NHWC picture.
    pub input: &'a [u8],
    /// The weights as the problem had them; anything for kernels that do not [read them](ConvKernel::reads_filter).
    pub filter: &'a [u8],
}

/// A prepared convolution.
pub trait ConvKernel: Send + Sync {
    /// `<primitive>.<isa>`.
    fn name(&self) -> &'static str;
    /// Computes `part` of the result into `output`, which has just that part.
    fn run(&self, operands: Operands<'_>, output: &mut [u8], part: Part, workspace: &mut Workspace);
    /// Output positions over all batches, and output channels.
    fn extent(&self) -> (usize, usize);
    /// Multiply-accumulate operations of one output position.
    fn row_macs(&self) -> usize;
    /// Multiply-accumulate operations that are worth a thread's attention.
    fn task_macs(&self) -> usize {
        TASK_MACS
    }
    /// Channels that are computed together.
    fn channel_step(&self) -> usize;
    /// Whether channels may be computed apart.
    fn splits_channels(&self) -> bool;
    /// Whether [`run`](Self::run) reads [`Operands::filter`].
    fn reads_filter(&self) -> bool {
        false
    }
    /// Bytes of packed weights.
    fn packed_bytes(&self) -> usize;
    /// Bytes of scratch memory that [`run`](Self::run) needs.
    fn workspace_bytes(&self) -> usize;
}

/// Multiply-accumulate operations that are worth a thread's attention, where a vector holds sixteen or fewer.
pub(super) const TASK_MACS: usize = 200_000;

/// Weights that threads should not all read: they are a good part of what a second-level cache holds.
const FAR_WEIGHTS: usize = 192 << 10;

/// Results of some channels of all rows at most: they stand on the stack until they are copied.
const PART_RESULTS: usize = 16 << 10;

/// Those of a product of packed matrices by lanes of `L`; one row by a matrix is bound by memory.
pub(super) const fn task_macs<L: Lanes>() -> usize {
    TASK_MACS * (L::N * L::K).div_ceil(16)
}

impl dyn ConvKernel {
    /// Computes the whole result, shared among `workers`.
    pub fn run_all(&self, operands: Operands<'_>, output: &mut [u8], workers: &Workers) {
        let (rows, channels) = self.extent();
        if workers.threads() == 1 {
            let part = Part {
                rows: 0..rows,
                channels: 0..channels,
            };
            return workers.with_workspace(|workspace| self.run(operands, output, part, workspace));
        }
        let macs = self.row_macs().saturating_mul(rows);
        let tasks = workers.pieces(macs, self.task_macs());
        if self.splits_channels() {
            let step = |pieces| {
                let step = channels.div_ceil(pieces);
                step.next_multiple_of(self.channel_step())
            };
            let held = PART_RESULTS / rows.max(1) / self.channel_step() * self.channel_step();
            if rows == 1 {
                let step = step(tasks);
                return workers.split(output, step, &|number, piece, workspace| {
                    let channels = number * step..number * step + piece.len();
                    let part = Part {
                        rows: 0..1,
                        channels,
                    };
                    self.run(operands, piece, part, workspace);
                });
            }
            if tasks > 1 && held > 0 && channels > rows && self.row_macs() >= FAR_WEIGHTS {
                // One piece a thread: each copies what all rows read.
                let step = step(workers.threads()).min(held);
                return self.run_channels(operands, output, step, workers);
            }
        }
        let step = rows.div_ceil(tasks).max(1);
        workers.split(output, step * channels, &|number, piece, workspace| {
            let part = Part {
                rows: number * step..number * step + piece.len() / channels,
                channels: 0..channels,
            };
            self.run(operands, piece, part, workspace);
        });
    }

    /// Computes `step` channels of all rows at a time, so that every thread reads the weights of its own channels alone.
    fn run_channels(
        &self,
        operands: Operands<'_>,
        output: &mut [u8],
        step: usize,
        workers: &Workers,
    ) {
        let (rows, channels) = self.extent();
        let output = Mutex::new(output);
        workers.run(channels.div_ceil(step), &|number, workspace| {
            let piece = number * step..channels.min((number + 1) * step);
            let mut results = [0; PART_RESULTS];
            let results = &mut results[..rows * piece.len()];
            let part = Part {
                rows: 0..rows,
                channels: piece.clone(),
            };
            self.run(operands, results, part, workspace);
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            let results = results.chunks_exact(piece.len());
            for (to, results) in output.chunks_exact_mut(channels).zip(results) {
                to[piece.clone()].copy_from_slice(results);
            }
        });
    }
}
