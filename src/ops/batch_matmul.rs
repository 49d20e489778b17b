//! BATCH_MATMUL: products of matrices, pair by pair along the leading axes, which broadcast.

use super::shared::{
    Arithmetic, Float, FloatRange, IntegerSums, OutputStage, ScaleProduct, Scaled, Wide, check,
    hybrid, narrow, symmetric_i16,
};
use super::{
    EvalError, Kernel, KernelIo, KernelMemory, Node, NodeTensor, OpDef, PrepareError, Prepared,
    Settings, TypeRow, Views, required,
};
use crate::fast::{self, KernelChoice, MatrixProduct, MatrixProductKernel, MatrixProductPrimitive};
use crate::fixedpoint::FusedActivation;
use crate::model::BuiltinOperator;
use crate::tensor::{MAX_RANK, Shape, TensorType as T};

const LEFT: usize = 0;
const RIGHT: usize = 1;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::BATCH_MATMUL,
    name: "BATCH_MATMUL",
    versions: 1..=4,
    types: &[
        TypeRow::new(&[T::Float32], &[T::Float32]),
        TypeRow::new(&[T::Int8], &[T::Int8]),
        TypeRow::new(&[T::Int8], &[T::Int32]),
        TypeRow::new(&[T::Int16], &[T::Int16]),
        TypeRow::new(&[T::Int16, T::Int8], &[T::Int16]),
        TypeRow::new(&[T::Float32, T::Int8], &[T::Float32]),
    ],
    check: check::none,
    prepare,
};

/// The geometry of products of `rows` x `depth` by `depth` x `columns` matrices.
#[derive(Debug, Clone)]
pub(crate) struct BatchMatmul {
    rows: usize,
    depth: usize,
    columns: usize,
    /// Elements from one row, and from one step of the depth, to the next on the left.
    left: [usize; 2],
    /// Elements from one step of the depth, and from one column, to the next on the right.
    right: [usize; 2],
    /// Whether the left and the right matrices are stored by columns.
    by_columns: [bool; 2],
    /// Where the left and the right matrix of each product begin.
    batches: Vec<[usize; 2]>,
}

fn prepare(node: &Node<'_>, settings: &Settings) -> Result<Prepared, PrepareError> {
    let options = node.table()?.builtin_options_as_batch_mat_mul_options();
    let options = options.ok_or(PrepareError::Options {
        expected: "BatchMatMulOptions",
    })?;
    let left = node.input(LEFT, "left")?;
    let right = node.input(RIGHT, "right")?;
    let output = node.output(OUTPUT, "output")?;
    let (problem, shape) = geometry(&left, &right, options.adj_x(), options.adj_y())?;
    let depth = problem.depth;
    let macs = (shape.count() as u64).saturating_mul(depth as u64);
    if (left.ty, right.ty) == (T::Float32, T::Int8) {
        let kernel = Hybrid {
            scales: right.scales()?.into(),
            columns_scaled: columns_scaled(&right, options.adj_y(), problem.columns)?,
            codes: hybrid::RowCodes::new(options.asymmetric_quantize_inputs(), settings),
            problem,
        };
        // A row of codes, and a column of weights where it lies scattered.
        let prepared = Prepared::new(kernel, [shape]).macs(macs);
        return Ok(prepared.scratch(depth).scratch(depth));
    }
    let kernel = kernel(problem, &left, &right, &output, settings)?;
    Ok(Prepared::boxed(kernel, [shape]).macs(macs))
}

fn geometry(
    left: &NodeTensor<'_>,
    right: &NodeTensor<'_>,
    adj_x: bool,
    adj_y: bool,
) -> Result<(BatchMatmul, Shape), PrepareError> {
    let split = |operand: &NodeTensor<'_>| match operand.shape.dims().split_last_chunk() {
        Some((_, &matrix)) if operand.shape.rank() <= 5 => Ok(matrix),
        _ => Err(operand.shape_error("2 to 5 axes, the last two a matrix")),
    };
    let (left_matrix, right_matrix): ([usize; 2], [usize; 2]) = (split(left)?, split(right)?);
    let ([rows, depth], left_strides) = match (adj_x, left_matrix) {
        (false, [rows, depth]) => ([rows, depth], [depth, 1]),
        (true, [depth, rows]) => ([rows, depth], [1, rows]),
    };
    let ([right_depth, columns], right_strides) = match (adj_y, right_matrix) {
        (false, [depth, columns]) => ([depth, columns], [columns, 1]),
        (true, [columns, depth]) => ([depth, columns], [1, depth]),
    };
    if right_depth != depth {
        return Err(right.shape_error(format!("matrices of depth {depth}, as on the left")));
    }
    let rank = left.shape.rank().max(right.shape.rank());
    let mut dims = [1; MAX_RANK];
    for (axis, dim) in dims[..rank - 2].iter_mut().enumerate() {
        *dim = match (extent(left, rank, axis), extent(right, rank, axis)) {
            (found, 1) => found,
            (1, found) => found,
            (l, r) if l == r => l,
            (l, _) => return Err(right.shape_error(format!("{l} or 1 at axis {axis} of {rank}"))),
        };
    }
    dims[rank - 2..rank].copy_from_slice(&[rows, columns]);
    let shape = Shape::new(&dims[..rank])?;
    let starts = |operand, size| batch_starts(operand, size, &dims[..rank - 2]);
    let (lefts, rights) = (starts(left, rows * depth), starts(right, depth * columns));
    let problem = BatchMatmul {
        rows,
        depth,
        columns,
        left: left_strides,
        right: right_strides,
        by_columns: [adj_x, adj_y],
        batches: lefts.into_iter().zip(rights).map(|(l, r)| [l, r]).collect(),
    };
    Ok((problem, shape))
}

