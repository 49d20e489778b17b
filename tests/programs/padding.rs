//! A PAD that the convolution behind it takes for its own padding, and those that it leaves. Expected is what the reference
//! kernels compute, one operator after the other.

use crate::load;
use crate::model_builder::{Field, INT8, INT32, Model, Operator, Tensor, UINT8};
use crate::models::{PAD, READ_VARIABLE, constant, handle, initial, once, tensor, variable};
use corallite::interpreter::{Observer, OperatorEvent, OperatorResults};
use corallite::ops::KernelChoice;
use corallite::tensor::Shape;
use corallite::{Interpreter, Model as Loaded};

const CONV_2D: i32 = 3;
const DEPTHWISE_CONV_2D: i32 = 4;
const PADV2: i32 = 60;

/// Tensors of [`Case::model`].
const INPUT: i32 = 0;
const PADDINGS: i32 = 1;
const PADDED: i32 = 2;
const FILTER: i32 = 3;
const BIAS: i32 = 4;
const OUTPUT: i32 = 5;
const ANOTHER: i32 = 6;

/// A PAD before a convolution.
#[derive(Debug, Clone, Copy)]
struct Case {
    ty: i8,
    code: i32,
    size: [i32; 2],
    channels: i32,
    /// Before and behind N, H, W and C.
    border: [[i32; 2]; 4],
    taps: i32,
    stride: [i32; 2],
    dilation: i32,
    is_same: bool,
}

const CASE: Case = Case {
    ty: INT8,
    code: CONV_2D,
    size: [9, 11],
    channels: 16,
    border: [[0, 0], [1, 1], [1, 1], [0, 0]],
    taps: 3,
    stride: [1, 1],
    dilation: 1,
    is_same: false,
};

/// Bytes of every value.
fn bytes(len: i32, seed: u32) -> Vec<u8> {
    let number = |i: i32| (i as u32 ^ seed << 16).wrapping_mul(2_654_435_761);
    (0..len).map(|i| (number(i) >> 13) as u8).collect()
}

impl Case {
    fn zero_point(&self) -> i64 {
        if self.ty == UINT8 { 131 } else { 3 }
    }

    fn convolution(&self, output: i32) -> Operator {
        let padding = Field::Byte(if self.is_same { 0 } else { 1 });
        let (height, width) = (Field::Int(self.stride[0]), Field::Int(self.stride[1]));
        let dilation = || Field::Int(self.dilation);
        // Conv2DOptions (1) and DepthwiseConv2DOptions (2): the latter have a field more before those of dilation.
        let (union, more) = match self.code {
            DEPTHWISE_CONV_2D => (2, 1),
            _ => (1, 0),
        };
        let mut fields = vec![(0, padding), (1, width), (2, height)];
        fields.extend([(4 + more, dilation()), (5 + more, dilation())]);
        Operator {
            options: Some((union, fields)),
            ..Operator::new(self.code, &[PADDED, FILTER, BIAS], &[output])
        }
    }

    fn model(&self) -> Model {
        let shape = [1, self.size[0], self.size[1], self.channels];
        let padded: Vec<i32> = shape
            .iter()
            .zip(self.border)
            .map(|(dim, [before, behind])| dim + before + behind)
            .collect();
        let (outputs, filter) = match self.code {
            DEPTHWISE_CONV_2D => (padded[3], [1, self.taps, self.taps, padded[3]]),
            _ => (5, [5, self.taps, self.taps, padded[3]]),
        };
        let picture =
            |shape: &[i32]| Tensor::new("", self.ty, shape).quantized(0.5, self.zero_point());
        let bias: Vec<u8> = (0..outputs).flat_map(|i| (100 * i).to_le_bytes()).collect();
        let filter_zero_point = if self.ty == UINT8 { 120 } else { 0 };
        Model {
            tensors: vec![
                picture(&shape),
                constant(&[4, 2], self.border.as_flattened()),
                picture(&padded),
                Tensor::new("", self.ty, &filter)
                    .quantized(0.25, filter_zero_point)
                    .constant(&bytes(filter.iter().product(), 1)),
                Tensor::new("", INT32, &[outputs])
                    .quantized(0.125, 0)
                    .constant(&bias),
                Tensor::new("", self.ty, &[1, 1, 1, outputs]).quantized(64.0, self.zero_point()),
            ],
            operators: vec![
                Operator::new(PAD, &[INPUT, PADDINGS], &[PADDED]),
                self.convolution(OUTPUT),
            ],
            inputs: vec![INPUT],
            outputs: vec![OUTPUT],
            ..Model::default()
        }
    }
}

