//! What a node's links are started with.

use super::admission::Admission;
use crate::limits;
use crate::transport::endpoint::HostPort;
use crate::transport::tls::TlsIdentity;
use nitro_elect_protocol::ids::NodeId;
use std::time::Duration;

/// Everything that [`Links::start`](super::Links::start) needs to know.
#[derive(Debug, Clone)]
pub struct LinksConfig {
    /// This node.
    pub identity: TlsIdentity,
    /// Where to listen; port 0 lets the system choose.
    pub bind: HostPort,
    /// Whom to dial from the start.
    pub peers: Vec<Peer>,
    /// Whom to let in.
    pub admission: Admission,
    /// The lease: half of it is the longest wait between dials of a voter.
    pub lease: Duration,
    /// How much of everything.
    pub bounds: Bounds,
}

/// Somebody to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The key that must be found there; without one the key is learnt (and must be admitted).
    pub key: Option<NodeId>,
    /// Where, resolved at each dial.
    pub address: HostPort,
    /// How often.
    pub class: Class,
}

/// How important a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Redialled at least every half lease.
    Voter,
    /// Redialled at least every 30 s.
    Other,
}

/// Every bound of the links; [`Bounds::default`] is right for production, tests make them small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections that have not authenticated yet.
    pub strangers: usize,
    /// The same from one IP address.
    pub strangers_per_ip: usize,
    /// From an accepted connection to its greeting.
    pub handshake_deadline: Duration,
    /// From a name to a greeting received; less under short leases.
    pub dial_deadline: Duration,
    /// From a name to a TCP connection. A lost request to connect is repeated after a second by the system, and
    /// sooner by the next dial.
    pub connect_deadline: Duration,
    /// From a frame's first byte to its last, read or written.
    pub frame_deadline: Duration,
    /// Silence in both directions that ends a connection; more under long leases.
    pub silence: Duration,
    /// Sent bytes unacknowledged for this long end a connection (`TCP_USER_TIMEOUT`); less under short leases.
    pub unacknowledged: Duration,
    /// Frames waiting to be sent on one connection.
    pub queue_frames: usize,
    /// Bytes waiting to be sent on one connection.
    pub queue_bytes: usize,
    /// Frames a second read from one connection.
    pub frames_per_second: u32,
    /// Frames read before that rate applies.
    pub frames_burst: u32,
    /// Bytes of one connection that wait for the node. At least the largest frame.
    pub inbox_bytes_per_peer: usize,
    /// Bytes of all connections that wait for the node. At least the largest frame.
    pub inbox_bytes: usize,
    /// Events that wait for the node.
    pub events: usize,
    /// Peers and addresses to dial.
    pub dials: usize,
}

impl Bounds {
    /// These bounds, as far as they fit a lease: what ends a dead connection and begins a new one must take less
    /// than the few leases within which a healed cluster has a leader, and heartbeats must not count as silence.
    pub(super) fn under(self, lease: Duration) -> Self {
        let a_second = Duration::from_secs(1);
        Bounds {
            dial_deadline: self.dial_deadline.min(lease.max(a_second)),
            connect_deadline: self.connect_deadline.min((lease / 2).max(a_second / 10)),
            silence: self.silence.max(2 * lease),
            unacknowledged: self.unacknowledged.min((2 * lease).max(a_second)),
            ..self
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            strangers: limits::STRANGERS_MAX,
            strangers_per_ip: limits::STRANGERS_PER_IP_MAX,
            handshake_deadline: limits::HANDSHAKE_DEADLINE,
            dial_deadline: limits::DIAL_DEADLINE,
            connect_deadline: limits::DIAL_DEADLINE,
            frame_deadline: limits::FRAME_DEADLINE,
            silence: limits::PEER_SILENCE,
            unacknowledged: limits::PEER_UNACKNOWLEDGED,
            queue_frames: limits::SEND_QUEUE_FRAMES,
            queue_bytes: limits::SEND_QUEUE_BYTES,
            frames_per_second: limits::PEER_FRAMES_PER_SECOND,
            frames_burst: limits::PEER_FRAMES_BURST,
            inbox_bytes_per_peer: limits::PEER_INBOX_BYTES,
            inbox_bytes: limits::INBOX_BYTES,
            events: limits::LINK_EVENTS_WAITING,
            dials: limits::DIALS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{DIAL_DEADLINE, PEER_SILENCE, PEER_UNACKNOWLEDGED};

    #[test]
    fn connections_die_and_are_dialled_at_the_leases_pace() {
        let short = Bounds::default().under(Duration::from_millis(200));
        assert_eq!(
            (short.connect_deadline, short.dial_deadline),
            (Duration::from_millis(100), Duration::from_secs(1))
        );
        assert_eq!((short.silence, short.unacknowledged), (PEER_SILENCE, Duration::from_secs(1)));
        let usual = Bounds::default().under(Duration::from_secs(1));
        assert_eq!(
            (usual.connect_deadline, usual.unacknowledged),
            (Duration::from_millis(500), Duration::from_secs(2))
        );
        let long = Bounds::default().under(Duration::from_secs(60));
        assert_eq!((long.connect_deadline, long.dial_deadline), (DIAL_DEADLINE, DIAL_DEADLINE));
        assert_eq!((long.silence, long.unacknowledged), (Duration::from_secs(120), PEER_UNACKNOWLEDGED));
    }
}
