//! What the node's core is told, and what it wants done. See [`crate::core`] for the driver's duties.

use nitro_elect_protocol::certificate::VerifiedCertificate;
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::evidence::{Evidence, VerifiedEvidence};
use nitro_elect_protocol::ids::{NodeId, Nonce, Term};
use nitro_elect_protocol::peer::{PeerMessage, Refusal};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::Boot;
use std::sync::Arc;

use super::durable::Record;
use super::occasion::Occasion;

/// Which of the node's enclaves: its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnclaveIndex(pub usize);

/// Tells the answers to questions asked of enclaves apart. Never used twice in a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed. May come early, late, doubled or not at all: every event looks at the time.
    Tick,
    /// A connection to or from this node works, and its key was proven.
    PeerUp {
        /// The node.
        peer: NodeId,
        /// The address it was reached at, if this node dialled.
        reached_at: Option<String>,
    },
    /// No connection to this node is left, or it refused one.
    PeerDown {
        /// The node.
        peer: NodeId,
    },
    /// A message from a node whose key the channel proved.
    Received {
        /// The node.
        from: NodeId,
        /// The message.
        message: PeerMessage,
    },
    /// An enclave answered, or will not.
    EnclaveAnswered {
        /// The question.
        request: RequestId,
        /// The answer; an error when the connection failed or its deadline passed.
        answer: Result<Response, Unanswered>,
    },
    /// The last [`Action::Persist`] failed; the actions after it were dropped.
    NotPersisted,
    /// Somebody on this machine wants something.
    Command(Command),
}

/// No answer came from an enclave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the enclave did not answer")]
pub struct Unanswered;

/// What the operator, or a program on this machine, may ask of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Step down, in favour of this voter or of whom the policy picks.
    StepDown {
        /// The successor to name.
        to: Option<NodeId>,
    },
    /// Be ineligible, and step down if leading; or no longer.
    Drain(bool),
    /// What the node runs is unhealthy; or no longer.
    Unhealthy(bool),
    /// Leader-only work is about to run under this node's lease, or none does any more. Say so before the first of it
    /// starts and see that the lease is held afterwards: as long as work runs, a hand-over asks for its end first.
    Working(bool),
    /// A verifier wants its nonce under the next renewal.
    Prove(Nonce),
    /// The process is to end: step down if leading. While work runs, without a `Resign`: the lease has to run out.
    Stop,
}

/// Why a node cannot step down. Nothing was given up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotStepDown {
    /// It does not lead.
    #[error("this node does not hold the lease")]
    NotLeading,
    /// Nobody else could take over.
    #[error("no other active voter is eligible")]
    NobodyElse,
    /// The named successor could not take over.
    #[error("{0:?} is not an active, eligible voter")]
    NotASuccessor(NodeId),
    /// The named successor is bound by an earlier promise, and could not call.
    #[error("{node:?} is bound by an earlier promise for {ms} ms more")]
    Bound {
        /// Who.
        node: NodeId,
        /// How much longer, in milliseconds.
        ms: u64,
    },
}

/// Something to be done, in the order of the list.
#[derive(Clone, Debug)]
pub enum Action {
    /// Write and sync the record before anything that follows it in the same list is done. If that fails, drop
    /// what follows it and hand in [`Event::NotPersisted`].
    Persist(Record),
    /// Add a certificate with its proof to the log. Not needed for safety: a failure is only reported.
    Append(Box<Bundle>),
    /// Keep proof that a voter is not honest. Not needed for safety: a failure is only reported.
    Keep(Box<Evidence>),
    /// Send a message; drop it if the peer cannot be reached now.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: PeerMessage,
    },
    /// Ask an enclave; hand in exactly one [`Event::EnclaveAnswered`] for it, in bounded time.
    Ask {
        /// Which one.
        enclave: EnclaveIndex,
        /// Names the answer.
        request: RequestId,
        /// What.
        message: Request,
    },
    /// Keep a connection to this node, at this address, from now on (open clusters).
    Dial {
        /// The node.
        peer: NodeId,
        /// `host:port`.
        address: String,
    },
    /// Tell people and programs.
    Notice(Notice),
    /// Stop signing and end the process.
    Halt(HaltReason),
}

/// Why a node must not go on under its key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaltReason {
    /// Another process has the same key and a later life.
    #[error(
        "another process runs under this node's key with a later generation; this one must not sign any more"
    )]
    LaterLife,
    /// Another process has the same key and the same life: state was copied or brought back from a snapshot.
    #[error(
        "another process runs under this node's key and generation: the state directory was copied or restored; \
         give this node a new key"
    )]
    Doppelganger,
}

