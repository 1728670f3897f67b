//! The node's end of the socket: lets execs of its own user in, and knows which of them are at work.

use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::limits::{ATTACH_DEADLINE, EXECS_MAX, LINE_DEADLINE, TO_NODE_MAX};
use super::message::{FromNode, ToNode, VERSION};
use super::place::{Place, stranger};
use crate::clock;
use crate::core::event::Command;
use crate::node::{Handle, Worker};
use crate::proof_file::ProofFile;
use crate::run::message::{Lines, line};
use crate::supervisor::{Link, RunnerId};
use crate::transport::listen::pause_after;
use nitro_elect_protocol::ids::{NodeId, Nonce};
use nitro_elect_protocol::time::Boot;

/// Serves execs beside this node until the returned future is dropped.
pub async fn serve(place: Place, node: Handle, me: NodeId, supervisor: Option<Link>) {
    let seats = Arc::new(Semaphore::new(EXECS_MAX));
    let mut talks = JoinSet::new();
    loop {
        while talks.try_join_next().is_some() {}
        let stream = match place.listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if let Some(pause) = pause_after(&error) {
                    tracing::warn!("an exec could not be let in: {error}");
                    sleep(pause).await;
                }
                continue;
            }
        };
        if !matches!(stranger(&stream), Ok(None)) {
            tracing::warn!("another user's process tried to attach as an exec");
            continue;
        }
        let seat = seats.clone().try_acquire_owned();
        let talk = Talk::over(stream, node.clone(), supervisor.clone());
        talks.spawn(async move {
            match seat {
                Ok(_seat) => talk.hold(me).await,
                Err(_) => talk.refuse(format!("{EXECS_MAX} execs are there already")).await,
            }
        });
    }
}

/// One exec.
struct Talk {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    lines: Lines,
    node: Handle,
    worker: Worker,
    supervisor: Option<Link>,
    /// As what the supervisor knows it, while it is at work.
    runner: Option<RunnerId>,
    /// When it can be at work no more, unless it asks again: the lease of the last proof that it was handed is over on
    /// every count. Nothing unless it counts as at work.
    over: Option<Boot>,
    process: u32,
}

/// The other side is gone, or broke the rules.
struct Gone;

impl Talk {
    fn over(stream: UnixStream, node: Handle, supervisor: Option<Link>) -> Talk {
        let (reader, writer) = stream.into_split();
        let (worker, lines) = (node.worker(), Lines::up_to(TO_NODE_MAX));
        Talk { reader, writer, lines, node, worker, supervisor, runner: None, over: None, process: 0 }
    }

    async fn refuse(mut self, why: String) {
        let _not_taken = self.say(&FromNode::Refused { why }).await;
    }

    async fn hold(mut self, me: NodeId) {
        match timeout(ATTACH_DEADLINE, self.hear()).await {
            Ok(Ok(messages)) => match &messages[..] {
                [ToNode::Attach { version: VERSION, process }] => self.process = *process,
                [ToNode::Attach { version, .. }] => {
                    let why =
                        format!("it speaks version {version}, this node {VERSION}: use the same program");
                    return self.refuse(why).await;
                }
                _ => return self.refuse("it does not say who it is".into()).await,
            },
            _ => return,
        }
        tracing::info!(event = "exec_attached", "exec {} is attached", self.process);
        let attached = FromNode::Attached { node: me.to_string() };
        if self.say(&attached).await.is_ok() {
            let Gone = self.serve().await;
        }
        self.leave().await;
    }

    /// Until the other side is gone.
    async fn serve(&mut self) -> Gone {
        let mut told = None;
        loop {
            let state = self.state();
            if told != Some(state) {
                let (leads, end) = state;
                if self.say(&FromNode::State { leads, end }).await.is_err() {
                    return Gone;
                }
                told = Some(state);
            }
            let mut bytes = [0_u8; 4096];
            let read = tokio::select! {
                news = self.worker.news() => match news {
                    Ok(()) => continue,
                    Err(_) => return Gone,
                },
                () = clock::at(self.over) => match self.lapse().await {
                    Ok(()) => continue,
                    Err(Gone) => return Gone,
                },
                read = self.reader.read(&mut bytes) => read,
            };
            let Ok(read @ 1..) = read else { return Gone };
            let Ok(messages) = self.lines.take::<ToNode>(&bytes[..read]) else { return Gone };
            for message in messages {
                if self.heed(message).await.is_err() {
                    return Gone;
                }
            }
        }
    }

