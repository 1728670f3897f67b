//! The other end of `GET /v1/watch`: a node's happenings as they come (server-sent events, WHATWG HTML §9.2).
//!
//! Only what our own server sends is understood: one `id`, one `event` and one `data` line each, and comments.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use std::net::SocketAddr;
use tokio::time::timeout;

use super::client::{AskError, connect, in_words};
use super::limits::{EVENT_MAX, WATCH_BEAT};
use super::token::Token;

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its number, to go on from.
    pub id: Option<u64>,
    /// Its kind.
    pub event: String,
    /// Its JSON.
    pub data: String,
}

/// A stream of events.
#[derive(Debug)]
pub struct Follower {
    address: SocketAddr,
    body: Incoming,
    waiting: Vec<u8>,
}

impl Follower {
    /// Begins to follow; with `after`, what came after that event and is still kept comes first.
    pub async fn begin(
        address: SocketAddr,
        token: Option<&Token>,
        after: Option<u64>,
    ) -> Result<Self, AskError> {
        let failed = |cause: String| AskError::Exchange { address, cause };
        let mut connection = connect(address).await?;
        let mut request = Request::get("/v1/watch").header(HOST, address.to_string());
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.header());
        }
        if let Some(after) = after {
            request = request.header("last-event-id", after.to_string());
        }
        let request = request.body(Full::new(Bytes::new())).map_err(|error| failed(error.to_string()))?;
        let late = |_| AskError::Late { address, waited: WATCH_BEAT };
        let answer = timeout(WATCH_BEAT, connection.send_request(request)).await.map_err(late)?;
        let answer = answer.map_err(|error| failed(in_words(&error)))?;
        match answer.status() {
            StatusCode::OK => Ok(Follower { address, body: answer.into_body(), waiting: Vec::new() }),
            code => Err(failed(format!("it does not let this program watch: {code}"))),
        }
    }

    /// The next event; none when the stream ended. Silence of three beats is an error: the node is gone.
    pub async fn next(&mut self) -> Result<Option<Event>, AskError> {
        loop {
            if let Some(event) = self.take() {
                return Ok(Some(event));
            }
            if self.waiting.len() > EVENT_MAX {
                let cause = format!("an event of more than {EVENT_MAX} bytes");
                return Err(AskError::Exchange { address: self.address, cause });
            }
            let silence = WATCH_BEAT * 3;
            let late = |_| AskError::Late { address: self.address, waited: silence };
            match timeout(silence, self.body.frame()).await.map_err(late)? {
                None => return Ok(None),
                Some(Err(_)) => {
                    return Err(AskError::Exchange { address: self.address, cause: "it broke off".into() });
                }
                Some(Ok(frame)) => self.waiting.extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
            }
        }
    }

    /// The first whole event that has come; comments are none.
    fn take(&mut self) -> Option<Event> {
        loop {
            let end = self.waiting.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.waiting.drain(..end + 2).collect();
            let event = read(&String::from_utf8_lossy(&block));
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

fn read(block: &str) -> Event {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => event.id = id.parse().ok(),
            Some(("event", kind)) => event.event = kind.to_owned(),
            Some(("data", data)) => event.data = data.to_owned(),
            _ => {}
        }
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_and_a_comment_is_none() {
        let read_event = read("id: 7\nevent: elected\ndata: {\"a\": \"b: c\"}\n\n");
        let (event, data) = ("elected".to_owned(), "{\"a\": \"b: c\"}".to_owned());
        assert_eq!(read_event, Event { id: Some(7), event, data });
        assert_eq!(read(": still here\n\n"), Event::default());
    }
}
