//! What a node's thread counts and measures of its own doings, for `/metrics` and `/v1/status`.

use nitro_elect_protocol::certificate::{Reason, VerifiedCertificate};
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::time::Boot;
use std::sync::Arc;
use std::time::Duration;

use super::counters::Counters;
use super::handle::Shared;
use super::interregnum::{How, Interregnum};
use crate::core::Core;
use crate::core::event::{CallFailure, LeaseLoss, Notice};
use crate::metrics::Histogram;
use crate::transport::counters::Counter;

/// Bounds of spans that go from a message on loopback to a lease of the longest kind.
const SPANS: [Duration; 14] = [
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_micros(2_500_000),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];

/// How long things took.
#[derive(Debug)]
pub struct Times {
    /// From the last renewal of a lease that ran out to the next lease.
    pub failover: Histogram,
    /// From a leader's resignation to the next lease.
    pub handover: Histogram,
    /// How long no lease was known between two.
    pub leaderless: Histogram,
    /// From this node's call to its certificate.
    pub election: Histogram,
    /// Writing and syncing the state record.
    pub record_write: Histogram,
}

impl Default for Times {
    fn default() -> Self {
        let spans = || Histogram::new(&SPANS);
        let (failover, handover, leaderless, election) = (spans(), spans(), spans(), spans());
        Times { failover, handover, leaderless, election, record_write: spans() }
    }
}

/// The counting side: owned by the node's thread.
pub(super) struct Measures {
    me: NodeId,
    shared: Arc<Shared>,
    interregnum: Interregnum,
    /// The last election that this node called.
    called: Option<(Term, Boot)>,
}

impl Measures {
    /// Counts into what is shared.
    pub(super) fn new(me: NodeId, shared: Arc<Shared>) -> Self {
        Measures { me, shared, interregnum: Interregnum::default(), called: None }
    }

    /// Looks at who leads, after an event.
    pub fn see(&mut self, core: &Core, now: Boot) {
        let seen = self.interregnum.see(core.lease_known(now), core.leader_resigned(), now);
        let Some(succeeded) = seen else { return };
        let times = &self.shared.times;
        times.leaderless.observe(succeeded.leaderless);
        match succeeded.how {
            How::RanOut(span) => times.failover.observe(span),
            How::HandedOver(span) => times.handover.observe(span),
        }
    }

    /// Counts what the rules told.
    pub fn notice(&mut self, notice: &Notice, now: Boot) {
        let counters = &self.shared.counters;
        match notice {
            Notice::Called { term } => self.called = Some((*term, now)),
            Notice::CallFailed { why, .. } => failed(counters, why).up(),
            Notice::Adopted { certificate, .. } => self.adopted(certificate, now),
            Notice::LeaseGained { .. } => counters.leases_gained.up(),
            Notice::LeaseExtended { .. } => counters.lease_renewals.up(),
            Notice::LeaseLost { why, .. } => lost(counters, *why).up(),
            Notice::Equivocation(_) => counters.equivocations.up(),
            _ => {}
        }
    }

    fn adopted(&mut self, certificate: &VerifiedCertificate, now: Boot) {
        let counters = &self.shared.counters;
        match certificate.reason {
            Reason::Successor => counters.certificates_successor.up(),
            Reason::Incumbent => counters.certificates_incumbent.up(),
            Reason::Policy(_) => counters.certificates_policy.up(),
        }
        let own = self.called.filter(|(term, _)| *term == certificate.term);
        if let Some((_, called)) = own.filter(|_| certificate.coordinator == self.me) {
            counters.elections_certified.up();
            self.shared.times.election.observe(now.since(called));
        }
    }
}

fn failed<'a>(counters: &'a Counters, why: &CallFailure) -> &'a Counter {
    match why {
        CallFailure::PreVote { .. } => &counters.elections_too_few_would_vote,
        CallFailure::NobodyEligible => &counters.elections_nobody_eligible,
        CallFailure::NoEnclave => &counters.elections_no_enclave,
        CallFailure::Views { .. } => &counters.elections_too_few_views,
        CallFailure::Enclave(_) => &counters.elections_refused_by_enclave,
        CallFailure::Overtaken => &counters.elections_overtaken,
        CallFailure::Self_(_) => &counters.elections_own_refusal,
    }
}

fn lost(counters: &Counters, why: LeaseLoss) -> &Counter {
    match why {
        LeaseLoss::RanOut => &counters.leases_ran_out,
        LeaseLoss::SteppedDown => &counters.leases_stepped_down,
        LeaseLoss::Superseded => &counters.leases_superseded,
        LeaseLoss::ListChanged => &counters.leases_list_changed,
    }
}
