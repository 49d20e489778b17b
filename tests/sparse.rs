//! Sparse constants: expanded at load, or refused with the number that is wrong.

mod model_builder;

use corallite::model::{Candidate, LoadError, LoadOptions, Model};
use corallite::{Interpreter, model::SparseError};
use model_builder::{Dimension, FLOAT32, INT4, INT8, Operator, SparseIndices, Sparsity, Tensor};
use model_builder::{RESHAPE, doubling};

const DENSIFY: i32 = 124;

fn dense(size: i32) -> Dimension {
    Dimension {
        dense_size: size,
        ..Dimension::default()
    }
}

fn compressed(segments: &[i32], indices: &[i32]) -> Dimension {
    let rows = [segments, indices].map(|values| SparseIndices::I32(values.to_vec()));
    Dimension {
        format: 1,
        rows: Some(rows),
        ..Dimension::default()
    }
}

/// The rows (0 1 0 0), (0 0 0 0), (2 0 0 3), stored by rows.
fn matrix() -> Tensor {
    let sparsity = Sparsity {
        traversal_order: vec![0, 1],
        block_map: vec![],
        dim_metadata: vec![dense(3), compressed(&[0, 1, 1, 3], &[1, 0, 3])],
    };
    Tensor::new("matrix", INT8, &[3, 4])
        .quantized(0.5, 0)
        .sparse(&[1, 2, 3], sparsity)
}

/// Two blocks of 2 x 2 in a matrix of 4 x 4, the left upper and the right lower: (1 2 / 3 4) and (5 6 / 7 8).
fn blocks() -> Tensor {
    let sparsity = Sparsity {
        traversal_order: vec![0, 1, 2, 3],
        block_map: vec![0, 1],
        dim_metadata: vec![
            dense(2),
            compressed(&[0, 1, 2], &[0, 1]),
            dense(2),
            dense(2),
        ],
    };
    Tensor::new("blocks", INT8, &[4, 4])
        .quantized(0.5, 0)
        .sparse(&[1, 2, 3, 4, 5, 6, 7, 8], sparsity)
}

/// A model that densifies `tensor`.
fn densified(tensor: Tensor) -> model_builder::Model {
    let result = Tensor {
        data: None,
        sparsity: None,
        ..tensor.clone()
    };
    model_builder::Model {
        tensors: vec![tensor, result],
        operators: vec![Operator::new(DENSIFY, &[0], &[1])],
        outputs: vec![1],
        ..model_builder::Model::default()
    }
}

/// What loading made of `tensor`, and how many elements were stored.
fn expanded(tensor: Tensor) -> (Vec<u8>, Option<usize>) {
    let model = Model::from_bytes(&densified(tensor).to_bytes()).expect("model");
    let graph = model.graph();
    let tensor = &graph.subgraphs()[0].tensors[0];
    (
        graph.data(tensor).expect("constant").to_vec(),
        tensor.stored_elements,
    )
}

#[test]
fn rows_and_blocks_are_expanded() {
    let rows = vec![0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3];
    assert_eq!(expanded(matrix()), (rows.clone(), Some(3)));
    let blocks_dense = vec![1, 2, 0, 0, 3, 4, 0, 0, 0, 0, 5, 6, 0, 0, 7, 8];
    assert_eq!(expanded(blocks()), (blocks_dense, Some(8)));

    // By columns: the elements in order of their columns.
    let mut by_columns = matrix();
    by_columns.data = Some(vec![2, 1, 3]);
    by_columns.sparsity = Some(Sparsity {
        traversal_order: vec![1, 0],
        block_map: vec![],
        dim_metadata: vec![dense(4), compressed(&[0, 1, 2, 2, 3], &[2, 0, 2])],
    });
    assert_eq!(expanded(by_columns).0, rows);

    // Both axes compressed, with indices of one and two bytes: rows 0 and 2.
    let mut both = matrix();
    both.sparsity.as_mut().expect("sparse").dim_metadata = vec![
        Dimension {
            format: 1,
            rows: Some([
                SparseIndices::U8(vec![0, 2]),
                SparseIndices::U16(vec![0, 2]),
            ]),
            ..Dimension::default()
        },
        compressed(&[0, 1, 3], &[1, 0, 3]),
    ];
    assert_eq!(expanded(both).0, rows);
}

