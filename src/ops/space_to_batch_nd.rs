//! SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: the pixels at each place of a block become a batch of their own, and back.

use super::shared::integers;
use super::shared::{Integers, check, real_zero, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, NodeTensor, OpDef, PrepareError, Prepared, Settings, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const INPUT: usize = 0;
const BLOCK_SHAPE: usize = 1;
/// Of SPACE_TO_BATCH_ND.
const PADDINGS: usize = 2;
/// Of BATCH_TO_SPACE_ND.
const CROPS: usize = 2;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::SPACE_TO_BATCH_ND,
    name: "SPACE_TO_BATCH_ND",
    versions: 1..=4,
    types: rows![[_ Int32 Int32] -> _ => sized],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_space_to_batch(node),
};

pub(super) const DEF_BATCH_TO_SPACE: OpDef = OpDef {
    code: BuiltinOperator::BATCH_TO_SPACE_ND,
    name: "BATCH_TO_SPACE_ND",
    versions: 1..=4,
    types: rows![[_ Int32 Int32] -> _ => sized],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_batch_to_space(node),
};

/// The pictures in space (SPACE_TO_BATCH_ND's operand, BATCH_TO_SPACE_ND's result) and in batches, and what lies between.
/// Three axes are pictures of one column.
struct Blocks {
    /// Batches of the pictures in space.
    batches: usize,
    /// Height and width in space.
    space: [usize; 2],
    /// Height and width of a batch.
    parts: [usize; 2],
    block: [usize; 2],
    /// Pixels above and left of the picture in space that the batches have and it has not.
    before: [usize; 2],
    /// Bytes of a pixel.
    pixel: usize,
}

impl Blocks {
    /// Calls `pixel` with the first byte in space and in batches of every pixel that both have.
    fn each_pixel(&self, mut pixel: impl FnMut(usize, usize)) {
        let [height, width] = self.space;
        let [part_height, part_width] = self.parts;
        let [block_height, block_width] = self.block;
        if self.pixel == 0 {
            return;
        }
        for line in 0..self.batches * height {
            let (batch, y) = (line / height, line % height + self.before[0]);
            for x in 0..width {
                let at = x + self.before[1];
                let place = y % block_height * block_width + at % block_width;
                let part = (place * self.batches + batch) * part_height + y / block_height;
                let in_batches = part * part_width + at / block_width;
                pixel((line * width + x) * self.pixel, in_batches * self.pixel);
            }
        }
    }
}

/// The operands beside the pictures: block height and width, and what is added or cut on each side of both.
fn geometry(
    input: &NodeTensor<'_>,
    block_shape: &NodeTensor<'_>,
    around: &NodeTensor<'_>,
) -> Result<([usize; 2], [[usize; 2]; 2]), PrepareError> {
    let axes = match input.shape.rank() {
        rank @ (3 | 4) => rank - 2,
        _ => return Err(input.shape_error("NHWC or [batch, height, channels]")),
    };
    let (blocks, sides) = (
        Integers::constant(block_shape)?,
        Integers::constant(around)?,
    );
    if block_shape.shape.dims() != [axes] {
        return Err(block_shape.shape_error(format!("[{axes}], one element per axis in space")));
    }
    if around.shape.dims() != [axes, 2] {
        return Err(around.shape_error(format!("[{axes}, 2], before and after each axis")));
    }
    let (mut block, mut beside) = ([1; 2], [[0; 2]; 2]);
    for axis in 0..axes {
        block[axis] = integers::extent("block_shape", blocks.at(axis))?;
        if block[axis] == 0 {
            return Err(PrepareError::Attribute {
                name: "block_shape",
                found: "0".into(),
                expected: "1 or more",
            });
        }
        for (side, extent) in beside[axis].iter_mut().enumerate() {
            *extent = integers::extent(around.operand, sides.at(2 * axis + side))?;
        }
    }
    Ok((block, beside))
}

