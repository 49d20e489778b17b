//! What the doctor says.

use std::fmt;

use super::cause::{Cause, Severity};

/// One cause, where it was seen, and the way out.
///
/// `Display` gives a paragraph: the finding on the first line, the fix indented below.
///
/// ```
/// use corallite::device::doctor::{Facts, diagnose};
/// let nothing_attached = Facts::default();
/// let finding = &diagnose(&nothing_attached).findings[0];
/// assert_eq!(finding.cause.id(), "no-device");
/// assert!(finding.to_string().starts_with("error: no-device: "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of problem.
    pub cause: Cause,
    /// How bad it is here.
    pub severity: Severity,
    /// What has the problem: a device path, a library, a model.
    pub what: String,
    /// What was found, one line.
    pub found: String,
    /// What to do, one or more lines.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}: {}: {}",
            self.severity, self.cause, self.what, self.found
        )?;
        for line in self.fix.lines() {
            if line.is_empty() {
                writeln!(f)?
            } else {
                write!(f, "\n    {line}")?
            }
        }
        Ok(())
    }
}

/// All findings, the worst first.
///
/// ```
/// assert!(corallite::device::doctor::Report::default().healthy());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// In the order of their severity.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Nothing keeps the Edge TPU from working: no finding is an error.
    pub fn healthy(&self) -> bool {
        self.findings
            .iter()
            .all(|finding| finding.severity != Severity::Error)
    }
}
