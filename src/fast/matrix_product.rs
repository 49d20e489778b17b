//! Products of two int8 matrices that both are computed by the model.
//!
//! Vectors lie along the depth, as in FULLY_CONNECTED of few rows, so the right matrix is read by columns: one that is stored by
//! rows is transposed first, into scratch memory.

use super::lanes::rows::{BLOCK, Rows, fill, padded_words};
use super::lanes::{Lanes, Work, for_each_isa};
use super::stage::StageVectors;
use super::{Primitive, Stage, TASK_MACS, Variant, Workers, Workspace};

/// A `rows` x `depth` matrix times a `depth` x `columns` matrix, of int8, with int8 results.
#[derive(Debug, Clone)]
pub struct MatrixProduct {
    /// Rows of the left matrix.
    pub rows: usize,
    /// Columns of the left matrix and rows of the right one.
    pub depth: usize,
    /// Columns of the right matrix.
    pub columns: usize,
    /// Whether the left and the right matrix are stored by columns.
    pub by_columns: [bool; 2],
    /// Zero points of the left and the right matrix.
    pub zero_points: [i32; 2],
    /// From sums to results: one channel.
    pub stage: Stage,
}

/// A prepared product.
pub trait MatrixProductKernel: Send + Sync {
    /// `batch_matmul.<isa>`.
    fn name(&self) -> &'static str;
    /// Rows, depth and columns.
    fn extents(&self) -> [usize; 3];
    /// Computes the product of two matrices.
    fn run(&self, left: &[u8], right: &[u8], output: &mut [u8], workspace: &mut Workspace);
    /// Bytes of scratch memory that [`run`](Self::run) needs.
    fn workspace_bytes(&self) -> usize;
}

impl dyn MatrixProductKernel {
    /// Computes products of the matrices that begin at `starts`, left and right, shared among `workers`.
    pub fn run_all(
        &self,
        starts: &[[usize; 2]],
        [left, right]: [&[u8]; 2],
        output: &mut [u8],
        workers: &Workers,
    ) {
        let [rows, depth, columns] = self.extents();
        let results = rows * columns;
        let step = (TASK_MACS / results.saturating_mul(depth)).max(1);
        workers.split(output, step * results, &|number, piece, workspace| {
            let products = starts[number * step..]
                .iter()
                .zip(piece.chunks_exact_mut(results));
            for (&[from_left, from_right], output) in products {
                let left = &left[from_left..][..rows * depth];
                let right = &right[from_right..][..depth * columns];
                self.run(left, right, output, workspace);
            }
        });
    }
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("batch_matmul.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| prepare::<$lanes>(concat!("batch_matmul.", $isa), problem),
        },)*]
    };
}

/// BATCH_MATMUL of int8.
pub struct MatrixProductPrimitive;

impl Primitive for MatrixProductPrimitive {
    type Problem<'a> = MatrixProduct;
    type Kernel = dyn MatrixProductKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

fn prepare<L: Lanes>(
    name: &'static str,
    problem: &MatrixProduct,
) -> Option<Box<dyn MatrixProductKernel>> {
    let lanes = L::detect()?;
    // Without results there is nothing to do, and without a depth nothing to read.
    let suits = problem.rows > 0 && problem.depth > 0 && problem.columns > 0;
    suits.then(|| {
        Box::new(Product {
            name,
            lanes,
            problem: problem.clone(),
            stage: StageVectors::new::<L>(problem.stage.clone(), &vec![0; L::N]),
        }) as Box<dyn MatrixProductKernel>
    })
}

struct Product<L: Lanes> {
    name: &'static str,
    lanes: L,
    problem: MatrixProduct,
    /// A vector of the same channel.
    stage: StageVectors,
}

impl<L: Lanes> Product<L> {
    fn padded_columns(&self) -> usize {
        self.problem.columns.next_multiple_of(L::N)
    }

    /// Bytes of the right matrix where it is transposed.
    fn transposed(&self) -> usize {
        match self.problem.by_columns[1] {
            true => 0,
            false => self.problem.depth * self.problem.columns,
        }
    }
}

impl<L: Lanes> MatrixProductKernel for Product<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn extents(&self) -> [usize; 3] {
        let p = &self.problem;
        [p.rows, p.depth, p.columns]
    }

