//! From what the links tell to events of the core: frames are decoded here, off the thread that runs the rules.
//!
//! Failed dials that an operator can do something about are told of, once in a while for each peer.
//!
//! A frame that holds no message ends its connection, and is counted; one of another version gets the answer that
//! says so, at most once a second for each peer, so that two programs of different versions do not answer each
//! other for ever.

use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::peer::{EnvelopeError, PeerMessage, open_envelope, seal_envelope};
use nitro_elect_protocol::time::Boot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

use super::handle::Shared;
use super::limits::UNREACHED_LINE_EVERY;
use super::names::Names;
use crate::clock;
use crate::core::event::Event;
use crate::transport::links::{DownReason, LinkEvent, Links, Room};

/// The least time between two answers to messages of unknown versions.
const ANSWER_EVERY: Duration = Duration::from_secs(1);

/// An event, with the room that its bytes take until it is dealt with.
#[derive(Debug)]
pub struct Inbound {
    pub event: Event,
    pub room: Room,
}

/// Translates for as long as both sides live.
pub async fn translate(
    mut from: mpsc::Receiver<LinkEvent>,
    links: Arc<Links>,
    shared: Arc<Shared>,
    names: Names,
    to: mpsc::Sender<Inbound>,
) {
    let (answered, told) = (BTreeMap::new(), BTreeMap::new());
    let mut translator = Translator { links, shared, names, answered, told };
    while let Some(event) = from.recv().await {
        if let Some(inbound) = translator.translate(event)
            && to.send(inbound).await.is_err()
        {
            return;
        }
    }
}

struct Translator {
    links: Arc<Links>,
    shared: Arc<Shared>,
    names: Names,
    /// When peers of other versions were last answered.
    answered: BTreeMap<NodeId, Boot>,
    /// When dials of peers and addresses were last told of. There are no more than are dialled.
    told: BTreeMap<String, Boot>,
}

impl Translator {
    fn translate(&mut self, event: LinkEvent) -> Option<Inbound> {
        let without_room = |event| Some(Inbound { event, room: Room::default() });
        match event {
            LinkEvent::Frame { from, bytes, room } => {
                let message = self.read(from, &bytes)?;
                Some(Inbound { event: Event::Received { from, message }, room })
            }
            LinkEvent::Will { from, bytes } => {
                let message = self.read(from, &bytes)?;
                if !matches!(message, PeerMessage::Resign(_)) {
                    self.shared.counters.frames_malformed.up();
                    return None;
                }
                without_room(Event::Received { from, message })
            }
            LinkEvent::Up { peer, address, dialled } => {
                without_room(Event::PeerUp { peer, reached_at: dialled.then(|| address.to_string()) })
            }
            LinkEvent::Down { peer, reason } => {
                self.answered.remove(&peer);
                if is_wrong(&reason) {
                    self.complain(self.names.of(&peer).name, &reason);
                }
                without_room(Event::PeerDown { peer })
            }
            LinkEvent::Unreachable { address, reason } => {
                self.complain(address, &reason);
                None
            }
            LinkEvent::Refused { .. } => None,
        }
    }

    fn complain(&mut self, peer: String, reason: &DownReason) {
        let now = clock::boot();
        if self.told.get(&peer).is_none_or(|last| now.since(*last) >= UNREACHED_LINE_EVERY) {
            tracing::warn!("no connection to {peer}: {reason}; it is dialled on");
            self.told.insert(peer, now);
        }
    }

    fn read(&mut self, from: NodeId, bytes: &[u8]) -> Option<PeerMessage> {
        let read = open_envelope::<PeerMessage>(bytes).and_then(|message| {
            message.check_bounds()?;
            Ok(message)
        });
        match read {
            Ok(message) => Some(message),
            Err(EnvelopeError::Version(v)) => {
                self.shared.counters.frames_unknown_version.up();
                self.answer_version(from, v);
                None
            }
            Err(EnvelopeError::Decode(why)) => {
                self.shared.counters.frames_malformed.up();
                tracing::debug!(from = %from.short(), %why, "a frame is no message; its connection ends");
                self.links.hang_up(&from);
                None
            }
        }
    }

    fn answer_version(&mut self, from: NodeId, v: u32) {
        let now = clock::boot();
        let due = self.answered.get(&from).is_none_or(|last| now.since(*last) >= ANSWER_EVERY);
        if due {
            self.answered.insert(from, now);
            self.links.send(&from, seal_envelope(&PeerMessage::UnknownVersion { v }));
        }
    }
}

/// Whether a failed dial shows more than that a node is away: its address, key or admission is wrong.
fn is_wrong(reason: &DownReason) -> bool {
    matches!(
        reason,
        DownReason::WrongKey { .. }
            | DownReason::NotANode
            | DownReason::TurnedAway(_)
            | DownReason::NotAdmitted(_)
            | DownReason::NoSuchName
    )
}
