//! The chain from the library to the chip, link by link, with what was found at each.

use std::fmt;

use super::super::access::Access;
use super::super::edge_tpu::{Device, DeviceDetails};
use super::cause::Severity;
use super::facts::Facts;
use super::report::{Finding, Report};

/// A link of the chain; they are in order.
///
/// ```
/// use corallite::device::doctor::Check;
/// assert!(Check::Library < Check::Open);
/// assert_eq!(Check::Access.id(), "access");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// libedgetpu is found and loads.
    Library,
    /// It is of a generation that can be driven.
    Version,
    /// The model fits the library.
    Model,
    /// An Edge TPU is attached.
    Attached,
    /// The kernel drives it.
    Driver,
    /// This user may open it.
    Access,
    /// No other process has it.
    Free,
    /// The USB is fast enough.
    Speed,
    /// The stick's firmware loads.
    Firmware,
    /// The chip answers and is cool enough.
    Chip,
    /// libedgetpu opens it.
    Open,
}

impl Check {
    /// A name that does not change between versions.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Library => "library",
            Self::Version => "version",
            Self::Model => "model",
            Self::Attached => "attached",
            Self::Driver => "driver",
            Self::Access => "access",
            Self::Free => "free",
            Self::Speed => "speed",
            Self::Firmware => "firmware",
            Self::Chip => "chip",
            Self::Open => "open",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All is well.
    Ok,
    /// It works worse than it could, or may stop working.
    Warn,
    /// It cannot work.
    Fail,
    /// Not looked at: nobody asked, or something before it failed.
    Skipped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skip",
        })
    }
}

/// One check: what was looked at, how it ended, and every finding.
///
/// `Display` gives the line, and below it the fix of each finding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Which link of the chain.
    pub check: Check,
    /// How it ended.
    pub outcome: Outcome,
    /// What was looked at: a library, a model, a device; empty where that is plain.
    pub subject: String,
    /// What was found where all is well, or why it was skipped.
    pub found: String,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<5}{:<9}", self.outcome, self.check)?;
        if !self.subject.is_empty() {
            write!(f, " {}", self.subject)?;
        }
        if self.findings.is_empty() {
            write!(f, "{}{}", separator(&self.subject), self.found)?;
        }
        for finding in &self.findings {
            let here = if finding.what == self.subject {
                String::new()
            } else {
                format!(" {}", finding.what)
            };
            write!(
                f,
                "{here}{}{} [{}]",
                separator(&finding.what),
                finding.found,
                finding.cause
            )?;
            for line in finding.fix.lines() {
                write!(f, "\n{:14} {line}", "")?;
            }
            if self.findings.len() > 1 {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

fn separator(subject: &str) -> &'static str {
    if subject.is_empty() { " " } else { ": " }
}

/// Every link of the chain in order: library, model, then each device from its driver to its opening.
///
/// ```
/// use corallite::device::doctor::{Check, Facts, Outcome, diagnose, steps};
/// let facts = Facts::default();
/// let steps = steps(&facts, &diagnose(&facts));
/// assert_eq!((steps[0].check, steps[0].outcome), (Check::Library, Outcome::Skipped));
/// assert!(steps.iter().any(|step| step.check == Check::Attached && step.outcome == Outcome::Fail));
/// ```
pub fn steps(facts: &Facts, report: &Report) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut add = |check: Check, subject: &str, device: Option<&Device>, state: State| {
        let is_here = |finding: &&Finding| {
            finding.cause.check() == check
                && device.is_none_or(|device| finding.what == device.path)
        };
        let findings: Vec<Finding> = report.findings.iter().filter(is_here).cloned().collect();
        let worst = findings.iter().map(|finding| finding.severity).min();
        let (outcome, found) = match (worst, state) {
            (Some(Severity::Error), _) => (Outcome::Fail, String::new()),
            (Some(Severity::Warning | Severity::Note), _) => (Outcome::Warn, String::new()),
            (None, State::Fine(found)) => (Outcome::Ok, found),
            (None, State::Skipped(why)) => (Outcome::Skipped, why.to_owned()),
        };
        steps.push(Step {
            check,
            outcome,
            subject: subject.to_owned(),
            found,
            findings,
        });
    };

    let loaded = facts.library.as_ref().and_then(|l| l.loaded.as_ref());
    let path = loaded.map_or("", |library| library.path.as_str());
    match (loaded, &facts.library) {
        (Some(library), _) => {
            add(Check::Library, path, None, State::fine("loads"));
            add(Check::Version, path, None, State::fine(&library.version));
        }
        (None, asked) => {
            let why = asked.as_ref().map_or("not asked for", |_| "not found");
            add(Check::Library, "", None, State::Skipped(why));
            add(Check::Version, "", None, State::Skipped("no library"));
        }
    }
    if let Some(model) = &facts.model {
        let compiler = model.compiler_version.as_deref().unwrap_or("unknown");
        let runtime = model.min_runtime_version.unwrap_or_default();
        let found = format!("compiler {compiler}, needs runtime version {runtime}");
        add(Check::Model, &model.name, None, State::Fine(found));
    }
    let devices = if facts.absent.is_some() {
        &[][..]
    } else {
        &facts.devices[..]
    };
    let found = format!("{} Edge TPU(s)", devices.len());
    add(Check::Attached, "", None, State::Fine(found));
    for device in devices {
        let mut add = |check, state| {
            let state = match state {
                State::Fine(_) if device.access == Access::Unknown && check != Check::Open => {
                    State::Skipped("only libedgetpu sees it")
                }
                state => state,
            };
            add(check, &device.path, Some(device), state);
        };
        match &device.details {
            DeviceDetails::Pcie(module) => {
                let driver = module.driver.as_deref().unwrap_or("unknown");
                let version = module.driver_version.as_deref().unwrap_or_default();
                let found = format!("driver {driver} {version}");
                add(Check::Driver, State::fine(found.trim_end()));
            }
            DeviceDetails::Usb(_) => {}
        }
        add(Check::Access, State::Fine(device.access.to_string()));
        add(Check::Free, State::fine("no other process seen"));
        match &device.details {
            DeviceDetails::Usb(stick) => {
                add(Check::Speed, State::Fine(stick.speed.to_string()));
                add(Check::Firmware, State::Fine(stick.mode.to_string()));
            }
            DeviceDetails::Pcie(module) => {
                let found = module.to_string();
                add(
                    Check::Chip,
                    State::fine(found.trim_start_matches([' ', ','])),
                );
            }
        }
        let open = facts.opens.iter().find(|open| open.path == device.path);
        let state = match open {
            Some(_) => State::fine("libedgetpu opened and closed it"),
            None => State::Skipped("not tried"),
        };
        add(Check::Open, state);
    }
    steps
}

/// What to say where nothing is wrong.
enum State {
    Fine(String),
    Skipped(&'static str),
}

impl State {
    fn fine(found: &str) -> Self {
        Self::Fine(found.to_owned())
    }
}
