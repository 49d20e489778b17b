use crate::model_builder::{INT8, INT32, Model, Operator, Subgraph, Tensor, doubling};
use crate::models::{
    LESS, PAD, UNIQUE, constant, count, initial, numbers_below, once, repeat, tensor, verdict,
};
use crate::{load, run, try_run};
use corallite::Interpreter;

#[test]
fn a_loop_without_end_ends_at_the_limit() {
    // Adding 0 never leads up to 10.
    let model = load(&count(10, 0));
    let builder = Interpreter::builder(&model).loop_limit(1000);
    let mut endless = builder.build().expect("built");
    let error = try_run::<i32, i32>(&mut endless, &[0]).expect_err("no end");
    assert_eq!(
        error.to_string(),
        "operator 0 WHILE: the loops of the inference take more than 1000 rounds, the limit; raise it with loop_limit if the model is trusted"
    );
    // The next inference has all its rounds again.
    assert_eq!(run::<i32, i32>(&mut endless, &[10]).1, [10]);
}

#[test]
#[cfg_attr(miri, ignore = "a hundred inferences take minutes under Miri")]
fn inferences_that_fail_take_no_memory_along() {
    // Without end, what is carried grows by an element a round.
    let condition = Subgraph {
        tensors: vec![
            tensor(&[1]),
            constant(&[], &[0]),
            constant(&[], &[1]),
            verdict(),
        ],
        operators: vec![Operator::new(LESS, &[1, 2], &[3])],
        inputs: vec![0],
        outputs: vec![3],
    };
    let body = Subgraph {
        tensors: vec![tensor(&[1]), constant(&[1, 2], &[0, 1]), tensor(&[2])],
        operators: vec![Operator::new(PAD, &[0, 1], &[2])],
        inputs: vec![0],
        outputs: vec![2],
    };
    let model = load(&Model {
        tensors: vec![tensor(&[1]), tensor(&[1])],
        operators: vec![repeat(&[0], &[1], [1, 2])],
        inputs: vec![0],
        outputs: vec![1],
        others: vec![condition, body],
        ..Model::default()
    });
    let builder = Interpreter::builder(&model).loop_limit(5).arena_limit(1024);
    let mut growing = builder.build().expect("built");
    for _ in 0..100 {
        let error = try_run::<i32, i32>(&mut growing, &[7]).expect_err("no end");
        let text = error.to_string();
        assert!(
            text.contains("the inference take more than 5 rounds"),
            "{text}"
        );
    }
}

#[test]
fn rounds_up_to_the_limit_are_granted() {
    let model = load(&count(10, 1));
    let mut ten = Interpreter::builder(&model)
        .loop_limit(10)
        .build()
        .expect("built");
    assert_eq!(run::<i32, i32>(&mut ten, &[0]).1, [10]);
    assert!(try_run::<i32, i32>(&mut ten, &[-1]).is_err());
}

#[test]
fn work_in_loops_counts() {
    let model = load(&count(1000, 1));
    let mut limited = Interpreter::builder(&model)
        .work_limit(200)
        .build()
        .expect("built");
    // WHILE reads one, writes one and counts one: 3. LESS 21 times and ADD 20 times, a unit more each, make 164.
    assert_eq!(run::<i32, i32>(&mut limited, &[980]).1, [1000]);
    let error = try_run::<i32, i32>(&mut limited, &[900]).expect_err("100 rounds");
    let text = error.to_string();
    assert!(
        text.ends_with("the inference takes more than 200 units of work, the limit; raise it with work_limit if the model is trusted"),
        "{text}"
    );
}

#[test]
fn work_that_is_known_before_is_refused_before() {
    let model = load(&doubling());
    // Three multiplications, three elements and two constants read, three written, one operator.
    assert!(Interpreter::builder(&model).work_limit(12).build().is_ok());
    let error = Interpreter::builder(&model).work_limit(11).build().err();
    assert_eq!(
        error.expect("too much").to_string(),
        "one inference takes more than 11 units of work, the limit; raise it with work_limit if the model is trusted"
    );
}

#[test]
fn shapes_that_values_ask_for_keep_the_memory_limit() {
    let model = load(&numbers_below());
    let mut numbers = Interpreter::builder(&model)
        .arena_limit(4096)
        .build()
        .expect("built");
    let error = try_run::<i32, i32>(&mut numbers, &[i32::MAX]).expect_err("8 GiB");
    assert!(
        error
            .to_string()
            .ends_with("the limit is 4096; raise it with arena_limit if the model is trusted"),
        "{error}"
    );
    assert_eq!(run::<i32, i32>(&mut numbers, &[3]).1, [0, 1, 2]);
}

#[test]
fn variables_keep_the_memory_limit() {
    let model = load(&Model {
        operators: vec![once(1)],
        others: vec![initial("v", &[1000], &[0; 1000])],
        ..Model::default()
    });
    // 1000 elements of four bytes.
    assert!(
        Interpreter::builder(&model)
            .arena_limit(4000)
            .build()
            .is_ok()
    );
    let error = Interpreter::builder(&model).arena_limit(3999).build().err();
    assert_eq!(
        error.expect("too much").to_string(),
        "the model needs 4000 bytes for its tensors or for weights that operators pack, the limit is 3999; raise it with arena_limit if the model is trusted"
    );
}

