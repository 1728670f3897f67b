//! The rules of a gate: whom it lets in, and when what came before is over (DESIGN §7). No clock, socket or disk here.
//!
//! The door is open for one leader in one term while it holds an unexpired proof of that. A higher term closes it at
//! once, and it opens again only when no connection of the lower term is left: each was seen at the resource's own end
//! of its stream, or a fence command succeeded, or an operator gave his word. A connection that broke, and a mark left
//! by a life before, are *in doubt*: nobody saw their end, and waiting shows nothing more.
//!
//! # Driving
//! * What a method wants saved must be durable before [`Door::saved`] is called, and nothing may be forwarded before.
//! * Every connection that [`Door::enter`] counted must be told of once by [`Door::ended`], and not before nothing of it
//!   can reach the resource any more.
//! * Call [`Door::tick`] at least every second, and carry out what it says; [`Door::fenced`] tells how that went.

use std::collections::BTreeSet;
use std::time::Duration;

use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::time::Boot;

use super::closed::Closed;
use super::limits::{FENCE_RETRY, MARK_IDLE};
use crate::fence::{Record, Standing};

/// A connection to the resource, by its number.
pub type ConnectionId = u64;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It never reached the resource.
    Unused,
    /// The resource ended it: all that was sent has been worked on.
    Eof,
    /// It broke: nobody knows what of it is still under way.
    Broken,
}

/// What is to be done before a method's answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it holds.
    Done,
    /// Make this durable, and say [`Door::saved`].
    Save(Record),
}

/// What time alone makes due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Make this durable, and say [`Door::saved`].
    Save(Record),
    /// Run the fence command for this term, and say [`Door::fenced`].
    Fence(Term),
}

/// Why the end of a term's connections was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// The gate was ended with the mark set.
    Start,
    /// A connection broke.
    Broken,
}

/// A lower term that is being closed for a higher one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Closing {
    since: Boot,
    /// The highest term that waits.
    next: Term,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fencing {
    No,
    Running,
    Failed { again: Boot },
}

/// Where a gate stands.
#[derive(Clone, Debug)]
pub struct Door {
    drain: Duration,
    /// Whether there is a fence command.
    has_command: bool,
    record: Record,
    /// Until when the newest proof of the record's term holds.
    until: Boot,
    connections: BTreeSet<ConnectionId>,
    next_id: ConnectionId,
    doubt: Option<Doubt>,
    closing: Option<Closing>,
    fencing: Fencing,
    /// Since when there has been no connection.
    idle_since: Boot,
    stopping: bool,
}

impl Door {
    /// A door that begins with what is durable. A mark that is set leaves that term in doubt.
    pub fn new(record: Record, drain: Duration, has_command: bool, now: Boot) -> Self {
        let doubt = record.open.then_some(Doubt::Start);
        Door {
            drain,
            has_command,
            record,
            until: Boot(0),
            connections: BTreeSet::new(),
            next_id: 1,
            doubt,
            closing: None,
            fencing: Fencing::No,
            idle_since: now,
            stopping: false,
        }
    }

    /// The highest term that was admitted, or that waits: lower ones are over.
    pub fn highest(&self) -> Term {
        self.closing.map_or(self.record.term, |closing| closing.next.max(self.record.term))
    }

    /// The term that was admitted last.
    pub fn term(&self) -> Term {
        self.record.term
    }

    /// Who leads in it.
    pub fn leader(&self) -> Option<NodeId> {
        self.record.leader
    }

    /// Whether a mark is set that a crash now would leave.
    pub fn is_marked(&self) -> bool {
        self.record.open
    }

    /// Connections that have not been seen to end.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Until when what was admitted may act; the past when nobody may.
    pub fn until(&self) -> Boot {
        if self.stopping { Boot(0) } else { self.until }
    }

    /// Takes in a proof that holds: prolongs the term, or admits a higher one, or begins to close for it.
    pub fn present(&mut self, standing: &Standing, now: Boot) -> Result<Step, Closed> {
        if self.stopping {
            return Err(Closed::Stopping);
        }
        let (term, highest) = (standing.term, self.highest());
        if term < highest {
            return Err(Closed::LowerTerm { term, highest });
        }
        match term == self.record.term {
            true => self.prolong(standing, now),
            false => self.succeed(standing, now),
        }
    }

    fn prolong(&mut self, standing: &Standing, now: Boot) -> Result<Step, Closed> {
        if self.record.leader != Some(standing.leader) {
            return Err(Closed::OtherLeader { term: standing.term });
        }
        // Nobody is let in while a fence command runs: it would end his connections too.
        if self.fencing == Fencing::Running || (self.has_command && self.doubt == Some(Doubt::Start)) {
            return Err(self.undrained(now));
        }
        self.until = self.until.max(standing.until);
        Ok(Step::Done)
    }

    fn succeed(&mut self, standing: &Standing, now: Boot) -> Result<Step, Closed> {
        let Standing { term, leader, .. } = *standing;
        if self.is_drained() {
            return Ok(Step::Save(Record { term, leader: Some(leader), open: true, ..self.record.clone() }));
        }
        let next = self.closing.map_or(term, |closing| closing.next.max(term));
        let since = self.closing.map_or(now, |closing| closing.since);
        self.closing = Some(Closing { since, next });
        self.until = Boot(0);
        Err(self.undrained(now))
    }

