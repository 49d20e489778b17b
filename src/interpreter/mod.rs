//! Runs a model: builds the steps and the arena once, then computes without allocating.
//!
//! [`Interpreter`] is for applications; an [`Observer`] sees every operator, for profiling and for the QAT oracle.

mod arena;
mod build;
mod builder;
mod error;
mod fold;
mod invoke;
mod known;
mod lay_out;
mod observer;
mod resolve;

pub use builder::{DEFAULT_ARENA_LIMIT, InterpreterBuilder};
pub use error::{AccessError, BuildError, InvokeError};
pub use invoke::Interpreter;
pub use observer::{Observer, OperatorEvent, OperatorInfo};

pub use crate::ops::MissingOperator;
