//! How results look: tables and local times for people, JSON for programs.

use std::io::{self, IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use hokusai_core::billing::Money;
use hokusai_core::time::{DAY, Timestamp};
use jiff::tz::TimeZone;

/// What a command prints on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Good, worth a look, or bad.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Names of things.
pub(crate) const LABEL: Style = Style::new().bold();

/// Characters behind the beginning of a key or token from which on it is not repeated.
const SHORTEST_SECRET: usize = 12;

/// A text in a colour; the stream that it is written to takes the colour away where it does not belong.
pub(crate) fn painted(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns that take what the others leave; their texts are broken if that is too little.
const ELASTIC: [&str; 2] = ["NAME", "USER"];
/// Narrower terminals have no room for whole tables.
const ROOMY: u16 = 100;

/// Columns of the terminal that standard output is; as many as one likes where it is none.
pub(crate) fn width() -> u16 {
    if !io::stdout().is_terminal() {
        return u16::MAX;
    }
    Table::new().width().filter(|columns| *columns > 0).unwrap_or(80)
}

/// A table without lines, as wide as the terminal at the most. An id is never broken to fit: it could not be
/// copied.
pub(crate) fn table<const N: usize>(heads: [&str; N]) -> Table {
    table_of(&heads, width())
}

/// The same for a terminal of so many columns.
pub(crate) fn table_of(heads: &[&str], width: u16) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    table.set_header(heads.iter().copied());
    for (column, head) in table.column_iter_mut().zip(heads) {
        column.set_padding((0, 2));
        if !ELASTIC.contains(head) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// Whether a terminal of so many columns has room for whole tables.
pub(crate) fn is_roomy(width: u16) -> bool {
    width >= ROOMY
}

/// Leaves columns out where the terminal has no room for them.
pub(crate) fn hide_if_narrow(table: &mut Table, columns: &[usize]) {
    for &column in columns.iter().filter(|_| !is_roomy(width())) {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::Hidden);
        }
    }
}

/// Writes a table without the blanks that end its lines.
pub(crate) fn print_table(out: &mut impl Write, table: &Table) -> io::Result<()> {
    for line in table.to_string().lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A text that somebody else chose, as it can be shown: what would move the cursor, turn the direction of
/// writing, or not be seen is written out, so that no name looks like another or like more than a name.
pub(crate) fn shown(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|c| if is_hidden(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// A text without the keys and tokens in it: of each, only what it begins with.
pub(crate) fn without_secrets(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !is_part(c)).unwrap_or(from.len()));
        let prefix = ["hk_live_", "hk_test_", "hk_dev_", "hka_"]
            .into_iter()
            .find(|prefix| word.strip_prefix(prefix).is_some_and(|secret| secret.len() >= SHORTEST_SECRET));
        out.push_str(before);
        match prefix {
            Some(prefix) => out.extend([prefix, "…"]),
            None => out.push_str(word),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// A JSON array with each element on a line of its own.
pub(crate) fn print_json_lines<T: serde::Serialize>(out: &mut impl Write, elements: &[T]) -> io::Result<()> {
    let mut before = "[";
    for element in elements {
        write!(out, "{before}\n  {}", serde_json::to_string(element)?)?;
        before = ",";
    }
    writeln!(out, "{}", if elements.is_empty() { "[]" } else { "\n]" })
}

/// Names and what they stand for, one to a line.
pub(crate) fn print_facts(out: &mut impl Write, facts: &[(&str, String)]) -> io::Result<()> {
    let longest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in facts {
        let line =
            format!("{LABEL}{name}{LABEL:#}{:blank$}  {}", "", shown(value), blank = longest - name.len());
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Text pieces with commas between them, in lines that the terminal has room for.
pub(crate) fn print_pieces(out: &mut impl Write, pieces: &[String]) -> io::Result<()> {
    let mut line = String::new();
    for (number, piece) in pieces.iter().enumerate() {
        let piece = if number + 1 < pieces.len() { format!("{piece},") } else { piece.clone() };
        if !line.is_empty() && line.len() + 1 + piece.len() > usize::from(width()) {
            writeln!(out, "{}", painted(&line, LABEL))?;
            line.clear();
        }
        line += if line.is_empty() { "" } else { " " };
        line += &piece;
    }
    writeln!(out, "{}", painted(&line, LABEL))
}

/// `1 request`, `2 requests`.
pub(crate) fn counted(number: i64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `$0.00`, `$0.012`: all digits that say something, and at least the cents.
pub(crate) fn dollars(money: Money) -> String {
    let text = money.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let cents = text.find('.').map_or(text.len(), |point| point + 3);
    let (kept, rest) = text.split_at(cents);
    format!("{sign}${kept}{}", rest.trim_end_matches('0'))
}

/// `850 ms`, `12.5 s`, `3 min 20 s`, `5 h 10 min`: a time that something took.
pub(crate) fn duration(ms: i64) -> String {
    let seconds = ms / 1000;
    match seconds {
        ..1 => format!("{ms} ms"),
        1..120 => format!("{seconds}.{} s", ms % 1000 / 100),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `2 hours ago`, `in 30 days`: an RFC 3339 time as people say it.
pub(crate) fn relative(time: &str, now: Timestamp) -> String {
    let Some(at) = hokusai_api::time::read(time) else { return time.to_owned() };
    let seconds = at.saturating_sub(now.0) / 1_000_000;
    let (size, unit) = match seconds.unsigned_abs() {
        0..5 => return "now".to_owned(),
        some @ 5..120 => (some, "second"),
        some @ 120..7200 => ((some + 30) / 60, "minute"),
        some @ 7200..172_800 => ((some + 1800) / 3600, "hour"),
        some => ((some + 43_200) / 86_400, "day"),
    };
    let unit = if size == 1 { unit.to_owned() } else { format!("{unit}s") };
    if seconds < 0 { format!("{size} {unit} ago") } else { format!("in {size} {unit}") }
}

/// An RFC 3339 time in the zone of this machine, and how far off it is.
pub(crate) fn local(time: &str, now: Timestamp) -> String {
    let Some(at) = hokusai_api::time::read(time) else { return time.to_owned() };
    let Ok(at) = jiff::Timestamp::from_microsecond(at) else { return time.to_owned() };
    let local = at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z");
    format!("{local} ({})", relative(time, now))
}

/// An RFC 3339 time as it is told in a table: to the second in the zone of this machine, if there is room.
pub(crate) fn stamp(time: &str, now: Timestamp) -> String {
    let at = hokusai_api::time::read(time).and_then(|at| jiff::Timestamp::from_microsecond(at).ok());
    match at {
        Some(at) if width() >= ROOMY => {
            at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        _ => relative(time, now),
    }
}

/// A time told by one of the above, or that there is none.
pub(crate) fn or_never(time: Option<&str>, tell: fn(&str, Timestamp) -> String, now: Timestamp) -> String {
    time.map_or_else(|| "never".to_owned(), |time| tell(time, now))
}

/// The colour that suits an end in time: red once it is over, yellow in the two weeks before.
pub(crate) fn end_style(time: &str, now: Timestamp) -> Style {
    match hokusai_api::time::read(time) {
        Some(at) if at <= now.0 => BAD,
        Some(at) if at <= now.0.saturating_add(14 * DAY) => ODD,
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_moves_the_cursor_or_turns_the_writing() {
        assert_eq!(shown("a\u{1b}[31mb\nc\u{202e}d\u{200b}"), "a\\u{1b}[31mb\\u{a}c\\u{202e}d\\u{200b}");
        assert_eq!(shown("Größe 👩‍🔬 שלום"), "Größe 👩‍🔬 שלום");
    }

    #[test]
    fn of_a_secret_only_the_beginning_is_left() {
        let text = "unexpected 'hk_live_0123456789abcdef' and https://hka_0123456789abcdef, not hk_live_x";
        assert_eq!(without_secrets(text), "unexpected 'hk_live_…' and https://hka_…, not hk_live_x");
    }

    #[test]
    fn money_is_told_to_the_last_digit_that_says_something() {
        for (micros, told) in [
            (0, "$0.00"),
            (12_000, "$0.012"),
            (1, "$0.000001"),
            (1_500_000, "$1.50"),
            (1_234_567_890_000, "$1234567.89"),
            (-1_000_001, "-$1.000001"),
            (i64::MAX, "$9223372036854.775807"),
        ] {
            assert_eq!(dollars(Money(micros)), told);
        }
    }

    #[test]
    fn what_something_took_is_told_in_units_that_fit() {
        for (ms, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (12_599, "12.5 s"),
            (200_000, "3 min 20 s"),
            (18_600_000, "5 h 10 min"),
            (1_000_000_000, "277 h 46 min"),
        ] {
            assert_eq!(duration(ms), told);
        }
    }

    #[test]
    fn times_are_told_in_the_largest_unit_that_is_not_coarse() {
        let now = Timestamp(1_736_937_000_000_000);
        for (time, told) in [
            ("2025-01-15T10:30:00Z", "now"),
            ("2025-01-15T10:29:00Z", "60 seconds ago"),
            ("2025-01-15T10:32:00Z", "in 2 minutes"),
            ("2025-01-15T12:30:00Z", "in 2 hours"),
            ("2025-01-13T10:30:00Z", "2 days ago"),
            ("2025-02-14T10:30:00Z", "in 30 days"),
            ("2025-01-18T10:29:59Z", "in 3 days"),
            ("soon", "soon"),
        ] {
            assert_eq!(relative(time, now), told, "{time}");
        }
    }
}
