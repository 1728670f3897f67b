//! A cluster to try things on: a simulated enclave and the makings of a few nodes, all in this process and in a
//! temporary directory that goes with it. For examples, tests and first steps; it proves nothing to anybody.

use nitro_elect_enclave::keys::KeyError;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::limits::LEASE_DEFAULT;
use nitro_elect_protocol::policy::{Policy, Rule};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{SimulatedEnclave, SimulatedPki, SimulatedPkiError};
use crate::clock;
use crate::core::config::Observers;
use crate::demo::ports::{NoPorts, Ports};
use crate::local_cluster::{self, LocalClusterError, LocalNode};
use crate::manifest::{Manifest, NewError, Plan};
use crate::node::{ConfigError, Listed, NodeConfig};
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::{Exposure, Listener};

/// Voters and their enclave. The enclave serves until this is dropped.
#[derive(Debug)]
pub struct SimulatedCluster {
    directory: TempDir,
    manifest: Manifest,
    enclave: Endpoint,
    _serving: JoinSet<()>,
    _ports: Ports,
}

/// Why there is no such cluster.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedClusterError {
    /// No ports for its nodes.
    #[error(transparent)]
    Ports(#[from] NoPorts),
    /// The enclave's root could not be made.
    #[error(transparent)]
    Pki(#[from] SimulatedPkiError),
    /// The enclave did not start.
    #[error("the simulated enclave did not start: {0}")]
    Enclave(#[from] KeyError),
    /// There can be no such electorate.
    #[error(transparent)]
    Manifest(#[from] NewError),
    /// Keys and states could not be made.
    #[error(transparent)]
    Files(#[from] LocalClusterError),
    /// No temporary directory.
    #[error("no temporary directory: {0}")]
    Directory(#[from] std::io::Error),
}

impl SimulatedCluster {
    /// So many voters on free ports of loopback, of which a third may lie, with a lease of a second. Must be called on a
    /// tokio runtime, which then carries the enclave.
    pub fn make(voters: u16) -> Result<Self, SimulatedClusterError> {
        Self::with_lease(voters, LEASE_DEFAULT)
    }

    /// The same with another lease.
    pub fn with_lease(voters: u16, lease: Duration) -> Result<Self, SimulatedClusterError> {
        let mut ports = Ports::find()?;
        let nodes = local_cluster::draw_nodes(voters.into(), ports.some(voters)?)?;
        let enclave = SimulatedEnclave::boot(SimulatedPki::generate()?, clock::wall)?;
        let manifest = Manifest::new(Plan {
            name: "simulated".into(),
            f: None,
            policy: Policy::of(Rule::Priority),
            lease,
            trust: enclave.trust().clone(),
            observers: Observers::Off,
            voters: nodes.iter().map(LocalNode::voter).collect(),
        })?;
        let directory = tempfile::tempdir()?;
        local_cluster::write(&directory.path().join("cluster"), &manifest, &nodes)?;
        let place = Endpoint::Unix(directory.path().join("enclave"));
        let serving = serve(enclave, place.clone());
        Ok(SimulatedCluster { directory, manifest, enclave: place, _serving: serving, _ports: ports })
    }

    /// What the voters agree on.
    pub fn electorate(&self) -> &Electorate {
        &self.manifest.electorate
    }

    /// A directory for whatever belongs to this cluster; it goes with it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The state directory of a node, counted from 0.
    pub fn state(&self, node: u16) -> PathBuf {
        self.directory.path().join(format!("cluster/node-{}", node + 1))
    }

    /// What a node is started with, counted from 0. One that was ended can be started again.
    pub fn config(&self, node: u16) -> Result<NodeConfig, ConfigError> {
        let enclaves = vec![self.enclave.clone()];
        NodeConfig::listed(&self.manifest, &self.state(node), enclaves, Listed::default())
    }
}

/// Serves the enclave. Nodes that ask before it listens ask again.
fn serve(enclave: SimulatedEnclave, place: Endpoint) -> JoinSet<()> {
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        match Listener::bind(&place, Exposure::LoopbackOnly).await {
            Ok(listener) => match enclave.serve(listener).await {},
            Err(error) => tracing::error!(%error, "the simulated enclave cannot be reached"),
        }
    });
    serving
}
