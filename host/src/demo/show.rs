//! Showing scenes: for people with the time since the beginning, for programs as one JSON object a line.

use serde::Serialize;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::error::DemoError;
use super::scene::Scene;
use super::text;

/// Where scenes go.
#[derive(Debug)]
pub struct Show {
    json: bool,
    began: Instant,
}

#[derive(Serialize)]
struct Timed<'a> {
    at_ms: u64,
    #[serde(flatten)]
    scene: &'a Scene,
}

impl Show {
    /// Begins now.
    pub fn new(json: bool) -> Self {
        Show { json, began: Instant::now() }
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Shows a scene.
    pub fn show(&self, scene: &Scene) -> Result<(), DemoError> {
        let at = self.began.elapsed();
        let shown = match self.json {
            true => {
                let timed = Timed { at_ms: millis(at), scene };
                serde_json::to_string(&timed).expect("scenes are made of texts and numbers")
            }
            false => text::of(scene, at),
        };
        let written = writeln!(io::stdout().lock(), "{shown}");
        written.map_err(|source| match source.kind() {
            io::ErrorKind::BrokenPipe => DemoError::NobodyReads,
            _ => DemoError::System { what: "write to standard output".into(), source },
        })
    }
}

/// Whole milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