#[test]
fn levels_of_subgraphs_are_limited() {
    let nested = |levels: usize| {
        let level = |next: usize| Subgraph {
            operators: if next <= levels {
                vec![once(next as i32)]
            } else {
                vec![]
            },
            ..Subgraph::default()
        };
        Model {
            operators: vec![once(1)],
            others: (2..levels + 2).map(level).collect(),
            ..Model::default()
        }
    };
    let mut deep = Interpreter::builder(&load(&nested(32)))
        .build()
        .expect("32 levels");
    deep.invoke().expect("an inference");
    let error = corallite::Model::from_bytes(&nested(33).to_bytes()).expect_err("33 levels");
    let expected = "subgraphs run one another more than 32 levels deep, expected 32 at most; flatten the model's control flow";
    assert!(error.to_string().ends_with(expected), "{error}");
}

#[test]
#[cfg_attr(miri, ignore = "200,000 operators are prepared before the limit")]
fn subgraphs_that_double_at_each_level_are_refused() {
    // Each of 30 subgraphs runs the next one twice: 2^30 programs.
    let level = |next: i32| Subgraph {
        operators: if next <= 30 {
            vec![once(next), once(next)]
        } else {
            vec![]
        },
        ..Subgraph::default()
    };
    let model = Model {
        operators: vec![once(1)],
        others: (2..32).map(level).collect(),
        ..Model::default()
    };
    let error = Interpreter::builder(&load(&model))
        .build()
        .err()
        .expect("too many");
    let expected = "subgraphs run one another at so many places that more than 200000 operators would have to be prepared";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// Nothing is padded, and yet a loop over the first axis would go round two thousand million times.
#[test]
fn empty_tensors_with_a_long_axis_are_work() {
    let long = [i32::MAX, 0];
    let model = load(&Model {
        tensors: vec![tensor(&long), constant(&[2, 2], &[0; 4]), tensor(&long)],
        operators: vec![Operator::new(PAD, &[0, 1], &[2])],
        inputs: vec![0],
        outputs: vec![2],
        ..Model::default()
    });
    let error = Interpreter::builder(&model).work_limit(1 << 30).build();
    let text = error.err().expect("too much work").to_string();
    assert!(
        text.contains("more than 1073741824 units of work"),
        "{text}"
    );
}

#[test]
fn memory_to_find_results_of_unknown_size_keeps_the_limit() {
    let model = load(&Model {
        tensors: vec![tensor(&[1000]), tensor(&[0]), tensor(&[1000])],
        operators: vec![Operator {
            options: Some((81, vec![])),
            ..Operator::new(UNIQUE, &[0], &[1, 2])
        }],
        inputs: vec![0],
        outputs: vec![1, 2],
        ..Model::default()
    });
    let numbers: Vec<i32> = (0..1000).map(|i| i % 10).collect();
    // The tensors take 8,040 bytes; sorting takes 16 an element, first places 4, results 8.
    let unique = |limit| {
        let builder = Interpreter::builder(&model).arena_limit(limit);
        let mut unique = builder.build().expect("built");
        try_run::<i32, i32>(&mut unique, &numbers)
    };
    let (shape, values) = unique(28_000).expect("just enough");
    assert_eq!(shape, [10]);
    assert_eq!(values, numbers[..10]);
    assert_eq!(
        unique(27_999).expect_err("one byte short").to_string(),
        "operator 0 UNIQUE: the operator needs 28000 bytes for itself, the limit is 27999; raise it with arena_limit if the model is trusted"
    );
}

/// Twenty convolutions share 64 KiB of weights, which each of them packs.
#[test]
#[cfg_attr(miri, ignore = "packs 1.2 MiB")]
fn weights_that_operators_share_are_packed_within_a_limit() {
    let picture = || Tensor::new("", INT8, &[1, 3, 1, 256]).quantized(1.0, 0);
    let weights = Tensor::new("", INT8, &[256, 1, 1, 256]).quantized(0.01, 0);
    let bias = Tensor::new("", INT32, &[256]).quantized(0.01, 0);
    let chain = |length: i32| {
        let mut tensors = vec![
            weights.clone().constant(&[1; 256 * 256]),
            bias.clone().constant(&[0; 256 * 4]),
        ];
        tensors.extend((0..=length).map(|_| picture()));
        load(&Model {
            tensors,
            operators: (2..length + 2)
                .map(|from| Operator::conv_2d(&[from, 0, 1], from + 1))
                .collect(),
            inputs: vec![2],
            outputs: vec![length + 2],
            ..Model::default()
        })
    };
    let built = |length| {
        let model = chain(length);
        Interpreter::builder(&model).arena_limit(4096).build().err()
    };
    assert!(built(3).is_none());
    // Eight bytes for each of some 70 KiB, and 20 times 64 KiB at least.
    let text = built(20).expect("too much").to_string();
    assert!(
        text.ends_with("raise it with arena_limit if the model is trusted"),
        "{text}"
    );
}
