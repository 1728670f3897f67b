//! Who is in the cluster, and the newest heartbeat of each: what gossip fills and elections read.
//!
//! Voters are there from the start and always have their place; observers come and go within a bound.

use nitro_elect_protocol::electorate::{Electorate, Voter};
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::DigestEntry;
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::time::{Boot, Now, Wall};
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::config::Observers;
use super::detector::Pulse;
use super::terms::lower_median;
use super::timing::Timing;

/// One node as this one sees it.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its newest heartbeat, and when it arrived.
    pub newest: Option<(Verified<Heartbeat>, Boot)>,
    /// Whether it votes (in an open cluster: whether it may).
    pub voter: bool,
    /// Its place in the manifest.
    pub listed: Option<Voter>,
    /// Whether a connection to it is open.
    pub connected: bool,
    /// The address at which this node reached it with its key.
    pub reached_at: Option<String>,
    /// Since when it is seen alive without a break; none while it is not.
    pub active_since: Option<Boot>,
    pulse: Pulse,
}

impl Member {
    /// Its name: the manifest's, or what it says itself.
    pub fn name(&self) -> &str {
        match (&self.listed, &self.newest) {
            (Some(voter), _) => &voter.name,
            (None, Some((heartbeat, _))) => &heartbeat.name,
            (None, None) => "",
        }
    }

    /// Its address: the manifest's, or what it says itself.
    pub fn address(&self) -> &str {
        match (&self.listed, &self.newest) {
            (Some(voter), _) => &voter.address,
            (None, Some((heartbeat, _))) => &heartbeat.address,
            (None, None) => "",
        }
    }

    /// What it says speaks against its leading.
    pub fn flags(&self) -> Flags {
        self.newest.as_ref().map(|(heartbeat, _)| heartbeat.flags).unwrap_or_default()
    }

    /// The highest term it says it holds a certificate of.
    pub fn highest_term(&self) -> Term {
        self.newest.as_ref().map(|(heartbeat, _)| heartbeat.highest_term).unwrap_or_default()
    }

    /// How long ago it showed life.
    pub fn silent_for(&self, now: Boot) -> Option<Duration> {
        self.pulse.silent_for(now)
    }
}

/// Who is seen alive, and until when; not what it says of itself.
impl Hash for Member {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.voter, self.connected, &self.reached_at, self.active_since, &self.pulse).hash(state);
        self.flags().eligible().hash(state);
    }
}

/// All nodes that this one knows, but itself.
#[derive(Clone, Debug)]
pub struct Members {
    me: NodeId,
    timing: Timing,
    nodes: BTreeMap<NodeId, Member>,
    observers: Observers,
    /// Members of an open cluster, or none if voters are listed.
    open_max: Option<usize>,
    /// How late this node itself runs: detection waits that much longer.
    pub lateness: Duration,
}

impl Hash for Members {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.nodes, self.lateness).hash(state);
    }
}

/// What a heartbeat changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: an older one, or nobody we admit.
    None,
    /// It is newer.
    News,
}

impl Members {
    /// The members of a manifest.
    pub fn listed(me: NodeId, electorate: &Electorate, observers: Observers, timing: Timing) -> Self {
        let others = electorate.voters.iter().filter(|voter| voter.key != me);
        let nodes = others
            .map(|voter| {
                (voter.key, Member { voter: true, listed: Some(voter.clone()), ..Member::default() })
            })
            .collect();
        Members { me, timing, nodes, observers, open_max: None, lateness: Duration::ZERO }
    }

    /// The members of an open cluster: none yet, and at most `max` with this node.
    pub fn open(me: NodeId, max: usize, timing: Timing) -> Self {
        let (nodes, observers) = (BTreeMap::new(), Observers::Off);
        Members { me, timing, nodes, observers, open_max: Some(max), lateness: Duration::ZERO }
    }

    /// Whether a node may take part, now: voters always, others while there is room.
    pub fn admits(&self, node: &NodeId) -> bool {
        if self.nodes.contains_key(node) || *node == self.me {
            return true;
        }
        let strangers = || self.nodes.values().filter(|member| member.listed.is_none()).count();
        match (self.open_max, &self.observers) {
            (Some(max), _) => strangers() + 1 < max,
            (None, Observers::Off) => false,
            (None, Observers::Listed(keys)) => keys.contains(node),
            (None, Observers::Open(max)) => strangers() < *max,
        }
    }

