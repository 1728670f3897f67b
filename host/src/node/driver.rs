//! The thread that runs the rules and does what they say.
//!
//! It does the driver's duties of [`crate::core`]: the clocks are read after an event was received, the actions of
//! one list are done in order and whole before the next event, a record is synced before what follows it.

use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{NodeId, Nonce};
use nitro_elect_protocol::limits::NONCES_MAX;
use nitro_elect_protocol::peer::{PeerMessage, seal_envelope};
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::time::Boot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

use super::config::peer;
use super::enclaves::{Answered, Asker};
use super::handle::{Question, Shared};
use super::inbound::Inbound;
use super::last_words::LastWords;
use super::limits::{REPEATED_LINE_EVERY, SLEEP_MAX};
use super::measures::Measures;
use super::outlets::Outlets;
use crate::clock;
use crate::core::Core;
use crate::core::durable::Record;
use crate::core::event::{Action, CallFailure, Command, EnclaveIndex, Event, HaltReason, Notice, Unanswered};
use crate::core::status::Status;
use crate::core::timing::Timing;
use crate::storage::Storage;
use crate::transport::links::Links;

/// How a node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to.
    Stopped,
    /// It must not go on under its key.
    Halted(HaltReason),
    /// Its thread ended without a word: a defect.
    Died,
}

/// Everything that the driver takes in.
pub struct Inputs {
    pub inbound: mpsc::Receiver<Inbound>,
    pub answered: mpsc::Receiver<Answered>,
    pub questions: mpsc::Receiver<Question>,
    /// Ends when the node is dropped.
    pub alive: oneshot::Receiver<()>,
}

/// The rules, and all that they act on.
pub struct Driver {
    pub core: Core,
    /// What is left with the supervisor, if there is one.
    pub last_words: Option<LastWords>,
    pub me: NodeId,
    pub timing: Timing,
    pub storage: Storage,
    pub links: Arc<Links>,
    pub asker: Asker,
    pub outlets: Outlets,
    pub shared: Arc<Shared>,
    pub leaving: Option<Leaving>,
    pub halted: Option<HaltReason>,
    /// Who waits for a nonce to be answered.
    pub proving: Vec<(Nonce, oneshot::Sender<Status>)>,
    pub measures: Measures,
    /// Why the record could not be written, the last time.
    pub write_error: Option<WriteError>,
}

/// The record could not be written.
pub struct WriteError {
    /// Why.
    pub why: String,
    /// When that was logged last.
    told: Boot,
}

/// A node that was asked to end.
pub struct Leaving {
    /// When it ends at the latest: the successor's certificate is waited for until then.
    until: Boot,
    /// Whether nothing is waited for any more.
    done: bool,
}

/// The last message and its bytes: one that goes to many is encoded once.
#[derive(Default)]
struct Sealed {
    last: Option<(PeerMessage, Vec<u8>)>,
}

impl Sealed {
    fn bytes_of(&mut self, message: PeerMessage) -> Vec<u8> {
        match &self.last {
            Some((last, bytes)) if *last == message => bytes.clone(),
            _ => {
                let bytes = seal_envelope(&message);
                self.last = Some((message, bytes.clone()));
                bytes
            }
        }
    }
}

/// The record did not reach the disk; what was to follow it was not done.
struct NotPersisted;

impl Driver {
    /// Leaves the will of this life with the supervisor, once it may.
    pub fn bequeath(&mut self) {
        let Some(last_words) = self.last_words.as_mut().filter(|last_words| !last_words.are_said()) else {
            return;
        };
        if let Some(will) = self.core.last_will() {
            last_words.to(self.core.other_voters());
            last_words.bequeath(will);
        }
    }

    /// Runs the node to its end.
    pub async fn run(&mut self, mut inputs: Inputs) -> Exit {
        self.feed(Event::Tick);
        loop {
            if let Some(exit) = self.exit() {
                return exit;
            }
            self.bequeath();
            tokio::select! {
                Some(Inbound { event, room }) = inputs.inbound.recv() => {
                    self.feed(event);
                    drop(room);
                }
                Some(answered) = inputs.answered.recv() => self.take_answer(answered),
                Some(question) = inputs.questions.recv() => self.answer(question),
                () = tokio::time::sleep(self.nap()) => self.feed(Event::Tick),
                _ = &mut inputs.alive => return Exit::Stopped,
            }
        }
    }

