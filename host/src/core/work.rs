//! Leader-only work: what runs on this machine only while this node leads (DESIGN §3.4, §7).
//!
//! A `Resign` frees the voters at once, so the next leader's work may begin a moment later. So none leaves while work
//! runs under this node's leadership: a hand-over asks for the work to end, with [`Notice::EndWork`], and the lease is
//! renewed until [`Command::Working`](super::event::Command::Working) says that nothing runs. A lease that is lost
//! otherwise waits for nobody, and nobody for it: its `Resign` is owed until the work is gone, and time ends it anyway.

use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::time::{Boot, Now};
use std::time::Duration;

use super::Core;
use super::durable::Record;
use super::event::{Action, CannotStepDown, Notice};

/// What this node knows of the work under its lease.
#[derive(Clone, Debug, Default, Hash)]
pub struct Work {
    /// Whether some may run under this life's leadership.
    runs: bool,
    /// Until when some may run that an earlier life left behind.
    left_until: Option<Boot>,
    /// Whether that may outlast a promise of the present lease.
    outlasts: bool,
    /// The hand-over that it was asked to end for.
    ending: Option<Ending>,
    /// Whether a resignation waits for it to be gone.
    owed: bool,
}

/// A hand-over that waits for the work to end, or for its conditions thereafter.
#[derive(Clone, Copy, Debug, Hash)]
struct Ending {
    /// The successor to name.
    to: Option<NodeId>,
    /// Whether somebody ordered it; else it is of this node's own accord.
    is_ordered: bool,
    /// Since when nothing runs.
    over: Option<Boot>,
}

impl Work {
    /// The work of a life that begins. An earlier life may have led, died, and left work that goes on until that one's
    /// lease ends, wherever it reckons it; nobody here knows of it. `newest` are the term and the leader of the newest
    /// certificate on disk, `longest` the longest lease from before this life, and `lease` the present one.
    pub fn at_start(
        record: &Record,
        newest: Option<(Term, NodeId)>,
        (longest, lease): (Duration, Duration),
        now: Boot,
    ) -> Self {
        let left = may_have_led(record, newest) || record.forgot_votes;
        Work { left_until: left.then(|| now + longest), outlasts: longest > lease, ..Work::default() }
    }

    /// Whether some may run.
    pub fn may_run(&self) -> bool {
        self.runs || self.left_until.is_some()
    }

    /// Until when some of an earlier life may run.
    pub fn left_until(&self) -> Option<Boot> {
        self.left_until
    }

    /// Whether an election of this life's could put shorter promises in the place of those that protect such work.
    pub fn forbids_calls(&self) -> bool {
        self.outlasts && self.left_until.is_some()
    }
}

/// Whether an earlier life may have led last. Its record names whoever it supported: itself, or the caller of an election
/// that may have elected it all the same. A certificate of that term or a later one says who was elected.
fn may_have_led(record: &Record, newest: Option<(Term, NodeId)>) -> bool {
    let Some(support) = record.support else { return false };
    let another_was_elected =
        newest.is_some_and(|(term, leader)| term >= support.term && leader != record.node);
    support.holder == record.node || !another_was_elected
}

impl Core {
    /// Whether work stands against a resignation now; one is owed then.
    pub(super) fn work_holds_back(&mut self) -> bool {
        self.work.owed |= self.work.may_run();
        self.work.may_run()
    }

    /// Hands over if somebody can take over: at once, or when the work that runs has ended.
    pub(super) fn part_with_lease(
        &mut self,
        to: Option<NodeId>,
        is_ordered: bool,
        now: Now,
    ) -> Result<(), CannotStepDown> {
        self.may_step_down(to, now)?;
        if !self.work.may_run() {
            return self.step_down(to, now);
        }
        let was_asked = self.work.ending.replace(Ending { to, is_ordered, over: None }).is_some();
        if let (Some(lead), false) = (&self.lead, was_asked) {
            self.out.push(Action::Notice(Notice::EndWork { term: lead.term }));
        }
        Ok(())
    }

    /// Work is about to run, or none does any more.
    pub(super) fn on_working(&mut self, runs: bool, now: Now) {
        self.work.runs = runs;
        if !self.work.may_run() {
            self.work_is_over(now);
        }
    }

    /// Lets the time end in which work of an earlier life may run.
    pub(super) fn settle_work(&mut self, now: Now) {
        let left = self.work.left_until.take_if(|until| *until <= now.boot);
        if left.is_some() && !self.work.may_run() {
            self.work_is_over(now);
        }
    }

    /// Nothing runs any more: what waited for that is done.
    fn work_is_over(&mut self, now: Now) {
        if std::mem::take(&mut self.work.owed) && self.holds_lease(now.boot).is_none() {
            self.resign(None, now);
        }
        let Some(ending) = &mut self.work.ending else { return };
        let (to, is_ordered) = (ending.to, ending.is_ordered);
        ending.over = Some(now.boot);
        if is_ordered {
            if let Err(why) = self.step_down(to, now) {
                self.out.push(Action::Notice(Notice::CannotStepDown(why)));
            }
            self.work_may_go_on();
        } else {
            // Enclaves are asked at once whether they answer: until one does, nobody works.
            self.next_probe = now.boot;
        }
    }

    /// Goes on with a hand-over of this node's own accord. Work that ended for nothing may run again after a lease.
    pub(super) fn hand_over_after_work(&mut self, is_wished: bool, now: Now) {
        let Some(Ending { to, is_ordered: false, over: Some(over) }) = self.work.ending else { return };
        if !is_wished || now.boot.since(over) > self.timing.lease {
            self.work_may_go_on();
        } else if self.enclave_at_hand(now) {
            // Who could take over may be gone meanwhile: then this node stays.
            let _stays = self.step_down(to, now);
            self.work_may_go_on();
        }
    }

    /// Whether work was asked to end, so that nothing else is to be decided now.
    pub(super) fn work_is_ending(&self) -> bool {
        self.work.ending.is_some()
    }

    /// Nothing asks the work to end any more.
    pub(super) fn work_may_go_on(&mut self) {
        if self.work.ending.take().is_some() {
            self.out.push(Action::Notice(Notice::WorkMayGoOn));
        }
    }

    /// A new leadership of this life: what was owed for an earlier one would end it.
    pub(super) fn owes_no_resignation(&mut self) {
        self.work.owed = false;
    }
}
