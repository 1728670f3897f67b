//! What a running process says of itself, on standard error: lines for people on a terminal, JSON for programs
//! otherwise. `NITRO_ELECT_LOG` filters (as in `info,nitro_elect::transport=debug`).
//!
//! Nothing secret reaches a log: keys print their public half, sealed and signed bytes their length.

mod aside;

pub use aside::Aside;
use std::fmt;
use std::io::{self, IsTerminal, stderr};
use tracing::field::Field;
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
    let wanted = std::env::var(FILTER).unwrap_or_else(|_| "info".into());
    let filter = EnvFilter::try_new(&wanted);
    let unreadable = filter.as_ref().err().map(ToString::to_string);
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
