//! Why an interpreter could not be built, run or accessed.

use crate::delegate::{AttachError, DelegateError};
use crate::model::{Model, OperatorKind, Report};
use crate::ops::{DeviceFault, EvalError, MissingOperator, PrepareError};
use crate::tensor::{Shape, ShapeError, TensorError, TensorType};
use std::fmt;

/// Why no interpreter could be built for a model.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// Operators without a kernel: all of them.
    MissingOperators { operators: Vec<MissingOperator> },
    /// Operators whose quantization parameters are meaningless: all findings.
    Verify { report: Report },
    /// The device that was asked for cannot be used, or the model has nothing for it.
    Attach { source: Box<AttachError> },
    /// A delegate that cannot take the operators it claimed.
    Delegate { source: DelegateError },
    /// An operator that cannot be prepared.
    Prepare {
        subgraph: usize,
        operator: usize,
        kind: OperatorKind,
        source: PrepareError,
    },
    /// A constant result that could not be computed.
    Constant {
        subgraph: usize,
        operator: usize,
        kind: OperatorKind,
        source: EvalError,
    },
    /// The model needs more memory than the limit.
    ArenaTooLarge { bytes: usize, limit: usize },
    /// One inference takes more work than the limit.
    TooMuchWork { limit: u64 },
    /// Subgraphs run one another at so many places that their operators are too many.
    TooManyOperators { limit: usize },
    /// A signature was asked for that the model does not have.
    Signature { found: String, names: Vec<String> },
    /// A shape was given for an input that there is not.
    Input { source: AccessError },
    /// A shape was given for an input that the model does not have.
    InputIndex { index: usize, count: usize },
    /// A shape was given that the input cannot take.
    InputShape {
        index: usize,
        found: Box<Shape>,
        declared: Box<Shape>,
    },
    /// A shape was given whose extent along an axis, fixed by the file, an operator does not take.
    InputAxis {
        index: usize,
        axis: usize,
        found: usize,
        expected: usize,
        source: Box<BuildError>,
    },
    /// A tensor of a type without a fixed size has to be computed.
    Unsized { tensor: usize, ty: TensorType },
    /// Dimensions given by the caller are no shape.
    Shape { source: ShapeError },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingOperators { operators } => {
                write!(f, "{} operator(s) without a kernel: ", operators.len())?;
                for (i, operator) in operators.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    write!(f, "{separator}{operator}")?;
                }
                Ok(())
            }
            Self::Verify { report } => report.fmt(f),
            // Whoever named no device is told of the other way.
            Self::Attach { source }
                if matches!(
                    **source,
                    AttachError::NoneFound | AttachError::NoneUsable { .. }
                ) =>
            {
                write!(
                    f,
                    "compiled for the Edge TPU, and {source}; on the CPU runs the model it was compiled from (without _edgetpu)"
                )
            }
            Self::Attach { source } => source.fmt(f),
            Self::Delegate { source } => source.fmt(f),
            Self::Prepare {
                subgraph,
                operator,
                kind,
                source,
            } => write!(f, "{}{kind}: {source}", place(*subgraph, *operator)),
            Self::Constant {
                subgraph,
                operator,
                kind,
                source,
            } => write!(
                f,
                "{}{kind}, constant: {source}",
                place(*subgraph, *operator)
            ),
            Self::ArenaTooLarge { bytes, limit } => write!(
                f,
                "the model needs {bytes} bytes for its tensors or for weights that operators pack, the limit is {limit}; raise it with arena_limit if the model is trusted"
            ),
            Self::TooMuchWork { limit } => write!(
                f,
                "one inference takes more than {limit} units of work, the limit; raise it with work_limit if the model is trusted"
            ),
            Self::TooManyOperators { limit } => write!(
                f,
                "subgraphs run one another at so many places that more than {limit} operators would have to be prepared, the most there may be; flatten the model's control flow"
            ),
            Self::Signature { found, names } => {
                write!(
                    f,
                    "signature {found:?} asked for, {}",
                    Names("the model", names)
                )
            }
            Self::Input { source } => source.fmt(f),
            Self::InputIndex { index, count } => {
                write!(
                    f,
                    "input {index} was given a shape, the model has {count} input(s)"
                )
            }
            Self::InputShape {
                index,
                found,
                declared,
            } => write!(
                f,
                "input {index} was given shape {found}, the model declares {declared}; give as many axes"
            ),
            Self::InputAxis {
                index,
                axis,
                found,
                expected,
                source,
            } => write!(
                f,
                "input {index} was given {found} along axis {axis}, the model expects {expected} there: {source}"
            ),
            Self::Unsized { tensor, ty } => {
                write!(
                    f,
                    "tensor {tensor} holds {ty} elements, which have no fixed size and no kernel"
                )
            }
            Self::Shape { source } => source.fmt(f),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Attach { source } => Some(source.as_ref()),
            Self::Delegate { source } => Some(source),
            Self::Input { source } => Some(source),
            Self::InputAxis { source, .. } => Some(source.as_ref()),
            Self::Prepare { source, .. } => Some(source),
            Self::Constant { source, .. } => Some(source),
            Self::Shape { source } => Some(source),
            _ => None,
        }
    }
}

