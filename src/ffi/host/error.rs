//! What can go wrong between the host and the delegate, with libedgetpu's own words.

use std::fmt;

use crate::tensor::{Shape, TensorType};

/// Which operands of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What the node reads.
    Input,
    /// What the node writes.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "input",
            Self::Output => "output",
        })
    }
}

/// Why a node cannot be added, prepared or run. Nodes and operands are counted from 0 in the order they were added.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// A tensor is none that libedgetpu can take.
    Tensor {
        /// The node.
        node: usize,
        /// Inputs or outputs.
        side: Side,
        /// Which of them.
        index: usize,
        /// Its element type.
        ty: TensorType,
        /// Its shape.
        shape: Shape,
    },
    /// More nodes, operands or bytes of custom options than C's `int` can count.
    TooLarge {
        /// The node.
        node: usize,
    },
    /// The delegate has no function to prepare it.
    NoPrepare,
    /// The delegate failed to look through the nodes.
    DelegatePrepare {
        /// libedgetpu's words.
        reported: String,
    },
    /// The delegate did not take the node.
    NotTaken {
        /// The node.
        node: usize,
        /// libedgetpu's words.
        reported: String,
    },
    /// The delegate handed over a kernel in a form that is not known.
    UnknownRegistration {
        /// The node, if it could be told.
        node: Option<usize>,
    },
    /// The kernel could not be made.
    KernelInit {
        /// The node.
        node: usize,
        /// libedgetpu's words.
        reported: String,
    },
    /// The kernel refused the program or the tensors.
    KernelPrepare {
        /// The node.
        node: usize,
        /// libedgetpu's words.
        reported: String,
    },
    /// libedgetpu gave a tensor a shape that it cannot have.
    Resize {
        /// The node.
        node: usize,
        /// libedgetpu's words.
        reported: String,
    },
    /// There is no such node.
    NoNode {
        /// The node asked for.
        node: usize,
        /// How many there are.
        count: usize,
    },
    /// Another number of operands was given than the node has.
    OperandCount {
        /// The node.
        node: usize,
        /// Inputs or outputs.
        side: Side,
        /// How many were given.
        found: usize,
        /// How many there are.
        expected: usize,
    },
    /// An operand has another length than the tensor.
    OperandLength {
        /// The node.
        node: usize,
        /// Inputs or outputs.
        side: Side,
        /// Which of them.
        index: usize,
        /// Bytes given.
        found: usize,
        /// Bytes of the tensor.
        expected: usize,
    },
    /// The input keeps its bytes between inferences, or does not, other than the call assumes.
    NotVariable {
        /// The node.
        node: usize,
        /// Which input.
        index: usize,
    },
    /// The inference failed.
    Invoke {
        /// The node.
        node: usize,
        /// libedgetpu's words.
        reported: String,
    },
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tensor { node, side, index, ty, shape } => write!(
                f,
                "Edge TPU node {node}, {side} {index}: found {ty} {shape}, expected uint8, int8, int16, int32, float32 \
                 or float16 of 1 byte to 2 GiB"
            ),
            Self::TooLarge { node } => write!(f, "Edge TPU node {node}: more than 2 GiB of options or too many tensors"),
            Self::NoPrepare => f.write_str("libedgetpu's delegate has no Prepare function; it is not a libedgetpu build"),
            Self::DelegatePrepare { reported } => {
                write!(f, "libedgetpu did not look through the model{}", Words(reported))
            }
            Self::NotTaken { node, reported } => {
                write!(f, "libedgetpu did not take Edge TPU node {node}{}", Words(reported))
            }
            Self::UnknownRegistration { node: Some(node) } => write!(
                f,
                "Edge TPU node {node}: libedgetpu passed a kernel in an unknown form, expected TfLiteRegistration of \
                 TFLite 2.5 to 2.19"
            ),
            Self::UnknownRegistration { node: None } => f.write_str(
                "libedgetpu passed a kernel in an unknown form, expected TfLiteRegistration of TFLite 2.5 to 2.19",
            ),
            Self::KernelInit { node, reported } => {
                write!(f, "libedgetpu made no kernel for Edge TPU node {node}{}", Words(reported))
            }
            Self::KernelPrepare { node, reported } => {
                write!(f, "libedgetpu refused Edge TPU node {node}{}", Words(reported))
            }
            Self::Resize { node, reported } => {
                write!(f, "libedgetpu resized a tensor of Edge TPU node {node} to an impossible shape{}", Words(reported))
            }
            Self::NoNode { node, count } => write!(f, "no Edge TPU node {node}, the session has {count}"),
            Self::OperandCount { node, side, found, expected } => {
                write!(f, "Edge TPU node {node}: found {found} {side}s, expected {expected}")
            }
            Self::OperandLength { node, side, index, found, expected } => {
                write!(f, "Edge TPU node {node}, {side} {index}: found {found} bytes, expected {expected}")
            }
            Self::NotVariable { node, index } => {
                write!(f, "Edge TPU node {node}, input {index} keeps no bytes between inferences")
            }
            Self::Invoke { node, reported } => {
                write!(f, "inference on Edge TPU node {node} failed{}", Words(reported))
            }
        }
    }
}

impl std::error::Error for HostError {}

/// libedgetpu's words after a message, on one line.
struct Words<'a>(&'a str);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str(", without a reason")
        } else {
            write!(f, ": {}", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_carry_the_words_of_the_library() {
        let cases = [
            (
                HostError::KernelPrepare {
                    node: 1,
                    reported: "Failed to prepare for TPU. bad package".into(),
                },
                "libedgetpu refused Edge TPU node 1: Failed to prepare for TPU. bad package",
            ),
            (
                HostError::KernelInit {
                    node: 0,
                    reported: String::new(),
                },
                "libedgetpu made no kernel for Edge TPU node 0, without a reason",
            ),
            (
                HostError::Tensor {
                    node: 0,
                    side: Side::Output,
                    index: 2,
                    ty: TensorType::Int64,
                    shape: Shape::SCALAR,
                },
                "Edge TPU node 0, output 2: found int64 [], expected uint8, int8, int16, int32, float32 or float16 of 1 \
                 byte to 2 GiB",
            ),
            (
                HostError::OperandCount {
                    node: 0,
                    side: Side::Input,
                    found: 2,
                    expected: 1,
                },
                "Edge TPU node 0: found 2 inputs, expected 1",
            ),
            (
                HostError::OperandLength {
                    node: 3,
                    side: Side::Input,
                    index: 0,
                    found: 15,
                    expected: 16,
                },
                "Edge TPU node 3, input 0: found 15 bytes, expected 16",
            ),
            (
                HostError::NoNode { node: 2, count: 1 },
                "no Edge TPU node 2, the session has 1",
            ),
            (
                HostError::Invoke {
                    node: 0,
                    reported: "Failed to execute request. x".into(),
                },
                "inference on Edge TPU node 0 failed: Failed to execute request. x",
            ),
            (
                HostError::NotVariable { node: 0, index: 1 },
                "Edge TPU node 0, input 1 keeps no bytes between inferences",
            ),
            (
                HostError::UnknownRegistration { node: None },
                "libedgetpu passed a kernel in an unknown form, expected TfLiteRegistration of TFLite 2.5 to 2.19",
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }
}
