//! Where a node's happenings go: the log, those who watch, and code that acts on the lease.
//!
//! Nobody who listens can hold the node up: watchers that are slow lose happenings and are told so, a repeated line
//! is held back for a while, and dropped messages are counted and told of in one line now and then. A call that fails as
//! the one before it did is no news: an outage does not push out what happened before it.

use std::collections::{BTreeMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};
use tracing::Level;

use super::happening::{Happening, What};
use super::leadership::Held;
use super::limits::{
    DROPPED_LINE_EVERY, FAILURE_NEWS_EVERY, HAPPENINGS_KEPT, RECENT_CERTIFICATES, REPEATED_LINE_EVERY,
    UNREACHABLE_LINE_EVERY,
};
use super::names::Names;
use crate::clock;
use crate::core::event::{CallFailure, Drop, EnclaveIndex, Notice};
use nitro_elect_protocol::time::Boot;

/// The newest happenings, and a way to hear of the next ones.
#[derive(Clone, Debug)]
pub struct Happenings {
    kept: Arc<Mutex<VecDeque<Arc<Happening>>>>,
    news: broadcast::Sender<Arc<Happening>>,
}

impl Happenings {
    pub(crate) fn new() -> Self {
        Happenings { kept: Arc::default(), news: broadcast::channel(HAPPENINGS_KEPT).0 }
    }

    /// Those after `seq` that are still kept, if a place is given, and all that follow.
    pub fn follow(&self, after: Option<u64>) -> (Vec<Arc<Happening>>, broadcast::Receiver<Arc<Happening>>) {
        let kept = self.kept();
        let past = |seq| kept.iter().filter(|one| one.seq > seq).cloned().collect();
        (after.map(past).unwrap_or_default(), self.news.subscribe())
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Happening>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, what: What) {
        let mut kept = self.kept();
        let seq = kept.back().map_or(1, |last| last.seq + 1);
        let happening = Arc::new(what.at(seq, clock::wall()));
        if kept.len() == HAPPENINGS_KEPT {
            let oldest = least_missed(&kept);
            kept.remove(oldest);
        }
        kept.push_back(happening.clone());
        let _nobody_may_watch = self.news.send(happening);
    }
}

/// The place of the oldest happening, but for the newest elections: failed calls while an enclave is away would push them
/// out within minutes, and they say how things came to be as they are.
fn least_missed(kept: &VecDeque<Arc<Happening>>) -> usize {
    let is_election = |one: &Arc<Happening>| matches!(one.what, What::Elected { .. });
    let elections = kept.iter().filter(|one| is_election(one)).count();
    let other = kept.iter().position(|one| !is_election(one));
    other.filter(|_| elections <= RECENT_CERTIFICATES).unwrap_or(0)
}

/// An enclave that does not answer.
struct Silent {
    told: Boot,
    why: String,
}

/// Everything that hears of a node's notices.
pub(super) struct Outlets {
    happenings: Happenings,
    held: watch::Sender<Option<Held>>,
    /// Whether leader-only work is to end.
    work_ends: watch::Sender<bool>,
    names: Names,
    enclaves: Vec<String>,
    repeated: BTreeMap<&'static str, Boot>,
    /// Enclaves that do not answer, and when that was told last.
    silent: BTreeMap<EnclaveIndex, Silent>,
    failed: FailedCalls,
    dropped: Dropped,
}

impl Outlets {
    pub fn new(names: Names, enclaves: Vec<String>) -> Self {
        let (happenings, held) = (Happenings::new(), watch::channel(None).0);
        let work_ends = watch::channel(false).0;
        let (repeated, silent) = (BTreeMap::new(), BTreeMap::new());
        let (failed, dropped) = (FailedCalls::default(), Dropped::default());
        Outlets { happenings, held, work_ends, names, enclaves, repeated, silent, failed, dropped }
    }

    pub fn happenings(&self) -> Happenings {
        self.happenings.clone()
    }

    pub fn held(&self) -> watch::Receiver<Option<Held>> {
        self.held.subscribe()
    }

