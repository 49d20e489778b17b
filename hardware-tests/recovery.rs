//! Loss of the device, and the way back.

use std::time::{Duration, Instant};

use corallite::Interpreter;
use corallite::interpreter::InvokeError;
use corallite::ops::{DeviceFault, EvalError};

use crate::rig::{Rig, fill, kill, outputs};

/// The application stays alive, is told, and goes on when the stick is back, with the input it had.
pub fn a_stick_that_is_pulled_out_is_lost_and_comes_back(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut interpreter = rig.isolated(&edge_tpu);
    fill(&mut interpreter, 5);
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{error}"));
    let before = outputs(&interpreter);

    rig.pull_out();
    let error = until(&mut interpreter, Result::is_err).expect_err("the stick is out");
    eprintln!("told: {error}");
    assert_lost(&error);
    let error = interpreter.invoke().expect_err("the stick is still out");
    assert_lost(&error);

    rig.put_back();
    let start = Instant::now();
    until(&mut interpreter, Result::is_ok).unwrap_or_else(|error| panic!("{error}"));
    eprintln!("back after {:.1?}", start.elapsed());
    assert_eq!(outputs(&interpreter), before);
}

/// A crash of libedgetpu, as seen from outside.
pub fn a_worker_that_is_killed_is_replaced(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut interpreter = rig.isolated(&edge_tpu);
    fill(&mut interpreter, 6);
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{error}"));
    let before = outputs(&interpreter);
    let worker = edge_tpu.worker_id().expect("a worker");
    kill(worker);
    let error = interpreter.invoke().expect_err("the worker is dead");
    assert_lost(&error);
    assert!(error.to_string().contains("SIGKILL"), "{error}");
    until(&mut interpreter, Result::is_ok).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(outputs(&interpreter), before);
    assert_ne!(edge_tpu.worker_id(), Some(worker));
}

fn assert_lost(error: &InvokeError) {
    let EvalError::Device { fault, .. } = error.source else {
        panic!("{error}")
    };
    assert_eq!(fault, DeviceFault::Lost, "{error}");
}

/// Runs inferences until one has the result looked for, for a minute at most.
fn until(
    interpreter: &mut Interpreter,
    is_it: impl Fn(&Result<(), InvokeError>) -> bool,
) -> Result<(), InvokeError> {
    let start = Instant::now();
    loop {
        let result = interpreter.invoke();
        if is_it(&result) || start.elapsed() > Duration::from_secs(60) {
            return result;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
