//! Being told to end: by signals of one's own, or by those that the supervisor was sent and passes on.
//!
//! A signal for the whole process group or cgroup (Ctrl-C, `timeout`, systemd's `KillMode=control-group`) reaches both
//! processes, one sent to the supervisor alone only that one. The node counts the two ways apart, and the larger count is
//! how often it was told: so what came both ways counts once, whichever way came first.

use std::io;
use tokio::net::UnixDatagram;

use super::limits::ORDER_MAX;
use super::link::Link;
use super::message::Order;
use crate::signals::{EndSignal, Signals};

/// What tells this process to end. While it exists, signals do not end the process by themselves.
#[derive(Debug)]
pub struct Orders {
    signals: Signals,
    /// Nothing without a supervisor.
    line: Option<UnixDatagram>,
    told: Told,
}

/// How often each way told to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    itself: u32,
    through_supervisor: u32,
}

impl Told {
    /// Counts one, and says whether it was news.
    fn count(&mut self, through_supervisor: bool) -> bool {
        let before = self.times();
        let way = if through_supervisor { &mut self.through_supervisor } else { &mut self.itself };
        *way = way.saturating_add(1);
        self.times() > before
    }

    fn times(self) -> u32 {
        self.itself.max(self.through_supervisor)
    }
}

impl Orders {
    /// Takes signals over, and listens to the supervisor if there is one. Must be called on a tokio runtime.
    pub fn take(link: Option<&Link>) -> io::Result<Self> {
        let line = link.map(Link::orders).transpose()?;
        Ok(Orders { signals: Signals::take()?, line, told: Told::default() })
    }

    /// Waits until this process is told once more.
    pub async fn next(&mut self) -> EndSignal {
        loop {
            let (signal, through_supervisor) = tokio::select! {
                signal = self.signals.next() => (signal, false),
                signal = passed_on(&mut self.line) => (signal, true),
            };
            if self.told.count(through_supervisor) {
                return signal;
            }
        }
    }
}

/// The next signal that the supervisor passes on; never, without one.
async fn passed_on(line: &mut Option<UnixDatagram>) -> EndSignal {
    let mut datagram = [0; ORDER_MAX];
    while let Some(open) = line {
        match open.recv(&mut datagram).await {
            Ok(len) if len > 0 => match Order::decode(&datagram[..len]) {
                Ok(Order::End(signal)) => return signal,
                Err(error) => tracing::error!("{error}"),
            },
            // The supervisor is gone, and this process about to be killed.
            _ => *line = None,
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_both_ways_counts_once_in_whichever_order() {
        let mut told = Told::default();
        assert!(told.count(true) && !told.count(false), "Ctrl-C");
        assert!(told.count(false) && !told.count(true), "again");
        assert!(told.count(true) && told.count(true), "to the supervisor alone, twice");
        assert!(!told.count(false) && !told.count(false));
        assert_eq!(told.times(), 4);
    }
}
