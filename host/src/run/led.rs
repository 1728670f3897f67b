//! The command that a node runs while it leads: between the node's lease and the runner.
//!
//! The node is told of the work before it starts, and that it is gone only by the word of the runner. When the runner
//! fails, the node ends: what the command has started is then the supervisor's to make an end of.

use ring::rand::{SecureRandom, SystemRandom};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::message::{FromRunner, Setup};
use super::owner::{NoRunner, Runner};
use super::proof::{PROOF_FILE, ProofKeeper};
use super::rules::{Exit, Lease, Settings, Telling, Why};
use crate::clock;
use crate::core::event::Command;
use crate::node::{Handle, Held, Worker};
use crate::proof_file::ProofFile;
use crate::signals::ForCommand;
use crate::supervisor::Link;
use nitro_elect_protocol::ids::Nonce;

/// What came of the command.
#[derive(Debug)]
pub enum Outcome {
    /// It ended by itself, or could not be started, and is not to be started again.
    Ended(Option<Exit>),
    /// Nobody sees any more whether it has ended.
    Broken(NoRunner),
    /// The node has ended, or all work was to.
    Over,
}

/// The command of a node, if it has one, as a task of its own.
pub struct Work {
    quit: watch::Sender<Option<i32>>,
    task: Option<JoinHandle<Outcome>>,
}

impl Work {
    /// No command.
    pub fn none() -> Work {
        Work { quit: watch::channel(None).0, task: None }
    }

    /// Makes ready to run a command whenever this node leads. It gets the signals that are [`ForCommand`].
    pub async fn begin(
        node: &Handle,
        supervisor: Option<Link>,
        state: &Path,
        command: &[OsString],
        settings: Settings,
    ) -> Result<Work, NoRunner> {
        let (quit, quits) = watch::channel(None);
        let proof = ProofKeeper::new(state, PROOF_FILE)?;
        let runner = Runner::begin(command, Setup { settings, proof_file: proof.path().into() }).await?;
        let led = Led {
            node: node.clone(),
            worker: node.worker(),
            runner,
            supervisor,
            proof,
            lease: Duration::ZERO,
            quit: quits,
            for_command: ForCommand::take()?,
            group: None,
            ended: None,
        };
        Ok(Work { quit, task: Some(tokio::spawn(led.run())) })
    }

    /// Waits for what comes of it; for ever, without a command.
    pub async fn outcome(&mut self) -> Outcome {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let outcome = task.await;
        self.task = None;
        outcome.unwrap_or(Outcome::Broken(NoRunner::Lost))
    }

    /// Ends the command for good, by this signal.
    pub fn quit(&self, signal: i32) {
        self.quit.send_replace(Some(signal));
    }
}

/// A command that runs while the node leads.
struct Led {
    node: Handle,
    worker: Worker,
    runner: Runner,
    supervisor: Option<Link>,
    proof: ProofKeeper,
    lease: Duration,
    quit: watch::Receiver<Option<i32>>,
    for_command: ForCommand,
    /// The process group of the command, as the supervisor knows it.
    group: Option<i32>,
    ended: Option<Option<Exit>>,
}

impl Led {
    /// Runs it whenever the node leads, until there is an outcome.
    async fn run(mut self) -> Outcome {
        loop {
            let quits = self.quit.borrow().is_some();
            if quits && !self.worker.works() {
                return Outcome::Over;
            }
            if let Err(error) = self.follow().await {
                return self.broken(error);
            }
            tokio::select! {
                news = self.worker.news() => if news.is_err() { return Outcome::Over },
                _ = self.quit.changed() => {}
                signal = self.for_command.next() => if let Err(error) = self.runner.signal(signal).await {
                    return self.broken(error);
                },
                report = self.runner.next() => match report {
                    None => return self.broken(NoRunner::Lost),
                    Some(report) => if let Some(outcome) = self.hear(report).await { return outcome },
                },
            }
        }
    }

    fn broken(&self, error: NoRunner) -> Outcome {
        self.runner.kill();
        Outcome::Broken(error)
    }

