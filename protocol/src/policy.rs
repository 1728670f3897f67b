//! Who leads: the policies of DESIGN §3.3, and the succession of §3.5. All of it is preference, never safety.

use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::net::{IpAddr, SocketAddr};

use crate::electorate::Voter;
use crate::hash;
use crate::ids::{NodeId, Term};

/// The rule that picks a leader among candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The highest weight; ties by the smallest key.
    Priority,
    /// The highest address, (IP, port) compared as numbers: the rule of the original example.
    Highest,
    /// By term, in the order of keys.
    Rotate,
    /// Uniformly at random, drawn inside the enclave once the views are fixed.
    Lottery,
}

/// What happens when a voter of higher weight than the leader's is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefer {
    /// The leader stays.
    Stay,
    /// The leader hands over to a voter of higher weight that it saw active for ten leases.
    Return,
}

/// A cluster's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The rule that picks.
    pub rule: Rule,
    /// Whether an incumbent that is a candidate stays.
    pub sticky: bool,
    /// Whether leadership returns to the preferred voter.
    pub prefer: Prefer,
}

impl Policy {
    /// The policy with this rule and its defaults: sticky for `priority` alone, and staying.
    pub fn of(rule: Rule) -> Self {
        Policy { rule, sticky: rule == Rule::Priority, prefer: Prefer::Stay }
    }

    /// Picks one of the candidates, or none of none. `lottery` is asked for randomness only by its own rule.
    pub fn pick(
        &self,
        candidates: &[&Voter],
        term: Term,
        lottery: impl FnOnce() -> [u8; 16],
    ) -> Option<NodeId> {
        let mut order: Vec<&Voter> = candidates.to_vec();
        order.sort_by_key(|voter| voter.key);
        let count = order.len();
        let index = |number: u128| usize::try_from(number % count.max(1) as u128).expect("less than a count");
        let chosen = match self.rule {
            Rule::Priority => order.iter().min_by_key(|voter| (Reverse(voter.weight), voter.key)).copied(),
            Rule::Highest => order.iter().max_by_key(|voter| address_order(voter)).copied(),
            Rule::Rotate => order.get(index(term.0.into())).copied(),
            // 128 bits over at most 128 candidates: the bias is below 2^-120.
            Rule::Lottery => order.get(index(u128::from_be_bytes(lottery()))).copied(),
        };
        chosen.map(|voter| voter.key)
    }

    /// The succession: in which order voters are to call when there is no leader, given the highest term known.
    pub fn succession(&self, voters: &[&Voter], highest: Term) -> Vec<NodeId> {
        let mut order: Vec<&Voter> = voters.to_vec();
        match self.rule {
            Rule::Priority => order.sort_by_key(|voter| (Reverse(voter.weight), voter.key)),
            Rule::Highest => order.sort_by_key(|voter| Reverse(address_order(voter))),
            Rule::Rotate | Rule::Lottery => {
                order.sort_by_key(|voter| (shuffled(voter.key, highest), voter.key))
            }
        }
        order.into_iter().map(|voter| voter.key).collect()
    }
}

fn shuffled(key: NodeId, highest: Term) -> [u8; 32] {
    hash::framed("nitro-elect/v1/succession", &[&highest.0.to_be_bytes(), &key.0])
}

/// The order of addresses: names below numbers, IPv4 as the IPv6 addresses that map it, then ports, then keys.
fn address_order(voter: &Voter) -> (Option<(u128, u16)>, &str, NodeId) {
    let number = voter.address.parse::<SocketAddr>().ok().map(|address| {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        (u128::from(ip), address.port())
    });
    (number, voter.address.as_str(), voter.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(key: u8, address: &str, weight: u32) -> Voter {
        Voter { key: NodeId([key; 32]), name: format!("n{key}"), address: address.into(), weight }
    }

    fn pick(rule: Rule, voters: &[Voter], term: u64, lottery: u128) -> u8 {
        let candidates: Vec<&Voter> = voters.iter().collect();
        let picked = Policy::of(rule).pick(&candidates, Term(term), || lottery.to_be_bytes());
        picked.expect("there are candidates").0[0]
    }

    #[test]
    fn priority_takes_the_highest_weight_and_the_smallest_key_among_equals() {
        let voters = [voter(3, "a:1", 5), voter(2, "a:2", 9), voter(1, "a:3", 9)];
        assert_eq!(pick(Rule::Priority, &voters, 1, 0), 1);
        let order = Policy::of(Rule::Priority).succession(&voters.iter().collect::<Vec<_>>(), Term(0));
        assert_eq!(order.iter().map(|key| key.0[0]).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn highest_compares_addresses_and_ports_as_numbers() {
        let voters = [voter(1, "10.0.0.9:5000", 0), voter(2, "10.0.0.10:5000", 0), voter(3, "zeta:1", 0)];
        assert_eq!(pick(Rule::Highest, &voters, 1, 0), 2);
        let ports = [voter(1, "127.0.0.1:10000", 0), voter(2, "127.0.0.1:9999", 0)];
        assert_eq!(pick(Rule::Highest, &ports, 1, 0), 1);
    }

    #[test]
    fn rotate_goes_round_by_term_and_lottery_by_its_draw() {
        let voters = [voter(1, "a:1", 0), voter(2, "a:2", 0), voter(3, "a:3", 0)];
        assert_eq!([1, 2, 3, 4].map(|term| pick(Rule::Rotate, &voters, term, 0)), [2, 3, 1, 2]);
        assert_eq!([0, 1, 5].map(|draw| pick(Rule::Lottery, &voters, 9, draw)), [1, 2, 3]);
    }

    #[test]
    fn the_order_in_which_candidates_are_given_does_not_matter() {
        let voters = [voter(1, "1.1.1.1:1", 1), voter(2, "1.1.1.1:2", 1), voter(3, "1.1.1.1:3", 1)];
        let reversed: Vec<Voter> = voters.iter().rev().cloned().collect();
        for rule in [Rule::Priority, Rule::Highest, Rule::Rotate, Rule::Lottery] {
            assert_eq!(pick(rule, &voters, 7, 11), pick(rule, &reversed, 7, 11), "{rule:?}");
        }
    }

    #[test]
    fn no_candidates_give_no_leader() {
        assert_eq!(Policy::of(Rule::Lottery).pick(&[], Term(1), || [0; 16]), None);
    }
}