    fn run(&self, left: &[u8], right: &[u8], output: &mut [u8], workspace: &mut Workspace) {
        let (terms, memory) = workspace
            .slice_mut::<i32>()
            .split_at_mut(self.padded_columns());
        let (activations, memory) = memory.split_at_mut(padded_words::<L>(self.problem.depth));
        self.lanes.run(Run {
            product: self,
            left,
            right,
            output,
            terms,
            activations: bytemuck::cast_slice_mut(activations),
            transposed: &mut bytemuck::cast_slice_mut(memory)[..self.transposed()],
        });
    }

    fn workspace_bytes(&self) -> usize {
        let words = self.padded_columns() + padded_words::<L>(self.problem.depth);
        let bytes = words.saturating_mul(size_of::<i32>());
        bytes.saturating_add(self.transposed().next_multiple_of(size_of::<i32>()))
    }
}

/// One call of [`MatrixProductKernel::run`].
struct Run<'a, L: Lanes> {
    product: &'a Product<L>,
    left: &'a [u8],
    right: &'a [u8],
    output: &'a mut [u8],
    /// What each column adds to its sums.
    terms: &'a mut [i32],
    /// A row of the left matrix.
    activations: &'a mut [L::Activation],
    /// The right matrix by columns where it is stored by rows.
    transposed: &'a mut [u8],
}

impl<L: Lanes> Work for Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run<M: Lanes>(self, _: M) {
        let Product {
            lanes,
            problem,
            stage,
            ..
        } = self.product;
        let (lanes, p) = (*lanes, problem);
        let filter = match p.by_columns[1] {
            true => self.right,
            false => {
                transpose(self.right, p.columns, self.transposed);
                &*self.transposed
            }
        };
        let [left_zero, right_zero] = p.zero_points;
        let left_zero = left_zero.wrapping_add(L::activation_offset(true));
        let depth = p.depth as i32;
        for (term, column) in self.terms.iter_mut().zip(filter.chunks_exact(p.depth)) {
            let sum = column.iter().map(|&byte| i32::from(byte.cast_signed()));
            let zeros = depth.wrapping_mul(right_zero).wrapping_sub(sum.sum());
            *term = left_zero.wrapping_mul(zeros);
        }
        let view = stage.view();
        let limits = view.limits(lanes);
        for (row, output) in self.output.chunks_exact_mut(p.columns).enumerate() {
            match p.by_columns[0] {
                false => {
                    let row = &self.left[row * p.depth..];
                    fill::<L>(self.activations, p.depth, row, true);
                }
                true => {
                    let row = self.left[row..].iter().step_by(p.rows);
                    fill::<L>(self.activations, p.depth, row, true);
                }
            }
            let row_term = match right_zero {
                0 => 0,
                zero => L::sum(&self.activations[..p.depth]).wrapping_mul(zero.wrapping_neg()),
            };
            let row_term = lanes.splat_sum(row_term);
            let product = Rows {
                activations: self.activations,
                filter,
                depth: p.depth,
                signed: true,
            };
            for (block, to) in output.chunks_mut(BLOCK).enumerate() {
                let mut sums = [0; BLOCK];
                product.sums(lanes, block * BLOCK, &mut sums);
                let terms = &self.terms[block * BLOCK..];
                let vectors = sums.chunks_exact(L::N).zip(terms.chunks_exact(L::N));
                for ((sums, terms), to) in vectors.zip(to.chunks_mut(L::N)) {
                    let sums = lanes.add(lanes.load_sums(sums), lanes.load_sums(terms));
                    let sums = lanes.add(sums, row_term);
                    view.at(lanes, 0).apply(lanes, [[sums]], |[[codes]]| {
                        lanes.store_codes(codes, limits, to)
                    });
                }
            }
        }
    }
}

/// Columns that are written side by side.
const COLUMNS: usize = 16;

/// Writes the columns of a matrix one behind the other.
#[inline(always)]
fn transpose(from: &[u8], columns: usize, to: &mut [u8]) {
    let rows = from.len() / columns;
    for (block, to) in to.chunks_mut(COLUMNS * rows).enumerate() {
        for (row, from) in from.chunks_exact(columns).enumerate() {
            let from = &from[block * COLUMNS..];
            for (column, &byte) in to.chunks_exact_mut(rows).zip(from) {
                column[row] = byte;
            }
        }
    }
}
