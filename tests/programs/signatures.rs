use crate::model_builder::{Model, Operator, Signature, Subgraph};
use crate::models::{READ_VARIABLE, handle, running_sum, tensor, variable};
use crate::{interpreter, load};
use corallite::Interpreter;
use corallite::tensor::Shape;

/// "add" adds to a sum, "get" reads it.
fn adding_and_getting() -> Model {
    let mut model = running_sum(0);
    model.others.push(Subgraph {
        tensors: vec![handle(), tensor(&[1]), tensor(&[1])],
        operators: vec![variable("sum", 0), Operator::new(READ_VARIABLE, &[0], &[1])],
        inputs: vec![2],
        outputs: vec![1],
    });
    model.signatures = vec![
        Signature {
            key: "add",
            subgraph: 0,
            inputs: vec![("x", 0)],
            outputs: vec![("total", 3)],
        },
        Signature {
            key: "get",
            subgraph: 2,
            inputs: vec![("unused", 2)],
            outputs: vec![("total", 1)],
        },
    ];
    model
}

fn total(interpreter: &mut Interpreter, key: &str) -> i32 {
    let mut signature = interpreter.signature(key).expect(key);
    signature.invoke().expect("an inference");
    signature
        .output("total")
        .expect("output")
        .as_slice::<i32>()
        .expect("int32")[0]
}

#[test]
fn signatures_share_variables_and_have_tensors_by_name() {
    let mut interpreter = interpreter(&adding_and_getting());
    let mut add = interpreter.signature("add").expect("add");
    assert_eq!(add.inputs()[0].name, "x");
    assert_eq!(add.outputs()[0].name, "total");
    add.input_mut("x").expect("x").copy_from(&[4]).expect("one");
    assert_eq!(total(&mut interpreter, "add"), 4);
    assert_eq!(total(&mut interpreter, "add"), 8);
    assert_eq!(total(&mut interpreter, "get"), 8);
    // The first subgraph is what the interpreter was built for: the same tensors by index.
    assert_eq!(
        interpreter.input(0).expect("x").as_slice::<i32>(),
        Ok(&[4][..])
    );
    interpreter.invoke().expect("an inference");
    assert_eq!(total(&mut interpreter, "get"), 12);
    interpreter.reset();
    assert_eq!(total(&mut interpreter, "add"), 4);
}

#[test]
fn an_interpreter_can_be_built_for_any_signature() {
    let model = load(&adding_and_getting());
    let mut get = Interpreter::builder(&model)
        .signature("get")
        .build()
        .expect("get");
    assert_eq!(total(&mut get, "add"), 0);
    get.invoke().expect("an inference");
    assert_eq!(
        get.output(0).expect("total").as_slice::<i32>(),
        Ok(&[0][..])
    );
    assert_eq!(get.operators().count(), 2);
}

#[test]
fn a_signature_takes_other_shapes() {
    let mut interpreter = interpreter(&adding_and_getting());
    let mut add = interpreter.signature("add").expect("add");
    add.resize_input("x", Shape::new(&[2]).expect("small"))
        .expect("resized");
    add.input_mut("x")
        .expect("x")
        .copy_from(&[3, 5])
        .expect("two");
    add.invoke().expect("an inference");
    assert_eq!(
        add.output("total").expect("total").as_slice::<i32>(),
        Ok(&[3, 5][..])
    );
}

#[test]
fn errors_tell_the_names_there_are() {
    let mut interpreter = interpreter(&adding_and_getting());
    let error = interpreter
        .signature("sum")
        .err()
        .expect("no such signature");
    assert_eq!(
        error.to_string(),
        "signature \"sum\" asked for, the model has \"add\", \"get\""
    );
    let mut add = interpreter.signature("add").expect("add");
    let error = add.input_mut("y").expect_err("no such input");
    let text = "input \"y\" of signature \"add\" asked for, it has \"x\"";
    assert_eq!(error.to_string(), text);
    let error = add
        .resize_input("y", Shape::SCALAR)
        .expect_err("no such input");
    assert_eq!(error.to_string(), text);
    let error = add.output("x").expect_err("no such output");
    assert_eq!(
        error.to_string(),
        "output \"x\" of signature \"add\" asked for, it has \"total\""
    );
    let mut nameless = adding_and_getting();
    nameless.signatures.clear();
    let model = load(&nameless);
    let error = Interpreter::builder(&model).signature("add").build().err();
    assert_eq!(
        error.expect("no signature").to_string(),
        "signature \"add\" asked for, the model has none"
    );
}