    pub fn work_ends(&self) -> watch::Receiver<bool> {
        self.work_ends.subscribe()
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    pub fn names_mut(&mut self) -> &mut Names {
        &mut self.names
    }

    /// An enclave answered, or did not: told when that changes, and again at intervals while it lasts.
    pub fn enclave_answered(&mut self, index: EnclaveIndex, silent_because: Option<String>) {
        let enclave = self.enclave(index.0);
        let now = clock::boot();
        match silent_because {
            Some(why) => {
                let told = self.silent.get(&index).map(|silent| silent.told);
                let due = told.is_none_or(|told| now.since(told) >= UNREACHABLE_LINE_EVERY);
                let told = told.filter(|_| !due).unwrap_or(now);
                self.silent.insert(index, Silent { told, why: why.clone() });
                if due {
                    self.tell(What::EnclaveUnreachable { enclave, why });
                }
            }
            None => {
                if self.silent.remove(&index).is_some() {
                    self.tell(What::EnclaveReachable { enclave });
                }
            }
        }
    }

    /// Why an enclave did not answer last, if it did not.
    pub fn enclave_silent_because(&self, index: EnclaveIndex) -> Option<&str> {
        self.silent.get(&index).map(|silent| silent.why.as_str())
    }

    /// Passes on a notice of the core.
    pub fn notice(&mut self, notice: &Notice) {
        match notice {
            Notice::LeaseGained { term, until } | Notice::LeaseExtended { term, until } => {
                self.held.send_replace(Some(Held { term: *term, until: *until }));
            }
            Notice::LeaseLost { .. } => {
                self.held.send_replace(None);
            }
            Notice::EndWork { .. } => drop(self.work_ends.send_replace(true)),
            Notice::WorkMayGoOn => drop(self.work_ends.send_replace(false)),
            Notice::Dropped { from, why } => {
                tracing::debug!("dropped a message from {}: {why}", self.names.of(from));
                self.dropped.count(*why, clock::boot());
            }
            _ => {}
        }
        if let Some(what) = What::of(notice, &self.names, |index| self.enclave(index)) {
            self.log(&what);
            if self.failed.is_news(notice, clock::boot()) {
                self.happenings.add(what);
            }
        }
    }

    /// Where the enclave with this place in the configuration is.
    pub fn enclave(&self, index: usize) -> String {
        self.enclaves.get(index).cloned().unwrap_or_else(|| format!("number {}", index + 1))
    }

    /// Tells people and programs.
    pub fn tell(&mut self, what: What) {
        self.log(&what);
        self.happenings.add(what);
    }

    fn log(&mut self, what: &What) {
        if !what.repeats() || self.is_due(what.name()) {
            log(what.level(), what);
        }
    }

    fn is_due(&mut self, name: &'static str) -> bool {
        let now = clock::boot();
        let last = self.repeated.get(name);
        let due = last.is_none_or(|last| now.since(*last) >= REPEATED_LINE_EVERY);
        if due {
            self.repeated.insert(name, now);
        }
        due
    }
}

fn log(level: Level, what: &What) {
    let event = what.name();
    match level {
        Level::ERROR => tracing::error!(event, "{what}"),
        Level::WARN => tracing::warn!(event, "{what}"),
        Level::INFO => tracing::info!(event, "{what}"),
        _ => tracing::debug!(event, "{what}"),
    }
}

/// What became of the calls since somebody was elected, as far as it is news.
#[derive(Default)]
struct FailedCalls {
    last: Option<(Discriminant<CallFailure>, Boot)>,
}

impl FailedCalls {
    /// Whether a notice is anything but one more call that came to nothing for the reason of the one before it.
    fn is_news(&mut self, notice: &Notice, now: Boot) -> bool {
        match notice {
            Notice::CallFailed { term: None, why } => {
                let kind = discriminant(why);
                let is_news = self
                    .last
                    .is_none_or(|(last, told)| last != kind && now.since(told) >= FAILURE_NEWS_EVERY);
                if is_news {
                    self.last = Some((kind, now));
                }
                is_news
            }
            Notice::Adopted { .. } => {
                self.last = None;
                true
            }
            _ => true,
        }
    }
}

/// Messages dropped since the last line about them.
#[derive(Default)]
struct Dropped {
    since: BTreeMap<Drop, u64>,
    last_line: Option<Boot>,
}

impl Dropped {
    fn count(&mut self, why: Drop, now: Boot) {
        *self.since.entry(why).or_default() += 1;
        if self.last_line.is_none_or(|last| now.since(last) >= DROPPED_LINE_EVERY) {
            tracing::warn!("{}", self.line());
            self.since.clear();
            self.last_line = Some(now);
        }
    }

