//! Label files: what the numbers of classes are called.
//!
//! Two forms, told apart by the whole file. Where every line that is not empty is a number, then blanks or colons, then
//! text, the number is the class's id (`17  cat`, `17: cat`). Otherwise each line is a label and its place in the file is
//! the id, empty lines included. pycoral's `read_label_file` decides line by line, which takes a label such as `3 stripes`
//! for class 3; on files of one form the two agree.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// More than the names of every class of ImageNet-21k need; beyond it, a file is no label file.
const SIZE_LIMIT: u64 = 4 << 20;

/// The names of classes.
///
/// ```
/// use corallite::vision::Labels;
///
/// let lines = Labels::parse("background\ntench\n".as_bytes())?;
/// assert_eq!(lines.get(1), Some("tench"));
/// let numbered = Labels::parse("0  person\n2: car\n".as_bytes())?;
/// assert_eq!((numbered.get(1), numbered.get(2)), (None, Some("car")));
/// assert_eq!(numbered.name(1), "1");
/// # Ok::<(), corallite::vision::LabelsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    text: String,
    /// Sorted by id.
    entries: Vec<Entry>,
    /// One more than the highest id.
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    id: u32,
    /// Of `text`, which is below 4 GiB.
    label: Range<u32>,
}

/// Why a file is no label file.
#[derive(Debug)]
#[non_exhaustive]
pub enum LabelsError {
    /// Any of the others, with the file it concerns.
    InFile {
        path: PathBuf,
        error: Box<LabelsError>,
    },
    /// The operating system refused to open or read.
    Io(io::Error),
    /// No line has a label.
    Empty,
    /// The file is larger than any list of labels.
    TooLarge { limit: u64 },
    /// Bytes that are not UTF-8.
    NotUtf8 { line: usize, utf16: bool },
    /// The same id on two lines.
    Duplicate {
        id: u32,
        line: usize,
        first_line: usize,
    },
    /// An id that no output tensor can have.
    Id { line: usize },
}

impl Labels {
    /// Reads the label file at `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read, holds no label, is above 4 MiB or not UTF-8, or gives an id twice. The message names the
    /// file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, LabelsError> {
        let path = path.as_ref();
        let read = || {
            let mut bytes = Vec::new();
            File::open(path)?
                .take(SIZE_LIMIT + 1)
                .read_to_end(&mut bytes)?;
            Self::parse(&bytes)
        };
        read().map_err(|error| LabelsError::InFile {
            path: path.to_path_buf(),
            error: Box::new(error),
        })
    }

    /// Reads the bytes of a label file.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn parse(bytes: &[u8]) -> Result<Self, LabelsError> {
        if u64::try_from(bytes.len()).is_ok_and(|length| length > SIZE_LIMIT) {
            return Err(LabelsError::TooLarge { limit: SIZE_LIMIT });
        }
        let text = std::str::from_utf8(bytes).map_err(|error| LabelsError::NotUtf8 {
            line: 1 + bytes[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count(),
            utf16: bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"),
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let is_numbered =
            lines(text).all(|(_, line)| line.is_empty() || split_number(line).is_some());
        let mut numbered: Vec<(usize, Entry)> = Vec::new();
        for (index, line) in lines(text).filter(|(_, line)| !line.is_empty()) {
            let (id, label) = match split_number(line).filter(|_| is_numbered) {
                Some((digits, label)) => (
                    digits
                        .parse()
                        .map_err(|_| LabelsError::Id { line: index + 1 })?,
                    label,
                ),
                None => (
                    u32::try_from(index).map_err(|_| LabelsError::Id { line: index + 1 })?,
                    line,
                ),
            };
            numbered.push((
                index + 1,
                Entry {
                    id,
                    label: range_in(text, label),
                },
            ));
        }
        numbered.sort_by_key(|(line, entry)| (entry.id, *line));
        for (first, second) in numbered.iter().zip(numbered.iter().skip(1)) {
            if first.1.id == second.1.id {
                return Err(LabelsError::Duplicate {
                    id: first.1.id,
                    line: second.0,
                    first_line: first.0,
                });
            }
        }
        let last = numbered.last().ok_or(LabelsError::Empty)?.1.id;
        let len = usize::try_from(last)
            .unwrap_or(usize::MAX)
            .saturating_add(1);
        let entries = numbered.into_iter().map(|(_, entry)| entry).collect();
        Ok(Self {
            text: text.to_owned(),
            entries,
            len,
        })
    }

    /// The label of class `id`, where the file has one.
    pub fn get(&self, id: usize) -> Option<&str> {
        let id = u32::try_from(id).ok()?;
        let at = self
            .entries
            .binary_search_by_key(&id, |entry| entry.id)
            .ok()?;
        let Range { start, end } = self.entries.get(at)?.label;
        self.text
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }

    /// The label of class `id`, or the id in digits.
    pub fn name(&self, id: usize) -> String {
        self.get(id).map_or_else(|| id.to_string(), str::to_owned)
    }

    /// How many classes the file covers: one more than its highest id. An output with more classes than this belongs to
    /// other labels.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no label at all; only [`Labels::default`] is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The lines, numbered from 0, without the white space around them; LF, CR LF and CR all end a line, as in Python.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
        .map(str::trim)
        .enumerate()
}

/// The digits and the label of a line of the numbered form.
fn split_number(line: &str) -> Option<(&str, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = line.split_at_checked(digits)?;
    let label =
        rest.trim_start_matches(|character: char| character == ':' || character.is_whitespace());
    (!digits.is_empty() && label.len() < rest.len() && !label.is_empty()).then_some((digits, label))
}

/// Where `part`, a slice of `text`, lies in it.
fn range_in(text: &str, part: &str) -> Range<u32> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    // The size limit keeps both far below 4 GiB.
    let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    position(start)..position(start + part.len())
}

