//! Resignations remembered: one per node, of its highest generation (DESIGN §3.4).

use nitro_elect_protocol::ids::{Generation, NodeId, Term};
use nitro_elect_protocol::resign::Resign;
use nitro_elect_protocol::statement::Verified;
use std::collections::BTreeMap;

/// What each node last resigned from. At most one entry a voter: the caller admits voters only.
#[derive(Clone, Debug, Default, Hash)]
pub struct Resigns {
    nodes: BTreeMap<NodeId, Verified<Resign>>,
}

impl Resigns {
    /// Remembers a resignation unless a later one is known. Says whether it was news.
    pub fn remember(&mut self, resign: &Verified<Resign>) -> bool {
        let order = |resign: &Resign| (resign.generation, resign.up_to_term);
        let newer = self.nodes.get(&resign.node).is_none_or(|known| order(resign) > order(known));
        if newer {
            self.nodes.insert(resign.node, resign.clone());
        }
        newer
    }

    /// The remembered resignation that covers this node, life and term.
    pub fn covering(&self, node: NodeId, generation: Generation, term: Term) -> Option<&Verified<Resign>> {
        self.nodes.get(&node).filter(|resign| resign.covers(node, generation, term))
    }

    /// What this node last resigned from.
    pub fn of(&self, node: &NodeId) -> Option<&Verified<Resign>> {
        self.nodes.get(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_elect_protocol::crypto::{NodeKey, Signer};
    use nitro_elect_protocol::ids::ClusterId;

    fn resign(generation: u64, term: u64) -> Verified<Resign> {
        let key = NodeKey::from_seed([1; 32]);
        let (cluster, node) = (ClusterId([1; 16]), key.id());
        let (generation, up_to_term) = (Generation(generation), Term(term));
        Verified::sign(Resign { cluster, node, generation, up_to_term, successor: None }, &key)
    }

    #[test]
    fn the_highest_generation_and_then_the_highest_term_is_remembered() {
        let mut resigns = Resigns::default();
        assert!(resigns.remember(&resign(1, 5)));
        assert!(!resigns.remember(&resign(1, 4)));
        assert!(resigns.remember(&resign(2, 1)));
        assert!(!resigns.remember(&resign(1, 9)));
        let node = resign(1, 1).node;
        assert!(resigns.covering(node, Generation(2), Term(1)).is_some());
        assert!(resigns.covering(node, Generation(2), Term(2)).is_none());
        assert!(resigns.covering(node, Generation(1), Term(5)).is_none());
    }
}
