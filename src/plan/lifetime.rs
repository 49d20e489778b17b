//! From which step to which each tensor's bytes are needed.

/// The steps during which a tensor's bytes must stay, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
}

impl Lifetime {
    /// Whether two tensors are needed at the same step.
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Lifetimes of the tensors of a subgraph, gathered step by step; tensors that share bytes share one lifetime.
#[derive(Debug)]
pub struct Lifetimes {
    lives: Vec<Option<Lifetime>>,
    owner: Vec<usize>,
    /// Where each tensor begins among the bytes of its owner.
    offset: Vec<usize>,
}

impl Lifetimes {
    /// Of `count` tensors, none of them alive yet.
    pub fn new(count: usize) -> Self {
        Self {
            lives: vec![None; count],
            owner: (0..count).collect(),
            offset: vec![0; count],
        }
    }

    /// States that `tensor` is read or written at `step`.
    pub fn touch(&mut self, tensor: usize, step: usize) {
        let owner = self.owner(tensor);
        let life = &mut self.lives[owner];
        let found = life.get_or_insert(Lifetime {
            first: step,
            last: step,
        });
        found.first = found.first.min(step);
        found.last = found.last.max(step);
    }

    /// States that `alias` is the bytes of `tensor` from byte `offset` on, before either is touched as `alias`.
    pub fn share(&mut self, alias: usize, tensor: usize, offset: usize) {
        self.owner[alias] = self.owner(tensor);
        self.offset[alias] = self.offset[tensor] + offset;
    }

    /// The tensor whose bytes `tensor` uses: itself unless it shares another's.
    pub fn owner(&self, tensor: usize) -> usize {
        let mut owner = tensor;
        while self.owner[owner] != owner {
            owner = self.owner[owner];
        }
        owner
    }

    /// Lets `result`, which `step` writes first, use the bytes of `operand`, which `step` reads last; says whether it is so.
    /// Steps come in order, after every tensor has been touched.
    pub fn take_over(&mut self, result: usize, operand: usize, step: usize) -> bool {
        let (to, from) = (self.owner(result), self.owner(operand));
        let (Some(new), Some(old)) = (self.lives[to], self.lives[from]) else {
            return false;
        };
        // What is not written before is not this step's to overwrite.
        if new.first != step || old.last != step || old.first == step {
            return false;
        }
        self.owner[to] = from;
        self.lives[to] = None;
        self.lives[from] = Some(Lifetime {
            last: new.last,
            ..old
        });
        true
    }

    /// Where the bytes of `tensor` begin among those of its owner. Taken over, an owner begins where the one before did.
    pub fn offset(&self, tensor: usize) -> usize {
        self.offset[tensor]
    }

    /// The tensors that own bytes, with their lifetimes.
    pub fn owners(&self) -> impl Iterator<Item = (usize, Lifetime)> {
        self.lives
            .iter()
            .enumerate()
            .filter_map(|(tensor, life)| Some((tensor, (*life)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_extend_the_life_of_their_owner() {
        let mut lives = Lifetimes::new(3);
        lives.touch(0, 1);
        lives.share(1, 0, 32);
        lives.share(2, 1, 16);
        lives.touch(2, 5);
        let owners: Vec<_> = lives.owners().collect();
        assert_eq!(owners, [(0, Lifetime { first: 1, last: 5 })]);
        assert_eq!([0, 1, 2].map(|tensor| lives.owner(tensor)), [0; 3]);
        // A part of a part: 32 + 16.
        assert_eq!([0, 1, 2].map(|tensor| lives.offset(tensor)), [0, 32, 48]);
    }

    /// Lifetimes of tensors that are touched at these steps.
    fn touched(steps: &[&[usize]]) -> Lifetimes {
        let mut lives = Lifetimes::new(steps.len());
        for (tensor, steps) in steps.iter().enumerate() {
            for &step in *steps {
                lives.touch(tensor, step);
            }
        }
        lives
    }

    #[test]
    fn result_takes_over_the_bytes_of_an_operand_that_ends() {
        // 0 -> 1 at step 1 -> 2 at step 2 -> 3 at step 3.
        let mut lives = touched(&[&[0, 1], &[1, 2], &[2, 3], &[3, 9]]);
        for step in 1..4 {
            assert!(lives.take_over(step, step - 1, step));
        }
        let owners: Vec<_> = lives.owners().collect();
        assert_eq!(owners, [(0, Lifetime { first: 0, last: 9 })]);
        assert_eq!([0, 1, 2, 3].map(|tensor| lives.owner(tensor)), [0; 4]);
    }

    #[test]
    fn aliases_follow_when_their_bytes_are_taken_over() {
        // 1 is 0 under another shape and read at step 2 for 2, of which 3 is an alias that step 5 reads.
        let mut lives = Lifetimes::new(4);
        lives.touch(0, 0);
        lives.share(1, 0, 0);
        lives.touch(1, 2);
        lives.touch(2, 2);
        lives.share(3, 2, 0);
        lives.touch(3, 5);
        assert!(lives.take_over(2, 1, 2));
        let owners: Vec<_> = lives.owners().collect();
        assert_eq!(owners, [(0, Lifetime { first: 0, last: 5 })]);
        assert_eq!([0, 1, 2, 3].map(|tensor| lives.owner(tensor)), [0; 4]);
    }

    #[test]
    fn bytes_that_are_still_needed_are_not_taken_over() {
        let cases: [(&str, &[&[usize]]); 5] = [
            ("operand is read later", &[&[0, 3], &[2, 4]]),
            ("operand is read at the end", &[&[0, 9], &[2, 9]]),
            ("operand was never written", &[&[2], &[2, 4]]),
            ("result has a value before", &[&[0, 2], &[1, 4]]),
            ("operand has no place", &[&[], &[2, 4]]),
        ];
        for (why, steps) in cases {
            let mut lives = touched(steps);
            let before: Vec<_> = lives.owners().collect();
            assert!(!lives.take_over(1, 0, 2), "{why}");
            assert_eq!(lives.owners().collect::<Vec<_>>(), before, "{why}");
        }
        // Its own bytes.
        let mut lives = touched(&[&[0, 2]]);
        assert!(!lives.take_over(0, 0, 2));
    }
}
