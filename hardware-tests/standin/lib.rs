//! A shared library that stands in for libedgetpu where there is no Edge TPU.
//!
//! It exports `edgetpu_c.h` and drives its host like libedgetpu 16.0 does, defects included, in the binary form of the
//! TFLite release it is told to have been built against. `cargo test` builds it as `examples/libstandin.so`. A program
//! is pointed at it with `CORALLITE_LIBEDGETPU`.
//!
//! What it shares with libedgetpu, as measured on the official 16.0 binary:
//!
//! * registrations by value of 8, 9, 10 or 11 fields, with poison behind the short ones where the calling convention
//!   leaves room for it; a private non-null word behind the delegate of the old form;
//! * the sign bits of int8 and int16 inputs are flipped in the host's memory at any alignment and stay flipped;
//! * a second kernel prepare after a failed registration aborts, as do a buffer handle other than -1, a null option
//!   name, more than one node per kernel;
//! * `ReportError` with a format and a string, and with finished texts that contain stray `%`;
//! * `ResizeTensor` with dims from `malloc`, whose status is ignored and whose effect is read at once;
//! * 25 s on a path that no device has, null for every failed open, the reason on stderr from verbosity 1 on, and then
//!   a line per inference as well;
//! * handles of one device share it, and only the first one's options count;
//! * a failing device ends the process from a foreign thread, or never returns (see `faults.rs`).
//!
//! What it computes is in `engine.rs`; how it is told what to be is in `config.rs`.
//!
//! Its view of TFLite's structs (`abi.rs`) is written from the public header on its own, so that an error in the
//! host's view does not cancel out here.
#![allow(
    clippy::missing_safety_doc,
    reason = "the exported functions' contract is edgetpu_c.h"
)]

mod abi;
mod capi;
mod config;
mod engine;
mod faults;
mod kernel;
mod layers;
