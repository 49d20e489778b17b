use crate::model_builder::{Model, Operator, Subgraph};
use crate::models::{
    ADD, MAXIMUM, add, constant, count, either, once, repeat, tensor, verdict, with_constant,
};
use crate::{interpreter, load, run};
use corallite::Interpreter;
use corallite::interpreter::OperatorEvent;

#[test]
fn a_loop_runs_until_its_condition_fails_and_not_at_all_where_it_never_holds() {
    let mut counting = interpreter(&count(10, 3));
    // 1 4 7 10; 9 12; 10 and 20 are not below 10.
    for (start, end) in [(1, 10), (9, 12), (10, 10), (20, 20), (1, 10)] {
        assert_eq!(
            run::<i32, i32>(&mut counting, &[start]).1,
            [end],
            "from {start}"
        );
    }
}

#[test]
fn an_observer_sees_an_operator_with_subgraphs_once() {
    let mut counting = interpreter(&count(10, 3));
    let mut seen = Vec::new();
    let mut observer = |event: &OperatorEvent<'_>| {
        let results: Vec<i32> = event
            .outputs()
            .flat_map(|(_, tensor)| tensor.as_slice::<i32>().expect("int32").to_vec())
            .collect();
        seen.push((event.info().kernel, results));
    };
    counting
        .input_mut(0)
        .expect("input")
        .copy_from(&[1])
        .expect("one");
    counting
        .invoke_observed(&mut observer)
        .expect("an inference");
    assert_eq!(seen, [("while", vec![10])]);
}

fn choosing(branches: [Subgraph; 2]) -> Model {
    Model {
        tensors: vec![verdict(), constant(&[2], &[1, 5]), tensor(&[2])],
        operators: vec![either(&[0, 1], &[2], [1, 2])],
        inputs: vec![0],
        outputs: vec![2],
        others: branches.to_vec(),
        ..Model::default()
    }
}

#[test]
fn a_branch_is_chosen_at_each_inference() {
    let branches = [with_constant(ADD, &[2], 7), with_constant(MAXIMUM, &[2], 3)];
    let mut choosing = interpreter(&choosing(branches));
    // [1, 5] + 7, or [1, 5] but at least 3.
    for _ in 0..2 {
        assert_eq!(run::<u8, i32>(&mut choosing, &[1]).1, [8, 12]);
        assert_eq!(run::<u8, i32>(&mut choosing, &[0]).1, [3, 5]);
    }
}

#[test]
fn branches_that_do_not_take_or_give_what_the_operator_has_are_refused() {
    let good = with_constant(ADD, &[2], 7);
    let no_input = Subgraph {
        inputs: vec![],
        ..with_constant(ADD, &[2], 7)
    };
    let no_output = Subgraph {
        outputs: vec![],
        ..with_constant(ADD, &[2], 7)
    };
    let constant_input = Subgraph {
        inputs: vec![1],
        ..Subgraph {
            tensors: vec![
                constant(&[2], &[0, 0]),
                constant(&[2], &[0, 0]),
                tensor(&[2]),
            ],
            ..with_constant(ADD, &[2], 7)
        }
    };
    let cases = [
        (
            no_output,
            "operator 0 IF: attribute else_subgraph is a subgraph with outputs (), expected one output for each result, of its type",
        ),
        (
            constant_input,
            "operator 0 IF: attribute else_subgraph is a subgraph whose input 0 is a constant, expected inputs that the operands can fill",
        ),
    ];
    for (bad, expected) in cases {
        let model = load(&choosing([good.clone(), bad]));
        let error = Interpreter::builder(&model).build().err().expect("refused");
        assert_eq!(error.to_string(), expected);
    }
    // Without an input the branch reads what nothing writes, which loading refuses already.
    let broken = choosing([good, no_input]).to_bytes();
    assert!(corallite::Model::from_bytes(&broken).is_err());
}

#[test]
fn subgraphs_that_run_themselves_are_refused_at_load() {
    let mut direct = count(10, 1);
    direct.others[1].operators.push(once(2));
    let mut through_another = count(10, 1);
    through_another.others[1].operators.push(once(3));
    through_another.others.push(Subgraph {
        operators: vec![once(2)],
        ..Subgraph::default()
    });
    let mut entry = count(10, 1);
    entry.others[1].operators.push(once(0));
    for (model, place) in [
        (direct, "subgraph 2, operator 1: subgraph 2"),
        (through_another, "subgraph 3, operator 0: subgraph 2"),
        (entry, "subgraph 2, operator 1: subgraph 0"),
    ] {
        let error = corallite::Model::from_bytes(&model.to_bytes()).expect_err("a cycle");
        let expected = format!(
            "{place} runs itself, expected calls without cycles; the file is damaged or was edited; convert or copy it again"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_subgraph_that_is_not_there_is_refused_at_load() {
    let model = choosing([with_constant(ADD, &[2], 7), with_constant(ADD, &[2], 7)]);
    for (number, found) in [(3, "3"), (-1, "-1")] {
        let mut model = model.clone();
        model.operators = vec![either(&[0, 1], &[2], [1, number])];
        let error = corallite::Model::from_bytes(&model.to_bytes()).expect_err("no subgraph");
        let expected = format!(
            "subgraph 0, operator 0: called subgraph {found} found, expected an index below 3"
        );
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn what_a_loop_hands_on_untouched_may_decide_shapes() {
    // The body pads by what it is given: known before inference, because nothing changes it.
    let body = Subgraph {
        tensors: vec![
            tensor(&[]),
            tensor(&[1, 2]),
            constant(&[], &[1]),
            tensor(&[]),
        ],
        operators: vec![add(&[0, 2], &[3])],
        inputs: vec![0, 1],
        outputs: vec![3, 1],
    };
    let condition = Subgraph {
        tensors: vec![tensor(&[]), tensor(&[1, 2]), constant(&[], &[4]), verdict()],
        operators: vec![Operator::new(crate::models::LESS, &[0, 2], &[3])],
        inputs: vec![0, 1],
        outputs: vec![3],
    };
    let model = Model {
        tensors: vec![
            tensor(&[]),
            constant(&[1, 2], &[5, 6]),
            tensor(&[]),
            tensor(&[1, 2]),
        ],
        operators: vec![repeat(&[0, 1], &[2, 3], [1, 2])],
        inputs: vec![0],
        outputs: vec![3, 2],
        others: vec![condition, body],
        ..Model::default()
    };
    let mut interpreter = interpreter(&model);
    assert_eq!(run::<i32, i32>(&mut interpreter, &[0]).1, [5, 6]);
    let counted = interpreter.output(1).expect("output");
    assert_eq!(counted.as_slice::<i32>(), Ok(&[4][..]));
}
