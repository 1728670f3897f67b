//! What a Byzantine voter remembers of what it heard, to use it against the others later. Bounded.

use nitro_elect_protocol::heartbeat::Heartbeat;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::peer::{CallForViews, PeerMessage, Refusal};
use nitro_elect_protocol::promise::Promise;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::seal::SealedView;
use nitro_elect_protocol::statement::Signed;
use std::collections::VecDeque;

/// The newest of a kind.
const KEPT: usize = 24;

/// Things heard, the newest last.
#[derive(Debug, Default)]
pub struct Heard {
    /// Messages of elections and leases, as they came.
    pub messages: VecDeque<PeerMessage>,
    /// Sealed views, with the term that they were sent for.
    pub views: VecDeque<(Term, SealedView)>,
    /// Promises, of anybody.
    pub promises: VecDeque<Signed<Promise>>,
    /// Heartbeats, of anybody.
    pub heartbeats: VecDeque<Signed<Heartbeat>>,
    /// Certificates, some of which nobody else may have.
    pub bundles: VecDeque<Bundle>,
    /// Calls, of anybody.
    pub calls: VecDeque<CallForViews>,
    /// The highest term heard of.
    pub term: Term,
}

fn keep<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == KEPT {
        all.pop_front();
    }
    all.push_back(one);
}

impl Heard {
    /// Remembers a message and what it carries.
    pub fn take_in(&mut self, message: &PeerMessage) {
        if let Some(bundle) = message.carried_bundle() {
            self.take_bundle(bundle.clone());
        }
        match message {
            PeerMessage::Digest(_) => return,
            PeerMessage::Delta(delta) => {
                return delta.heartbeats.iter().for_each(|one| keep(&mut self.heartbeats, one.clone()));
            }
            PeerMessage::Call(call) => self.take_call((**call).clone()),
            PeerMessage::CallAnswer(answer) => match &answer.outcome {
                Ok(sealed) => keep(&mut self.views, (answer.term, sealed.clone())),
                Err(Refusal::StaleTerm { last }) => self.term = self.term.max(*last),
                Err(_) => {}
            },
            PeerMessage::RenewAnswer(answer) => {
                if let Ok(promise) = &answer.outcome {
                    keep(&mut self.promises, promise.clone());
                }
            }
            PeerMessage::Lease(proof) => {
                proof.promises.iter().for_each(|one| keep(&mut self.promises, one.clone()))
            }
            _ => {}
        }
        keep(&mut self.messages, message.clone());
    }

    /// Remembers a call: another's, or one of its own.
    pub fn take_call(&mut self, call: CallForViews) {
        self.term = self.term.max(call.term);
        keep(&mut self.calls, call);
    }

    /// Remembers a certificate.
    pub fn take_bundle(&mut self, bundle: Bundle) {
        if let Ok(certificate) = bundle.certificate.peek() {
            self.term = self.term.max(certificate.term);
        }
        if !self.bundles.contains(&bundle) {
            keep(&mut self.bundles, bundle);
        }
    }
}
