//! Log lines for people. There is one for each request that a gateway answers, so these are written without
//! detours; all others are the library's.

use std::fmt::{self, Write as _};

use hokusai_gateway::ACCESS;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::clock;

/// Lines as the library writes them.
pub(super) struct Lines(Format<Full>);

/// About how long a line is, in bytes.
const USUAL: usize = 320;

impl Lines {
    pub(super) fn new() -> Self {
        Self(Format::default())
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        if about.target() != ACCESS || *about.level() != Level::INFO || writer.has_ansi_escapes() {
            return self.0.format_event(ctx, writer, event);
        }
        let mut line = Line::beginning(clock::now());
        event.record(&mut line);
        line.written?;
        line.text.push('\n');
        writer.write_str(&line.text)
    }
}

/// A line, to which fields are added one after the other, until one can't be written.
struct Line {
    text: String,
    written: fmt::Result,
}

impl Line {
    fn beginning(now: Timestamp) -> Self {
        const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
        let mut text = String::with_capacity(USUAL);
        let written = PRINTER.print_timestamp(&now, &mut text).map_err(|_| fmt::Error);
        for part in ["  INFO ", ACCESS, ":"] {
            text.push_str(part);
        }
        Self { text, written }
    }

    fn name(&mut self, field: &Field) {
        for part in [" ", field.name(), "="] {
            self.text.push_str(part);
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if !value.bytes().all(is_plain) {
            return self.record_debug(field, &value);
        }
        self.name(field);
        for part in ["\"", value, "\""] {
            self.text.push_str(part);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.text.push_str(itoa::Buffer::new().format(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.text.push(' '),
            _ => self.name(field),
        }
        self.written = self.written.and_then(|()| write!(self.text, "{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::held::{Logs, Written};

    /// What is written of some events, without the time.
    fn lines(
        format: impl FormatEvent<tracing_subscriber::Registry, tracing_subscriber::fmt::format::DefaultFields>
        + Send
        + Sync
        + 'static,
    ) -> Vec<String> {
        let written = Written::default();
        let logs = Logs::to(written.clone());
        let lines = tracing_subscriber::fmt().with_ansi(false).event_format(format);
        tracing::subscriber::with_default(lines.with_writer(logs.writer()).finish(), || {
            let id = "018f0000-0000-7000-8000-000000000001";
            let client: std::net::IpAddr = "::1".parse().unwrap();
            tracing::info!(target: ACCESS, request_id = %id, method = "GET", route = "/a b",
                status = 200, %client, key_id = Some(tracing::field::display(id)), took_us = 7_u64, "request");
            tracing::info!(target: ACCESS, key_id = None::<u64>, route = "\u{1b}[31m\"", "request");
            let span = tracing::error_span!("request", id).entered();
            tracing::warn!(error = "\u{1b}", "something \u{1b} else");
            drop(span);
        });
        drop(logs);
        let text = written.take().concat();
        text.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn the_time_is_as_the_library_writes_it() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_709_210_096_000_001_000, "2024-02-29T12:34:56.000001Z"),
            (1_709_210_096_120_000_000, "2024-02-29T12:34:56.120000Z"),
            (1_709_210_096_999_999_999, "2024-02-29T12:34:56.999999Z"),
        ] {
            let line = Line::beginning(Timestamp::from_nanosecond(nanos).unwrap());
            assert_eq!(line.text, format!("{expected}  INFO {ACCESS}:"));
        }
    }

    #[test]
    fn lines_are_as_the_library_writes_them() {
        let (ours, theirs) = (lines(Lines::new()), lines(Format::default()));
        assert_eq!(ours, theirs);
        assert_eq!(ours.len(), 3);
        let first = " INFO hokusai_gateway::access: request request_id=018f0000-0000-7000-8000-000000000001 \
                     method=\"GET\" route=\"/a b\" status=200 client=::1 \
                     key_id=018f0000-0000-7000-8000-000000000001 took_us=7";
        assert_eq!(ours[0], first);
    }
}
