//! MIRROR_PAD: a border around a tensor that mirrors it, with its outermost elements (SYMMETRIC) or without (REFLECT).

use super::shared::{Border, check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::schema::tflite::MirrorPadMode;

const INPUT: usize = 0;
const PADDINGS: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::MIRROR_PAD,
    name: "MIRROR_PAD",
    versions: 1..=3,
    types: rows![[_ Int32] -> _, [_ Int64] -> _ => sized],
    check: check::same_quantization,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_mirror_pad_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "MirrorPadOptions",
    })?;
    // The distance from the first border element to the element it repeats, less what the border itself takes.
    let skipped = match options.mode() {
        MirrorPadMode::SYMMETRIC => 0,
        MirrorPadMode::REFLECT => 1,
        other => {
            return Err(PrepareError::Attribute {
                name: "mode",
                found: other.0.to_string(),
                expected: "REFLECT or SYMMETRIC",
            });
        }
    };
    let input = node.input(INPUT, "input")?;
    let paddings = node.input(PADDINGS, "paddings")?;
    node.output(OUTPUT, "output")?;
    let border = Border::new(&input, &paddings)?;
    for (axis, (&dim, sides)) in input.shape.dims().iter().zip(&border.sides).enumerate() {
        let most = dim.saturating_sub(skipped);
        if let Some(found) = sides.iter().find(|&&side| side > most) {
            return Err(input.shape_error(format!(
                "{} or more at axis {axis}, to mirror {found}",
                found + skipped
            )));
        }
    }
    let shape = border.shape;
    let mirror = MirrorPad {
        border,
        skipped,
        element: input.element_bytes()?,
    };
    Ok(Prepared::new(mirror, [shape]))
}

struct MirrorPad {
    border: Border,
    /// 1 where the outermost elements are not repeated.
    skipped: usize,
    /// Bytes.
    element: usize,
}

impl Kernel for MirrorPad {
    /// Axis by axis from the innermost: what one axis adds is part of what the next outer one mirrors.
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let output = output.bytes_mut();
        if output.is_empty() {
            return Ok(());
        }
        let border = &self.border;
        border
            .inside
            .scatter(required(input, INPUT)?.bytes(), output);
        let mut inner = self.element;
        for (&dim, &[before, behind]) in border.shape.dims().iter().zip(&border.sides).rev() {
            let end = dim - behind;
            for block in output.chunks_exact_mut(dim * inner) {
                let mut copy = |from: usize, to: usize| {
                    block.copy_within(from * inner..(from + 1) * inner, to * inner);
                };
                for distance in 0..before {
                    copy(before + self.skipped + distance, before - 1 - distance);
                }
                for distance in 0..behind {
                    copy(end - 1 - self.skipped - distance, end + distance);
                }
            }
            inner *= dim;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "mirror_pad.reference"
    }
}
