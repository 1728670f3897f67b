//! TCP options that connections rely on.

use crate::limits::{ABSENT_AFTER, ABSENT_PROBE};
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// Sends small frames at once, and ends the connection when sent bytes stay unacknowledged for so long (RFC 5482):
/// without that, a peer behind a black hole would look alive for a quarter of an hour.
pub fn prepare(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(unacknowledged))
}

/// Sends small frames at once, and ends a connection whose other side is no longer there, idle or not (RFC 9293
/// §3.8.4, RFC 5482): without that, a machine that lost its power keeps its places until every idle deadline ends.
pub fn notice_absence(stream: &TcpStream) -> io::Result<()> {
    prepare(stream, ABSENT_AFTER)?;
    let probes = TcpKeepalive::new().with_time(ABSENT_PROBE).with_interval(ABSENT_PROBE);
    SockRef::from(stream).set_tcp_keepalive(&probes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_options_are_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream, Duration::from_millis(1234)).unwrap();
        let timeout = SockRef::from(&stream).tcp_user_timeout().unwrap();
        assert_eq!((stream.nodelay().unwrap(), timeout), (true, Some(Duration::from_millis(1234))));
    }

    #[tokio::test]
    async fn the_other_side_of_an_idle_connection_is_asked_whether_it_is_there() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        notice_absence(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
        let times = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
        assert_eq!(times, (ABSENT_PROBE, ABSENT_PROBE));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(ABSENT_AFTER));
    }
}