fn build(model: &Loaded, kernels: KernelChoice) -> Interpreter {
    let builder = Interpreter::builder(model).kernels(kernels);
    builder.build().expect("an interpreter")
}

fn fill(interpreter: &mut Interpreter, seed: u32) {
    let mut input = interpreter.input_mut(0).expect("an input");
    let to = input.bytes_mut();
    to.copy_from_slice(&bytes(to.len() as i32, seed));
}

fn outputs(interpreter: &Interpreter) -> Vec<Vec<u8>> {
    let output = |index| {
        interpreter
            .output(index)
            .expect("an output")
            .bytes()
            .to_vec()
    };
    (0..interpreter.output_count()).map(output).collect()
}

/// What an observer sees: tensors with their bytes.
fn observed(interpreter: &mut Interpreter) -> Vec<(usize, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut observer = |event: &OperatorEvent<'_>| {
        seen.extend(event.outputs().map(|(t, view)| (t, view.bytes().to_vec())));
    };
    interpreter
        .invoke_observed(&mut observer)
        .expect("an inference");
    seen
}

/// Compares with the reference kernels, plain and observed, and says whether the PAD is left to the convolution.
fn compare(model: &Loaded, resize: Option<Shape>, name: &str) -> bool {
    let [mut fast, mut reference] =
        [KernelChoice::Fastest, KernelChoice::Reference].map(|kernels| build(model, kernels));
    let left = |interpreter: &Interpreter| {
        let mut operators = interpreter.operators();
        operators.any(|operator| operator.kernel == "padding")
    };
    assert!(!left(&reference), "{name}");
    if let Some(shape) = resize {
        for interpreter in [&mut fast, &mut reference] {
            interpreter.resize_input(0, shape).expect("another size");
        }
    }
    for seed in 0..3 {
        fill(&mut fast, seed);
        fill(&mut reference, seed);
        fast.invoke().expect("an inference");
        reference.invoke().expect("an inference");
        assert!(outputs(&fast) == outputs(&reference), "{name}");
        assert!(
            observed(&mut fast) == observed(&mut reference),
            "{name}, observed"
        );
        assert!(outputs(&fast) == outputs(&reference), "{name}, observed");
    }
    left(&fast)
}

#[test]
fn a_pad_is_left_to_the_convolution_behind_it() {
    let border = |rows, columns| [[0, 0], rows, columns, [0, 0]];
    let cases = [
        CASE,
        Case {
            border: border([0, 1], [0, 1]),
            stride: [2, 2],
            ..CASE
        },
        Case {
            border: border([2, 0], [1, 2]),
            stride: [1, 2],
            channels: 3,
            ..CASE
        },
        Case {
            border: border([1, 1], [0, 0]),
            is_same: true,
            ..CASE
        },
        Case {
            border: border([1, 0], [1, 1]),
            is_same: true,
            stride: [2, 3],
            ..CASE
        },
        Case {
            border: border([4, 3], [2, 4]),
            dilation: 2,
            ..CASE
        },
        Case {
            border: border([3, 3], [3, 3]),
            taps: 7,
            stride: [2, 2],
            channels: 3,
            ..CASE
        },
        Case {
            size: [1, 40],
            border: border([1, 1], [2, 2]),
            channels: 32,
            ..CASE
        },
    ];
    let mut left = 0;
    for case in cases {
        for ty in [INT8, UINT8] {
            for code in [CONV_2D, DEPTHWISE_CONV_2D] {
                let case = Case { ty, code, ..case };
                let model = load(&case.model());
                assert!(compare(&model, None, &format!("{case:?}")), "{case:?}");
                let more = Shape::new(&[2, 13, 30, case.channels as usize]).expect("a shape");
                assert!(compare(&model, Some(more), &format!("{case:?}, resized")));
                left += 1;
            }
        }
    }
    assert_eq!(left, 4 * cases.len());
}

