//! Columns for people.

use std::fmt::Write;

/// The rows under the titles, each column as wide as its widest cell and two spaces from the next.
pub(crate) fn render<const COLUMNS: usize>(titles: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in std::iter::once(titles).chain(rows.iter().map(|row| row.each_ref().map(String::as_str))) {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            write!(line, "{cell:<width$}  ").expect("a string takes all that is written");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["1", "leader", ""], ["10", "x", "y"]].map(|row| row.map(str::to_owned));
        assert_eq!(render(["node", "role", "z"], &rows), "node  role    z\n1     leader\n10    x       y\n");
    }
}
