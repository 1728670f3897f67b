//! `exec` itself: between the node's socket and a runner of its own.

use nix::sys::prctl;
use std::time::Duration;

use super::config::{ExecConfig, ExecError};
use super::connection::{self, Connection};
use super::ledger::Ledger;
use super::limits::{ASK_AGAIN, AWAY_LINE_EVERY};
use super::message::{FromNode, ToNode};
use super::place::PlaceError;
use crate::clock;
use crate::fence::rules::Rules;
use crate::fence::{Stale, fresh_nonce};
use crate::proof_file::ProofFile;
use crate::run::ending::{Exit, Why};
use crate::run::message::{FromRunner, Setup};
use crate::run::owner::{NoRunner, Runner};
use crate::run::proof::{ProofKeeper, of_this_exec};
use crate::run::rules::{Lease, Telling};
use crate::supervisor::limits::SWEEP_DEADLINE;
use crate::supervisor::sweep;
use crate::verify::Authority;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::time::Boot;

/// How an exec ended.
#[derive(Debug)]
pub enum Ended {
    /// The command ended, in this way if it is known.
    Command(Option<Exit>),
    /// It was told to end while no command ran.
    Idle,
    /// It was told to end at once, by this signal.
    AtOnce(i32),
}

/// An exec at work.
pub struct Exec {
    config: ExecConfig,
    runner: Runner,
    rules: Rules,
    highest: Term,
    proof: ProofKeeper,
    connection: Option<Connection>,
    /// Whether the node holds a lease and wants no end of the work, as it says.
    wanted: bool,
    end: bool,
    /// Whether the node counts this exec as at work.
    works: bool,
    lease: Option<Lease>,
    ledger: Ledger,
    quit: Option<i32>,
    /// When to ask the node next, for a proof, for leave to begin, or whether it is back.
    ask: Option<Boot>,
    told_away: Option<Boot>,
    ended: Option<Ended>,
}

impl Exec {
    /// Attaches to the node, and makes ready to run the command.
    ///
    /// From then on this process inherits the orphans of all that it starts.
    pub async fn begin(config: ExecConfig) -> Result<Exec, ExecError> {
        prctl::set_child_subreaper(true).map_err(|error| NoRunner::NotStarted(error.into()))?;
        let connection = Connection::attach(&config).await?;
        let failed = |source| PlaceError::Directory { dir: config.state.clone(), source };
        let proof = ProofKeeper::new(&config.state, &of_this_exec()).map_err(failed)?;
        let setup = Setup { settings: config.settings, proof_file: proof.path().into() };
        let runner = Runner::begin(&config.command, setup).await?;
        tracing::info!(
            event = "attached",
            "beside the node {}: the command runs while that leads",
            config.node
        );
        let rules = Rules::new(vec![config.authority.clone()], config.accept);
        Ok(Exec {
            config,
            runner,
            rules,
            highest: Term(0),
            proof,
            connection: Some(connection),
            wanted: false,
            end: false,
            works: false,
            lease: None,
            ledger: Ledger::default(),
            quit: None,
            ask: None,
            told_away: None,
            ended: None,
        })
    }

    /// Runs the command whenever the node leads, until it has ended by itself or `signals` says so. When this returns,
    /// nothing of the command is left, unless it says what.
    ///
    /// What `signals` gives is passed on; the signals of [`EndSignal`](crate::signals::EndSignal) end the command for good.
    pub async fn run(mut self, signals: impl AsyncFnMut() -> Heard) -> Result<Ended, ExecError> {
        let ended = self.serve(signals).await;
        if self.works {
            self.clear_away().await;
        }
        ended
    }

