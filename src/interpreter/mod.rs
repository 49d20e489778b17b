//! Runs a model: prepares its operators and its arena once, then computes without allocating.
//!
//! [`Interpreter`] is for applications; an [`Observer`] sees every operator, for profiling and for the QAT oracle.
//!
//! Each subgraph that an interpreter runs is a program, one for every place that runs it: an entry for callers, and those
//! that IF, WHILE and CALL_ONCE hold. A program is prepared for the shapes of its inputs. What of it needs values to know
//! its shapes is prepared anew at each inference, from the first such operator on; all before stays fixed.

mod arena;
mod build;
mod builder;
mod control;
mod error;
mod fold;
mod invoke;
mod known;
mod lay_out;
mod observer;
mod prepare;
mod program;
mod resolve;
mod runtime;
mod signature;
mod tail;
mod tensors;

pub use builder::{
    DEFAULT_ARENA_LIMIT, DEFAULT_LOOP_LIMIT, DEFAULT_WORK_LIMIT, InterpreterBuilder,
};
pub use error::{AccessError, BuildError, InvokeError};
pub use invoke::Interpreter;
pub use observer::{Observer, OperatorEvent, OperatorInfo, OperatorResults};
pub use signature::SignatureRunner;

pub use crate::ops::MissingOperator;