/// Axes of a block in any order: TFLite's own decoder takes the size of one for another's where three go round.
#[test]
fn block_axes_may_be_traversed_in_any_order() {
    // One block of 2 x 1 x 3 in [2, 2, 3], at index 1 of the middle axis; stored by axes 2, 0, 1 of the block.
    let sparsity = Sparsity {
        traversal_order: vec![0, 1, 2, 5, 3, 4],
        block_map: vec![0, 1, 2],
        dim_metadata: vec![
            dense(1),
            compressed(&[0, 1], &[1]),
            dense(1),
            dense(3),
            dense(2),
            dense(1),
        ],
    };
    let tensor = Tensor::new("", FLOAT32, &[2, 2, 3]);
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let tensor = tensor.sparse(&bytes(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]), sparsity);
    let expected = [0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0];
    assert_eq!(expanded(tensor).0, bytes(&expected));
}

#[test]
fn densify_gives_the_expanded_constant() {
    let model = Model::from_bytes(&densified(matrix()).to_bytes()).expect("model");
    let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
    interpreter.invoke().expect("invoke");
    let output = interpreter.output(0).expect("output");
    let expected: [i8; 12] = [0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3];
    assert_eq!(output.as_slice::<i8>().expect("int8"), expected);
}

#[test]
fn densify_wants_a_sparse_constant() {
    let mut model = densified(matrix());
    model.tensors[0].sparsity = None;
    model.tensors[0].data = Some(vec![0; 12]);
    let model = Model::from_bytes(&model.to_bytes()).expect("model");
    let built = Interpreter::builder(&model).build();
    let refused = built.err().expect("dense").to_string();
    let expected = "operand input is dense, expected a sparse constant; leave the operator out";
    assert!(refused.contains(expected), "{refused}");
}

const DAMAGED: &str = "; the file is damaged or was edited; convert or copy it again";