    async fn serve(&mut self, mut signals: impl AsyncFnMut() -> Heard) -> Result<Ended, ExecError> {
        loop {
            if let Some(ended) = self.ended.take_if(|_| !self.works) {
                return Ok(ended);
            }
            if self.quit.is_some() && !self.works {
                return Ok(Ended::Idle);
            }
            tokio::select! {
                heard = signals() => match heard {
                    Heard::End(signal) if self.quit.is_some() => return Ok(Ended::AtOnce(signal)),
                    Heard::End(signal) => {
                        tracing::info!("stopping; once more ends at once");
                        self.quit = Some(signal);
                        self.order().await?;
                    }
                    Heard::PassOn(signal) => self.runner.signal(signal).await?,
                },
                messages = connection::next(&mut self.connection) => match messages {
                    Some(messages) => for message in messages { self.heed(message).await? },
                    None => self.disconnected().await?,
                },
                report = self.runner.next() => match report {
                    Some(report) => self.hear(report).await?,
                    None => return Err(NoRunner::Lost.into()),
                },
                () = clock::at(self.lease.map(|lease| lease.until)) => {
                    self.lease = None;
                    self.order().await?;
                }
                () = clock::at(self.ask) => self.ask().await?,
            }
        }
    }

    /// Ends the runner and all that it has started; the node need not wait for the lease only if nothing is left.
    async fn clear_away(&mut self) {
        match sweep([self.runner.remains()], SWEEP_DEADLINE) {
            Ok(()) => {
                if let Some(connection) = &mut self.connection {
                    let _node_waits_for_the_lease = connection.say(&ToNode::Ended).await;
                }
            }
            Err(left) => tracing::error!(event = "work_left", "{left}"),
        }
    }

    /// Orders what follows from the lease, the node's wish and the signals.
    async fn order(&mut self) -> Result<(), ExecError> {
        let (lease, end, quit) = (self.lease, self.end, self.quit);
        if !self.works {
            return Ok(());
        }
        if self.ledger.is_over_with(lease) {
            return self.ended_work().await;
        }
        Ok(self.runner.order(|order| (order.lease, order.end, order.quit) = (lease, end, quit)).await?)
    }

    async fn heed(&mut self, message: FromNode) -> Result<(), ExecError> {
        match message {
            FromNode::Attached { .. } => {}
            FromNode::Refused { why } => return Err(ExecError::Refused(why)),
            FromNode::State { leads, end } => {
                (self.wanted, self.end) = (leads && !end, end);
                if !leads {
                    self.lease = None;
                }
                if self.works {
                    self.order().await?;
                } else if self.wanted && self.quit.is_none() {
                    self.ask().await?;
                }
            }
            FromNode::May { begin } => {
                self.works = begin;
                self.ask = Some(clock::boot() + if begin { Duration::ZERO } else { ASK_AGAIN });
            }
            FromNode::Proof { text } => self.judge(&text).await?,
            FromNode::NoProof => self.ask = Some(clock::boot() + ASK_AGAIN),
        }
        Ok(())
    }