    fn line(&self) -> String {
        let each: Vec<String> = self.since.iter().map(|(why, count)| format!("{count} × {why}")).collect();
        format!("messages dropped: {}", each.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::occasion::Occasion;
    use crate::node::told_occasion::ToldOccasion;
    use nitro_elect_protocol::assurance::Assurance;
    use nitro_elect_protocol::ids::{NodeId, Term};
    use std::time::Duration;

    fn outlets() -> Outlets {
        Outlets::new(Names::default(), vec!["tcp://127.0.0.1:5900".into()])
    }

    #[test]
    fn a_watcher_takes_up_where_it_left() {
        let mut outlets = outlets();
        let happenings = outlets.happenings();
        let (past, mut news) = happenings.follow(None);
        assert!(past.is_empty());
        for node in 1..=3 {
            outlets.notice(&Notice::Active(NodeId([node; 32])));
        }
        assert_eq!(news.try_recv().unwrap().seq, 1);
        let (past, _) = happenings.follow(Some(1));
        assert_eq!(past.iter().map(|one| one.seq).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn happenings_are_kept_up_to_their_bound() {
        let mut outlets = outlets();
        for _ in 0..HAPPENINGS_KEPT + 5 {
            outlets.notice(&Notice::Active(NodeId([1; 32])));
        }
        let (past, _) = outlets.happenings().follow(Some(0));
        assert_eq!((past.len(), past[0].seq), (HAPPENINGS_KEPT, 6));
    }

    fn election(term: u64) -> What {
        let node = Names::default().of(&NodeId([1; 32]));
        What::Elected {
            term: Term(term),
            leader: node.clone(),
            coordinator: node,
            occasion: ToldOccasion::of(Occasion::First, &Names::default()),
            reason: "by lottery",
            signers: 3,
            assurance: Assurance::Simulated,
        }
    }

    #[test]
    fn the_newest_elections_outlive_a_storm_of_other_happenings() {
        let happenings = Happenings::new();
        let elections = RECENT_CERTIFICATES as u64 + 2;
        (1..=elections).for_each(|term| happenings.add(election(term)));
        let failed = || What::CallFailed { term: None, why: "no enclave".into() };
        (0..2 * HAPPENINGS_KEPT).for_each(|_| happenings.add(failed()));
        let (past, _) = happenings.follow(Some(0));
        let kept = past.iter().filter(|one| matches!(one.what, What::Elected { .. })).map(|one| one.seq);
        assert_eq!(kept.collect::<Vec<_>>(), (3..=elections).collect::<Vec<_>>());
        assert_eq!((past.len(), past.last().unwrap().what.clone()), (HAPPENINGS_KEPT, failed()));
    }

    #[test]
    fn a_long_outage_does_not_push_out_what_happened_before_it() {
        let mut outlets = outlets();
        outlets.notice(&Notice::Active(NodeId([1; 32])));
        for _ in 0..HAPPENINGS_KEPT * 2 {
            outlets.notice(&Notice::CallFailed { term: None, why: CallFailure::NoEnclave });
        }
        let (past, _) = outlets.happenings().follow(Some(0));
        let names: Vec<_> = past.iter().map(|one| one.what.name()).collect();
        assert_eq!(names, ["active", "call_failed"]);
    }

    #[test]
    fn a_call_that_fails_for_another_reason_is_news_and_so_is_the_first_of_a_term() {
        let mut failed = FailedCalls::default();
        let later = |millis| Boot(1) + Duration::from_millis(millis);
        let mut is_news = |term, why, at| failed.is_news(&Notice::CallFailed { term, why }, later(at));
        assert!(is_news(None, CallFailure::NoEnclave, 0));
        assert!(!is_news(None, CallFailure::NobodyEligible, 10), "two reasons that take turns are no flood");
        assert!(is_news(None, CallFailure::NobodyEligible, 1_000));
        assert!(!is_news(None, CallFailure::NobodyEligible, 100_000));
        assert!(is_news(Some(Term(2)), CallFailure::NobodyEligible, 100_001), "a term is used up once");
    }

    #[test]
    fn the_lease_follows_the_notices() {
        let mut outlets = outlets();
        let held = outlets.held();
        outlets.notice(&Notice::LeaseGained { term: Term(3), until: Boot(10) });
        assert_eq!(*held.borrow(), Some(Held { term: Term(3), until: Boot(10) }));
        outlets.notice(&Notice::LeaseExtended { term: Term(3), until: Boot(20) });
        assert_eq!(*held.borrow(), Some(Held { term: Term(3), until: Boot(20) }));
        let why = crate::core::event::LeaseLoss::RanOut;
        outlets.notice(&Notice::LeaseLost { term: Term(3), why });
        assert_eq!(*held.borrow(), None);
    }

    #[test]
    fn dropped_messages_get_one_line_now_and_then() {
        let mut dropped = Dropped::default();
        dropped.count(Drop::Signature, Boot(1));
        assert!(dropped.since.is_empty(), "the first is told at once");
        dropped.count(Drop::Signature, Boot(2));
        dropped.count(Drop::Bound, Boot(3));
        assert_eq!(
            dropped.line(),
            "messages dropped: 1 × a part exceeds its bound, 1 × a signature in it does not verify"
        );
        dropped.count(Drop::Bound, Boot(3) + DROPPED_LINE_EVERY + Duration::from_secs(1));
        assert!(dropped.since.is_empty());
    }
}
