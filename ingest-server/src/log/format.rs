//! How a line looks on a terminal: time, level, session and track in columns, then the words.

use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::TARGET;
use crate::config::LogFormat;

/// What is logged when RUST_LOG says nothing: our lines, and what libraries warn of.
const DEFAULT_FILTER: &str = "warn,longtake=info,ingest_server=info";

/// Libraries that log addresses and keys at their lower levels, whatever RUST_LOG asks for.
const DISCREET: [&str; 3] = ["str0m=warn", "is=warn", "dimpl=warn"];

/// The subscriber that writes to standard output, in the form asked for. RUST_LOG chooses what.
#[must_use]
pub fn subscriber(format: LogFormat) -> Box<dyn Subscriber + Send + Sync> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(discreet(filter));
    match format {
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).finish()),
        LogFormat::Text => {
            let builder = builder.with_ansi(std::io::stdout().is_terminal());
            Box::new(builder.event_format(Lines).finish())
        }
    }
}

/// The same filter, which keeps quiet what tells addresses and keys.
#[must_use]
pub fn discreet(filter: EnvFilter) -> EnvFilter {
    let directives = DISCREET.iter().filter_map(|directive| directive.parse().ok());
    directives.fold(filter, EnvFilter::add_directive)
}

/// Lines for people.
#[derive(Debug, Clone, Copy)]
struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields { is_ours: event.metadata().target() == TARGET, ..Fields::default() };
        event.record(&mut fields);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(writer, "{}  ", utc(since.as_millis() as u64))?;
        let (name, colour) = match *event.metadata().level() {
            Level::ERROR => ("ERROR", "\x1b[1;31m"),
            Level::WARN => ("WARN ", "\x1b[33m"),
            Level::INFO => ("info ", "\x1b[32m"),
            Level::DEBUG => ("debug", "\x1b[34m"),
            Level::TRACE => ("trace", "\x1b[2m"),
        };
        if writer.has_ansi_escapes() {
            write!(writer, "{colour}{name}\x1b[0m  ")?;
        } else {
            write!(writer, "{name}  ")?;
        }
        if fields.is_ours {
            write!(writer, "{:8} {:5}  ", fields.session, fields.track)?;
        } else {
            write!(writer, "{:8} {:5}  {}: ", "", "", event.metadata().target())?;
        }
        writeln!(writer, "{}{}", fields.message, fields.rest)
    }
}

#[derive(Debug, Default)]
struct Fields {
    is_ours: bool,
    session: String,
    track: String,
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field.name(), format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field.name(), format_args!("{value:?}"));
    }
}

impl Fields {
    fn take(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let target = match name {
            "message" => &mut self.message,
            "session" if self.is_ours => &mut self.session,
            "track" if self.is_ours => &mut self.track,
            // Our messages say in words what their fields say to programs.
            _ if self.is_ours => return,
            _ => {
                let _ = write!(self.rest, " {name}={value}");
                return;
            }
        };
        let _ = write!(target, "{value}");
    }
}

/// A wall-clock time in UTC as `2026-11-20 23:47:02.123`.
fn utc(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    // Howard Hinnant's civil_from_days, for days since 1970-01-01.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03}", ms % 1_000)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix_ms, text) in [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (1_700_000_000_123, "2023-11-14 22:13:20.123"),
            (4_102_444_799_999, "2099-12-31 23:59:59.999"),
        ] {
            assert_eq!(utc(unix_ms), text);
        }
    }
}