/// The extent of `operand` along `axis` of `rank`; axes that are missing in front are 1.
fn extent(operand: &NodeTensor<'_>, rank: usize, axis: usize) -> usize {
    let missing = rank - operand.shape.rank();
    let axis = axis.checked_sub(missing);
    axis.and_then(|axis| operand.shape.dim(axis)).unwrap_or(1)
}

/// Where the matrix of `size` elements begins that each product reads; `batches`: the leading axes of the result.
fn batch_starts(operand: &NodeTensor<'_>, size: usize, batches: &[usize]) -> Vec<usize> {
    let mut starts = vec![0];
    let mut stride = size;
    for (axis, &dim) in batches.iter().enumerate().rev() {
        let own = extent(operand, batches.len() + 2, axis);
        let step = if own == 1 { 0 } else { stride };
        let inner = std::mem::take(&mut starts);
        let outer = (0..dim).map(|index| index * step);
        starts = outer
            .flat_map(|from| inner.iter().map(move |start| from + start))
            .collect();
        stride *= own;
    }
    starts
}

/// The kernel for operands of the same kind: floats, or integers with one multiplier, from a float32 product of scales.
fn kernel(
    problem: BatchMatmul,
    left: &NodeTensor<'_>,
    right: &NodeTensor<'_>,
    output: &NodeTensor<'_>,
    settings: &Settings,
) -> Result<Box<dyn Kernel>, PrepareError> {
    symmetric_i16(&[left, output])?;
    if left.ty == T::Int16 && right.per_tensor()?.1 != 0 {
        return Err(PrepareError::Attribute {
            name: "zero_point",
            found: right.per_tensor()?.1.to_string(),
            expected: "0 beside int16",
        });
    }
    let scaled = Scaled {
        input: left,
        filter: right,
        output,
        channels: 1,
        activation: FusedActivation::None,
    };
    let stage = || OutputStage::new(&scaled, ScaleProduct::Float32, settings);
    Ok(match (left.ty, right.ty, output.ty) {
        (T::Float32, ..) => boxed(problem, Float(FloatRange::new(FusedActivation::None))),
        (_, _, T::Int32) => boxed(problem, PlainSums),
        (T::Int16, T::Int8, _) => boxed(problem, Wide::<i8, _>::new(stage()?)),
        (T::Int16, ..) => boxed(problem, Wide::<i16, _>::new(stage()?)),
        _ => {
            let zeros = [narrow(left.per_tensor()?.1), narrow(right.per_tensor()?.1)];
            let stage = stage()?;
            match fast(&problem, zeros, stage.clone(), settings.kernels) {
                Some(kernel) => kernel,
                None => {
                    let sums = IntegerSums::<i8, i8, _>::new(zeros[0], zeros[1], stage);
                    boxed(problem, sums)
                }
            }
        }
    })
}

/// The fast kernel of int8 products; `None` where the reference has to do.
fn fast(
    problem: &BatchMatmul,
    zero_points: [i16; 2],
    stage: OutputStage,
    choice: KernelChoice,
) -> Option<Box<dyn Kernel>> {
    let kernel = fast::choose::<MatrixProductPrimitive>(choice, &problem.fast(zero_points, stage))?;
    Some(Box::new(Fast {
        kernel,
        starts: problem.batches.clone(),
    }))
}

impl BatchMatmul {
    /// One of the products, for vectors.
    fn fast(&self, zero_points: [i16; 2], stage: OutputStage) -> MatrixProduct {
        MatrixProduct {
            rows: self.rows,
            depth: self.depth,
            columns: self.columns,
            by_columns: self.by_columns,
            zero_points: zero_points.map(i32::from),
            stage: stage.into(),
        }
    }
}

