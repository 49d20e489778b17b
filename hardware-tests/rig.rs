//! What a test runs on: a device and libedgetpu, or the stand-in and a simulated machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use corallite::delegate::EdgeTpuDelegate;
use corallite::delegate::isolated::{Deadlines, IsolatedEdgeTpu, Isolation, IsolationError};
use corallite::device::{Device, DeviceError, Node, Probe, System, UsbEntry, UsbSpeed};
use corallite::ffi::{DelegateOptions, DeviceKind, DeviceRecord, EdgeTpuLibrary, SearchPath};
use corallite::{Interpreter, Model};

use crate::compiled_model::{edge_tpu_operator, layer};
use crate::model_builder::{self, INT8};
use crate::standin::{self, StandIn};

/// Names the compiled model and its uncompiled twin, else those of the test data.
const MODEL_VARIABLE: &str = "CORALLITE_HARDWARE_MODEL";
const TWIN_VARIABLE: &str = "CORALLITE_HARDWARE_TWIN";

/// Seconds of load in the thermal test; 60 unless set.
const SECONDS_VARIABLE: &str = "CORALLITE_HARDWARE_SECONDS";

/// What a test runs on.
pub struct Rig {
    pub device: DeviceRecord,
    /// Compiled, and the same uncompiled.
    pub compiled: Model,
    pub twin: Model,
    search: SearchPath,
    standin: Option<Simulation>,
}

/// The stand-in, and the files by which it is played with.
struct Simulation {
    standin: StandIn,
    unplugged: PathBuf,
    pull: PathBuf,
}

impl Rig {
    /// The first Edge TPU of this machine, or a failure that says what to do.
    pub fn device() -> Self {
        let search = SearchPath::from_environment();
        let library = EdgeTpuLibrary::open(&search).unwrap_or_else(|error| panic!("{error}"));
        let device = library.devices().into_iter().next().unwrap_or_else(|| {
            panic!(
                "no Edge TPU: plug a Coral USB Accelerator into a USB 3 port, or install the driver of a PCIe module; \
                 docs/devices.md tells what can be wrong, `corallite doctor` finds out"
            )
        });
        let (compiled, twin) = models();
        Self {
            device,
            compiled: load(&compiled),
            twin: load(&twin),
            search,
            standin: None,
        }
    }

    /// The stand-in, on a machine that has one stick.
    pub fn standin() -> Self {
        let twin = model_builder::doubling();
        let mut compiled = model_builder::doubling();
        compiled.tensors.truncate(1);
        let output = &twin.tensors[3];
        compiled.tensors.push(output.clone());
        compiled.operators = vec![edge_tpu_operator(
            &[0],
            &[1],
            &[layer("in", INT8, 3)],
            &[layer("out", INT8, 3)],
        )];
        compiled.outputs = vec![1];
        // Beside the settings of the copy, which go with it.
        let home = StandIn::new(&[]);
        let file = |name: &str| home.file(name);
        let (unplugged, pull, twin_file) = (file("unplugged"), file("pull"), file("twin.tflite"));
        std::fs::write(&twin_file, twin.to_bytes()).expect("the twin");
        let settings = [
            ("unplugged", unplugged.display().to_string()),
            ("trigger", pull.display().to_string()),
            ("twin", twin_file.display().to_string()),
            ("fault", "abort-idle".to_owned()),
        ];
        let settings: String = settings
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"))
            .collect();
        std::fs::write(file("libedgetpu.so.1.conf"), settings).expect("settings");
        Self {
            device: DeviceRecord {
                kind: DeviceKind::Usb,
                path: "/sys/bus/usb/devices/2-1".into(),
            },
            compiled: Model::from_bytes(&compiled.to_bytes()).expect("a model"),
            twin: Model::from_bytes(&twin.to_bytes()).expect("a model"),
            search: SearchPath::named(home.library()),
            standin: Some(Simulation {
                unplugged,
                pull,
                standin: home,
            }),
        }
    }

    /// Whether it is the stand-in: then loops are short and nothing is said about a device.
    pub fn is_simulated(&self) -> bool {
        self.standin.is_some()
    }

    /// Repetitions on a device, and on the stand-in.
    pub fn times(&self, device: usize, standin: usize) -> usize {
        if self.is_simulated() { standin } else { device }
    }

    /// How long a load lasts.
    pub fn load(&self) -> Duration {
        let seconds = std::env::var(SECONDS_VARIABLE).ok();
        let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(60);
        if self.is_simulated() {
            Duration::from_millis(50)
        } else {
            Duration::from_secs(seconds)
        }
    }

