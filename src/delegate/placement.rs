//! Where a model runs, and why there.

use std::fmt;
use std::sync::Arc;

use super::attach::attach;
use super::attach_error::AttachError;
use super::compiled::compiled_operators;
use super::edgetpu::EdgeTpuDelegate;
use super::request::DeviceRequest;
use crate::device::DeviceSelector;
use crate::model::{Model, Tensor};

/// Where a model runs, and why there.
///
/// `Display` says both in a line.
///
/// ```
/// use corallite::delegate::Placement;
/// use corallite::device::DeviceSelector;
/// # let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/fashion_mnist_int8.tflite");
/// let model = corallite::Model::from_file(file)?;
/// let interpreter = corallite::Interpreter::builder(&model).device(DeviceSelector::Auto).build()?;
/// let placement = interpreter.placement().expect("a device was asked for");
/// assert!(matches!(placement, Placement::Cpu { .. }));
/// assert_eq!(placement.to_string(), "CPU: the model is not compiled for the Edge TPU");
/// # Ok::<(), corallite::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Placement {
    /// What was compiled runs on an Edge TPU, the rest on the CPU.
    EdgeTpu {
        /// Kind and path of the device.
        device: String,
        /// Whether libedgetpu runs in a process of its own.
        isolated: bool,
    },
    /// All of it runs on the CPU.
    Cpu {
        /// Why.
        reason: CpuReason,
    },
}

/// Why a model runs on the CPU.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum CpuReason {
    /// It is not compiled for the Edge TPU.
    NotCompiled,
    /// The CPU was asked for.
    Chosen,
    /// No Edge TPU can be used, and the uncompiled model takes the compiled one's place.
    Unavailable {
        /// What keeps the Edge TPU from being used.
        error: Arc<AttachError>,
    },
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EdgeTpu { device, isolated } => {
                let place = if *isolated {
                    ", in a process of its own"
                } else {
                    ""
                };
                write!(f, "Edge TPU {device}{place}")
            }
            Self::Cpu { reason } => write!(f, "CPU: {reason}"),
        }
    }
}

impl fmt::Display for CpuReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotCompiled => f.write_str("the model is not compiled for the Edge TPU"),
            Self::Chosen => f.write_str("it was asked for"),
            Self::Unavailable { error } => write!(f, "the uncompiled model, because {error}"),
        }
    }
}

/// A model that was given a place.
pub(crate) struct Placed {
    /// Which place.
    pub placement: Placement,
    /// What runs the compiled operators.
    pub delegate: Option<EdgeTpuDelegate>,
    /// Whether the uncompiled model runs in the compiled one's place.
    pub runs_twin: bool,
}

/// Finds the place for `model` or, where no Edge TPU can be used, for the model it was compiled from.
///
/// A device that is asked for by name is used or it is an error; `auto` alone goes to the CPU.
pub(crate) fn place(
    model: &Model,
    twin: Option<&Model>,
    request: &DeviceRequest,
) -> Result<Placed, AttachError> {
    let placed = find_place(model, twin, request)?;
    match &placed.placement {
        Placement::Cpu {
            reason: CpuReason::Unavailable { .. },
        } => log::warn!("running on {}", placed.placement),
        placement => log::info!("running on {placement}"),
    }
    Ok(placed)
}

fn find_place(
    model: &Model,
    twin: Option<&Model>,
    request: &DeviceRequest,
) -> Result<Placed, AttachError> {
    let on_cpu = |reason, runs_twin| Placed {
        placement: Placement::Cpu { reason },
        delegate: None,
        runs_twin,
    };
    let selector = request.selector();
    let compiled = compiled_operators(model.graph());
    if compiled.is_empty() {
        return match selector {
            DeviceSelector::Auto => Ok(on_cpu(CpuReason::NotCompiled, false)),
            DeviceSelector::Cpu => Ok(on_cpu(CpuReason::Chosen, false)),
            _ => Err(AttachError::NotCompiled {
                selector: selector.clone(),
            }),
        };
    }
    if let Some(twin) = twin {
        check_twin(model, twin)?;
    }
    if *selector == DeviceSelector::Cpu {
        return match twin {
            Some(_) => Ok(on_cpu(CpuReason::Chosen, true)),
            None => Err(AttachError::CompiledForCpu),
        };
    }
    let mut needs = None;
    for compiled in compiled {
        let package = compiled.package.map_err(|source| AttachError::Package {
            operator: compiled.operator,
            source,
        })?;
        needs = needs.max(Some(package.min_runtime_version));
    }
    match attach(request, needs) {
        Ok(opened) => Ok(Placed {
            placement: Placement::EdgeTpu {
                device: opened.device().to_string(),
                isolated: opened.is_isolated(),
            },
            delegate: Some(opened.into_delegate()),
            runs_twin: false,
        }),
        Err(error)
            if *selector == DeviceSelector::Auto
                && twin.is_some()
                && error.is_about_the_machine() =>
        {
            let error = Arc::new(error);
            Ok(on_cpu(CpuReason::Unavailable { error }, true))
        }
        Err(error) => Err(error),
    }
}

/// Refuses a model for the CPU whose inputs and outputs are not those of the compiled one.
fn check_twin(compiled: &Model, twin: &Model) -> Result<(), AttachError> {
    if super::is_compiled(twin.graph()) {
        return Err(AttachError::TwinCompiled);
    }
    let [compiled, twin] = [compiled, twin].map(|model| &model.graph().subgraphs()[0]);
    for (what, expected, found) in [
        ("input", &compiled.inputs, &twin.inputs),
        ("output", &compiled.outputs, &twin.outputs),
    ] {
        let describe = |tensor: Option<&Tensor>| match tensor {
            Some(tensor) => {
                let quantization = tensor.quantization.as_deref();
                let scale = quantization.and_then(|q| q.scale());
                let zero_point = quantization.map_or(0, |q| q.zero_point());
                match scale {
                    Some(scale) => format!(
                        "{} {} of scale {scale} and zero point {zero_point}",
                        tensor.ty, tensor.shape
                    ),
                    None => format!("{} {}", tensor.ty, tensor.shape),
                }
            }
            None => "missing".to_owned(),
        };
        for index in 0..expected.len().max(found.len()) {
            let expected = describe(expected.get(index).map(|&t| &compiled.tensors[t]));
            let found = describe(found.get(index).map(|&t| &twin.tensors[t]));
            if found != expected {
                return Err(AttachError::TwinDiffers {
                    what,
                    index,
                    found,
                    expected,
                });
            }
        }
    }
    Ok(())
}