    fn state(&self) -> (bool, bool) {
        let leads = self.worker.held().is_some_and(|held| held.until > clock::boot());
        (leads, self.worker.is_to_end())
    }

    async fn heed(&mut self, message: ToNode) -> Result<(), Gone> {
        match message {
            ToNode::Attach { .. } => Err(Gone),
            ToNode::Begin => {
                let begin = self.begin().await;
                self.say(&FromNode::May { begin }).await
            }
            ToNode::Prove { nonce } => {
                let nonce = Nonce::from_hex(&nonce).map_err(|_| Gone)?;
                // One that stood still for a lease begins anew.
                let may = self.worker.works() || self.begin().await;
                let answer = if may { self.prove(nonce).await } else { FromNode::NoProof };
                self.say(&answer).await
            }
            ToNode::Ended => self.ended().await,
            ToNode::HandOver => {
                tracing::warn!(event = "exec_hands_over", "exec {} asks to hand over", self.process);
                self.node.command(Command::StepDown { to: None }).map_err(|_| Gone)
            }
        }
    }

    /// The supervisor knows of it before it may begin: its process is none of the node's.
    async fn begin(&mut self) -> bool {
        if !matches!(self.worker.begin().await, Ok(Some(_))) {
            return false;
        }
        let Some(lease) = self.lease().await else { return false };
        self.over = Some(clock::boot() + lease);
        if let (Some(link), None) = (&self.supervisor, self.runner) {
            match link.runner_attached() {
                Ok(id) => self.runner = Some(id),
                Err(error) => {
                    tracing::error!("{error}");
                    let _node_ended = self.worker.ended().await;
                    return false;
                }
            }
        }
        true
    }

    async fn prove(&mut self, nonce: Nonce) -> FromNode {
        let Some(lease) = self.lease().await else { return FromNode::NoProof };
        match timeout(lease / 3, self.node.prove(nonce)).await {
            Ok(Ok(status)) => match ProofFile::of(&status).filter(|proof| proof.lease.is_some()) {
                Some(proof) => {
                    // Its nonce was drawn before now, so it counts for no longer than this.
                    self.over = Some(clock::boot() + lease);
                    FromNode::Proof { text: proof.to_text() }
                }
                None => FromNode::NoProof,
            },
            _ => FromNode::NoProof,
        }
    }

    async fn lease(&self) -> Option<Duration> {
        Some(self.node.status().await.ok()?.electorate.lease())
    }

    /// It is there and has not asked for a lease's time: its runner has ended what it ran, and nobody waits for its word.
    async fn lapse(&mut self) -> Result<(), Gone> {
        tracing::warn!(event = "exec_lapsed", "exec {} stands still: its lease is over", self.process);
        self.ended().await
    }

    async fn ended(&mut self) -> Result<(), Gone> {
        if let (Some(link), Some(id)) = (&self.supervisor, self.runner.take())
            && let Err(error) = link.runner_gone(id)
        {
            tracing::error!("{error}");
        }
        self.over = None;
        self.worker.ended().await.map_err(|_| Gone)
    }

    /// The connection has ended, and perhaps not the work: it counts until the lease of its last proof is over.
    async fn leave(&mut self) {
        if !self.worker.works() {
            return tracing::info!(event = "exec_left", "exec {} has left", self.process);
        }
        tracing::warn!(
            event = "exec_lost",
            "exec {} is gone without a word: its work counts until its lease is over",
            self.process
        );
        if let Some(over) = self.over {
            clock::sleep_until(over).await;
        }
        let _node_ended = self.ended().await;
    }

    async fn hear(&mut self) -> Result<Vec<ToNode>, Gone> {
        let mut bytes = [0_u8; 4096];
        loop {
            let Ok(read @ 1..) = self.reader.read(&mut bytes).await else { return Err(Gone) };
            let messages = self.lines.take(&bytes[..read]).map_err(|_| Gone)?;
            if !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    async fn say(&mut self, message: &FromNode) -> Result<(), Gone> {
        match timeout(LINE_DEADLINE, self.writer.write_all(&line(message))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}
