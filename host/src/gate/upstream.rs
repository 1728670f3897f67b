//! A connection to the resource that forwards nothing without a valid ticket, and that is never dropped before its end:
//! when its user lets it go, writing is shut down, and what the resource still says is read and discarded until the
//! resource's own end of the stream. A reset would leave it at work on what it has received.
//!
//! A reset that comes from there is no such end, as the network may have made it; but over a Unix socket it can only mean
//! that the resource has closed its end with something unread (unix(7)), so it counts as one.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::watch;

use super::limits::{COPY_CHUNK, DIAL_DEADLINE};
use super::pass::{Pass, Ticket, abandoned, over};
use crate::transport::connect::{ConnectError, connect};
use crate::transport::endpoint::Endpoint;
use crate::transport::stream::Stream;

/// The connection. See the module.
pub struct Upstream {
    /// Nothing once it has ended.
    open: Option<Open>,
    pass: watch::Receiver<Pass>,
}

struct Open {
    stream: Stream,
    ticket: Ticket,
    /// Whether nothing but the resource itself can have reset it.
    is_local: bool,
}

impl Open {
    /// Notes how the resource's side ended: by its end of the stream, or by an error.
    fn ended(&mut self, error: Option<&io::Error>) {
        match error {
            None => self.ticket.at_end(),
            Some(error) if self.is_local && error.kind() == io::ErrorKind::ConnectionReset => {
                self.ticket.at_end()
            }
            Some(error) => tracing::warn!(%error, "a connection to the resource broke before its end"),
        }
    }
}

impl Upstream {
    /// Connects to the resource on this ticket.
    pub async fn dial(resource: &Endpoint, mut ticket: Ticket) -> Result<Self, ConnectError> {
        let stream = connect(resource, None, DIAL_DEADLINE).await?;
        ticket.opened();
        let pass = ticket.watch();
        let is_local = matches!(resource, Endpoint::Unix(_));
        Ok(Upstream { open: Some(Open { stream, ticket, is_local }), pass })
    }

    /// Ends when nothing more may be forwarded.
    pub fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        over(self.pass.clone())
    }

    fn ended(&mut self, error: Option<&io::Error>) {
        if let Some(mut open) = self.open.take() {
            open.ended(error);
        }
    }
}

fn is_over() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the connection to the resource is over")
}

impl AsyncRead for Upstream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let (room, Some(Open { stream, .. })) = (buffer.remaining(), &mut self.open) else {
            return Poll::Ready(Ok(()));
        };
        match Pin::new(stream).poll_read(context, buffer) {
            Poll::Ready(Ok(())) if room > 0 && buffer.filled().len() == before => {
                self.ended(None);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                self.ended(Some(&error));
                Poll::Ready(Err(error))
            }
            polled => polled,
        }
    }
}

impl AsyncWrite for Upstream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.open {
            // The look at the clock comes right before the write, each time.
            Some(Open { stream, ticket, .. }) if ticket.is_valid() => {
                Pin::new(stream).poll_write(context, bytes)
            }
            _ => Poll::Ready(Err(is_over())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.open {
            Some(Open { stream, .. }) => Pin::new(stream).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.open {
            Some(Open { stream, .. }) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        // Without a runtime the process is ending: the mark stays set, which says that this end was not seen.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(drain(open));
        }
    }
}

/// Waits for the resource's end of the stream.
async fn drain(mut open: Open) {
    let pass = open.ticket.watch();
    let to_its_end = async {
        // A resource that is gone already cannot be told; what it says is read all the same.
        let _may_be_gone = open.stream.shutdown().await;
        let mut discarded = vec![0; COPY_CHUNK];
        loop {
            match open.stream.read(&mut discarded).await {
                Ok(0) => return open.ended(None),
                Ok(_) => {}
                Err(error) => return open.ended(Some(&error)),
            }
        }
    };
    tokio::select! {
        () = to_its_end => {}
        () = abandoned(pass) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use crate::fence::{FenceState, Rules};
    use crate::gate::keeper::{Entry, Gatehouse, Keeper};
    use crate::verify::Accept;
    use nitro_elect_protocol::ids::{ClusterId, Term};
    use nitro_elect_protocol::time::Boot;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpStream};

    /// A connection to a resource, the resource's end of it, and what decides how long it may act.
    async fn connected(left: Duration) -> (Upstream, TcpStream, watch::Sender<Pass>, tempfile::TempDir) {
        let home = tempfile::tempdir().unwrap();
        let state = FenceState::open(home.path(), ClusterId([1; 16])).unwrap();
        let rules = Rules::new(Vec::new(), Accept::default());
        let keeper = Keeper::new(rules, state, Duration::ZERO, false, Duration::from_secs(1));
        let (allow, pass) = watch::channel(Pass { until: clock::boot() + left, abandoned: false });
        let ticket = Ticket::new(Entry { id: 1, term: Term(7), pass }, Gatehouse::new(keeper));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let resource = Endpoint::Tcp(listener.local_addr().unwrap().into());
        let upstream = Upstream::dial(&resource, ticket).await.unwrap();
        (upstream, listener.accept().await.unwrap().0, allow, home)
    }

    #[tokio::test]
    async fn each_write_looks_at_the_clock_though_nobody_was_told_of_the_end() {
        let (mut upstream, mut resource, _allow, _home) = connected(Duration::from_millis(300)).await;
        upstream.write_all(b"in time").await.unwrap();
        std::thread::sleep(Duration::from_millis(300)); // as a process that was frozen: no task has run
        assert!(upstream.write_all(b"late").await.is_err());
        drop(upstream);
        let mut read = String::new();
        resource.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "in time");
    }

    #[tokio::test]
    async fn a_pass_that_is_taken_back_counts_at_once() {
        let (mut upstream, _resource, allow, _home) = connected(Duration::from_secs(60)).await;
        upstream.write_all(b"a").await.unwrap();
        let over = upstream.over();
        allow.send_modify(|pass| pass.until = Boot(0));
        assert!(upstream.write_all(b"b").await.is_err());
        over.await;
    }

    #[tokio::test]
    async fn what_is_let_go_is_read_to_the_resources_end_and_never_reset() {
        let (upstream, mut resource, _allow, _home) = connected(Duration::from_secs(60)).await;
        drop(upstream);
        let mut read = Vec::new();
        resource.read_to_end(&mut read).await.unwrap();
        for _ in 0..64 {
            resource.write_all(&[b'y'; 4096]).await.unwrap(); // a reset would fail this
        }
    }

    #[tokio::test]
    async fn after_the_resources_end_nothing_more_is_written() {
        let (mut upstream, resource, _allow, _home) = connected(Duration::from_secs(60)).await;
        drop(resource);
        let mut read = Vec::new();
        upstream.read_to_end(&mut read).await.unwrap();
        assert!(upstream.write_all(b"a").await.is_err());
    }
}
