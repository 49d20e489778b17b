//! Sums and differences of int16 whose scales differ.
//!
//! The reference shifts an operand to the left by 15 bits and takes the high half of a 64-bit product with its multiplier, rounded.
//! The lower 15 bits of the shifted operand are 0, so that 32-bit products with either half of the multiplier have the same bits.

use crate::fast::binary::{BinaryKernel, Elements, Pair, Vectors};
use crate::fast::lanes::{Lanes, for_each_isa};
use crate::fast::over_copies;
use crate::fast::{Primitive, Variant};
use crate::fixedpoint::QuantizedMultiplier;

/// The sum or the difference of two int16 tensors, element by element, as [`AddSub`](super::AddSub): operands are shifted left by 15
/// bits, every zero point is 0.
#[derive(Debug, Clone, Copy)]
pub struct AddSubInt16 {
    /// Whether the right operand is subtracted.
    pub subtract: bool,
    /// What the operands are multiplied by after the shift, left first: at most one half.
    pub operands: [QuantizedMultiplier; 2],
    /// What the combination is multiplied by.
    pub output: QuantizedMultiplier,
    /// The lowest and the highest result.
    pub clamp: (i16, i16),
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("add_int16.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| {
                let names = [concat!("add_int16.", $isa), concat!("sub_int16.", $isa)];
                prepare::<$lanes>(names[usize::from(problem.subtract)], problem)
            },
        },)*]
    };
}

/// ADD and SUB of int16.
pub struct AddSubInt16Primitive;

impl Primitive for AddSubInt16Primitive {
    type Problem<'a> = AddSubInt16;
    type Kernel = dyn BinaryKernel<i16>;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &AddSubInt16,
) -> Option<Box<dyn BinaryKernel<i16>>> {
    let lanes = L::detect()?;
    // Scaled operands have 30 bits then, and their sum 31.
    let at_most_half = |by: QuantizedMultiplier| {
        by.multiplier >= 0 && (by.shift < 0 || (by.shift == 0 && by.multiplier <= 1 << 30))
    };
    let suits = problem.operands.into_iter().all(at_most_half) && problem.output.multiplier >= 0;
    suits.then(|| {
        let sums = Sums {
            subtract: problem.subtract,
            operands: problem.operands.map(Operand::new),
            output: Output {
                left: problem.output.shift.max(0).unsigned_abs() & 31,
                multiplier: problem.output.multiplier.into(),
                quotient: Quotient::new(problem.output),
                clamp: problem.clamp,
            },
        };
        Vectors::boxed(name, lanes, sums)
    })
}

struct Sums {
    subtract: bool,
    operands: [Operand; 2],
    output: Output,
}

impl<L: Lanes> Elements<L, i16> for Sums {
    #[inline(always)]
    fn run(&self, _: L, operands: Pair<'_, i16>, output: &mut [i16]) {
        match operands {
            [Some(left), Some(right)] => self.elements(left, right, output),
            _ => over_copies(output, 1, |first, copy, block| {
                let part = |which: usize| match operands[which] {
                    Some(operand) => &operand[first..][..block.len()],
                    None => copy,
                };
                self.elements(part(0), part(1), block);
            }),
        }
    }
}

impl Sums {
    #[inline(always)]
    fn elements(&self, a: &[i16], b: &[i16], output: &mut [i16]) {
        let ([left, right], by) = (self.operands, self.output);
        let pairs = output.iter_mut().zip(a.iter().zip(b));
        if self.subtract {
            for (to, (&a, &b)) in pairs {
                *to = by.code(left.scale(a) - right.scale(b));
            }
        } else {
            for (to, (&a, &b)) in pairs {
                *to = by.code(left.scale(a) + right.scale(b));
            }
        }
    }
}

/// What an operand is scaled by: the halves of the multiplier, then a quotient.
#[derive(Clone, Copy)]
struct Operand {
    high: i32,
    low: i32,
    quotient: Quotient,
}

impl Operand {
    fn new(by: QuantizedMultiplier) -> Self {
        Self {
            high: by.multiplier >> 16,
            low: by.multiplier & 0xffff,
            quotient: Quotient::new(by),
        }
    }

    #[inline(always)]
    fn scale(self, stored: i16) -> i32 {
        // Both products and their rounded sum fit: 16 bits times 16 bits, one of them unsigned.
        let stored = i32::from(stored);
        let carry = (stored * self.low).wrapping_add(1 << 15) >> 16;
        self.quotient.of(stored * self.high + carry)
    }
}

/// A quotient by a power of two, rounded to nearest with ties away from zero.
#[derive(Clone, Copy)]
struct Quotient {
    half: i32,
    /// All ones where there is anything to round.
    rounds: i32,
    shift: u32,
}

impl Quotient {
    /// The shift to the right of a multiplier.
    fn new(by: QuantizedMultiplier) -> Self {
        let shift = by.shift.min(0).unsigned_abs() & 31;
        Self {
            half: ((1u32 << shift) >> 1).cast_signed(),
            rounds: -i32::from(shift > 0),
            shift,
        }
    }

    /// Of `number`, which has 31 bits where there is anything to round.
    #[inline(always)]
    fn of(self, number: i32) -> i32 {
        number
            .wrapping_add(self.half)
            .wrapping_add((number >> 31) & self.rounds)
            >> self.shift
    }
}

/// What a combination is scaled by.
#[derive(Clone, Copy)]
struct Output {
    left: u32,
    multiplier: i64,
    quotient: Quotient,
    clamp: (i16, i16),
}

impl Output {
    #[inline(always)]
    fn code(self, combined: i32) -> i16 {
        let product = i64::from(combined << self.left) * self.multiplier;
        let scaled = self.quotient.of(((product + (1 << 30)) >> 31) as i32);
        let code = scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        code.max(self.clamp.0).min(self.clamp.1)
    }
}
