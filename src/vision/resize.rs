//! Resampling, bit for bit as Pillow's `Image.resize` does it for 8-bit pictures.
//!
//! Every output pixel is a weighted mean of input pixels. The weights come from a filter that is stretched when the picture
//! shrinks, so no input pixel is left out; they are computed in double precision, normalized, and rounded to 22 fractional
//! bits. Rows and columns are resampled one after the other, and each pass rounds to bytes, so their order shows in the last
//! bit. Source: Pillow, `src/libImaging/Resample.c` (`precompute_coeffs`, `normalize_coeffs_8bpc`) and, for the nearest
//! pixel, `src/libImaging/Geometry.c` (`ImagingScaleAffine`). Rows come first, except in pictures that lose much more height
//! than width: so in Pillow 13.0, found by comparing 6,000 sizes; Pillow before 13 always took rows first.

use super::image::reserve;
use super::{Image, VisionError};

/// `PRECISION_BITS` in Pillow: 32 bits less 8 of the pixel and 2 for weights whose sum passes 1 on the way.
const PRECISION_BITS: u32 = 32 - 8 - 2;

/// How pixels are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filter {
    /// The input pixel under the centre of the output pixel.
    Nearest,
    /// The mean of the input pixels that an output pixel covers.
    Box,
    /// A triangle one pixel to either side.
    Bilinear,
    /// Keys' cubic with a = -0.5, two pixels to either side.
    Bicubic,
    /// A sinc windowed by a wider sinc, three pixels to either side; what pycoral's examples use.
    Lanczos,
}

impl Filter {
    /// How far the filter reaches, in pixels of an unshrunk picture.
    fn support(self) -> f64 {
        match self {
            Self::Nearest | Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The weight at distance `x` from the centre.
    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Nearest | Self::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

/// `sin(pi x) / (pi x)`.
fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

impl Image {
    /// The picture scaled to `width` x `height` pixels; its proportions are not kept.
    ///
    /// # Errors
    ///
    /// No pixel is asked for, or the memory is not to be had.
    pub fn resize(&self, width: usize, height: usize, filter: Filter) -> Result<Self, VisionError> {
        if width == 0 || height == 0 {
            return Err(VisionError::Empty { width, height });
        }
        if (width, height) == (self.width(), self.height()) {
            return Ok(self.clone());
        }
        if filter == Filter::Nearest {
            return nearest(self, width, height);
        }
        // An axis that keeps its length is not touched, as in Pillow.
        if height == self.height() {
            return resample_rows(self, width, filter);
        }
        if width == self.width() {
            return resample_columns(self, height, filter);
        }
        if columns_first((self.width(), self.height()), (width, height)) {
            resample_rows(&resample_columns(self, height, filter)?, width, filter)
        } else {
            resample_columns(&resample_rows(self, width, filter)?, height, filter)
        }
    }
}

/// Whether the height shrinks by more than twice what the width shrinks by; growth counts as negative.
fn columns_first(from: (usize, usize), to: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i128 - to as i128;
    let (width, height) = (lost(from.0, to.0), lost(from.1, to.1));
    height > 0 && height > 2 * width
}

/// Which input pixels make an output pixel, and with which weights.
struct Weights {
    /// First input pixel and number of input pixels per output pixel.
    spans: Vec<(usize, usize)>,
    /// `stride` weights per output pixel, of which the first as many as the span says count.
    values: Vec<i32>,
    stride: usize,
}

impl Weights {
    fn new(input: usize, output: usize, filter: Filter) -> Option<Self> {
        let scale = input as f64 / output as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let stride = (support.ceil() as usize).checked_mul(2)?.checked_add(1)?;
        let mut spans = Vec::new();
        let mut values = Vec::new();
        spans.try_reserve_exact(output).ok()?;
        values.try_reserve_exact(output.checked_mul(stride)?).ok()?;
        let mut exact = Vec::with_capacity(stride);
        for index in 0..output {
            let center = (index as f64 + 0.5) * scale;
            // `as` cuts below zero to 0, which is Pillow's own next step.
            let first = (center - support + 0.5) as usize;
            let last = ((center + support + 0.5) as usize).min(input);
            exact.clear();
            exact.extend(
                (first..last)
                    .map(|x| filter.weight((x as f64 - center + 0.5) * (1.0 / filter_scale))),
            );
            let sum: f64 = exact.iter().sum();
            spans.push((first, exact.len()));
            values.extend(exact.iter().map(|weight| {
                let normalized = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = normalized * f64::from(1 << PRECISION_BITS);
                (if normalized < 0.0 {
                    scaled - 0.5
                } else {
                    scaled + 0.5
                }) as i32
            }));
            values.resize((index + 1) * stride, 0);
        }
        Some(Self {
            spans,
            values,
            stride,
        })
    }

    /// The span and the weights of every output pixel in turn.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.values.chunks_exact(self.stride);
        self.spans
            .iter()
            .zip(weights)
            .map(|((first, count), weights)| (*first, &weights[..*count]))
    }
}

/// A sum of weighted bytes, begun at one half, as a byte.
///
/// Weights sum to 1 and the positive ones to less than 1.4 (Lanczos), so the sum stays within 255 x 1.4 x 2^22 < 2^31.
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// One half in the sums' fixed point: what makes the shift round to nearest.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn resample_rows(image: &Image, width: usize, filter: Filter) -> Result<Image, VisionError> {
    let channels = image.channels().count();
    let mut data = reserve(width, image.height(), image.channels())?;
    let weights = Weights::new(image.width(), width, filter);
    let weights = weights.ok_or(VisionError::OutOfMemory {
        width,
        height: image.height(),
        channels,
    })?;
    for row in image.data().chunks_exact(image.width() * channels) {
        for (first, weights) in weights.iter() {
            let span = &row[first * channels..(first + weights.len()) * channels];
            let mut sums = [HALF; 3];
            for (pixel, weight) in span.chunks_exact(channels).zip(weights) {
                for (sum, byte) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*byte) * weight;
                }
            }
            data.extend(sums[..channels].iter().map(|sum| to_byte(*sum)));
        }
    }
    Image::new(width, image.height(), image.channels(), data)
}