/// Something worth telling.
#[derive(Clone, Debug)]
pub enum Notice {
    /// A node is seen alive now.
    Active(NodeId),
    /// A node is no longer seen alive.
    Silent(NodeId),
    /// This node called an election.
    Called {
        /// The term.
        term: Term,
    },
    /// An election that this node called, or wanted to call, came to nothing.
    CallFailed {
        /// The term, once one was called.
        term: Option<Term>,
        /// Why.
        why: CallFailure,
    },
    /// A new certificate counts.
    Adopted {
        /// It.
        certificate: Arc<VerifiedCertificate>,
        /// Why its election was needed, as this node saw it.
        occasion: Occasion,
    },
    /// This node holds the lease.
    LeaseGained {
        /// Its term.
        term: Term,
        /// When it ends unless renewed.
        until: Boot,
    },
    /// The lease that this node holds was prolonged.
    LeaseExtended {
        /// Its term.
        term: Term,
        /// When it ends unless renewed again.
        until: Boot,
    },
    /// This node no longer holds the lease.
    LeaseLost {
        /// The term it was held in.
        term: Term,
        /// Why.
        why: LeaseLoss,
    },
    /// This node means to hand over: leader-only work is to end, and none to start. The lease is renewed until
    /// [`Command::Working`] says that it is gone.
    EndWork {
        /// The term that it runs under.
        term: Term,
    },
    /// Nothing asks leader-only work to end any more; whether a lease is held is another matter.
    WorkMayGoOn,
    /// This node could not step down.
    CannotStepDown(CannotStepDown),
    /// A voter was caught signing twice.
    Equivocation(VerifiedEvidence),
    /// A message was dropped. Counted and logged with restraint.
    Dropped {
        /// Who sent it.
        from: NodeId,
        /// Why.
        why: Drop,
    },
    /// An enclave was verified, or one that was is not accepted any more.
    Enclave {
        /// Which.
        enclave: EnclaveIndex,
        /// Its id in short, or why it is not accepted.
        verdict: Result<String, String>,
    },
    /// The electorate of an open cluster has changed.
    ListChanged {
        /// How many nodes it has.
        members: usize,
    },
    /// A nonce was answered: see the newest lease proof.
    Proven(Nonce),
}

/// Why an election came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallFailure {
    /// Too few voters would support this node now.
    #[error("{yes} of {needed} voters would vote; {}", told(refusals))]
    PreVote {
        /// Voters that would.
        yes: usize,
        /// The quorum.
        needed: usize,
        /// What the others said.
        refusals: Vec<(NodeId, Refusal)>,
    },
    /// Nobody among those that would vote would lead.
    #[error("no voter that answered is eligible")]
    NobodyEligible,
    /// No enclave answered, or none is accepted.
    #[error("no enclave that this node accepts answered")]
    NoEnclave,
    /// Too few views came.
    #[error("{views} of {needed} views came; {}", told(refusals))]
    Views {
        /// Views that came.
        views: usize,
        /// The quorum.
        needed: usize,
        /// What the others said.
        refusals: Vec<(NodeId, Refusal)>,
    },
    /// The enclave refused, or gave no usable answer.
    #[error("the enclave: {0}")]
    Enclave(String),
    /// A newer certificate was adopted meanwhile.
    #[error("another election was decided meanwhile")]
    Overtaken,
    /// This node's own state does not allow a vote.
    #[error("this node itself cannot vote now: {0}")]
    Self_(Refusal),
}

fn told(refusals: &[(NodeId, Refusal)]) -> String {
    if refusals.is_empty() {
        return "the others did not answer".into();
    }
    let each: Vec<String> = refusals.iter().map(|(node, why)| format!("{}: {why}", node.short())).collect();
    each.join("; ")
}

/// Why the lease is no longer held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLoss {
    /// Too few voters renewed it in time.
    #[error("it ran out: too few voters renewed it")]
    RanOut,
    /// The node stepped down.
    #[error("this node stepped down")]
    SteppedDown,
    /// Another leader was elected.
    #[error("a newer certificate names another leader")]
    Superseded,
    /// An open cluster's list changed.
    #[error("the list of active nodes has changed")]
    ListChanged,
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Drop {
    /// A part exceeds its bound.
    #[error("a part exceeds its bound")]
    Bound,
    /// Its signature, or a signature in it, is wrong.
    #[error("a signature in it does not verify")]
    Signature,
    /// It is another cluster's.
    #[error("it belongs to another cluster")]
    OtherCluster,
    /// It is of another manifest of this cluster, as while the voters change.
    #[error("it is of another manifest of this cluster")]
    OtherManifest,
    /// It is about a node that is not in the cluster.
    #[error("it is about a node that is not admitted")]
    Stranger,
    /// The sender brings more than it may.
    #[error("the sender brings more than it may")]
    TooMuch,
    /// A certificate in it is not believed.
    #[error("a certificate in it is not believed")]
    Certificate,
    /// Evidence that proves nothing.
    #[error("evidence that proves nothing")]
    Evidence,
    /// A lease proof that proves nothing.
    #[error("a lease proof that proves nothing")]
    LeaseProof,
    /// It answers nothing that was asked.
    #[error("it answers nothing that was asked")]
    Unasked,
}