#[test]
fn encodings_that_contradict_themselves_are_refused() {
    type Edit = fn(&mut Tensor, &mut Sparsity);
    struct Case {
        of: fn() -> Tensor,
        edit: Edit,
        message: &'static str,
    }
    fn rows(level: &mut Dimension) -> [&mut Vec<i32>; 2] {
        match &mut level.rows {
            Some([SparseIndices::I32(segments), SparseIndices::I32(indices)]) => {
                [segments, indices]
            }
            _ => panic!("32-bit rows"),
        }
    }
    fn segments(s: &mut Sparsity) -> &mut Vec<i32> {
        let [segments, _] = rows(&mut s.dim_metadata[1]);
        segments
    }
    fn indices(s: &mut Sparsity) -> &mut Vec<i32> {
        let [_, indices] = rows(&mut s.dim_metadata[1]);
        indices
    }
    let case = |of, edit, message| Case { of, edit, message };
    let cases = [
        case(
            matrix,
            |t, _| t.data = None,
            "no data found, expected a constant's stored elements",
        ),
        case(
            matrix,
            |_, s| s.block_map = vec![0, 1, 1],
            "block_map of 3 entries found, expected 0 to 2",
        ),
        case(
            matrix,
            |_, s| s.traversal_order = vec![],
            "traversal_order of 0 entries found, expected 2",
        ),
        case(
            matrix,
            |_, s| s.traversal_order.push(2),
            "traversal_order of 3 entries found, expected 2",
        ),
        case(
            blocks,
            |_, s| s.block_map = vec![0],
            "traversal_order of 4 entries found, expected 3",
        ),
        case(
            matrix,
            |_, s| s.dim_metadata.truncate(1),
            "dim_metadata of 1 entries found, expected 2",
        ),
        case(
            blocks,
            |_, s| s.block_map = vec![0, 2],
            "block_map[1] 2 found, expected 1",
        ),
        case(
            blocks,
            |_, s| s.block_map = vec![0, 0],
            "block_map[1] 0 found, expected 1",
        ),
        case(
            blocks,
            |_, s| s.block_map = vec![1, 0],
            "block_map[1] 0 found, expected none",
        ),
        case(
            blocks,
            |_, s| s.block_map = vec![-1, 0],
            "block_map[0] -1 found, expected 0 to 1",
        ),
        case(
            matrix,
            |_, s| s.traversal_order = vec![0, 2],
            "traversal_order[1] 2 found, expected 0 to 1",
        ),
        case(
            matrix,
            |_, s| s.traversal_order = vec![-1, 0],
            "traversal_order[0] -1 found, expected 0 to 1",
        ),
        case(
            matrix,
            |_, s| s.traversal_order = vec![1, 1],
            "traversal_order[1] 1 found again, expected each axis once",
        ),
        case(
            blocks,
            |_, s| s.traversal_order = vec![0, 2, 1, 3],
            "traversal_order[1] 2 found, expected 0 to 1",
        ),
        case(
            blocks,
            |_, s| s.traversal_order = vec![0, 1, 3, 1],
            "traversal_order[3] 1 found, expected 2 to 3",
        ),
        case(
            blocks,
            |_, s| s.dim_metadata[2].format = 1,
            "dim_metadata[2].format 1 found, expected 0",
        ),
        case(
            blocks,
            |_, s| s.dim_metadata[3].dense_size = 0,
            "dim_metadata[3].dense_size 0 found, expected 1 to 4",
        ),
        case(
            blocks,
            |_, s| s.dim_metadata[3].dense_size = 5,
            "dim_metadata[3].dense_size 5 found, expected 1 to 4",
        ),
        case(
            blocks,
            |_, s| s.dim_metadata[3].dense_size = 3,
            "dim_metadata[3].dense_size 3 found, expected a divisor of axis 1's 4",
        ),
        case(
            matrix,
            |_, s| s.dim_metadata[0].dense_size = 2,
            "dim_metadata[0].dense_size 2 found, expected 3",
        ),
        case(
            matrix,
            |_, s| s.dim_metadata[0].dense_size = -3,
            "dim_metadata[0].dense_size -3 found, expected 3",
        ),
        case(
            blocks,
            |_, s| s.dim_metadata[0].dense_size = 4,
            "dim_metadata[0].dense_size 4 found, expected 2",
        ),
        case(
            matrix,
            |_, s| s.dim_metadata[0].format = 2,
            "dim_metadata[0].format 2 found, expected 0 to 1",
        ),
        case(
            matrix,
            |_, s| s.dim_metadata[1].rows = None,
            "dim_metadata[1].array_segments of 0 entries found, expected 4",
        ),
        case(
            matrix,
            |_, s| segments(s).truncate(3),
            "dim_metadata[1].array_segments of 3 entries found, expected 4",
        ),
        case(
            matrix,
            |_, s| segments(s)[0] = 1,
            "dim_metadata[1].array_segments[0] 1 found, expected 0",
        ),
        case(
            matrix,
            |_, s| segments(s)[1] = -1,
            "dim_metadata[1].array_segments[1] -1 found, expected 0 to 3",
        ),
        case(
            matrix,
            |_, s| segments(s)[2] = 0,
            "dim_metadata[1].array_segments[2] 0 found, expected 1 to 3",
        ),
        case(
            matrix,
            |_, s| segments(s)[2] = 4,
            "dim_metadata[1].array_segments[2] 4 found, expected 1 to 3",
        ),
        case(
            matrix,
            |_, s| segments(s)[3] = 2,
            "dim_metadata[1].array_indices of 3 entries found, expected 2",
        ),
        case(
            matrix,
            |_, s| indices(s)[0] = 4,
            "dim_metadata[1].array_indices[0] 4 found, expected 0 to 3",
        ),
        case(
            matrix,
            |_, s| indices(s)[1] = -1,
            "dim_metadata[1].array_indices[1] -1 found, expected 0 to 3",
        ),
        case(
            matrix,
            |_, s| indices(s)[2] = 0,
            "dim_metadata[1].array_indices[2] 0 found, expected 1 to 3",
        ),
        case(
            matrix,
            |_, s| indices(s)[1] = 3,
            "dim_metadata[1].array_indices[2] 3 found, expected none",
        ),
        case(
            matrix,
            |t, _| t.data = Some(vec![1, 2]),
            "2 bytes of data found, expected 3 for 3 stored elements",
        ),
        case(
            blocks,
            |t, _| t.data = Some(vec![0; 16]),
            "16 bytes of data found, expected 8 for 8 stored elements",
        ),
        // A level without nodes has no rows below.
        case(
            matrix,
            |_, s| s.dim_metadata = vec![compressed(&[0, 0], &[]), compressed(&[0], &[1, 2, 3])],
            "dim_metadata[1].array_indices of 3 entries found, expected 0",
        ),
        // An axis without elements leaves nothing to store.
        case(
            matrix,
            |t, s| {
                t.shape = vec![0, 4];
                s.dim_metadata = vec![dense(0), compressed(&[0], &[])];
            },
            "3 bytes of data found, expected 0 for 0 stored elements",
        ),
    ];
    for Case { of, edit, message } in cases {
        let mut tensor = of();
        let mut sparsity = tensor.sparsity.take().expect("sparse");
        edit(&mut tensor, &mut sparsity);
        tensor.sparsity = Some(sparsity);
        let refused = Candidate::from_bytes(&densified(tensor).to_bytes()).expect_err(message);
        let expected = format!("subgraph 0, tensor 0, sparsity: {message}{DAMAGED}");
        assert_eq!(refused.to_string(), expected);
        let source = std::error::Error::source(&refused).expect("source");
        assert_eq!(source.to_string(), message);
    }
}