    /// How long nothing is due.
    fn nap(&self) -> Duration {
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        let will = self.last_words.as_ref().filter(|last_words| !last_words.are_said());
        let will = will.map(|_| self.core.will_due());
        let next = leaving.into_iter().chain(will).chain([self.core.next_wake()]).min();
        next.map_or(SLEEP_MAX, clock::until).min(SLEEP_MAX)
    }

    fn exit(&mut self) -> Option<Exit> {
        if let Some(reason) = self.halted.take() {
            return Some(Exit::Halted(reason));
        }
        let leaving = self.leaving.as_ref()?;
        (leaving.done || clock::boot() >= leaving.until).then_some(Exit::Stopped)
    }

    /// Hands one event to the rules and does what they say.
    fn feed(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut actions = self.core.handle(event, clock::now()).into_iter();
            if self.carry_out(&mut actions).is_err() {
                events.push_back(Event::NotPersisted);
                events.extend(actions.filter_map(|action| self.dropped(action)));
            }
        }
        self.measures.see(&self.core, clock::boot());
    }

    /// An action that is not done, since the record before it did not reach the disk. A question to an enclave is
    /// answered all the same, and a node that must stop does.
    fn dropped(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Ask { request, .. } => Some(Event::EnclaveAnswered { request, answer: Err(Unanswered) }),
            Action::Halt(reason) => {
                self.halt(reason);
                None
            }
            _ => None,
        }
    }

    fn carry_out(&mut self, actions: &mut impl Iterator<Item = Action>) -> Result<(), NotPersisted> {
        let mut sealed = Sealed::default();
        for action in actions {
            match action {
                Action::Persist(record) => self.persist(&record)?,
                Action::Append(bundle) => self.append(&bundle),
                Action::Keep(piece) => self.keep(&piece),
                Action::Send { to, message } => self.links.send(&to, sealed.bytes_of(message)),
                Action::Ask { enclave, request, message } => {
                    self.shared.counters.enclave_questions.up();
                    self.asker.ask(enclave, request, message);
                }
                Action::Dial { peer, address } => self.dial(peer, &address),
                Action::Notice(notice) => self.notice(&notice),
                Action::Halt(reason) => self.halt(reason),
            }
        }
        Ok(())
    }

    fn persist(&mut self, record: &Record) -> Result<(), NotPersisted> {
        let begun = clock::boot();
        let saved = self.storage.save(record);
        self.shared.times.record_write.observe(clock::boot().since(begun));
        match saved {
            Ok(()) => {
                self.shared.counters.records_written.up();
                if self.write_error.take().is_some() {
                    tracing::info!("the state record is written again: this node votes");
                }
                Ok(())
            }
            Err(error) => {
                self.shared.counters.records_failed.up();
                self.write_failed(error.to_string());
                Err(NotPersisted)
            }
        }
    }

    /// It fails again with every try, many times a second: told at once, and again at intervals while it lasts.
    fn write_failed(&mut self, why: String) {
        let now = clock::boot();
        let told = self.write_error.as_ref().map(|failed| failed.told);
        let due = told.is_none_or(|told| now.since(told) >= REPEATED_LINE_EVERY);
        if due {
            tracing::error!(error = %why, "the state record could not be written: this node does not vote");
        }
        self.write_error = Some(WriteError { why, told: told.filter(|_| !due).unwrap_or(now) });
    }

    /// Not needed for safety: a certificate that is not in the log is adopted all the same.
    fn append(&mut self, bundle: &Bundle) {
        self.shared.recent.keep(bundle, &self.core.status(clock::now()).electorate);
        if let Err(error) = self.storage.append(bundle) {
            self.shared.counters.certificates_not_logged.up();
            tracing::error!(%error, "a certificate could not be added to the log");
        }
    }

    /// Not needed for safety either: the others were told, and keep it too.
    fn keep(&mut self, piece: &Evidence) {
        let Ok(view) = piece.first.peek() else { return };
        if let Err(error) = self.storage.keep(&view.voter, piece) {
            tracing::error!(%error, "proof that a voter signed twice could not be kept on disk");
        }
    }

    fn dial(&mut self, node: NodeId, address: &str) {
        let known = peer(Some(node), address).map(|peer| self.links.know(peer));
        match known {
            Some(Ok(())) => tracing::debug!(node = %node.short(), address, "dialling"),
            Some(Err(error)) => tracing::warn!(%error, address, "a member is not dialled"),
            None => tracing::debug!(node = %node.short(), address, "an address that cannot be dialled"),
        }
    }

    fn notice(&mut self, notice: &Notice) {
        if let Notice::Adopted { certificate, .. } = notice {
            self.shared.highest_term.fetch_max(certificate.term.0, Ordering::Relaxed);
            if let Some(leaving) = &mut self.leaving {
                leaving.done |= certificate.leader != self.me;
            }
        }
        if let (Notice::ListChanged { .. }, Some(last_words)) = (notice, &self.last_words) {
            last_words.to(self.core.other_voters());
        }
        if let Notice::Proven(nonce) = notice {
            self.proven(*nonce);
        }
        let unknown = named(notice).into_iter().any(|node| !self.outlets.names().knows(&node));
        if unknown {
            self.outlets.names_mut().learn(&self.core.status(clock::now()));
        }
        self.measures.notice(notice, clock::boot());
        self.outlets.notice(notice);
    }

    fn halt(&mut self, reason: HaltReason) {
        tracing::error!("{reason}");
        // The key may have another life, of this very generation: the will could end that one's lease.
        self.last_words.iter().for_each(LastWords::revoke);
        self.halted = Some(reason);
    }

    fn take_answer(&mut self, answered: Answered) {
        if answered.silent_because.is_some() {
            self.shared.counters.enclave_silences.up();
        }
        self.outlets.enclave_answered(answered.enclave, answered.silent_because);
        self.feed(answered.event);
    }

    /// What the rules know, and what only their shell does.
    fn status(&self) -> Status {
        let mut status = self.core.status(clock::now());
        for (index, enclave) in status.enclaves.iter_mut().enumerate() {
            enclave.place = self.outlets.enclave(index);
            let silent_because = self.outlets.enclave_silent_because(EnclaveIndex(index));
            enclave.silent_because = silent_because.map(str::to_owned);
        }
        status.write_error = self.write_error.as_ref().map(|failed| failed.why.clone());
        if let (Ok(()), Some(error)) = (&status.ready, &status.write_error) {
            status.ready = Err(format!("its state cannot be written: {error}"));
        }
        status
    }

    fn answer(&mut self, question: Question) {
        match question {
            Question::Status(asker) => {
                let _asker_may_be_gone = asker.send(self.status());
            }
            Question::Prove(nonce, asker) => self.prove(nonce, asker),
            Question::Command(command) => self.feed(Event::Command(command)),
            Question::Stop => self.stop(),
        }
    }

    /// Has a nonce answered, and remembers who waits for that.
    fn prove(&mut self, nonce: Nonce, asker: oneshot::Sender<Status>) {
        self.proving.retain(|(_, asker)| !asker.is_closed());
        if self.proving.len() < NONCES_MAX {
            self.proving.push((nonce, asker));
            self.feed(Event::Command(Command::Prove(nonce)));
        }
    }

    /// A nonce was answered: whoever waits for it is told what the node knows now.
    fn proven(&mut self, nonce: Nonce) {
        let status = self.status();
        for (_, asker) in self.proving.extract_if(.., |(waiting, _)| *waiting == nonce) {
            let _asker_may_be_gone = asker.send(status.clone());
        }
    }

    /// Gives up what is held. Only a leader has a successor to wait for.
    fn stop(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        let now = clock::now();
        let leads = self.core.status(now).held.is_some();
        let wait = if leads { self.timing.step() * 2 } else { Duration::ZERO };
        self.leaving = Some(Leaving { until: now.boot + wait, done: false });
        self.feed(Event::Command(Command::Stop));
    }
}

/// The nodes that a notice names.
fn named(notice: &Notice) -> Vec<NodeId> {
    match notice {
        Notice::Active(node) | Notice::Silent(node) => vec![*node],
        Notice::Adopted { certificate, occasion } => {
            let elected = [certificate.leader, certificate.coordinator];
            elected.into_iter().chain(occasion.nodes()).collect()
        }
        Notice::Equivocation(evidence) => vec![evidence.voter],
        Notice::CallFailed {
            why: CallFailure::PreVote { refusals, .. } | CallFailure::Views { refusals, .. },
            ..
        } => refusals.iter().map(|(node, _)| *node).collect(),
        _ => vec![],
    }
}
