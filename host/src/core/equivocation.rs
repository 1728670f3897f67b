//! Proof that a voter is not honest: two views that it signed for one term. Kept, one piece a voter, told to everybody
//! and to whoever connects later. It changes no rule: a voter that lies is one of the f.

use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::evidence::{Evidence, VerifiedEvidence};
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::time::Now;
use std::collections::BTreeMap;

use super::Core;
use super::event::{Action, Drop, Notice};

/// What an earlier life kept. It is verified again, since it will be told to others.
pub(super) fn recall(
    pieces: Vec<Evidence>,
    crypto: &dyn Crypto,
    cluster: ClusterId,
) -> BTreeMap<NodeId, Evidence> {
    let voter = |piece: &Evidence| Some(proof(piece, crypto, cluster)?.voter);
    pieces.into_iter().filter_map(|piece| Some((voter(&piece)?, piece))).collect()
}

/// What a piece proves in this cluster; another cluster's terms are not ours.
fn proof(piece: &Evidence, crypto: &dyn Crypto, cluster: ClusterId) -> Option<VerifiedEvidence> {
    piece.verify(crypto).ok().filter(|verified| verified.cluster == cluster)
}

impl Core {
    /// Keeps proof that a voter is not honest, and tells the others.
    pub(super) fn hear_evidence(&mut self, from: NodeId, piece: Evidence, now: Now) {
        let is_known = |voter| self.evidence.contains_key(&voter);
        if piece.first.peek().is_ok_and(|view| is_known(view.voter)) {
            return;
        }
        if from != self.me && !self.certificate_budget.spend(from, now.boot) {
            return self.dropped(from, Drop::TooMuch);
        }
        match proof(&piece, &*self.crypto, self.electorate.cluster) {
            Some(verified) if self.electorate.contains(&verified.voter) => {
                self.keep_evidence(piece, verified)
            }
            _ => self.dropped(from, Drop::Evidence),
        }
    }

    /// Tells a node that just came within reach what the others know.
    pub(super) fn tell_evidence(&mut self, peer: NodeId) {
        for piece in self.evidence.values().cloned().collect::<Vec<_>>() {
            self.send(peer, PeerMessage::Evidence(Box::new(piece)));
        }
    }

    fn keep_evidence(&mut self, piece: Evidence, verified: VerifiedEvidence) {
        self.evidence.insert(verified.voter, piece.clone());
        self.out.push(Action::Keep(Box::new(piece.clone())));
        self.out.push(Action::Notice(Notice::Equivocation(verified)));
        self.broadcast(PeerMessage::Evidence(Box::new(piece)));
    }
}
