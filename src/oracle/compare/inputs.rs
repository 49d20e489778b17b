//! The training side's inputs as codes of the model: most differences begin here.

use super::dump::{Dump, DumpArray};
use super::mapping::Map;
use super::{Codes, CompareError};
use crate::interpreter::{AccessError, Interpreter};
use crate::model::{Graph, Subgraph, Tensor};
use crate::tensor::TensorType;

/// What was given to one input of the model.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InputCheck {
    /// Name of the input.
    pub name: String,
    /// The array whose codes, or whose values quantized, the model gets.
    pub array: String,
    /// Whether the array holds codes.
    pub is_codes: bool,
    /// Where the archive holds real values beside the codes: their array, the codes that differ from them by more than a
    /// half step, and the largest difference.
    pub beside: Option<(String, u64, f64)>,
    /// Values half way between two codes, where NumPy and TFLite round apart.
    pub ties: u64,
    /// Values that the input's codes cannot represent.
    pub beyond: u64,
    /// Elements.
    pub count: u64,
    /// The lowest and the highest value given, in real numbers.
    pub span: (f64, f64),
    /// The lowest and the highest value that the input represents.
    pub represented: (f64, f64),
}

impl InputCheck {
    /// Whether something is wrong: codes and values disagree, or values are beyond the codes.
    pub fn is_suspicious(&self) -> bool {
        self.beyond * 100 > self.count || self.beside.as_ref().is_some_and(|(_, n, _)| *n > 0)
    }

    /// Whether the values use so little of the input's range that they look scaled another way: 0 to 255 given as 0 to 1,
    /// or the like.
    pub fn looks_scaled(&self) -> bool {
        let represented = self.represented.1 - self.represented.0;
        let given = self.span.1 - self.span.0;
        given < represented / 50.0 || given > represented * 1.5
    }
}

/// An input with the bytes of all inferences.
pub(in crate::oracle) struct Input {
    pub(in crate::oracle) array: usize,
    pub(super) bytes: Vec<u8>,
    /// The largest distance between a code and the value it was made from, in LSB.
    pub(super) distance: f64,
    pub(super) check: InputCheck,
}

/// Finds the array for every input and turns it into the input's codes.
pub(in crate::oracle) fn find(
    graph: &Graph,
    subgraph: &Subgraph,
    dump: &Dump,
    map: &Map,
) -> Result<Vec<Input>, CompareError> {
    let indices = || subgraph.inputs.iter().enumerate();
    let name_of = |tensor: usize| graph.tensor_name(&subgraph.tensors[tensor]);
    let is_meant = |wanted: &str, number: usize, tensor: usize| {
        wanted == name_of(tensor) || wanted.parse() == Ok(number)
    };
    for (wanted, _) in &map.inputs {
        if !indices().any(|(number, &tensor)| is_meant(wanted, number, tensor)) {
            return Err(CompareError::NoSuchInput {
                input: wanted.clone(),
                present: subgraph
                    .inputs
                    .iter()
                    .map(|&t| name_of(t).to_owned())
                    .collect(),
            });
        }
    }
    indices()
        .map(|(number, &tensor)| {
            let declared = &subgraph.tensors[tensor];
            let name = name_of(tensor).to_owned();
            let mut given = map.inputs.iter();
            let given = given.find(|(wanted, _)| is_meant(wanted, number, tensor));
            let array = match given {
                Some((_, wanted)) => find_array(dump, wanted)?,
                None => guess(dump, &name, subgraph.inputs.len(), |array| {
                    fits(array, declared)
                })
                // One that is the input by its name, to say that its shape is wrong.
                .or_else(|| guess(dump, &name, subgraph.inputs.len(), |_| true))
                .ok_or_else(|| CompareError::NoInput {
                    input: name.clone(),
                    shape: declared.shape.into(),
                    candidates: names(dump),
                })?,
            };
            of_array(graph, declared, dump, array)
        })
        .collect()
}

/// Whether an array holds one or more inferences of an input.
fn fits(array: &DumpArray, declared: &Tensor) -> bool {
    let count = declared.shape.count().max(1);
    !array.values.is_empty() && array.values.len().is_multiple_of(count)
}

/// Array number `array` of the dump as the input `declared` takes it.
pub(in crate::oracle) fn of_array(
    graph: &Graph,
    declared: &Tensor,
    dump: &Dump,
    array: usize,
) -> Result<Input, CompareError> {
    let given = &dump.arrays()[array];
    let name = graph.tensor_name(declared).to_owned();
    if !fits(given, declared) {
        return Err(CompareError::Shape {
            array: given.name.clone(),
            found: given.shape.clone(),
            tensor: name,
            expected: declared.shape.into(),
        });
    }
    if declared.ty == TensorType::Float32 {
        return Ok(of_floats(dump, array, name));
    }
    let codes = Codes::of(declared).ok_or_else(|| CompareError::InputType {
        input: name.clone(),
        ty: declared.ty,
    })?;
    Ok(of_codes(dump, array, name, declared.ty, &codes))
}

