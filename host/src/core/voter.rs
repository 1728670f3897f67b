//! One voter's support: what it promised to whom, until when, and what must be on disk before that leaves.
//!
//! Rules of DESIGN §3.2 (step 2) and §3.4. The state is small on purpose: a durable record, one live promise,
//! the last view's bytes, resignations, and back-off. Nothing here knows of sockets, certificates or gossip.

use nitro_elect_protocol::ids::{ClusterId, Generation, NodeId, Term};
use nitro_elect_protocol::peer::Refusal;
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::time::Boot;
use std::time::Duration;

use super::backoff::BackOff;
use super::durable::{Record, Support};
use super::resigns::Resigns;
use super::timing::Timing;

/// A live promise: support for one holder until a time on this voter's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hold {
    /// Whom it is to.
    pub holder: NodeId,
    /// In which life.
    pub generation: Generation,
    /// Since when support for this holder has not lapsed.
    pub since: Boot,
    /// When it ends.
    pub until: Boot,
    /// Whether a promise was given, or a leader elected by its own call, while it ran.
    pub fruitful: bool,
    /// Whether it is one from before the start, not renewed since.
    pub from_before: bool,
}

/// Who asks for support, as far as the rules look.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    /// The node.
    pub node: NodeId,
    /// The life it asks in.
    pub generation: Generation,
    /// Whether it leads this voter's highest certificate, in any life.
    pub leads: bool,
}

/// The support that one voter gives.
#[derive(Clone, Debug, Hash)]
pub struct Voter {
    timing: Timing,
    /// The longest lease that anybody may hold from before this life.
    lease_at_start: Duration,
    /// Until when it may be held.
    from_before_until: Boot,
    record: Record,
    /// Whether the disk holds the record as it is here.
    synced: bool,
    hold: Option<Hold>,
    view: Option<(Term, NodeId, SealedView)>,
    /// What nodes resigned from.
    pub resigns: Resigns,
    backoff: BackOff,
}

impl Voter {
    /// A voter in a new life: a recorded promise counts as made now, for the recorded lease if that is longer. One that
    /// has just moved from another manifest, whose lease is `left`, supports nobody new for the longer of the two.
    pub fn new(record: Record, timing: Timing, left: Option<Duration>, now: Boot) -> Self {
        let lease = timing.lease.max(left.unwrap_or_default());
        let recorded = record.support.map(|support| {
            (support.holder, support.generation, lease.max(Duration::from_millis(support.lease_ms)))
        });
        // Without a promise to keep, it keeps itself from everybody.
        let held = recorded.or(left.map(|_| (record.node, record.generation, lease)));
        let lease_at_start = held.map_or(lease, |(.., span)| span);
        let hold = held.map(|(holder, generation, span)| {
            // What was done under it before the restart is unknown: it is not held against the holder.
            Hold { holder, generation, since: now, until: now + span, fruitful: true, from_before: true }
        });
        let (resigns, backoff) = (Resigns::default(), BackOff::default());
        let from_before_until = now + lease_at_start;
        Voter {
            timing,
            lease_at_start,
            from_before_until,
            record,
            synced: true,
            hold,
            view: None,
            resigns,
            backoff,
        }
    }

    /// How long after its start a voter must reckon with leases from before it: the longer of the recorded lease and
    /// the present one.
    pub fn lease_at_start(&self) -> Duration {
        self.lease_at_start
    }

    /// The term of the last support given; zero before the first.
    pub fn term(&self) -> Term {
        self.record.support.map_or(Term(0), |support| support.term)
    }

    /// Whether earlier votes are lost and nothing has taken their place yet: then it must not sign.
    pub fn has_lost_votes(&self) -> bool {
        self.record.forgot_votes && self.record.support.is_none()
    }