    /// A proof came: it prolongs the lease, or says why not.
    async fn judge(&mut self, text: &str) -> Result<(), ExecError> {
        if !self.works {
            // Its lease may have been given up since: what begins next asks for a proof of its own.
            return Ok(());
        }
        let Ok(proof) = ProofFile::parse(text) else {
            return Err(ExecError::NotANode(self.config.state.clone()));
        };
        let now = clock::now();
        let standing = match self.rules.judge(&proof, Some(self.config.node), self.highest, now) {
            Ok(standing) => standing,
            // Who leads may have changed, and an answer may come too late: the next one is another.
            Err(error @ (Stale::OtherPresenter { .. } | Stale::TooOld { .. } | Stale::NotMyNonce)) => {
                tracing::debug!("{error}");
                self.ask = Some(now.boot + ASK_AGAIN);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        self.highest = standing.term;
        let length = match (&self.config.authority, &proof.electorate) {
            (Authority::Manifest(electorate), _) => electorate.lease(),
            (Authority::Open(_), electorate) => electorate.as_ref().map_or(Duration::ZERO, |one| one.lease()),
        };
        if let Err(error) = self.proof.show(text) {
            tracing::error!("{}: {error}", self.proof.path().display());
        }
        self.lease = Some(Lease { term: standing.term, until: standing.until, length });
        self.ask = Some(now.boot + length / 3);
        self.order().await
    }

    /// Asks for what is missing now.
    async fn ask(&mut self) -> Result<(), ExecError> {
        self.ask = None;
        if self.connection.is_none() {
            return self.reconnect().await;
        }
        let question = if self.works {
            let drawn = clock::boot();
            let nonce = fresh_nonce();
            self.rules.note(nonce, drawn);
            ToNode::Prove { nonce: nitro_elect_protocol::hash::to_hex(&nonce.0) }
        } else if self.wanted && self.quit.is_none() {
            ToNode::Begin
        } else {
            return Ok(());
        };
        self.say(&question).await
    }

    async fn say(&mut self, message: &ToNode) -> Result<(), ExecError> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        match connection.say(message).await {
            true => Ok(()),
            false => self.disconnected().await,
        }
    }

    /// The node is gone, so no renewal is in sight: the command is to end, and the node is waited for.
    async fn disconnected(&mut self) -> Result<(), ExecError> {
        if self.connection.take().is_none() {
            return Ok(());
        }
        tracing::warn!(event = "node_away", "the node is gone; this exec waits for it to come back");
        (self.wanted, self.end, self.lease) = (false, false, None);
        self.told_away = Some(clock::boot());
        self.ask = Some(clock::boot() + ASK_AGAIN);
        Box::pin(self.order()).await
    }

    async fn reconnect(&mut self) -> Result<(), ExecError> {
        let now = clock::boot();
        match Connection::attach(&self.config).await {
            Ok(connection) if !self.works => {
                tracing::info!(event = "node_back", "attached to the node again");
                self.connection = Some(connection);
            }
            // What ran under the node's earlier life ends first.
            Ok(_) => self.ask = Some(now + ASK_AGAIN),
            Err(ExecError::Place(error)) => {
                self.ask = Some(now + ASK_AGAIN);
                if self.told_away.is_none_or(|told| now.since(told) >= AWAY_LINE_EVERY) {
                    self.told_away = Some(now);
                    tracing::warn!("{error}");
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn hear(&mut self, report: FromRunner) -> Result<(), ExecError> {
        match report {
            FromRunner::Ready { .. } => {}
            FromRunner::Started { process, term } => {
                tracing::info!(event = "work_started", process, "runs the command under term {term}");
            }
            FromRunner::CannotStart { why } => {
                tracing::error!(event = "work_cannot_start", "the command cannot be started: {why}");
            }
            FromRunner::Told(Telling::Asked { why }) => {
                tracing::info!(event = "work_asked", "the command is to end: {why}");
            }
            FromRunner::Told(Telling::Killed) => {
                tracing::warn!(event = "work_killed", "the command did not end: it is killed");
            }
            FromRunner::Told(Telling::Gone { term, exit, why }) => self.gone(term, exit, why).await?,
            FromRunner::Told(Telling::Clear { order }) => {
                if order == self.runner.ordered().number {
                    self.proof.remove();
                    self.ledger.clear();
                    self.ended_work().await?;
                }
            }
        }
        Ok(())
    }

    async fn gone(&mut self, term: Term, exit: Option<Exit>, why: Why) -> Result<(), ExecError> {
        let how = exit.map_or_else(|| "it could not be started".into(), |exit| exit.to_string());
        tracing::info!(event = "work_gone", "the command of term {term} is gone ({why}): {how}");
        match why {
            Why::ItEnded => {
                self.ended = Some(Ended::Command(exit));
                if self.config.resign_on_exit {
                    self.say(&ToNode::HandOver).await?;
                }
            }
            Why::Quit => self.ended = Some(Ended::Command(exit)),
            Why::Stuck => self.say(&ToNode::HandOver).await?,
            _ => {}
        }
        Ok(())
    }

    /// Nothing of the command is left: the node need not wait any more.
    async fn ended_work(&mut self) -> Result<(), ExecError> {
        self.works = false;
        self.lease = None;
        if self.wanted && self.quit.is_none() && self.ended.is_none() {
            self.ask = Some(clock::boot() + ASK_AGAIN);
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        match connection.say(&ToNode::Ended).await {
            true => Ok(()),
            false => Box::pin(self.disconnected()).await,
        }
    }
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// To end, by passing this one on.
    End(i32),
    /// For the command alone.
    PassOn(i32),
}
