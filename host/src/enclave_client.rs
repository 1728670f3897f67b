//! Asks an enclave, directly or through a proxy: one frame out, one frame back.
//!
//! Connections are kept between calls, one call at a time on each, up to a bound. A call is made at most once: it is
//! repeated on a fresh connection only if the old one failed before the whole request was written. After that
//! nobody can know whether the enclave has acted, and the error says so ([`EnclaveCallError::may_have_run`]).
//! A call that is dropped takes its connection with it, since the answer would come to the next one.

use crate::limits::{ENCLAVE_CONNECT_DEADLINE, ENCLAVE_CONNECTIONS};
use crate::transport::connect::{ConnectError, connect};
use crate::transport::endpoint::Endpoint;
use crate::transport::frame::{Deadlines, FrameError, FrameReader, write_frame};
use crate::transport::stream::Stream;
use crate::transport::tls::TlsIdentity;
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::limits::MESSAGE_MAX;
use nitro_elect_protocol::peer::{EnvelopeError, open_envelope, seal_envelope};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// Why an enclave gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveCallError {
    /// There is no connection; nothing was asked.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The request could not be written as a whole; the enclave did nothing.
    #[error("{endpoint}: the request could not be sent: {cause}")]
    NotSent {
        /// The enclave or its proxy.
        endpoint: Endpoint,
        /// What failed.
        cause: FrameError,
    },
    /// All connections were in use until the deadline; nothing was asked.
    #[error("{endpoint}: all {connections} connections were in use for {}", crate::duration::format(*waited))]
    NoPlace {
        /// The enclave or its proxy.
        endpoint: Endpoint,
        /// How many there are.
        connections: usize,
        /// How long a free one was waited for.
        waited: Duration,
    },
    /// No answer came; the enclave may have done what was asked.
    #[error("{endpoint}: no answer: {cause}")]
    NoAnswer {
        /// The enclave or its proxy.
        endpoint: Endpoint,
        /// What failed: the connection, or the deadline.
        cause: FrameError,
    },
    /// An answer came that cannot be read; the enclave may have done what was asked.
    #[error("{endpoint}: the answer is unreadable: {cause}")]
    Unreadable {
        /// The enclave or its proxy.
        endpoint: Endpoint,
        /// What is wrong with it.
        cause: EnvelopeError,
    },
}

impl EnclaveCallError {
    /// Whether the enclave may have done what was asked, so that it should be asked for its latest certificate
    /// before another enclave is asked to do the same.
    pub fn may_have_run(&self) -> bool {
        match self {
            EnclaveCallError::NoAnswer { .. } | EnclaveCallError::Unreadable { .. } => true,
            EnclaveCallError::Connect(_)
            | EnclaveCallError::NotSent { .. }
            | EnclaveCallError::NoPlace { .. } => false,
        }
    }
}

/// One enclave, or the proxy before it.
#[derive(Debug)]
pub struct EnclaveClient {
    endpoint: Endpoint,
    identity: Option<TlsIdentity>,
    connections: usize,
    places: Semaphore,
    idle: Mutex<Vec<EnclaveConnection>>,
}

impl EnclaveClient {
    /// A client with the usual number of connections; `identity` is needed for `tls://` endpoints alone.
    pub fn new(endpoint: Endpoint, identity: Option<TlsIdentity>) -> Self {
        Self::with_connections(endpoint, identity, ENCLAVE_CONNECTIONS)
    }

    /// A client with at most this many connections, and so calls at once. Further calls wait.
    pub fn with_connections(endpoint: Endpoint, identity: Option<TlsIdentity>, connections: usize) -> Self {
        let places = Semaphore::new(connections);
        EnclaveClient { endpoint, identity, connections, places, idle: Mutex::default() }
    }

    /// Where the enclave is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks and returns the answer, a refusal among them, within `deadline`.
    pub async fn ask(&self, request: &Request, deadline: Duration) -> Result<Response, EnclaveCallError> {
        let answer = self.call(&seal_envelope(request), deadline).await?;
        let unreadable = |cause| EnclaveCallError::Unreadable { endpoint: self.endpoint.clone(), cause };
        open_envelope(&answer).map_err(unreadable)
    }

    /// Sends one frame and returns the one that answers it, within `deadline`.
    pub async fn call(&self, request: &[u8], deadline: Duration) -> Result<Vec<u8>, EnclaveCallError> {
        let ends = Instant::now() + deadline;
        let place = timeout_at(ends, self.places.acquire()).await;
        let _place = place.map_err(|_| self.no_place(deadline))?;
        let mut connection = self.send(request, ends).await?;
        let answer = connection.receive(left(ends)).await;
        let answer =
            answer.map_err(|cause| EnclaveCallError::NoAnswer { endpoint: self.endpoint.clone(), cause })?;
        self.idle().push(connection);
        Ok(answer)
    }

