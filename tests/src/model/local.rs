//! One node's core, and what an event makes of it: worked out once for each state, event and time.
//!
//! A core's reaction follows from its state, the event and the time alone, since its randomness begins anew with each
//! event. So the same reaction is never worked out twice, however many states of the whole it is part of.

use nitro_elect::core::Core;
use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{Action, EnclaveIndex, Event, Notice, RequestId};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::enclave_api::Request;
use nitro_elect_protocol::ids::{CertificateDigest, NodeId, Term};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::Boot;
use std::collections::HashMap;
use std::sync::Arc;

use super::cluster::now;
use super::fold::{ByPrint, Fold, Print};

/// A core that is looked at, never changed.
pub struct Local {
    /// The node's rules and what they remember.
    pub core: Core,
    /// Its fingerprint.
    pub print: Print,
}

/// An event with its fingerprint.
pub struct Input {
    /// What happens.
    pub event: Event,
    /// Its fingerprint.
    pub print: Print,
}

impl Input {
    /// A message of a node's.
    pub fn mail(from: NodeId, mail: &Mail) -> Input {
        let event = Event::Received { from, message: mail.message.clone() };
        Input { event, print: Fold::of(&("mail", from, mail.print)) }
    }
}

/// A message with its fingerprint. Promises that vouch for certificates are taken out: nothing here expires.
pub struct Mail {
    /// The message.
    pub message: PeerMessage,
    /// Its fingerprint.
    pub print: Print,
}

impl Mail {
    /// A message as it is on the wire.
    pub fn new(mut message: PeerMessage) -> Mail {
        let bundle = match &mut message {
            PeerMessage::PreVote(message) => message.certificate.as_mut(),
            PeerMessage::PreVoteAnswer(message) => message.certificate.as_mut(),
            PeerMessage::Call(message) => message.certificate.as_mut(),
            PeerMessage::CallAnswer(message) => message.certificate.as_mut(),
            PeerMessage::RenewAnswer(message) => message.certificate.as_mut(),
            _ => None,
        };
        if let Some(bundle) = bundle {
            bundle.promises.clear();
        }
        let print = Fold::of(&codec::encode(&message)[..]);
        Mail { message, print }
    }
}

/// What is to be done, as far as the model looks.
pub enum Out {
    /// Write and sync.
    Persist(Record),
    /// The log's newest certificate.
    Newest(Arc<Bundle>, Term),
    /// A message leaves.
    Tell { to: NodeId, mail: Arc<Mail> },
    /// A question to an enclave leaves.
    Ask { enclave: EnclaveIndex, request: RequestId, message: Request },
    /// An election was called.
    Called(Term),
    /// A certificate was adopted.
    Adopted(Term, CertificateDigest),
    /// The lease is believed to be held.
    Holds { term: Term, until: Boot },
    /// It no longer is.
    HoldsNoMore,
    /// A voter is shown to have signed twice.
    Accused(NodeId),
    /// The node stops for good.
    Halted,
}

impl Out {
    /// What the model looks at of an action.
    fn of(action: Action) -> Option<Out> {
        Some(match action {
            Action::Persist(record) => Out::Persist(record),
            Action::Append(bundle) => {
                let mut bundle = *bundle;
                bundle.promises.clear();
                let term = bundle.certificate.peek().ok()?.term;
                Out::Newest(Arc::new(bundle), term)
            }
            Action::Send { to, message } => {
                let counts = !matches!(
                    message,
                    PeerMessage::Digest(_)
                        | PeerMessage::Delta(_)
                        | PeerMessage::Lease(_)
                        | PeerMessage::Evidence(_)
                        | PeerMessage::WantCertificate { .. }
                        | PeerMessage::Certificate(_)
                );
                counts.then(|| Out::Tell { to, mail: Arc::new(Mail::new(message)) })?
            }
            Action::Ask { enclave, request, message } => Out::Ask { enclave, request, message },
            Action::Notice(Notice::Called { term }) => Out::Called(term),
            Action::Notice(Notice::Adopted { certificate, .. }) => {
                Out::Adopted(certificate.term, certificate.digest())
            }
            Action::Notice(Notice::LeaseGained { term, until } | Notice::LeaseExtended { term, until }) => {
                Out::Holds { term, until }
            }
            Action::Notice(Notice::LeaseLost { .. }) => Out::HoldsNoMore,
            Action::Notice(Notice::Equivocation(evidence)) => Out::Accused(evidence.voter),
            Action::Halt(_) => Out::Halted,
            Action::Notice(_) | Action::Keep(_) | Action::Dial { .. } => return None,
        })
    }
}

/// A reaction to an event.
#[derive(Clone)]
pub struct Reaction {
    /// The core after it.
    pub local: Arc<Local>,
    /// What is to be done, in order.
    pub outs: Arc<[Out]>,
}

/// All cores and reactions that were seen.
#[derive(Default)]
pub struct Locals {
    known: HashMap<Print, Arc<Local>, ByPrint>,
    reactions: HashMap<Print, Reaction, ByPrint>,
}

impl Locals {
    /// How many states of single nodes were seen.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// A core, the same for the same fingerprint.
    pub fn keep(&mut self, core: Core) -> Arc<Local> {
        let mut fold = Fold::default();
        core.fingerprint(&mut fold);
        let print = fold.print();
        self.known.entry(print).or_insert_with(|| Arc::new(Local { core, print })).clone()
    }

    /// What this event makes of this core at this time.
    pub fn react(&mut self, local: &Local, input: &Input, tick: u32) -> Reaction {
        let key = Fold::of(&(local.print, input.print, tick));
        if let Some(known) = self.reactions.get(&key) {
            return known.clone();
        }
        let mut core = local.core.fork([0; 32]);
        let actions = core.handle(input.event.clone(), now(tick));
        let outs = actions.into_iter().filter_map(Out::of).collect();
        let reaction = Reaction { local: self.keep(core), outs };
        self.reactions.insert(key, reaction.clone());
        reaction
    }
}
