//! One connection at a gate, from its first byte to its end: TLS, what it is for, its proofs, and then the bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;

use nitro_elect_protocol::ids::NodeId;

use super::closed::Closed;
use super::http;
use super::limits::{CONNECTIONS_PER_KEY, COPY_CHUNK, MESSAGE_DEADLINE, REFUSAL_PAUSE};
use super::pass::Ticket;
use super::rooms::Room;
use super::shared::Shared;
use super::upstream::Upstream;
use super::wire::{FromGate, Purpose, ToGate, WireError, read_to_gate, send};
use crate::clock;
use crate::limits::{FAREWELL_DEADLINE, HANDSHAKE_DEADLINE};
use crate::transport::frame::FrameReader;
use crate::transport::seats::Seat;
use crate::transport::tls::TlsServer;

/// A connection whose key was proven and may be a leader's.
pub struct Presenter {
    pub shared: Arc<Shared>,
    pub key: NodeId,
    pub stream: TlsStream<TcpStream>,
    room: Arc<Room>,
    /// Its place among the connections of its key.
    _place: OwnedSemaphorePermit,
}

/// Serves a connection to its end.
pub async fn serve(
    shared: Arc<Shared>,
    server: TlsServer,
    stream: TcpStream,
    from: SocketAddr,
    mut seat: Seat<std::net::IpAddr>,
) {
    let met = tokio::select! {
        met = meet(&shared, &server, stream, from) => met,
        () = seat.lost() => return shared.counters.strangers_pushed_out.up(),
    };
    drop(seat);
    let Some(mut presenter) = met else { return };
    let served = match read_to_gate(&mut FrameReader::new(&mut presenter.stream), false).await {
        Ok(ToGate::Hello(Purpose::Prove)) => presenter.prove().await,
        Ok(ToGate::Hello(Purpose::Data)) => presenter.forward().await,
        Ok(_) => return,
        Err(error) => Err(error),
    };
    if let Err(error) = served {
        tracing::debug!(%from, "a connection ended: {error}");
    }
}

/// Learns whose connection it is; nothing if there is no room for its key.
async fn meet(
    shared: &Arc<Shared>,
    server: &TlsServer,
    stream: TcpStream,
    from: SocketAddr,
) -> Option<Presenter> {
    let (mut stream, key, _gate) = match server.accept(stream, HANDSHAKE_DEADLINE).await {
        Ok(accepted) => accepted,
        Err(error) => {
            shared.counters.handshakes_failed.up();
            if shared.may_log() {
                tracing::info!(%from, "turned away: {error}");
            }
            return None;
        }
    };
    let refusal = match shared.rooms.room(&key) {
        Ok(room) => match room.connections.clone().try_acquire_owned() {
            Ok(place) => {
                return Some(Presenter { shared: shared.clone(), key, stream, room, _place: place });
            }
            Err(_) => Closed::TooMany { most: CONNECTIONS_PER_KEY }.to_string(),
        },
        Err(why) => {
            shared.counters.not_admitted.up();
            why.to_string()
        }
    };
    if shared.may_log() {
        tracing::info!(%from, "turned away: {refusal}");
    }
    let refusal = FromGate::closed(&refusal);
    let _may_be_gone = tokio::time::timeout(FAREWELL_DEADLINE, send(&mut stream, &refusal)).await;
    None
}

impl Presenter {
    /// Asks for proof after proof.
    async fn prove(mut self) -> Result<(), WireError> {
        loop {
            let shown = self.exchange(Purpose::Prove).await?;
            let pause = if shown.is_ok() { self.shared.pace } else { self.shared.pace / 4 };
            let answer = match shown {
                Ok(()) => self.open(),
                Err(why) => FromGate::closed(&why),
            };
            send(&mut self.stream, &answer).await?;
            tokio::time::sleep(pause).await;
        }
    }

    fn open(&self) -> FromGate {
        let now = self.shared.gatehouse.now().situation(clock::now());
        FromGate::Open { term: now.term, left_ms: u64::try_from(now.left.as_millis()).unwrap_or(u64::MAX) }
    }