    /// Sends a request on a kept connection that is still good, else on a fresh one.
    async fn send(&self, request: &[u8], ends: Instant) -> Result<EnclaveConnection, EnclaveCallError> {
        while let Some(mut kept) = self.take_idle() {
            if kept.is_quiet().await && kept.send(request, left(ends)).await.is_ok() {
                return Ok(kept);
            }
        }
        let mut fresh = EnclaveConnection::open(&self.endpoint, self.identity.as_ref(), left(ends)).await?;
        let sent = fresh.send(request, left(ends)).await;
        sent.map_err(|cause| EnclaveCallError::NotSent { endpoint: self.endpoint.clone(), cause })?;
        Ok(fresh)
    }

    fn take_idle(&self) -> Option<EnclaveConnection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<EnclaveConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_place(&self, waited: Duration) -> EnclaveCallError {
        let connections = self.connections;
        EnclaveCallError::NoPlace { endpoint: self.endpoint.clone(), connections, waited }
    }
}

fn left(ends: Instant) -> Duration {
    ends.saturating_duration_since(Instant::now())
}

/// One connection to an enclave or a proxy, for one call at a time.
pub struct EnclaveConnection {
    reader: FrameReader<Stream>,
}

impl EnclaveConnection {
    /// Connects within `deadline`, or sooner: a connection takes less time than an answer may.
    pub async fn open(
        endpoint: &Endpoint,
        identity: Option<&TlsIdentity>,
        deadline: Duration,
    ) -> Result<Self, ConnectError> {
        let stream = connect(endpoint, identity, deadline.min(ENCLAVE_CONNECT_DEADLINE)).await?;
        Ok(EnclaveConnection { reader: FrameReader::new(stream) })
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &[u8], deadline: Duration) -> Result<(), FrameError> {
        write_frame(self.reader.stream_mut(), request, MESSAGE_MAX, deadline).await
    }

    /// Receives the answer to the request that was sent.
    pub async fn receive(&mut self, deadline: Duration) -> Result<Vec<u8>, FrameError> {
        self.reader.read(MESSAGE_MAX, Deadlines { idle: deadline, frame: deadline }).await
    }

    /// Whether the connection is open and says nothing unasked, as far as this side knows.
    pub async fn is_quiet(&mut self) -> bool {
        std::future::poll_fn(|context| {
            let mut byte = [0];
            let read = Pin::new(self.reader.stream_mut()).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        })
        .await
    }

    /// Waits until the connection ends or says something unasked.
    pub async fn disturbed(&mut self) {
        std::future::poll_fn(|context| {
            let mut byte = [0];
            let read = Pin::new(self.reader.stream_mut()).poll_read(context, &mut ReadBuf::new(&mut byte));
            read.map(|_| ())
        })
        .await
    }
}

