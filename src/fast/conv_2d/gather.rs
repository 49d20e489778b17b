//! Windows of a picture as rows of a panel.

use super::packed::{BLOCK, Packed};
use crate::fast::lanes::Lanes;

/// Gathers the windows of one group of channels.
pub(super) struct Gather<'a, L: Lanes> {
    pub packed: &'a Packed<L>,
    /// NHWC.
    pub input: &'a [u8],
    pub group: usize,
}

impl<L: Lanes> Gather<'_, L> {
    /// Writes the windows of output positions `first..first + rows` to `panel`, one row each.
    #[inline(always)]
    pub fn rows(&self, first: usize, rows: usize, panel: &mut [L::Activation]) {
        let p = self.packed;
        if p.rows.is_point() && p.columns.is_point() && p.filter_channels == p.input_channels {
            return self.points(first, rows, panel);
        }
        let [height, width] = [p.rows.output, p.columns.output];
        let (whole_y, whole_x) = (p.rows.whole(), p.columns.whole());
        let mut position = [
            first / (height * width),
            first / width % height,
            first % width,
        ];
        for row in 0..rows {
            let at = row * p.stride();
            let [batch, y, x] = position;
            if whole_y.contains(&y) && whole_x.contains(&x) {
                self.whole_window(position, panel, at);
            } else {
                self.window(position, panel, at);
            }
            position = match (x + 1 < width, y + 1 < height) {
                (true, _) => [batch, y, x + 1],
                (false, true) => [batch, y + 1, 0],
                (false, false) => [batch + 1, 0, 0],
            };
        }
    }

    /// Windows of a single position each: neighbouring rows are neighbours in the picture.
    #[inline(always)]
    fn points(&self, first: usize, rows: usize, panel: &mut [L::Activation]) {
        let depth = self.packed.input_channels;
        let stride = self.packed.stride();
        if stride == depth {
            return self
                .packed
                .put(panel, 0, self.input, first * depth, rows * depth);
        }
        for row in 0..rows {
            self.packed.put(
                panel,
                row * stride,
                self.input,
                (first + row) * depth,
                depth,
            );
        }
    }

    /// A window that lies inside the picture.
    #[inline(always)]
    fn whole_window(&self, [batch, y, x]: [usize; 3], panel: &mut [L::Activation], mut at: usize) {
        let p = self.packed;
        let depth = p.filter_channels;
        let (in_y, in_x) = (
            y * p.rows.stride - p.rows.before,
            x * p.columns.stride - p.columns.before,
        );
        let row = p.columns.input * p.input_channels;
        let mut from = (batch * p.rows.input + in_y) * row + in_x * p.input_channels;
        from += self.group * depth;
        let neighbours = p.columns.dilation == 1 && depth == p.input_channels;
        for _ in 0..p.rows.taps {
            if neighbours {
                let len = p.columns.taps * depth;
                p.put(panel, at, self.input, from, len);
                at += len;
            } else {
                for tap_x in 0..p.columns.taps {
                    let from = from + tap_x * p.columns.dilation * p.input_channels;
                    p.put(panel, at, self.input, from, depth);
                    at += depth;
                }
            }
            from += p.rows.dilation * row;
        }
    }

    /// Any window.
    #[inline(always)]
    fn window(&self, [batch, y, x]: [usize; 3], panel: &mut [L::Activation], mut at: usize) {
        let p = self.packed;
        let depth = p.filter_channels;
        for tap_y in 0..p.rows.taps {
            let Some(in_y) = p.rows.position(y, tap_y) else {
                let len = p.columns.taps * depth;
                panel[at..at + len].fill(p.zero);
                at += len;
                continue;
            };
            let row = (batch * p.rows.input + in_y) * p.columns.input;
            for tap_x in 0..p.columns.taps {
                match p.columns.position(x, tap_x) {
                    Some(in_x) => {
                        let from = (row + in_x) * p.input_channels + self.group * depth;
                        p.put(panel, at, self.input, from, depth);
                    }
                    None => panel[at..at + depth].fill(p.zero),
                }
                at += depth;
            }
        }
    }
}

impl<L: Lanes> Packed<L> {
    /// Copies `len` values of the input. May write up to a whole number of [`BLOCK`]s; what follows overwrites the rest.
    #[inline(always)]
    pub(super) fn put(
        &self,
        panel: &mut [L::Activation],
        at: usize,
        input: &[u8],
        from: usize,
        len: usize,
    ) {
        if self.signed {
            put::<L>(panel, at, input, from, len, true);
        } else {
            put::<L>(panel, at, input, from, len, false);
        }
    }
}

#[inline(always)]
fn put<L: Lanes>(
    panel: &mut [L::Activation],
    at: usize,
    input: &[u8],
    from: usize,
    len: usize,
    signed: bool,
) {
    let whole = len.next_multiple_of(BLOCK);
    let blocks = (panel.get_mut(at..at + whole), input.get(from..from + whole));
    if let (Some(to), Some(from)) = blocks {
        let to = to.as_chunks_mut::<BLOCK>().0.iter_mut();
        for (to, from) in to.zip(from.as_chunks::<BLOCK>().0) {
            *to = from.map(|byte| L::activation(byte, signed));
        }
        return;
    }
    // At the end of the picture.
    let to = panel[at..at + len].iter_mut();
    for (to, &byte) in to.zip(&input[from..from + len]) {
        *to = L::activation(byte, signed);
    }
}
