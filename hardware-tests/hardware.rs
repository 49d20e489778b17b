//! What only a device can show: `cargo test --test hardware -- --ignored --test-threads=1 --nocapture`.
//!
//! Without a device each test fails and says what to plug in. The same bodies run against the stand-in for libedgetpu in
//! plain `cargo test`, so that they cannot rot; what they show there is that they work, nothing about a device. README.md
//! beside this file is for the person with a board.
#![cfg(all(
    target_os = "linux",
    not(all(target_env = "musl", target_feature = "crt-static"))
))]

#[path = "../tests/compiled_model/mod.rs"]
mod compiled_model;
#[path = "../tests/model_builder/mod.rs"]
mod model_builder;
#[path = "../tests/standin/mod.rs"]
mod standin;

mod discovery;
mod lifecycle;
mod parity;
mod recovery;
mod rig;
mod thermal;
mod throughput;

/// The worker of isolated devices; a test that does nothing otherwise.
#[test]
fn worker_process() {
    corallite::delegate::isolated::worker_main();
}

/// Declares each test twice: on a device, ignored with what it needs, and on the stand-in.
macro_rules! tests {
    ($($name:ident, $body:path, $needs:literal;)*) => {
        mod on_a_device {$(
            #[test]
            #[ignore = $needs]
            fn $name() {
                $body(&mut crate::rig::Rig::device());
            }
        )*}

        mod on_the_standin {$(
            #[test]
            fn $name() {
                $body(&mut crate::rig::Rig::standin());
            }
        )*}
    };
}

tests! {
    discovery, crate::discovery::corallite_and_libedgetpu_see_the_same_devices,
        "needs an Edge TPU and libedgetpu";
    lifecycle, crate::lifecycle::a_device_opens_runs_and_closes_again_and_again,
        "needs an Edge TPU and libedgetpu";
    lifecycle_in_process, crate::lifecycle::a_device_opens_runs_and_closes_in_this_process,
        "needs an Edge TPU and libedgetpu";
    second_opener, crate::lifecycle::a_second_opener_is_refused_and_the_first_goes_on,
        "needs an Edge TPU and libedgetpu";
    parity, crate::parity::the_device_answers_like_the_uncompiled_model,
        "needs an Edge TPU, libedgetpu and a model with its uncompiled twin";
    repeated_input, crate::parity::an_input_that_is_not_rewritten_gives_the_same_answer,
        "needs an Edge TPU and libedgetpu";
    unplug, crate::recovery::a_stick_that_is_pulled_out_is_lost_and_comes_back,
        "needs a stick on USB, libedgetpu, and root or a hand to pull the stick out";
    killed_worker, crate::recovery::a_worker_that_is_killed_is_replaced,
        "needs an Edge TPU and libedgetpu";
    throughput, crate::throughput::latency_and_throughput,
        "needs an Edge TPU and libedgetpu";
    thermal, crate::thermal::the_chip_stays_below_its_first_trip_point_under_load,
        "needs an Edge TPU and libedgetpu; takes a minute";
}
