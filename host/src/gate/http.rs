//! HTTP mode: requests are forwarded one by one, each with the term it is admitted in (`Nitro-Elect-Term`), or answered
//! here with 503 and the reason. What is changed in them is in [`message`](super::message).
//!
//! Bodies stream; every byte of them passes the same look at the clock as in TCP mode ([`Upstream`]). 503 says that nothing was forwarded; a
//! request that was on its way when its term ended is answered with 504, as nobody knows whether it was carried out.

use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

use nitro_elect_protocol::ids::{NodeId, Term};

use super::limits::{FIELDS_MAX, HEAD_DEADLINE, HEAD_MAX};
use super::message::{prepared, refusal, returned, unavailable, undecided};
use super::pass::{Pass, Ticket};
use super::session::{Presenter, enter};
use super::shared::Shared;
use super::upstream::Upstream;
use crate::clock;

/// One client connection and the connection to the resource that it uses.
struct Exchange {
    shared: Arc<Shared>,
    key: NodeId,
    /// A ticket that is not used yet, or the connection that uses one.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    ticket: Option<Ticket>,
    resource: Option<Resource>,
}

/// A connection to the resource, and the term it is for.
struct Resource {
    sender: SendRequest<Incoming>,
    term: Term,
    pass: watch::Receiver<Pass>,
}

/// Serves the requests of a connection.
pub async fn serve(presenter: Presenter, ticket: Option<Ticket>) {
    let Presenter { shared, key, stream, .. } = presenter;
    let kept = Mutex::new(Kept { ticket, resource: None });
    let exchange = Arc::new(Exchange { shared, key, kept });
    let service = service_fn(move |request| {
        let exchange = exchange.clone();
        async move { Ok::<_, Infallible>(exchange.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE);
    http.max_buf_size(HEAD_MAX).max_headers(FIELDS_MAX);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "a connection ended");
    }
}

impl Exchange {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        match self.forward(request).await {
            Ok(answer) => answer,
            Err(refusal) => {
                self.shared.counters.turned_away.up();
                *refusal
            }
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> Result<Response, Box<Response>> {
        let mut kept = self.kept.lock().await;
        let resource = self.resource(&mut kept).await?;
        let (request, term) = (prepared(request, resource.term)?, resource.term);
        // The connection ends with its term, and the request with the connection.
        match resource.sender.send_request(request).await {
            Ok(answer) => {
                self.shared.counters.requests.up();
                Ok(returned(answer.map(Body::new), term))
            }
            Err(error) => {
                let is_over = resource.is_over();
                kept.resource = None;
                Err(unanswered(&error, is_over))
            }
        }
    }

    /// The connection to the resource: the one that there is, while its term may act, or a new one.
    async fn resource<'a>(&self, kept: &'a mut Kept) -> Result<&'a mut Resource, Box<Response>> {
        let is_usable = match &mut kept.resource {
            Some(resource) => resource.is_usable().await,
            None => false,
        };
        if !is_usable {
            kept.resource = None;
            let ticket = match kept.ticket.take().filter(Ticket::is_valid) {
                Some(ticket) => ticket,
                None => enter(&self.shared, self.key).await.map_err(|why| unavailable(&why.to_string()))?,
            };
            kept.resource = Some(Resource::dial(&self.shared, ticket).await.map_err(|why| {
                self.shared.counters.resource_away.up();
                refusal(StatusCode::BAD_GATEWAY, &format!("the resource is away: {why}"))
            })?);
            self.shared.counters.forwarded.up();
        }
        kept.resource.as_mut().ok_or_else(|| self.closed())
    }

    fn closed(&self) -> Box<Response> {
        unavailable(&self.shared.why_closed().map_or_else(|| "the lease ended".into(), |(_, why)| why))
    }
}

/// What is said of a request that has no answer: whose fault that is.
fn unanswered(error: &hyper::Error, is_over: bool) -> Box<Response> {
    match (is_over, error.is_user()) {
        (true, _) => undecided(StatusCode::GATEWAY_TIMEOUT, "the term's proof ended before the answer came"),
        (false, true) => {
            undecided(StatusCode::BAD_REQUEST, "the request's body broke off, or cannot be read")
        }
        (false, false) => {
            undecided(StatusCode::BAD_GATEWAY, &format!("the resource did not answer: {error}"))
        }
    }
}

impl Resource {
    async fn dial(shared: &Shared, ticket: Ticket) -> Result<Self, String> {
        let (term, pass) = (ticket.term(), ticket.watch());
        let upstream = Upstream::dial(&shared.upstream, ticket).await.map_err(|error| error.to_string())?;
        let over = upstream.over();
        let shaken = handshake(TokioIo::new(upstream)).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(until_over(connection, over));
        Ok(Resource { sender, term, pass })
    }

    /// Whether its term may not act any more.
    fn is_over(&self) -> bool {
        clock::until(self.pass.borrow().until).is_zero()
    }

    async fn is_usable(&mut self) -> bool {
        !self.is_over() && self.sender.ready().await.is_ok()
    }
}

/// Drives a connection to the resource until it ends or may not act any more; then it is drained as it is dropped.
async fn until_over<T>(connection: impl Future<Output = hyper::Result<T>>, over: impl Future<Output = ()>) {
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the resource ended");
        },
        () = over => {}
    }
}
