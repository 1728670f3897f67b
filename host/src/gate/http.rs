//! HTTP mode: requests are forwarded one by one, each with the term it is admitted in (`Nitro-Elect-Term`), or answered
//! here with 503 and the reason.
//!
//! What a client says of its own term is checked and never forwarded: a request for another term than the present one is
//! refused with 409, so that a program can bind a request to the leadership that it was made under. Bodies stream; every
//! byte of them passes the same look at the clock as in TCP mode ([`Upstream`]). 503 says that nothing was forwarded; a
//! request that was on its way when its term ended is answered with 504, as nobody knows whether it was carried out.

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

use nitro_elect_protocol::ids::{NodeId, Term};

use super::limits::{FIELDS_MAX, HEAD_DEADLINE, HEAD_MAX};
use super::pass::{Pass, Ticket};
use super::session::{Presenter, enter};
use super::shared::Shared;
use super::upstream::Upstream;
use crate::clock;

/// The field that tells the resource the term.
pub const TERM_FIELD: HeaderName = HeaderName::from_static("nitro-elect-term");

/// Fields that are of one connection (RFC 9110 §7.6.1), and that no proxy forwards.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

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
                Err(match is_over {
                    true => undecided(
                        StatusCode::GATEWAY_TIMEOUT,
                        "the term's proof ended before the answer came",
                    ),
                    false => {
                        undecided(StatusCode::BAD_GATEWAY, &format!("the resource did not answer: {error}"))
                    }
                })
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

/// The request as it is forwarded, or why it is not.
fn prepared(mut request: Request<Incoming>, term: Term) -> Result<Request<Incoming>, Box<Response>> {
    if request.method() == Method::CONNECT {
        return Err(refusal(
            StatusCode::NOT_IMPLEMENTED,
            "this gate forwards requests, and opens no tunnels",
        ));
    }
    let claimed = request.headers().get_all(TERM_FIELD);
    if claimed.iter().any(|claimed| claimed.to_str().ok() != Some(term.to_string().as_str())) {
        return Err(refusal(
            StatusCode::CONFLICT,
            &format!("the request is for another term: this is term {term}"),
        ));
    }
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let origin_form = path.parse::<Uri>();
    *request.uri_mut() =
        origin_form.map_err(|_| refusal(StatusCode::BAD_REQUEST, "the target cannot be read"))?;
    strip(request.headers_mut());
    request.headers_mut().insert(TERM_FIELD, HeaderValue::from(term.0));
    Ok(request)
}

fn returned(mut answer: Response, term: Term) -> Response {
    strip(answer.headers_mut());
    answer.headers_mut().insert(TERM_FIELD, HeaderValue::from(term.0));
    answer
}

/// Takes out what is of one connection, and the term that somebody else wrote.
fn strip(headers: &mut HeaderMap) {
    let listed: Vec<String> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    for name in listed.iter().map(String::as_str).chain(HOP_BY_HOP) {
        headers.remove(name);
    }
    headers.remove(TERM_FIELD);
}

/// The request was on its way when this happened.
fn undecided(code: StatusCode, why: &str) -> Box<Response> {
    refusal(code, &format!("{why}; whether the request was carried out is not known"))
}

fn unavailable(why: &str) -> Box<Response> {
    let mut answer = refusal(StatusCode::SERVICE_UNAVAILABLE, why);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

fn refusal(code: StatusCode, why: &str) -> Box<Response> {
    Box::new((code, Json(json!({ "error": why }))).into_response())
}
