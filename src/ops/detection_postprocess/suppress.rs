//! Which boxes stay: of two that overlap, the one with the higher score.

use super::boxes::{Corners, overlap};
use crate::ops::EvalError;
use std::cmp::Ordering;

/// When boxes count.
pub(super) struct Suppression {
    /// Lower scores are no boxes.
    pub score_threshold: f32,
    /// Intersection over union above which the lower score loses.
    pub overlap_threshold: f32,
}

/// A box found: the bits of its score, its row and its class.
pub(super) type Found = [u32; 3];

/// The score of a box found.
pub(super) fn score(found: &Found) -> f32 {
    f32::from_bits(found[0])
}

/// Rows that are put in order at once, at first: most often a detector looks at no more.
const FEW: usize = 64;

impl Suppression {
    /// Up to `most` rows by falling score, equal scores by row. `corners` gives the box of a row; it is asked for no more rows than
    /// have to be looked at. `order`: scratch, a place for each row.
    ///
    /// # Errors
    /// Those of `corners`.
    pub fn select<'o>(
        &self,
        scores: &[f32],
        order: &'o mut [u32],
        most: usize,
        mut corners: impl FnMut(u32) -> Result<Corners, EvalError>,
    ) -> Result<&'o [u32], EvalError> {
        let mut kept = 0;
        for (row, &score) in scores.iter().enumerate() {
            order[kept] = row as u32;
            kept += usize::from(score >= self.score_threshold);
        }
        let by_score = |&a: &u32, &b: &u32| {
            let (left, right) = (scores[a as usize], scores[b as usize]);
            right
                .partial_cmp(&left)
                .unwrap_or(Ordering::Equal)
                .then(a.cmp(&b))
        };
        let (mut selected, mut ordered) = (0, 0);
        for place in 0..kept {
            if selected == most {
                break;
            }
            if place == ordered {
                let rest = &mut order[ordered..kept];
                let more = ordered.max(FEW).min(rest.len());
                if more < rest.len() {
                    rest.select_nth_unstable_by(more - 1, by_score);
                }
                rest[..more].sort_unstable_by(by_score);
                ordered += more;
            }
            let row = order[place];
            let candidate = corners(row)?;
            let mut suppressed = false;
            for &higher in &order[..selected] {
                let shared = overlap(&corners(higher)?, &candidate);
                if shared > self.overlap_threshold {
                    suppressed = true;
                    break;
                }
            }
            if !suppressed {
                // Places before this one are not read again but for the rows selected.
                order[selected] = row;
                selected += 1;
            }
        }
        Ok(&order[..selected])
    }
}

/// The highest score, which is that of [`next_best`] behind `None` but for the sign of a zero; the first one where that is no
/// number.
#[inline(always)]
pub(super) fn highest(scores: &[f32]) -> Option<f32> {
    let higher = |highest: f32, score: f32| if score > highest { score } else { highest };
    let &first = scores.first()?;
    let mut lanes = [first; 8];
    let (chunks, rest) = scores.as_chunks::<8>();
    for chunk in chunks {
        for (lane, &score) in lanes.iter_mut().zip(chunk) {
            *lane = higher(*lane, score);
        }
    }
    Some(lanes.iter().chain(rest).copied().fold(first, higher))
}

/// The class of the highest score behind `last` in falling order, equal scores by class; of all where `last` is `None`.
pub(super) fn next_best(scores: &[f32], last: Option<usize>) -> Option<usize> {
    let is_behind = |class: usize| {
        last.is_none_or(|last| {
            scores[class] < scores[last] || (scores[class] == scores[last] && class > last)
        })
    };
    let mut best: Option<usize> = None;
    for class in (0..scores.len()).filter(|&class| is_behind(class)) {
        if best.is_none_or(|best| scores[class] > scores[best]) {
            best = Some(class);
        }
    }
    best
}

