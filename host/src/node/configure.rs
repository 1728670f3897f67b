//! From files and addresses to a [`NodeConfig`]: by a manifest, or for an open cluster.

use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::electorate::{Electorate, VERSION, is_address, is_name};
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::limits::LEASE_DEFAULT;
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_protocol::trust::Trust;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::config::{NodeConfig, Reach};
use crate::change_file::Shown;
use crate::core::config::{FANOUT_DEFAULT, Membership, Observers};
use crate::help::Help;
use crate::keys::{self, KEY_FILE, KeyError};
use crate::manifest::Manifest;
use crate::private_file::PrivateFileError;
use crate::storage::{BirthError, give_birth};
use crate::transport::endpoint::{Endpoint, HostPort, ParseEndpointError};

/// Names that an error lists before it only counts.
const NAMES_IN_A_SENTENCE: usize = 8;

/// Why a node cannot be started as asked.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It could not be born.
    #[error(transparent)]
    Birth(#[from] BirthError),
    /// Its key votes in another cluster, or in none.
    #[error("the key {key} of {} is no voter of the manifest (its voters: {voters}), and observers with it are not admitted", .state.display())]
    NotAMember {
        /// The key.
        key: NodeId,
        /// Its state directory.
        state: PathBuf,
        /// The names of those who vote.
        voters: String,
    },
    /// Its key is a voter's, and it was to observe.
    #[error("the key of {} is voter {name:?} of the manifest: it cannot observe, as the others count on its vote", .state.display())]
    Votes {
        /// The voter's name.
        name: String,
        /// Its state directory.
        state: PathBuf,
    },
    /// It was to observe a cluster that admits no observers, or others.
    #[error("the manifest does not admit the key {key} of {} as an observer ({admits})", .state.display())]
    NotAdmitted {
        /// The key.
        key: NodeId,
        /// Its state directory.
        state: PathBuf,
        /// Whom it admits.
        admits: &'static str,
    },
    /// The manifest's address cannot be dialled or listened at.
    #[error("the address {address:?} of this node cannot be used: {fault}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        fault: ParseEndpointError,
    },
    /// A name that no heartbeat can carry.
    #[error("{0:?} is no name: 1 to 63 printable characters")]
    Name(String),
    /// No address for others to dial.
    #[error("{0} is no address that others could dial")]
    NotDialable(HostPort),
}

impl Help for ConfigError {
    fn help(&self) -> String {
        match self {
            ConfigError::Key(error) => error.help(),
            ConfigError::Birth(error) => error.help(),
            ConfigError::NotAMember { .. } => {
                "name the state directory of one of its voters with --state, or the manifest that has this key".into()
            }
            ConfigError::Votes { .. } => {
                "leave out --observe, or make a key for the observer with `nitro-elect keygen --state DIR`".into()
            }
            ConfigError::NotAdmitted { key, .. } => format!(
                "set observers in the manifest of every voter, to a number or to a list with {key}, and restart them one \
                 by one; the electorate stays the same"
            ),
            ConfigError::Address { .. } => "correct the address in the manifest on every node, or give --listen".into(),
            ConfigError::Name(_) => "give another --name".into(),
            ConfigError::NotDialable(_) => "give an IP address and a port from 1 on".into(),
        }
    }
}

/// What an operator says of one node of a cluster with a manifest.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Where to listen, when that is not the manifest's address (behind address translation, or an observer).
    pub listen: Option<HostPort>,
    /// What people call an observer; voters have the manifest's names.
    pub name: Option<String>,
}

/// What an operator says of one node of an open cluster.
#[derive(Clone, Debug)]
pub struct OpenNode {
    /// Where it listens, and what others dial.
    pub address: SocketAddr,
    /// Peers to begin with.
    pub peers: Vec<HostPort>,
    /// What people call it; its address if that is not said.
    pub name: Option<String>,
    /// Which enclaves are accepted.
    pub trust: Trust,
    /// Whether to lead a list of this node alone.
    pub alone: bool,
}

impl NodeConfig {
    /// A node of a cluster with a manifest: a voter if its key is one, else an observer if those are admitted. An
    /// observer calls no elections, so it asks no enclave.
    pub fn listed(
        manifest: &Manifest,
        state: &Path,
        enclaves: Vec<Endpoint>,
        said: Listed,
    ) -> Result<Self, ConfigError> {
        let key = keys::load(state)?;
        let voter = manifest.electorate.voter(&key.id());
        let enclaves = voter.map_or_else(Vec::new, |_| enclaves);
        let (name, reach) = match voter {
            Some(voter) => (voter.name.clone(), voter_reach(&voter.address, said.listen)?),
            None => observer(manifest, &key, state, said)?,
        };
        let membership = Membership::Manifest {
            electorate: Box::new(manifest.electorate.clone()),
            observers: manifest.observers.clone(),
        };
        Ok(Self::with(name, reach, membership, key, state, enclaves))
    }