struct Fast {
    kernel: Box<dyn MatrixProductKernel>,
    /// As [`BatchMatmul::batches`].
    starts: Vec<[usize; 2]>,
}

impl Kernel for Fast {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let workers = io.workers();
        let Views {
            inputs: [left, right],
            outputs: [mut output],
            ..
        } = io.views([LEFT, RIGHT], [OUTPUT], [])?;
        let operands = [
            required(left, LEFT)?.bytes(),
            required(right, RIGHT)?.bytes(),
        ];
        self.kernel
            .run_all(&self.starts, operands, output.bytes_mut(), workers);
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.kernel.name()
    }

    fn memory(&self) -> KernelMemory {
        KernelMemory {
            packed: 0,
            workspace: self.kernel.workspace_bytes(),
        }
    }
}

fn boxed<A: Arithmetic + Send + 'static>(problem: BatchMatmul, arithmetic: A) -> Box<dyn Kernel> {
    Box::new(Reference {
        problem,
        arithmetic,
    })
}

struct Reference<A> {
    problem: BatchMatmul,
    arithmetic: A,
}

impl<A: Arithmetic + Send + 'static> Kernel for Reference<A> {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [left, right],
            outputs: [output],
            ..
        } = io.views([LEFT, RIGHT], [OUTPUT], [])?;
        batch_matmul(
            &self.problem,
            &self.arithmetic,
            required(left, LEFT)?.as_slice()?,
            required(right, RIGHT)?.as_slice()?,
            output.into_slice()?,
        );
        Ok(())
    }

    fn name(&self) -> &'static str {
        "batch_matmul.reference"
    }
}

/// The reference product. `output`: batches x rows x columns.
///
/// Source: TFLite `kernels/internal/reference/batch_matmul.h`; sums run along the depth.
pub(crate) fn batch_matmul<A: Arithmetic>(
    problem: &BatchMatmul,
    arithmetic: &A,
    left: &[A::Input],
    right: &[A::Filter],
    output: &mut [A::Output],
) {
    let p = problem;
    let products = output.chunks_exact_mut((p.rows * p.columns).max(1));
    for (&[left_start, right_start], output) in p.batches.iter().zip(products) {
        for (row, output) in output.chunks_exact_mut(p.columns.max(1)).enumerate() {
            let from = left_start + row * p.left[0];
            for (column, output) in output.iter_mut().enumerate() {
                let to = right_start + column * p.right[1];
                let sum = (0..p.depth).fold(A::ZERO, |sum, k| {
                    arithmetic.accumulate(
                        sum,
                        left[from + k * p.left[1]],
                        right[to + k * p.right[0]],
                    )
                });
                *output = arithmetic.finish(sum, None, 0);
            }
        }
    }
}

/// int8 products as they are: no zero points, no multiplier, int32 results.
struct PlainSums;

impl Arithmetic for PlainSums {
    type Input = i8;
    type Filter = i8;
    type Bias = i32;
    type Output = i32;
    type Sum = i32;
    const ZERO: i32 = 0;

    fn accumulate(&self, sum: i32, input: i8, filter: i8) -> i32 {
        sum.wrapping_add(i32::from(input) * i32::from(filter))
    }

    fn finish(&self, sum: i32, bias: Option<i32>, _: usize) -> i32 {
        sum.wrapping_add(bias.unwrap_or(0))
    }

    fn total(&self, sum: i32, bias: Option<i32>) -> f64 {
        f64::from(self.finish(sum, bias, 0))
    }

    fn clamp(&self) -> (i32, i32) {
        (i32::MIN, i32::MAX)
    }
}

/// Whether each column on the right has its own scale.
fn columns_scaled(
    right: &NodeTensor<'_>,
    adj_y: bool,
    columns: usize,
) -> Result<bool, PrepareError> {
    let Some(quantization) = right.quantization.filter(|q| q.is_per_channel()) else {
        return Ok(false);
    };
    let column_axis = right.shape.rank() - if adj_y { 2 } else { 1 };
    if quantization.axis() != column_axis || quantization.scales().len() != columns {
        return Err(right.shape_error(format!("one scale, or {columns} along axis {column_axis}")));
    }
    Ok(true)
}

/// Floats by int8 weights.
struct Hybrid {
    problem: BatchMatmul,
    /// Of the weights: one, or one a column.
    scales: Box<[f32]>,
    columns_scaled: bool,
    codes: hybrid::RowCodes,
}

