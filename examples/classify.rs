//! Names what is in a picture.
//!
//! ```text
//! cargo run --release --example classify
//! cargo run --release --example classify -- --model mobilenet_v2_1.0_224_quant.tflite --labels imagenet_labels.txt --input parrot.jpg
//! ```
//!
//! Options and output are those of pycoral's `classify_image.py`, and two lines more that say what runs where, and why. Notes
//! go to standard error.

mod picture;

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use corallite::delegate::DeviceRequest;
use corallite::device::{self, DeviceSelector};
use corallite::ffi::DelegateOptions;
use corallite::model::LoadError;
use corallite::ops::RunsOn;
use corallite::tensor::{Quantization, TensorMut, TensorType};
use corallite::vision::{Channels, Filter, Image, Labels, Normalization, PixelTable, classes};
use corallite::{Interpreter, Model};

const HELP: &str = "\
Names what is in a picture.

usage: classify [options]

Without --model, the bundled model: clothes, light on dark, 28 x 28 pixels (Fashion-MNIST). Larger pictures are scaled.

  -m, --model FILE[@DEVICE]  quantized .tflite model                 [the bundled one]
      --cpu-model FILE       the model it was compiled from: runs
                             where auto finds no Edge TPU
  -l, --labels FILE          a label a line, or `id label` a line    [ids; the bundled labels]
  -i, --input FILE           JPEG, PNG or BMP                        [the bundled picture]
  -k, --top-k N              at most N classes                       [1]
  -t, --threshold X          classes with a score of at least X      [0.0]
  -c, --count N              inferences, each one timed              [5]
  -a, --input-mean X         pixels are (pixel - mean) / std         [128.0]
  -s, --input-std X          in the model's training                 [128.0]
      --threads N            threads on the CPU                      [1]
      --device DEVICE        auto, cpu, usb, usb:N, pci, pci:N, :N,  [auto]
                             or the device's path
      --device-option N=V    Performance=Low|Medium|High|Max         [libedgetpu's own]
                             Usb.AlwaysDfu=True|False
                             Usb.MaxBulkInQueueLength=0..256
      --isolated             drives the device in a process of its
                             own: one that fails is an error
      --invert WHEN          yes, no, or auto: where the model takes [auto]
                             grey pictures and this one has a plain
                             bright background
  -h, --help                 this text

An int8 model gets `pixel - 128` unless --input-mean or --input-std is given.
CORALLITE_LIBEDGETPU names the libedgetpu to load, CORALLITE_EDGETPU_OPTIONS its
options. `corallite doctor` tells why a device does not work.
Exit status: 0, 1 where something failed, 2 where the command line is wrong.
";

/// The bundled model's name in messages; its bytes are part of this program.
const BUNDLED_MODEL: &str = "fashion_mnist_int8.tflite (bundled)";
static MODEL: &[u8] = include_bytes!("data/fashion_mnist_int8.tflite");
static LABELS: &[u8] = include_bytes!("data/fashion_labels.txt");
static PICTURE: &[u8] = include_bytes!("data/large_ankle_boot.png");

/// What the command line says.
struct Options {
    model: Option<PathBuf>,
    labels: Option<PathBuf>,
    input: Option<PathBuf>,
    top_k: usize,
    threshold: f32,
    count: usize,
    input_mean: Option<f64>,
    input_std: Option<f64>,
    threads: usize,
    cpu_model: Option<PathBuf>,
    device: Option<DeviceSelector>,
    device_options: Vec<String>,
    isolated: bool,
    invert: Invert,
}

#[derive(Clone, Copy, PartialEq)]
enum Invert {
    Auto,
    Yes,
    No,
}

/// Why the program ends: a message and an exit status.
enum Failure {
    Usage(String),
    Run(String),
    /// Standard output is closed or full.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// A failure that names the thing it concerns.
fn failed(what: impl Display, error: impl Display) -> Failure {
    Failure::Run(format!("{what}: {error}"))
}

fn main() -> ExitCode {
    // With --isolated this program is started a second time, to drive the device there.
    #[cfg(target_os = "linux")]
    corallite::delegate::isolated::worker_main();
    env_logger::init();
    match run(&mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(Failure::Output(error)) => {
            eprintln!("classify: standard output: {error}");
            ExitCode::FAILURE
        }
        Err(Failure::Run(message)) => {
            eprintln!("classify: {message}");
            ExitCode::FAILURE
        }
        Err(Failure::Usage(message)) => {
            eprintln!("classify: {message} (--help lists the options)");
            ExitCode::from(2)
        }
    }
}

fn run(out: &mut impl Write) -> Result<(), Failure> {
    let Some(options) = Options::parse(lexopt::Parser::from_env()).map_err(Failure::Usage)? else {
        out.write_all(HELP.as_bytes())?;
        return Ok(());
    };
    let (name, model) = load(&options)?;
    let labels = labels(&options)?;
    let mut builder = Interpreter::builder(&model)
        .threads(options.threads)
        .device(options.request()?);
    if let Some(path) = &options.cpu_model {
        builder = builder.cpu_model(&read_model(path)?.1);
    }
    let mut interpreter = builder.build().map_err(|error| failed(&name, error))?;
    let class_count = interpreter
        .output(0)
        .map_err(|error| failed(&name, error))?
        .shape()
        .count();
    if let Some((file, labels)) = &labels
        && labels.len() < class_count
    {
        let found = labels.len();
        let message = format!(
            "{found} labels, expected {class_count} for the classes of {name}: give its own labels"
        );
        return Err(failed(file, message));
    }
    fill_input(&mut interpreter, &name, &options)?;

    writeln!(out, "{}", placement(&interpreter))?;
    writeln!(out, "----INFERENCE TIME----")?;
    writeln!(
        out,
        "Note: The first inference on Edge TPU is slow because it includes loading the model into Edge TPU memory."
    )?;
    for _ in 0..options.count {
        let start = Instant::now();
        interpreter.invoke().map_err(|error| failed(&name, error))?;
        writeln!(out, "{:.1}ms", start.elapsed().as_secs_f64() * 1e3)?;
    }
    let output = interpreter
        .output(0)
        .map_err(|error| failed(&name, error))?;
    let scores = output
        .dequantize()
        .map_err(|error| failed(format!("{name}: output 0"), error))?;
    writeln!(out, "-------RESULTS--------")?;
    for class in classes(&scores, options.top_k, options.threshold) {
        let label = labels
            .as_ref()
            .map_or_else(|| class.id.to_string(), |(_, labels)| labels.name(class.id));
        writeln!(out, "{label}: {:.5}", class.score)?;
    }
    out.flush()?;
    Ok(())
}

/// The model and its name in messages.
fn load(options: &Options) -> Result<(String, Model), Failure> {
    let Some(path) = &options.model else {
        let model = Model::from_static(MODEL).map_err(|error| failed(BUNDLED_MODEL, error))?;
        return Ok((BUNDLED_MODEL.to_owned(), model));
    };
    read_model(path)
}

fn read_model(path: &Path) -> Result<(String, Model), Failure> {
    let name = path.display().to_string();
    match Model::from_file(path) {
        Ok(model) => Ok((name, model)),
        // This one names the file itself.
        Err(error @ LoadError::File { .. }) => Err(Failure::Run(error.to_string())),
        Err(error) => Err(failed(name, error)),
    }
}

/// The labels and their file's name in messages; the bundled labels belong to the bundled model.
fn labels(options: &Options) -> Result<Option<(String, Labels)>, Failure> {
    match &options.labels {
        Some(path) => {
            let labels = Labels::read(path).map_err(|error| Failure::Run(error.to_string()))?;
            Ok(Some((path.display().to_string(), labels)))
        }
        None if options.model.is_none() => {
            let name = "fashion_labels.txt (bundled)".to_owned();
            let labels = Labels::parse(LABELS).map_err(|error| failed(&name, error))?;
            Ok(Some((name, labels)))
        }
        None => Ok(None),
    }
}

/// Reads the picture and writes it into the model's input, scaled and in the model's own numbers.
fn fill_input(interpreter: &mut Interpreter, name: &str, options: &Options) -> Result<(), Failure> {
    let mut input = interpreter
        .input_mut(0)
        .map_err(|error| failed(name, error))?;
    let (height, width, channels) = match (input.shape().dims(), input.ty()) {
        (&[1, height, width, 1], TensorType::UInt8 | TensorType::Int8 | TensorType::Float32) => {
            (height, width, Channels::Grey)
        }
        (&[1, height, width, 3], TensorType::UInt8 | TensorType::Int8 | TensorType::Float32) => {
            (height, width, Channels::Rgb)
        }
        _ => {
            let message = format!(
                "input 0 is {} {}, expected a picture [1, height, width, 1 or 3] of uint8, int8 or float32: this is no model \
                 for pictures",
                input.ty(),
                input.shape()
            );
            return Err(failed(name, message));
        }
    };
    let (file, picture) = match &options.input {
        Some(path) => (path.display().to_string(), picture::read(path)),
        None => (
            "the bundled picture".to_owned(),
            picture::decode(Cursor::new(PICTURE), PICTURE.len() as u64),
        ),
    };
    let picture = picture.map_err(|error| failed(&file, error))?;
    let picture = match channels {
        Channels::Grey => picture.into_grey(),
        Channels::Rgb => picture.into_rgb().map_err(|error| failed(&file, error))?,
    };
    let mut picture = picture
        .resize(width, height, Filter::Lanczos)
        .map_err(|error| failed(&file, error))?;
    if should_invert(&picture, options.invert) {
        if options.invert == Invert::Auto {
            eprintln!(
                "note: {file} has a bright background and is inverted; --invert no leaves it as it is"
            );
        }
        picture.invert();
    }
    write_pixels(&mut input, picture.data(), options)
        .map_err(|error| failed(format!("{name}: input 0"), error))
}

/// Models for grey pictures of one thing (digits, clothes) expect it light on dark.
fn should_invert(picture: &Image, invert: Invert) -> bool {
    match invert {
        Invert::Yes => true,
        Invert::No => false,
        Invert::Auto => {
            picture.channels() == Channels::Grey
                && picture
                    .plain_background()
                    .is_some_and(|brightness| brightness > 127)
        }
    }
}

fn write_pixels(
    input: &mut TensorMut<'_>,
    pixels: &[u8],
    options: &Options,
) -> Result<(), Box<dyn std::error::Error>> {
    let usual = Normalization::default();
    let normalization = Normalization {
        mean: options.input_mean.unwrap_or(usual.mean),
        std: options.input_std.unwrap_or(usual.std),
    };
    let is_chosen = options.input_mean.is_some() || options.input_std.is_some();
    // An input without parameters takes the pixel itself, as one of scale 1/128 does.
    let parameters = input
        .quantization()
        .and_then(|q: &Quantization| Some((q.scale()?, q.zero_point())));
    match input.ty() {
        TensorType::UInt8 => {
            let (scale, zero_point) = parameters.unwrap_or((1.0 / 128.0, 128));
            PixelTable::uint8(scale, zero_point, normalization)?
                .apply(pixels, input.as_slice_mut()?)?;
        }
        TensorType::Int8 => {
            let table = match parameters.filter(|_| is_chosen) {
                Some((scale, zero_point)) => PixelTable::int8(scale, zero_point, normalization)?,
                None => PixelTable::int8_shifted(),
            };
            table.apply(pixels, input.as_slice_mut()?)?;
        }
        _ => PixelTable::float32(normalization)?.apply(pixels, input.as_slice_mut()?)?,
    }
    Ok(())
}

/// The lines that say what runs where, and why.
fn placement(interpreter: &Interpreter) -> String {
    let all = interpreter.operators().len();
    let on_edge_tpu = interpreter
        .operators()
        .filter(|operator| operator.runs_on == RunsOn::EdgeTpu)
        .count();
    let mut lines = format!(
        "Operators: {} on CPU, {on_edge_tpu} on Edge TPU",
        all - on_edge_tpu
    );
    if let Some(placement) = interpreter.placement() {
        lines += &format!("\nRunning on {placement}");
    }
    lines
}

impl Options {
    /// Reads the command line; `None` where help is asked for.
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, String> {
        let mut options = Self {
            model: None,
            labels: None,
            input: None,
            top_k: 1,
            threshold: 0.0,
            count: 5,
            input_mean: None,
            input_std: None,
            threads: 1,
            cpu_model: None,
            device: None,
            device_options: Vec::new(),
            isolated: false,
            invert: Invert::Auto,
        };
        while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
            let name = match &argument {
                lexopt::Arg::Short(letter) => format!("-{letter}"),
                // pycoral writes --top_k, --input_mean and --input_std.
                lexopt::Arg::Long(name) => format!("--{}", name.replace('_', "-")),
                lexopt::Arg::Value(_) => return Err(argument.unexpected().to_string()),
            };
            if matches!(name.as_str(), "-h" | "--help") {
                return Ok(None);
            }
            if name == "--isolated" {
                options.isolated = true;
                continue;
            }
            if !OPTIONS.contains(&name.as_str()) {
                return Err(argument.unexpected().to_string());
            }
            let value = parser.value().map_err(|error| error.to_string())?;
            match name.as_str() {
                "-m" | "--model" => {
                    let (file, device) = split_model(value)?;
                    options.model = Some(file);
                    options.device = device.or(options.device);
                }
                "-l" | "--labels" => options.labels = Some(value.into()),
                "-i" | "--input" => options.input = Some(value.into()),
                "-k" | "--top-k" => options.top_k = positive(&name, &value)?,
                "-t" | "--threshold" => options.threshold = number(&name, &value)?,
                "-c" | "--count" => options.count = positive(&name, &value)?,
                "-a" | "--input-mean" => options.input_mean = Some(number(&name, &value)?),
                "-s" | "--input-std" => options.input_std = Some(number(&name, &value)?),
                "--threads" => options.threads = positive(&name, &value)?,
                "--cpu-model" => options.cpu_model = Some(value.into()),
                "--device" => {
                    let device = text(&name, &value)?.parse();
                    options.device = Some(device.map_err(|error| format!("{error}"))?);
                }
                "--device-option" => options.device_options.push(text(&name, &value)?.to_owned()),
                _ => {
                    options.invert = match text(&name, &value)? {
                        "auto" => Invert::Auto,
                        "yes" => Invert::Yes,
                        "no" => Invert::No,
                        other => {
                            return Err(format!("--invert {other:?}, expected auto, yes or no"));
                        }
                    }
                }
            }
        }
        if options.model.is_some() && options.input.is_none() {
            return Err(
                "--input is missing, the bundled picture is for the bundled model".to_owned(),
            );
        }
        if options.input_mean.is_some_and(|mean| !mean.is_finite()) {
            return Err("--input-mean must be a finite number".to_owned());
        }
        if options
            .input_std
            .is_some_and(|std| !(std.is_finite() && std > 0.0))
        {
            return Err("--input-std must be a finite number above 0".to_owned());
        }
        Ok(Some(options))
    }

    /// The device asked for, with the options of the command line, else those of the environment.
    fn request(&self) -> Result<DeviceRequest, Failure> {
        let selector = self.device.clone().unwrap_or_default();
        let usage = |error: corallite::ffi::OptionError| Failure::Usage(error.to_string());
        let mut request = DeviceRequest::from_environment(selector).map_err(usage)?;
        #[cfg(target_os = "linux")]
        if self.isolated {
            request = request.isolated(corallite::delegate::isolated::Isolation::default());
        }
        if self.device_options.is_empty() {
            return Ok(request);
        }
        let options = DelegateOptions::parse_list(&self.device_options.join(","));
        Ok(request.options(options.map_err(usage)?))
    }
}

/// Every option that takes a value.
const OPTIONS: [&str; 21] = [
    "-m",
    "--model",
    "-l",
    "--labels",
    "-i",
    "--input",
    "-k",
    "--top-k",
    "-t",
    "--threshold",
    "-c",
    "--count",
    "-a",
    "--input-mean",
    "-s",
    "--input-std",
    "--threads",
    "--cpu-model",
    "--device",
    "--device-option",
    "--invert",
];

/// `model.tflite@usb:0` in its two parts.
fn split_model(value: OsString) -> Result<(PathBuf, Option<DeviceSelector>), String> {
    let Some(text) = value.to_str() else {
        return Ok((value.into(), None));
    };
    let (file, device) =
        device::split_model_at_device(text).map_err(|error| format!("--model {text}: {error}"))?;
    Ok((Path::new(file).to_path_buf(), device))
}

fn text<'a>(name: &str, value: &'a OsString) -> Result<&'a str, String> {
    value
        .to_str()
        .ok_or_else(|| format!("{name} {value:?}, expected UTF-8"))
}

fn number<T: std::str::FromStr<Err = std::num::ParseFloatError>>(
    name: &str,
    value: &OsString,
) -> Result<T, String> {
    let text = text(name, value)?;
    text.parse()
        .map_err(|_| format!("{name} {text:?}, expected a number"))
}

fn positive(name: &str, value: &OsString) -> Result<usize, String> {
    let text = text(name, value)?;
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{name} {text:?}, expected a whole number above 0"))
}
