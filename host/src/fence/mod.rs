//! A fence in front of something that only the leader may touch: it admits whoever proves to lead now, and never
//! again anybody of a lower term.
//!
//! A lease proof says who leads, not who speaks, and not that nobody leads later in its window (DESIGN §3.4). So the
//! [`Fence`] is given the key that its caller authenticated, keeps the highest term it admitted on disk, and lets work
//! through at one place, [`Admitted::act`]: once a higher term is admitted, work of a lower one is refused, and what of
//! it had begun is over before the higher one begins.
//!
//! ```text
//! draw() -> nonce -> (whoever leads: Node::proof, /v1/proof?nonce=) -> admit(proof, key) -> Admitted -> act(work)
//! ```
//!
//! The rules are in [`rules`], without clock or disk; the state is in [`state`]. A program that knows nothing of terms
//! is fenced by `nitro-elect gate`, which keeps the same rules and the same state.
//!
//! ```
//! use nitro_elect::fence::{Fence, Stale};
//! use nitro_elect::node::Node;
//! use nitro_elect::simulated::SimulatedCluster;
//! use nitro_elect::verify::{Accept, Authority};
//!
//! # fn main() -> anyhow::Result<()> {
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let cluster = SimulatedCluster::make(1)?;
//! let config = cluster.config(0)?;
//! let me = config.id();
//! let node = Node::start(config).await?;
//! let lease = node.leadership().gained().await.expect("the node lives");
//!
//! // What the fence believes is said here, by its owner: this manifest, and a simulated enclave.
//! let authority = Authority::Manifest(Box::new(cluster.electorate().clone()));
//! let accept = Accept { simulated: true, ..Accept::default() };
//! let fence = Fence::open(&cluster.directory().join("fence"), authority, accept)?;
//!
//! let proof = node.proof(fence.draw()).await?;
//! let admitted = fence.admit(&proof, me)?;
//! assert_eq!(admitted.term(), lease.term()?);
//! assert_eq!(admitted.act(|| "written")?, "written");
//!
//! // The same proof presented by somebody else is nobody's.
//! let somebody = nitro_elect_protocol::ids::NodeId([7; 32]);
//! assert!(matches!(fence.admit(&proof, somebody), Err(Stale::OtherPresenter { .. })));
//! # Ok(())
//! # })
//! # }
//! ```

mod record;
pub mod rules;
mod stale;
pub mod state;

use ring::rand::{SecureRandom, SystemRandom};
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::{NodeId, Nonce, Term};

use crate::clock;
use crate::proof_file::ProofFile;
use crate::verify::{Accept, Authority};

pub use record::{Record, RecordFault};
pub use rules::{Rules, Standing};
pub use stale::Stale;
pub use state::{FenceState, StateError};

/// Admits leaders, of ever higher terms. Cheap to clone; all clones are one fence.
#[derive(Clone, Debug)]
pub struct Fence {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Rules>,
    /// Held for reading by whoever acts, so that a higher term is admitted between works and never during one.
    state: RwLock<FenceState>,
    /// The highest term admitted, to look at without waiting.
    highest: AtomicU64,
}

/// Leave to act in one term, until its proof ends or a higher term is admitted.
#[derive(Clone)]
pub struct Admitted {
    standing: Standing,
    shared: Arc<Shared>,
}

impl Fence {
    /// A fence whose state is in a directory, which is made if it is not there; one process at a time.
    ///
    /// `authority` says whose proofs count, `accept` what is enough beside an attested enclave: the leader of an open
    /// cluster, of which anybody may be a voter, is admitted by `Accept { open: true, .. }` alone.
    pub fn open(dir: &Path, authority: Authority, accept: Accept) -> Result<Self, StateError> {
        let state = FenceState::open(dir, authority.cluster())?;
        let highest = AtomicU64::new(state.record().term.0);
        let rules = Mutex::new(Rules::new(vec![authority], accept));
        Ok(Fence { shared: Arc::new(Shared { rules, state: RwLock::new(state), highest }) })
    }

    /// A fresh nonce, for a proof to answer. Its lease counts from this moment, so ask for the proof at once.
    pub fn draw(&self) -> Nonce {
        let drawn = clock::boot();
        let nonce = fresh_nonce();
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner).note(nonce, drawn);
        nonce
    }

    /// Admits the leader that a proof names, if it is the one who presents it: `presenter` is the key that the caller
    /// authenticated, by mutual TLS for instance, or its own node's.
    ///
    /// A higher term than any before is durable when this returns, and waits until works of lower terms that have begun
    /// are over.
    pub fn admit(&self, proof: &ProofFile, presenter: NodeId) -> Result<Admitted, Stale> {
        let mut rules = self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = rules.judge(proof, Some(presenter), self.highest(), clock::now())?;
        drop(rules);
        self.shared.raise(&standing)?;
        Ok(Admitted { standing, shared: self.shared.clone() })
    }

    /// The highest term admitted so far; 0 before the first.
    pub fn highest(&self) -> Term {
        Term(self.shared.highest.load(Ordering::SeqCst))
    }
}

impl Shared {
    /// Makes a term the highest, or refuses a lower one.
    fn raise(&self, standing: &Standing) -> Result<(), Stale> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let highest = state.record().term;
        if standing.term < highest {
            return Err(Stale::LowerTerm { term: standing.term, highest });
        }
        // Two partitions of an open cluster may use one term each for itself.
        if standing.term == highest && state.record().leader != Some(standing.leader) {
            return Err(Stale::OtherLeader { term: highest });
        }
        if standing.term > highest {
            let record =
                Record { term: standing.term, leader: Some(standing.leader), ..state.record().clone() };
            state.save(record).map_err(Stale::NotDurable)?;
            self.highest.store(standing.term.0, Ordering::SeqCst);
        }
        Ok(())
    }
}

impl Admitted {
    /// The term: the fencing token to write beside what is done.
    pub fn term(&self) -> Term {
        self.standing.term
    }

    /// Who leads in it.
    pub fn leader(&self) -> NodeId {
        self.standing.leader
    }

    /// What the proof is worth.
    pub fn assurance(&self) -> Assurance {
        self.standing.assurance
    }

    /// What is left at this moment, on `CLOCK_BOOTTIME`; zero once a higher term was admitted. Present a new proof to
    /// have more.
    pub fn remaining(&self) -> Duration {
        match self.shared.highest.load(Ordering::SeqCst) == self.standing.term.0 {
            true => clock::until(self.standing.until),
            false => Duration::ZERO,
        }
    }

    /// Does work that only the leader may do, if it still leads as far as this fence knows. No higher term is admitted
    /// before the work is over, so keep it short, and do not admit anybody within it.
    pub fn act<T>(&self, work: impl FnOnce() -> T) -> Result<T, Stale> {
        let state = self.shared.state.read().unwrap_or_else(PoisonError::into_inner);
        let (term, highest) = (self.standing.term, state.record().term);
        if term < highest {
            return Err(Stale::LowerTerm { term, highest });
        }
        self.standing.check_clock(clock::boot())?;
        Ok(work())
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Admitted({:?}, {:?} left)", self.standing, self.remaining())
    }
}

/// 32 bytes of the system's randomness.
pub(crate) fn fresh_nonce() -> Nonce {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system has random bytes");
    Nonce(bytes)
}
