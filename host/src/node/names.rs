//! What people call the nodes: names where they are known, the head of the key where not.

use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

use crate::core::status::Status;

/// A node as people and programs are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name, or the first digits of its key.
    pub name: String,
    /// Its key, in hexadecimal digits.
    pub key: String,
}

impl fmt::Display for Named {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name)
    }
}

/// The names known so far: a manifest's, and those that heartbeats carry.
#[derive(Clone, Debug, Default)]
pub struct Names {
    known: BTreeMap<NodeId, String>,
}

impl Names {
    /// The names that a manifest gives.
    pub fn of_voters(electorate: &Electorate) -> Self {
        Names { known: electorate.voters.iter().map(|voter| (voter.key, voter.name.clone())).collect() }
    }

    /// Takes over what a node knows of itself and of others.
    pub fn learn(&mut self, status: &Status) {
        self.known.insert(status.id, status.name.clone());
        let named = status.members.iter().filter(|member| !member.name.is_empty());
        self.known.extend(named.map(|member| (member.id, member.name.clone())));
    }

    /// Whether there is a name for this node.
    pub fn knows(&self, node: &NodeId) -> bool {
        self.known.contains_key(node)
    }

    /// The node, named.
    pub fn of(&self, node: &NodeId) -> Named {
        let name = self.known.get(node).cloned().unwrap_or_else(|| node.short());
        Named { name, key: node.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_a_name_is_called_by_the_head_of_its_key() {
        let mut names = Names::default();
        let node = NodeId([0xab; 32]);
        assert_eq!(names.of(&node).name, "abababab");
        names.known.insert(node, "alpha".into());
        assert_eq!(names.of(&node).to_string(), "alpha");
        assert_eq!(names.of(&node).key, node.to_string());
    }
}
