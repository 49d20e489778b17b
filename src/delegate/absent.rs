//! Takes the place of an Edge TPU that is not there.

use super::compiled::is_compiled_operator;
use super::{Delegate, DelegateError};
use crate::ops::{DeviceFault, EvalError, Kernel, KernelIo, Node, Prepared, RunsOn, Settings};

/// Claims every `edgetpu-custom-op` and never runs it: for looking at what the rest of a compiled model takes.
///
/// Results have the shapes that the model declares. An inference fails at the first of these operators.
///
/// ```no_run
/// use corallite::delegate::AbsentEdgeTpu;
/// use corallite::{Interpreter, Model};
///
/// let model = Model::from_file("mobilenet_v1_0.25_128_quant_edgetpu.tflite")?;
/// let interpreter = Interpreter::builder(&model).delegate(AbsentEdgeTpu).build()?;
/// println!("{} bytes", interpreter.arena_bytes());
/// # Ok::<(), corallite::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct AbsentEdgeTpu;

impl Delegate for AbsentEdgeTpu {
    fn name(&self) -> &str {
        "no Edge TPU"
    }

    fn claims(&self, node: &Node<'_>) -> bool {
        is_compiled_operator(&node.operator().kind)
    }

    fn prepare(
        &mut self,
        nodes: &[Node<'_>],
        _: &Settings,
    ) -> Result<Vec<Prepared>, DelegateError> {
        let prepare = |(index, node): (usize, &Node<'_>)| {
            let outputs = 0..node.operator().outputs.len();
            let shapes: Result<Vec<_>, _> = outputs
                .map(|slot| node.output(slot, "output").map(|tensor| tensor.shape))
                .collect();
            let shapes = shapes.map_err(|source| DelegateError::Operator { index, source })?;
            Ok(Prepared::new(AbsentKernel, shapes))
        };
        nodes.iter().enumerate().map(prepare).collect()
    }
}

struct AbsentKernel;

impl Kernel for AbsentKernel {
    fn eval(&self, _: &mut KernelIo<'_>) -> Result<(), EvalError> {
        Err(EvalError::Device {
            device: "Edge TPU".to_owned(),
            fault: DeviceFault::Failed,
            reason: "the interpreter was built without a device, only to be looked at".to_owned(),
        })
    }

    fn name(&self) -> &'static str {
        super::EDGE_TPU_OPERATOR
    }

    fn runs_on(&self) -> RunsOn {
        RunsOn::EdgeTpu
    }
}
