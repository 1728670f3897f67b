//! The door with its memory: proofs are judged, records made durable, and the pass of each term given out and taken
//! back, all under one lock, in the order that the rules ask for.
//!
//! Everything here may wait for the disk; call it where that is allowed ([`Gatehouse::with`]).

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::{NodeId, Nonce, Term};
use nitro_elect_protocol::time::{Boot, Now};

use super::closed::{Closed, NOT_DURABLE};
use super::door::{ConnectionId, Door, Due, Ending, Step};
use super::pass::{Pass, Ticket};
use crate::clock;
use crate::fence::{FenceState, Record, Rules, fresh_nonce};
use crate::proof_file::ProofFile;

/// Rules, door and disk.
#[derive(Debug)]
pub struct Keeper {
    rules: Rules,
    door: Door,
    state: FenceState,
    /// What connections of the present term look at.
    pass: watch::Sender<Pass>,
    /// The newest nonce and when it was drawn. One serves all who ask within a moment, so that asking costs no memory.
    fresh: Option<(Nonce, Boot)>,
    moment: Duration,
    /// What the newest proof that was taken in is worth.
    assurance: Option<Assurance>,
    /// Why the record on the disk may be another than the door's: the last write failed, and may have landed all the same.
    unsaved: Option<String>,
}

/// What is known at a moment.
#[derive(Clone, Debug)]
pub struct Situation {
    /// The highest term admitted.
    pub term: Term,
    /// Who leads in it.
    pub leader: Option<NodeId>,
    /// What its newest proof is worth, if one came in this life.
    pub assurance: Option<Assurance>,
    /// What is left of that.
    pub left: Duration,
    /// Connections to the resource that have not ended.
    pub connections: usize,
    /// Whether a crash now would leave the term in doubt.
    pub marked: bool,
    /// Why nothing passes: a short name, and words.
    pub closed: Option<(&'static str, String)>,
}

/// What a connection was let in with.
#[derive(Debug)]
pub struct Entry {
    /// Its number.
    pub id: ConnectionId,
    /// Its term.
    pub term: Term,
    /// What it has to look at.
    pub pass: watch::Receiver<Pass>,
}

impl Keeper {
    /// A keeper for these rules and this state, for clusters with this lease.
    pub fn new(rules: Rules, state: FenceState, drain: Duration, has_command: bool, lease: Duration) -> Self {
        let door = Door::new(state.record().clone(), drain, has_command, clock::boot());
        let (pass, _) = watch::channel(Pass::NONE);
        Keeper { rules, door, state, pass, fresh: None, moment: lease / 20, assurance: None, unsaved: None }
    }

    /// A nonce of this moment.
    pub fn nonce(&mut self) -> Nonce {
        let now = clock::boot();
        if let Some((nonce, drawn)) = self.fresh
            && now.since(drawn) < self.moment
        {
            return nonce;
        }
        let nonce = fresh_nonce();
        self.rules.note(nonce, now);
        self.fresh = Some((nonce, now));
        nonce
    }

    /// Judges a proof that a key presents (or that somebody delivered), and opens or closes the door by it.
    pub fn present(&mut self, proof: &ProofFile, key: Option<NodeId>) -> Result<(), Closed> {
        let standing = self.rules.judge(proof, key, Term(0), clock::now())?;
        let now = clock::boot();
        standing.check_clock(now)?;
        let stepped = self.door.present(&standing, now);
        let done = match stepped {
            Ok(Step::Done) => Ok(()),
            Ok(Step::Save(record)) => {
                self.save(record, standing.until).inspect(|()| {
                    // The connections of the term before are all over: those of this one look at another pass.
                    self.pass.send_modify(|pass| pass.until = Boot(0));
                    self.pass = watch::channel(Pass::NONE).0;
                })
            }
            Err(why) => Err(why),
        };
        if done.is_ok() {
            self.assurance = Some(standing.assurance);
        }
        self.show();
        done
    }

    fn save(&mut self, record: Record, until: Boot) -> Result<(), Closed> {
        if let Err(error) = self.state.save(record.clone()) {
            let why = Closed::NotDurable(error);
            self.unsaved = Some(why.to_string());
            return Err(why);
        }
        self.unsaved = None;
        self.door.saved(record, until, clock::boot());
        Ok(())
    }

    /// Makes the disk say what the door does, if that is not sure.
    fn settle(&mut self) -> Result<(), Closed> {
        match self.unsaved {
            Some(_) => self.save(self.state.record().clone(), Boot(0)),
            None => Ok(()),
        }
    }

    /// Tells connections until when they may act.
    fn show(&self) {
        let until = self.door.until();
        self.pass.send_if_modified(|pass| {
            let changed = pass.until != until;
            pass.until = until;
            changed
        });
    }

    /// Lets a connection of this key in. The mark is durable when this returns.
    pub fn enter(&mut self, key: NodeId) -> Result<Entry, Closed> {
        self.settle()?;
        let entered = match self.door.enter(key, clock::boot()) {
            Err(Ok(record)) => {
                self.save(record, Boot(0))?;
                self.door.enter(key, clock::boot())
            }
            entered => entered,
        };
        match entered {
            Ok(id) => Ok(Entry { id, term: self.door.term(), pass: self.pass.subscribe() }),
            Err(Err(why)) => Err(why),
            Err(Ok(_)) => Err(Closed::NotDurable(io::Error::other("the mark did not stay"))),
        }
    }

    /// A connection can reach the resource no more.
    pub fn ended(&mut self, id: ConnectionId, ending: Ending) {
        self.door.ended(id, ending, clock::boot());
    }