/// `[batches, height, width, channels]`, where three axes are pictures of one column.
fn picture(shape: Shape) -> [usize; 4] {
    match *shape.dims() {
        [batches, height, channels] => [batches, height, 1, channels],
        [batches, height, width, channels] => [batches, height, width, channels],
        _ => unreachable!("geometry takes three or four axes"),
    }
}

/// The inverse of [`picture`].
fn shape_of(
    rank: usize,
    [batches, height, width, channels]: [usize; 4],
) -> Result<Shape, PrepareError> {
    Ok(match rank {
        3 => Shape::new(&[batches, height, channels])?,
        _ => Shape::new(&[batches, height, width, channels])?,
    })
}

fn prepare_space_to_batch(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let output = node.output(OUTPUT, "output")?;
    let (block, paddings) = geometry(
        &input,
        &node.input(BLOCK_SHAPE, "block_shape")?,
        &node.input(PADDINGS, "paddings")?,
    )?;
    let [batches, height, width, channels] = picture(input.shape);
    let mut parts = [height, width];
    for axis in 0..2 {
        let [before, after] = paddings[axis];
        let padded = parts[axis].saturating_add(before).saturating_add(after);
        if padded % block[axis] != 0 {
            return Err(input.shape_error(format!(
                "extents that the blocks {block:?} divide with paddings {paddings:?}"
            )));
        }
        parts[axis] = padded / block[axis];
    }
    let all = batches.saturating_mul(block[0]).saturating_mul(block[1]);
    let shape = shape_of(input.shape.rank(), [all, parts[0], parts[1], channels])?;
    let kernel = SpaceToBatch {
        blocks: Blocks {
            batches,
            space: [height, width],
            parts,
            block,
            before: paddings.map(|[before, _]| before),
            pixel: input.bytes_from(input.shape.rank() - 1)?,
        },
        element: input.element_bytes()?,
        padding: real_zero(&output),
    };
    Ok(Prepared::new(kernel, [shape]))
}

struct SpaceToBatch {
    blocks: Blocks,
    /// Bytes.
    element: usize,
    /// Little-endian.
    padding: [u8; 8],
}

impl Kernel for SpaceToBatch {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let output = output.bytes_mut();
        for to in output.chunks_exact_mut(self.element) {
            to.copy_from_slice(&self.padding[..self.element]);
        }
        let pixel = self.blocks.pixel;
        self.blocks.each_pixel(|space, batch| {
            output[batch..][..pixel].copy_from_slice(&input[space..][..pixel]);
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        "space_to_batch_nd.reference"
    }
}

fn prepare_batch_to_space(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    node.output(OUTPUT, "output")?;
    let (block, crops) = geometry(
        &input,
        &node.input(BLOCK_SHAPE, "block_shape")?,
        &node.input(CROPS, "crops")?,
    )?;
    let [all, height, width, channels] = picture(input.shape);
    let places = block[0].saturating_mul(block[1]);
    if all % places != 0 {
        return Err(input.shape_error(format!("batches that the blocks {block:?} divide")));
    }
    let mut space = [height, width];
    for axis in 0..2 {
        let [before, after] = crops[axis];
        space[axis] = space[axis]
            .saturating_mul(block[axis])
            .checked_sub(before.saturating_add(after))
            .ok_or_else(|| input.shape_error(format!("extents above the crops {crops:?}")))?;
    }
    let batches = all / places;
    let shape = shape_of(input.shape.rank(), [batches, space[0], space[1], channels])?;
    let kernel = BatchToSpace(Blocks {
        batches,
        space,
        parts: [height, width],
        block,
        before: crops.map(|[before, _]| before),
        pixel: input.bytes_from(input.shape.rank() - 1)?,
    });
    Ok(Prepared::new(kernel, [shape]))
}

struct BatchToSpace(Blocks);

impl Kernel for BatchToSpace {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let input = required(input, INPUT)?.bytes();
        let output = output.bytes_mut();
        self.0.each_pixel(|space, batch| {
            output[space..][..self.0.pixel].copy_from_slice(&input[batch..][..self.0.pixel]);
        });
        Ok(())
    }

    fn name(&self) -> &'static str {
        "batch_to_space_nd.reference"
    }
}
