//! Log lines on their way to standard error, by a thread of their own.
//!
//! Standard error may be a pipe that somebody else fills, such as a command that floods its output: then writing waits
//! for whoever reads it, and a node that waits holds no lease for long. Here the thread waits, and nobody else.

use std::io::{self, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Lines that wait: minutes of an ordinary day, seconds of a busy one.
const WAITING: usize = 1024;
/// How long the last lines may take when the process ends.
const LAST_LINES: Duration = Duration::from_millis(300);
const LOOK: Duration = Duration::from_millis(5);

enum Piece {
    Line(Vec<u8>),
    /// All before it were written once this is answered.
    Mark(SyncSender<()>),
}

/// The way to the thread that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Aside {
    pieces: SyncSender<Piece>,
    lost: Arc<AtomicU64>,
}

impl Aside {
    pub(super) fn start() -> Aside {
        let (pieces, waiting) = sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = lost.clone();
        let writing =
            thread::Builder::new().name("log".into()).spawn(move || write(&waiting, &counted, stderr()));
        // Without the thread nobody takes the lines, and they are lost: a process that can start none says so elsewhere.
        drop(writing);
        Aside { pieces, lost }
    }

    pub(super) fn line(&self) -> Line {
        Line { bytes: Vec::new(), to: self.clone() }
    }

    /// Waits a moment for the lines that are on their way.
    pub fn finish(&self) {
        let (answer, answered) = sync_channel(1);
        let last = Instant::now() + LAST_LINES;
        let mut mark = Piece::Mark(answer);
        while let Err(error) = self.pieces.try_send(mark) {
            if Instant::now() >= last {
                return;
            }
            thread::sleep(LOOK);
            mark = match error {
                std::sync::mpsc::TrySendError::Full(mark) => mark,
                std::sync::mpsc::TrySendError::Disconnected(_) => return,
            };
        }
        let _late = answered.recv_timeout(last.saturating_duration_since(Instant::now()));
    }
}

fn write(waiting: &Receiver<Piece>, lost: &AtomicU64, mut to: impl Write) {
    for piece in waiting {
        // A log that nobody can be given is nobody's fault here.
        match piece {
            Piece::Line(line) => drop(to.write_all(&line)),
            Piece::Mark(answer) => drop(answer.try_send(())),
        }
        let count = lost.swap(0, Ordering::Relaxed);
        if count > 0 {
            drop(writeln!(to, "nitro-elect: {count} log lines were lost, as nobody took them in time"));
        }
    }
}

/// One line being made; it leaves whole when it is dropped.
pub(super) struct Line {
    bytes: Vec<u8>,
    to: Aside,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.to.pieces.try_send(Piece::Line(std::mem::take(&mut self.bytes))).is_err() {
            self.to.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(aside: &Aside, text: &str) {
        aside.line().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn nobody_waits_for_a_log_that_is_not_read_and_what_is_lost_is_counted() {
        let (pieces, waiting) = sync_channel(2);
        let aside = Aside { pieces, lost: Arc::default() };
        (0..5).for_each(|number| say(&aside, &format!("line {number}\n")));
        let lost = aside.lost.clone();
        assert_eq!(lost.load(Ordering::Relaxed), 3);
        drop(aside);
        let mut written = Vec::new();
        write(&waiting, &lost, &mut written);
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text, "line 0\nnitro-elect: 3 log lines were lost, as nobody took them in time\nline 1\n");
    }

    #[test]
    fn the_last_lines_are_waited_for_but_not_for_ever() {
        let (pieces, waiting) = sync_channel(1);
        let aside = Aside { pieces, lost: Arc::default() };
        say(&aside, "a line that fills the queue");
        let begun = Instant::now();
        aside.finish();
        assert!(begun.elapsed() >= LAST_LINES);
        drop(waiting);
        aside.finish();
    }
}
