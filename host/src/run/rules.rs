//! When leader-only work starts, is asked to end, and is killed: rules without processes, sockets or clocks.
//!
//! One command runs under one term of one lease. The lease's end is known from the last order that prolonged it, on
//! this machine's `CLOCK_BOOTTIME`, so nobody needs to be asked for the work to be gone in time:
//!
//! ```text
//! |<------------------------- lease -------------------------->|
//! start                             third left           20 ms left
//! |----------- runs ---------------| asked to end ------| killed |
//! ```
//!
//! # Driving
//!
//! A driver **must** read the time after what it hands in has happened; carry out the actions in their order; answer
//! each [`Action::Start`] with [`Event::Started`] or [`Event::CannotStart`]; hand in [`Event::Empty`] whenever nothing is
//! left of what was started, and only then; and hand in [`Event::Tick`] at [`Rules::next_wake`].

use serde::{Deserialize, Serialize};
use std::time::Duration;

use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::time::Boot;

pub use super::ending::{Exit, Why};
use super::limits::{AGAIN_FIRST, AGAIN_MAX, KILL_AGAIN, KILL_RESERVE, RAN_WELL};

/// What does not change while a runner lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long the command has between being asked to end and being killed, while the lease lasts.
    pub patience: Duration,
    /// How long it may go without a sign of life, if it has to give any.
    pub watchdog: Option<Duration>,
    /// Whether it is not started again once it ended by itself.
    pub once: bool,
}

/// The lease that work runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The term: what the command gets as its fencing token.
    pub term: Term,
    /// Its end less its margin, unless prolonged.
    pub until: Boot,
    /// Its whole length.
    pub length: Duration,
}

impl Lease {
    /// From when on no renewal is in sight: a third of it is left.
    fn fades(&self) -> Boot {
        self.until - self.length / 3
    }

    /// When what runs under it is killed.
    fn last_moment(&self) -> Boot {
        self.until - KILL_RESERVE
    }
}

/// What whoever owns the runner wants: all of it, each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Rises with each order.
    pub number: u64,
    /// The lease that is held; without one, work is to end before the one known before ends.
    pub lease: Option<Lease>,
    /// Whether work is to end though the lease is held and renewed.
    pub end: bool,
    /// Whether it is to end for good, and by which signal.
    pub quit: Option<i32>,
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An order came.
    Order(Order),
    /// Nobody gives orders any more.
    Orphaned,
    /// The command runs.
    Started,
    /// It could not be started.
    CannotStart,
    /// The process that was started has ended; others of it may be left.
    Exited(Exit),
    /// Nothing of it is left.
    Empty,
    /// It gave a sign of life.
    Beat,
    /// Time has passed.
    Tick,
}

/// Something to be done, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the command under this term.
    Start(Term),
    /// Ask the command to end, by this signal.
    End(i32),
    /// Kill all that it has started.
    Kill,
    /// Tell the owner.
    Tell(Telling),
}

/// What the owner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Telling {
    /// The command was asked to end.
    Asked {
        /// Why.
        why: Why,
    },
    /// It was killed.
    Killed,
    /// All of it is gone.
    Gone {
        /// The term it ran under.
        term: Term,
        /// How it ended; nothing if it is not known.
        exit: Option<Exit>,
        /// Why it had to; nothing if it could not be stopped to begin with.
        why: Why,
    },
    /// Nothing runs, and nothing will start before the next order: as of the order with this number.
    Clear {
        /// The order.
        order: u64,
    },
}

/// A command that runs.
#[derive(Clone, Copy, Debug)]
struct Run {
    term: Term,
    began: Boot,
    /// When it is killed at the latest: its lease ends.
    deadline: Boot,
    beat: Boot,
    asked: Option<Asked>,
    killed: Option<Boot>,
    exit: Option<Exit>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    why: Why,
    patience: Boot,
}

/// The rules of one runner and what they remember.
#[derive(Debug)]
pub struct Rules {
    settings: Settings,
    order: Order,
    is_orphaned: bool,
    run: Option<Run>,
    /// How often in a row it ended by itself.
    failures: u32,
    not_before: Option<Boot>,
    is_done: bool,
    told_clear: Option<u64>,
    out: Vec<Action>,
}

impl Rules {
    /// Nothing runs before the first order.
    pub fn new(settings: Settings) -> Self {
        Rules {
            settings,
            order: Order::default(),
            is_orphaned: false,
            run: None,
            failures: 0,
            not_before: None,
            is_done: false,
            told_clear: None,
            out: Vec::new(),
        }
    }

    /// Takes in one event and the time; returns what to do, in order.
    pub fn handle(&mut self, event: Event, now: Boot) -> Vec<Action> {
        match event {
            Event::Order(order) => self.order = order,
            Event::Orphaned => self.is_orphaned = true,
            Event::Started | Event::Tick => {}
            Event::CannotStart => self.gone(now),
            Event::Exited(exit) => {
                if let Some(run) = &mut self.run {
                    run.exit = Some(exit);
                }
            }
            Event::Empty => self.gone(now),
            Event::Beat => {
                if let Some(run) = &mut self.run {
                    run.beat = now;
                }
            }
        }
        self.prolong();
        self.stop_in_time(now);
        self.start_if_due(now);
        self.tell_clear();
        std::mem::take(&mut self.out)
    }

