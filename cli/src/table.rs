//! Tables for people.

/// A table of text with aligned columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table under these headings.
    pub(crate) fn new<T: Into<String>>(headings: impl IntoIterator<Item = T>) -> Self {
        let mut table = Self::default();
        table.row(headings);
        table
    }

    /// Adds a row.
    pub(crate) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell.into())).collect());
    }

    /// Each column as wide as its widest cell; two blanks between; none at a line's end.
    pub(crate) fn render(&self) -> String {
        let widths = self.widths();
        self.rows.iter().map(|row| line(row, &widths)).collect()
    }

    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
        let widest = |column| self.rows.iter().map(|row| width(row, column)).max().unwrap_or_default();
        (0..columns).map(widest).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, &width)| pad(cell, width)).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

/// Numbers stand right, everything else left.
fn pad(cell: &str, width: usize) -> String {
    if cell.parse::<f64>().is_ok() { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
}

/// Senders choose some of what is shown here; none of it may steer the terminal.
fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_steers_the_terminal() {
        let mut table = Table::new(["source", "stored"]);
        table.row(["stripe", "12"]);
        table.row(["a\u{1b}[2J", "3"]);
        assert_eq!(table.render(), "source       stored\nstripe           12\na\\u{1b}[2J       3\n");
    }
}
