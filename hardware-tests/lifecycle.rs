//! Opening, running and closing.

use corallite::ops::DeviceFault;

use crate::rig::{Rig, fill, outputs};

/// Five times; each closing gives the device free for the next opening.
pub fn a_device_opens_runs_and_closes_again_and_again(rig: &mut Rig) {
    let mut first = None;
    for round in 0..5 {
        let edge_tpu = rig.open();
        let mut interpreter = rig.isolated(&edge_tpu);
        fill(&mut interpreter, 1);
        interpreter
            .invoke()
            .unwrap_or_else(|error| panic!("round {round}: {error}"));
        let found = outputs(&interpreter);
        assert_eq!(*first.get_or_insert(found.clone()), found, "round {round}");
    }
}

/// The same without a worker, and two models on one open device.
pub fn a_device_opens_runs_and_closes_in_this_process(rig: &mut Rig) {
    for round in 0..2 {
        let mut interpreter = rig.in_process();
        fill(&mut interpreter, 1);
        for _ in 0..3 {
            interpreter
                .invoke()
                .unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
    }
    let edge_tpu = rig.open();
    let mut interpreters = [rig.isolated(&edge_tpu), rig.isolated(&edge_tpu)];
    for interpreter in &mut interpreters {
        fill(interpreter, 2);
    }
    for _ in 0..3 {
        for interpreter in &mut interpreters {
            interpreter
                .invoke()
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
    assert_eq!(outputs(&interpreters[0]), outputs(&interpreters[1]));
}

/// Opening a stick that is in use resets its port: the lock keeps the second one away before that.
pub fn a_second_opener_is_refused_and_the_first_goes_on(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut interpreter = rig.isolated(&edge_tpu);
    fill(&mut interpreter, 3);
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{error}"));
    let error = rig.try_open().expect_err("the device is in use");
    assert_eq!(error.fault(), DeviceFault::Busy, "{error}");
    let worker = edge_tpu.worker_id().expect("a worker");
    assert!(error.to_string().contains(&worker.to_string()), "{error}");
    interpreter
        .invoke()
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(edge_tpu.worker_id(), Some(worker));
}
