//! A client for the admin address of a node: what the demo and the command line ask with.
//!
//! One connection, kept while it lasts. What comes is bounded in size and time, as it comes from somewhere else.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::limits::ANSWER_MAX;
use super::token::Token;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection.
    #[error("no node answers at {address}: {source}")]
    Connect {
        /// The admin address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The exchange failed.
    #[error("{address}: {cause}")]
    Exchange {
        /// The admin address.
        address: SocketAddr,
        /// What went wrong.
        cause: String,
    },
    /// No answer in time.
    #[error("{address} did not answer within {}", crate::duration::format(*waited))]
    Late {
        /// The admin address.
        address: SocketAddr,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Something else listens there, or a node of another version.
    #[error("what {address} answers to {path} is not what a node answers: {cause}")]
    NotANode {
        /// The admin address.
        address: SocketAddr,
        /// What was asked for.
        path: String,
        /// Where reading it stopped.
        cause: serde_json::Error,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub code: StatusCode,
    /// The body, whole.
    pub body: Bytes,
}

/// Asks one node.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    deadline: Duration,
    token: Option<Token>,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// A client of this admin address; `deadline` is for each question.
    pub fn new(address: SocketAddr, deadline: Duration) -> Self {
        Client { address, deadline, token: None, connection: None }
    }

    /// Presents this token with each question.
    pub fn with_token(self, token: Option<Token>) -> Self {
        Client { token, ..self }
    }

    /// The admin address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for `path`.
    pub async fn get(&mut self, path: &str) -> Result<Answer, AskError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Orders what `path` stands for.
    pub async fn post(&mut self, path: &str, body: &impl Serialize) -> Result<Answer, AskError> {
        let body = serde_json::to_vec(body).expect("orders are texts and truth values");
        self.ask(Method::POST, path, body.into()).await
    }

    async fn ask(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, AskError> {
        let kept = self.connection.take().filter(|kept| !kept.is_closed());
        let mut request = Request::builder().method(method).uri(path).header(HOST, self.address.to_string());
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.header());
        }
        let failed = |cause: String| AskError::Exchange { address: self.address, cause };
        let request = request.body(Full::new(body)).map_err(|error| failed(error.to_string()))?;
        let exchange = exchange(self.address, kept, request);
        let late = |_| AskError::Late { address: self.address, waited: self.deadline };
        let (answer, connection) = timeout(self.deadline, exchange).await.map_err(late)??;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Asks for `path` and reads its JSON, whatever the status code.
    pub async fn get_json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, AskError> {
        let answer = self.get(path).await?;
        let (address, path) = (self.address, path.to_owned());
        serde_json::from_slice(&answer.body).map_err(|cause| AskError::NotANode { address, path, cause })
    }
}

async fn exchange(
    address: SocketAddr,
    kept: Option<SendRequest<Full<Bytes>>>,
    request: Request<Full<Bytes>>,
) -> Result<(Answer, SendRequest<Full<Bytes>>), AskError> {
    let failed = |cause: String| AskError::Exchange { address, cause };
    let mut connection = match kept {
        Some(kept) => kept,
        None => connect(address).await?,
    };
    connection.ready().await.map_err(|error| failed(in_words(&error)))?;
    let answer = connection.send_request(request).await.map_err(|error| failed(in_words(&error)))?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| failed(error.to_string()))?.to_bytes();
    Ok((Answer { code, body }, connection))
}

/// What became of an exchange, without the library's words for what people meet: a port of something else, and a node that
/// ended.
pub(super) fn in_words(error: &hyper::Error) -> String {
    if error.is_parse() {
        "what listens there does not speak HTTP".into()
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        "the connection ended before the answer".into()
    } else {
        error.to_string()
    }
}

pub(super) async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, AskError> {
    let stream = TcpStream::connect(address).await.map_err(|source| AskError::Connect { address, source })?;
    let failed = |error: hyper::Error| AskError::Exchange { address, cause: error.to_string() };
    let (connection, driver) = handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = driver.await {
            tracing::debug!(%error, "an admin connection ended");
        }
    });
    Ok(connection)
}
