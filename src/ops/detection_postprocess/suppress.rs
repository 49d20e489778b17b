//! Which boxes stay: of two that overlap, the one with the higher score.

use super::boxes::{Corners, overlap};
use std::cmp::Ordering;

/// The boxes and when they count.
pub(super) struct Suppression<'a> {
    pub corners: &'a [Corners],
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

impl Suppression<'_> {
    /// Up to `most` rows by falling score, equal scores by row. `order` and `active`: scratch, a place for each row.
    pub fn select<'o>(
        &self,
        scores: &[f32],
        order: &'o mut [u32],
        active: &mut [u8],
        most: usize,
    ) -> &'o [u32] {
        let mut kept = 0;
        for (row, &score) in scores.iter().enumerate() {
            if score >= self.score_threshold {
                order[kept] = row as u32;
                kept += 1;
            }
        }
        let by_score = |&a: &u32, &b: &u32| {
            let (left, right) = (scores[a as usize], scores[b as usize]);
            right
                .partial_cmp(&left)
                .unwrap_or(Ordering::Equal)
                .then(a.cmp(&b))
        };
        order[..kept].sort_unstable_by(by_score);
        active[..kept].fill(1);
        let mut selected = 0;
        for place in 0..kept {
            if selected == most {
                break;
            }
            if active[place] == 0 {
                continue;
            }
            let row = order[place];
            for (other, active) in order[..kept].iter().zip(&mut *active).skip(place + 1) {
                let shared = overlap(&self.corners[row as usize], &self.corners[*other as usize]);
                if *active == 1 && shared > self.overlap_threshold {
                    *active = 0;
                }
            }
            // Places before this one are not read again.
            order[selected] = row;
            selected += 1;
        }
        &order[..selected]
    }
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

    #[test]
    fn of_two_that_overlap_the_higher_score_stays() {
        let corners = [
            [0.0, 0.0, 2.0, 2.0],
            [0.0, 0.0, 2.0, 1.9],
            [5.0, 5.0, 6.0, 6.0],
        ];
        let suppression = Suppression {
            corners: &corners,
            score_threshold: 0.5,
            overlap_threshold: 0.5,
        };
        let (mut order, mut active) = ([0; 3], [0; 3]);
        let selected = suppression.select(&[0.8, 0.9, 0.6], &mut order, &mut active, 10);
        assert_eq!(selected, [1, 2]);
        // 0.4 is no box; equal scores keep their order; one of them is asked for.
        let selected = suppression.select(&[0.7, 0.4, 0.7], &mut order, &mut active, 1);
        assert_eq!(selected, [0]);
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
