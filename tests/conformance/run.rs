//! One case through the library, compared with the peer's answer.

use super::archive::{Answer, Case, Output};
use super::exceptions::{Bound, Exceptions, distance, float, integer};
use corallite::fixedpoint::Profile;
use corallite::tensor::{TensorRef, TensorType};
use corallite::{Interpreter, Model};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of a case under a profile.
pub enum Outcome {
    /// Every element is as expected.
    Equal,
    /// Some elements differ as far as the table of exceptions allows.
    Within,
    /// The library refused what it may or must refuse.
    Refused,
    /// There is nothing to compare with; the library got through without panic.
    NotCompared,
    /// Anything else, told.
    Failed(String),
}

/// What running a case in the library gave: outputs of every step, or the error's text.
type Answered = Result<Vec<Vec<Output>>, String>;

pub fn run(case: &Case, profile: Profile, answer: &Answer, exceptions: &Exceptions) -> Outcome {
    let Ok(ours) = catch_unwind(AssertUnwindSafe(|| infer(case, profile))) else {
        return Outcome::Failed("panic".into());
    };
    let name = profile.name();
    match (answer, ours) {
        (Answer::Refused, Ok(_)) if case.must_refuse => {
            Outcome::Failed("runs, expected an error".into())
        }
        (Answer::Refused, Err(_)) if case.must_refuse => Outcome::Refused,
        (Answer::Refused | Answer::Absent, _) => Outcome::NotCompared,
        (Answer::Outputs(_), Err(_)) if exceptions.may_refuse(&case.name, name) => Outcome::Refused,
        (Answer::Outputs(_), Err(error)) => Outcome::Failed(error),
        (Answer::Outputs(expected), Ok(found)) => {
            let bound = exceptions.bound(&case.name, name);
            compare(expected, &found, bound).unwrap_or_else(Outcome::Failed)
        }
    }
}

fn infer(case: &Case, profile: Profile) -> Answered {
    let model = Model::from_bytes(&case.model).map_err(|e| format!("not loaded: {e}"))?;
    let subgraph = &model.graph().subgraphs()[0];
    let mut builder = Interpreter::builder(&model).profile(profile);
    for (index, (input, &tensor)) in case.inputs.iter().zip(&subgraph.inputs).enumerate() {
        if subgraph.tensors[tensor].shape != input.shape {
            builder = builder.input_shape(index, input.shape);
        }
    }
    let mut interpreter = builder.build().map_err(|e| format!("not built: {e}"))?;
    (0..case.steps)
        .map(|step| invoke(&mut interpreter, case, step))
        .collect()
}

fn invoke(interpreter: &mut Interpreter, case: &Case, step: usize) -> Result<Vec<Output>, String> {
    for (index, input) in case.inputs.iter().enumerate() {
        let filled = interpreter
            .input_mut(index)
            .map_err(|e| format!("input {index}: {e}"))?
            .copy_from_bytes(&input.values[step]);
        filled.map_err(|e| format!("input {index}: {e}"))?;
    }
    interpreter
        .invoke()
        .map_err(|e| format!("step {step}: {e}"))?;
    let output = |index| match interpreter.output(index) {
        Ok(tensor) => Ok(copy(&tensor)),
        Err(e) => Err(format!("output {index}: {e}")),
    };
    (0..interpreter.output_count()).map(output).collect()
}

fn copy(tensor: &TensorRef<'_>) -> Output {
    Output {
        ty: tensor.ty(),
        shape: tensor.shape().dims().to_vec(),
        bytes: tensor.bytes().to_vec(),
    }
}

fn compare(
    expected: &[Vec<Output>],
    found: &[Vec<Output>],
    bound: Bound,
) -> Result<Outcome, String> {
    let mut outcome = Outcome::Equal;
    for (step, (expected, found)) in expected.iter().zip(found).enumerate() {
        if expected.len() != found.len() {
            return Err(format!(
                "{} outputs, expected {}",
                found.len(),
                expected.len()
            ));
        }
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            if compare_output(expected, found, bound)
                .map_err(|e| format!("step {step} output {index}: {e}"))?
                > 0
            {
                outcome = Outcome::Within;
            }
        }
    }
    Ok(outcome)
}