impl fmt::Display for LabelsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InFile { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Io(error) => write!(f, "{error}"),
            Self::Empty => write!(f, "no label found, expected one a line"),
            Self::TooLarge { limit } => {
                write!(
                    f,
                    "larger than {limit} bytes, expected a list of labels: is this the right file?"
                )
            }
            Self::NotUtf8 { utf16: true, .. } => {
                write!(f, "text in UTF-16, expected UTF-8: convert it")
            }
            Self::NotUtf8 { line, .. } => {
                write!(
                    f,
                    "line {line} is not UTF-8, expected a list of labels: is this the right file?"
                )
            }
            Self::Duplicate {
                id,
                line,
                first_line,
            } => {
                write!(
                    f,
                    "line {line} names class {id}, which line {first_line} has named: drop one of them"
                )
            }
            Self::Id { line } => {
                write!(
                    f,
                    "line {line} has an id above {}, expected the number of a class",
                    u32::MAX
                )
            }
        }
    }
}

impl std::error::Error for LabelsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::InFile { error, .. } => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for LabelsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        struct Case {
            text: &'static str,
            len: usize,
            labels: &'static [(usize, Option<&'static str>)],
        }
        let cases = [
            Case {
                text: "a\nb",
                len: 2,
                labels: &[(0, Some("a")), (1, Some("b")), (2, None)],
            },
            // CR LF, CR, a byte order mark, blanks around, trailing empty lines.
            Case {
                text: "\u{feff}a\r\n  b c \r\n\r\n\r\n",
                len: 2,
                labels: &[(0, Some("a")), (1, Some("b c"))],
            },
            Case {
                text: "a\rb\r",
                len: 2,
                labels: &[(0, Some("a")), (1, Some("b"))],
            },
            // An empty line is a class without a label.
            Case {
                text: "a\n\nb\n",
                len: 3,
                labels: &[(0, Some("a")), (1, None), (2, Some("b"))],
            },
            Case {
                text: "0  person\n1  bicycle\n",
                len: 2,
                labels: &[(0, Some("person")), (1, Some("bicycle"))],
            },
            Case {
                text: "0: person\n\n2\t:  car\n",
                len: 3,
                labels: &[(0, Some("person")), (1, None), (2, Some("car"))],
            },
            // Order and gaps are free; only the first separator counts.
            Case {
                text: "90 toothbrush\n7:a: b\n",
                len: 91,
                labels: &[(7, Some("a: b")), (90, Some("toothbrush"))],
            },
            // Digits are labels where nothing follows them.
            Case {
                text: "0\n1\n2\n",
                len: 3,
                labels: &[(0, Some("0")), (2, Some("2"))],
            },
            // One line without a number makes all of them plain.
            Case {
                text: "3 stripes\nplain\n",
                len: 2,
                labels: &[(0, Some("3 stripes")), (1, Some("plain"))],
            },
            Case {
                text: "2147483646 last\n",
                len: i32::MAX as usize,
                labels: &[(2_147_483_646, Some("last"))],
            },
            Case {
                text: "größe\n日本\n",
                len: 2,
                labels: &[(0, Some("größe")), (1, Some("日本"))],
            },
        ];
        for case in cases {
            let labels = Labels::parse(case.text.as_bytes()).expect(case.text);
            assert_eq!(labels.len(), case.len, "{:?}", case.text);
            for (id, label) in case.labels {
                assert_eq!(labels.get(*id), *label, "{:?} {id}", case.text);
            }
        }
    }

    #[test]
    fn name_falls_back_to_the_id() {
        let labels = Labels::parse(b"a\n").unwrap();
        assert_eq!(
            (labels.name(0), labels.name(964)),
            ("a".to_owned(), "964".to_owned())
        );
        assert_eq!(Labels::default().name(3), "3");
        assert!(Labels::default().is_empty());
    }

    #[test]
    fn what_is_refused_says_where() {
        let large = vec![b'a'; 4 * 1024 * 1024 + 1];
        let cases: [(&[u8], &str); 8] = [
            (b"", "no label found, expected one a line"),
            (b"\n \r\n", "no label found, expected one a line"),
            (
                b"a\nb\xff\n",
                "line 2 is not UTF-8, expected a list of labels: is this the right file?",
            ),
            (b"\xff\xfea\0", "text in UTF-16, expected UTF-8: convert it"),
            (
                b"0 a\n1 b\n0 c\n",
                "line 3 names class 0, which line 1 has named: drop one of them",
            ),
            (
                b"0 a\n00 b\n",
                "line 2 names class 0, which line 1 has named: drop one of them",
            ),
            (
                b"0 a\n4294967296 b\n",
                "line 2 has an id above 4294967295, expected the number of a class",
            ),
            (
                &large,
                "larger than 4194304 bytes, expected a list of labels: is this the right file?",
            ),
        ];
        for (bytes, message) in cases {
            assert_eq!(Labels::parse(bytes).unwrap_err().to_string(), message);
        }
        let error = Labels::read("no/such/labels.txt").unwrap_err();
        assert!(
            error.to_string().starts_with("no/such/labels.txt: "),
            "{error}"
        );
    }
}
