//! What a running process says of itself, on standard error: lines for people on a terminal, JSON for programs
//! otherwise. `NITRO_ELECT_LOG` filters (as in `info,nitro_elect::transport=debug`).
//!
//! Nothing secret reaches a log: keys print their public half, sealed and signed bytes their length.

mod aside;

pub use aside::Aside;
use std::fmt;
use std::io::{self, IsTerminal, stderr};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{self, Writer};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The field by which programs tell events apart.
const EVENT_FIELD: &str = "event";
/// The variable that filters.
const FILTER: &str = "NITRO_ELECT_LOG";

/// Begins to log: in this format, or as the terminal suggests.
///
/// A filter that cannot be read is told of, and does not count.
pub fn start(format: Option<LogFormat>) {
    start_with(format, stderr);
}

/// The same for a process whose work must not wait for whoever reads its log: lines that are not taken are lost, and
/// counted.
pub fn start_aside(format: Option<LogFormat>) -> Aside {
    let aside = Aside::start();
    let lines = aside.clone();
    start_with(format, move || lines.line());
    aside
}

fn start_with<W: io::Write>(format: Option<LogFormat>, writer: impl Fn() -> W + Send + Sync + 'static) {
    let wanted = std::env::var(FILTER).ok().filter(|wanted| !wanted.is_empty());
    let wanted = wanted.unwrap_or_else(|| "info".into());
    let filter = read_filter(&wanted);
    let unreadable = filter.as_ref().err().cloned();
    let on_terminal = stderr().is_terminal();
    let format = format.unwrap_or(if on_terminal { LogFormat::Human } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_target(false)
        // A line that its file has no room for is lost: to tell of that on the same file would end the thread.
        .log_internal_errors(false)
        .with_writer(writer);
    // A process logs to one place: whoever began before keeps it.
    let _begun_before = match format {
        LogFormat::Human => {
            let colour = on_terminal && wants_colour();
            lines.fmt_fields(format::debug_fn(write_field)).with_ansi(colour).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).try_init(),
    };
    if let Some(why) = unreadable {
        tracing::warn!("{FILTER}={wanted} cannot be read ({why}); it does not count");
    }
}

/// Reads a filter. A word by itself is a level: as the name of a module, which it may be to the library, a typing error would
/// silence everything.
fn read_filter(wanted: &str) -> Result<EnvFilter, String> {
    let words = wanted.split(',').map(str::trim).filter(|part| !part.contains(['=', '[']));
    for word in words {
        word.parse::<LevelFilter>().map_err(|_| format!("{word:?} is no level"))?;
    }
    EnvFilter::try_new(wanted).map_err(|error| error.to_string())
}

/// The sentence alone, and the values that are not in it; the name of an event is for programs.
fn write_field(out: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => write!(out, "{value:?}"),
        EVENT_FIELD => Ok(()),
        name => write!(out, " {name}={value:?}"),
    }
}

/// Whether colours are welcome (<https://no-color.org>).
pub fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_of_levels_and_modules_is_read() {
        for wanted in ["info", "WARN", "off", "info,nitro_elect::transport=debug", "nitro_elect=trace, warn"]
        {
            assert!(read_filter(wanted).is_ok(), "{wanted}");
        }
    }

    #[test]
    fn a_misspelt_level_silences_nothing() {
        for wanted in ["inof", "verbose", "info,degub", "nitro_elect=degub"] {
            assert!(read_filter(wanted).is_err(), "{wanted}");
        }
    }
}
