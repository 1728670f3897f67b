//! What commands print: text for people, JSON for scripts, colours only for a terminal that wants them.
//!
//! Much of it is what a node said, with addresses that strangers chose. A terminal obeys control characters, so it is
//! sent none but line feeds, tabs and the styles of [`paint`]; files and pipes get every byte as it is.

use clap::Args;
use serde::Serialize;
use std::borrow::Cow;
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
    match writeln!(io::stdout().lock(), "{}", for_stream(Stream::Out, text)) {
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

impl Stream {
    fn is_terminal(self) -> bool {
        match self {
            Stream::Out => io::stdout().is_terminal(),
            Stream::Err => io::stderr().is_terminal(),
        }
    }
}

/// A text as it may go there: to a terminal only without what would steer it.
pub fn for_stream(stream: Stream, text: &str) -> Cow<'_, str> {
    if stream.is_terminal() { tamed(text).into() } else { text.into() }
}

/// The text with `\u{fffd}` in place of control characters, and of those that turn the direction of writing.
fn tamed(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (kept, len) = match style_len(rest) {
            Some(len) => (&rest[..len], len),
            None if steers(next) => ("\u{fffd}", next.len_utf8()),
            None => (&rest[..next.len_utf8()], next.len_utf8()),
        };
        tame.push_str(kept);
        rest = &rest[len..];
    }
    tame
}

/// The bytes of the style (ECMA-48 SGR) that a text begins with, if it does.
fn style_len(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    numbers[end..].starts_with('m').then_some("\x1b[m".len() + end)
}

fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && !matches!(c, '\n' | '\t'))
}

/// Puts an ANSI style around a text, if it goes to a terminal and NO_COLOR is not set.
pub fn paint(stream: Stream, style: &str, text: &str) -> String {
    let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stream.is_terminal() && !is_unwanted && !is_dumb {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_sent_words_lines_and_styles_and_nothing_that_steers_it() {
        for harmless in ["a line\n\tand näme 節点 🙂", "\x1b[32;1mgreen\x1b[0m", ""] {
            assert_eq!(tamed(harmless), harmless);
        }
        for (steering, tame) in [
            ("\x1b]0;title\x07", "\u{fffd}]0;title\u{fffd}"),
            ("\x1b[2J\x1b[1;1H", "\u{fffd}[2J\u{fffd}[1;1H"),
            ("\x1b[31", "\u{fffd}[31"),
            ("\u{9b}2Jx\ry\x08", "\u{fffd}2Jx\u{fffd}y\u{fffd}"),
            ("one\u{202e}owt", "one\u{fffd}owt"),
        ] {
            assert_eq!(tamed(steering), tame, "{steering:?}");
        }
    }
}
