//! Asking a running node.
//!
//! Answers are the node's own at the moment of asking: nothing about leadership is remembered here. A node that is
//! held up, by a disk for instance, gives no answer rather than an old one.

use nitro_elect_protocol::ids::{Nonce, Term};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::counters::Counters;
use super::leadership::{Held, Leadership};
use super::limits::{ANSWER_DEADLINE, PROOF_DEADLINE};
use super::measures::Times;
use super::outlets::Happenings;
use super::recent::Recent;
use super::work::{Worker, Workers};
use crate::core::event::Command;
use crate::core::status::Status;
use crate::http::counters::HttpCounters;
use crate::proof_file::ProofFile;
use crate::transport::counters::Count;
use crate::transport::links::Links;

/// What a node is asked from inside its process.
#[derive(Debug)]
pub(crate) enum Question {
    /// What it knows and does.
    Status(oneshot::Sender<Status>),
    /// To have a leader answer a nonce; what the node knows then.
    Prove(Nonce, oneshot::Sender<Status>),
    /// To do something.
    Command(Command),
    /// To end, in order.
    Stop,
}

/// Why a node gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// More is being asked than it answers.
    #[error("the node is asked too much at once")]
    Busy,
    /// It did not answer in time.
    #[error("the node did not answer within {} ms: its disk or its machine holds it up", ANSWER_DEADLINE.as_millis())]
    Late,
    /// Nobody proved anything to this nonce in time.
    #[error("no leader answered the nonce in time: there is none, or this node does not reach it")]
    Unproven,
    /// It has ended.
    #[error("the node has ended")]
    Ended,
}

/// A way to ask a running node. Cheap to clone; it does not keep the node running.
#[derive(Clone, Debug)]
pub struct Handle {
    questions: mpsc::Sender<Question>,
    happenings: Happenings,
    held: watch::Receiver<Option<Held>>,
    work_ends: watch::Receiver<bool>,
    shared: Arc<Shared>,
}

/// What the node's parts keep for everybody to read.
#[derive(Default)]
pub(crate) struct Shared {
    /// The highest term of which there was a certificate.
    pub highest_term: AtomicU64,
    /// The newest certificates.
    pub recent: Recent,
    /// What the shell counts.
    pub counters: Counters,
    /// Who works while this node leads.
    pub workers: Workers,
    /// How long things took.
    pub times: Times,
    /// What the admin address counts.
    pub http: Arc<HttpCounters>,
    /// What counts besides; not kept alive by those who read.
    pub links: Weak<Links>,
    /// The state directory, where the certificates are.
    pub state: PathBuf,
}

impl fmt::Debug for Shared {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Shared")
    }
}

impl Handle {
    pub(crate) fn new(
        questions: mpsc::Sender<Question>,
        happenings: Happenings,
        held: watch::Receiver<Option<Held>>,
        work_ends: watch::Receiver<bool>,
        shared: Arc<Shared>,
    ) -> Self {
        Handle { questions, happenings, held, work_ends, shared }
    }

    /// What the node knows and does now; within a second, or not at all.
    pub async fn status(&self) -> Result<Status, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::Status(answer))?;
        match timeout(ANSWER_DEADLINE, answered).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(_)) => Err(NoAnswer::Ended),
            Err(_) => Err(NoAnswer::Late),
        }
    }

    /// What the node knows once the newest lease proof answers this nonce, which takes a round trip of the leader to its
    /// quorum.
    ///
    /// # Errors
    /// [`NoAnswer::Unproven`] when no leader has answered it within 3 s.
    pub async fn prove(&self, nonce: Nonce) -> Result<Status, NoAnswer> {
        let (answer, answered) = oneshot::channel();
        self.ask(Question::Prove(nonce, answer))?;
        match timeout(PROOF_DEADLINE, answered).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(_)) => Err(NoAnswer::Busy),
            Err(_) => Err(NoAnswer::Unproven),
        }
    }

    /// The proof of the lease that answers this nonce, whoever leads: for a [`Fence`](crate::fence::Fence), whose
    /// nonce it then is.
    ///
    /// # Errors
    /// [`NoAnswer::Unproven`] when no leader has answered it within 3 s.
    pub async fn proof(&self, nonce: Nonce) -> Result<ProofFile, NoAnswer> {
        ProofFile::of(&self.prove(nonce).await?).ok_or(NoAnswer::Unproven)
    }

    /// Hands a command to the node; what comes of it is among its happenings.
    pub fn command(&self, command: Command) -> Result<(), NoAnswer> {
        self.ask(Question::Command(command))
    }

    /// The highest term of which this node has had a certificate, even while it does not answer.
    pub fn highest_term(&self) -> Term {
        Term(self.shared.highest_term.load(Ordering::Relaxed))
    }

    /// What the node's links and its shell have counted.
    pub fn counters(&self) -> Vec<Count> {
        let of_links =
            self.shared.links.upgrade().map(|links| links.counters().snapshot()).unwrap_or_default();
        self.shared.counters.snapshot().into_iter().chain(of_links).collect()
    }

    /// The node's state directory.
    pub fn state(&self) -> &Path {
        &self.shared.state
    }

    /// How long things took at this node.
    pub fn times(&self) -> &Times {
        &self.shared.times
    }

    /// What its admin address counts.
    pub fn http(&self) -> &Arc<HttpCounters> {
        &self.shared.http
    }

    /// The newest certificates that the node has adopted.
    pub fn recent(&self) -> &Recent {
        &self.shared.recent
    }

    /// What happens at the node, to follow.
    pub fn happenings(&self) -> &Happenings {
        &self.happenings
    }

    /// Whether this node leads, to ask and to await.
    pub fn leadership(&self) -> Leadership {
        Leadership::new(self.held.clone())
    }

    /// Somebody who works only while this node leads, and for whom it waits before it hands over.
    pub fn worker(&self) -> Worker {
        Worker::new(self.clone())
    }

    /// Asks everybody who works while this node leads to end, for good; whether all had in time. The node goes on
    /// renewing its lease meanwhile.
    pub async fn end_work(&self, patience: Duration) -> bool {
        self.shared.workers.end(patience).await
    }

    pub(super) fn held(&self) -> watch::Receiver<Option<Held>> {
        self.held.clone()
    }

    pub(super) fn work_ends(&self) -> watch::Receiver<bool> {
        self.work_ends.clone()
    }

    pub(super) fn workers(&self) -> &Workers {
        &self.shared.workers
    }

    /// Hands a command to the node, after those that wait there.
    pub(super) async fn order(&self, command: Command) -> Result<(), NoAnswer> {
        self.questions.send(Question::Command(command)).await.map_err(|_| NoAnswer::Ended)
    }

    pub(super) async fn stop(&self) {
        let _ended_already = self.questions.send(Question::Stop).await;
    }

    fn ask(&self, question: Question) -> Result<(), NoAnswer> {
        self.questions.try_send(question).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoAnswer::Busy,
            mpsc::error::TrySendError::Closed(_) => NoAnswer::Ended,
        })
    }
}