impl BuildError {
    /// The same in the middle of an inference, for the operator at `place`: its subgraph and number.
    pub(super) fn at_inference(self, model: &Model, place: (usize, usize)) -> InvokeError {
        let here = |source| InvokeError::new(model, place.0, place.1, source);
        match self {
            Self::Prepare {
                subgraph,
                operator,
                source,
                ..
            } => InvokeError::new(model, subgraph, operator, source.into()),
            Self::Constant {
                subgraph,
                operator,
                source,
                ..
            } => InvokeError::new(model, subgraph, operator, source),
            Self::ArenaTooLarge { bytes, limit } => here(EvalError::Memory { bytes, limit }),
            Self::TooMuchWork { limit } => here(EvalError::Work { limit }),
            Self::TooManyOperators { limit } => here(EvalError::Work {
                limit: limit as u64,
            }),
            Self::Unsized { ty, .. } => here(EvalError::from(PrepareError::Type {
                operand: "result",
                found: ty,
                expected: "elements of a fixed size",
            })),
            other => here(EvalError::Device {
                device: "delegate".to_owned(),
                fault: DeviceFault::Failed,
                reason: other.to_string(),
            }),
        }
    }
}

/// Where an operator stands; the first subgraph, the only one of most models, goes without saying.
fn place(subgraph: usize, operator: usize) -> String {
    match subgraph {
        0 => format!("operator {operator} "),
        _ => format!("subgraph {subgraph}, operator {operator} "),
    }
}

/// Says which names there are.
struct Names<'a>(&'static str, &'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(owner, names) = self;
        match names {
            [] => write!(f, "{owner} has none"),
            _ => {
                let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                write!(f, "{owner} has {}", names.join(", "))
            }
        }
    }
}

/// Why an inference failed: the operator and its reason.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InvokeError {
    /// Index of the subgraph.
    pub subgraph: usize,
    /// Index of the operator within the subgraph.
    pub operator: usize,
    /// Which operator.
    pub kind: OperatorKind,
    /// What went wrong.
    pub source: EvalError,
}

impl InvokeError {
    pub(super) fn new(model: &Model, subgraph: usize, operator: usize, source: EvalError) -> Self {
        let operators = &model.graph().subgraphs()[subgraph].operators;
        Self {
            subgraph,
            operator,
            // A limit may be reached before the first operator of a subgraph that has none.
            kind: operators
                .get(operator)
                .map_or(OperatorKind::Custom("none".to_owned()), |o| o.kind.clone()),
            source,
        }
    }
}

impl fmt::Display for InvokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = place(self.subgraph, self.operator);
        write!(f, "{place}{}: {}", self.kind, self.source)
    }
}

impl std::error::Error for InvokeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Why a tensor was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessError {
    /// No input or output has this index.
    Index {
        what: &'static str,
        index: usize,
        count: usize,
    },
    /// A signature has no input or output of this name.
    Name {
        what: &'static str,
        found: String,
        signature: String,
        names: Vec<String>,
    },
    /// An output whose shape only an inference can decide, and none has yet.
    Open { index: usize },
    /// The data are not what was asked for.
    Tensor {
        what: &'static str,
        index: usize,
        source: TensorError,
    },
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index { what, index, count } => {
                write!(f, "{what} {index} asked for, the model has {count}")
            }
            Self::Name {
                what,
                found,
                signature,
                names,
            } => write!(
                f,
                "{what} {found:?} of signature {signature:?} asked for, {}",
                Names("it", names)
            ),
            Self::Open { index } => write!(
                f,
                "output {index} has no shape yet, it depends on the inputs' values; invoke first"
            ),
            Self::Tensor {
                what,
                index,
                source,
            } => write!(f, "{what} {index}: {source}"),
        }
    }
}

impl std::error::Error for AccessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Tensor { source, .. } => Some(source),
            _ => None,
        }
    }
}
