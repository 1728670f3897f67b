//! Letting clients in: by their key on a `tls://` port, as they come on a plain one.

use super::served::Client;
use super::session::{Session, farewell};
use super::shared::Shared;
use crate::transport::endpoint::Endpoint;
use crate::transport::listen::{Listener, bear};
use crate::transport::seats::{Seat, neighbourhood};
use crate::transport::stream::{Origin, Stream};
use crate::transport::tls::{TlsIdentity, TlsServer};
use nitro_elect_protocol::enclave_api::EnclaveRefusal;
use nitro_elect_protocol::ids::NodeId;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Accepts connections until the proxy closes; returns when the last of them has ended.
pub async fn accept(shared: Arc<Shared>, listener: Listener) {
    let is_tls = matches!(listener.endpoint(), Endpoint::Tls(_));
    let tls = is_tls.then(|| TlsServer::of_proxy(&TlsIdentity::throw_away()));
    let mut closing = shared.closing.subscribe();
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= shared.connections_max {
            // Seats are what bounds connections: those who lost theirs have only to be let go.
            connections.join_next().await;
            continue;
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => break,
        };
        match accepted {
            Ok((stream, origin)) => {
                shared.counters.connections.up();
                let client = at(origin);
                let seat = shared.seat(client);
                connections.spawn(serve(shared.clone(), tls.clone(), client, stream, seat));
            }
            Err(error) => bear(&error, &shared.counters.accept_failures, || shared.may_log()).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// A connection from its first byte to its end.
async fn serve(
    shared: Arc<Shared>,
    tls: Option<TlsServer>,
    client: Client,
    stream: Stream,
    seat: Seat<Client>,
) {
    match tls {
        None => Session::new(shared.clone(), client, stream).serve_plain(seat).await,
        Some(server) => serve_tls(&shared, &server, client, stream, seat).await,
    }
    shared.counters.connections_closed.up();
}

async fn serve_tls(
    shared: &Arc<Shared>,
    server: &TlsServer,
    client: Client,
    stream: Stream,
    mut seat: Seat<Client>,
) {
    let admitted = tokio::select! {
        admitted = admit(shared, server, client, stream) => admitted,
        () = seat.lost() => return,
    };
    drop(seat);
    if let Some((key, stream)) = admitted {
        Session::new(shared.clone(), Client::Node(key), stream).serve_node(key).await;
    }
}

/// Learns a client's key; one that is not admitted is told so.
async fn admit(
    shared: &Shared,
    server: &TlsServer,
    client: Client,
    stream: Stream,
) -> Option<(NodeId, Stream)> {
    match server.accept(stream, shared.bounds.handshake_deadline).await {
        Ok((stream, key, _)) if shared.served.admits(&key) => Some((key, Box::new(stream))),
        Ok((mut stream, key, _)) => {
            shared.counters.not_admitted.up();
            shared.log_refusal(&client, &format_args!("the key {} is in no manifest", key.short()));
            farewell(&mut stream, EnclaveRefusal::NotServed).await;
            None
        }
        Err(error) => {
            shared.counters.handshakes_failed.up();
            shared.log_refusal(&client, &error);
            None
        }
    }
}

fn at(origin: Origin) -> Client {
    match origin {
        Origin::Ip(address) => Client::Ip(neighbourhood(address.ip())),
        Origin::Vsock { cid, .. } => Client::Vsock(cid),
        Origin::Unix => Client::Local,
    }
}
