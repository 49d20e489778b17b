//! What the simulated chip computes.
//!
//! `nothing` leaves the outputs as they are and skips all work, to measure the host alone. `digest` is a function of
//! every input byte that a test can compute by itself. `twin` runs the uncompiled model.

use crate::config::config;
use crate::layers::Layers;

pub enum Engine {
    Nothing,
    Digest,
}

impl Engine {
    /// The configured engine for a node.
    pub fn new(_layers: &Layers) -> Result<Self, String> {
        match config().engine.as_deref() {
            Some("nothing") => Ok(Self::Nothing),
            Some("digest") | None => Ok(Self::Digest),
            Some(other) => Err(format!("Internal: the stand-in has no engine {other}.")),
        }
    }

    pub fn does_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// One inference of one element of the batch: dense tensors in, dense tensors out, in the order of the layers.
    pub fn run(
        &mut self,
        _layers: &Layers,
        inputs: &[&[u8]],
        outputs: &mut [Vec<u8>],
    ) -> Result<(), String> {
        if matches!(self, Self::Digest) {
            digest(inputs, outputs);
        }
        Ok(())
    }
}

/// Byte j of output k is (k + 1) * S + j, where S is the sum over all inputs of (2p + 1) times byte p; all modulo 256.
fn digest(inputs: &[&[u8]], outputs: &mut [Vec<u8>]) {
    let mut sum = 0_u8;
    for input in inputs {
        for (place, byte) in input.iter().enumerate() {
            sum = sum.wrapping_add(
                (place as u8)
                    .wrapping_mul(2)
                    .wrapping_add(1)
                    .wrapping_mul(*byte),
            );
        }
    }
    for (index, output) in outputs.iter_mut().enumerate() {
        for (place, byte) in output.iter_mut().enumerate() {
            *byte = (index as u8)
                .wrapping_add(1)
                .wrapping_mul(sum)
                .wrapping_add(place as u8);
        }
    }
}
