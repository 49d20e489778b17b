//! The script of one run: what goes to the device and what comes back, in order.

use super::executable::Executable;
use super::fault::ExecutableFault;
use crate::schema::darwinn::{self, AnyHint, Description, Direction, DmaHint, InterruptType};

/// Bytes that one run of an executable sends and receives, as far as its script lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Transfers {
    /// Program sent.
    pub instructions: u64,
    /// Inputs sent; more than the inputs' size where they are cut into overlapping pieces.
    pub inputs: u64,
    /// Constants sent.
    pub parameters: u64,
    /// Outputs received.
    pub outputs: u64,
    /// Intermediate values received and sent again.
    pub scratch: u64,
}

impl Transfers {
    /// Everything sent and received.
    pub fn total(&self) -> u64 {
        self.instructions + self.inputs + self.parameters + self.outputs + self.scratch
    }

    /// Reads the script, each step within its buffer.
    pub(super) fn read(
        executable: darwinn::Executable<'_>,
        own: &Executable,
    ) -> Result<Self, ExecutableFault> {
        let mut total = Self::default();
        let hints = executable.dma_hints().and_then(|hints| hints.hints());
        for (index, hint) in hints.into_iter().flatten().enumerate() {
            total.add(index, hint, own)?;
        }
        Ok(total)
    }

    fn add(
        &mut self,
        index: usize,
        hint: DmaHint<'_>,
        own: &Executable,
    ) -> Result<(), ExecutableFault> {
        let wrong = |what| ExecutableFault::Hint { index, what };
        if ![Direction::INFEED, Direction::OUTFEED].contains(&hint.direction()) {
            return Err(wrong("direction is unknown"));
        }
        let missing = || wrong("it says nothing");
        match hint.any_hint_type() {
            AnyHint::DMA_DESCRIPTOR_HINT => {
                let hint = hint.any_hint_as_dma_descriptor_hint().ok_or_else(missing)?;
                let meta = hint.meta().ok_or(wrong("it names no buffer"))?;
                let available = own.buffer_bytes(meta).map_err(wrong)?;
                let (offset, size) = (hint.offset_in_bytes(), hint.size_in_bytes());
                let end = usize::try_from(offset)
                    .ok()
                    .zip(usize::try_from(size).ok())
                    .and_then(|(offset, size)| offset.checked_add(size));
                if end.is_none_or(|end| end > available) {
                    return Err(ExecutableFault::Transfer {
                        index,
                        offset,
                        size,
                        available,
                    });
                }
                let sum = match meta.desc() {
                    Description::INPUT_ACTIVATION => &mut self.inputs,
                    Description::OUTPUT_ACTIVATION => &mut self.outputs,
                    Description::PARAMETER => &mut self.parameters,
                    _ => &mut self.scratch,
                };
                // Not negative, as was just seen; a script of a file cannot reach 2^64 bytes.
                *sum += u64::from(size.unsigned_abs());
            }
            AnyHint::INSTRUCTION_HINT => {
                let hint = hint.any_hint_as_instruction_hint().ok_or_else(missing)?;
                let chunk = usize::try_from(hint.instruction_chunk_index()).ok();
                let bytes = chunk
                    .and_then(|chunk| own.chunks.get(chunk))
                    .ok_or(wrong("there is no such chunk of the program"))?;
                self.instructions += *bytes as u64;
            }
            AnyHint::INTERRUPT_HINT => {
                let hint = hint.any_hint_as_interrupt_hint().ok_or_else(missing)?;
                if !InterruptType::ENUM_VALUES
                    .iter()
                    .any(|(known, _)| *known == hint.type_())
                {
                    return Err(wrong("interrupt is unknown"));
                }
            }
            AnyHint::FENCE_HINT => {}
            _ => return Err(wrong("kind of the step is unknown")),
        }
        Ok(())
    }
}
