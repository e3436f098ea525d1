//! Bars of block characters, to the eighth of a column.

/// What fills a column, and its eighths from one to seven.
const FULL: char = '█';
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
/// A column that is not filled.
const EMPTY: char = '░';

/// A bar that is `columns` wide where `part` is all of `whole`, and as much shorter as it is less. Something
/// is never nothing: it has an eighth at least.
pub(crate) fn bar(part: i64, whole: i64, columns: u16) -> String {
    let (part, whole) = (i128::from(part.max(0)), i128::from(whole.max(1)));
    let all = i128::from(columns) * 8;
    let eighths = (part * all / whole).max(i128::from(part > 0)).min(all);
    let filled = usize::try_from(eighths / 8).unwrap_or(0);
    let rest = usize::try_from(eighths % 8).unwrap_or(0);
    let mut text = FULL.to_string().repeat(filled);
    text.extend(rest.checked_sub(1).map(|index| EIGHTHS[index]));
    text
}

/// The same, with the columns that are not filled to be seen.
pub(crate) fn gauge(part: i64, whole: i64, columns: u16) -> String {
    let text = bar(part, whole, columns);
    let left = usize::from(columns).saturating_sub(text.chars().count());
    text + &EMPTY.to_string().repeat(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        for (part, whole, told) in [
            (0, 8, ""),
            (1, 1_000_000, "▏"),
            (1, 2, "██"),
            (3, 8, "█▌"),
            (31, 32, "███▉"),
            (8, 8, "████"),
            (9, 8, "████"),
            (i64::MAX, i64::MAX, "████"),
            (1, 0, "████"),
            (0, 0, ""),
            (-1, 8, ""),
        ] {
            assert_eq!(bar(part, whole, 4), told, "{part} of {whole}");
        }
        assert_eq!(bar(1, 2, 0), "");
    }

    #[test]
    fn a_gauge_shows_what_is_left() {
        assert_eq!(gauge(0, 8, 4), "░░░░");
        assert_eq!(gauge(3, 8, 4), "█▌░░");
        assert_eq!(gauge(8, 8, 4), "████");
    }
}
