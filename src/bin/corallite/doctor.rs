//! `corallite doctor`: the chain from libedgetpu to the chip, and what breaks it.

use crate::devices::device_json;
use crate::failure::Failure;
use crate::output::{one_line, print};
use crate::session::load_model;
use corallite::delegate::{DeviceRequest, examine};
use corallite::device::System;
use corallite::device::doctor::{Facts, Finding, Report, Severity, Step, diagnose, steps};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// Options of `corallite doctor`.
pub struct DoctorOptions {
    /// The model that is to run.
    pub model: Option<PathBuf>,
    /// Which device, with which options.
    pub request: DeviceRequest,
    /// Where to look.
    pub system: System,
    /// Whether devices are opened.
    pub opens: bool,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// Prints every check. True when nothing keeps the Edge TPU from working.
pub fn doctor(options: &DoctorOptions) -> Result<bool, Failure> {
    let model = options.model.as_deref().map(load_model).transpose()?;
    let name = options.model.as_ref().map(|path| path.to_string_lossy());
    let model = name
        .as_deref()
        .zip(model.as_ref().map(|model| model.graph()));
    let facts = examine(&options.system, &options.request, model, options.opens)
        .map_err(|source| Failure::Devices { source })?;
    let report = diagnose(&facts);
    let steps = steps(&facts, &report);
    let text = if options.json {
        format!("{:#}\n", to_json(&facts, &report, &steps))
    } else {
        to_text(&report, &steps)
    };
    print(&text)?;
    Ok(report.healthy())
}

fn to_text(report: &Report, steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        for line in step.to_string().lines() {
            let _ = writeln!(text, "{}", one_line(line));
        }
    }
    let count = |severity| {
        let findings = report.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let verdict = if report.healthy() {
        "healthy"
    } else {
        "not healthy"
    };
    let _ = writeln!(
        text,
        "{verdict}: {} error(s), {} warning(s)",
        count(Severity::Error),
        count(Severity::Warning)
    );
    text
}

fn to_json(facts: &Facts, report: &Report, steps: &[Step]) -> Value {
    let host = &facts.host;
    json!({
        "healthy": report.healthy(),
        "steps": steps.iter().map(step_json).collect::<Vec<_>>(),
        "devices": facts.devices.iter().map(device_json).collect::<Vec<_>>(),
        "host": {
            "kernel": host.kernel_release,
            "container": host.container.map(|container| container.to_string()),
            "virtual_machine": host.virtual_machine,
            "user": host.user.name,
        },
    })
}

fn step_json(step: &Step) -> Value {
    json!({
        "check": step.check.id(),
        "outcome": step.outcome.to_string(),
        "subject": step.subject,
        "found": step.found,
        "findings": step.findings.iter().map(finding_json).collect::<Vec<_>>(),
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "cause": finding.cause.id(),
        "severity": finding.severity.to_string(),
        "what": finding.what,
        "found": finding.found,
        "fix": finding.fix,
    })
}