impl Kernel for Hybrid {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [left, right],
            outputs: [output],
            scratch: [codes, weights],
        } = io.views([LEFT, RIGHT], [OUTPUT], [0, 1])?;
        let left = required(left, LEFT)?.as_slice()?;
        let right = required(right, RIGHT)?.as_slice()?;
        let depth = self.problem.depth;
        let codes = &mut bytemuck::cast_slice_mut(codes)[..depth];
        let weights = &mut bytemuck::cast_slice_mut(weights)[..depth];
        self.multiply(left, right, output.into_slice()?, codes, weights);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "batch_matmul.hybrid_reference"
    }
}

impl Hybrid {
    fn multiply(
        &self,
        left: &[f32],
        right: &[i8],
        output: &mut [f32],
        codes: &mut [i8],
        weights: &mut [i8],
    ) {
        let p = &self.problem;
        let products = output.chunks_exact_mut((p.rows * p.columns).max(1));
        for (&[left_start, right_start], output) in p.batches.iter().zip(products) {
            for (row, output) in output.chunks_exact_mut(p.columns.max(1)).enumerate() {
                let from = left_start + row * p.left[0];
                let values = (0..p.depth).map(|k| left[from + k * p.left[1]]);
                let quantized = hybrid::quantize_row(values, codes, self.codes);
                for (column, output) in output.iter_mut().enumerate() {
                    let to = right_start + column * p.right[1];
                    for (k, weight) in weights.iter_mut().enumerate() {
                        *weight = right[to + k * p.right[0]];
                    }
                    let scale = match self.columns_scaled {
                        true => quantized.scale * self.scales[column],
                        false => quantized.scale * self.scales[0],
                    };
                    let sum = hybrid::dot(codes, quantized.offset, weights);
                    *output = 0.0 + scale * sum as f32;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::{Element8, Primitive, Workers};
    use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

    #[test]
    fn matrices_are_multiplied_batch_by_batch() {
        // (1 2) (5 6)T = 17 and (3 4) (5 6)T = 39: one right column for two left rows in two batches.
        let problem = BatchMatmul {
            rows: 1,
            depth: 2,
            columns: 1,
            left: [2, 1],
            right: [1, 1],
            by_columns: [false, false],
            batches: vec![[0, 0], [2, 0]],
        };
        let mut output = [0; 2];
        batch_matmul(&problem, &PlainSums, &[1, 2, 3, 4], &[5, 6], &mut output);
        assert_eq!(output, [17, 39]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
    fn variants_give_the_reference_s_bits() {
        let mut ran = Ran::new();
        for seed in 0..200 {
            let n = &mut Numbers::new(seed);
            let (rows, columns) = (n.size(1, 9), n.one_of(&[1, 3, 8, 17, 40]));
            let depth = n.one_of(&[1, 2, 7, 16, 31, 64, 100]);
            let by_columns = [n.chance(2), n.chance(2)];
            let strides = |by_columns, [long, short]: [usize; 2]| match by_columns {
                true => [1, long],
                false => [short, 1],
            };
            // Three products of two left matrices and one right matrix.
            let problem = BatchMatmul {
                rows,
                depth,
                columns,
                left: strides(by_columns[0], [rows, depth]),
                right: strides(by_columns[1], [depth, columns]),
                by_columns,
                batches: vec![[0, 0], [rows * depth, 0], [0, 0]],
            };
            let (left, right) = (n.bytes(2 * rows * depth), n.bytes(depth * columns));
            let zero_points = [0; 2].map(|_| n.zero_point(Element8::Int8) as i16);
            let stage = n.stage(1, Element8::Int8);
            let sums = IntegerSums::new(zero_points[0], zero_points[1], stage.clone());
            let operands = [&left, &right].map(|bytes| bytemuck::cast_slice::<u8, i8>(bytes));
            let mut expected = vec![0i8; 3 * rows * columns];
            batch_matmul(&problem, &sums, operands[0], operands[1], &mut expected);
            let fast = problem.fast(zero_points, stage);
            for variant in MatrixProductPrimitive::variants() {
                let Some(kernel) = (variant.prepare)(&fast) else {
                    continue;
                };
                ran.insert(variant.name);
                let mut workers = Workers::new(1 + (seed % 2) as usize, KernelChoice::default());
                workers.reserve(kernel.workspace_bytes());
                let mut output = vec![0x55; expected.len()];
                kernel.run_all(&problem.batches, [&left, &right], &mut output, &workers);
                let equal = output == bytemuck::cast_slice::<i8, u8>(&expected);
                assert!(equal, "{}, seed {seed}: {problem:?}", variant.name);
            }
        }
        assert_all_ran::<MatrixProductPrimitive>(&ran);
    }
}
