//! Everything that can be wrong, each with a name that scripts may rely on.

use std::fmt;

use super::steps::Check;

/// How bad a finding is. Orders the worst first.
///
/// ```
/// use corallite::device::doctor::Severity;
/// assert!(Severity::Error < Severity::Note);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works worse than it could, or may stop working.
    Warning,
    /// Good to know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// Why an Edge TPU does not work, or does not work well.
///
/// ```
/// use corallite::device::doctor::Cause;
/// assert_eq!(Cause::NoPermission.id(), "no-permission");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// No libedgetpu in any place it was looked for.
    LibraryMissing,
    /// The library found is for another processor.
    WrongArchitecture,
    /// The library found needs another one that is missing, usually libusb.
    LibraryDependencyMissing,
    /// The library found needs a newer C or C++ library than this system has.
    SystemTooOld,
    /// This program is linked statically and cannot load libraries.
    StaticProgram,
    /// The library found cannot be loaded for another reason.
    LibraryUnusable,
    /// The library is of a generation whose interface this crate does not speak.
    LibraryTooOld,
    /// The library is older than the model demands.
    RuntimeTooOld,
    /// The model demands more than any public library offers.
    ModelFromNewerCompiler,
    /// The model has no part for the Edge TPU.
    ModelNotCompiled,
    /// The model's part for the Edge TPU is broken.
    PackageDamaged,
    /// No Edge TPU is attached.
    NoDevice,
    /// The user may not open the device.
    NoPermission,
    /// A container's device policy refuses the device.
    ContainerBlocksDevice,
    /// The device is there and its node in `/dev` is not.
    NodeMissing,
    /// The stick runs at USB 2 speed or below.
    SlowUsb,
    /// The stick waits for firmware and does not, or may not, come back after it.
    BootloaderStuck,
    /// Another process has the device open.
    HeldByProcess,
    /// The kernel driver of PCIe modules is not there.
    DriverMissing,
    /// The kernel driver is not there, and does not build for this kernel as distributed.
    KernelTooNew,
    /// The driver is there and does not serve the module, or another driver has it.
    DriverNotBound,
    /// The chip is hot and its clock is lowered.
    ThermalThrottling,
    /// The chip is so hot that it shuts down.
    ThermalShutdown,
    /// The chip does not answer its driver.
    DeviceDead,
    /// Everything looks right and the library still could not open the device.
    OpenFailed,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::LibraryMissing,
        Self::WrongArchitecture,
        Self::LibraryDependencyMissing,
        Self::SystemTooOld,
        Self::StaticProgram,
        Self::LibraryUnusable,
        Self::LibraryTooOld,
        Self::RuntimeTooOld,
        Self::ModelFromNewerCompiler,
        Self::ModelNotCompiled,
        Self::PackageDamaged,
        Self::NoDevice,
        Self::NoPermission,
        Self::ContainerBlocksDevice,
        Self::NodeMissing,
        Self::SlowUsb,
        Self::BootloaderStuck,
        Self::HeldByProcess,
        Self::DriverMissing,
        Self::KernelTooNew,
        Self::DriverNotBound,
        Self::ThermalThrottling,
        Self::ThermalShutdown,
        Self::DeviceDead,
        Self::OpenFailed,
    ];

    /// The link of the chain that it breaks.
    pub const fn check(self) -> Check {
        match self {
            Self::LibraryMissing
            | Self::WrongArchitecture
            | Self::LibraryDependencyMissing
            | Self::SystemTooOld
            | Self::StaticProgram
            | Self::LibraryUnusable => Check::Library,
            Self::LibraryTooOld => Check::Version,
            Self::ModelNotCompiled
            | Self::PackageDamaged
            | Self::ModelFromNewerCompiler
            | Self::RuntimeTooOld => Check::Model,
            Self::NoDevice => Check::Attached,
            Self::DriverMissing | Self::KernelTooNew | Self::DriverNotBound => Check::Driver,
            Self::NoPermission | Self::ContainerBlocksDevice | Self::NodeMissing => Check::Access,
            Self::HeldByProcess => Check::Free,
            Self::SlowUsb => Check::Speed,
            Self::BootloaderStuck => Check::Firmware,
            Self::ThermalThrottling | Self::ThermalShutdown | Self::DeviceDead => Check::Chip,
            Self::OpenFailed => Check::Open,
        }
    }

    /// A name that does not change between versions.
    pub const fn id(self) -> &'static str {
        match self {
            Self::LibraryMissing => "library-missing",
            Self::WrongArchitecture => "wrong-architecture",
            Self::LibraryDependencyMissing => "library-dependency-missing",
            Self::SystemTooOld => "system-too-old",
            Self::StaticProgram => "static-program",
            Self::LibraryUnusable => "library-unusable",
            Self::LibraryTooOld => "library-too-old",
            Self::RuntimeTooOld => "runtime-too-old",
            Self::ModelFromNewerCompiler => "model-from-newer-compiler",
            Self::ModelNotCompiled => "model-not-compiled",
            Self::PackageDamaged => "package-damaged",
            Self::NoDevice => "no-device",
            Self::NoPermission => "no-permission",
            Self::ContainerBlocksDevice => "container-blocks-device",
            Self::NodeMissing => "node-missing",
            Self::SlowUsb => "slow-usb",
            Self::BootloaderStuck => "bootloader-stuck",
            Self::HeldByProcess => "held-by-process",
            Self::DriverMissing => "driver-missing",
            Self::KernelTooNew => "kernel-too-new",
            Self::DriverNotBound => "driver-not-bound",
            Self::ThermalThrottling => "thermal-throttling",
            Self::ThermalShutdown => "thermal-shutdown",
            Self::DeviceDead => "device-dead",
            Self::OpenFailed => "open-failed",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_distinct_words() {
        let ids: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.id()).collect();
        assert_eq!(ids.len(), Cause::ALL.len());
        for id in ids {
            assert!(
                id.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{id}"
            );
        }
    }
}
