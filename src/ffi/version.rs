//! The version of a libedgetpu.

use std::fmt;

/// What `edgetpu_version` says, taken apart.
///
/// ```
/// use corallite::ffi::LibraryVersion;
///
/// let version = LibraryVersion::parse("BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted), RuntimeVersion(14)");
/// assert_eq!(version.runtime(), Some(14));
/// assert!(version.is_supported());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryVersion {
    text: String,
    runtime: Option<u32>,
}

impl LibraryVersion {
    /// Takes the text apart; a text without `RuntimeVersion(N)` is a version without a runtime.
    pub fn parse(text: &str) -> Self {
        let runtime = text
            .split_once("RuntimeVersion(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .and_then(|(number, _)| number.parse().ok());
        Self {
            text: text.to_owned(),
            runtime,
        }
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The runtime version that packages are compiled for: 14 from release 16.0 on, 13 in 14.x and 15.0.
    pub fn runtime(&self) -> Option<u32> {
        self.runtime
    }

    /// What stands in `BuildLabel(...)`.
    pub fn build_label(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("BuildLabel(")?;
        let (label, _) = rest
            .split_once("), RuntimeVersion(")
            .or_else(|| rest.split_once(')'))?;
        Some(label)
    }

    /// Whether the library has the tensor layout of TFLite 2.5 and later: runtime 14 or newer, or the 13 of release
    /// 15.0. The 13 of release 14.x, which has another layout, is known by `CL_NUMBER=` in its label.
    pub fn is_supported(&self) -> bool {
        match self.runtime {
            Some(14..) => true,
            Some(13) => !self.text.contains("CL_NUMBER="),
            _ => false,
        }
    }
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_tells_supported_libraries_from_older_ones() {
        struct Case {
            text: &'static str,
            runtime: Option<u32>,
            supported: bool,
        }
        // The first is the official 16.0; the form with CL_NUMBER= is that of the binaries of 2019 and 2020.
        let cases = [
            Case {
                text: "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(14)",
                runtime: Some(14),
                supported: true,
            },
            Case {
                text: "BuildLabel(COMPILER=6.3.0 20170516,DATE=redacted,TIME=redacted), RuntimeVersion(13)",
                runtime: Some(13),
                supported: true,
            },
            Case {
                text: "BuildLabel(COMPILER=6.3.0,DATE=redacted,TIME=redacted,CL_NUMBER=291256449), RuntimeVersion(13)",
                runtime: Some(13),
                supported: false,
            },
            Case {
                text: "BuildLabel(COMPILER=4.8), RuntimeVersion(12)",
                runtime: Some(12),
                supported: false,
            },
            Case {
                text: "BuildLabel(X), RuntimeVersion(15)",
                runtime: Some(15),
                supported: true,
            },
            Case {
                text: "RuntimeVersion(-1)",
                runtime: None,
                supported: false,
            },
            Case {
                text: "RuntimeVersion(14",
                runtime: None,
                supported: false,
            },
            Case {
                text: "",
                runtime: None,
                supported: false,
            },
        ];
        for case in cases {
            let version = LibraryVersion::parse(case.text);
            assert_eq!(version.runtime(), case.runtime, "{}", case.text);
            assert_eq!(version.is_supported(), case.supported, "{}", case.text);
        }
        let version =
            LibraryVersion::parse("BuildLabel(COMPILER=12 (x),DATE=d), RuntimeVersion(14)");
        assert_eq!(version.build_label(), Some("COMPILER=12 (x),DATE=d"));
    }
}
