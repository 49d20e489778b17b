//! The operands of an LSTM by gate.

use super::{
    BIASES, CELL_STATE, FORGET_GATE, INPUT_GATE, INPUT_WEIGHTS, NORMS, OUTPUT_GATE, OUTPUT_STATE,
    PEEPHOLES, PROJECTION, PROJECTION_BIAS, RECURRENT_WEIGHTS,
};
use crate::ops::{EvalError, TensorView};
use crate::tensor::Element;
use std::array;

/// Every operand but the states, which are written.
pub(super) const SLOTS: [usize; 22] = {
    let mut slots = [0; 22];
    let mut slot = 0;
    while slot < slots.len() {
        slots[slot] = if slot < OUTPUT_STATE { slot } else { slot + 2 };
        slot += 1;
    }
    assert!(CELL_STATE == OUTPUT_STATE + 1);
    slots
};

/// The operands of one inference.
pub(super) struct Weights<'a> {
    by_slot: [TensorView<'a>; 24],
}

/// The operands of one gate: `W` weights, `P` peephole and `N` layer norm coefficients, `B` biases.
pub(super) struct Gate<'a, W, P, N, B> {
    pub input: &'a [W],
    pub recurrent: &'a [W],
    pub peephole: Option<&'a [P]>,
    pub norm: Option<&'a [N]>,
    pub bias: &'a [B],
}

impl<'a> Weights<'a> {
    /// From the operands in [`SLOTS`].
    pub fn new(views: &[TensorView<'a>; 22]) -> Self {
        Self {
            by_slot: array::from_fn(|slot| match slot {
                OUTPUT_STATE | CELL_STATE => None,
                slot if slot < OUTPUT_STATE => views[slot],
                slot => views[slot - 2],
            }),
        }
    }

    /// Whether there is an input gate; its place is otherwise taken by one minus the forget gate.
    pub fn has_input_gate(&self) -> bool {
        self.by_slot[INPUT_WEIGHTS].is_some()
    }

    /// An operand that may be left out.
    pub fn optional<E: Element>(&self, slot: usize) -> Result<Option<&'a [E]>, EvalError> {
        Ok(self.by_slot[slot].map(|view| view.as_slice()).transpose()?)
    }

    /// An operand that prepare found.
    pub fn required<E: Element>(&self, slot: usize) -> Result<&'a [E], EvalError> {
        self.optional(slot)?.ok_or(EvalError::Operand { slot })
    }

    /// The operands of a gate.
    pub fn gate<W: Element, P: Element, N: Element, B: Element>(
        &self,
        gate: usize,
    ) -> Result<Gate<'a, W, P, N, B>, EvalError> {
        let peephole = match gate {
            INPUT_GATE => self.optional(PEEPHOLES[0])?,
            FORGET_GATE => self.optional(PEEPHOLES[1])?,
            OUTPUT_GATE => self.optional(PEEPHOLES[2])?,
            _ => None,
        };
        Ok(Gate {
            input: self.required(INPUT_WEIGHTS + gate)?,
            recurrent: self.required(RECURRENT_WEIGHTS + gate)?,
            peephole,
            norm: self.optional(NORMS + gate)?,
            bias: self.required(BIASES + gate)?,
        })
    }

    /// The weights of the projection and its bias, where there is one.
    #[expect(clippy::type_complexity, reason = "two operands")]
    pub fn projection<W: Element, B: Element>(
        &self,
    ) -> Result<Option<(&'a [W], Option<&'a [B]>)>, EvalError> {
        let Some(weights) = self.optional(PROJECTION)? else {
            return Ok(None);
        };
        Ok(Some((weights, self.optional(PROJECTION_BIAS)?)))
    }
}
