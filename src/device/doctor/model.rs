//! From a model's needs to causes.

use super::cause::{Cause, Severity};
use super::facts::{Facts, ModelFacts};
use super::report::Finding;

/// Runtime version of the last public libedgetpu, release 16.0 and every later rebuild of it.
const NEWEST_RUNTIME: u32 = 14;

/// Major version of the last public compiler, 16.0.384591198.
const NEWEST_COMPILER: u32 = 16;

pub(super) fn diagnose(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(model) = &facts.model else { return };
    let mut add = |cause, severity, found, fix: &str| {
        findings.push(Finding {
            cause,
            severity,
            what: model.name.clone(),
            found,
            fix: fix.to_string(),
        });
    };
    if !model.compiled {
        return add(
            Cause::ModelNotCompiled,
            Severity::Error,
            "no operator edgetpu-custom-op, all of it runs on the CPU".to_string(),
            "compile it with edgetpu_compiler (the result is named ..._edgetpu.tflite), or choose device cpu",
        );
    }
    if let Some(damage) = &model.damage {
        return add(
            Cause::PackageDamaged,
            Severity::Error,
            damage.clone(),
            "copy the file anew and compare its size, or compile it again with edgetpu_compiler",
        );
    }
    if is_from_newer_compiler(model) {
        let demand = match (model.min_runtime_version, &model.compiler_version) {
            (Some(runtime), _) if runtime > NEWEST_RUNTIME => {
                format!("needs runtime version {runtime}")
            }
            (_, compiler) => format!(
                "made by compiler {}",
                compiler.as_deref().unwrap_or_default()
            ),
        };
        return add(
            Cause::ModelFromNewerCompiler,
            Severity::Error,
            format!("{demand}, the last public libedgetpu has runtime version {NEWEST_RUNTIME}"),
            "compile it again with edgetpu_compiler 16.0, or with its option --min_runtime_version 14 or below",
        );
    }
    let library = facts
        .library
        .as_ref()
        .and_then(|library| library.loaded.as_ref());
    if let (Some(needed), Some(library)) = (model.min_runtime_version, library)
        && let Some(runtime) = library.runtime
        && runtime < needed
    {
        add(
            Cause::RuntimeTooOld,
            Severity::Error,
            format!(
                "needs runtime version {needed}, {} has {runtime}",
                library.path
            ),
            "install libedgetpu 16.0 (runtime version 14), or compile the model with --min_runtime_version of the library",
        );
    }
}

/// The runtime version decides where it is known: a newer compiler can be told to make older packages.
fn is_from_newer_compiler(model: &ModelFacts) -> bool {
    match model.min_runtime_version {
        Some(runtime) => runtime > NEWEST_RUNTIME,
        None => model
            .compiler_version
            .as_deref()
            .and_then(|version| version.split('.').next()?.parse::<u32>().ok())
            .is_some_and(|major| major > NEWEST_COMPILER),
    }
}
