//! The bytes before the elements: magic string, version, length and dictionary.

use std::io::{ErrorKind, Read};

use super::{HeaderProblem, NpyError, NpyType};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// The elements begin at a multiple of this many bytes.
const ALIGNMENT: usize = 64;
/// numpy leaves room for the longest axis to grow in place up to this many digits (`GROWTH_AXIS_MAX_DIGITS`).
const GROWTH_DIGITS: usize = 21;
/// Version 1 cannot say more than this, and 32 axes of 20 digits are far below it.
const LENGTH_LIMIT: usize = 65_535;
/// `NPY_MAXDIMS` of NumPy 1; NumPy 2 has 64, which no tensor here can use.
pub(super) const RANK_LIMIT: usize = 32;

/// What the dictionary says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub dtype: NpyType,
    pub fortran_order: bool,
    pub shape: Vec<usize>,
}

/// Reads up to the first element.
pub(super) fn read(reader: &mut impl Read) -> Result<Header, NpyError> {
    let mut prefix = [0_u8; 8];
    let got = read_up_to(reader, &mut prefix)?;
    let magic_len = got.min(MAGIC.len());
    if got == 0 || prefix[..magic_len] != MAGIC[..magic_len] {
        return Err(NpyError::NotNpy {
            found: prefix[..magic_len].to_vec(),
        });
    }
    if got < prefix.len() {
        return Err(NpyError::HeaderTruncated {
            expected: prefix.len() + 2,
            found: got,
        });
    }
    let [.., major, minor] = prefix;
    let mut length = [0_u8; 4];
    let length_size = match (major, minor) {
        (1, 0) => 2,
        (2 | 3, 0) => 4,
        _ => return Err(NpyError::Version { major, minor }),
    };
    let start = prefix.len() + length_size;
    let got = read_up_to(reader, &mut length[..length_size])?;
    if got < length_size {
        return Err(NpyError::HeaderTruncated {
            expected: start,
            found: prefix.len() + got,
        });
    }
    let claimed = u32::from_le_bytes(length);
    let length = usize::try_from(claimed)
        .ok()
        .filter(|length| *length <= LENGTH_LIMIT)
        .ok_or(NpyError::HeaderTooLong {
            length: u64::from(claimed),
            limit: LENGTH_LIMIT,
        })?;
    let mut text = vec![0_u8; length];
    let got = read_up_to(reader, &mut text)?;
    if got < length {
        return Err(NpyError::HeaderTruncated {
            expected: start + length,
            found: start + got,
        });
    }
    Literal {
        text: &text,
        at: 0,
        start,
    }
    .header()
}

/// The bytes before the elements of a C-ordered array, as `numpy.save` writes them.
pub(super) fn write(dtype: NpyType, shape: &[usize]) -> Vec<u8> {
    use std::fmt::Write;

    let mut text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': (");
    for (axis, dimension) in shape.iter().enumerate() {
        let separator = if axis > 0 { " " } else { "" };
        let comma = if axis + 1 < shape.len() || shape.len() == 1 {
            ","
        } else {
            ""
        };
        write!(text, "{separator}{dimension}{comma}").expect("a String takes every write");
    }
    text.push_str("), }");
    if let Some(first) = shape.first() {
        let digits = first.to_string().len();
        text.extend(std::iter::repeat_n(
            ' ',
            GROWTH_DIGITS.saturating_sub(digits),
        ));
    }
    // Version 1 holds 65,535 bytes of header; rank 32 needs less than 1,000, so version 2 is never called for.
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    // numpy pads a whole 64 where nothing is missing.
    text.extend(std::iter::repeat_n(' ', ALIGNMENT - unpadded % ALIGNMENT));
    text.push('\n');
    let length = u16::try_from(text.len()).expect("rank and digits bound the header");
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + text.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Fills `buffer` as far as the reader goes and says how far that was.
pub(super) fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, NpyError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(NpyError::Io(error)),
        }
    }
    Ok(filled)
}

/// A reader of the one Python dictionary literal that the format allows.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
    /// Where `text` begins in the file, for the messages.
    start: usize,
}

impl Literal<'_> {
    fn header(&mut self) -> Result<Header, NpyError> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect(b'{', "'{'")?;
        while !self.take(b'}') {
            self.skip_space();
            let key_at = self.at;
            let key = self.string()?;
            self.expect(b':', "':'")?;
            let twice = match key.as_str() {
                "descr" => descr.replace(self.descr()?).map(|_| "descr"),
                "fortran_order" => fortran_order
                    .replace(self.boolean()?)
                    .map(|_| "fortran_order"),
                "shape" => shape.replace(self.tuple()?).map(|_| "shape"),
                _ => return Err(self.error_at(key_at, HeaderProblem::UnknownKey)),
            };
            if let Some(key) = twice {
                return Err(self.error_at(key_at, HeaderProblem::DuplicateKey(key)));
            }
            if !self.take(b',') {
                self.expect(b'}', "',' or '}'")?;
                break;
            }
        }
        self.skip_space();
        if self.at < self.text.len() {
            return Err(self.expected("nothing after the dictionary"));
        }
        let missing = |key| self.error_at(0, HeaderProblem::MissingKey(key));
        let descr = descr.ok_or_else(|| missing("descr"))?;
        Ok(Header {
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            dtype: NpyType::from_descr(&descr)?,
        })
    }

    fn descr(&mut self) -> Result<String, NpyError> {
        self.skip_space();
        if self.peek() == Some(b'[') {
            return Err(self.error_at(self.at, HeaderProblem::Structured));
        }
        self.string()
    }

    fn string(&mut self) -> Result<String, NpyError> {
        self.skip_space();
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.expected("a quoted string")),
        };
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| *byte == quote)
            .ok_or_else(|| self.expected("a closing quote"))?;
        let string = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        self.skip_space();
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, value) in [("True", true), ("False", false)] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.expected("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        let mut shape = Vec::new();
        self.expect(b'(', "'('")?;
        while !self.take(b')') {
            shape.push(self.dimension()?);
            if !self.take(b',') {
                // `(3)` is a number in Python, not a tuple; numpy never writes it.
                if shape.len() == 1 {
                    return Err(self.expected("',' after the only dimension"));
                }
                self.expect(b')', "',' or ')'")?;
                break;
            }
        }
        Ok(shape)
    }

    fn dimension(&mut self) -> Result<usize, NpyError> {
        self.skip_space();
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.first() == Some(&b'-') {
            return Err(self.error_at(self.at, HeaderProblem::Dimension));
        }
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return Err(self.expected("a dimension"));
        }
        let value = std::str::from_utf8(&rest[..digits])
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok())
            .ok_or_else(|| self.error_at(self.at, HeaderProblem::Dimension))?;
        self.at += digits;
        // Python 2 wrote long integers with an `L`.
        if self.peek() == Some(b'L') {
            self.at += 1;
        }
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), NpyError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.expected(what))
        }
    }

    fn expected(&self, what: &'static str) -> NpyError {
        self.error_at(self.at, HeaderProblem::Expected(what))
    }

    fn error_at(&self, at: usize, problem: HeaderProblem) -> NpyError {
        NpyError::Header {
            problem,
            offset: self.start + at,
        }
    }
}
