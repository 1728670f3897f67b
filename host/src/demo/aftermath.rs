//! After the acts: the cluster runs on, a line per event, and whoever is killed is started again.

use nitro_elect_protocol::ids::Term;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::act::{Demo, Led};
use super::error::DemoError;
use super::scene::Scene;
use super::show::millis;

/// How often the nodes are asked.
const LOOK: Duration = Duration::from_millis(50);
/// How long a node that was killed stays away.
const AWAY: Duration = Duration::from_secs(5);

/// What was shown last.
struct Shown {
    led: Option<Led>,
    /// The highest term that anybody led in.
    highest: Term,
    /// Since when nobody led.
    nobody_since: Option<Instant>,
    /// Why nobody leads, as it was shown last.
    because: Option<String>,
    alive: BTreeSet<String>,
    /// Nodes that are away, and when they are started again.
    away: BTreeMap<String, Instant>,
}

impl Demo {
    /// Shows what happens, until this future is dropped.
    pub(super) async fn go_on(&mut self) -> Result<(), DemoError> {
        self.show.show(&Scene::GoesOn { nodes: self.places.clone() })?;
        let led = self.leader_of_itself().await;
        let mut shown = Shown {
            highest: led.as_ref().map_or(Term(0), |led| led.term),
            led,
            nobody_since: None,
            because: None,
            alive: self.cluster.names().into_iter().collect(),
            away: BTreeMap::new(),
        };
        loop {
            self.show_processes(&mut shown)?;
            self.show_leader(&mut shown).await?;
            self.show_sight(&mut shown).await?;
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Nodes that ended are started again after a while; without enclave or proxy the cluster goes on as it is.
    fn show_processes(&mut self, shown: &mut Shown) -> Result<(), DemoError> {
        while let Some(ended) = self.fleet.ended() {
            let name = ended.name;
            if self.places.iter().any(|place| place.node == name) {
                self.places.retain(|place| place.node != name);
                shown.away.insert(name.clone(), Instant::now() + AWAY);
            }
            self.show.show(&Scene::Ended { name, how: ended.how })?;
        }
        let now = Instant::now();
        let due: Vec<String> =
            shown.away.iter().filter(|(_, back)| **back <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            shown.away.remove(&name);
            self.start_again(&name)?;
        }
        Ok(())
    }

    async fn show_leader(&mut self, shown: &mut Shown) -> Result<(), DemoError> {
        let Some(led) = self.leader_of_itself().await else {
            return self.show_nobody(shown).await;
        };
        let after_ms = shown.nobody_since.take().map(|since| millis(since.elapsed()));
        shown.because = None;
        if shown.led.as_ref() == Some(&led) && after_ms.is_none() {
            return Ok(());
        }
        shown.highest = shown.highest.max(led.term);
        shown.led = Some(led.clone());
        self.show.show(&Scene::Leads { leader: led.leader, term: led.term, after_ms })
    }

    /// One look without a leader is no news: it may have moved between two answers.
    async fn show_nobody(&mut self, shown: &mut Shown) -> Result<(), DemoError> {
        let since = *shown.nobody_since.get_or_insert_with(Instant::now);
        if since.elapsed() < AWAY || shown.because.is_some() {
            return Ok(());
        }
        let because = self.why_nobody_leads().await.unwrap_or_else(|| "no node answers".into());
        shown.because = Some(because.clone());
        self.show.show(&Scene::NobodyLeads { because })
    }

    /// Whom the leader sees alive.
    async fn show_sight(&mut self, shown: &mut Shown) -> Result<(), DemoError> {
        let Some(led) = &shown.led else { return Ok(()) };
        let leader = led.leader.clone();
        let Some(eye) = self.eyes.iter_mut().find(|eye| eye.name == leader) else { return Ok(()) };
        let Some(seen) = eye.sees().await else { return Ok(()) };
        let alive: BTreeSet<String> = seen.into_iter().chain([leader]).collect();
        for node in shown.alive.symmetric_difference(&alive) {
            self.show.show(&Scene::Sees { node: node.clone(), alive: alive.contains(node) })?;
        }
        shown.alive = alive;
        Ok(())
    }
}
