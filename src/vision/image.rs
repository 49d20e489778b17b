//! Pictures in memory.

use super::VisionError;

/// What a pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One byte: 0 black, 255 white.
    Grey,
    /// Three bytes: red, green, blue.
    Rgb,
}

impl Channels {
    /// Bytes in a pixel.
    pub fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture: rows from top to bottom, pixels from left to right, the bytes of a pixel side by side (HWC).
///
/// ```
/// use corallite::vision::{Channels, Filter, Image};
///
/// let picture = Image::new(2, 1, Channels::Rgb, vec![255, 0, 0, 0, 0, 255])?;
/// let grey = picture.into_grey();
/// assert_eq!(grey.data(), [76, 29]);
/// let wide = grey.resize(4, 1, Filter::Bilinear)?;
/// assert_eq!((wide.width(), wide.height()), (4, 1));
/// # Ok::<(), corallite::vision::VisionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: Channels,
    data: Vec<u8>,
}

impl Image {
    /// A picture of `width` x `height` pixels over its bytes.
    ///
    /// # Errors
    ///
    /// There is no pixel, or `data` is not as long as the size says.
    pub fn new(
        width: usize,
        height: usize,
        channels: Channels,
        data: Vec<u8>,
    ) -> Result<Self, VisionError> {
        if width == 0 || height == 0 {
            return Err(VisionError::Empty { width, height });
        }
        let bytes = width
            .checked_mul(height)
            .and_then(|pixels| pixels.checked_mul(channels.count()));
        if bytes != Some(data.len()) {
            let (channels, found) = (channels.count(), data.len());
            return Err(VisionError::Bytes {
                width,
                height,
                channels,
                found,
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            data,
        })
    }

    /// Refuses a picture of more than `limit` pixels, before anything is allocated for it.
    ///
    /// # Errors
    ///
    /// There is no pixel, or there are too many.
    pub fn check_size(width: usize, height: usize, limit: usize) -> Result<(), VisionError> {
        match width.checked_mul(height) {
            Some(0) => Err(VisionError::Empty { width, height }),
            Some(pixels) if pixels <= limit => Ok(()),
            _ => Err(VisionError::TooLarge {
                width,
                height,
                limit,
            }),
        }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// What a pixel is made of.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The bytes, `width * height * channels` of them.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, taken out.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The same picture in grey, as Pillow's `convert("L")` has it: ITU-R 601-2 luma in 16-bit fixed point
    /// (Pillow 13.0, `src/libImaging/Convert.c`, `L24`).
    pub fn into_grey(mut self) -> Self {
        if self.channels == Channels::Rgb {
            let pixels = self.width * self.height;
            for pixel in 0..pixels {
                let [red, green, blue] =
                    [0, 1, 2].map(|channel| u32::from(self.data[3 * pixel + channel]));
                let luma = (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16;
                // The weights sum to 65,536, so at most 255.
                self.data[pixel] = luma as u8;
            }
            self.data.truncate(pixels);
            self.data.shrink_to_fit();
            self.channels = Channels::Grey;
        }
        self
    }

    /// The same picture with three equal bytes a pixel where it was grey.
    ///
    /// # Errors
    ///
    /// The memory is not to be had.
    pub fn into_rgb(self) -> Result<Self, VisionError> {
        if self.channels == Channels::Rgb {
            return Ok(self);
        }
        let mut data = reserve(self.width, self.height, Channels::Rgb)?;
        data.extend(self.data.iter().flat_map(|grey| [*grey; 3]));
        Ok(Self {
            channels: Channels::Rgb,
            data,
            ..self
        })
    }

    /// Turns dark to bright and bright to dark: every byte becomes 255 minus itself.
    pub fn invert(&mut self) {
        for byte in &mut self.data {
            *byte = u8::MAX - *byte;
        }
    }

    /// How bright the background is, where the edges show a plain one: the median of the bytes along the four edges (the
    /// lower of the two middle ones where their number is even), if three quarters of them are within 32 of it.
    pub fn plain_background(&self) -> Option<u8> {
        let mut histogram = [0_usize; 256];
        let pixel = self.channels.count();
        let row_bytes = self.width * pixel;
        for (row, bytes) in self.data.chunks_exact(row_bytes).enumerate() {
            let is_edge = row == 0 || row + 1 == self.height || self.width < 3;
            let inner = if is_edge {
                0..0
            } else {
                pixel..row_bytes - pixel
            };
            for byte in bytes[..inner.start].iter().chain(&bytes[inner.end..]) {
                histogram[usize::from(*byte)] += 1;
            }
        }
        let total: usize = histogram.iter().sum();
        let mut below = 0;
        let median = histogram.iter().position(|count| {
            below += count;
            2 * below >= total
        })?;
        let near = &histogram[median.saturating_sub(32)..(median + 33).min(256)];
        let is_plain = 4 * near.iter().sum::<usize>() >= 3 * total;
        u8::try_from(median).ok().filter(|_| is_plain)
    }
}

/// An empty vector with room for a picture of that size.
pub(super) fn reserve(
    width: usize,
    height: usize,
    channels: Channels,
) -> Result<Vec<u8>, VisionError> {
    let error = VisionError::OutOfMemory {
        width,
        height,
        channels: channels.count(),
    };
    let mut data = Vec::new();
    match width
        .checked_mul(height)
        .and_then(|pixels| pixels.checked_mul(channels.count()))
    {
        Some(bytes) if data.try_reserve_exact(bytes).is_ok() => Ok(data),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_refuses_sizes_that_do_not_fit() {
        let cases = [
            (
                Image::new(0, 3, Channels::Grey, vec![]),
                "picture of 0 x 3 pixels, expected at least one",
            ),
            (
                Image::new(2, 2, Channels::Rgb, vec![0; 11]),
                "11 bytes given for a picture of 2 x 2 pixels of 3 bytes",
            ),
            (
                Image::new(usize::MAX, 2, Channels::Grey, vec![0; 2]),
                &format!(
                    "2 bytes given for a picture of {} x 2 pixels of 1 bytes",
                    usize::MAX
                ),
            ),
        ];
        for (image, message) in cases {
            assert_eq!(image.unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn size_limit_holds_without_overflow() {
        assert_eq!(Image::check_size(1000, 1000, 1_000_000), Ok(()));
        assert_eq!(
            Image::check_size(1001, 1000, 1_000_000)
                .unwrap_err()
                .to_string(),
            "picture of 1001 x 1000 pixels, at most 1000000 pixels allowed: scale it down first"
        );
        assert!(Image::check_size(usize::MAX, usize::MAX, usize::MAX).is_err());
        assert!(Image::check_size(5, 0, 10).is_err());
    }

    #[test]
    fn grey_becomes_rgb_and_inverts() {
        let mut image = Image::new(2, 1, Channels::Grey, vec![0, 200]).unwrap();
        image.invert();
        assert_eq!(
            image.into_rgb().unwrap().data(),
            [255, 255, 255, 55, 55, 55]
        );
    }

    #[test]
    fn plain_background_is_seen_along_the_edges() {
        // A white frame of eight pixels around a black one, and what is left of it in thin pictures.
        let framed = [255, 255, 255, 255, 0, 255, 255, 255, 255];
        let cases: [(usize, usize, &[u8], Option<u8>); 8] = [
            (3, 3, &framed, Some(255)),
            (1, 1, &[7], Some(7)),
            (4, 1, &[1, 2, 3, 4], Some(2)),
            (1, 3, &[9, 1, 5], Some(5)),
            (2, 2, &[8, 6, 4, 2], Some(4)),
            // Three of four within 32 of the median, and two of four.
            (4, 1, &[100, 110, 142, 200], Some(110)),
            (4, 1, &[100, 110, 143, 200], None),
            (4, 1, &[0, 0, 255, 255], None),
        ];
        for (width, height, data, expected) in cases {
            let image = Image::new(width, height, Channels::Grey, data.to_vec()).unwrap();
            assert_eq!(
                image.plain_background(),
                expected,
                "{width} x {height} {data:?}"
            );
        }
    }
}