#[test]
fn a_pad_with_its_value_as_an_operand_is_left_where_that_is_zero() {
    for (ty, value, expected) in [(INT8, 3, true), (INT8, 0, false), (UINT8, 131, true)] {
        let case = Case { ty, ..CASE };
        let mut model = case.model();
        let value = Tensor::new("", ty, &[1])
            .quantized(0.5, case.zero_point())
            .constant(&[value]);
        model.tensors.push(value);
        model.operators[0] = Operator::new(PADV2, &[INPUT, PADDINGS, ANOTHER], &[PADDED]);
        assert_eq!(compare(&load(&model), None, &format!("{case:?}")), expected);
    }
}

#[test]
fn a_pad_that_others_read_runs() {
    let picture = Tensor::new("", INT8, &[1, 1, 1, 5]).quantized(64.0, 3);
    let mut twice = CASE.model();
    twice.tensors.push(picture);
    twice.operators.push(CASE.convolution(ANOTHER));
    twice.outputs.push(ANOTHER);
    let mut output = CASE.model();
    output.outputs.push(PADDED);
    let channels = Case {
        border: [[0, 0], [1, 1], [1, 1], [0, 2]],
        ..CASE
    }
    .model();
    let batches = Case {
        border: [[1, 0], [1, 1], [1, 1], [0, 0]],
        ..CASE
    }
    .model();
    // Windows of nothing but zeros.
    let wide = Case {
        border: [[0, 0], [3, 0], [1, 1], [0, 0]],
        ..CASE
    }
    .model();
    for (name, model) in [
        ("read twice", twice),
        ("an output", output),
        ("channels", channels),
        ("batches", batches),
        ("wide", wide),
    ] {
        assert!(!compare(&load(&model), None, name), "{name}");
    }
}

/// What stands behind an operator whose shape was not foreseen is prepared anew.
#[test]
fn shapes_may_turn_out_otherwise_before_and_behind() {
    for held in [1, 2] {
        for (place, expected) in [(0, true), (1, false), (2, true)] {
            let mut model = CASE.model();
            model.tensors.extend([handle(), tensor(&[1])]);
            let read = Operator::new(READ_VARIABLE, &[ANOTHER], &[ANOTHER + 1]);
            model.operators.insert(place, read);
            model
                .operators
                .splice(0..0, [once(1), variable("read", ANOTHER)]);
            model
                .others
                .push(initial("read", &[held], &[7, 8][..held as usize]));
            let name = format!("{held} held, read at {place}");
            assert_eq!(compare(&load(&model), None, &name), expected, "{name}");
        }
    }
}

#[test]
fn a_pad_left_to_the_convolution_takes_no_memory_until_it_is_observed() {
    struct Replacing;
    impl Observer for Replacing {
        fn operator(&mut self, _: &OperatorEvent<'_>) {}
        fn results(&mut self, results: &mut OperatorResults<'_>) {
            let is_pad = results.info().index == 0;
            let len = 11 * 13 * 16;
            assert!(!is_pad || !results.replace(PADDED as usize, &vec![0; len]));
        }
    }
    let model = load(&CASE.model());
    let mut fast = build(&model, KernelChoice::Fastest);
    let (input, padded, output) = (9 * 11 * 16, 11 * 13 * 16, 9 * 11 * 5);
    let arena: usize = [input, output]
        .iter()
        .map(|bytes: &usize| bytes.next_multiple_of(16))
        .sum();
    assert_eq!(fast.arena_bytes(), arena);
    fast.invoke_observed(&mut Replacing).expect("an inference");
    assert_eq!(fast.arena_bytes(), arena + padded);
    let limited = Interpreter::builder(&model).arena_limit(arena);
    let mut limited = limited.build().expect("within the limit");
    limited.invoke().expect("an inference");
    let error = limited
        .invoke_observed(&mut Replacing)
        .expect_err("no room");
    let needed = format!(
        "the inference needs {} bytes for its tensors",
        arena + padded
    );
    assert!(error.to_string().contains(&needed), "{error}");
}
