//! How a node begins and ends.
//!
//! The number of the new life is durable before anything of it can be heard: before the socket opens.

use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::{Generation, NodeId};
use ring::rand::{SecureRandom, SystemRandom};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use tokio::runtime::Handle as Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::driver::{Driver, Exit, Inputs};
use super::enclaves::Asker;
use super::handle::{Handle, Shared};
use super::inbound::translate;
use super::last_words::LastWords;
use super::limits::{ANSWERS_WAITING, EVENTS_WAITING, FLUSH_DEADLINE, QUESTIONS_WAITING};
use super::measures::Measures;
use super::names::Names;
use super::outlets::Outlets;
use super::succession::{self, Known, Named, SuccessionError};
use super::{Node, NodeConfig};
use crate::clock;
use crate::core::Core;
use crate::core::attested::Attested;
use crate::core::config::{Config, Membership, Predecessor};
use crate::core::durable::Record;
use crate::core::timing::Timing;
use crate::help::Help;
use crate::storage::{Loaded, Owner, Standing, Storage, StorageError};
use crate::transport::links::{self, Bounds, Links, LinksConfig};
use crate::transport::tls::TlsIdentity;

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its state cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Its new life could not be written down.
    #[error("could not write the state record in {}: {source}", .state.display())]
    Record {
        /// The state directory.
        state: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It may not run under its manifest.
    #[error(transparent)]
    Succession(#[from] SuccessionError),
    /// It cannot be reached.
    #[error(transparent)]
    Links(#[from] links::StartError),
    /// No thread for it.
    #[error("could not start the node's thread: {0}")]
    Thread(io::Error),
}

impl Help for StartError {
    fn help(&self) -> String {
        match self {
            StartError::Storage(error) => error.help(),
            StartError::Succession(error) => error.help(),
            StartError::Record { .. } => "check the disk: a node that cannot write must not vote".into(),
            StartError::Links(links::StartError::Bind(_)) => {
                "stop what listens there, or give the node an address of this machine that is free".into()
            }
            StartError::Links(links::StartError::TooManyPeers(_)) => "name fewer peers".into(),
            StartError::Thread(_) => "raise the limit of threads of this user".into(),
        }
    }
}

pub async fn start(config: NodeConfig) -> Result<Node, StartError> {
    let me = config.key.id();
    let Begun { storage, loaded, predecessor } = begin_life(&config, me)?;
    let identity = TlsIdentity::of(&config.key);
    let timing = Timing { lease: template(&config.membership).lease() };
    let links = LinksConfig {
        identity: identity.clone(),
        bind: config.reach.bind.clone(),
        peers: config.peers(me),
        admission: config.admission(),
        lease: timing.lease,
        bounds: Bounds::default(),
    };
    let (links, link_events) = Links::start(links).await?;
    let links = Arc::new(links);
    let address = links.local_addr();
    let shared =
        Arc::new(Shared { links: Arc::downgrade(&links), state: config.state.clone(), ..Shared::default() });
    if let Some(newest) = &loaded.newest {
        shared.recent.keep(newest, template(&config.membership));
    }
    let (to_inbound, inbound) = mpsc::channel(EVENTS_WAITING);
    let (to_answered, answered) = mpsc::channel(ANSWERS_WAITING);
    let (to_questions, questions) = mpsc::channel(QUESTIONS_WAITING);
    let (alive, still_alive) = oneshot::channel();
    let names = Names::of_voters(template(&config.membership));
    let translating =
        tokio::spawn(translate(link_events, links.clone(), shared.clone(), names.clone(), to_inbound));
    let places = config.enclaves.iter().map(ToString::to_string).collect();
    let outlets = Outlets::new(names, places);
    let handle =
        Handle::new(to_questions, outlets.happenings(), outlets.held(), outlets.work_ends(), shared.clone());
    let asker = Asker::new(&config.enclaves, &identity, timing, Runtime::current(), to_answered);
    let link = config.supervisor.clone().filter(|_| config.votes());
    let last_words = link.map(|link| LastWords::new(link, config.key.seed()));
    let measures = Measures::new(me, shared.clone());
    let driver = Driver {
        core: core(config, loaded, predecessor),
        last_words,
        me,
        timing,
        storage,
        links,
        asker,
        outlets,
        shared,
        leaving: None,
        halted: None,
        proving: Vec::new(),
        measures,
        write_error: None,
    };
    let inputs = Inputs { inbound, answered, questions, alive: still_alive };
    let (tell_end, ended) = oneshot::channel();
    let life = move || tell_end.send(live(driver, inputs, translating));
    let thread = thread::Builder::new().name("node".into()).spawn(move || drop(life()));
    Ok(Node { handle, address, ended, _alive: alive, _thread: thread.map_err(StartError::Thread)? })
}

/// A life of which nothing was heard yet.
struct Begun {
    storage: Storage,
    loaded: Loaded,
    predecessor: Option<Predecessor>,
}

/// Opens the state, and makes the manifest and the number of this life durable.
fn begin_life(config: &NodeConfig, me: NodeId) -> Result<Begun, StartError> {
    let owner = Owner {
        node: me,
        cluster: template(&config.membership).cluster,
        danger_forget_votes: config.danger_forget_votes,
    };
    let (mut storage, mut loaded) = Storage::open(&config.state, &owner)?;
    tell_of_forgotten_votes(config.danger_forget_votes, loaded.record.forgot_votes);
    for cut in &loaded.cuts {
        let (path, bytes) = (cut.path.display(), cut.bytes);
        tracing::warn!("{path} ended within an entry, as after a crash; its last {bytes} bytes were removed");
    }
    for path in &loaded.unread {
        tracing::warn!("{} is no evidence that can be read; it is left there", path.display());
    }
    let (standing, newest) = (loaded.standing.as_ref(), loaded.newest.as_ref());
    let known = Known { me, record: &loaded.record, standing, newest };
    let place = succession::place(known, template(&config.membership), &config.shown, clock::now().wall)?;
    if let Some(standing) = &place.standing {
        storage.stand(standing)?;
        tell_of_the_move(standing);
    }
    let record = Record { generation: next_life(&loaded.record), ..loaded.record };
    let failed = |source| StartError::Record { state: config.state.clone(), source };
    storage.save(&record).map_err(failed)?;
    loaded.record = record;
    Ok(Begun { storage, loaded, predecessor: place.predecessor })
}

/// At every start, as it holds for as long as the key is used.
fn tell_of_forgotten_votes(may_forget: bool, forgot: bool) {
    if forgot {
        tracing::warn!(
            "this node has forgotten earlier votes: it counts as one of the f faulty voters until it gets a new key"
        );
    } else if may_forget {
        tracing::warn!(
            "--danger-forget-votes: the state is whole and nothing is forgotten; leave the flag out, or a disk that is \
             lost later is not noticed"
        );
    }
}

fn tell_of_the_move(standing: &Standing) {
    let Some(previous) = &standing.previous else { return };
    let (from, to) = (Named::of(previous), Named::of(&standing.present));
    tracing::info!(
        "moved from the manifest of {from} to that of {to}; every earlier one is refused from now on"
    );
}

/// The generation of the life that begins. One whose state was lost does not know how many it had: it counts on
/// from the wall clock's milliseconds, above any count of starts, so that it does not take itself for a copy.
fn next_life(record: &Record) -> Generation {
    let lost = record.forgot_votes && record.generation == Generation(0);
    let last = if lost { clock::now().wall.0 } else { record.generation.0 };
    Generation(last.saturating_add(1))
}

fn template(membership: &Membership) -> &Electorate {
    match membership {
        Membership::Manifest { electorate, .. } => electorate,
        Membership::Open { template, .. } => template,
    }
}

fn core(config: NodeConfig, loaded: Loaded, predecessor: Option<Predecessor>) -> Core {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).expect("the operating system has random bytes");
    let rules = Config {
        name: config.name,
        address: config.reach.address,
        membership: config.membership,
        predecessor,
        enclaves: config.enclaves.len(),
        fanout: config.fanout,
        record: loaded.record,
        newest: loaded.newest,
        evidence: loaded.evidence,
        seed,
    };
    let key: NodeKey = config.key;
    Core::new(rules, Box::new(key), Arc::new(Attested::new(Arc::new(Ring))), clock::now())
}

/// The node's thread: its life, and its last words.
fn live(mut driver: Driver, inputs: Inputs, translating: JoinHandle<()>) -> Exit {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the node's thread has no timer");
            return Exit::Died;
        }
    };
    runtime.block_on(async move {
        let exit = driver.run(inputs).await;
        translating.abort();
        let _aborted = translating.await;
        let links = driver.links.clone();
        drop(driver);
        if let Some(links) = Arc::into_inner(links) {
            links.close(FLUSH_DEADLINE).await;
        }
        exit
    })
}