fn resample_columns(image: &Image, height: usize, filter: Filter) -> Result<Image, VisionError> {
    let channels = image.channels().count();
    let row_bytes = image.width() * channels;
    let mut data = reserve(image.width(), height, image.channels())?;
    let weights = Weights::new(image.height(), height, filter);
    let weights = weights.ok_or(VisionError::OutOfMemory {
        width: image.width(),
        height,
        channels,
    })?;
    let mut sums = vec![HALF; row_bytes];
    for (first, weights) in weights.iter() {
        sums.fill(HALF);
        let span = &image.data()[first * row_bytes..(first + weights.len()) * row_bytes];
        for (row, weight) in span.chunks_exact(row_bytes).zip(weights) {
            for (sum, byte) in sums.iter_mut().zip(row) {
                *sum += i32::from(*byte) * weight;
            }
        }
        data.extend(sums.iter().map(|sum| to_byte(*sum)));
    }
    Image::new(image.width(), height, image.channels(), data)
}

fn nearest(image: &Image, width: usize, height: usize) -> Result<Image, VisionError> {
    let channels = image.channels().count();
    let columns = nearest_positions(image.width(), width);
    let mut data = reserve(width, height, image.channels())?;
    for row in nearest_positions(image.height(), height) {
        for column in &columns {
            let at = (row * image.width() + column) * channels;
            data.extend_from_slice(&image.data()[at..at + channels]);
        }
    }
    Image::new(width, height, image.channels(), data)
}

/// The input position under the centre of every output position. The steps are added up, as Pillow does, because the
/// rounding of the sum shows in the last column of some sizes.
fn nearest_positions(input: usize, output: usize) -> Vec<usize> {
    let step = input as f64 / output as f64;
    std::iter::successors(Some(step * 0.5), |position| Some(position + step))
        .take(output)
        .map(|position| (position as usize).min(input - 1))
        .collect()
}
