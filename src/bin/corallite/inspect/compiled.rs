//! What a compiled model has for the Edge TPU, and what it leaves to the CPU.

use super::Running;
use super::text::fact;
use crate::output::one_line;
use crate::table::{Align, Table, bytes};
use corallite::delegate::{CompiledOperator, EDGE_TPU_OPERATOR, compiled_operators};
use corallite::model::Graph;
use corallite::package::{Executable, Layer, Package};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

use Align::{Left, Right};

/// The parts of a compiled model.
pub struct Compiled {
    operators: Vec<CompiledOperator>,
    /// Operators left to the CPU: how many of each kind.
    on_cpu: BTreeMap<String, usize>,
    /// Their multiply-accumulate operations, where all of them run here.
    cpu_macs: Option<u64>,
    /// Those of the whole model, from the one it was compiled from.
    all_macs: Option<Result<u64, String>>,
}

impl Compiled {
    /// `None` where the model is not compiled.
    pub fn of(
        graph: &Graph,
        running: Option<&Running>,
        twin_macs: Option<Result<u64, String>>,
    ) -> Option<Self> {
        let operators = compiled_operators(graph);
        if operators.is_empty() {
            return None;
        }
        let mut on_cpu = BTreeMap::new();
        for operator in &graph.subgraphs()[0].operators {
            let name = operator.kind.to_string();
            if name != EDGE_TPU_OPERATOR {
                *on_cpu.entry(name).or_default() += 1;
            }
        }
        Some(Self {
            operators,
            on_cpu,
            cpu_macs: running.map(Running::macs),
            all_macs: twin_macs,
        })
    }

    /// The CPU's share of the multiply-accumulate operations, in percent.
    fn cpu_share(&self) -> Option<f64> {
        let (cpu, all) = (self.cpu_macs?, self.all_macs()?);
        // Rounding to float64 changes nothing that a percentage shows.
        (cpu <= all && all > 0).then(|| cpu as f64 * 100.0 / all as f64)
    }

    fn all_macs(&self) -> Option<u64> {
        self.all_macs.as_ref()?.as_ref().ok().copied()
    }

    fn on_cpu(&self) -> String {
        let count: usize = self.on_cpu.values().sum();
        let kinds: Vec<String> = self
            .on_cpu
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        match count {
            0 => "no operator".to_owned(),
            _ => format!("{count} operator(s): {}", kinds.join(", ")),
        }
    }

    fn work(&self) -> String {
        if let Some(Err(error)) = &self.all_macs {
            return format!(
                "not known, the model given with --cpu-model does not run here: {error}"
            );
        }
        match (self.cpu_macs, self.all_macs(), self.cpu_share()) {
            (Some(cpu), Some(all), Some(share)) => format!(
                "CPU {cpu} MACs, {share:.2} %; Edge TPU {} MACs, {:.2} %",
                all - cpu,
                100.0 - share
            ),
            (Some(cpu), Some(all), None) => format!(
                "CPU {cpu} MACs, but the model given with --cpu-model has only {all}: it is another one"
            ),
            (Some(cpu), None, _) => format!(
                "CPU {cpu} MACs; those of the Edge TPU are not in the file, --cpu-model FILE tells them"
            ),
            (None, _, _) => "not known, the operators on the CPU do not run here".to_owned(),
        }
    }

    pub fn to_text(&self, text: &mut String) {
        for compiled in &self.operators {
            let _ = writeln!(text, "\nEdge TPU, operator {}", compiled.operator);
            match &compiled.package {
                Ok(package) => package_text(package, text),
                Err(error) => fact(text, "damaged", &error.to_string()),
            }
        }
        let _ = writeln!(text, "\nleft to the CPU");
        fact(text, "operators", &self.on_cpu());
        fact(text, "work", &self.work());
    }

    pub fn to_json(&self) -> Value {
        let operators = self.operators.iter();
        json!({
            "operators": operators.map(operator_json).collect::<Vec<_>>(),
            "cpu_operators": self.on_cpu,
            "cpu_macs": self.cpu_macs,
            "all_macs": self.all_macs(),
            "cpu_share_percent": self.cpu_share(),
        })
    }
}

