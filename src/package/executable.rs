//! One program for the Edge TPU: what it is, what it takes, and that every number in it leads to where it may.

use super::fault::{ExecutableFault, Side};
use super::layer::Layer;
use super::transfers::Transfers;
use crate::schema::darwinn::{self, Description, Meta, Position};
use std::fmt;

/// Bytes of an instruction bundle.
const BUNDLE: usize = 16;
/// Bits of an address that one relocation writes.
const RELOCATED_BITS: usize = 32;

/// One program of a package.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Executable {
    /// What it is for.
    pub kind: ExecutableKind,
    /// Code name of the chip: `beagle`.
    pub chip: String,
    /// Inferences of one run.
    pub batch_size: u32,
    /// Bytes of each chunk of the program.
    pub chunks: Vec<usize>,
    /// Bytes of its constants.
    pub parameter_bytes: usize,
    /// Memory of the host that it keeps intermediate values in, in bytes.
    pub scratch_bytes: usize,
    /// Programs with the same token leave each other's constants on the chip; 0: none.
    pub caching_token: u64,
    /// The compiler's estimate for one run, where it gives one.
    pub estimated_cycles: Option<u64>,
    /// Whether the list of transfers is complete.
    pub fully_deterministic: bool,
    /// What one run sends and receives.
    pub transfers: Transfers,
    /// In the order of the operator's operands.
    pub inputs: Vec<Layer>,
    /// In the order of the operator's results.
    pub outputs: Vec<Layer>,
}

impl Executable {
    /// Bytes of the program.
    pub fn instruction_bytes(&self) -> usize {
        self.chunks.iter().sum()
    }

    /// Reads an executable whose buffer was verified, and checks what it says.
    pub(super) fn read(executable: darwinn::Executable<'_>) -> Result<Self, ExecutableFault> {
        let kind = ExecutableKind::of(executable.type_())?;
        let batch = executable.batch_size();
        let batch_size = u32::try_from(batch)
            .ok()
            .filter(|&size| size > 0)
            .ok_or(ExecutableFault::Batch { found: batch })?;
        let scratch = executable.scratch_size_bytes();
        let scratch_bytes =
            usize::try_from(scratch).map_err(|_| ExecutableFault::Scratch { found: scratch })?;
        let layers = |list: Option<flatbuffers::Vector<'_, _>>, side| {
            let layers = list.into_iter().flatten().enumerate();
            let layers = layers.map(|(index, layer)| Layer::read(layer, side, index));
            layers.collect::<Result<Vec<_>, _>>()
        };
        let mut this = Self {
            kind,
            chip: executable.chip().unwrap_or_default().to_owned(),
            batch_size,
            chunks: Vec::new(),
            parameter_bytes: executable.parameters().map_or(0, |bytes| bytes.len()),
            scratch_bytes,
            caching_token: executable.parameter_caching_token(),
            estimated_cycles: [
                executable.estimated_cycles_64bit(),
                executable.estimated_cycles().into(),
            ]
            .into_iter()
            .find_map(|cycles| u64::try_from(cycles).ok().filter(|&cycles| cycles > 0)),
            fully_deterministic: executable
                .dma_hints()
                .is_some_and(|hints| hints.fully_deterministic()),
            transfers: Transfers::default(),
            inputs: layers(executable.input_layers(), Side::Input)?,
            outputs: layers(executable.output_layers(), Side::Output)?,
        };
        let chunks = executable.instruction_bitstreams();
        for (chunk, bitstream) in chunks.into_iter().flatten().enumerate() {
            let len = bitstream.bitstream().map_or(0, |bytes| bytes.len());
            if len == 0 || !len.is_multiple_of(BUNDLE) {
                return Err(ExecutableFault::Chunk { chunk, len });
            }
            this.chunks.push(len);
            let relocations = bitstream.field_offsets();
            for (index, relocation) in relocations.into_iter().flatten().enumerate() {
                this.check_relocation(relocation, len)
                    .map_err(|what| ExecutableFault::Relocation { chunk, index, what })?;
            }
        }
        this.transfers = Transfers::read(executable, &this)?;
        Ok(this)
    }

    /// Checks that an address is written into the chunk, and is one of a buffer there is.
    fn check_relocation(
        &self,
        relocation: darwinn::FieldOffset<'_>,
        len: usize,
    ) -> Result<(), &'static str> {
        let end = usize::try_from(relocation.offset_bit())
            .ok()
            .and_then(|bit| bit.checked_add(RELOCATED_BITS));
        if end.is_none_or(|end| end.div_ceil(8) > len) {
            return Err("it is beyond the chunk");
        }
        let meta = relocation.meta().ok_or("it names no buffer")?;
        if ![Position::LOWER_32BIT, Position::UPPER_32BIT].contains(&meta.position()) {
            return Err("half of the address is unknown");
        }
        self.buffer_bytes(meta).map(|_| ())
    }

    /// Bytes of the host's buffer that `meta` names, for all executions of an inference.
    pub(super) fn buffer_bytes(&self, meta: Meta<'_>) -> Result<usize, &'static str> {
        if u32::try_from(meta.batch()).map_or(true, |batch| batch >= self.batch_size) {
            return Err("there is no such inference in the batch");
        }
        let of_layer = |layers: &[Layer]| {
            let name = meta.name().unwrap_or_default();
            let layer = layers.iter().find(|layer| layer.name == name);
            // Below 2 GiB by the layer's own check.
            layer
                .map(|layer| layer.padded_bytes * layer.executions as usize)
                .ok_or("there is no input or output of this name")
        };
        match meta.desc() {
            Description::INPUT_ACTIVATION => of_layer(&self.inputs),
            Description::OUTPUT_ACTIVATION => of_layer(&self.outputs),
            Description::PARAMETER => Ok(self.parameter_bytes),
            Description::SCRATCH => Ok(self.scratch_bytes),
            _ => Err("kind of the buffer is unknown"),
        }
    }
}

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExecutableKind {
    /// Sends its constants and runs.
    StandAlone,
    /// Sends the constants that stay on the chip, and nothing else.
    ParameterCaching,
    /// Runs on constants that were cached before.
    ExecutionOnly,
}

impl ExecutableKind {
    fn of(ty: darwinn::ExecutableType) -> Result<Self, ExecutableFault> {
        use darwinn::ExecutableType as T;
        match ty {
            T::STAND_ALONE => Ok(Self::StandAlone),
            T::PARAMETER_CACHING => Ok(Self::ParameterCaching),
            T::EXECUTION_ONLY => Ok(Self::ExecutionOnly),
            T(found) => Err(ExecutableFault::Type { found }),
        }
    }
}

impl fmt::Display for ExecutableKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::StandAlone => "stand-alone",
            Self::ParameterCaching => "parameter caching",
            Self::ExecutionOnly => "execution only",
        })
    }
}