/// Enters a box behind those of the same or a higher score. `found`: sorted up to `count`, with room for one more. Returns the new
/// count.
pub(super) fn insert(found: &mut [Found], count: usize, new: Found) -> usize {
    let place = found[..count].partition_point(|other| score(other) >= score(&new));
    found.copy_within(place..count, place + 1);
    found[place] = new;
    count + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::shared::differential::Numbers;

    #[test]
    fn of_two_that_overlap_the_higher_score_stays() {
        let corners = [
            [0.0, 0.0, 2.0, 2.0],
            [0.0, 0.0, 2.0, 1.9],
            [5.0, 5.0, 6.0, 6.0],
        ];
        let suppression = Suppression {
            score_threshold: 0.5,
            overlap_threshold: 0.5,
        };
        let mut order = [0; 3];
        let mut select = |scores: &[f32], most| {
            let corners = |row: u32| Ok(corners[row as usize]);
            let selected = suppression.select(scores, &mut order, most, corners);
            selected.expect("boxes for all rows").to_vec()
        };
        assert_eq!(select(&[0.8, 0.9, 0.6], 10), [1, 2]);
        // 0.4 is no box; equal scores keep their order; one of them is asked for.
        assert_eq!(select(&[0.7, 0.4, 0.7], 1), [0]);
    }

    /// What is selected when all rows are sorted and every box suppresses all that it overlaps.
    fn select_by_pairs(
        by: &Suppression,
        scores: &[f32],
        most: usize,
        boxes: &[Corners],
    ) -> Vec<u32> {
        let rows = 0..scores.len() as u32;
        let mut rest: Vec<u32> = rows
            .filter(|&row| scores[row as usize] >= by.score_threshold)
            .collect();
        rest.sort_by(|&a, &b| scores[b as usize].total_cmp(&scores[a as usize]));
        let mut selected = Vec::new();
        while let (Some(&row), true) = (rest.first(), selected.len() < most) {
            selected.push(row);
            rest.retain(|&other| {
                let pair = [row, other].map(|row| boxes[row as usize]);
                other != row && overlap(&pair[0], &pair[1]) <= by.overlap_threshold
            });
        }
        selected
    }

    #[test]
    fn selection_is_that_of_all_pairs() {
        for seed in 0..if cfg!(miri) { 4 } else { 300 } {
            let n = &mut Numbers::new(seed);
            let count = n.size(0, 400);
            // Few different scores, so that many are equal, or many; some are no numbers.
            let steps = n.one_of(&[5, 1 << 20]);
            let score = |n: &mut Numbers| match n.chance(50) {
                true => f32::NAN,
                false => n.within(1..=steps) as f32 / steps as f32,
            };
            let scores: Vec<f32> = (0..count).map(|_| score(n)).collect();
            let boxes = |n: &mut Numbers| -> Corners {
                let [y, x, height, width] = [(); 4].map(|()| n.within(0..=40) as f32);
                [y, x, y + height, x + width]
            };
            let boxes: Vec<Corners> = (0..count).map(|_| boxes(n)).collect();
            let by = Suppression {
                score_threshold: n.one_of(&[1e-8, 0.3]),
                overlap_threshold: n.one_of(&[0.01, 0.5, 1.0]),
            };
            let most = n.one_of(&[0, 1, 10, 100, 1000]);
            let mut order = vec![0; count];
            let corners = |row: u32| Ok(boxes[row as usize]);
            let selected = by.select(&scores, &mut order, most, corners);
            let expected = select_by_pairs(&by, &scores, most, &boxes);
            assert_eq!(
                selected.expect("all rows have boxes"),
                expected,
                "seed {seed}"
            );
        }
    }

    #[test]
    fn highest_is_the_score_of_the_next_best() {
        let mut scores: Vec<f32> = (0..37u16).map(|i| f32::from(i * 73 % 41)).collect();
        for place in [1, 7, 8, 20, 36, 0] {
            scores[place] = f32::NAN;
            for len in 1..=scores.len() {
                let scores = &scores[..len];
                let best = next_best(scores, None).map(|class| scores[class].to_bits());
                assert_eq!(highest(scores).map(f32::to_bits), best, "{scores:?}");
            }
        }
        assert_eq!(highest(&[]), None);
    }

    #[test]
    fn next_best_walks_down_the_scores() {
        let scores = [0.2, 0.9, 0.2, f32::NAN];
        let first = next_best(&scores, None);
        let second = next_best(&scores, first);
        let third = next_best(&scores, second);
        assert_eq!([first, second, third], [Some(1), Some(0), Some(2)]);
        assert_eq!(next_best(&scores, third), None);
    }

    #[test]
    fn insert_keeps_equal_scores_in_order() {
        let entry = |score: f32, row| [score.to_bits(), row, 0];
        let mut found = [[0; 3]; 4];
        let mut count = 0;
        for new in [entry(0.5, 1), entry(0.9, 2), entry(0.5, 3)] {
            count = insert(&mut found, count, new);
        }
        assert_eq!(
            found[..count],
            [entry(0.9, 2), entry(0.5, 1), entry(0.5, 3)]
        );
    }
}
