//! What all programs of an interpreter share: the model, what runs its operators, its variables and its limits.

use super::error::BuildError;
use super::resolve::Runner;
use crate::delegate::Delegate;
use crate::fast::Workers;
use crate::model::Model;
use crate::ops::{EvalError, Prepared, Settings, Variables, Work};
use crate::tensor::Shape;

/// The most operators that a subgraph may have together with the subgraphs it runs, each counted at every place that
/// runs it: as many as a model file can hold. A few subgraphs that run one another twice would be more.
pub(super) const MAX_OPERATORS: usize = 200_000;

/// The operators of an interpreter that are prepared thoroughly: more than models for edge devices have, and a second or two
/// in all.
const THOROUGH_OPERATORS: usize = 2_000;

/// What a program costs beside its operators, counted in operators.
const PROGRAM: usize = 100;

/// What a caller grants a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of all arenas and of constants computed at build time.
    pub(super) arena: usize,
    /// Units of work of one inference.
    pub(super) work: u64,
    /// Rounds of all loops of one inference.
    pub(super) loops: u64,
}

pub(super) struct Runtime {
    pub(super) model: Model,
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) delegates: Vec<Box<dyn Delegate>>,
    /// By subgraph, once something needs it: what runs each operator.
    pub(super) runners: Vec<Option<Vec<Runner>>>,
    pub(super) variables: Variables,
    /// By subgraph, whether CALL_ONCE has run it.
    pub(super) initialised: Vec<bool>,
    pub(super) memory: Memory,
    pub(super) budget: Budget,
    /// The threads of all operators.
    pub(super) workers: Workers,
    /// Operators prepared since the count began.
    operators: usize,
    /// Operators that may still be prepared thoroughly.
    thorough: usize,
}

impl Runtime {
    pub(super) fn new(
        model: Model,
        settings: Settings,
        limits: Limits,
        delegates: Vec<Box<dyn Delegate>>,
    ) -> Self {
        let subgraphs = model.graph().subgraphs().len();
        // Kernels pack weights once, in words of at most four bytes for each half a byte of the file; operators that share
        // weights pack them each.
        let packed_limit = limits
            .arena
            .saturating_add(model.graph().file().len().saturating_mul(8));
        Self {
            variables: Variables::new(model.graph().variables(), limits.arena),
            model,
            settings: Settings {
                memory: limits.arena,
                thorough: false,
                ..settings
            },
            thorough: THOROUGH_OPERATORS,
            limits,
            delegates,
            runners: (0..subgraphs).map(|_| None).collect(),
            initialised: vec![false; subgraphs],
            memory: Memory {
                used: Taken::default(),
                limit: limits.arena,
                packed_limit,
            },
            budget: Budget::new(&limits),
            workers: Workers::new(settings.threads, settings.kernels),
            operators: 0,
        }
    }

    /// What to prepare the next operator with.
    pub(super) fn next_settings(&mut self) -> Settings {
        let thorough = self.thorough > 0;
        self.thorough = self.thorough.saturating_sub(1);
        Settings {
            thorough,
            ..self.settings
        }
    }

    /// Grants an inference, or a build, all it may take.
    pub(super) fn start(&mut self) {
        self.budget = Budget::new(&self.limits);
        self.operators = 0;
    }

    /// Operators prepared since the count began.
    pub(super) fn operators(&self) -> usize {
        self.operators
    }

    /// Begins to count operators anew.
    pub(super) fn recount_operators(&mut self) {
        self.operators = 0;
    }

    /// Counts a program of `count` operators that is about to be prepared.
    pub(super) fn count_program(&mut self, count: usize) -> Result<(), BuildError> {
        self.operators = self.operators.saturating_add(count + PROGRAM);
        if self.operators > MAX_OPERATORS {
            return Err(BuildError::TooManyOperators {
                limit: MAX_OPERATORS,
            });
        }
        Ok(())
    }

    /// Forgets all that inferences left: variables are unassigned, and CALL_ONCE runs again.
    pub(super) fn reset(&mut self) {
        self.variables.clear();
        self.initialised.fill(false);
    }
}

/// Bytes of a program.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// Its arena and the constants computed for it.
    pub(super) tensors: usize,
    /// What its kernels packed.
    pub(super) packed: usize,
}

impl std::iter::Sum for Taken {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, taken| Self {
            tensors: sum.tensors + taken.tensors,
            packed: sum.packed + taken.packed,
        })
    }
}

/// Bytes taken of those that may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    used: Taken,
    limit: usize,
    packed_limit: usize,
}

/// More bytes are asked for than may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exceeded {
    pub(super) bytes: usize,
    pub(super) limit: usize,
}

impl Memory {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.used.tensors = within(self.used.tensors, bytes, self.limit)?;
        Ok(())
    }

    pub(super) fn take_packed(&mut self, bytes: usize) -> Result<(), Exceeded> {
        self.used.packed = within(self.used.packed, bytes, self.packed_limit)?;
        Ok(())
    }

    pub(super) fn give_back(&mut self, taken: Taken) {
        let used = &mut self.used;
        used.tensors = used.tensors.saturating_sub(taken.tensors);
        used.packed = used.packed.saturating_sub(taken.packed);
    }
}

fn within(used: usize, more: usize, limit: usize) -> Result<usize, Exceeded> {
    let bytes = used.saturating_add(more);
    match bytes <= limit {
        true => Ok(bytes),
        false => Err(Exceeded { bytes, limit }),
    }
}

impl From<Exceeded> for EvalError {
    fn from(Exceeded { bytes, limit }: Exceeded) -> Self {
        Self::Memory { bytes, limit }
    }
}

impl From<Exceeded> for BuildError {
    fn from(Exceeded { bytes, limit }: Exceeded) -> Self {
        Self::ArenaTooLarge { bytes, limit }
    }
}

/// What is left of an inference's work.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    work: u64,
    loops: u64,
    limits: Limits,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Self {
            work: limits.work,
            loops: limits.loops,
            limits: *limits,
        }
    }

    /// Takes units of work.
    pub(super) fn spend(&mut self, work: u64) -> Result<(), EvalError> {
        let limit = self.limits.work;
        self.work = self
            .work
            .checked_sub(work)
            .ok_or(EvalError::Work { limit })?;
        Ok(())
    }

    /// Takes one round of a loop.
    pub(super) fn round(&mut self) -> Result<(), EvalError> {
        let limit = self.limits.loops;
        self.loops = self
            .loops
            .checked_sub(1)
            .ok_or(EvalError::Loops { limit })?;
        Ok(())
    }
}

/// Units of work of an operator whose operands have the shapes `inputs`: its multiply-accumulate operations, the elements
/// it reads, looks at again and writes, and one for itself. An alias does nothing.
pub(super) fn work<'a>(prepared: &'a Prepared, inputs: impl Iterator<Item = &'a Shape>) -> u64 {
    if prepared.kernel.is_none() && prepared.control.is_none() {
        return 1;
    }
    // Loops over outer axes go round where an inner axis is empty, too.
    let positions = |shape: &Shape| {
        let dims = shape.dims().iter().map(|&dim| dim.max(1) as u64);
        dims.fold(1, u64::saturating_mul)
    };
    let Work { macs, visits } = prepared.work;
    inputs
        .chain(&prepared.outputs)
        .map(positions)
        .chain([macs, visits])
        .fold(1, u64::saturating_add)
}
