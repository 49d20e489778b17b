//! What an operator is, and what preparing one gives.

use super::{EvalError, KernelIo, Node, PrepareError, Settings};
use crate::fast;
use crate::model::{BuiltinOperator, Report};
use crate::tensor::{Shape, TensorType};
use std::ops::RangeInclusive;

/// An operator as the registry lists it.
pub struct OpDef {
    /// TFLite's number for it.
    pub code: BuiltinOperator,
    /// TFLite's name for it.
    pub name: &'static str,
    /// The versions of the operator that are implemented.
    pub versions: RangeInclusive<i32>,
    /// The combinations of element types that have a kernel; empty where any will do, because subgraphs decide.
    pub types: &'static [TypeRow],
    /// Reports every rule on quantization parameters that the operator breaks.
    pub check: fn(&Node<'_>, &mut Report),
    /// Computes everything that does not depend on the input's values.
    pub prepare: fn(&Node<'_>, &Settings) -> Result<Prepared, PrepareError>,
}

/// One combination of element types: by operand slot, the last entry standing for all further operands.
///
/// An absent operand matches any entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeRow {
    /// Types of the operands.
    pub inputs: &'static [TensorType],
    /// Types of the results.
    pub outputs: &'static [TensorType],
}

impl TypeRow {
    /// A row for operands of `inputs` and results of `outputs`.
    pub const fn new(inputs: &'static [TensorType], outputs: &'static [TensorType]) -> Self {
        Self { inputs, outputs }
    }

    /// Whether an operator has these types.
    pub fn matches(&self, node: &Node<'_>) -> bool {
        let tensors = &node.subgraph().tensors;
        let ty = |index: usize| tensors.get(index).map(|t| t.ty);
        let at = |types: &[TensorType], slot: usize| types.get(slot).or(types.last()).copied();
        let operator = node.operator();
        let inputs = operator.inputs.iter().enumerate();
        let outputs = operator.outputs.iter().enumerate();
        inputs
            .filter_map(|(slot, &index)| Some((slot, index?)))
            .all(|(slot, index)| ty(index) == at(self.inputs, slot))
            && outputs
                .into_iter()
                .all(|(slot, &index)| ty(index) == at(self.outputs, slot))
    }
}

/// The sums behind the results of a convolution or matrix product.
#[derive(Debug, Clone, PartialEq)]
pub struct Accumulators {
    /// Products plus bias for each element of the result, in units of the accumulator: `input_scale * weight_scale`.
    pub totals: Vec<f64>,
    /// The lowest and the highest code that the output type and the fused activation leave.
    pub clamp: (i32, i32),
}

/// A prepared operator: pure computation over the tensors it is given.
pub trait Kernel: Send {
    /// Computes the results. Allocates nothing and never panics.
    ///
    /// # Errors
    /// A value that the operator is not defined for, or a device's failure.
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError>;

    /// What lies behind each result before anything is rounded; `None` of kernels that have no accumulator. For the QAT
    /// oracle: it allocates.
    ///
    /// # Errors
    /// As [`eval`](Self::eval).
    fn accumulators(&self, io: &mut KernelIo<'_>) -> Result<Option<Accumulators>, EvalError> {
        let _ = io;
        Ok(None)
    }

    /// `<primitive>.<variant>`, such as `conv_2d.reference`.
    fn name(&self) -> &'static str;

    /// Sets state that the kernel keeps for itself back to its first value.
    fn reset(&self) {}

    /// What computes it.
    fn runs_on(&self) -> RunsOn {
        RunsOn::Cpu
    }

    /// Memory beside the arena.
    fn memory(&self) -> KernelMemory {
        KernelMemory::default()
    }
}

/// Bytes that a kernel takes beside the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelMemory {
    /// Weights and parameters in the order in which the kernel reads them.
    pub packed: usize,
    /// Scratch memory of each thread, shared with all other kernels; above 0 where the kernel uses threads.
    pub workspace: usize,
}

impl KernelMemory {
    /// That of an operator of single elements with `count` results: threads share many.
    pub fn of_elements(count: usize) -> Self {
        Self {
            packed: 0,
            workspace: fast::shares_elements(count).into(),
        }
    }
}

/// The hardware an operator runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunsOn {
    /// This crate's kernels.
    Cpu,
    /// An Edge TPU, through libedgetpu.
    EdgeTpu,
}

impl std::fmt::Display for RunsOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Cpu => "CPU",
            Self::EdgeTpu => "Edge TPU",
        })
    }
}

