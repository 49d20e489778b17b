//! Which array of the training side belongs to which tensor: by a map, by name, by value. What is not clear is not paired.

use super::Codes;
use super::dump::{Dump, DumpArray};
use crate::tensor::Shape;

/// What the caller knows of the pairing. Tensors are given by name or by index.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Map {
    /// Input of the model, array.
    pub inputs: Vec<(String, String)>,
    /// Tensor, array; `None` leaves the tensor without a partner.
    pub tensors: Vec<(String, Option<String>)>,
}

/// How a tensor and an array were paired.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PairedBy {
    /// The caller's map.
    Map,
    /// The array's first name part occurs in the tensor's name.
    Name,
    /// Of several arrays whose names fit, or of all where none does, this one is by far the nearest on the same input.
    Value {
        /// Its mean magnitude of differences in LSB.
        mean: f64,
        /// The second best array with its mean.
        runner_up: Option<(String, f64)>,
    },
}

/// The order of an array's axes behind the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// That of the tensor.
    Same,
    /// Channels first where the tensor has them last.
    ChannelsFirst,
}

/// The array that belongs to a tensor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pairing {
    /// Its place in the dump.
    pub array: usize,
    /// How it was found.
    pub by: PairedBy,
    /// The order of its axes.
    pub layout: Layout,
}

/// Why a tensor has no partner.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Unpaired {
    /// The map says so.
    Map,
    /// No array has as many elements and is near.
    NoCandidate,
    /// No array fits; one has the layer's name but another number of elements.
    Shape {
        /// Its name.
        array: String,
        /// Its extents.
        found: Vec<usize>,
    },
    /// Two arrays fit about as well: names and means in LSB.
    Ambiguous {
        best: (String, f64),
        second: (String, f64),
    },
}

/// A pairing by value needs a mean difference below this, in LSB.
const NEAR: f64 = 3.0;

/// And the second best array has to be this many times farther away.
const MARGIN: f64 = 2.0;

/// Means below this, in LSB, are all as good as equal.
const SAME: f64 = 0.05;

/// The elements of inference `number`, in the tensor's order.
pub(super) fn slice(
    array: &DumpArray,
    layout: Layout,
    shape: &Shape,
    number: usize,
) -> Option<Vec<f32>> {
    let count = shape.count();
    let values = array.values.get(number * count..(number + 1) * count)?;
    match (layout, shape.dims()) {
        (Layout::ChannelsFirst, &[batch, height, width, channels]) => {
            let area = height * width;
            let mut result = Vec::with_capacity(count);
            for b in 0..batch {
                for position in 0..area {
                    let at = |c: usize| values[(b * channels + c) * area + position];
                    result.extend((0..channels).map(at));
                }
            }
            Some(result)
        }
        _ => Some(values.to_vec()),
    }
}

/// Whether reordering the axes of a tensor of this shape changes anything.
fn has_layouts(shape: &Shape) -> bool {
    matches!(shape.dims(), &[_, h, w, c] if h * w > 1 && c > 1)
}

/// The parts of a name: paths of several fused operators, split at slashes and dots, without output numbers.
fn parts(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.split([';', '/', '.']);
    parts.map(|part| part.split(':').next().unwrap_or(part))
}

/// Parts that say nothing about the layer.
fn is_generic(part: &str) -> bool {
    part.is_empty()
        || part.starts_with("model")
        || part.starts_with("functional")
        || part.starts_with("sequential")
        || part == "StatefulPartitionedCall"
}

/// The layer that an array's name begins with.
pub(super) fn scope(array: &str) -> &str {
    let name = array.split('|').next().unwrap_or(array);
    parts(name).find(|part| !is_generic(part)).unwrap_or(name)
}

/// Whether an array's name fits a tensor's.
fn names_fit(tensor: &str, array: &str) -> bool {
    let scope = scope(array);
    parts(tensor).any(|part| part == scope)
}

/// A tensor that looks for its partner.
pub(super) struct Seeker<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Shape,
    pub(super) codes: Codes,
    /// The kernel's codes at the first inference.
    pub(super) values: &'a [i32],
    pub(super) inferences: usize,
}

