//! What time asks of a gate: marks that may go, a fence command that is due, an operator's word, and a line in the log
//! whenever the door opens or closes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use nitro_elect_protocol::ids::Term;

use super::limits::{FENCE_DEADLINE, TICK, WORD_MAX};
use super::shared::Shared;
use crate::fence::{FenceState, StateError};
use crate::help::Help;
use crate::input;
use crate::node::happening::worth;
use crate::shell;
use crate::storage::atomic;

/// The file of the state directory in which an operator says that a term is over.
const WORD_FILE: &str = "drained";
const MODE: u32 = 0o600;

/// Why an operator's word was not left.
#[derive(Debug, thiserror::Error)]
pub enum WordError {
    /// What the gate wrote cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// No gate was ever started there.
    #[error("{0} is no gate's state directory: it has no record")]
    NoGate(PathBuf),
    /// It waits for the end of another term, if for any.
    #[error(
        "the gate of {dir} admitted term {term} last, and can be told of the end of no other: not of {told}"
    )]
    OtherTerm {
        /// The gate's state directory.
        dir: PathBuf,
        /// The highest term that it admitted.
        term: Term,
        /// What the operator said.
        told: Term,
    },
    /// The system refused.
    #[error("your word could not be left in {dir}: {source}")]
    Io {
        /// The gate's state directory.
        dir: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Help for WordError {
    fn help(&self) -> String {
        match self {
            WordError::State(error) => error.help(),
            WordError::OtherTerm { .. } => {
                "see what the gate waits for: its log, /readyz and /status tell".into()
            }
            WordError::NoGate(_) | WordError::Io { .. } => {
                "name the gate's state directory with --state, and run as the gate's user".into()
            }
        }
    }
}

/// Leaves an operator's word for the gate of a state directory, which takes it when it next looks, or at its start. A
/// term that is not the one it admitted last is refused here already: the gate would not take it.
pub fn leave_word(dir: &Path, term: Term) -> Result<(), WordError> {
    let admitted = match FenceState::peek(dir) {
        Err(StateError::Lost { .. }) => return Err(WordError::NoGate(dir.into())),
        peeked => peeked?.term,
    };
    if admitted != term {
        return Err(WordError::OtherTerm { dir: dir.into(), term: admitted, told: term });
    }
    let left = atomic::replace(&dir.join(WORD_FILE), format!("{term}\n").as_bytes(), MODE);
    left.map_err(|source| WordError::Io { dir: dir.into(), source })
}

/// Looks at the time for as long as the gate lives.
pub async fn watch_over(shared: Arc<Shared>, dir: PathBuf, command: Option<String>) {
    let mut running = JoinSet::new();
    let mut told: Option<Option<&'static str>> = None;
    loop {
        tokio::time::sleep(TICK).await;
        take_word(&shared, &dir).await;
        match shared.gatehouse.with(|keeper| keeper.tick()).await {
            Ok(None) => {}
            Ok(Some(term)) => {
                running.spawn(fence(shared.clone(), command.clone(), term));
            }
            Err(error) => {
                shared.counters.not_durable.up();
                if shared.may_log() {
                    tracing::error!("{error}");
                }
            }
        }
        while running.try_join_next().is_some() {}
        tell(&shared, &mut told);
    }
}

/// A line when the door opens, closes, or is closed for another reason.
fn tell(shared: &Shared, told: &mut Option<Option<&'static str>>) {
    let closed = shared.why_closed();
    let reason = closed.as_ref().map(|(reason, _)| *reason);
    if *told == Some(reason) {
        return;
    }
    *told = Some(reason);
    match closed {
        Some((_, why)) => tracing::warn!("closed: {why}"),
        None => {
            let now = shared.gatehouse.now().situation(crate::clock::now());
            let leader = now.leader.map(|leader| shared.rooms.name(&leader)).unwrap_or_default();
            let proof = now.assurance.map(worth).unwrap_or_default();
            tracing::info!("open for {leader} in term {}, by a proof that is {proof}", now.term);
        }
    }
}

/// Takes an operator's word, once.
async fn take_word(shared: &Shared, dir: &Path) {
    let path = dir.join(WORD_FILE);
    if !path.exists() {
        return;
    }
    let text = input::read_text(&path, WORD_MAX).unwrap_or_default();
    if let Err(error) = fs::remove_file(&path) {
        if shared.may_log() {
            tracing::error!("{} cannot be removed, so it is not taken: {error}", path.display());
        }
        return;
    }
    let Ok(term) = text.trim().parse().map(Term) else {
        return tracing::warn!("what was in {} is no term", path.display());
    };
    match shared.gatehouse.with(move |keeper| keeper.drained(term)).await {
        Ok(()) => {
            tracing::warn!("an operator says that nothing of term {term} works in the resource any more")
        }
        Err(why) => tracing::warn!("an operator's word was not taken: {why}"),
    }
}

/// Runs the fence command for a term, and says how it went.
async fn fence(shared: Arc<Shared>, command: Option<String>, term: Term) {
    shared.counters.fence_commands.up();
    let outcome = run(command.as_deref().unwrap_or("false"), term).await;
    match &outcome {
        Ok(()) => tracing::warn!("the fence command for term {term} succeeded"),
        Err(why) => {
            shared.counters.fence_commands_failed.up();
            tracing::error!("the fence command for term {term} failed: {why}");
        }
    }
    let succeeded = outcome.is_ok();
    shared.gatehouse.with(move |keeper| keeper.fenced(succeeded)).await;
}

async fn run(command: &str, term: Term) -> Result<(), String> {
    let mut line = shell::line(command);
    line.env("NITRO_ELECT_TERM", term.to_string());
    // What is left of it goes with it: later it might end the next leader's connections.
    match timeout(FENCE_DEADLINE, shell::to_its_end(line)).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(format!("it could not be started: {error}")),
        Err(_) => Err(format!("it did not end within {FENCE_DEADLINE:?}")),
    }
}
