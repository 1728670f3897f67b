//! Verifiers' nonces on their way under a renewal's challenge (DESIGN §3.4, *Lease proof*).

use nitro_elect_protocol::ids::{NodeId, Nonce};
use nitro_elect_protocol::limits::NONCES_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::time::Now;

use super::Core;

impl Core {
    /// Somebody wants a nonce under the next renewal, which a leader starts at once.
    pub(super) fn on_nonces(&mut self, asker: Option<NodeId>, nonces: Vec<Nonce>, now: Now) {
        let room = NONCES_MAX.saturating_sub(self.nonces.len());
        for nonce in nonces.into_iter().take(room) {
            self.nonces.entry(nonce).or_default().extend(asker);
        }
        if let Some(lead) = &mut self.lead {
            // No more than one extra renewal a tenth of the regular interval: a flood of nonces shares one.
            let soonest = lead.last_round().map_or(now.boot, |t0| t0 + self.timing.renewal() / 10);
            lead.next_round = lead.next_round.min(soonest.max(now.boot));
        } else if asker.is_none() {
            self.pass_nonces_on();
        }
    }

    /// A follower's own nonces go to the leader.
    fn pass_nonces_on(&mut self) {
        let leader = self.current().map(|held| held.verified.leader).filter(|leader| *leader != self.me);
        let nonces: Vec<Nonce> = self.nonces.keys().copied().collect();
        if let Some(leader) = leader {
            self.nonces.clear();
            self.send(leader, PeerMessage::Nonces(nonces));
        }
    }
}
