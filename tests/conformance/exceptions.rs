//! The table of what may differ from the peers, `exceptions.tsv`; `docs/exceptions.md` tells it to people.

use corallite::tensor::TensorType;
use std::cell::Cell;

/// One line of the table.
pub struct Exception {
    /// An operator, or the beginning of a case's name at a slash: `EXP`, `EXP/float32`.
    cases: String,
    /// `tflite`, `litert` or `*`.
    profile: String,
    rule: Rule,
    /// Whether a case needed it.
    used: Cell<bool>,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Float results may be this many ulp away, integers as many codes, on every machine.
    Within(u64),
    /// Floats may be this many times the distance between neighbours at the largest magnitude of the tensor away.
    Largest(u64),
    /// As [`Within`](Self::Within) where the C library is another than the peers' (glibc on x86-64); none there.
    Libm(u64),
    /// The library may refuse what the peer computes.
    Refused,
    /// A row of the registry that no peer has a kernel for.
    NoPeer,
}

/// How far an element may be off.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bound {
    /// In ulp or codes.
    pub units: u64,
    /// In ulp of the largest magnitude of the tensor.
    pub of_largest: u64,
}

impl Bound {
    /// The difference that floats with this largest magnitude may have.
    pub fn absolute(self, largest: f32) -> f64 {
        let above = f32::from_bits(largest.to_bits() + 1);
        self.of_largest as f64 * (f64::from(above) - f64::from(largest))
    }
}

pub struct Exceptions(Vec<Exception>);

impl Exceptions {
    pub fn read() -> Self {
        let lines = include_str!("exceptions.tsv").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(parse).collect())
    }

    /// How far an element may be off.
    pub fn bound(&self, case: &str, profile: &str) -> Bound {
        let mut bound = Bound::default();
        for exception in self.of(case, profile) {
            match exception.rule {
                Rule::Within(units) => bound.units = bound.units.max(units),
                Rule::Libm(units) if !SAME_LIBM => bound.units = bound.units.max(units),
                Rule::Largest(units) => bound.of_largest = bound.of_largest.max(units),
                _ => {}
            }
        }
        bound
    }

    /// Whether the library may refuse the case.
    pub fn may_refuse(&self, case: &str, profile: &str) -> bool {
        self.of(case, profile)
            .filter(|exception| exception.rule == Rule::Refused)
            .inspect(|exception| exception.used.set(true))
            .count()
            > 0
    }

    /// Whether no peer runs this operator on these types.
    pub fn has_no_peer(&self, row: &str) -> bool {
        self.0
            .iter()
            .filter(|exception| exception.rule == Rule::NoPeer && exception.cases == row)
            .inspect(|exception| exception.used.set(true))
            .count()
            > 0
    }

    /// Lines with this kind of rule that no case needed.
    pub fn unused(&self, rule: Rule) -> Vec<&str> {
        let unused = self.0.iter().filter(|e| e.rule == rule && !e.used.get());
        unused.map(|exception| exception.cases.as_str()).collect()
    }

    fn of<'a>(&'a self, case: &'a str, profile: &'a str) -> impl Iterator<Item = &'a Exception> {
        self.0.iter().filter(move |exception| {
            let rest = case.strip_prefix(exception.cases.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                && (exception.profile == "*" || exception.profile == profile)
        })
    }
}

/// Whether this machine's mathematical functions are those the vectors were made with.
const SAME_LIBM: bool = cfg!(all(
    target_arch = "x86_64",
    target_os = "linux",
    target_env = "gnu"
));

fn parse(line: &str) -> Exception {
    let fields: Vec<&str> = line.split('\t').collect();
    let [cases, profile, rule, reason] = fields[..] else {
        panic!("exceptions.tsv: {line:?} has not four columns");
    };
    assert!(!reason.is_empty(), "exceptions.tsv: {line:?} has no reason");
    let number = |text: &str| text.parse().unwrap_or_else(|e| panic!("{line:?}: {e}"));
    let rule = match rule.split_once(' ') {
        Some(("within", bound)) => Rule::Within(number(bound)),
        Some(("libm", bound)) => Rule::Libm(number(bound)),
        Some(("largest", bound)) => Rule::Largest(number(bound)),
        None if rule == "refused" => Rule::Refused,
        None if rule == "no-peer" => Rule::NoPeer,
        _ => panic!("exceptions.tsv: {line:?} has no known rule"),
    };
    Exception {
        cases: cases.into(),
        profile: profile.into(),
        rule,
        used: Cell::new(false),
    }
}

/// How far apart two elements are: codes of integers, ulp of floats. `None` where no count can tell (a number and
/// not-a-number); two not-a-numbers are equal whatever their bits.
pub fn distance(ty: TensorType, left: &[u8], right: &[u8]) -> Option<u64> {
    match ty {
        TensorType::Float32 => match (float(left), float(right)) {
            (l, r) if l.is_nan() && r.is_nan() => Some(0),
            (l, r) if l.is_nan() || r.is_nan() => None,
            (l, r) => Some(ordered(l).abs_diff(ordered(r))),
        },
        _ if left == right => Some(0),
        TensorType::Bool | TensorType::Float16 | TensorType::Float64 => None,
        _ => Some(integer(ty, left).abs_diff(integer(ty, right))),
    }
}

/// Floats in order as integers in order, one apart where neighbours; the two zeros are neighbours.
fn ordered(value: f32) -> i64 {
    let magnitude = i64::from(value.abs().to_bits());
    if value.is_sign_negative() {
        -magnitude - 1
    } else {
        magnitude
    }
}

pub fn integer(ty: TensorType, bytes: &[u8]) -> i64 {
    let signed = !matches!(
        ty,
        TensorType::UInt8 | TensorType::UInt16 | TensorType::UInt32 | TensorType::UInt64
    );
    let negative = signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(wide)
}

/// An element of a float32 tensor.
pub fn float(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