/// What one inference of an operator takes beyond reading its operands and writing its results once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Multiply-accumulate operations, as far as the operator counts them.
    pub macs: u64,
    /// Elements that it looks at again and again without multiplying them, as a pool does.
    pub visits: u64,
}

/// How an operator runs subgraphs, each by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlFlow {
    /// One of two on the operands behind the first, as the first says; its results are the operator's.
    If { then: usize, otherwise: usize },
    /// `body` on its own results, at first on the operands, for as long as `condition` says of them.
    While { condition: usize, body: usize },
    /// The subgraph, without operands or results, at the first inference alone.
    Once { init: usize },
}

/// Real zeros around the pictures of a tensor `[N, H, W, C]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZeroBorder {
    /// Before the first row and behind the last.
    pub rows: [usize; 2],
    /// Before the first column and behind the last.
    pub columns: [usize; 2],
}

/// What preparing an operator gives.
pub struct Prepared {
    /// The computation; `None` where the result is the operand in slot 0 under another shape, or where the operator
    /// runs subgraphs.
    pub kernel: Option<Box<dyn Kernel>>,
    /// Which subgraphs the operator runs; whoever prepares them knows the shapes of the results.
    pub control: Option<ControlFlow>,
    /// The shape of each result.
    pub outputs: Vec<Shape>,
    /// Bytes of each scratch buffer, which lives in the arena during this operator alone.
    pub scratch: Vec<usize>,
    /// What it costs.
    pub work: Work,
    /// Whether it has effects beyond its results, so that it must run at every inference even on constants.
    pub stateful: bool,
    /// Whether the results depend on no operand's value.
    pub is_constant: bool,
    /// The border that the result is operand 0 within, where that is all that the operator computes.
    pub border: Option<ZeroBorder>,
    /// The byte of operand 0 from which on its bytes are the result, where that is all that the operator computes.
    pub part: Option<usize>,
    /// Whether the kernel reads operand 0 without the border that [`Node::border`] says it has.
    pub takes_border: bool,
    /// The operands that may lie where result 0 lies, best first: the kernel reads each element of them before it writes there.
    /// One that has another number of bytes never does.
    pub in_place: &'static [usize],
}

impl Prepared {
    /// A kernel and the shapes of its results.
    pub fn new(kernel: impl Kernel + 'static, outputs: impl Into<Vec<Shape>>) -> Self {
        Self::boxed(Box::new(kernel), outputs)
    }

    /// As [`new`](Self::new), of a kernel whose type was chosen at prepare time.
    pub fn boxed(kernel: Box<dyn Kernel>, outputs: impl Into<Vec<Shape>>) -> Self {
        Self {
            kernel: Some(kernel),
            outputs: outputs.into(),
            ..Self::alias(Shape::SCALAR)
        }
    }

    /// A result that follows from the operands' shapes alone: it is computed once, when the interpreter is built.
    pub fn constant(kernel: impl Kernel + 'static, shape: Shape) -> Self {
        Self {
            is_constant: true,
            ..Self::new(kernel, [shape])
        }
    }

    /// No computation: the result is the first operand's bytes under `shape`.
    pub fn alias(shape: Shape) -> Self {
        Self {
            kernel: None,
            control: None,
            outputs: vec![shape],
            scratch: Vec::new(),
            work: Work::default(),
            stateful: false,
            is_constant: false,
            border: None,
            part: None,
            takes_border: false,
            in_place: &[],
        }
    }

    /// Subgraphs to run.
    pub fn control(control: ControlFlow) -> Self {
        Self {
            control: Some(control),
            outputs: Vec::new(),
            stateful: true,
            ..Self::alias(Shape::SCALAR)
        }
    }

    /// Adds a scratch buffer of `bytes` bytes.
    pub fn scratch(mut self, bytes: usize) -> Self {
        self.scratch.push(bytes);
        self
    }

    /// States that the operator has effects beyond its results.
    pub fn stateful(mut self) -> Self {
        self.stateful = true;
        self
    }

    /// States that the kernel reads operand 0 without its border.
    pub fn taking_border(mut self) -> Self {
        self.takes_border = true;
        self
    }

    /// States which operands may lie where result 0 lies.
    pub fn in_place(mut self, slots: &'static [usize]) -> Self {
        self.in_place = slots;
        self
    }

    /// States the multiply-accumulate operations of one inference.
    pub fn macs(mut self, macs: u64) -> Self {
        self.work.macs = macs;
        self
    }

    /// States how many elements one inference looks at where these are more than the operands hold.
    pub fn visits(mut self, visits: u64) -> Self {
        self.work.visits = visits;
        self
    }
}