impl Seeker<'_> {
    /// The array among those that `is_free`, or why there is none.
    pub(super) fn find(
        &self,
        dump: &Dump,
        is_free: impl Fn(usize) -> bool,
    ) -> Result<Pairing, Unpaired> {
        let wanted = self.shape.count() * self.inferences;
        let candidates: Vec<usize> = (0..dump.arrays().len())
            .filter(|&index| {
                let array = &dump.arrays()[index];
                is_free(index) && !array.name.contains('|') && array.values.len() == wanted
            })
            .collect();
        let named: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&index| names_fit(self.name, &dump.arrays()[index].name))
            .collect();
        if let [only] = named[..] {
            let (_, layout) = self.nearest_layout(&dump.arrays()[only]);
            return Ok(Pairing {
                array: only,
                by: PairedBy::Name,
                layout,
            });
        }
        let is_named = !named.is_empty();
        let found = self.by_value(dump, if is_named { named } else { candidates }, is_named);
        match (&found, self.misshapen(dump, &is_free)) {
            (Err(Unpaired::NoCandidate), Some(array)) => Err(Unpaired::Shape {
                array: array.name.clone(),
                found: array.shape.clone(),
            }),
            _ => found,
        }
    }

    /// An array that has the layer's name and is neither a parameter nor a range, but has another number of elements.
    fn misshapen<'d>(
        &self,
        dump: &'d Dump,
        is_free: &impl Fn(usize) -> bool,
    ) -> Option<&'d DumpArray> {
        let wanted = self.shape.count() * self.inferences;
        let mut arrays = dump.arrays().iter().enumerate();
        let misshapen = arrays.find(|(index, array)| {
            let is_parameter = ["|", "weight", "kernel", "bias"]
                .iter()
                .any(|word| array.name.contains(word));
            is_free(*index)
                && !is_parameter
                && array.values.len() != wanted
                && names_fit(self.name, &array.name)
        });
        misshapen.map(|(_, array)| array)
    }

    /// The nearest of several arrays, where it is much nearer than all others.
    fn by_value(
        &self,
        dump: &Dump,
        candidates: Vec<usize>,
        is_named: bool,
    ) -> Result<Pairing, Unpaired> {
        let mut ranked: Vec<(f64, Layout, usize)> = candidates
            .into_iter()
            .map(|index| {
                let (mean, layout) = self.nearest_layout(&dump.arrays()[index]);
                (mean, layout, index)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some(&(mean, layout, array)) = ranked.first() else {
            return Err(Unpaired::NoCandidate);
        };
        if mean > NEAR && !is_named {
            return Err(Unpaired::NoCandidate);
        }
        // Copies of the same values are one candidate.
        let values = &dump.arrays()[array].values;
        let second = ranked[1..]
            .iter()
            .find(|&&(.., index)| dump.arrays()[index].values != *values);
        let name = |index: usize| dump.arrays()[index].name.clone();
        if let Some(&(other, _, index)) = second
            && other < MARGIN * mean.max(SAME)
        {
            return Err(Unpaired::Ambiguous {
                best: (name(array), mean),
                second: (name(index), other),
            });
        }
        Ok(Pairing {
            array,
            by: PairedBy::Value {
                mean,
                runner_up: second.map(|&(mean, _, index)| (name(index), mean)),
            },
            layout,
        })
    }

    /// The better of the possible layouts with its mean magnitude of differences, in LSB.
    fn nearest_layout(&self, array: &DumpArray) -> (f64, Layout) {
        let same = (self.mean(array, Layout::Same), Layout::Same);
        if !has_layouts(&self.shape) {
            return same;
        }
        let other = self.mean(array, Layout::ChannelsFirst);
        // The tensor's own order unless the other is clearly the right one.
        if other * MARGIN < same.0 {
            return (other, Layout::ChannelsFirst);
        }
        same
    }

    fn mean(&self, array: &DumpArray, layout: Layout) -> f64 {
        let Some(values) = slice(array, layout, &self.shape, 0) else {
            return f64::INFINITY;
        };
        let pairs = values.iter().zip(self.values);
        let sum: f64 = pairs
            .map(|(&value, &code)| (f64::from(code) - self.codes.reference(value).lsb).abs())
            .sum();
        sum / self.values.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::npy::NpyArray;

    const CODES: Codes = Codes {
        scale: 1.0,
        zero_point: 0,
        range: (0, 255),
    };

    fn dump(arrays: &[(&str, &[usize], &[f32])]) -> Dump {
        let mut dump = Dump::default();
        for (name, shape, values) in arrays {
            let array = NpyArray::from_slice(values, shape).expect("array");
            dump.add(name, &array).expect("finite");
        }
        dump
    }

    fn find(name: &str, dims: &[usize], values: &[i32], dump: &Dump) -> Result<Pairing, Unpaired> {
        let seeker = Seeker {
            name,
            shape: Shape::new(dims).expect("shape"),
            codes: CODES,
            values,
            inferences: 1,
        };
        seeker.find(dump, |_| true)
    }

    #[test]
    fn names_pair_whatever_the_values() {
        let dump = dump(&[
            (
                "conv1.act_quant.FakeQuantWithMinMaxVars",
                &[1, 2],
                &[90.0, 7.0],
            ),
            (
                "conv2.act_quant.FakeQuantWithMinMaxVars",
                &[1, 2],
                &[1.0, 2.0],
            ),
            ("conv1.weights_quant|min", &[1, 2], &[1.0, 2.0]),
        ]);
        let pairing = find("conv1/Relu6", &[1, 2], &[1, 2], &dump).expect("paired");
        assert_eq!((pairing.array, pairing.by), (0, PairedBy::Name));
    }

    #[test]
    fn fused_names_are_told_apart_by_value() {
        let dump = dump(&[
            ("quant_c1", &[1, 2], &[40.0, -3.0]),
            ("quant_r1", &[1, 2], &[5.0, 0.0]),
        ]);
        let name = "model/quant_r1/Relu6;model/quant_c1/Conv2D";
        let pairing = find(name, &[1, 2], &[5, 0], &dump).expect("paired");
        assert_eq!(pairing.array, 1);
        let PairedBy::Value { runner_up, .. } = pairing.by else {
            panic!("{pairing:?}")
        };
        assert_eq!(runner_up, Some(("quant_c1".to_owned(), 19.0)));
    }

    #[test]
    fn two_near_arrays_are_refused() {
        let dump = dump(&[("a", &[1, 2], &[5.0, 1.0]), ("b", &[1, 2], &[6.0, 0.0])]);
        assert_eq!(
            find("x", &[1, 2], &[5, 0], &dump),
            Err(Unpaired::Ambiguous {
                best: ("a".to_owned(), 0.5),
                second: ("b".to_owned(), 0.5),
            })
        );
    }

    #[test]
    fn array_of_the_layers_name_and_another_size_is_told() {
        let weights = ("conv1/weights", &[1, 3][..], &[1.0, 2.0, 3.0][..]);
        let alone = dump(&[weights]);
        let seek = |dump: &Dump| find("conv1", &[1, 2], &[5, 0], dump);
        assert_eq!(seek(&alone), Err(Unpaired::NoCandidate));
        let with_values = dump(&[weights, ("conv1", &[3, 1], &[1.0, 2.0, 3.0])]);
        let told = Unpaired::Shape {
            array: "conv1".to_owned(),
            found: vec![3, 1],
        };
        assert_eq!(seek(&with_values), Err(told));
    }

    #[test]
    fn far_arrays_are_no_candidates() {
        let dump = dump(&[("a", &[1, 2], &[50.0, 10.0])]);
        assert_eq!(
            find("x", &[1, 2], &[5, 0], &dump),
            Err(Unpaired::NoCandidate)
        );
    }

    #[test]
    fn channels_first_is_recognised() {
        // Tensor NHWC [1, 2, 1, 2]: positions (1, 2), (3, 4); channels first: 1 3, 2 4.
        let dump = dump(&[("a", &[1, 2, 2, 1], &[10.0, 30.0, 20.0, 40.0])]);
        let pairing = find("a", &[1, 2, 1, 2], &[10, 20, 30, 40], &dump).expect("paired");
        assert_eq!(pairing.layout, Layout::ChannelsFirst);
        let shape = Shape::new(&[1, 2, 1, 2]).expect("shape");
        let values = slice(&dump.arrays()[0], pairing.layout, &shape, 0);
        assert_eq!(values, Some(vec![10.0, 20.0, 30.0, 40.0]));
    }
}
