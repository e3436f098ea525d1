//! Usage for programs: comma-separated values with a header, quoted as RFC 4180 says.

use std::io::{self, Write};

use crate::commands::auth::usage::report::Report;

pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let errors = if report.tells_errors() { ",errors" } else { "" };
    let name = report.by.name();
    writeln!(out, "{name},requests{errors},predictions,compute_ms,average_response_time_ms")?;
    for (name, figures) in &report.rows {
        let errors = figures.errors.map(|errors| format!(",{errors}")).unwrap_or_default();
        let average = (figures.average_ms * 1000.0).round() / 1000.0;
        let (requests, predictions) = (figures.requests, figures.predictions);
        let name = field(name);
        writeln!(out, "{name},{requests}{errors},{predictions},{},{average}", figures.compute_ms)?;
    }
    Ok(())
}

/// A text as one field. What a spreadsheet would take for a formula gets an apostrophe, which makes it text.
fn field(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_field_and_is_never_a_formula() {
        for (text, told) in [
            ("/v1/models", "/v1/models"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@sum(1,2)", "\"'@sum(1,2)\""),
            ("\t=1", "'\t=1"),
            ("a=1", "a=1"),
            ("2026-11-07", "2026-11-07"),
        ] {
            assert_eq!(field(text), told, "{text}");
        }
    }
}
