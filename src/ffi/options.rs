//! Options of an open device.

use std::ffi::{CStr, CString};
use std::fmt;

/// Clock of the chip. A libedgetpu of the "std" packages runs at most at `High` and takes `Max` as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Performance {
    /// 62.5 MHz.
    Low,
    /// 125 MHz.
    Medium,
    /// 250 MHz.
    High,
    /// 500 MHz.
    #[default]
    Max,
}

impl Performance {
    const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Max];

    const fn name(self) -> &'static CStr {
        match self {
            Self::Low => c"Low",
            Self::Medium => c"Medium",
            Self::High => c"High",
            Self::Max => c"Max",
        }
    }
}

/// Longest queue of 1024-byte reads that libedgetpu accepts.
pub const MAX_BULK_IN_QUEUE_LENGTH: u16 = 256;

/// Options of an open device, checked here because libedgetpu ignores unknown names and answers a bad value with
/// nothing but a null pointer.
///
/// They count for the first opening of a device in a process; libedgetpu ignores them in further ones.
///
/// ```
/// use corallite::ffi::{DelegateOptions, Performance};
///
/// let options = DelegateOptions::default().performance(Performance::High).always_dfu(true);
/// let same = DelegateOptions::parse([("Performance", "High"), ("Usb.AlwaysDfu", "True")])?;
/// assert_eq!(options, same);
/// # Ok::<(), corallite::ffi::OptionError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelegateOptions {
    performance: Option<Performance>,
    always_dfu: Option<bool>,
    max_bulk_in_queue_length: Option<u16>,
}

impl DelegateOptions {
    /// Clock of the chip; libedgetpu's default is the highest.
    #[must_use]
    pub fn performance(mut self, performance: Performance) -> Self {
        self.performance = Some(performance);
        self
    }

    /// Downloads the firmware at every opening, even to a stick that runs it already. Costs about a second.
    #[must_use]
    pub fn always_dfu(mut self, always: bool) -> Self {
        self.always_dfu = Some(always);
        self
    }

    /// Number of 1024-byte reads queued on USB, 0 to 256; libedgetpu's default is 8. 0 reads each output in one
    /// transfer, which on output-heavy models saves more than half of libedgetpu's own time, but whether every stick
    /// tolerates it is not known.
    ///
    /// # Errors
    ///
    /// `length` is above 256.
    pub fn max_bulk_in_queue_length(mut self, length: u16) -> Result<Self, OptionError> {
        if length > MAX_BULK_IN_QUEUE_LENGTH {
            return Err(OptionError::Value {
                name: "Usb.MaxBulkInQueueLength",
                found: length.to_string(),
                expected: "0 to 256",
            });
        }
        self.max_bulk_in_queue_length = Some(length);
        Ok(self)
    }

