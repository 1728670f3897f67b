//! What commands print: text for people, JSON for scripts, colours only for a terminal that wants them.

use clap::Args;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

use super::failure::{FAILED, Failure};

/// The flag that every command with a result has.
#[derive(Debug, Clone, Copy, Args)]
pub struct Format {
    /// Print the result as JSON
    #[arg(long, env = "NITRO_ELECT_JSON", hide_env_values = true)]
    pub json: bool,
}

impl Format {
    /// Prints a result: the text, or the JSON of the value.
    pub fn print(self, text: &str, value: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return print(text);
        }
        let json = serde_json::to_string_pretty(value).expect("results are made of texts and numbers");
        print(&json)
    }
}

/// Prints a line or lines to standard output. A reader that left early, as `head` does, is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = format!("could not write to standard output: {error}");
            Err(Failure::new(FAILED, what, "check where the output goes"))
        }
        _ => Ok(()),
    }
}

/// Where a text goes.
#[derive(Debug, Clone, Copy)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Puts an ANSI style around a text, if it goes to a terminal and NO_COLOR is not set.
pub fn paint(stream: Stream, style: &str, text: &str) -> String {
    let is_terminal = match stream {
        Stream::Out => io::stdout().is_terminal(),
        Stream::Err => io::stderr().is_terminal(),
    };
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if is_terminal && !is_unwanted && !is_dumb { format!("\x1b[{style}m{text}\x1b[0m") } else { text.into() }
}
