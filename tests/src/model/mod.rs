//! An exhaustive search of small clusters: every order in which a handful of things can happen.
//!
//! # What is searched
//!
//! Four voters of which one is Byzantine (f = 1, q = 3), and two enclaves with keys of their own. The three honest
//! voters are whole [`nitro_elect::core::Core`]s, the enclaves whole [`nitro_elect_enclave::service::Service`]s: no
//! rule is written down a second time here. Signatures and sealing are the simulator's stand-ins.
//!
//! From a state in which all have just started, or in which the first voter leads in term 1 and has renewed
//! ([`bounds::Bounds::led`]), [`search`] takes every step that `step::Step` names, in every order:
//!
//! * time goes on by [`cluster::TICK`], and the nodes that are in time hear heartbeats and look at the time, one after
//!   the other, in every order; one that is late does so at any moment until the next tick, or not at all;
//! * any call, renewal or resignation that was ever sent arrives at any voter: early, late, never, or again. Its
//!   answer arrives with it or is lost;
//! * any certificate there is reaches any node, at any time: proxies can always ask the enclave for its latest;
//! * an election that was handed in reaches its enclave at any time or never, with all its views or with one dropped by
//!   the proxy, and the answer is heard or lost;
//! * the Byzantine voter calls any term for any enclave (also one term for both), signs a view for every call,
//!   promises in every renewal, says yes to every pre-vote, has any quorum of the views that it got counted, and
//!   resigns from any term, all at any time;
//! * a leader steps down; a process is killed and restarted, between two events or in the middle of one, after its
//!   write has reached the disk and before anything that rests on it has left.
//!
//! After each step I1 to I7 are looked at (`watch`; I4 on true time), and that no node stops. [`bounds::Bounds`] says
//! how many ticks, terms, Byzantine calls, restarts, late voters and steps down there are; a state in which a higher
//! term was called is counted and not looked beyond.
//!
//! # What is left out
//!
//! * Clocks agree: the margin is the simulator's to test. Time is as coarse as a tick: an election that is not over
//!   within one fails, or is counted at the next.
//! * Pre-votes, their answers, documents and health are never lost or late. A pre-vote binds nobody: its answer is that
//!   of the voter's core, which is left as it was; the certificate and the resignation that a pre-vote brings along
//!   reach the voter in steps of their own. What an enclave is asked for its latest certificate stays without an
//!   answer: any node may get any certificate anyway.
//! * An answer to a call or renewal that comes late. The caller only gathers views and promises, under a t0 that a
//!   repetition does not move: one that comes late could have come at once, with the step that it leads to taken late;
//!   and if the caller has moved on meanwhile, it is as good as lost.
//! * Gossip, followers, evidence, and connections that break: who is seen alive is a preference.
//! * Enclaves that are restarted in mid-search: an instance with other keys and no memory is what the second is.
//!
//! # Reductions
//!
//! * States are told apart by 128-bit fingerprints of all that the rules remember ([`Core::fingerprint`]), of disks,
//!   beliefs, and what was sent, certified and signed so far as sets. Two ways to the same state are followed once.
//! * What was sent is a set that only grows, so nothing is kept about copies and order on the way.
//! * A Byzantine voter keeps nothing but the views that it got: whatever it can sign is there from the start.
//! * A Byzantine resignation that ends no promise does not arrive: it would only have the voter refuse more of that
//!   caller's calls, and each of these may as well never arrive.
//! * A core's randomness begins anew with each event; it decides about jitter alone, which a tick outlasts.
//! * A reaction of one node is worked out once for each of its states, event and time (`local`).
//!
//! No order of steps is left out for being equivalent to another.
//!
//! [`Core::fingerprint`]: nitro_elect::core::Core::fingerprint

mod asking;
pub mod bounds;
mod byzantine;
pub mod cluster;
mod fold;
mod local;
mod run;
pub mod search;
mod soup;
mod state;
mod step;
mod watch;

use nitro_elect_protocol::ids::Term;
use std::collections::HashMap;
use std::sync::Arc;

use bounds::Bounds;
use cluster::{Cluster, ENCLAVES, Parts};
use fold::{ByPrint, Fold, Print};
use local::{Locals, Mail};
use search::Figures;
use soup::{Issued, Item, Table};
use watch::Answered;

/// A cluster, and everything that was worked out about it so far.
pub struct Model {
    cluster: Cluster,
    locals: Locals,
    items: Table<Item>,
    issued: Table<Issued>,
    counted: HashMap<Print, Arc<Answered>, ByPrint>,
    /// What Byzantine voters have signed from the start.
    always: Vec<u32>,
    figures: Figures,
}

impl Model {
    /// A model within these bounds, of these parts.
    pub fn new(bounds: Bounds, parts: Parts) -> Self {
        let mut model = Model {
            cluster: Cluster::new(bounds, parts),
            locals: Locals::default(),
            items: Table::default(),
            issued: Table::default(),
            counted: HashMap::default(),
            always: Vec::new(),
            figures: Figures::default(),
        };
        for voter in model.cluster.byzantine() {
            model.sign_everything(voter);
        }
        model
    }

    fn sign_everything(&mut self, from: usize) {
        for (term, enclave) in self.cluster.calls() {
            let mail = Arc::new(Mail::new(self.cluster.byzantine_call(term, enclave)));
            let print = Fold::of(&("call", from, mail.print));
            self.always.push(self.items.number(print, || Item::Call { from, term, mail }));
        }
        for term in self.cluster.terms() {
            let mail = Arc::new(Mail::new(self.cluster.byzantine_resign(from, term)));
            let item = || Item::Resign { of: from, up_to: term, mail: mail.clone() };
            self.always.push(self.items.number(mail.print, item));
        }
    }
}

impl Cluster {
    fn terms(&self) -> impl Iterator<Item = Term> + use<> {
        (1..=self.bounds.terms).map(Term)
    }

    /// What may be called.
    fn calls(&self) -> impl Iterator<Item = (Term, usize)> + use<> {
        self.terms().flat_map(|term| (0..ENCLAVES).map(move |enclave| (term, enclave)))
    }
}