fn package_text(package: &Package, text: &mut String) {
    let compiler = if package.compiler_version.is_empty() {
        "does not say its version"
    } else {
        &package.compiler_version
    };
    fact(text, "compiler", compiler);
    let runtime = package.min_runtime_version;
    fact(
        text,
        "runtime needed",
        &format!("libedgetpu with RuntimeVersion({runtime}) or newer"),
    );
    let token = match package.caching_token() {
        Some(token) => format!("{token}; models with the same token share the chip"),
        None => "none".to_owned(),
    };
    fact(text, "caching token", &token);
    if !package.fully_deterministic {
        fact(
            text,
            "transfers",
            "asked for by the chip: over USB only with USB_ENABLE_BULK_DESCRIPTORS_FROM_DEVICE=1 in the environment",
        );
    }
    let on_chip = match package.cached_bytes() {
        0 => "nothing".to_owned(),
        cached => format!(
            "{} of constants, sent before the first inference",
            bytes(cached)
        ),
    };
    fact(text, "on the chip", &on_chip);
    let main = package.main();
    let transfers = main.transfers;
    let sent = [
        (transfers.instructions, "instructions"),
        (transfers.inputs, "inputs"),
        (transfers.parameters, "constants"),
        (transfers.outputs, "outputs"),
        (transfers.scratch, "intermediate values"),
    ];
    let sent: Vec<String> = sent
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| {
            format!(
                "{} of {what}",
                bytes(usize::try_from(*count).unwrap_or(usize::MAX))
            )
        })
        .collect();
    fact(text, "per inference", &sent.join(", "));
    if let Some(cycles) = main.estimated_cycles {
        fact(
            text,
            "estimate",
            &format!("{cycles} cycles, by the compiler"),
        );
    }
    let mut programs = Table::new(&[
        ("program", Left),
        ("instructions", Right),
        ("in chunks", Right),
        ("constants", Right),
        ("scratch", Right),
        ("chip", Left),
    ]);
    for executable in &package.executables {
        programs.row([
            executable.kind.to_string(),
            executable.instruction_bytes().to_string(),
            executable.chunks.len().to_string(),
            executable.parameter_bytes.to_string(),
            executable.scratch_bytes.to_string(),
            executable.chip.clone(),
        ]);
    }
    programs.render(text);
    let mut layers = Table::new(&[
        ("layer", Left),
        ("type", Left),
        ("shape", Left),
        ("on the wire", Right),
        ("quantization and name", Left),
    ]);
    for (side, list) in [("input", &main.inputs), ("output", &main.outputs)] {
        for (index, layer) in list.iter().enumerate() {
            layers.row([
                format!("{side} {index}"),
                layer.ty.to_string(),
                format!("{:?}", layer.shape),
                layer.padded_bytes.to_string(),
                format!("{} {}", layer.quantization(), one_line(&layer.name)),
            ]);
        }
    }
    layers.render(text);
}

fn operator_json(compiled: &CompiledOperator) -> Value {
    let (package, error) = match &compiled.package {
        Ok(package) => (package_json(package), Value::Null),
        Err(error) => (Value::Null, json!(error.to_string())),
    };
    json!({ "operator": compiled.operator, "package": package, "error": error })
}

fn package_json(package: &Package) -> Value {
    json!({
        "compiler_version": package.compiler_version,
        "min_runtime_version": package.min_runtime_version,
        // More than the 53 bits that most readers of JSON keep.
        "caching_token": package.caching_token().map(|token| token.to_string()),
        "fully_deterministic": package.fully_deterministic,
        "cached_bytes": package.cached_bytes(),
        "executables": package.executables.iter().map(executable_json).collect::<Vec<_>>(),
    })
}

fn executable_json(executable: &Executable) -> Value {
    let layers = |layers: &[Layer]| layers.iter().map(layer_json).collect::<Vec<_>>();
    let transfers = executable.transfers;
    json!({
        "type": executable.kind.to_string(),
        "chip": executable.chip,
        "batch_size": executable.batch_size,
        "instruction_bytes": executable.instruction_bytes(),
        "instruction_chunks": executable.chunks,
        "parameter_bytes": executable.parameter_bytes,
        "scratch_bytes": executable.scratch_bytes,
        "estimated_cycles": executable.estimated_cycles,
        "transferred_bytes": {
            "instructions": transfers.instructions,
            "inputs": transfers.inputs,
            "parameters": transfers.parameters,
            "outputs": transfers.outputs,
            "scratch": transfers.scratch,
        },
        "inputs": layers(&executable.inputs),
        "outputs": layers(&executable.outputs),
    })
}

fn layer_json(layer: &Layer) -> Value {
    json!({
        "name": layer.name,
        "type": layer.ty.to_string(),
        "shape": layer.shape,
        "height_width_channels": layer.yxz,
        "zero_point": layer.zero_point,
        "scale": layer.scale,
        "padded_bytes": layer.padded_bytes,
        "executions": layer.executions,
    })
}
