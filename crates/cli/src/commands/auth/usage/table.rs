//! Usage for people: a heading, and a table with a bar for each line.

use std::io::{self, Write};

use comfy_table::{CellAlignment, ColumnConstraint, Table, Width};

use crate::bar::bar;
use crate::commands::auth::usage::report::Report;
use crate::output;

/// The widest and the narrowest bar that is drawn, in columns.
const WIDEST: u16 = 40;
const NARROWEST: u16 = 6;
/// The least that a name is given of a narrow terminal before its bar is.
const NAME: u16 = 16;
/// Blanks between columns.
const BETWEEN: u16 = 2;

pub(super) fn write(out: &mut impl Write, report: &Report) -> io::Result<()> {
    output::print_pieces(out, &heading(report))?;
    output::print_table(out, &table(report, output::width()))
}

fn heading(report: &Report) -> Vec<String> {
    let total = &report.total;
    let mut pieces = vec![
        format!("{}: {}", report.period, output::counted(total.requests, "request")),
        output::counted(total.predictions, "prediction"),
    ];
    pieces.extend(report.error_rate.map(|rate| format!("{} errors", percent(rate))));
    pieces.push(format!("{:.1} ms on average", total.average_ms));
    pieces
}

fn table(report: &Report, width: u16) -> Table {
    let bare = with_bars(report, width, 0);
    let widths = bare.column_max_content_widths();
    let (longest_name, figures) = widths.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    // The last column is the bars', which are empty yet.
    let figures: u16 = figures.iter().filter(|width| **width > 0).map(|width| width + BETWEEN).sum();
    let room = width.saturating_sub(figures);
    let name = longest_name.min(room.saturating_sub(2 * BETWEEN + NARROWEST).max(NAME));
    let left = room.saturating_sub(name + 2 * BETWEEN).min(WIDEST);
    let mut table = if left < NARROWEST { bare } else { with_bars(report, width, left) };
    // Figures are never broken: where there is no room at all, the terminal breaks the lines.
    table.set_width(width.max(figures + name + 2 * BETWEEN));
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(name + BETWEEN)));
    }
    table
}

/// A share, of which something is never nothing.
fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() as i64;
    if tenths == 0 && share > 0.0 {
        "less than 0.1 %".to_owned()
    } else {
        format!("{}.{} %", tenths / 10, tenths % 10)
    }
}

