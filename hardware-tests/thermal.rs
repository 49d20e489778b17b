//! How warm it gets.

use std::time::{Duration, Instant};

use corallite::device::DeviceDetails;

use crate::rig::{Rig, fill};

/// Load for a minute. A module tells its temperature and must stay below its first trip point; a stick has no sensor that
/// can be read, so there the table of latencies is all: one that grows means that the host slows down or the stick does.
pub fn the_chip_stays_below_its_first_trip_point_under_load(rig: &mut Rig) {
    let edge_tpu = rig.open();
    let mut interpreter = rig.isolated(&edge_tpu);
    fill(&mut interpreter, 8);
    let load = rig.load();
    let start = Instant::now();
    eprintln!("| after, s | inferences | mean, ms | temperature, C |");
    eprintln!("|---:|---:|---:|---:|");
    for part in 1..=10_u32 {
        let end = load * part / 10;
        let (mut count, mut busy) = (0_u32, Duration::ZERO);
        while start.elapsed() < end || count == 0 {
            let began = Instant::now();
            interpreter
                .invoke()
                .unwrap_or_else(|error| panic!("{error}"));
            busy += began.elapsed();
            count += 1;
        }
        let (temperature, trip) = temperature(rig);
        let shown = temperature.map_or_else(|| "no sensor".to_owned(), |t| format!("{t:.1}"));
        let mean = busy.as_secs_f64() * 1e3 / f64::from(count);
        eprintln!(
            "| {:.0} | {count} | {mean:.3} | {shown} |",
            end.as_secs_f64()
        );
        if let (Some(temperature), Some(trip)) = (temperature, trip) {
            assert!(
                temperature < trip,
                "{temperature:.1} C after {:.0?}, the clock is lowered at {trip:.1} C: cool the module better",
                start.elapsed()
            );
        }
    }
}

/// Temperature and first trip point, in degrees Celsius.
fn temperature(rig: &Rig) -> (Option<f64>, Option<f64>) {
    let found = rig.found();
    let ours = found
        .into_iter()
        .find(|found| found.path == rig.device.path);
    match ours.map(|ours| ours.details) {
        Some(DeviceDetails::Pcie(module)) => {
            let degrees = |millidegrees: i32| f64::from(millidegrees) / 1e3;
            let trip = module.trip_points.map(|[first, ..]| degrees(first));
            (module.temperature.map(degrees), trip)
        }
        _ => (None, None),
    }
}
