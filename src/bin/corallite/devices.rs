//! `corallite devices`: the Edge TPUs of a machine.

use crate::failure::Failure;
use crate::output::{one_line, print};
use corallite::device::{Device, DeviceDetails, PcieDevice, System, UsbDevice};
use serde_json::{Value, json};

/// Options of `corallite devices`.
pub struct DevicesOptions {
    /// Where to look.
    pub system: System,
    /// Whether JSON is wanted.
    pub json: bool,
}

/// What to say where there is none.
const NONE: &str =
    "no Edge TPU found; `corallite doctor` looks for the cause and tells what to do\n";

/// Prints the devices.
pub fn devices(options: &DevicesOptions) -> Result<(), Failure> {
    let devices = options
        .system
        .list()
        .map_err(|source| Failure::Devices { source })?;
    let text = if options.json {
        let devices: Vec<Value> = devices.iter().map(device_json).collect();
        format!("{:#}\n", Value::Array(devices))
    } else if devices.is_empty() {
        NONE.to_owned()
    } else {
        devices.iter().map(line).collect()
    };
    print(&text)
}

/// A device's line with what is only of interest here.
fn line(device: &Device) -> String {
    let mut line = device.to_string();
    if let DeviceDetails::Pcie(module) = &device.details
        && let Some(khz) = module.clock_limit_khz().filter(|khz| *khz == 500_000)
    {
        line += &format!(", up to {} MHz", khz / 1000);
    }
    if device.access.is_granted() {
        line += &format!(", {}", device.access);
    }
    one_line(&line) + "\n"
}

/// Everything known of a device.
pub fn device_json(device: &Device) -> Value {
    let holders = device.holders.iter();
    let holders: Vec<Value> = holders
        .map(|holder| json!({ "pid": holder.pid, "command": holder.command }))
        .collect();
    let (usb, pcie) = match &device.details {
        DeviceDetails::Usb(stick) => (usb_json(stick), Value::Null),
        DeviceDetails::Pcie(module) => (Value::Null, pcie_json(module)),
        _ => (Value::Null, Value::Null),
    };
    json!({
        "index": device.index,
        "kind_index": device.kind_index,
        "kind": device.kind().word(),
        "path": device.path,
        "node": device.node.as_ref().map(|node| node.to_string_lossy()),
        "access": device.access.to_string(),
        "accessible": device.access.is_granted(),
        "usable": device.is_usable(),
        "holders": holders,
        "usb": usb,
        "pcie": pcie,
    })
}

fn usb_json(stick: &UsbDevice) -> Value {
    json!({
        "state": stick.mode.to_string(),
        "speed": stick.speed.to_string(),
        "bus": stick.bus,
        "address": stick.address,
        "ports": stick.ports,
    })
}

fn pcie_json(module: &PcieDevice) -> Value {
    let degrees = |millidegrees: i32| f64::from(millidegrees) / 1000.0;
    json!({
        "address": module.address,
        "driver": module.driver,
        "driver_version": module.driver_version,
        "status": module.status.map(|status| status.to_string()),
        "temperature_celsius": module.temperature.map(degrees),
        "trip_points_celsius": module.trip_points.map(|points| points.map(degrees)),
        "shutdown_celsius": module.shutdown_temperature.map(degrees),
        "clock_limit_khz": module.clock_limit_khz(),
    })
}