    /// Reads options by the names and values libedgetpu spells them with.
    ///
    /// # Errors
    ///
    /// The name is not one of `Performance`, `Usb.AlwaysDfu`, `Usb.MaxBulkInQueueLength`, or the value is not one the
    /// option takes. Both are case-sensitive.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, OptionError> {
        let mut options = Self::default();
        for (name, value) in pairs {
            let bad = |name, expected| OptionError::Value {
                name,
                found: value.to_owned(),
                expected,
            };
            options = match name {
                "Performance" => {
                    let named = Performance::ALL
                        .into_iter()
                        .find(|level| level.name().to_bytes() == value.as_bytes());
                    options.performance(
                        named.ok_or_else(|| bad("Performance", "Low, Medium, High or Max"))?,
                    )
                }
                "Usb.AlwaysDfu" => match value {
                    "True" => options.always_dfu(true),
                    "False" => options.always_dfu(false),
                    _ => return Err(bad("Usb.AlwaysDfu", "True or False")),
                },
                "Usb.MaxBulkInQueueLength" => {
                    let bad = || bad("Usb.MaxBulkInQueueLength", "0 to 256");
                    let length = value.parse().map_err(|_| bad())?;
                    options
                        .max_bulk_in_queue_length(length)
                        .map_err(|_| bad())?
                }
                _ => {
                    return Err(OptionError::Name {
                        found: name.to_owned(),
                    });
                }
            };
        }
        Ok(options)
    }

    /// Reads options from a list `NAME=VALUE,NAME=VALUE`; the empty list has none.
    ///
    /// ```
    /// use corallite::ffi::DelegateOptions;
    /// let options = DelegateOptions::parse_list("Performance=High,Usb.MaxBulkInQueueLength=0")?;
    /// assert_eq!(options.to_string(), "Performance=High,Usb.MaxBulkInQueueLength=0");
    /// # Ok::<(), corallite::ffi::OptionError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse); an entry without `=` is an option without a value.
    pub fn parse_list(list: &str) -> Result<Self, OptionError> {
        let entries = list.split(',').filter(|entry| !entry.is_empty());
        Self::parse(entries.map(|entry| entry.split_once('=').unwrap_or((entry, ""))))
    }

    /// Names and values as the C API takes them.
    pub(super) fn pairs(self) -> Vec<(&'static CStr, CString)> {
        let mut pairs = Vec::new();
        if let Some(performance) = self.performance {
            pairs.push((c"Performance", performance.name().to_owned()));
        }
        if let Some(always) = self.always_dfu {
            pairs.push((
                c"Usb.AlwaysDfu",
                if always { c"True" } else { c"False" }.to_owned(),
            ));
        }
        if let Some(length) = self.max_bulk_in_queue_length
            && let Ok(length) = CString::new(length.to_string())
        {
            pairs.push((c"Usb.MaxBulkInQueueLength", length));
        }
        pairs
    }
}

impl fmt::Display for DelegateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.pairs().into_iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(
                f,
                "{comma}{}={}",
                name.to_string_lossy(),
                value.to_string_lossy()
            )?;
        }
        Ok(())
    }
}

/// An option that libedgetpu does not have, or a value it does not take.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionError {
    /// There is no option of this name.
    Name {
        /// The name given.
        found: String,
    },
    /// The option does not take this value.
    Value {
        /// The option.
        name: &'static str,
        /// The value given.
        found: String,
        /// The values it takes.
        expected: &'static str,
    },
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { found } => write!(
                f,
                "no libedgetpu option {found:?}, expected Performance, Usb.AlwaysDfu or Usb.MaxBulkInQueueLength"
            ),
            Self::Value {
                name,
                found,
                expected,
            } => {
                write!(
                    f,
                    "libedgetpu option {name}: found {found:?}, expected {expected}"
                )
            }
        }
    }
}

impl std::error::Error for OptionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_library_as_it_spells_them() {
        let options = DelegateOptions::default()
            .performance(Performance::Medium)
            .always_dfu(false)
            .max_bulk_in_queue_length(256)
            .expect("256 is the limit");
        let pairs: Vec<_> = options
            .pairs()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let expected = [
            (c"Performance", c"Medium"),
            (c"Usb.AlwaysDfu", c"False"),
            (c"Usb.MaxBulkInQueueLength", c"256"),
        ];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(DelegateOptions::default().pairs().is_empty());
    }

    #[test]
    fn options_refuse_what_the_library_would_ignore_or_fail_on() {
        let cases = [
            (
                ("performance", "Max"),
                "no libedgetpu option \"performance\", expected Performance, Usb.AlwaysDfu or Usb.MaxBulkInQueueLength",
            ),
            (
                ("Performance", "max"),
                "libedgetpu option Performance: found \"max\", expected Low, Medium, High or Max",
            ),
            (
                ("Usb.AlwaysDfu", "1"),
                "libedgetpu option Usb.AlwaysDfu: found \"1\", expected True or False",
            ),
            (
                ("Usb.MaxBulkInQueueLength", "257"),
                "libedgetpu option Usb.MaxBulkInQueueLength: found \"257\", expected 0 to 256",
            ),
            (
                ("Usb.MaxBulkInQueueLength", "70000"),
                "libedgetpu option Usb.MaxBulkInQueueLength: found \"70000\", expected 0 to 256",
            ),
        ];
        for (pair, message) in cases {
            let error = DelegateOptions::parse([pair]).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
        assert!(
            DelegateOptions::default()
                .max_bulk_in_queue_length(257)
                .is_err()
        );
    }
}
