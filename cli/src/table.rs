//! Tables for people.

use crate::output::printable;

/// A table of text with aligned columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes a table with these headings.
    pub(crate) fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::default();
        table.row(headings);
        table
    }

    /// Adds a row. Characters that could steer a terminal are escaped.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell.into())).collect());
    }

    /// Writes the table. Each column is as wide as its widest cell, with two spaces between columns. Columns
    /// of numbers are aligned right.
    pub(crate) fn render(&self) -> String {
        let columns: Vec<Column> = (0..self.columns()).map(|index| self.column(index)).collect();
        self.rows.iter().map(|row| line(row, &columns)).collect()
    }

    fn columns(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or_default()
    }

    fn column(&self, index: usize) -> Column {
        let cells = || self.rows.iter().filter_map(|row| row.get(index));
        Column {
            width: cells().map(|cell| cell.chars().count()).max().unwrap_or_default(),
            // The first row may be a heading.
            right: cells().skip(1).all(|cell| cell.parse::<f64>().is_ok()),
        }
    }
}

struct Column {
    width: usize,
    right: bool,
}

fn line(row: &[String], columns: &[Column]) -> String {
    let cells: Vec<String> = row.iter().zip(columns).map(|(cell, column)| column.pad(cell)).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

impl Column {
    fn pad(&self, cell: &str) -> String {
        let width = self.width;
        if self.right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_steers_the_terminal() {
        let mut table = Table::new(["source", "stored"]);
        table.row(["stripe", "12"]);
        table.row(["a\u{1b}[2J", "3"]);
        assert_eq!(table.render(), "source      stored\nstripe          12\na\\u{1b}[2J       3\n");
    }
}