    /// Whether nobody gives orders and nothing runs: the runner has no purpose left.
    pub fn is_over(&self) -> bool {
        self.is_orphaned && self.run.is_none()
    }

    /// Whether what is left is to be killed as it shows.
    pub fn is_killing(&self) -> bool {
        self.run.is_some_and(|run| run.killed.is_some())
    }

    /// When to hand in a tick at the latest; never, if nothing is due.
    pub fn next_wake(&self) -> Option<Boot> {
        let Some(run) = &self.run else { return self.not_before.filter(|_| self.may_work()) };
        if let Some(killed) = run.killed {
            return Some(killed + KILL_AGAIN);
        }
        let soonest = match run.asked {
            Some(asked) => asked.patience,
            None => {
                let watched = self.settings.watchdog.map(|span| run.beat + span);
                let fades = self.order.lease.map(|lease| lease.fades());
                watched.into_iter().chain(fades).min().unwrap_or(run.deadline)
            }
        };
        Some(soonest.min(run.deadline))
    }

    /// A lease of the same term that lasts longer moves the deadline; nothing ever moves it back.
    fn prolong(&mut self) {
        let (Some(run), Some(lease)) = (&mut self.run, self.order.lease) else { return };
        if lease.term == run.term {
            run.deadline = run.deadline.max(lease.last_moment());
        }
    }

    fn stop_in_time(&mut self, now: Boot) {
        let Some(mut run) = self.run else { return };
        if run.asked.is_none()
            && let Some(why) = self.why_end(&run, now)
        {
            run.asked = Some(Asked { why, patience: now + self.settings.patience });
            if why != Why::ItEnded {
                self.out.push(Action::Tell(Telling::Asked { why }));
            }
            self.out.push(Action::End(self.order.quit.unwrap_or(libc::SIGTERM)));
        }
        let out_of_patience = run.asked.is_some_and(|asked| asked.patience <= now);
        if out_of_patience || run.deadline <= now || self.is_orphaned {
            let again = run.killed.is_none_or(|killed| killed + KILL_AGAIN <= now);
            if run.killed.is_none() && run.exit.is_none() {
                self.out.push(Action::Tell(Telling::Killed));
            }
            if again {
                run.killed = Some(now);
                self.out.push(Action::Kill);
            }
        }
        self.run = Some(run);
    }

    fn why_end(&self, run: &Run, now: Boot) -> Option<Why> {
        if run.exit.is_some() {
            return Some(Why::ItEnded);
        }
        if self.is_orphaned {
            return Some(Why::Orphaned);
        }
        if self.order.quit.is_some() {
            return Some(Why::Quit);
        }
        if self.order.end {
            return Some(Why::HandOver);
        }
        match self.order.lease {
            None => return Some(Why::LeaseLost),
            Some(lease) if lease.term != run.term => return Some(Why::NewTerm),
            Some(lease) if lease.fades() <= now => return Some(Why::NoRenewal),
            Some(_) => {}
        }
        let watched = self.settings.watchdog.filter(|span| run.beat + *span <= now);
        watched.map(|_| Why::Stuck)
    }

    /// Whether the orders allow work; the time may not.
    fn may_work(&self) -> bool {
        let ends = self.order.end || self.order.quit.is_some() || self.is_orphaned || self.is_done;
        self.order.lease.is_some() && !ends
    }

    fn start_if_due(&mut self, now: Boot) {
        let lease = self.order.lease.filter(|lease| now < lease.fades() && self.may_work());
        let Some(lease) = lease.filter(|_| self.run.is_none()) else { return };
        if self.not_before.is_some_and(|due| now < due) {
            return;
        }
        let (term, deadline) = (lease.term, lease.last_moment());
        self.run = Some(Run { term, began: now, deadline, beat: now, asked: None, killed: None, exit: None });
        self.out.push(Action::Start(term));
    }

    /// Nothing is left of what ran: whether and when it is started again.
    fn gone(&mut self, now: Boot) {
        let Some(run) = self.run.take() else { return };
        let why = run.asked.map_or(Why::ItEnded, |asked| asked.why);
        let failed = matches!(why, Why::ItEnded | Why::Stuck);
        self.failures = match failed {
            false => 0,
            true if now.since(run.began) >= RAN_WELL => 1,
            true => self.failures.saturating_add(1),
        };
        self.not_before = failed.then(|| now + wait_after(self.failures));
        self.is_done |= self.settings.once && why == Why::ItEnded;
        self.out.push(Action::Tell(Telling::Gone { term: run.term, exit: run.exit, why }));
    }

    fn tell_clear(&mut self) {
        let order = self.order.number;
        if self.run.is_none() && !self.may_work() && self.told_clear != Some(order) {
            self.told_clear = Some(order);
            self.out.push(Action::Tell(Telling::Clear { order }));
        }
    }
}

fn wait_after(failures: u32) -> Duration {
    let doubled = AGAIN_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(AGAIN_MAX)
}

#[cfg(test)]
mod tests;
