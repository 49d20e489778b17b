//! The best classes of an output tensor, as pycoral's `classify.get_classes` gives them.

/// A class and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// The class's place in the output tensor.
    pub id: usize,
    /// Its score as a real number; a probability where the model ends in a softmax.
    pub score: f32,
}

/// The classes with a score of at least `threshold`, the best first, at most `top_k` of them.
///
/// `scores` are real numbers, one per class: what [`TensorRef::dequantize`](crate::tensor::TensorRef::dequantize) gives.
/// Of equal scores the lower id comes first (pycoral leaves their order open). A score that is not a number never
/// counts.
///
/// ```
/// use corallite::vision::classes;
///
/// let best = classes(&[0.1, 0.7, 0.0, 0.2], 2, 0.15);
/// assert_eq!(best.iter().map(|class| class.id).collect::<Vec<_>>(), [1, 3]);
/// ```
pub fn classes(scores: &[f32], top_k: usize, threshold: f32) -> Vec<Class> {
    let mut classes: Vec<Class> = scores
        .iter()
        .enumerate()
        .filter(|(_, score)| **score >= threshold)
        .map(|(id, score)| Class { id, score: *score })
        .collect();
    // The sort is stable, so equal scores stay in the order of their ids; -0 equals 0, and no NaN passed the threshold.
    classes.sort_by(|one, other| {
        other
            .score
            .partial_cmp(&one.score)
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    classes.truncate(top_k);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_sorted_cut_and_filtered() {
        const NAN: f32 = f32::NAN;
        const INF: f32 = f32::INFINITY;
        struct Case {
            scores: &'static [f32],
            top_k: usize,
            threshold: f32,
            expected: &'static [usize],
        }
        let cases = [
            Case {
                scores: &[],
                top_k: 3,
                threshold: 0.0,
                expected: &[],
            },
            Case {
                scores: &[0.5],
                top_k: 0,
                threshold: 0.0,
                expected: &[],
            },
            Case {
                scores: &[0.2, 0.5, 0.3],
                top_k: usize::MAX,
                threshold: -INF,
                expected: &[1, 2, 0],
            },
            // A score equal to the threshold stays.
            Case {
                scores: &[0.2, 0.5, 0.3],
                top_k: 5,
                threshold: 0.3,
                expected: &[1, 2],
            },
            // Equal scores: lower id first, also where the cut falls between them.
            Case {
                scores: &[0.25, 0.25, 0.5, 0.25],
                top_k: 3,
                threshold: 0.0,
                expected: &[2, 0, 1],
            },
            Case {
                scores: &[-0.0, 0.0],
                top_k: 2,
                threshold: 0.0,
                expected: &[0, 1],
            },
            Case {
                scores: &[NAN, 0.1, NAN, INF],
                top_k: 4,
                threshold: -INF,
                expected: &[3, 1],
            },
            Case {
                scores: &[0.1],
                top_k: 1,
                threshold: NAN,
                expected: &[],
            },
        ];
        for case in cases {
            let found = classes(case.scores, case.top_k, case.threshold);
            let ids: Vec<usize> = found.iter().map(|class| class.id).collect();
            assert_eq!(ids, case.expected, "{:?}", case.scores);
        }
    }

    /// The quantized scores of every 8- and 16-bit type lead to the same classes as their real numbers.
    #[test]
    fn quantized_scores_rank_as_real_numbers() {
        use crate::tensor::{Quantization, Shape, TensorRef, TensorType};
        let shape = Shape::new(&[1, 2]).unwrap();
        // 199/256 is what the parrot scores in pycoral's own example, 0.77734.
        let cases = [
            (
                TensorType::UInt8,
                Quantization::per_tensor(1.0 / 256.0, 0),
                vec![0, 199],
                0.777_343_75,
            ),
            (
                TensorType::Int8,
                Quantization::per_tensor(1.0 / 256.0, -128),
                vec![0x80, 0x7f],
                255.0 / 256.0,
            ),
            (
                TensorType::Int16,
                Quantization::per_tensor(0.5, 0),
                vec![0xff, 0xff, 2, 0],
                1.0,
            ),
        ];
        for (ty, quantization, mut bytes, score) in cases {
            // Vec<u16> aligns what int16 needs.
            let mut words = vec![0_u16; 2];
            bytes.resize(4, 0);
            bytemuck::cast_slice_mut::<u16, u8>(&mut words).copy_from_slice(&bytes);
            let length = ty.bytes(2).unwrap();
            let tensor = TensorRef::new(
                ty,
                &shape,
                Some(&quantization),
                &bytemuck::cast_slice(&words)[..length],
            )
            .unwrap();
            let found = classes(&tensor.dequantize().unwrap(), 1, 0.0);
            assert_eq!(found, [Class { id: 1, score }], "{ty}");
        }
    }
}
