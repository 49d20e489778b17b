//! Where a model file keeps its numbers: every scalar of its tables, the entries of its vectors, their lengths.

use std::cell::Cell;

/// A number in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Offset in bytes.
    pub position: usize,
    /// 1, 2, 4 or 8 bytes.
    pub width: usize,
}

/// What a field holds. Field numbers and types: `tflite.fbs`, schema version 3.
enum Field {
    Scalar(usize),
    Scalars(usize),
    Table(&'static [Field]),
    Tables(&'static [Field]),
    /// A table of a union: its fields' types are not known, their positions are.
    Options,
    /// Strings, and what is of no interest.
    Skip,
}

use Field::{Options, Scalar, Scalars, Skip, Table, Tables};

const OPERATOR_CODE: &[Field] = &[Scalar(1), Skip, Scalar(4), Scalar(4)];
const QUANTIZATION: &[Field] = &[
    Scalars(4),
    Scalars(4),
    Scalars(4),
    Scalars(8),
    Scalar(1),
    Options,
    Scalar(4),
];
/// Whatever width the entries have: some of the bytes are theirs.
const SPARSE_INDICES: &[Field] = &[Scalars(1)];
const DIMENSION: &[Field] = &[
    Scalar(1),
    Scalar(4),
    Scalar(1),
    Table(SPARSE_INDICES),
    Scalar(1),
    Table(SPARSE_INDICES),
];
const SPARSITY: &[Field] = &[Scalars(4), Scalars(4), Tables(DIMENSION)];
const TENSOR: &[Field] = &[
    Scalars(4),
    Scalar(1),
    Scalar(4),
    Skip,
    Table(QUANTIZATION),
    Scalar(1),
    Table(SPARSITY),
    Scalars(4),
    Scalar(1),
];
const OPERATOR: &[Field] = &[
    Scalar(4),
    Scalars(4),
    Scalars(4),
    Scalar(1),
    Options,
    Scalars(1),
    Scalar(1),
    Scalars(1),
    Scalars(4),
    Scalar(8),
    Scalar(8),
    Scalar(1),
    Options,
];
const SUBGRAPH: &[Field] = &[
    Tables(TENSOR),
    Scalars(4),
    Scalars(4),
    Tables(OPERATOR),
    Skip,
];
const BUFFER: &[Field] = &[Scalars(4), Scalar(8), Scalar(8)];
const METADATA: &[Field] = &[Skip, Scalar(4)];
const TENSOR_MAP: &[Field] = &[Skip, Scalar(4)];
const SIGNATURE: &[Field] = &[
    Tables(TENSOR_MAP),
    Tables(TENSOR_MAP),
    Skip,
    Skip,
    Scalar(4),
];
const MODEL: &[Field] = &[
    Scalar(4),
    Tables(OPERATOR_CODE),
    Tables(SUBGRAPH),
    Skip,
    Tables(BUFFER),
    Scalars(4),
    Tables(METADATA),
    Tables(SIGNATURE),
];

/// Entries of one vector that count: shapes and indices are short, weights are not worth more.
const MAX_ENTRIES: usize = 16;

/// Tables of one vector that count.
const MAX_TABLES: usize = 4096;

/// Numbers of one file that count.
const MAX_SITES: usize = 200_000;

/// Numbers that are read on the way: in a corrupted file tables can lie in each other, each with thousands of others.
const MAX_READS: usize = 1_000_000;

/// Every number of interest in `file`; none where it is no FlatBuffer.
pub fn sites(file: &[u8]) -> Vec<Site> {
    let mut walk = Walk {
        file,
        sites: Vec::new(),
        reads: Cell::new(0),
    };
    if let Some(root) = walk.follow(0) {
        walk.table(root, MODEL);
    }
    walk.sites
}

struct Walk<'a> {
    file: &'a [u8],
    sites: Vec<Site>,
    reads: Cell<usize>,
}

impl Walk<'_> {
    fn word<const N: usize>(&self, position: usize) -> Option<[u8; N]> {
        let reads = self.reads.get() + 1;
        self.reads.set(reads);
        if reads > MAX_READS {
            return None;
        }
        let end = position.checked_add(N)?;
        self.file.get(position..end)?.try_into().ok()
    }

    /// The position that the offset at `position` leads to.
    fn follow(&self, position: usize) -> Option<usize> {
        let offset = u32::from_le_bytes(self.word(position)?);
        position.checked_add(usize::try_from(offset).ok()?)
    }

    fn add(&mut self, position: usize, width: usize) {
        if position + width <= self.file.len() && self.sites.len() < MAX_SITES {
            self.sites.push(Site { position, width });
        }
    }

    /// Positions of a table's fields, `None` for those left out.
    fn fields(&self, table: usize) -> Option<Vec<Option<usize>>> {
        let back = i32::from_le_bytes(self.word(table)?);
        let vtable = usize::try_from(i64::try_from(table).ok()? - i64::from(back)).ok()?;
        let bytes = usize::from(u16::from_le_bytes(self.word(vtable)?));
        let field = |entry: usize| {
            let offset = u16::from_le_bytes(self.word(vtable + entry)?);
            (offset != 0).then(|| table + usize::from(offset))
        };
        Some((4..bytes).step_by(2).map(field).collect())
    }

    fn table(&mut self, table: usize, types: &'static [Field]) {
        let Some(fields) = self.fields(table) else {
            return;
        };
        for (position, ty) in fields.into_iter().zip(types) {
            let Some(position) = position else { continue };
            match ty {
                Scalar(width) => self.add(position, *width),
                Scalars(width) => self.vector(position, *width, MAX_ENTRIES, |_, _| ()),
                Tables(types) => self.vector(position, 4, MAX_TABLES, |walk, entry| {
                    if let Some(table) = walk.follow(entry) {
                        walk.table(table, types);
                    }
                }),
                Table(types) => {
                    if let Some(table) = self.follow(position) {
                        self.table(table, types);
                    }
                }
                Options => {
                    if let Some(table) = self.follow(position) {
                        self.options(table);
                    }
                }
                Skip => {}
            }
        }
    }

    /// The length of a vector and its entries: those that are offsets are followed, others are numbers themselves.
    fn vector(&mut self, field: usize, width: usize, most: usize, each: impl Fn(&mut Self, usize)) {
        let Some(start) = self.follow(field) else {
            return;
        };
        let Some(len) = self.word(start).map(u32::from_le_bytes) else {
            return;
        };
        self.add(start, 4);
        let before = self.sites.len();
        for entry in 0..(len as usize).min(most) {
            let position = start + 4 + entry * width;
            each(self, position);
            // Vectors of tables add their tables' numbers, vectors of numbers their first ones.
            if self.sites.len() == before + entry && entry < MAX_ENTRIES {
                self.add(position, width);
            }
        }
    }

    /// The fields of a table whose types are not known: each is as wide as the way to the next.
    fn options(&mut self, table: usize) {
        let Some(fields) = self.fields(table) else {
            return;
        };
        let mut positions: Vec<usize> = fields.into_iter().flatten().collect();
        positions.sort_unstable();
        for (number, &position) in positions.iter().enumerate() {
            let gap = positions.get(number + 1).map_or(4, |next| next - position);
            let width = match gap {
                0..2 => 1,
                2..4 => 2,
                4..8 => 4,
                _ => 8,
            };
            self.add(position, width);
        }
    }
}
