//! Picture files for the examples: JPEG, PNG and BMP through the crate `image`, into [`corallite::vision::Image`].
//!
//! What Pillow's `Image.open(path).convert("RGB")` gives, with three differences: JPEG may differ by a unit in some pixels
//! (another inverse DCT), 16-bit channels are scaled to 8 bits, and a picture is refused before it needs more memory than
//! 48 MiB and the size of its file. As in Pillow, transparency is dropped and EXIF orientation is not applied.

mod jpeg;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use corallite::vision::{Channels, Image, VisionError};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};

/// Decoded pixels and the decoder's own memory may take this much beyond the size of the file.
const MEMORY_LIMIT: u64 = 48 << 20;

/// Why a file gives no picture.
#[derive(Debug)]
pub enum PictureError {
    /// The operating system refused to open or read.
    Io(io::Error),
    /// The file is empty.
    Empty,
    /// The first bytes are those of no format read here.
    NotPicture { begins: Vec<u8> },
    /// The file ends before the picture does.
    Truncated { format: ImageFormat },
    /// The decoder gave up.
    Damaged {
        format: ImageFormat,
        error: ImageError,
    },
    /// Decoding needs more memory than allowed.
    TooLarge {
        width: u32,
        height: u32,
        bytes: u64,
        limit: u64,
    },
    /// The picture has no pixels.
    Vision(VisionError),
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Empty => write!(f, "0 bytes found, expected a JPEG, PNG or BMP picture"),
            Self::NotPicture { begins } => write!(
                f,
                "begins with \"{}\", expected a JPEG, PNG or BMP picture: convert it to one",
                begins.escape_ascii()
            ),
            Self::Truncated { format } => {
                write!(f, "{format:?} picture is truncated: copy it again")
            }
            Self::Damaged { format, error } => {
                // Decoders may put line ends into their messages.
                let error = error.to_string().replace(['\n', '\r'], " ");
                write!(f, "{format:?} picture cannot be decoded: {error}")
            }
            Self::TooLarge {
                width,
                height,
                bytes,
                limit,
            } => write!(
                f,
                "picture of {width} x {height} pixels needs {bytes} bytes of memory, at most {limit} allowed: scale it down first"
            ),
            Self::Vision(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for PictureError {}

/// Reads the picture in the file at `path`.
pub fn read(path: &Path) -> Result<Image, PictureError> {
    let file = File::open(path).map_err(PictureError::Io)?;
    let length = file.metadata().map_err(PictureError::Io)?.len();
    decode(BufReader::new(file), length)
}

/// Decodes the picture in `source`, which is `length` bytes long.
pub fn decode(mut source: impl BufRead + Seek, length: u64) -> Result<Image, PictureError> {
    let mut begins = Vec::new();
    source
        .by_ref()
        .take(8)
        .read_to_end(&mut begins)
        .map_err(PictureError::Io)?;
    source.rewind().map_err(PictureError::Io)?;
    if begins.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = match image::guess_format(&begins) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp)) => format,
        _ => return Err(PictureError::NotPicture { begins }),
    };
    let mut working_bytes = 0;
    if format == ImageFormat::Jpeg {
        let summary = jpeg::summarize(&mut source).map_err(PictureError::Io)?;
        // The decoder fills what is missing with grey and says nothing.
        if !summary.is_complete {
            return Err(PictureError::Truncated { format });
        }
        working_bytes = summary.coefficient_bytes;
        source.rewind().map_err(PictureError::Io)?;
    }
    let failed = |error| match error {
        ImageError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            PictureError::Truncated { format }
        }
        ImageError::IoError(error) => PictureError::Io(error),
        error => PictureError::Damaged { format, error },
    };
    let decoder = ImageReader::with_format(source, format)
        .into_decoder()
        .map_err(failed)?;
    let (width, height) = decoder.dimensions();
    let converted = match decoder.color_type() {
        ColorType::L8 | ColorType::Rgb8 => 0,
        ColorType::L16 | ColorType::La8 | ColorType::La16 => 1,
        _ => 3,
    };
    let pixels = u64::from(width) * u64::from(height);
    let bytes = decoder
        .total_bytes()
        .saturating_add(pixels.saturating_mul(converted))
        .saturating_add(working_bytes);
    let limit = MEMORY_LIMIT.saturating_add(length);
    if bytes > limit {
        return Err(PictureError::TooLarge {
            width,
            height,
            bytes,
            limit,
        });
    }
    let decoded = DynamicImage::from_decoder(decoder).map_err(failed)?;
    to_image(decoded).map_err(PictureError::Vision)
}

/// The pixels in 8 bits a channel, without transparency.
fn to_image(decoded: DynamicImage) -> Result<Image, VisionError> {
    // 32 bits into the machine's word, which a picture in memory fits.
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    if decoded.color().has_color() {
        Image::new(width, height, Channels::Rgb, decoded.into_rgb8().into_raw())
    } else {
        Image::new(
            width,
            height,
            Channels::Grey,
            decoded.into_luma8().into_raw(),
        )
    }
}
