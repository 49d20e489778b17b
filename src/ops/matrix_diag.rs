//! MATRIX_DIAG and MATRIX_SET_DIAG: matrices from their diagonals, and with others.

use super::shared::{check, rows};
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, Views, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::Shape;

const INPUT: usize = 0;
const OUTPUT: usize = 0;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::MATRIX_DIAG,
    name: "MATRIX_DIAG",
    versions: 1..=1,
    types: rows![[_] -> _ => Int8 UInt8 Int16 Int32 Int64 Float32;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_diag(node),
};

pub(super) const DEF_SET: OpDef = OpDef {
    code: BuiltinOperator::MATRIX_SET_DIAG,
    name: "MATRIX_SET_DIAG",
    versions: 1..=1,
    types: rows![[_ _] -> _ => Int8 UInt8 Int16 Int32 Int64 Float32;],
    check: check::same_quantization,
    prepare: |node, _: &Settings| prepare_set_diag(node),
};

fn prepare_diag(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let diagonal = node.input(INPUT, "diagonal")?;
    node.output(OUTPUT, "output")?;
    let dims = diagonal.shape.dims();
    let Some(&last) = dims.last() else {
        return Err(diagonal.shape_error("one axis or more"));
    };
    let shape = Shape::new(&[dims, &[last]].concat())?;
    let matrix = Matrix {
        rows: last,
        columns: last,
        element: diagonal.element_bytes()?,
    };
    Ok(Prepared::new(MatrixDiag(matrix), [shape]))
}

fn prepare_set_diag(node: &Node<'_>) -> Result<Prepared, PrepareError> {
    let input = node.input(INPUT, "input")?;
    let diagonal = node.input(DIAGONAL, "diagonal")?;
    node.output(OUTPUT, "output")?;
    let &[ref batches @ .., rows, columns] = input.shape.dims() else {
        return Err(input.shape_error("two axes or more"));
    };
    let expected = [batches, &[rows.min(columns)]].concat();
    if diagonal.shape.dims() != expected {
        return Err(diagonal.shape_error(format!("{expected:?}, a diagonal for each matrix")));
    }
    let matrix = Matrix {
        rows,
        columns,
        element: input.element_bytes()?,
    };
    Ok(Prepared::new(MatrixSetDiag(matrix), [input.shape]))
}

/// The innermost two axes.
struct Matrix {
    rows: usize,
    columns: usize,
    /// Bytes.
    element: usize,
}

impl Matrix {
    /// Writes one diagonal after the other into one matrix of `matrices` after the other.
    fn set_diagonals(&self, diagonals: &[u8], matrices: &mut [u8]) {
        let row = self.columns * self.element;
        let diagonals = diagonals.chunks_exact((self.rows.min(self.columns) * self.element).max(1));
        let matrices = matrices.chunks_exact_mut((self.rows * row).max(1));
        for (diagonal, matrix) in diagonals.zip(matrices) {
            let values = diagonal.chunks_exact(self.element);
            for (i, (value, row)) in values.zip(matrix.chunks_exact_mut(row)).enumerate() {
                row[i * self.element..][..self.element].copy_from_slice(value);
            }
        }
    }
}

/// Everything beside the diagonals is code 0, whatever the zero point, as in TFLite `kernels/matrix_diag.cc`.
struct MatrixDiag(Matrix);

impl Kernel for MatrixDiag {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [diagonal],
            outputs: [mut output],
            ..
        } = io.views([INPUT], [OUTPUT], [])?;
        let output = output.bytes_mut();
        output.fill(0);
        self.0
            .set_diagonals(required(diagonal, INPUT)?.bytes(), output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "matrix_diag.reference"
    }
}

/// Source: TFLite `kernels/matrix_set_diag.cc`.
struct MatrixSetDiag(Matrix);

const DIAGONAL: usize = 1;

impl Kernel for MatrixSetDiag {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let Views {
            inputs: [input, diagonal],
            outputs: [mut output],
            ..
        } = io.views([INPUT, DIAGONAL], [OUTPUT], [])?;
        let output = output.bytes_mut();
        output.copy_from_slice(required(input, INPUT)?.bytes());
        self.0
            .set_diagonals(required(diagonal, DIAGONAL)?.bytes(), output);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "matrix_set_diag.reference"
    }
}
