//! One client connection: a request, its answer, the next request.

use super::limits::LARGE_REQUEST;
use super::served::{Client, Verdict};
use super::shared::Shared;
use super::turns::Turns;
use super::upstream::Again;
use crate::limits::FAREWELL_DEADLINE;
use crate::transport::frame::{Deadlines, FrameError, FrameReader, write_frame};
use crate::transport::seats::Seat;
use crate::transport::stream::Stream;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Response};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::seal_envelope;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// See the module.
pub struct Session {
    shared: Arc<Shared>,
    client: Client,
    reader: FrameReader<Stream>,
}

/// A request, with the place it takes if it is large.
struct Asked {
    frame: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Session {
    pub fn new(shared: Arc<Shared>, client: Client, stream: Stream) -> Self {
        Session { shared, client, reader: FrameReader::new(stream) }
    }

    /// Serves a node that proved its key, on one of the few connections that the key may have.
    pub async fn serve_node(mut self, key: NodeId) {
        let (mut seat, replaced) = self.shared.nodes.take(key);
        if replaced {
            self.shared.counters.replaced.up();
        }
        let idle = self.shared.bounds.idle;
        let serve = async {
            while let Some(asked) = self.next(idle).await {
                let Some(answer) = self.find_answer(asked).await else { break };
                if !self.write(&answer).await {
                    break;
                }
            }
        };
        tokio::select! {
            () = serve => (),
            () = seat.lost() => (),
        }
    }

    /// Serves somebody on a plain port, who has a seat while it is up to the client to go on, with a request or with
    /// reading its answer: whoever pauses may lose it.
    pub async fn serve_plain(mut self, mut seat: Seat<Client>) {
        let idle = self.shared.bounds.plain_idle;
        loop {
            let asked = tokio::select! {
                asked = self.next(idle) => asked,
                () = seat.lost() => return,
            };
            let Some(asked) = asked else { return };
            drop(seat);
            let Some(answer) = self.find_answer(asked).await else { return };
            seat = self.shared.seat(self.client);
            let written = tokio::select! {
                written = self.write(&answer) => written,
                () = seat.lost() => return,
            };
            if !written {
                return;
            }
        }
    }

    /// The next request, or nothing when the connection is to end.
    async fn next(&mut self, idle: Duration) -> Option<Asked> {
        let mut closing = self.shared.closing.subscribe();
        let read = tokio::select! {
            read = self.read(idle) => read,
            _ = closing.wait_for(|closing| *closing) => return None,
        };
        let error = match read {
            Ok(asked) => return Some(asked),
            Err(error) => error,
        };
        match error {
            FrameError::TooLong { .. } | FrameError::Empty => {
                self.shared.counters.bad_frames.up();
                self.shared.log_refusal(&self.client, &error);
                let too_long = matches!(error, FrameError::TooLong { .. });
                let refusal = if too_long { EnclaveRefusal::TooLong } else { EnclaveRefusal::Malformed };
                farewell(self.reader.stream_mut(), refusal).await;
            }
            FrameError::Deadline { .. } => self.shared.counters.stalled.up(),
            FrameError::Closed | FrameError::HalfFrame { .. } => (),
            FrameError::Silence { .. } | FrameError::Io(_) => (),
        }
        None
    }

    /// Reads a request; a large one under the bounds that large ones have.
    async fn read(&mut self, idle: Duration) -> Result<Asked, FrameError> {
        let deadlines = Deadlines { idle, frame: self.shared.bounds.frame_deadline };
        match self.reader.read(LARGE_REQUEST, deadlines).await {
            Err(FrameError::TooLong { len, .. }) if len <= MESSAGE_MAX => match self.client {
                Client::Node(key) => self.read_large_of_key(&key, deadlines).await,
                Client::Ip(_) | Client::Vsock(_) | Client::Local => self.read_large(deadlines).await,
            },
            Err(FrameError::TooLong { len, .. }) => Err(FrameError::TooLong { len, max: MESSAGE_MAX }),
            other => other.map(|frame| Asked { frame, _place: None }),
        }
    }

    /// The large request of a key, of which one is held at a time: it is read once there is a place for it.
    async fn read_large_of_key(&mut self, key: &NodeId, deadlines: Deadlines) -> Result<Asked, FrameError> {
        let waiting = tokio::time::timeout(deadlines.frame, self.shared.large_of(key).acquire_owned());
        let late = |_| FrameError::Deadline { waited: deadlines.frame };
        let place = waiting.await.map_err(late)?.ok();
        let frame = self.reader.read(MESSAGE_MAX, deadlines).await?;
        Ok(Asked { frame, _place: place })
    }

    /// The large request of somebody on a plain port: one who is slow to send it makes room for the next who comes,
    /// so that nobody can hold all places with the beginnings of requests.
    async fn read_large(&mut self, deadlines: Deadlines) -> Result<Asked, FrameError> {
        let (mut seat, pushed_out) = self.shared.large_readers.take(self.client);
        if pushed_out {
            self.shared.counters.pushed_out.up();
        }
        let places = self.shared.large_of_all.clone();
        let read = async {
            let frame = self.reader.read(MESSAGE_MAX, deadlines).await?;
            let place = tokio::time::timeout(deadlines.frame, places.acquire_owned()).await;
            let late = |_| FrameError::Deadline { waited: deadlines.frame };
            Ok(Asked { frame, _place: place.map_err(late)?.ok() })
        };
        tokio::select! {
            asked = read => asked,
            () = seat.lost() => Err(FrameError::Closed),
        }
    }

    /// Writes an answer; false when the connection is to end.
    async fn write(&mut self, answer: &[u8]) -> bool {
        let deadline = self.shared.bounds.frame_deadline;
        let written = write_frame(self.reader.stream_mut(), answer, MESSAGE_MAX, deadline).await;
        if let Err(FrameError::Deadline { .. }) = written {
            self.shared.counters.stalled.up();
        }
        written.is_ok()
    }

    /// The answer, or nothing when whatever could be said might be wrong.
    async fn find_answer(&self, asked: Asked) -> Option<Vec<u8>> {
        self.shared.counters.requests.up();
        let shared = &self.shared;
        match shared.served.judge(&self.client, &asked.frame) {
            Verdict::Refuse(refusal) => Some(self.refuse(refusal)),
            Verdict::Document => match shared.upstream.document() {
                Some(document) => {
                    shared.counters.from_cache.up();
                    Some(document.to_vec())
                }
                None => self.forward(asked, &shared.document_turns, Again::Harmless).await,
            },
            Verdict::FreshDocument => self.forward(asked, &shared.document_turns, Again::Harmless).await,
            Verdict::Ask => self.forward(asked, &shared.turns, Again::Harmless).await,
            Verdict::Elect => self.forward(asked, &shared.turns, Again::Never).await,
        }
    }

    /// Asks the enclave, in turn. An election that may have been certified is not answered for it.
    ///
    /// The question is a task of its own, which keeps the turn until the enclave has answered or is given up: were it
    /// dropped with its client's connection, a client that comes and goes could have far more questions at the
    /// enclave than there are turns.
    async fn forward(&self, asked: Asked, turns: &Arc<Turns>, again: Again) -> Option<Vec<u8>> {
        if self.shared.upstream.is_down() {
            return Some(self.refuse(EnclaveRefusal::Unreachable));
        }
        let came = Instant::now();
        let turn = tokio::time::timeout(self.shared.bounds.turn_deadline, turns.take(self.client)).await;
        let Ok(Ok(turn)) = turn else { return Some(self.refuse(EnclaveRefusal::Busy)) };
        self.shared.times.turn.observe(came.elapsed());
        let shared = self.shared.clone();
        let question = tokio::spawn(async move {
            let _until_answered = turn;
            shared.upstream.call(&asked.frame, again, shared.bounds.answer_deadline).await
        });
        match question.await {
            Ok(Ok(answer)) => {
                self.shared.times.answer.observe(came.elapsed());
                self.shared.counters.forwarded.up();
                Some(answer)
            }
            Ok(Err(error)) => {
                self.shared.log_refusal(&self.client, &error);
                self.excuse(again, error.may_have_run())
            }
            Err(died) => {
                self.shared.log_refusal(&self.client, &died);
                self.excuse(again, true)
            }
        }
    }

    /// What to say when the enclave did not answer: nothing if it may have acted.
    fn excuse(&self, again: Again, may_have_run: bool) -> Option<Vec<u8>> {
        if again == Again::Never && may_have_run {
            self.shared.counters.answers_lost.up();
            return None;
        }
        Some(self.refuse(EnclaveRefusal::Unreachable))
    }

    fn refuse(&self, refusal: EnclaveRefusal) -> Vec<u8> {
        let counters = &self.shared.counters;
        match refusal {
            EnclaveRefusal::NotServed => counters.refused_not_served.up(),
            EnclaveRefusal::Busy => counters.refused_busy.up(),
            EnclaveRefusal::Unreachable => counters.refused_unreachable.up(),
            _ => counters.refused_unreadable.up(),
        }
        seal_envelope(&Response::Refused(refusal))
    }
}

/// Says why a connection ends, and gives the other side a moment to read it: closing at once, with bytes of it
/// unread, would reset the connection and destroy the answer.
pub async fn farewell<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, refusal: EnclaveRefusal) {
    let answer = seal_envelope(&Response::Refused(refusal));
    let parting = async {
        if write_frame(stream, &answer, MESSAGE_MAX, FAREWELL_DEADLINE).await.is_ok() {
            let _gone_already = stream.shutdown().await;
            let mut unread = [0; 4096];
            while stream.read(&mut unread).await.is_ok_and(|read| read > 0) {}
        }
    };
    let _in_time = tokio::time::timeout(FAREWELL_DEADLINE, parting).await;
}
