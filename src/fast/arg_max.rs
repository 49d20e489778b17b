//! Where the largest or smallest byte of each row stands.
//!
//! An element and its position make one 16-bit number, in which the better element is the larger and of equal elements the
//! first: the largest of these numbers tells the position.

use super::lanes::{Lanes, Work, for_each_isa};
use super::{Element8, Primitive, Variant};

/// Rows of bytes that are searched.
#[derive(Debug, Clone, Copy)]
pub struct ArgMax {
    /// Type of the elements.
    pub element: Element8,
    /// Whether the smallest is searched, not the largest.
    pub smallest: bool,
    /// Elements of a row.
    pub extent: usize,
}

/// One position for each row.
#[derive(Debug)]
pub enum Positions<'a> {
    /// As int32.
    Int32(&'a mut [i32]),
    /// As int64.
    Int64(&'a mut [i64]),
}

/// A prepared search.
pub trait ArgMaxKernel: Send + Sync {
    /// `arg_max.<isa>` or `arg_min.<isa>`.
    fn name(&self) -> &'static str;
    /// Searches the rows of `input`, of which there are as many as positions.
    fn run(&self, input: &[u8], output: Positions<'_>);
}

macro_rules! list {
    ($($(#[$cfg:meta])* $isa:literal => $lanes:ty,)*) => {
        &[$($(#[$cfg])* Variant {
            name: concat!("arg_max.", $isa),
            isa: <$lanes as Lanes>::ISA,
            prepare: |problem| {
                let names = [concat!("arg_max.", $isa), concat!("arg_min.", $isa)];
                prepare::<$lanes>(names[usize::from(problem.smallest)], problem)
            },
        },)*]
    };
}

/// ARG_MAX and ARG_MIN of bytes along the innermost axis.
pub struct ArgMaxPrimitive;

impl Primitive for ArgMaxPrimitive {
    type Problem<'a> = ArgMax;
    type Kernel = dyn ArgMaxKernel;

    fn variants() -> &'static [Variant<Self>] {
        for_each_isa!(list)
    }
}

/// Elements that are compared together.
const BLOCK: usize = 8;

/// A position has eight bits.
const MOST_ELEMENTS: usize = 256;

fn prepare<L: Lanes>(name: &'static str, problem: &ArgMax) -> Option<Box<dyn ArgMaxKernel>> {
    let lanes = L::detect()?;
    let suits = (BLOCK..=MOST_ELEMENTS).contains(&problem.extent);
    // What makes the better of two bytes the larger as uint8.
    let flip = match (problem.element, problem.smallest) {
        (Element8::UInt8, false) => 0,
        (Element8::UInt8, true) => 0xff,
        (Element8::Int8, false) => 0x80,
        (Element8::Int8, true) => 0x7f,
    };
    let extent = problem.extent;
    suits.then(|| {
        Box::new(Search {
            name,
            lanes,
            extent,
            flip,
        }) as Box<dyn ArgMaxKernel>
    })
}

struct Search<L: Lanes> {
    name: &'static str,
    lanes: L,
    extent: usize,
    flip: u8,
}

impl<L: Lanes> ArgMaxKernel for Search<L> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, input: &[u8], output: Positions<'_>) {
        let (extent, flip) = (self.extent, self.flip);
        match output {
            Positions::Int32(output) => self.lanes.run(Rows {
                extent,
                flip,
                input,
                output,
            }),
            Positions::Int64(output) => self.lanes.run(Rows {
                extent,
                flip,
                input,
                output,
            }),
        }
    }
}

/// One call of [`ArgMaxKernel::run`].
struct Rows<'a, P> {
    extent: usize,
    flip: u8,
    input: &'a [u8],
    output: &'a mut [P],
}

impl<P: From<u8>> Work for Rows<'_, P> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let rows = self.input.chunks_exact(self.extent);
        for (row, found) in rows.zip(self.output) {
            let mut best = [0; BLOCK];
            let mut at = 0;
            loop {
                let block = row[at..].first_chunk().expect("a block lies in the row");
                better(&mut best, block, at as u8, self.flip);
                if at + BLOCK == row.len() {
                    break;
                }
                // The last block may overlap the one before.
                at = (at + BLOCK).min(row.len() - BLOCK);
            }
            let best = best.into_iter().fold(0, u16::max);
            *found = P::from(!(best as u8));
        }
    }
}

/// Keeps the larger numbers of those of `block`, which begins at position `first`, and of `best`.
#[inline(always)]
fn better(best: &mut [u16; BLOCK], block: &[u8; BLOCK], first: u8, flip: u8) {
    for (lane, (best, &byte)) in best.iter_mut().zip(block).enumerate() {
        // Earlier positions are larger numbers.
        let position = !(first.wrapping_add(lane as u8));
        let number = u16::from(byte ^ flip) << 8 | u16::from(position);
        *best = number.max(*best);
    }
}