/// The number of elements that differ within `bound`.
fn compare_output(expected: &Output, found: &Output, bound: Bound) -> Result<usize, String> {
    if (expected.ty, &expected.shape) != (found.ty, &found.shape) {
        return Err(format!(
            "{} {:?}, expected {} {:?}",
            found.ty, found.shape, expected.ty, expected.shape
        ));
    }
    if expected.bytes.len() != found.bytes.len() {
        return Err(format!(
            "{} bytes, expected {}",
            found.bytes.len(),
            expected.bytes.len()
        ));
    }
    let size = expected.ty.size().expect("sized");
    let is_float = expected.ty == TensorType::Float32;
    let reals = |bytes: &[u8]| bytes.chunks(size).map(float).collect::<Vec<f32>>();
    let largest = match is_float && bound.of_largest > 0 {
        true => reals(&expected.bytes)
            .iter()
            .fold(0f32, |largest, real| largest.max(real.abs())),
        false => 0.0,
    };
    let is_near = |e: &[u8], f: &[u8]| {
        is_float && f64::from(float(e) - float(f)).abs() <= bound.absolute(largest)
    };
    let pairs = expected.bytes.chunks(size).zip(found.bytes.chunks(size));
    let distances: Vec<(Option<u64>, bool)> = pairs
        .map(|(e, f)| (distance(expected.ty, e, f), is_near(e, f)))
        .collect();
    let beyond = |&(distance, is_near): &(Option<u64>, bool)| {
        !is_near && distance.is_none_or(|distance| distance > bound.units)
    };
    let Some(first) = distances.iter().position(beyond) else {
        return Ok(distances
            .iter()
            .filter(|(distance, _)| *distance != Some(0))
            .count());
    };
    let at = first * size..(first + 1) * size;
    Err(format!(
        "{} of {} elements differ, the first at {first} of {:?}: {} found, {} expected",
        distances.iter().filter(|distance| beyond(distance)).count(),
        distances.len(),
        expected.shape,
        text(expected, &found.bytes[at.clone()]),
        text(expected, &expected.bytes[at]),
    ))
}

fn text(output: &Output, bytes: &[u8]) -> String {
    match output.ty {
        TensorType::Float32 => {
            let value = float(bytes);
            format!("{value:e} ({:#010x})", value.to_bits())
        }
        _ => integer(output.ty, bytes).to_string(),
    }
}

/// Outcomes by operator and types.
#[derive(Default)]
pub struct Tally(BTreeMap<String, BTreeMap<&'static str, Counts>>);

#[derive(Default)]
struct Counts {
    equal: usize,
    within: usize,
    refused: usize,
    not_compared: usize,
    failed: usize,
}

impl Tally {
    pub fn enter(&mut self, case: &Case, profile: Profile, outcome: &Outcome) {
        let counts = self.0.entry(super::coverage::label(case)).or_default();
        let counts = counts.entry(profile.name()).or_default();
        *match outcome {
            Outcome::Equal => &mut counts.equal,
            Outcome::Within => &mut counts.within,
            Outcome::Refused => &mut counts.refused,
            Outcome::NotCompared => &mut counts.not_compared,
            Outcome::Failed(_) => &mut counts.failed,
        } += 1;
    }

    /// Cases whose outputs were compared and found as expected.
    pub fn compared(&self) -> usize {
        let counts = self.0.values().flat_map(BTreeMap::values);
        counts.map(|counts| counts.equal + counts.within).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (label, profiles) in &self.0 {
            write!(f, "{label}:")?;
            for (profile, counts) in profiles {
                write!(f, " {profile} {} equal", counts.equal)?;
                let rest = [
                    ("within bound", counts.within),
                    ("refused", counts.refused),
                    ("not compared", counts.not_compared),
                    ("FAILED", counts.failed),
                ];
                for (what, count) in rest.iter().filter(|(_, count)| *count > 0) {
                    write!(f, ", {count} {what}")?;
                }
                write!(f, ";")?;
            }
            writeln!(f)?;
        }
        write!(f, "{} comparisons as expected", self.compared())
    }
}
