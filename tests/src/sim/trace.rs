//! The event log: one line for everything that happened, for people.

use super::clock::At;

/// Lines of a log, if one is kept.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps its lines.
    pub fn kept() -> Self {
        Trace { lines: Some(Vec::new()) }
    }

    /// Whether lines are kept: spares the making of those that are not.
    pub fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    /// Adds a line.
    pub fn note(&mut self, at: At, who: &str, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{at}  {who:<4} {}", what()));
        }
    }

    /// All lines so far.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
