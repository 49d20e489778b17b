//! Kernel variants and the choice between them.

use super::Isa;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// Which kernel variants may be chosen.
///
/// ```
/// use corallite::fast::{Isa, KernelChoice};
/// assert_eq!("fastest".parse(), Ok(KernelChoice::Fastest));
/// assert_eq!("avx2".parse(), Ok(KernelChoice::Only(Isa::Avx2)));
/// assert_eq!(
///     "sse".parse::<KernelChoice>().unwrap_err().to_string(),
///     "unknown kernels \"sse\", expected fastest, reference, avx512vnni, avx512bw, avx2, dotprod, neon or portable"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum KernelChoice {
    /// The fastest variant this machine runs; every variant gives the same bits.
    #[default]
    Fastest,
    /// The scalar reference kernels.
    Reference,
    /// Variants for one instruction set; the reference where there is none or the machine lacks it.
    Only(Isa),
}

impl KernelChoice {
    /// The environment variable that overrides the choice of every interpreter of a process: a name as
    /// [`FromStr`] takes it. Anything else in it is logged and ignored.
    pub const ENVIRONMENT: &str = "CORALLITE_KERNELS";

    /// Whether a variant for `isa` may be chosen.
    pub fn allows(self, isa: Isa) -> bool {
        match self.or_environment() {
            Self::Fastest => true,
            Self::Reference => false,
            Self::Only(only) => isa == only,
        }
    }

    /// The choice that holds: the environment's if it names one, otherwise this.
    fn or_environment(self) -> Self {
        static OVERRIDE: OnceLock<Option<KernelChoice>> = OnceLock::new();
        OVERRIDE
            .get_or_init(|| {
                let text = std::env::var(Self::ENVIRONMENT).ok()?;
                text.parse()
                    .inspect_err(|error| log::warn!("{} ignored: {error}", Self::ENVIRONMENT))
                    .ok()
            })
            .unwrap_or(self)
    }
}

/// A name that stands for no choice of kernels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownKernels {
    found: String,
}

impl fmt::Display for UnknownKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown kernels {:?}, expected fastest, reference",
            self.found
        )?;
        for (i, isa) in Isa::ALL.iter().enumerate() {
            let separator = if i + 1 == Isa::ALL.len() { " or" } else { "," };
            write!(f, "{separator} {isa}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownKernels {}

impl FromStr for KernelChoice {
    type Err = UnknownKernels;

    fn from_str(text: &str) -> Result<Self, UnknownKernels> {
        let isa = Isa::ALL.iter().find(|isa| isa.name() == text);
        match (text, isa) {
            ("fastest", _) => Ok(Self::Fastest),
            ("reference", _) => Ok(Self::Reference),
            (_, Some(&isa)) => Ok(Self::Only(isa)),
            _ => Err(UnknownKernels { found: text.into() }),
        }
    }
}

/// Something that has kernels: what it takes and what it prepares.
pub trait Primitive: 'static {
    /// A problem, borrowed from the model.
    type Problem<'a>;
    /// A prepared kernel.
    type Kernel: ?Sized;
    /// The variants, best first.
    fn variants() -> &'static [Variant<Self>];
}

/// One way to compute a primitive.
pub struct Variant<P: Primitive + ?Sized> {
    /// `<primitive>.<isa>`.
    pub name: &'static str,
    /// What it is written for.
    pub isa: Isa,
    /// Prepares a problem; `None` where the variant does not take it or this machine lacks the instructions.
    pub prepare: for<'a> fn(&P::Problem<'a>) -> Option<Box<P::Kernel>>,
}

/// The first variant of `P` that `choice` allows and that takes `problem`.
pub fn choose<P: Primitive>(
    choice: KernelChoice,
    problem: &P::Problem<'_>,
) -> Option<Box<P::Kernel>> {
    let variants = P::variants().iter();
    variants
        .filter(|variant| choice.allows(variant.isa))
        .find_map(|variant| (variant.prepare)(problem))
}