/// A table whose longest bar has so many columns.
fn with_bars(report: &Report, width: u16, columns: u16) -> Table {
    let tells_compute = output::is_roomy(width);
    let name = report.by.name().to_uppercase();
    let mut heads = vec![name.as_str(), "REQUESTS"];
    heads.extend(report.tells_errors().then_some("ERRORS"));
    heads.push("PREDICTIONS");
    heads.extend(tells_compute.then_some("COMPUTE"));
    heads.extend(["AVERAGE", ""]);
    let mut table = output::table_of(&heads, width);
    for column in 1..heads.len() - 1 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let most = report.rows.iter().map(|(_, figures)| figures.requests).max().unwrap_or(0);
    for (name, figures) in &report.rows {
        let mut cells = vec![output::shown(name), figures.requests.to_string()];
        cells.extend(figures.errors.map(|errors| errors.to_string()));
        cells.push(figures.predictions.to_string());
        cells.extend(tells_compute.then(|| output::duration(figures.compute_ms)));
        cells.push(format!("{:.1} ms", figures.average_ms));
        cells.push(bar(figures.requests, most, columns));
        table.add_row(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use hokusai_client::UsageBy;
    use insta::assert_snapshot;

    use super::*;
    use crate::commands::auth::usage::report::Figures;

    fn report(names: &[(&str, i64)]) -> Report {
        let figures = |requests| Figures {
            requests,
            errors: Some(requests / 10),
            predictions: 3 * requests,
            compute_ms: 250 * requests,
            average_ms: 12.34,
        };
        Report {
            period: "2026-11".to_owned(),
            by: UsageBy::Endpoint,
            error_rate: Some(0.1),
            total: figures(names.iter().map(|(_, requests)| requests).sum()),
            rows: names.iter().map(|(name, requests)| ((*name).to_owned(), figures(*requests))).collect(),
        }
    }

    fn drawn(report: &Report, width: u16) -> String {
        let mut out = Vec::new();
        output::print_table(&mut out, &table(report, width)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(width)), "{width}:\n{text}");
        text
    }

    const USUAL: [(&str, i64); 3] = [("/v1/predictions", 120_000), ("/v1/models", 40_000), ("/v1/health", 7)];

    #[test]
    fn bars_are_as_wide_as_there_is_room() {
        assert_snapshot!(drawn(&report(&USUAL), 80), @"
        ENDPOINT         REQUESTS  ERRORS  PREDICTIONS  AVERAGE
        /v1/predictions    120000   12000       360000  12.3 ms  ██████████████████
        /v1/models          40000    4000       120000  12.3 ms  ██████
        /v1/health              7       0           21  12.3 ms  ▏
        ");
        assert_snapshot!(drawn(&report(&USUAL), 120), @"
        ENDPOINT         REQUESTS  ERRORS  PREDICTIONS     COMPUTE  AVERAGE
        /v1/predictions    120000   12000       360000  8 h 20 min  12.3 ms  ████████████████████████████████████████
        /v1/models          40000    4000       120000  2 h 46 min  12.3 ms  █████████████▎
        /v1/health              7       0           21       1.7 s  12.3 ms  ▏
        ");
        assert_snapshot!(drawn(&report(&USUAL), 60), @"
        ENDPOINT         REQUESTS  ERRORS  PREDICTIONS  AVERAGE
        /v1/predictions    120000   12000       360000  12.3 ms
        /v1/models          40000    4000       120000  12.3 ms
        /v1/health              7       0           21  12.3 ms
        ");
    }

    #[test]
    fn where_there_is_no_room_at_all_no_figure_is_broken() {
        let mut out = Vec::new();
        output::print_table(&mut out, &table(&report(&USUAL), 30)).unwrap();
        assert_snapshot!(String::from_utf8(out).unwrap(), @"
        ENDPOINT         REQUESTS  ERRORS  PREDICTIONS  AVERAGE
        /v1/predictions    120000   12000       360000  12.3 ms
        /v1/models          40000    4000       120000  12.3 ms
        /v1/health              7       0           21  12.3 ms
        ");
    }

    #[test]
    fn odd_names_break_no_line() {
        let long = "/v1/".to_owned() + &"very-long-name/".repeat(8);
        let odd = [(long.as_str(), 100), ("/a b\u{202e}c\u{1b}[31m", 50), ("/模型/预测", 10), ("-", 1)];
        assert_snapshot!(drawn(&report(&odd), 80), @r"
        ENDPOINT                     REQUESTS  ERRORS  PREDICTIONS  AVERAGE
        /v1/very-long-name/very-lon       100      10          300  12.3 ms  ██████
        g-name/very-long-name/very-
        long-name/very-long-name/ve
        ry-long-name/very-long-name
        /very-long-name/
        /a b\u{202e}c\u{1b}[31m            50       5          150  12.3 ms  ███
        /模型/预测                         10       1           30  12.3 ms  ▌
        -                                   1       0            3  12.3 ms  ▏
        ");
        for width in [60, 70, 90, 100, 200] {
            let text = drawn(&report(&odd), width);
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
        }
    }

    #[test]
    fn a_share_that_is_not_nothing_is_not_told_as_nothing() {
        for (share, told) in
            [(0.0, "0.0 %"), (0.000_001, "less than 0.1 %"), (0.0425, "4.3 %"), (1.0, "100.0 %")]
        {
            assert_eq!(percent(share), told);
        }
    }
}
