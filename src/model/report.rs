//! What verification found: every finding, each with its place, what was found, what was expected and the remedy.

use super::rules::Rule;
use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The model runs, but something is off.
    Warning,
    /// The arithmetic would be undefined or meaningless: the model is refused.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Where in the model a finding stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Location {
    /// Index of the subgraph.
    pub subgraph: usize,
    /// Index and name of the operator, where the rule is about one (for a tensor's own rules: its producer or first reader).
    pub operator: Option<(usize, String)>,
    /// Index and name of the tensor.
    pub tensor: Option<(usize, String)>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if self.subgraph != 0 {
            write!(f, "subgraph {}", self.subgraph)?;
            separator = ", ";
        }
        if let Some((index, name)) = &self.operator {
            write!(f, "{separator}operator {index} {name}")?;
            separator = ", ";
        }
        if let Some((index, name)) = &self.tensor {
            write!(f, "{separator}tensor {index} \"{name}\"")?;
        }
        Ok(())
    }
}

/// One rule broken at one place.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule: its id, severity and remedy.
    pub rule: &'static Rule,
    /// Where.
    pub location: Location,
    /// The value found.
    pub found: String,
    /// The value expected.
    pub expected: String,
}

impl Finding {
    /// A finding of `rule` at `location`.
    pub fn new(rule: &'static Rule, location: Location, found: String, expected: String) -> Self {
        Self {
            rule,
            location,
            found,
            expected,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} [{}] {}: found {}, expected {}; {}",
            self.rule.severity,
            self.rule.id,
            self.location,
            self.found,
            self.expected,
            self.rule.remedy
        )
    }
}

/// All findings on one model, in file order.
///
/// ```
/// use corallite::model::Report;
/// assert!(!Report::default().has_errors());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    findings: Vec<Finding>,
    errors_only: bool,
}

/// Beyond this many findings a report only counts: a hostile file must not fill the memory.
const MAX_FINDINGS: usize = 10_000;

impl Report {
    /// A report that takes errors alone, so that rules which read all weights to give a warning can be left out.
    pub fn errors_only() -> Self {
        Self {
            errors_only: true,
            ..Self::default()
        }
    }

    /// Whether warnings are taken.
    pub fn wants_warnings(&self) -> bool {
        !self.errors_only
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        let wanted = self.wants_warnings() || finding.rule.severity == Severity::Error;
        if wanted && self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Adds the findings of another report behind these.
    pub fn extend(&mut self, other: Report) {
        for finding in other.findings {
            self.push(finding);
        }
    }

    /// Brings findings of several sources in file order: by subgraph, operator and tensor; findings on tensors that no
    /// operator touches come last.
    pub fn sort(&mut self) {
        self.findings.sort_by_key(|finding| {
            let Location {
                subgraph,
                operator,
                tensor,
            } = &finding.location;
            let index = |of: &Option<(usize, String)>| of.as_ref().map_or(usize::MAX, |of| of.0);
            (*subgraph, index(operator), index(tensor))
        });
    }

    /// The findings.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The findings of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |f| f.rule.severity == severity)
    }

    /// Whether the model must be refused.
    pub fn has_errors(&self) -> bool {
        self.of(Severity::Error).next().is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.of(Severity::Error).count();
        write!(f, "{errors} quantization error(s)")?;
        for finding in self.of(Severity::Error).take(3) {
            write!(f, "; {finding}")?;
        }
        if errors > 3 {
            write!(
                f,
                "; and {} more, all listed by `corallite check`",
                errors - 3
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}