    /// Whether nothing of the record's term can still be at work.
    fn is_drained(&self) -> bool {
        self.connections.is_empty() && self.doubt.is_none() && self.fencing != Fencing::Running
    }

    /// A record is durable. With a new term comes the end of the proof that it was admitted by.
    pub fn saved(&mut self, record: Record, until: Boot, now: Boot) {
        if record.term != self.record.term {
            (self.until, self.closing, self.idle_since) = (until, None, now);
            self.fencing = Fencing::No;
        }
        self.record = record;
    }

    /// Counts a connection of this key, once the mark is durable: `Err(Ok(record))` is what to save first.
    pub fn enter(&mut self, key: NodeId, now: Boot) -> Result<ConnectionId, Result<Record, Closed>> {
        self.check_open(key, now).map_err(Err)?;
        if !self.record.open {
            return Err(Ok(Record { open: true, ..self.record.clone() }));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.connections.insert(id);
        Ok(id)
    }

    fn check_open(&self, key: NodeId, now: Boot) -> Result<(), Closed> {
        if let Some(why) = self.why_closed(now) {
            return Err(why);
        }
        match self.record.leader == Some(key) {
            true => Ok(()),
            false => Err(Closed::NotTheLeader { term: self.record.term }),
        }
    }

    /// A connection can reach the resource no more.
    pub fn ended(&mut self, id: ConnectionId, ending: Ending, now: Boot) {
        if !self.connections.remove(&id) {
            return;
        }
        if ending == Ending::Broken {
            self.doubt.get_or_insert(Doubt::Broken);
        }
        self.idle_since = now;
    }

    /// What is due.
    pub fn tick(&mut self, now: Boot) -> Option<Due> {
        if self.must_fence(now) {
            self.fencing = Fencing::Running;
            return Some(Due::Fence(self.record.term));
        }
        let idle = now.since(self.idle_since) >= MARK_IDLE || self.stopping;
        let unmark = self.record.open && idle && self.is_drained();
        unmark.then(|| Due::Save(Record { open: false, ..self.record.clone() }))
    }

    fn must_fence(&self, now: Boot) -> bool {
        let may = match self.fencing {
            Fencing::No => true,
            Fencing::Running => false,
            Fencing::Failed { again } => now >= again,
        };
        self.has_command
            && may
            && !self.stopping
            && (self.doubt == Some(Doubt::Start) || self.is_overdue(now))
    }

    /// Whether waiting longer for the lower term's connections is of no use.
    fn is_overdue(&self, now: Boot) -> bool {
        let Some(closing) = self.closing else { return false };
        let only_doubt_is_left = self.connections.is_empty() && self.doubt.is_some();
        only_doubt_is_left || (!self.connections.is_empty() && now.since(closing.since) >= self.drain)
    }

    /// The fence command is done. With success, what was left of the term is over: whether its connections are to be
    /// abandoned.
    pub fn fenced(&mut self, succeeded: bool, now: Boot) -> bool {
        match succeeded {
            true => {
                self.fencing = Fencing::No;
                self.over()
            }
            false => {
                self.fencing = Fencing::Failed { again: now + FENCE_RETRY };
                false
            }
        }
    }

    /// An operator says that nothing of this term works in the resource any more: whether connections are to be
    /// abandoned, or why his word is not taken.
    pub fn drained(&mut self, term: Term) -> Result<bool, String> {
        if term != self.record.term {
            return Err(format!("it is term {} that is waited for, not {term}", self.record.term));
        }
        if self.closing.is_none() && self.doubt.is_none() {
            return Err(format!("nothing of term {term} is waited for"));
        }
        Ok(self.over())
    }

    fn over(&mut self) -> bool {
        self.doubt = None;
        let abandon = self.closing.is_some();
        if abandon {
            self.connections.clear();
        }
        abandon
    }

    /// Lets nobody in any more.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether a gate that stops has nothing more to wait for.
    pub fn is_at_rest(&self) -> bool {
        self.connections.is_empty()
    }

    /// Why nothing is forwarded, if so.
    pub fn why_closed(&self, now: Boot) -> Option<Closed> {
        let (term, until) = (self.record.term, self.until);
        if self.stopping {
            Some(Closed::Stopping)
        } else if self.closing.is_some() || self.fencing == Fencing::Running {
            match self.is_drained() {
                true => Some(Closed::NoProof { term: self.highest(), over: None }),
                false => Some(self.undrained(now)),
            }
        } else if now < until {
            None
        } else if self.doubt == Some(Doubt::Start) {
            Some(self.undrained(now))
        } else {
            Some(Closed::NoProof { term, over: (until > Boot(0)).then(|| now.since(until)) })
        }
    }

    /// What the end of the lower term waits for.
    fn undrained(&self, now: Boot) -> Closed {
        let (term, connections, has_command) = (self.record.term, self.connections.len(), self.has_command);
        match (self.fencing, self.doubt) {
            (Fencing::Running, _) => Closed::Fencing { term },
            (Fencing::Failed { .. }, _) => Closed::FenceFailed { term },
            (Fencing::No, Some(doubt)) if connections == 0 => {
                Closed::InDoubt { term, at_start: doubt == Doubt::Start, has_command }
            }
            (Fencing::No, _) if self.is_overdue(now) => Closed::Overdue { term, connections, has_command },
            (Fencing::No, _) => Closed::Draining { term, connections },
        }
    }
}

#[cfg(test)]
mod tests;
