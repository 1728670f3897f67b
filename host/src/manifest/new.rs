//! The first manifest of a new cluster.

use ring::rand::{SecureRandom, SystemRandom};
use std::time::Duration;

use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::limits::OBSERVERS_MAX;
use nitro_elect_protocol::policy::Policy;
use nitro_elect_protocol::quorum;
use nitro_elect_protocol::trust::Trust;

use super::{FaultKind, Manifest};
use crate::core::config::Observers;
use crate::help::Help;

/// What a new cluster is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What people call it.
    pub name: String,
    /// Byzantine voters to tolerate; a third of the voters if nothing is said.
    pub f: Option<u32>,
    /// Who leads.
    pub policy: Policy,
    /// How long a leader may act on one round of support.
    pub lease: Duration,
    /// Which enclaves are accepted.
    pub trust: Trust,
    /// Who may follow without voting.
    pub observers: Observers,
    /// Who votes, in any order.
    pub voters: Vec<Voter>,
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum NewError {
    /// The plan cannot be carried out; each reason on a line.
    #[error("such a cluster cannot be:{}", list(.0))]
    Faulty(Vec<FaultKind>),
    /// The system gave no random numbers.
    #[error("the system gave no random numbers for the cluster id")]
    Randomness,
}

fn list(faults: &[FaultKind]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}

impl Help for NewError {
    fn help(&self) -> String {
        match self {
            NewError::Faulty(_) => "change what each line names; nothing was written".into(),
            NewError::Randomness => "check that getrandom(2) works here".into(),
        }
    }
}

impl Manifest {
    /// A manifest of a new cluster: epoch 1, with a cluster id of its own.
    pub fn new(plan: Plan) -> Result<Self, NewError> {
        let mut cluster = [0; 16];
        SystemRandom::new().fill(&mut cluster).map_err(|_| NewError::Randomness)?;
        let default_f = quorum::default_f(plan.voters.len()) as u32;
        let mut electorate = Electorate {
            version: VERSION,
            cluster: ClusterId(cluster),
            name: plan.name,
            epoch: 1,
            previous: None,
            f: plan.f.unwrap_or(default_f),
            policy: plan.policy,
            lease_ms: u64::try_from(plan.lease.as_millis()).unwrap_or(u64::MAX),
            trust: plan.trust,
            voters: plan.voters,
        };
        electorate.sort();
        let mut faults: Vec<FaultKind> = electorate.faults().into_iter().map(FaultKind::from).collect();
        faults.extend(observer_faults(&plan.observers, &electorate));
        if faults.is_empty() {
            Ok(Manifest { electorate, observers: plan.observers })
        } else {
            Err(NewError::Faulty(faults))
        }
    }
}

fn observer_faults(observers: &Observers, electorate: &Electorate) -> Vec<FaultKind> {
    match observers {
        Observers::Off => Vec::new(),
        Observers::Open(most) if (1..=OBSERVERS_MAX).contains(most) => Vec::new(),
        Observers::Open(_) => {
            let (key, max) = ("observers".into(), OBSERVERS_MAX as u64);
            vec![FaultKind::Range { key, min: 1, max }]
        }
        Observers::Listed(keys) => {
            let too_many =
                (keys.len() > OBSERVERS_MAX).then_some(FaultKind::TooManyObservers { found: keys.len() });
            let voting = keys.iter().filter(|key: &&NodeId| electorate.contains(key));
            voting.map(|key| FaultKind::ObserverVotes(*key)).chain(too_many).collect()
        }
    }
}
