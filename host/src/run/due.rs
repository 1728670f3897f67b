//! When a runner should have said that its command is gone: rules of its owner, who ends the command and the runner if it
//! does not.
//!
//! A runner that works says so in time. One that stands still (SIGSTOP) or spins says nothing, and its command may run on.
//! An owner that was itself stopped, or slept with its machine, finds the moment long past when it wakes, and the runner's
//! word waiting to be read: so lateness counts from when the owner has noticed, not from the moment itself.

use std::time::Duration;

use super::limits::{KILL_RESERVE, RUNNER_LATE};
use super::rules::{Order, Telling};
use nitro_elect_protocol::time::Boot;

/// What a runner owes its owner.
#[derive(Debug, Default)]
pub struct Due {
    /// The latest end of a lease that it was told.
    lease: Option<Boot>,
    /// When the command's patience is over, if it was asked to end.
    patience: Option<Boot>,
    /// Whether it has said that it kills: it does its duty, however long a process takes to die under a lease.
    is_killing: bool,
    /// When the owner saw that it is late.
    noticed: Option<Boot>,
}

impl Due {
    /// An order is given, to a runner whose command has so much patience.
    pub fn ordered(&mut self, order: &Order, patience: Duration, now: Boot) {
        self.lease = self.lease.max(order.lease.map(|lease| lease.until));
        let is_asked = order.end || order.quit.is_some();
        let due = self.patience.unwrap_or(now + patience + KILL_RESERVE);
        self.patience = is_asked.then_some(due);
    }

    /// The runner has told something; `order` is the last that it was given.
    pub fn told(&mut self, telling: Telling, order: &Order) {
        match telling {
            Telling::Killed => self.is_killing = true,
            Telling::Clear { order: answered } if answered == order.number => *self = Due::default(),
            _ => {}
        }
    }

    /// When it is late; never, while nothing is owed.
    pub fn late_at(&self) -> Option<Boot> {
        self.lease.into_iter().chain(self.patience.filter(|_| !self.is_killing)).min()
    }

    /// When it counts as lost, given that the owner sees the time now; never, before it is late.
    pub fn lost_at(&mut self, now: Boot) -> Option<Boot> {
        self.noticed = match self.late_at() {
            Some(late) if late <= now => Some(self.noticed.unwrap_or(now)),
            _ => None,
        };
        self.noticed.map(|noticed| noticed + RUNNER_LATE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Lease;
    use super::*;
    use nitro_elect_protocol::ids::Term;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Boot {
        Boot(0) + Duration::from_millis(ms)
    }

    fn lease_until(ms: u64) -> Order {
        let lease = Lease { term: Term(1), until: at(ms), length: Duration::from_secs(1) };
        Order { number: 1, lease: Some(lease), ..Order::default() }
    }

    #[test]
    fn a_runner_owes_its_word_at_the_end_of_the_longest_lease_that_it_was_told() {
        let mut due = Due::default();
        assert_eq!(due.late_at(), None);
        due.ordered(&lease_until(1_000), PATIENCE, at(0));
        due.ordered(&lease_until(2_000), PATIENCE, at(500));
        due.ordered(&Order { number: 3, ..Order::default() }, PATIENCE, at(600));
        assert_eq!(due.late_at(), Some(at(2_000)));
        due.told(Telling::Clear { order: 2 }, &Order { number: 3, ..Order::default() });
        assert_eq!(due.late_at(), Some(at(2_000)), "an answer to an earlier order");
        due.told(Telling::Clear { order: 3 }, &Order { number: 3, ..Order::default() });
        assert_eq!(due.late_at(), None);
    }

    #[test]
    fn one_that_was_asked_owes_it_when_patience_is_over_unless_it_kills_already() {
        let mut due = Due::default();
        let asked = |until| Order { end: true, ..lease_until(until) };
        due.ordered(&asked(20_000), PATIENCE, at(0));
        due.ordered(&asked(30_000), PATIENCE, at(5_000));
        assert_eq!(due.late_at(), Some(at(10_000) + KILL_RESERVE), "counted from the first time");
        due.told(Telling::Killed, &asked(30_000));
        assert_eq!(due.late_at(), Some(at(30_000)));
        due.ordered(&lease_until(31_000), PATIENCE, at(6_000));
        assert_eq!(due.late_at(), Some(at(31_000)), "it need not end any more");
    }

    #[test]
    fn an_owner_that_slept_past_the_moment_gives_the_runner_its_time_to_tell() {
        let mut due = Due::default();
        due.ordered(&lease_until(1_000), PATIENCE, at(0));
        assert_eq!(due.lost_at(at(999)), None);
        assert_eq!(due.lost_at(at(60_000)), Some(at(60_000) + RUNNER_LATE));
        assert_eq!(due.lost_at(at(60_100)), Some(at(60_000) + RUNNER_LATE), "noticed once");
        due.ordered(&lease_until(61_000), PATIENCE, at(60_200));
        assert_eq!(due.lost_at(at(60_200)), None, "prolonged");
        assert_eq!(due.lost_at(at(61_000)), Some(at(61_000) + RUNNER_LATE));
    }
}