/// A scalar has no axes: its one element is stored.
#[test]
fn scalars_have_one_element() {
    let scalar = |data: &[u8]| {
        Tensor::new("", INT8, &[])
            .quantized(0.5, 0)
            .sparse(data, Sparsity::default())
    };
    assert_eq!(expanded(scalar(&[7])), (vec![7], Some(1)));
    let axis = Sparsity {
        block_map: vec![0],
        ..Sparsity::default()
    };
    let tensor = Tensor::new("", INT8, &[])
        .quantized(0.5, 0)
        .sparse(&[7], axis);
    let refused = Candidate::from_bytes(&densified(tensor).to_bytes()).expect_err("no axis");
    let expected = "subgraph 0, tensor 0, sparsity: block_map of 1 entries found, expected 0";
    assert_eq!(refused.to_string(), format!("{expected}{DAMAGED}"));
}

#[test]
fn packed_elements_are_not_taken() {
    let mut tensor = matrix();
    tensor.ty = INT4;
    let refused = Candidate::from_bytes(&densified(tensor).to_bytes()).expect_err("int4");
    let expected = "subgraph 0, tensor 0, sparsity: int4 elements found, expected elements of whole bytes; \
                    convert without sparsity";
    assert_eq!(refused.to_string(), expected);
}

/// A tensor of one stored element claims as much as its shape says: together no more than 1 MiB and 256 bytes for each of the
/// file's.
#[test]
fn files_cannot_claim_memory_out_of_proportion() {
    let claim = |elements: i32| {
        let sparsity = Sparsity {
            traversal_order: vec![0],
            block_map: vec![],
            dim_metadata: vec![compressed(&[0, 1], &[elements - 1])],
        };
        Tensor::new("", INT8, &[elements])
            .quantized(0.5, 0)
            .sparse(&[1], sparsity)
    };
    let mut model = densified(claim(600 << 10));
    let (data, stored) = expanded(claim(600 << 10));
    assert_eq!((data.len(), stored), (600 << 10, Some(1)));
    assert_eq!((data[0], data.last()), (0, Some(&1)));
    model.tensors.push(claim(900 << 10));
    let file = model.to_bytes();
    let limit = (1 << 20) + 256 * file.len();
    match Candidate::from_bytes(&file).expect_err("1.5 MB") {
        LoadError::Sparse { tensor, source, .. } => {
            assert_eq!(tensor, 2);
            let bytes = 1500 << 10;
            assert_eq!(source, SparseError::TooLarge { bytes, limit });
        }
        other => panic!("{other}"),
    }
    let refused = Candidate::from_bytes(&densified(claim(i32::MAX)).to_bytes())
        .expect_err("2 GB")
        .to_string();
    let expected = "subgraph 0, tensor 0, sparsity: 2147483647 dense bytes found with those of the sparse constants before, \
                    expected at most";
    assert!(refused.starts_with(expected), "{refused}");
    let way = "; raise the limit with LoadOptions::dense_limit if the model is trusted, or convert without sparsity";
    assert!(refused.ends_with(way), "{refused}");
    let options = LoadOptions::new().dense_limit(1500 << 10);
    options.read_bytes(&file).expect("just enough");
    match options.dense_limit((1500 << 10) - 1).read_bytes(&file) {
        Err(LoadError::Sparse { tensor: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// Operators see the dense tensor, whatever the file stores.
#[test]
fn operators_read_sparse_weights_as_dense() {
    let dense_model = doubling();
    let mut model = doubling();
    model.tensors[1].sparsity = Some(Sparsity {
        traversal_order: vec![0, 1, 2, 3],
        block_map: vec![],
        dim_metadata: vec![dense(1), dense(1), dense(1), compressed(&[0, 1], &[0])],
    });
    let run = |model: &model_builder::Model| {
        let model = Model::from_bytes(&model.to_bytes()).expect("model");
        let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
        let mut input = interpreter.input_mut(0).expect("input");
        input.bytes_mut().copy_from_slice(&[1, 2, 3]);
        interpreter.invoke().expect("invoke");
        interpreter.output(0).expect("output").bytes().to_vec()
    };
    assert_eq!(run(&model), run(&dense_model));
    assert_eq!(run(&model), [3, 5, 7]);
}

/// A sparse constant in the place of a shape is read as any other.
#[test]
fn values_that_decide_shapes_may_be_sparse() {
    let sparsity = Sparsity {
        traversal_order: vec![0],
        block_map: vec![],
        dim_metadata: vec![compressed(&[0, 2], &[0, 1])],
    };
    let sides: Vec<u8> = [2i32, 6].iter().flat_map(|n| n.to_le_bytes()).collect();
    let model = model_builder::Model {
        tensors: vec![
            matrix(),
            Tensor::new("", model_builder::INT32, &[2]).sparse(&sides, sparsity),
            Tensor::new("", INT8, &[2, 6]).quantized(0.5, 0),
        ],
        operators: vec![Operator::new(RESHAPE, &[0, 1], &[2])],
        outputs: vec![2],
        ..model_builder::Model::default()
    };
    let model = Model::from_bytes(&model.to_bytes()).expect("model");
    let mut interpreter = Interpreter::builder(&model).build().expect("interpreter");
    interpreter.invoke().expect("invoke");
    let output = interpreter.output(0).expect("output");
    assert_eq!(output.shape().dims(), [2, 6]);
    assert_eq!(output.bytes(), [0, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 3]);
}
