//! What a rig is made of: how many voters under which policy, and the enclaves' boots.

use nitro_elect::core::config::{FANOUT_DEFAULT, Observers};
use nitro_elect_enclave::service::Service;
use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::policy::{Policy, Rule};
use nitro_elect_tests::sim::dice::Dice;
use nitro_elect_tests::sim::identities::{Identity, Primitives, Shared, SimulatedAttestor};
use nitro_elect_tests::sim::standin::StandIn;
use std::sync::Arc;

/// The lease of every rig, in milliseconds: a step is 100, the margin 20.
pub const LEASE: u64 = 1000;
/// A tenth of the lease.
pub const STEP: u64 = LEASE / 10;
/// What a leader gives up of its lease for clocks that differ.
pub const MARGIN: u64 = LEASE / 50;

/// The node with this number: its key is its number plus one, all over.
pub fn id(number: usize) -> NodeId {
    NodeId([u8::try_from(number + 1).expect("a rig has few nodes"); 32])
}

/// The number of a node.
pub fn number(node: &NodeId) -> usize {
    usize::from(node.0[0]) - 1
}

/// An enclave's boot; no service while it is down.
pub struct Enclave {
    pub service: Option<Service<SimulatedAttestor>>,
    pub identity: Arc<Identity>,
}

/// What a rig is made of.
#[derive(Clone)]
pub struct Plan {
    pub voters: usize,
    pub f: u32,
    pub policy: Policy,
    pub observers: Observers,
    pub enclaves: usize,
    pub fanout: usize,
    /// Nodes of an open cluster instead: whether each leads alone.
    pub open: Option<bool>,
}

impl Default for Plan {
    fn default() -> Self {
        let policy = Policy::of(Rule::Priority);
        Plan {
            voters: 4,
            f: 1,
            policy,
            observers: Observers::Off,
            enclaves: 1,
            fanout: FANOUT_DEFAULT,
            open: None,
        }
    }
}

/// Where a node listens: the first has the highest address.
pub fn address(node: usize) -> String {
    format!("10.0.0.{}:5000", 200 - node)
}

/// A fresh boot with the pool's identity of this number.
pub fn boot(number: usize) -> Enclave {
    let identity = Shared::get().identity(number);
    let attestor = SimulatedAttestor::new(identity.clone(), Primitives::StandIn, Dice::new(number as u64));
    Enclave { service: Some(Service::new(attestor, Arc::new(StandIn))), identity }
}

/// The electorate of a plan, or the template of an open cluster's.
pub fn electorate(plan: &Plan) -> Electorate {
    let voter = |node: usize| Voter {
        key: id(node),
        name: format!("node-{node}"),
        address: address(node),
        weight: u32::try_from(plan.voters - node).expect("a rig has few nodes"),
    };
    Electorate {
        version: VERSION,
        cluster: if plan.open.is_some() { ClusterId::OPEN } else { ClusterId([7; 16]) },
        name: "rig".into(),
        epoch: 0,
        previous: None,
        f: plan.f,
        policy: plan.policy,
        lease_ms: LEASE,
        trust: Shared::get().trust(),
        voters: (0..plan.voters).map(voter).collect(),
    }
}