/// Gives inference `number` of `inferences` to the interpreter.
pub(super) fn write(
    inputs: &[Input],
    interpreter: &mut Interpreter,
    number: usize,
    inferences: usize,
) -> Result<(), CompareError> {
    for (index, input) in inputs.iter().enumerate() {
        let len = input.bytes.len() / inferences.max(1);
        let bytes = &input.bytes[number * len..][..len];
        let access = |source| CompareError::Access { source };
        let mut tensor = interpreter.input_mut(index).map_err(access)?;
        tensor.copy_from_bytes(bytes).map_err(|source| {
            access(AccessError::Tensor {
                what: "input",
                index,
                source,
            })
        })?;
    }
    Ok(())
}

pub(super) fn find_array(dump: &Dump, name: &str) -> Result<usize, CompareError> {
    dump.find(name).ok_or_else(|| CompareError::NoSuchArray {
        array: name.to_owned(),
        present: names(dump),
    })
}

fn names(dump: &Dump) -> Vec<String> {
    dump.arrays().iter().map(|a| a.name.clone()).collect()
}

/// The array named as the input, or of a model's only input one whose name begins with `input`; codes before values.
fn guess(
    dump: &Dump,
    name: &str,
    inputs: usize,
    fits: impl Fn(&DumpArray) -> bool,
) -> Option<usize> {
    let plain = |name: &str| name.split(':').next().unwrap_or(name).replace('/', ".");
    let wanted = plain(name);
    let arrays = dump.arrays();
    let position =
        |test: &dyn Fn(&DumpArray) -> bool| arrays.iter().position(|a| fits(a) && test(a));
    let is_input = |a: &DumpArray| a.name.starts_with("input") && !a.name.contains('|');
    position(&|a| plain(&a.name) == wanted).or_else(|| {
        if inputs != 1 {
            return None;
        }
        position(&|a| is_input(a) && a.is_integer).or_else(|| position(&is_input))
    })
}

fn of_floats(dump: &Dump, array: usize, name: String) -> Input {
    let given = &dump.arrays()[array];
    let span = span(&given.values);
    Input {
        array,
        bytes: bytemuck::cast_slice(&given.values).to_vec(),
        distance: 0.0,
        check: InputCheck {
            name,
            array: given.name.clone(),
            is_codes: false,
            beside: None,
            ties: 0,
            beyond: 0,
            count: given.values.len() as u64,
            span,
            represented: span,
        },
    }
}

fn span(values: &[f32]) -> (f64, f64) {
    values.iter().fold((f64::MAX, f64::MIN), |(low, high), &v| {
        (low.min(v.into()), high.max(v.into()))
    })
}

fn of_codes(dump: &Dump, array: usize, name: String, ty: TensorType, codes: &Codes) -> Input {
    let given = &dump.arrays()[array];
    let (low, high) = (f64::from(codes.range.0), f64::from(codes.range.1));
    let (mut ties, mut beyond) = (0, 0);
    let stored: Vec<i32> = given
        .values
        .iter()
        .map(|&value| {
            let lsb = match given.is_integer {
                true => f64::from(value),
                false => f64::from(value) / codes.scale + f64::from(codes.zero_point),
            };
            ties += u64::from((lsb.fract().abs() - 0.5).abs() < 1e-4);
            beyond += u64::from(lsb < low - 0.5 || lsb > high + 0.5);
            match given.is_integer {
                true => lsb.clamp(low, high) as i32,
                false => codes.quantize(value),
            }
        })
        .collect();
    let distance = match given.is_integer {
        true => 0.0,
        false => codes.largest_distance(&stored, &given.values),
    };
    let real = |code: i32| codes.real(code);
    let given_span = stored.iter().fold((f64::MAX, f64::MIN), |(l, h), &code| {
        (l.min(real(code)), h.max(real(code)))
    });
    Input {
        array,
        distance,
        check: InputCheck {
            name,
            array: given.name.clone(),
            is_codes: given.is_integer,
            beside: beside(dump, array, &stored, codes),
            ties,
            beyond,
            count: stored.len() as u64,
            span: if given.is_integer {
                given_span
            } else {
                span(&given.values)
            },
            represented: (real(codes.range.0), real(codes.range.1)),
        },
        bytes: to_bytes(&stored, ty),
    }
}

/// Codes as the tensor stores them.
pub(super) fn to_bytes(codes: &[i32], ty: TensorType) -> Vec<u8> {
    match ty {
        TensorType::Int16 => codes
            .iter()
            .flat_map(|&c| (c as i16).to_ne_bytes())
            .collect(),
        _ => codes.iter().map(|&c| c as u8).collect(),
    }
}

/// Real values in the archive beside the codes that were given, and how many codes are not theirs.
fn beside(dump: &Dump, array: usize, stored: &[i32], codes: &Codes) -> Option<(String, u64, f64)> {
    let given = &dump.arrays()[array];
    if !given.is_integer {
        return None;
    }
    let other = dump.arrays().iter().find(|other| {
        !other.is_integer
            && other.values.len() == stored.len()
            && other.name.starts_with("input")
            && !other.name.contains('|')
    })?;
    let distances = stored.iter().zip(&other.values).map(|(&code, &value)| {
        let lsb = f64::from(value) / codes.scale + f64::from(codes.zero_point);
        (f64::from(code) - lsb).abs()
    });
    let (differing, largest) = distances.fold((0, 0.0f64), |(n, largest), d| {
        (n + u64::from(d > 0.501), largest.max(d))
    });
    Some((other.name.clone(), differing, largest))
}
