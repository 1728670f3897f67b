//! One client connection: a request, its answer, the next request.

use super::accept::Shared;
use super::served::{Client, Verdict};
use crate::limits::{FAREWELL_DEADLINE, PROXY_LARGE_REQUEST};
use crate::transport::frame::{Deadlines, FrameError, FrameReader, write_frame};
use crate::transport::stream::Stream;
use nitro_elect_protocol::enclave_api::{EnclaveRefusal, Response};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::seal_envelope;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module.
pub struct Session<'a> {
    shared: &'a Shared,
    client: Client,
    reader: FrameReader<Stream>,
    large: Arc<Semaphore>,
}

/// A request, with the place it takes if it is large.
struct Asked {
    frame: Vec<u8>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<'a> Session<'a> {
    pub fn new(shared: &'a Shared, client: Client, stream: Stream) -> Self {
        Session { shared, client, reader: FrameReader::new(stream), large: shared.large(&client) }
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
                if !self.answer(asked).await {
                    break;
                }
            }
        };
        tokio::select! {
            () = serve => (),
            () = seat.lost() => (),
        }
    }

    /// Serves somebody on a plain port, who has a seat only while nothing is asked: whoever pauses may lose it.
    pub async fn serve_plain(mut self) {
        loop {
            let (mut seat, pushed_out) = self.shared.strangers.take(self.client);
            if pushed_out {
                self.shared.counters.pushed_out.up();
            }
            let asked = tokio::select! {
                asked = self.next(self.shared.bounds.plain_idle) => asked,
                () = seat.lost() => return,
            };
            drop(seat);
            let Some(asked) = asked else { return };
            if !self.answer(asked).await {
                return;
            }
        }
    }

    /// The next request, or nothing when the connection is to end.
    async fn next(&mut self, idle: Duration) -> Option<Asked> {
        let error = match self.read(idle).await {
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

    /// Reads a request; a large one only once there is a place for it.
    async fn read(&mut self, idle: Duration) -> Result<Asked, FrameError> {
        let deadlines = Deadlines { idle, frame: self.shared.bounds.frame_deadline };
        match self.reader.read(PROXY_LARGE_REQUEST, deadlines).await {
            Err(FrameError::TooLong { len, .. }) if len <= MESSAGE_MAX => {
                let waiting = tokio::time::timeout(deadlines.frame, self.large.clone().acquire_owned());
                let late = |_| FrameError::Deadline { waited: deadlines.frame };
                let place = waiting.await.map_err(late)?.ok();
                let frame = self.reader.read(MESSAGE_MAX, deadlines).await?;
                Ok(Asked { frame, _place: place })
            }
            Err(FrameError::TooLong { len, .. }) => Err(FrameError::TooLong { len, max: MESSAGE_MAX }),
            other => other.map(|frame| Asked { frame, _place: None }),
        }
    }

    /// Answers a request; false when the connection is to end.
    async fn answer(&mut self, asked: Asked) -> bool {
        self.shared.counters.requests.up();
        let Some(answer) = self.find_answer(&asked.frame).await else { return false };
        drop(asked);
        let deadline = self.shared.bounds.frame_deadline;
        let written = write_frame(self.reader.stream_mut(), &answer, MESSAGE_MAX, deadline).await;
        if let Err(FrameError::Deadline { .. }) = written {
            self.shared.counters.stalled.up();
        }
        written.is_ok()
    }

    /// The answer, or nothing when whatever could be said might be wrong.
    async fn find_answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        match self.shared.served.judge(&self.client, frame) {
            Verdict::Refuse(refusal) => Some(self.refuse(refusal)),
            Verdict::Document => match self.shared.upstream.document() {
                Some(document) => {
                    self.shared.counters.from_cache.up();
                    Some(document.to_vec())
                }
                None => self.forward(frame, false).await,
            },
            Verdict::Ask => self.forward(frame, false).await,
            Verdict::Elect => self.forward(frame, true).await,
        }
    }

    /// Asks the enclave, in turn. An election that may have been certified is not answered for it.
    async fn forward(&self, frame: &[u8], is_election: bool) -> Option<Vec<u8>> {
        if self.shared.upstream.is_down() {
            return Some(self.refuse(EnclaveRefusal::Unreachable));
        }
        let bounds = &self.shared.bounds;
        let turn = tokio::time::timeout(bounds.turn_deadline, self.shared.turns.take(self.client)).await;
        let Ok(Ok(_turn)) = turn else { return Some(self.refuse(EnclaveRefusal::Busy)) };
        match self.shared.upstream.call(frame, bounds.answer_deadline).await {
            Ok(answer) => {
                self.shared.counters.forwarded.up();
                Some(answer)
            }
            Err(error) if is_election && error.may_have_run() => {
                self.shared.counters.answers_lost.up();
                self.shared.log_refusal(&self.client, &error);
                None
            }
            Err(error) => {
                self.shared.log_refusal(&self.client, &error);
                Some(self.refuse(EnclaveRefusal::Unreachable))
            }
        }
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
