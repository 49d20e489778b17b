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
}

impl Lifetimes {
    /// Of `count` tensors, none of them alive yet.
    pub fn new(count: usize) -> Self {
        Self {
            lives: vec![None; count],
            owner: (0..count).collect(),
        }
    }

    /// States that `tensor` is read or written at `step`.
    pub fn touch(&mut self, tensor: usize, step: usize) {
        let life = &mut self.lives[self.owner[tensor]];
        let found = life.get_or_insert(Lifetime {
            first: step,
            last: step,
        });
        found.first = found.first.min(step);
        found.last = found.last.max(step);
    }

    /// States that `alias` is the same bytes as `tensor`, before either is touched as `alias`.
    pub fn share(&mut self, alias: usize, tensor: usize) {
        self.owner[alias] = self.owner[tensor];
    }

    /// The tensor whose bytes `tensor` uses: itself unless it shares another's.
    pub fn owner(&self, tensor: usize) -> usize {
        self.owner[tensor]
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
        lives.share(1, 0);
        lives.share(2, 1);
        lives.touch(2, 5);
        let owners: Vec<_> = lives.owners().collect();
        assert_eq!(owners, [(0, Lifetime { first: 1, last: 5 })]);
        assert_eq!(lives.owner(2), 0);
    }
}
