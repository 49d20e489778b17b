//! Convolutions of bytes as matrix products: panels of windows times packed weights.
//!
//! Output positions are the rows of the product, output channels its columns, and a window's values its depth. A panel in scratch
//! memory holds rows of the picture with their padding, as the lanes want them, and windows are read there, where they stand;
//! dilated windows and those of a group's channels are copied one behind the other. Lanes that take stored bytes read the picture
//! itself where nothing is padded. A panel is small enough to stay in the cache while every output channel passes over it. Padding
//! is filled with the zero point, which adds nothing.
//!
//! With stored bytes `a`, `w`, zero points `za`, `zw` and offsets `oa`, `ow` of the lanes, where `a' = a + oa` and so on:
//! `sum (a - za)(w - zw) = sum a'w' - za' sum w' - zw' sum a' + depth za' zw'`. All but the third term join the bias; the
//! third is 0 unless unsigned weights with a zero point other than 128 meet lanes that multiply bytes.

mod band;
mod gather;
mod packed;
mod streamed;
mod weights;

use super::lanes::{Lanes, for_each_isa};
use super::{ConvKernel, Element8, Primitive, Stage, Variant, Window};
use packed::Packed;
use streamed::Streamed;

/// A convolution with constant weights. Pictures are NHWC, filters OHWI.
#[derive(Debug, Clone)]
pub struct Conv2d<'a> {
    /// N.
    pub batches: usize,
    /// Along H.
    pub rows: Window,
    /// Along W.
    pub columns: Window,
    /// Channels of the input.
    pub input_channels: usize,
    /// Input channels that one output channel reads; there are `input_channels / filter_channels` groups.
    pub filter_channels: usize,
    /// Output channels of all groups.
    pub output_channels: usize,
    /// Type of input and output.
    pub activations: Element8,
    /// Type of the weights.
    pub weights: Element8,
    /// Zero point of the input, a value of its type.
    pub input_zero_point: i32,
    /// Zero point of the weights; 0 where they are signed.
    pub filter_zero_point: i32,
    /// OHWI.
    pub filter: &'a [u8],
    /// Whether calls will be given `filter` as it is here, so that it need not be packed.
    pub filter_is_stored: bool,
    /// One per output channel.
    pub bias: Option<&'a [i32]>,
    /// From sums to results.
    pub stage: Stage,
}

impl Conv2d<'_> {
    /// Whether the slices have the lengths that the geometry says, and no axis is empty.
    fn is_sound(&self) -> bool {
        let depth = self.depth();
        let positive = depth > 0 && self.output_channels > 0;
        positive
            && self.input_channels.is_multiple_of(self.filter_channels)
            && self
                .output_channels
                .is_multiple_of(self.input_channels / self.filter_channels)
            && self.filter.len() == depth * self.output_channels
            && self
                .bias
                .is_none_or(|bias| bias.len() == self.output_channels)
    }

    /// Weights of one output channel.
    fn depth(&self) -> usize {
        self.rows.taps * self.columns.taps * self.filter_channels
    }

    /// Whether it is the product of the weights with a matrix: one window is the whole picture, as it is stored.
    fn is_product(&self) -> bool {
        self.filter_channels == self.input_channels
            && self.rows.is_whole()
            && self.columns.is_whole()
    }

    /// Weights once they are packed for vectors of `lanes` channels that take `step` values at a time.
    fn packed_weights(&self, lanes: usize, step: usize) -> usize {
        let groups = self.input_channels / self.filter_channels;
        let channels = (self.output_channels / groups).next_multiple_of(lanes);
        (groups * channels).saturating_mul(self.depth().next_multiple_of(step))
    }
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("conv_2d.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("conv_2d.", $isa), problem),
        },)*]
    };
}

macro_rules! fully_connected_list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("fully_connected.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("fully_connected.", $isa), problem),
        },)*]
    };
}

/// CONV_2D of bytes.
pub struct Conv2dPrimitive;

impl Primitive for Conv2dPrimitive {
    type Problem<'a> = Conv2d<'a>;
    type Kernel = dyn ConvKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// FULLY_CONNECTED of bytes: a convolution of pictures with one position, one picture a row.
pub struct FullyConnectedPrimitive;

impl Primitive for FullyConnectedPrimitive {
    type Problem<'a> = Conv2d<'a>;
    type Kernel = dyn ConvKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(fully_connected_list)
    }
}

/// Weights that padding, to whole vectors or with taps of 0, may add to a convolution, beyond four times its own.
pub(super) const MOST_PADDING: usize = 1 << 20;

/// Weights that are packed at most for a few rows.
const MOST_PACKED: usize = 256 << 10;

/// Prepares `problem` for the lanes `L`: a few rows read the weights where they lie, more have them packed. So have a few where units
/// are many and shallow: sums over lanes cost more than the products.
pub(super) fn prepare<L: Lanes>(
    name: &'static str,
    problem: &Conv2d<'_>,
) -> Option<Box<dyn ConvKernel>> {
    let lanes = L::detect()?;
    if !problem.is_sound() {
        return None;
    }
    let packed = problem.packed_weights(L::N, L::K);
    let shallow = problem.output_channels >= 2 * problem.depth() && packed <= MOST_PACKED;
    let few = problem.batches <= streamed::MOST_ROWS && problem.filter_is_stored;
    if problem.is_product() && few && !shallow {
        return Some(Box::new(Streamed::new(name, lanes, problem)));
    }
    // Groups of few channels fill vectors badly: a large model must not become many times larger.
    let fits = packed <= MOST_PADDING + 4 * problem.filter.len();
    fits.then(|| Box::new(Packed::new(name, lanes, problem)) as Box<dyn ConvKernel>)
}
