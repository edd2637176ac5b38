//! Columns for people.

/// The rows under the titles, each column as wide as its widest cell and two spaces from the next.
pub(crate) fn render<const COLUMNS: usize>(titles: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> String {
    aligned(titles, rows, COLUMNS)
}

/// The same, with figures: all columns but the first end below each other.
pub(crate) fn render_figures<const COLUMNS: usize>(
    titles: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    aligned(titles, rows, 1)
}

/// The first `left` columns begin below each other, the others end so.
fn aligned<const COLUMNS: usize>(titles: [&str; COLUMNS], rows: &[[String; COLUMNS]], left: usize) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let mut text = String::new();
    for cells in std::iter::once(titles).chain(rows.iter().map(|row| row.each_ref().map(String::as_str))) {
        let mut line = String::new();
        for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padded =
                if column < left { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
            line.push_str(&padded);
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
    #[test]
    fn figures_end_below_each_other() {
        let rows = [["GET", "1"], ["x", "1,000"]].map(|row| row.map(str::to_owned));
        assert_eq!(render_figures(["", "n"], &rows), "         n\nGET      1\nx    1,000\n");
    }
}