    /// The promise that is live now.
    pub fn live(&self, now: Boot) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| hold.until > now)
    }

    /// Lets a promise end whose time is over, and draws the consequences for its holder.
    pub fn settle(&mut self, now: Boot) {
        if let Some(hold) = self.hold.filter(|hold| hold.until <= now) {
            self.end(hold, hold.until);
        }
    }

    fn end(&mut self, hold: Hold, at: Boot) {
        self.hold = None;
        if !hold.fruitful {
            self.backoff.fruitless(hold.holder, at.since(hold.since), at, self.timing);
        }
    }

    /// What speaks against a view for this caller now, whatever the term (also the pre-vote's question).
    pub fn refuses_view(&self, caller: Asker, now: Boot) -> Option<Refusal> {
        if self.has_lost_votes() {
            return Some(Refusal::NotSigning);
        }
        let live = self.live(now);
        if let Some(hold) = live {
            if hold.holder != caller.node || !caller.leads {
                return Some(Refusal::Promised { ms: whole_ms(hold.until.since(now)) });
            }
            if caller.generation < hold.generation {
                return Some(Refusal::EarlierGeneration);
            }
        }
        let exempt = live.is_some_and(|hold| hold.holder == caller.node) && caller.leads;
        let left = self.backoff.left(&caller.node, now).filter(|_| !exempt)?;
        Some(Refusal::BackOff { ms: whole_ms(left) })
    }

    /// What speaks against signing this term for this caller.
    pub fn refuses_term(&self, caller: Asker, term: Term, believable: Term) -> Option<Refusal> {
        let last = self.term();
        if term <= last {
            return Some(Refusal::StaleTerm { last });
        }
        if !term.is_in_range() || (term != last.next() && term > believable) {
            return Some(Refusal::TermTooHigh { max: believable.max(last.next()) });
        }
        self.resigns.covering(caller.node, caller.generation, term).map(|_| Refusal::Resigned)
    }

    /// The view that was signed for this term and caller, to be sent again as it was.
    pub fn signed_view(&self, term: Term, caller: &NodeId) -> Option<&SealedView> {
        self.view.as_ref().filter(|(of, to, _)| *of == term && to == caller).map(|(_, _, sealed)| sealed)
    }

    /// Keeps the bytes of the view just signed.
    pub fn keep_view(&mut self, term: Term, caller: NodeId, sealed: SealedView) {
        self.view = Some((term, caller, sealed));
    }

    /// What speaks against a promise for a renewal of `term` by the leader of the highest certificate.
    pub fn refuses_promise(
        &self,
        leader: NodeId,
        generation: Generation,
        term: Term,
        now: Boot,
    ) -> Option<Refusal> {
        if self.has_lost_votes() {
            return Some(Refusal::NotSigning);
        }
        let last = self.term();
        if last > term {
            return Some(Refusal::StaleTerm { last });
        }
        if let Some(hold) = self.live(now) {
            if hold.holder != leader {
                return Some(Refusal::Promised { ms: whole_ms(hold.until.since(now)) });
            }
            if hold.generation > generation {
                return Some(Refusal::EarlierGeneration);
            }
        }
        self.resigns.covering(leader, generation, term).map(|_| Refusal::Resigned)
    }

    /// Gives support: sets record and promise. The caller has asked the rules, and sees to it that
    /// [`Voter::unsynced`] is written before anything leaves.
    ///
    /// While a longer lease from before this life may run, the record keeps that one's length for the next life.
    pub fn support(&mut self, mut given: Support, cluster: ClusterId, by_promise: bool, now: Boot) {
        if now < self.from_before_until {
            let longest = u64::try_from(self.lease_at_start.as_millis()).unwrap_or(u64::MAX);
            given.lease_ms = given.lease_ms.max(longest);
        }
        if self.record.support != Some(given) || self.record.cluster != Some(cluster) {
            self.record.support = Some(given);
            self.record.cluster = Some(cluster);
            self.synced = false;
        }
        let running = self.live(now).filter(|hold| hold.holder == given.holder).copied();
        let (since, fruitful) = running.map_or((now, false), |hold| (hold.since, hold.fruitful));
        self.hold = Some(Hold {
            holder: given.holder,
            generation: given.generation,
            since,
            until: now + self.timing.lease,
            fruitful: fruitful || by_promise,
            from_before: false,
        });
    }

    /// A new certificate by which `node` elected itself was adopted.
    pub fn elected_itself(&mut self, node: NodeId) {
        self.backoff.elected(&node);
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.holder == node) {
            hold.fruitful = true;
        }
    }

    /// Remembers a resignation, and ends the promise that it frees. Says whether it was news.
    pub fn resigned(&mut self, resign: &Verified<Resign>, now: Boot) -> bool {
        self.settle(now);
        let news = self.resigns.remember(resign);
        let frees = |support: &Support| resign.covers(support.holder, support.generation, support.term);
        if let Some(hold) = self.hold.filter(|_| self.record.support.as_ref().is_some_and(frees)) {
            self.end(hold, now);
        }
        news
    }

    /// The record, if the disk does not hold it yet: to be written and synced before what follows leaves.
    pub fn unsynced(&mut self) -> Option<Record> {
        (!std::mem::replace(&mut self.synced, true)).then_some(self.record)
    }

    /// The last write failed: nothing that relies on it may leave before another succeeded.
    pub fn not_synced(&mut self) {
        self.synced = false;
        // What this voter's disk spoils is not held against the holder.
        if let Some(hold) = &mut self.hold {
            hold.fruitful = true;
        }
    }

    /// Takes over what other voters told, in place of votes that were lost (DESIGN §3.6).
    pub fn recovered(&mut self, given: Support, cluster: ClusterId) {
        self.record.support = Some(given);
        self.record.cluster = Some(cluster);
        self.synced = false;
    }
}

/// Milliseconds, rounded up, so that whoever waits them out does not come early.
pub fn whole_ms(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
