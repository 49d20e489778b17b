//! Control flow, state, signatures, shapes that depend on values, and the limits of all these. What the operators compute
//! is compared with TFLite in `tests/conformance`; expected values here are arithmetic, shown in place.

#[path = "../model_builder/mod.rs"]
mod model_builder;

mod control_flow;
mod delegates;
mod in_place;
mod limits;
mod models;
// Convolutions, minutes each under Miri; their kernels have tests of their own.
#[cfg(not(miri))]
mod padding;
mod parts;
mod shapes;
mod signatures;
mod state;

use corallite::interpreter::InvokeError;
use corallite::tensor::Element;
use corallite::{Interpreter, Model};

fn load(model: &model_builder::Model) -> Model {
    Model::from_bytes(&model.to_bytes()).expect("a sound model")
}

fn interpreter(model: &model_builder::Model) -> Interpreter {
    Interpreter::builder(&load(model))
        .build()
        .expect("an interpreter")
}

/// Fills input 0, runs, and gives the shape and the elements of output 0.
fn run<I: Element, O: Element>(interpreter: &mut Interpreter, input: &[I]) -> (Vec<usize>, Vec<O>) {
    try_run(interpreter, input).expect("an inference")
}

fn try_run<I: Element, O: Element>(
    interpreter: &mut Interpreter,
    input: &[I],
) -> Result<(Vec<usize>, Vec<O>), InvokeError> {
    let mut to = interpreter.input_mut(0).expect("an input");
    to.copy_from(input).expect("as many elements");
    interpreter.invoke()?;
    let output = interpreter.output(0).expect("an output");
    let elements = output.as_slice::<O>().expect("elements").to_vec();
    Ok((output.shape().dims().to_vec(), elements))
}
