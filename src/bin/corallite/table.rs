//! Tables for terminals: columns as wide as their widest cell.

/// Which side of a column its cells keep to.
#[derive(Clone, Copy)]
pub enum Align {
    Left,
    Right,
}

/// Rows under a heading.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

/// Longer cells are cut: a name may be as long as a file.
const MAX_WIDTH: usize = 60;

impl Table {
    /// An empty table.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: one cell per column.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cut = |cell: String| {
            let cell = crate::output::one_line(&cell);
            if cell.chars().count() <= MAX_WIDTH {
                return cell;
            }
            let start: String = cell.chars().take(MAX_WIDTH - 3).collect();
            start + "..."
        };
        self.rows.push(cells.map(cut).to_vec());
    }

    /// The lines, indented by two.
    pub fn render(&self, to: &mut String) {
        let width = |cell: &str| cell.chars().count();
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| width(name)).collect();
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = width(cell).max(*widest);
            }
        }
        let heading: Vec<String> = self
            .columns
            .iter()
            .map(|(name, _)| (*name).into())
            .collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::from(" ");
            for ((cell, &width), (_, align)) in row.iter().zip(&widths).zip(&self.columns) {
                line += &match align {
                    Align::Left => format!(" {cell:<width$} "),
                    Align::Right => format!(" {cell:>width$} "),
                };
            }
            *to += line.trim_end();
            to.push('\n');
        }
    }
}

/// A number of bytes as people read it.
pub fn bytes(count: usize) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Rounding to float64 changes nothing that two digits show.
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.2} {unit}")
}
