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
}

impl Runtime {
    pub(super) fn new(
        model: Model,
        settings: Settings,
        limits: Limits,
        delegates: Vec<Box<dyn Delegate>>,
    ) -> Self {
        let subgraphs = model.graph().subgraphs().len();
        Self {
            variables: Variables::new(model.graph().variables(), limits.arena),
            model,
            settings: Settings {
                memory: limits.arena,
                ..settings
            },
            limits,
            delegates,
            runners: (0..subgraphs).map(|_| None).collect(),
            initialised: vec![false; subgraphs],
            memory: Memory {
                used: 0,
                limit: limits.arena,
            },
            budget: Budget::new(&limits),
            workers: Workers::new(settings.threads, settings.kernels),
            operators: 0,
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

/// Bytes taken of those that may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    used: usize,
    limit: usize,
}

/// More bytes are asked for than may be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exceeded {
    pub(super) bytes: usize,
    pub(super) limit: usize,
}

impl Memory {
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Exceeded> {
        let used = self.used.saturating_add(bytes);
        if used > self.limit {
            return Err(Exceeded {
                bytes: used,
                limit: self.limit,
            });
        }
        self.used = used;
        Ok(())
    }

    pub(super) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
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