    /// A node that follows the cluster of a manifest and votes in nothing.
    ///
    /// # Errors
    /// [`ConfigError::Votes`] for a voter's key: one that only watched would be counted on in vain.
    pub fn observing(
        manifest: &Manifest,
        state: &Path,
        enclaves: Vec<Endpoint>,
        said: Listed,
    ) -> Result<Self, ConfigError> {
        let key = keys::load(state)?.id();
        if let Some(voter) = manifest.electorate.voter(&key) {
            return Err(ConfigError::Votes { name: voter.name.clone(), state: state.to_path_buf() });
        }
        if !admits(&manifest.observers, &key) {
            let admits = match manifest.observers {
                Observers::Off | Observers::Open(_) => "it admits none",
                Observers::Listed(_) => "it lists others",
            };
            return Err(ConfigError::NotAdmitted { key, state: state.to_path_buf(), admits });
        }
        Self::listed(manifest, state, enclaves, said)
    }

    /// A node of an open cluster. Its state and key are made at its first start.
    pub fn open(state: &Path, enclaves: Vec<Endpoint>, said: OpenNode) -> Result<Self, ConfigError> {
        let bind = HostPort::from(said.address);
        if said.address.port() == 0 || said.address.ip().is_unspecified() {
            return Err(ConfigError::NotDialable(bind));
        }
        let key = match keys::load(state) {
            Err(KeyError::File(PrivateFileError::Missing { .. })) => {
                let key = keys::generate()?;
                give_birth(state, &key)?;
                key
            }
            loaded => loaded?,
        };
        let name = checked_name(said.name.unwrap_or_else(|| said.address.to_string()))?;
        let reach = Reach { bind, address: said.address.to_string(), peers: said.peers };
        let membership =
            Membership::Open { template: Box::new(open_template(said.trust)), alone: said.alone };
        Ok(Self::with(name, reach, membership, key, state, enclaves))
    }

    fn with(
        name: String,
        reach: Reach,
        membership: Membership,
        key: NodeKey,
        state: &Path,
        enclaves: Vec<Endpoint>,
    ) -> Self {
        let (state, fanout) = (state.to_path_buf(), FANOUT_DEFAULT);
        NodeConfig {
            name,
            reach,
            membership,
            key,
            state,
            danger_forget_votes: false,
            shown: Shown::default(),
            enclaves,
            fanout,
            supervisor: None,
        }
    }

    /// Whether this node votes.
    pub fn votes(&self) -> bool {
        match &self.membership {
            Membership::Manifest { electorate, .. } => electorate.contains(&self.key.id()),
            Membership::Open { .. } => true,
        }
    }

    /// Whether its cluster is open.
    pub fn is_open(&self) -> bool {
        matches!(self.membership, Membership::Open { .. })
    }
}

fn voter_reach(address: &str, listen: Option<HostPort>) -> Result<Reach, ConfigError> {
    let fault = |fault| ConfigError::Address { address: address.into(), fault };
    let bind = match listen {
        Some(listen) => listen,
        None => address.parse().map_err(fault)?,
    };
    Ok(Reach { bind, address: address.into(), peers: vec![] })
}

/// An observer listens where it is told to, else nowhere that anybody else could reach.
fn observer(
    manifest: &Manifest,
    key: &NodeKey,
    state: &Path,
    said: Listed,
) -> Result<(String, Reach), ConfigError> {
    if !admits(&manifest.observers, &key.id()) {
        let (key, state) = (key.id(), state.join(KEY_FILE));
        return Err(ConfigError::NotAMember { key, state, voters: named(manifest) });
    }
    let nowhere = || HostPort::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let address = said.listen.as_ref().map(ToString::to_string).filter(|address| is_address(address));
    let reach = Reach {
        bind: said.listen.unwrap_or_else(nowhere),
        address: address.unwrap_or_default(),
        peers: vec![],
    };
    Ok((checked_name(said.name.unwrap_or_else(|| key.id().short()))?, reach))
}

fn admits(observers: &Observers, key: &NodeId) -> bool {
    match observers {
        Observers::Off => false,
        Observers::Listed(keys) => keys.contains(key),
        Observers::Open(most) => *most > 0,
    }
}

/// The voters' names, or as many as a sentence can hold.
fn named(manifest: &Manifest) -> String {
    let mut names: Vec<&str> = manifest.electorate.voters.iter().map(|voter| voter.name.as_str()).collect();
    names.sort_unstable();
    let more = names.split_off(names.len().min(NAMES_IN_A_SENTENCE)).len();
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    names.join(", ") + &rest
}

fn checked_name(name: String) -> Result<String, ConfigError> {
    if is_name(&name) { Ok(name) } else { Err(ConfigError::Name(name)) }
}

/// What all nodes of open clusters that accept the same enclaves agree on (DESIGN §3.7).
fn open_template(trust: Trust) -> Electorate {
    Electorate {
        version: VERSION,
        cluster: ClusterId::OPEN,
        name: "open".into(),
        epoch: 0,
        previous: None,
        f: 0,
        policy: Policy::of(Rule::Highest),
        lease_ms: u64::try_from(LEASE_DEFAULT.as_millis()).expect("a second fits"),
        trust,
        voters: vec![],
    }
}