    /// Orders what follows from the lease as it is now.
    async fn follow(&mut self) -> Result<(), NoRunner> {
        let (quit, end) = (*self.quit.borrow_and_update(), self.worker.is_to_end());
        let held = self.worker.held().filter(|held| held.until > clock::boot());
        let may_work = held.is_some() && !end && quit.is_none() && self.ended.is_none();
        let held = match (self.worker.works(), may_work) {
            (false, false) => return Ok(()),
            (false, true) => match self.begin_work().await {
                None => return Ok(()),
                held => held,
            },
            (true, _) => {
                self.refresh_proof().await;
                held
            }
        };
        let length = self.lease;
        let lease = held.map(|Held { term, until }| Lease { term, until, length });
        self.runner.order(|order| (order.lease, order.end, order.quit) = (lease, end, quit)).await
    }

    /// Tells the node that work begins, and has it prove that it leads.
    async fn begin_work(&mut self) -> Option<Held> {
        let held = self.worker.begin().await.ok()??;
        let proven = self.prove().await;
        if proven.is_none() && self.worker.ended().await.is_err() {
            tracing::debug!("the node ended while its command was about to start");
        }
        proven.map(|()| self.worker.held().filter(|now| now.term == held.term).unwrap_or(held))
    }

    /// A proof that answers a nonce drawn now; none if no quorum does in time.
    async fn prove(&mut self) -> Option<()> {
        let mut nonce = Nonce([0; 32]);
        SystemRandom::new().fill(&mut nonce.0).ok()?;
        let status = self.node.status().await.ok()?;
        self.lease = status.electorate.lease();
        let status = timeout(self.lease / 3, self.node.prove(nonce)).await.ok()?.ok()?;
        self.show(&ProofFile::of(&status)?)
    }

    async fn refresh_proof(&self) {
        let status = self.node.status().await.ok();
        if let Some(proof) = status.as_ref().and_then(ProofFile::of) {
            self.show(&proof);
        }
    }

    fn show(&self, proof: &ProofFile) -> Option<()> {
        let shown = self.proof.show(&proof.to_text());
        shown.inspect_err(|error| tracing::error!("{}: {error}", self.proof.path().display())).ok()
    }

    async fn hear(&mut self, report: FromRunner) -> Option<Outcome> {
        match report {
            FromRunner::Ready { .. } => {}
            FromRunner::Started { process, term } => {
                self.group = Some(process);
                let cgroup = self.runner.cgroup.clone();
                let told = self.supervisor.as_ref().map(|link| link.command_started(process, cgroup));
                if let Some(Err(error)) = told {
                    tracing::error!("{error}");
                }
                tracing::info!(event = "work_started", process, "runs the command under term {term}");
            }
            FromRunner::CannotStart { why } => {
                tracing::error!(event = "work_cannot_start", "the command cannot be started: {why}");
                self.give_up_lead();
            }
            FromRunner::Told(telling) => return self.heed(telling).await,
        }
        None
    }

    async fn heed(&mut self, telling: Telling) -> Option<Outcome> {
        match telling {
            Telling::Asked { why } => tracing::info!(event = "work_asked", "the command is to end: {why}"),
            Telling::Killed => tracing::warn!(event = "work_killed", "the command did not end: it is killed"),
            Telling::Gone { term, exit, why } => self.gone(term, exit, why),
            Telling::Clear { order } if order == self.runner.ordered().number => {
                self.proof.remove();
                if self.worker.ended().await.is_err() {
                    return Some(Outcome::Over);
                }
                return self.ended.map(Outcome::Ended);
            }
            Telling::Clear { .. } => {}
        }
        None
    }

    fn gone(&mut self, term: nitro_elect_protocol::ids::Term, exit: Option<Exit>, why: Why) {
        let told =
            self.group.take().zip(self.supervisor.as_ref()).map(|(group, link)| link.command_gone(group));
        if let Some(Err(error)) = told {
            tracing::error!("{error}");
        }
        let how = exit.map_or_else(|| "it could not be started".into(), |exit| exit.to_string());
        match why {
            Why::ItEnded => {
                tracing::warn!(event = "work_ended", "the command of term {term} ended by itself: {how}");
                self.ended = self.runner.is_for_once().then_some(exit);
            }
            Why::Stuck => {
                tracing::error!(
                    event = "work_stuck",
                    "the command of term {term} was stuck, and is gone: {how}"
                );
                self.give_up_lead();
            }
            why => tracing::info!(event = "work_gone", "the command of term {term} is gone ({why}): {how}"),
        }
    }

    /// Another node may do better.
    fn give_up_lead(&self) {
        if let Err(error) = self.node.command(Command::StepDown { to: None }) {
            tracing::warn!("the node cannot be asked to hand over: {error}");
        }
    }
}
