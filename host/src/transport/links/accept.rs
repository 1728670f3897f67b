//! Letting peers in: from an accepted connection to a link or a refusal, within one deadline.

use super::admission::Unwelcome;
use super::event::{LinkEvent, RefusedReason};
use super::greeting::{GREETING_MAX, Greeting};
use super::shared::{NewLink, Shared};
use super::table::Direction;
use crate::limits::LAST_WILL_MAX;
use crate::transport::frame::{Deadlines, FrameReader, write_frame};
use crate::transport::listen::bear;
use crate::transport::seats::{Seat, neighbourhood};
use crate::transport::socket;
use crate::transport::stream::Stream;
use crate::transport::tls::{Service, TlsServer};
use nitro_elect_protocol::ids::NodeId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// Accepts connections for as long as the links live.
pub async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    let server = TlsServer::of_node(&shared.identity);
    loop {
        match listener.accept().await {
            Ok((stream, address)) => take_in(&shared, &server, stream, address),
            Err(error) => bear(&error, &shared.counters.accept_failures, || shared.may_log()).await,
        }
    }
}

/// Gives a new connection a seat among the strangers, at the cost of another one if need be.
fn take_in(shared: &Arc<Shared>, server: &TlsServer, stream: TcpStream, address: SocketAddr) {
    shared.counters.strangers.up();
    let (seat, pushed_out) = shared.strangers.take(neighbourhood(address.ip()));
    if pushed_out {
        shared.counters.strangers_pushed_out.up();
    }
    shared.spawn(meet(shared.clone(), server.clone(), stream, address, seat));
}

/// A connection from its first byte to its end.
async fn meet(
    shared: Arc<Shared>,
    server: TlsServer,
    stream: TcpStream,
    address: SocketAddr,
    mut seat: Seat<IpAddr>,
) {
    let deadline = shared.bounds.handshake_deadline;
    let met = tokio::select! {
        met = tokio::time::timeout(deadline, shake_hands(&shared, &server, stream)) => met,
        () = seat.lost() => return,
    };
    match met.unwrap_or(Err((None, RefusedReason::TooSlow))) {
        Ok(Guest { peer, service: Service::Will, stream }) => {
            tokio::select! {
                () = hear_will(&shared, peer, stream) => (),
                () = seat.lost() => (),
            }
        }
        Ok(Guest { peer, stream, .. }) => {
            drop(seat);
            let queue = shared.new_queue();
            let direction = Direction::Accepted;
            shared.run_link(NewLink { peer, direction, address, stream, queue }).await;
        }
        Err((key, reason)) => shared.refused(address, key, reason),
    }
}

/// Somebody who was let in.
struct Guest {
    peer: NodeId,
    service: Service,
    stream: Stream,
}

/// Takes one frame from a node's supervisor and hangs up. It is no link: the node's own, if its next life has any by
/// now, are left alone, and the seat among the strangers is kept meanwhile.
async fn hear_will(shared: &Shared, from: NodeId, mut stream: Stream) {
    let deadline = shared.bounds.handshake_deadline;
    let deadlines = Deadlines { idle: deadline, frame: deadline };
    let Ok(bytes) = FrameReader::new(&mut stream).read(LAST_WILL_MAX, deadlines).await else { return };
    shared.counters.wills_heard.up();
    let _node_is_gone = shared.events.send(LinkEvent::Will { from, bytes }).await;
    let _gone_already = stream.shutdown().await;
}

/// Learns who the other side is and tells it whether it may stay.
async fn shake_hands(
    shared: &Shared,
    server: &TlsServer,
    stream: TcpStream,
) -> Result<Guest, (Option<NodeId>, RefusedReason)> {
    let left = |_| (None, RefusedReason::Left);
    socket::prepare(&stream, shared.bounds.unacknowledged).map_err(left)?;
    let deadline = shared.bounds.handshake_deadline;
    let shaken = server.accept(stream, deadline).await;
    let (mut stream, key, service) = shaken.map_err(|error| (None, error.into()))?;
    let judged = shared.judge(&key);
    let greeting = greeting_for(judged.err());
    let greeted = write_frame(&mut stream, &greeting.encode(), GREETING_MAX, deadline).await;
    match judged {
        Ok(_) => {
            greeted.map_err(|_| (Some(key), RefusedReason::Left))?;
            Ok(Guest { peer: key, service, stream: Box::new(stream) })
        }
        Err(unwelcome) => {
            let _gone_already = stream.shutdown().await;
            Err((Some(key), RefusedReason::Unwelcome(unwelcome)))
        }
    }
}

fn greeting_for(refusal: Option<Unwelcome>) -> Greeting {
    refusal.map_or(Greeting::Welcome, Greeting::Unwelcome)
}
