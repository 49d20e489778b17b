//! Inputs where the caller has none.

use super::{DiffError, Which};
use crate::model::{BuiltinOperator, Model, OperatorKind, Subgraph};
use crate::oracle::compare::{Codes, CompareError, Dump, DumpArray, straight};
use crate::tensor::TensorType;

/// Random codes over the full range of every input, `samples` of each; the same for the same `seed`. A float32 input gets
/// the numbers that the codes of the QUANTIZE behind it stand for.
///
/// # Errors
/// A model with control flow, or an input that is neither quantized nor read by a QUANTIZE.
pub fn random_inputs(model: &Model, samples: usize, seed: u64) -> Result<Dump, DiffError> {
    let in_a = |source| DiffError::side(Which::A, source);
    let graph = model.graph();
    let subgraph = straight(graph).map_err(in_a)?;
    let mut random = SplitMix64(seed);
    let mut dump = Dump::default();
    for &input in &subgraph.inputs {
        let tensor = &subgraph.tensors[input];
        let name = graph.tensor_name(tensor).to_owned();
        let is_float = tensor.ty == TensorType::Float32;
        let grid = match is_float {
            true => quantized(subgraph, input),
            false => Codes::of(tensor),
        };
        let Some(grid) = grid else {
            return Err(match is_float {
                true => DiffError::NoRange { input: name },
                false => in_a(CompareError::InputType {
                    input: name,
                    ty: tensor.ty,
                }),
            });
        };
        let (low, high) = grid.range;
        let value = |_| {
            let code = low + random.below((high - low + 1) as u64) as i32;
            match is_float {
                true => grid.real(code) as f32,
                false => code as f32,
            }
        };
        dump.push(DumpArray {
            shape: [&[samples], tensor.shape.dims()].concat(),
            values: (0..samples * tensor.shape.count()).map(value).collect(),
            is_integer: !is_float,
            name,
        });
    }
    Ok(dump)
}

/// The grid that a QUANTIZE puts a float tensor on.
fn quantized(subgraph: &Subgraph, tensor: usize) -> Option<Codes> {
    let quantize = OperatorKind::Builtin(BuiltinOperator::QUANTIZE);
    let mut readers = subgraph.operators.iter();
    let reader =
        readers.find(|op| op.kind == quantize && op.inputs.first() == Some(&Some(tensor)))?;
    Codes::of(&subgraph.tensors[*reader.outputs.first()?])
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `count`, which is far below 2^32: the bias of the upper half's product is then without meaning.
    fn below(&mut self, count: u64) -> u64 {
        ((self.next() >> 32) * count) >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generator_gives_the_published_numbers() {
        // The first outputs for seed 1234567 in the author's splitmix64.c, as Rosetta Code lists them.
        let mut random = SplitMix64(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(first, expected);
    }
}