impl std::fmt::Debug for EnclaveConnection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("EnclaveConnection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::listen::{Exposure, Listener};
    use crate::transport::tls::TlsServer;
    use nitro_elect_protocol::crypto::NodeKey;
    use nitro_elect_protocol::enclave_api::EnclaveRefusal;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LATE: Duration = Duration::from_secs(30);
    const DEADLINES: Deadlines = Deadlines { idle: LATE, frame: LATE };

    async fn listen(text: &str) -> Listener {
        Listener::bind(&text.parse().unwrap(), Exposure::LoopbackOnly).await.unwrap()
    }

    /// A connection of the listener, as an enclave serves it.
    async fn accept(listener: &Listener) -> FrameReader<Stream> {
        FrameReader::new(listener.accept().await.unwrap().0)
    }

    async fn answer(connection: &mut FrameReader<Stream>, with: impl Fn(Vec<u8>) -> Vec<u8>) {
        let request = connection.read(MESSAGE_MAX, DEADLINES).await.unwrap();
        write_frame(connection.stream_mut(), &with(request), MESSAGE_MAX, LATE).await.unwrap();
    }

    fn doubled(request: Vec<u8>) -> Vec<u8> {
        [request.clone(), request].concat()
    }

    #[tokio::test]
    async fn calls_one_after_the_other_share_a_connection() {
        let listener = listen("127.0.0.1:0").await;
        let client = EnclaveClient::new(listener.endpoint().clone(), None);
        let serve = async {
            let mut connection = accept(&listener).await;
            for _ in 0..3 {
                answer(&mut connection, doubled).await;
            }
        };
        let ask = async {
            for request in [b"a", b"b", b"c"] {
                assert_eq!(client.call(request, LATE).await.unwrap(), doubled(request.to_vec()));
            }
        };
        tokio::join!(serve, ask);
    }

    #[tokio::test]
    async fn calls_at_once_use_connections_of_their_own_up_to_the_bound() {
        let listener = listen("127.0.0.1:0").await;
        let client = Arc::new(EnclaveClient::with_connections(listener.endpoint().clone(), None, 3));
        let served = Arc::new(AtomicUsize::new(0));
        let serving = served.clone();
        let serve = tokio::spawn(async move {
            let barrier = Arc::new(tokio::sync::Barrier::new(3));
            loop {
                let (mut connection, barrier) = (accept(&listener).await, barrier.clone());
                serving.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    loop {
                        let request = connection.read(MESSAGE_MAX, DEADLINES).await.unwrap();
                        barrier.wait().await;
                        write_frame(connection.stream_mut(), &request, MESSAGE_MAX, LATE).await.unwrap();
                    }
                });
            }
        });
        let calls: Vec<_> = (0..6u8)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move { client.call(&[number], LATE).await.unwrap() == [number] })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap());
        }
        assert_eq!(served.load(Ordering::Relaxed), 3);
        serve.abort();
    }

    #[tokio::test]
    async fn an_enclave_that_restarted_is_asked_on_a_fresh_connection() {
        let directory = tempfile::tempdir().unwrap();
        let port = listen("127.0.0.1:0").await.endpoint().to_string();
        for text in [format!("unix://{}/enclave.sock", directory.path().display()), port] {
            let client = EnclaveClient::new(text.parse().unwrap(), None);
            for _ in 0..2 {
                let listener = listen(&text).await;
                let serve = async { answer(&mut accept(&listener).await, doubled).await };
                let both = async { tokio::join!(serve, client.call(b"a", LATE)).1 };
                let answered = tokio::time::timeout(LATE, both).await.expect("a fresh connection is made");
                assert_eq!(answered.unwrap(), b"aa");
            }
            let gone = client.call(b"a", LATE).await;
            assert!(matches!(gone, Err(EnclaveCallError::Connect(ConnectError::Refused { .. }))), "{gone:?}");
        }
    }

    #[tokio::test]
    async fn an_enclave_that_dies_with_a_request_leaves_it_open_whether_it_ran() {
        let listener = listen("127.0.0.1:0").await;
        let client = EnclaveClient::new(listener.endpoint().clone(), None);
        let serve = async {
            accept(&listener).await.read(MESSAGE_MAX, DEADLINES).await.unwrap();
        };
        let (_, lost) = tokio::join!(serve, client.call(b"a", LATE));
        assert!(lost.unwrap_err().may_have_run());
    }

    #[tokio::test]
    async fn an_enclave_that_does_not_answer_is_given_up_in_time_and_its_late_answer_is_nobodys() {
        let listener = listen("127.0.0.1:0").await;
        let client = EnclaveClient::new(listener.endpoint().clone(), None);
        let (mut first, late) = tokio::join!(accept(&listener), client.call(b"a", Duration::from_millis(50)));
        assert!(late.unwrap_err().may_have_run());
        let request = first.read(MESSAGE_MAX, DEADLINES).await.unwrap();
        let _nobody_listens = write_frame(first.stream_mut(), &request, MESSAGE_MAX, LATE).await;
        let serve = async { answer(&mut accept(&listener).await, doubled).await };
        let (_, answered) = tokio::join!(serve, client.call(b"b", LATE));
        assert_eq!(answered.unwrap(), b"bb");
    }

    #[tokio::test]
    async fn calls_beyond_the_bound_wait_no_longer_than_their_deadline() {
        let listener = listen("127.0.0.1:0").await;
        let client = EnclaveClient::with_connections(listener.endpoint().clone(), None, 1);
        let waiting = client.call(b"a", LATE);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("nobody answered"),
            full = client.call(b"b", Duration::from_millis(50)) => {
                assert!(matches!(full, Err(EnclaveCallError::NoPlace { connections: 1, .. })), "{full:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_tls_proxy_learns_who_asks() {
        let listener = listen("tls://127.0.0.1:0").await;
        let identity = TlsIdentity::of(&NodeKey::from_seed([1; 32]));
        let client = EnclaveClient::new(listener.endpoint().clone(), Some(identity.clone()));
        let serve = async {
            let server = TlsServer::of_proxy(&TlsIdentity::throw_away());
            let (stream, asking, _) = server.accept(listener.accept().await.unwrap().0, LATE).await.unwrap();
            assert_eq!(asking, identity.id());
            let busy = |_| seal_envelope(&Response::Refused(EnclaveRefusal::Busy));
            answer(&mut FrameReader::new(Box::new(stream)), busy).await;
        };
        let (_, answered) = tokio::join!(serve, client.ask(&Request::Health, LATE));
        assert_eq!(answered.unwrap(), Response::Refused(EnclaveRefusal::Busy));
    }

    #[tokio::test]
    async fn a_tls_proxy_cannot_be_asked_without_a_key() {
        let client = EnclaveClient::new("tls://127.0.0.1:1".parse().unwrap(), None);
        let refused = client.call(b"a", LATE).await;
        assert!(matches!(refused, Err(EnclaveCallError::Connect(ConnectError::NoIdentity { .. }))));
    }

    #[tokio::test]
    async fn an_answer_that_is_no_message_is_named() {
        let listener = listen("127.0.0.1:0").await;
        let client = EnclaveClient::new(listener.endpoint().clone(), None);
        let serve = async { answer(&mut accept(&listener).await, |_| b"what?".to_vec()).await };
        let (_, unreadable) = tokio::join!(serve, client.ask(&Request::Health, LATE));
        assert!(matches!(unreadable, Err(EnclaveCallError::Unreadable { .. })), "{unreadable:?}");
    }
}