    /// libedgetpu, in this process.
    pub fn library(&self) -> &'static EdgeTpuLibrary {
        EdgeTpuLibrary::open(&self.search).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What corallite finds on the machine, without libedgetpu.
    pub fn found(&self) -> Vec<Device> {
        let system = match &self.standin {
            None => System::host(),
            Some(simulation) => {
                System::at(Path::new("/nonexistent")).with_probe(Box::new(OneStick {
                    is_out: simulation.unplugged.exists(),
                }))
            }
        };
        system.list().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Opens the device in a worker process.
    pub fn try_open(&self) -> Result<IsolatedEdgeTpu, IsolationError> {
        let program = match &self.standin {
            Some(simulation) => standin::worker(&simulation.standin),
            None => standin::this_test_as_worker(),
        };
        let mut deadlines = Deadlines::default();
        if self.is_simulated() {
            // Room for a busy machine and an emulator.
            deadlines.close = deadlines.open;
        }
        Isolation::default()
            .worker(program)
            .library(self.search.clone())
            .deadlines(deadlines)
            .open(&self.device)
    }

    /// Opens the device in a worker process.
    pub fn open(&self) -> IsolatedEdgeTpu {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The compiled model in a worker process.
    pub fn isolated(&self, edge_tpu: &IsolatedEdgeTpu) -> Interpreter {
        self.interpreter(EdgeTpuDelegate::isolated(edge_tpu.clone()))
    }

    /// The compiled model in this process.
    pub fn in_process(&self) -> Interpreter {
        let options = DelegateOptions::default();
        let delegate = if self.is_simulated() {
            // The stand-ins of all tests are one device to the lock.
            let edge_tpu = corallite::ffi::EdgeTpu::open(self.library(), &self.device, options);
            EdgeTpuDelegate::new(edge_tpu.unwrap_or_else(|error| panic!("{error}")))
        } else {
            EdgeTpuDelegate::open(self.library(), &self.device, options)
                .unwrap_or_else(|error| panic!("{error}"))
        };
        self.interpreter(delegate)
    }

    fn interpreter(&self, delegate: EdgeTpuDelegate) -> Interpreter {
        let builder = Interpreter::builder(&self.compiled).delegate(delegate);
        builder.build().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Takes the stick away.
    pub fn pull_out(&self) {
        if let Some(simulation) = &self.standin {
            std::fs::write(&simulation.unplugged, "").expect("a file");
            std::fs::write(&simulation.pull, "").expect("a file");
            return;
        }
        assert_eq!(
            self.device.kind,
            DeviceKind::Usb,
            "{} cannot be pulled out: this test needs a stick on USB",
            self.device
        );
        if !self.authorize("0") {
            eprintln!(">>> pull the stick out now");
        }
        self.wait_until("the stick is out", |found| found.is_none());
    }

    /// Puts the stick back.
    pub fn put_back(&self) {
        if let Some(simulation) = &self.standin {
            std::fs::remove_file(&simulation.unplugged).expect("a file");
            return;
        }
        if !self.authorize("1") {
            eprintln!(">>> put the stick back into the same port now");
        }
        self.wait_until("the stick is back", |found| found.is_some());
    }

    /// Lets the kernel take the device from its driver or give it back, which root may: to libusb it is as good as out.
    fn authorize(&self, value: &str) -> bool {
        std::fs::write(Path::new(&self.device.path).join("authorized"), value).is_ok()
    }

    fn wait_until(&self, what: &str, is_true: impl Fn(Option<&Device>) -> bool) {
        let start = Instant::now();
        loop {
            let found = self.found();
            let ours = found.iter().find(|found| found.path == self.device.path);
            if is_true(ours) {
                return;
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "a minute is over and not yet: {what}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn models() -> (PathBuf, PathBuf) {
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    if let (Some(compiled), Some(twin)) = (named(MODEL_VARIABLE), named(TWIN_VARIABLE)) {
        return (compiled, twin);
    }
    let data = std::env::var_os("CORALLITE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let model = |name: &str| data.join("corpus/models").join(name);
    (
        model("mobilenet_v1_0.25_128_quant_edgetpu.tflite"),
        model("mobilenet_v1_0.25_128_quant.tflite"),
    )
}

fn load(path: &Path) -> Model {
    Model::from_file(path).unwrap_or_else(|error| {
        panic!("{error}; name a compiled model in {MODEL_VARIABLE} and its uncompiled twin in {TWIN_VARIABLE}")
    })
}

/// A machine with one stick whose firmware runs.
struct OneStick {
    is_out: bool,
}

impl Probe for OneStick {
    fn usb_devices(&self) -> Result<Option<Vec<UsbEntry>>, DeviceError> {
        let stick = UsbEntry {
            vendor_id: 0x18d1,
            product_id: 0x9302,
            bus: 2,
            address: 3,
            ports: vec![1],
            speed: UsbSpeed::Super,
        };
        Ok(Some(if self.is_out { vec![] } else { vec![stick] }))
    }

    fn node(&self, _: &Path) -> std::io::Result<Node> {
        Ok(Node {
            is_character_device: true,
            uid: 0,
            gid: 0,
            mode: 0o666,
        })
    }

    fn open_read_only(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fills every input with bytes that differ from each other and from one seed to the next.
pub fn fill(interpreter: &mut Interpreter, seed: usize) {
    for index in 0..interpreter.input_count() {
        let mut input = interpreter.input_mut(index).expect("an input");
        for (place, byte) in input.bytes_mut().iter_mut().enumerate() {
            *byte = ((place * 31 + seed * 17) % 61) as u8;
        }
    }
}

/// All outputs, as bytes.
pub fn outputs(interpreter: &Interpreter) -> Vec<Vec<u8>> {
    (0..interpreter.output_count())
        .map(|index| {
            interpreter
                .output(index)
                .expect("an output")
                .bytes()
                .to_vec()
        })
        .collect()
}

/// Kills a process of this test.
pub fn kill(process: u32) {
    let status = Command::new("kill")
        .arg("-KILL")
        .arg(process.to_string())
        .status();
    assert!(status.expect("kill runs").success());
}