    /// Does what time made due; the term to run the fence command for, if that is.
    pub fn tick(&mut self) -> Result<Option<Term>, Closed> {
        self.settle()?;
        match self.door.tick(clock::boot()) {
            None => Ok(None),
            Some(Due::Save(record)) => self.save(record, Boot(0)).map(|()| None),
            Some(Due::Fence(term)) => Ok(Some(term)),
        }
    }

    /// How the fence command went.
    pub fn fenced(&mut self, succeeded: bool) {
        if self.door.fenced(succeeded, clock::boot()) {
            self.abandon();
        }
    }

    /// An operator's word that a term is over.
    pub fn drained(&mut self, term: Term) -> Result<(), String> {
        let abandon = self.door.drained(term)?;
        if abandon {
            self.abandon();
        }
        Ok(())
    }

    fn abandon(&self) {
        self.pass.send_replace(Pass { until: Boot(0), abandoned: true });
    }

    /// Lets nobody in any more and takes back what was given.
    pub fn stop(&mut self) {
        self.door.stop();
        self.show();
    }

    /// Whether a keeper that stopped has seen the end of every connection.
    pub fn is_at_rest(&self) -> bool {
        self.door.is_at_rest()
    }

    /// What is known now.
    pub fn situation(&self, now: Now) -> Situation {
        let by_disk = self.unsaved.clone().map(|why| (NOT_DURABLE, why));
        let by_door = || self.door.why_closed(now.boot).map(|why| (why.reason(), why.to_string()));
        Situation {
            term: self.door.term(),
            leader: self.door.leader(),
            assurance: self.assurance,
            left: self.door.until().since(now.boot),
            connections: self.door.connections(),
            marked: self.door.is_marked(),
            closed: by_disk.or_else(by_door),
        }
    }
}

/// The keeper, shared by all connections.
#[derive(Clone, Debug)]
pub struct Gatehouse(Arc<Mutex<Keeper>>);

impl Gatehouse {
    /// Shares a keeper.
    pub fn new(keeper: Keeper) -> Self {
        Gatehouse(Arc::new(Mutex::new(keeper)))
    }

    /// Does something that may wait for the disk or take time to compute, on a thread for that.
    pub async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Keeper) -> T + Send + 'static) -> T {
        let shared = self.clone();
        match tokio::task::spawn_blocking(move || work(&mut shared.now())).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::future::pending().await, // the runtime ends, and this task with it
        }
    }

    /// Lets a connection of this key in. Whoever stops waiting for this gives the ticket back.
    pub async fn enter(&self, key: NodeId) -> Result<Ticket, Closed> {
        let shared = self.clone();
        let entered = tokio::task::spawn_blocking(move || {
            let entry = shared.now().enter(key)?;
            Ok(Ticket::new(entry, shared))
        });
        entered.await.unwrap_or(Err(Closed::Stopping))
    }

    /// Reads a proof, judges it, and opens or closes the door by it.
    pub async fn present(&self, text: Vec<u8>, key: Option<NodeId>) -> Result<(), Closed> {
        let shared = self.clone();
        let judged = tokio::task::spawn_blocking(move || {
            let text = String::from_utf8(text).map_err(|_| Closed::Unreadable("it is no text".into()))?;
            let proof = ProofFile::parse(&text).map_err(|error| Closed::Unreadable(error.to_string()))?;
            shared.now().present(&proof, key)
        });
        judged.await.unwrap_or(Err(Closed::Stopping))
    }

    /// The keeper, once nobody else has it: milliseconds, while it writes.
    pub fn now(&self) -> MutexGuard<'_, Keeper> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fence::Standing;
    use crate::verify::Accept;
    use nitro_elect_protocol::ids::ClusterId;

    const CLUSTER: ClusterId = ClusterId([1; 16]);
    const LEADER: NodeId = NodeId([7; 32]);

    fn record(term: u64, open: bool) -> Record {
        Record { cluster: CLUSTER, term: Term(term), leader: Some(LEADER), open }
    }

    #[test]
    fn after_a_write_that_failed_nobody_enters_before_the_disk_says_what_the_door_does() {
        let home = tempfile::tempdir().unwrap();
        let (dir, away) = (home.path().join("gate"), home.path().join("away"));
        let mut state = FenceState::open(&dir, CLUSTER).unwrap();
        state.save(record(7, false)).unwrap();
        let rules = Rules::new(Vec::new(), Accept::default());
        let mut keeper = Keeper::new(rules, state, Duration::ZERO, false, Duration::from_secs(1));
        let until = clock::boot() + Duration::from_secs(60);
        let standing = Standing { term: Term(7), leader: LEADER, until, assurance: Assurance::Attested };
        assert_eq!(keeper.door.present(&standing, clock::boot()).unwrap(), Step::Done);
        let id = keeper.enter(LEADER).unwrap().id;
        keeper.ended(id, Ending::Eof);

        std::fs::rename(&dir, &away).unwrap();
        assert!(matches!(keeper.save(record(8, true), until), Err(Closed::NotDurable(_))));
        assert!(matches!(keeper.enter(LEADER), Err(Closed::NotDurable(_))));
        assert!(keeper.tick().is_err());
        assert_eq!(keeper.situation(clock::now()).closed.unwrap().0, NOT_DURABLE);
        // As when the rename was done, and the sync after it failed.
        std::fs::write(away.join("fence"), record(8, true).to_text()).unwrap();
        std::fs::rename(&away, &dir).unwrap();
        keeper.enter(LEADER).unwrap();
        let text = std::fs::read_to_string(dir.join("fence")).unwrap();
        assert_eq!(Record::parse(&text), Ok(record(7, true)), "a kill now must leave the mark of term 7");
        assert!(keeper.situation(clock::now()).closed.is_none());
    }
}
