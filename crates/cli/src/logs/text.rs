//! Log lines for people. There is one for each request that a gateway answers, so these are written without
//! detours; all others are the library's.

use std::fmt;

use hokusai_gateway::ACCESS;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines as the library writes them.
pub(super) struct Lines(Format<Full>);

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
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let about = event.metadata();
        if about.target() != ACCESS || *about.level() != Level::INFO || line.has_ansi_escapes() {
            return self.0.format_event(ctx, line, event);
        }
        SystemTime.format_time(&mut line)?;
        line.write_str("  INFO ")?;
        line.write_str(ACCESS)?;
        line.write_char(':')?;
        let mut fields = Fields { line, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        fields.line.write_char('\n')
    }
}

/// Writes fields one after the other, until one can't be written.
struct Fields<'a> {
    line: Writer<'a>,
    written: fmt::Result,
}

impl Fields<'_> {
    fn write_all(&mut self, parts: [&str; 5]) {
        let Self { line, written } = self;
        if written.is_ok() {
            *written = parts.into_iter().try_for_each(|part| line.write_str(part));
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if value.bytes().all(is_plain) {
            self.write_all([" ", field.name(), "=\"", value, "\""]);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Self { line, written } = self;
        if written.is_ok() {
            *written = match field.name() {
                "message" => write!(line, " {value:?}"),
                name => write!(line, " {name}={value:?}"),
            };
        }
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
