//! `GET /v1/watch`: what happens at the node, as server-sent events.
//!
//! A client that reconnects with `Last-Event-ID` gets what it missed, as far as it is kept. One that reads too slowly
//! is told so and let go: it can reconnect.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use super::answers::Fault;
use super::limits::{WATCH_BEAT, WATCH_QUEUE, WATCH_STALL};
use super::routes::Served;
use crate::node::happening::Happening;

/// Begins to watch.
pub async fn watch(State(served): State<Served>, headers: HeaderMap) -> Result<Response, Fault> {
    let full = |_| Fault::new(StatusCode::SERVICE_UNAVAILABLE, "all places for watchers are taken");
    let place = served.watchers.clone().try_acquire_owned().map_err(full)?;
    let (past, news) = served.node.happenings().follow(last_event_id(&headers));
    let (to, events) = mpsc::channel(WATCH_QUEUE);
    let counters = served.node.http().clone();
    counters.watchers.up();
    tokio::spawn(async move {
        let _let_go = pass_on(past, news, to).await;
        drop(place);
        counters.watchers_left.up();
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::new(EventBody { events })).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// The watcher is gone or too slow.
struct LetGo;

async fn pass_on(
    past: Vec<Arc<Happening>>,
    mut news: broadcast::Receiver<Arc<Happening>>,
    to: mpsc::Sender<Bytes>,
) -> Result<(), LetGo> {
    send(&to, ": nitro-elect\n\n".into()).await?;
    for happening in past {
        send(&to, event(&happening)).await?;
    }
    loop {
        let text = match timeout(WATCH_BEAT, news.recv()).await {
            Ok(Ok(happening)) => event(&happening),
            Ok(Err(RecvError::Lagged(missed))) => {
                return send(&to, format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n")).await;
            }
            Ok(Err(RecvError::Closed)) => return Ok(()),
            Err(_) => ": still here\n\n".into(),
        };
        send(&to, text).await?;
    }
}

async fn send(to: &mpsc::Sender<Bytes>, text: String) -> Result<(), LetGo> {
    match timeout(WATCH_STALL, to.send(text.into())).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(LetGo),
    }
}

/// One event; its JSON has no line feed.
fn event(happening: &Happening) -> String {
    let data = serde_json::to_string(happening).expect("numbers, texts and structs are JSON");
    format!("id: {}\nevent: {}\ndata: {data}\n\n", happening.seq, happening.what.name())
}

/// A body of as many chunks as there will be events.
struct EventBody {
    events: mpsc::Receiver<Bytes>,
}

impl hyper::body::Body for EventBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.events.poll_recv(context).map(|event| event.map(|bytes| Ok(Frame::data(bytes))))
    }
}
