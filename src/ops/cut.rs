//! An arena cut at what an operator writes, so that it can be borrowed beside what it reads.

use std::ops::Range;

/// What is left of memory that pieces were cut out of.
pub trait Rest<'v> {
    /// What is read at `range`; `None` where that is cut out or behind the end.
    fn read(&self, range: &Range<usize>) -> Option<&'v [u8]>;
}

/// Memory of which some pieces are written and the rest is read.
pub struct Cut<'v, const N: usize> {
    /// In the order in which they were asked for.
    pub pieces: [&'v mut [u8]; N],
    /// What is left, each part with its place in the memory: before pieces, and behind the last.
    before: [(usize, &'v [u8]); N],
    behind: (usize, &'v [u8]),
}

impl<'v, const N: usize> Cut<'v, N> {
    /// Cuts out `ranges`; `None` if two of them overlap or the memory ends before. What is empty overlaps nothing, wherever it
    /// lies.
    #[inline(always)]
    pub fn new(memory: &'v mut [u8], ranges: [Range<usize>; N]) -> Option<Self> {
        let mut pieces = [const { None }; N];
        let mut before = [(0, &[][..]); N];
        let (mut begin, mut rest) = (0, memory);
        for part in &mut before {
            let left = (0..N).filter(|&n| pieces[n].is_none() && !ranges[n].is_empty());
            let Some(next) = left.min_by_key(|&n| ranges[n].start) else {
                break;
            };
            let range = &ranges[next];
            let (first, at) = rest.split_at_mut_checked(range.start.checked_sub(begin)?)?;
            let (piece, behind) = at.split_at_mut_checked(range.len())?;
            *part = (begin, first);
            pieces[next] = Some(piece);
            (begin, rest) = (range.end, behind);
        }
        Some(Self {
            pieces: pieces.map(|piece| piece.unwrap_or_else(nothing)),
            before,
            behind: (begin, rest),
        })
    }
}

impl<'v, const N: usize> Rest<'v> for Cut<'v, N> {
    #[inline(always)]
    fn read(&self, range: &Range<usize>) -> Option<&'v [u8]> {
        if range.is_empty() {
            return Some(nothing());
        }
        let found = |&(begin, part): &(usize, &'v [u8])| {
            let from = range.start.checked_sub(begin)?;
            part.get(from..)?.get(..range.len())
        };
        // A loop: what iterators make of it is a call.
        for part in &self.before {
            if let Some(bytes) = found(part) {
                return Some(bytes);
            }
        }
        found(&self.behind)
    }
}

/// What is left of memory of which one piece is written: as [`Cut`], without its loops.
pub struct Around<'v> {
    before: &'v [u8],
    /// Where it begins, and what it is.
    behind: (usize, &'v [u8]),
}

impl<'v> Around<'v> {
    /// Cuts out `written`; `None` if the memory ends before. What is empty overlaps nothing, wherever it lies.
    #[inline(always)]
    pub fn new(memory: &'v mut [u8], written: &Range<usize>) -> Option<(Self, &'v mut [u8])> {
        let written = match written.is_empty() {
            true => 0..0,
            false => written.clone(),
        };
        let (before, at) = memory.split_at_mut_checked(written.start)?;
        let (piece, behind) = at.split_at_mut_checked(written.len())?;
        let behind = (written.end, &*behind);
        Some((Self { before, behind }, piece))
    }
}

impl<'v> Rest<'v> for Around<'v> {
    #[inline(always)]
    fn read(&self, range: &Range<usize>) -> Option<&'v [u8]> {
        if range.is_empty() {
            return Some(nothing());
        }
        if range.end <= self.before.len() {
            return self.before.get(range.clone());
        }
        let (begin, behind) = self.behind;
        let start = range.start.checked_sub(begin)?;
        behind.get(start..)?.get(..range.len())
    }
}

/// No bytes, at an address that suits every element.
pub fn nothing<'v>() -> &'v mut [u8] {
    bytemuck::cast_slice_mut::<u64, u8>(&mut [])
}