    /// Has one nonce answered.
    async fn exchange(&mut self, purpose: Purpose) -> Result<Result<(), Closed>, WireError> {
        let room = self.room.clone();
        let _place = room.proof_place(purpose).await;
        let nonce = self.shared.gatehouse.now().nonce();
        send(&mut self.stream, &FromGate::Nonce(nonce)).await?;
        let shown = match read_to_gate(&mut FrameReader::new(&mut self.stream), true).await? {
            ToGate::Proof(text) => self.shared.gatehouse.present(text.into_vec(), Some(self.key)).await,
            ToGate::NoProof | ToGate::Hello(_) => Err(Closed::NotShown),
        };
        match &shown {
            Ok(()) => {
                self.shared.counters.proofs_held.up();
                self.shared.note_refusal(None);
                self.room.is_news(None);
            }
            Err(why) => {
                self.refuse(why);
                // Within its place: no key has more than so many bad proofs judged a second.
                tokio::time::sleep(REFUSAL_PAUSE).await;
            }
        }
        Ok(shown)
    }

    fn refuse(&self, why: &Closed) {
        self.shared.counters.proofs_refused.up();
        let (name, text) = (&self.room.name, why.to_string());
        if matches!(why, Closed::Stale(_) | Closed::Unreadable(_)) {
            self.shared.note_refusal(Some(format!("{name}: {text}")));
        }
        if self.room.is_news(Some(text)) && self.shared.may_log() {
            tracing::info!("a proof of {name} did not open the gate: {why}");
        }
    }

    /// A ticket for this key: by the proof that holds, else by one more.
    pub async fn ticket(&mut self) -> Result<Result<Ticket, Closed>, WireError> {
        if let Ok(ticket) = enter(&self.shared, self.key).await {
            return Ok(Ok(ticket));
        }
        match self.exchange(Purpose::Data).await? {
            Ok(()) => Ok(enter(&self.shared, self.key).await),
            Err(why) => Ok(Err(why)),
        }
    }

    /// One connection to the resource.
    async fn forward(mut self) -> Result<(), WireError> {
        let ticket = self.ticket().await?;
        if self.shared.is_http {
            let open = self.open();
            send(&mut self.stream, &open).await?;
            http::serve(self, ticket.ok()).await;
            return Ok(());
        }
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(why) => return self.turn_away(&why).await,
        };
        let upstream = match Upstream::dial(&self.shared.upstream, ticket).await {
            Ok(upstream) => upstream,
            Err(error) => {
                self.shared.counters.resource_away.up();
                if self.shared.may_log() {
                    tracing::warn!("the resource is away: {error}");
                }
                return self.turn_away(&format!("the resource is away: {error}")).await;
            }
        };
        let open = self.open();
        send(&mut self.stream, &open).await?;
        self.shared.counters.forwarded.up();
        copy(self.stream, upstream).await;
        Ok(())
    }

    async fn turn_away(mut self, why: &impl ToString) -> Result<(), WireError> {
        self.shared.counters.turned_away.up();
        send(&mut self.stream, &FromGate::closed(why)).await?;
        farewell(self.stream).await;
        Ok(())
    }
}

/// Lets a connection of this key in, if the door is open for it.
pub async fn enter(shared: &Arc<Shared>, key: NodeId) -> Result<Ticket, Closed> {
    let entered = shared.gatehouse.enter(key).await;
    if let Err(Closed::NotDurable(_)) = entered {
        shared.counters.not_durable.up();
    }
    entered
}

/// Forwards until one side ends, or the leave to act does. What was read and not forwarded by then is dropped.
async fn copy(mut stream: TlsStream<TcpStream>, mut upstream: Upstream) {
    let over = upstream.over();
    tokio::select! {
        copied = copy_bidirectional_with_sizes(&mut stream, &mut upstream, COPY_CHUNK, COPY_CHUNK) => {
            if let Err(error) = copied {
                tracing::debug!("a connection broke: {error}");
            }
        }
        () = over => tracing::info!("a connection was closed: its term's proof is over"),
    }
    drop(upstream);
    farewell(stream).await;
}

/// Ends a connection as TLS asks for, without waiting long.
async fn farewell(mut stream: TlsStream<TcpStream>) {
    let deadline: Duration = FAREWELL_DEADLINE.min(MESSAGE_DEADLINE);
    let _may_be_gone = tokio::time::timeout(deadline, stream.shutdown()).await;
}