    /// The member with this key.
    pub fn get(&self, node: &NodeId) -> Option<&Member> {
        self.nodes.get(node)
    }

    /// The member with this key, made if it is admitted.
    pub fn admit(&mut self, node: NodeId) -> Option<&mut Member> {
        if node == self.me || !self.admits(&node) {
            return None;
        }
        let voter = self.open_max.is_some();
        Some(self.nodes.entry(node).or_insert_with(|| Member { voter, ..Member::default() }))
    }

    /// All members by key.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Member)> {
        self.nodes.iter()
    }

    /// Whether this heartbeat would be newer than what is known.
    pub fn is_newer(&self, heartbeat: &Heartbeat) -> bool {
        let known = self.nodes.get(&heartbeat.node).and_then(|member| member.newest.as_ref());
        known.is_none_or(|(known, _)| heartbeat.order() > known.order())
    }

    /// Takes in a heartbeat whose signature was checked.
    pub fn hear(&mut self, heartbeat: Verified<Heartbeat>, now: Boot) -> Change {
        let timing = self.timing;
        if !self.is_newer(&heartbeat) {
            return Change::None;
        }
        let Some(member) = self.admit(heartbeat.node) else { return Change::None };
        member.pulse.beat(heartbeat.generation, heartbeat.boot, now, timing);
        member.newest = Some((heartbeat, now));
        Change::News
    }

    /// Looks at the time: who became active, who fell silent.
    pub fn settle(&mut self, now: Boot) -> Vec<(NodeId, bool)> {
        let (timing, lateness) = (self.timing, self.lateness);
        let mut changes = Vec::new();
        for (node, member) in &mut self.nodes {
            let alive = member.pulse.is_alive(now, lateness, timing);
            if alive != member.active_since.is_some() {
                member.active_since = alive.then_some(now);
                changes.push((*node, alive));
            }
        }
        changes
    }

    /// When the next member falls silent if nothing comes.
    pub fn next_silence(&self) -> Option<Boot> {
        let active = self.nodes.values().filter(|member| member.active_since.is_some());
        active.filter_map(|member| member.pulse.silent_from(self.lateness, self.timing)).min()
    }

    /// Whether a node is seen alive; this one always is.
    pub fn is_active(&self, node: &NodeId) -> bool {
        *node == self.me || self.nodes.get(node).is_some_and(|member| member.active_since.is_some())
    }

    /// Forgets members that nobody listed and that were silent for `span`: room for others.
    pub fn forget_silent(&mut self, span: Duration, now: Boot) -> Vec<NodeId> {
        let gone = |member: &Member| {
            let silent = member.pulse.silent_for(now).is_none_or(|silent| silent > span);
            member.listed.is_none() && !member.connected && silent
        };
        let forgotten: Vec<NodeId> =
            self.nodes.iter().filter(|(_, member)| gone(member)).map(|(node, _)| *node).collect();
        self.nodes.retain(|node, _| !forgotten.contains(node));
        forgotten
    }

    /// Which heartbeats this node has, its own among them.
    pub fn digest(&self, own: &Heartbeat) -> Vec<DigestEntry> {
        let entry = |heartbeat: &Heartbeat| DigestEntry {
            node: heartbeat.node,
            generation: heartbeat.generation,
            seq: heartbeat.seq,
        };
        let others = self.nodes.values().filter_map(|member| member.newest.as_ref());
        std::iter::once(entry(own)).chain(others.map(|(heartbeat, _)| entry(heartbeat))).collect()
    }

    /// The cluster clock: the lower median of the wall clocks in the newest heartbeats of all voters, carried
    /// forward on this node's clock; this node's own if fewer than n - f are known (DESIGN §3.2).
    pub fn cluster_clock(&self, electorate: &Electorate, now: Now) -> Wall {
        let heard = electorate.voters.iter().filter_map(|voter| {
            let (heartbeat, arrived) = self.nodes.get(&voter.key)?.newest.as_ref()?;
            Some(heartbeat.wall + now.boot.since(*arrived))
        });
        let own = electorate.contains(&self.me).then_some(now.wall);
        let clocks: Vec<Wall> = heard.chain(own).collect();
        let enough = clocks.len() >= electorate.n() - electorate.f();
        lower_median(clocks).filter(|_| enough).unwrap_or(now.wall)
    }
}
