//! The acts of the demo, in order. Each waits for what must happen and checks it; none waits for ever.

use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::Term;
use nitro_elect_protocol::quorum::quorum;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use super::cluster::Cluster;
use super::error::DemoError;
use super::eyes::Eye;
use super::fleet::Fleet;
use super::scene::{Check, Place, Scene, Sight};
use super::show::{Show, millis};
use crate::clock;
use crate::proof_file::ProofFile;
use crate::signals::Signals;
use crate::verify::{Accept, Authority, Line, Moment, Question, Status, Verdict, verify};

/// How long each thing that must happen may take: tens of times what it takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(2);
/// The time for all acts together with `--once`.
const ONCE: Duration = Duration::from_secs(60);

/// What to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many nodes.
    pub nodes: u16,
    /// Whether to end by itself.
    pub once: bool,
    /// Whether to show JSON lines.
    pub json: bool,
}

/// A running demo. Dropping it leaves nothing behind.
pub struct Demo {
    pub(super) show: Show,
    // Before the directory: processes end before their files go.
    pub(super) fleet: Fleet,
    pub(super) cluster: Cluster,
    pub(super) eyes: Vec<Eye>,
    pub(super) places: Vec<Place>,
    options: Options,
    directory: TempDir,
}

/// A leader, as the nodes know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Led {
    pub leader: String,
    pub term: Term,
}

impl Demo {
    /// Prepares a demo that starts its processes from `program`. Call it on the main thread, and drive it there.
    pub fn new(program: PathBuf, options: Options) -> Result<Self, DemoError> {
        let show = Show::new(options.json);
        let directory = tempfile::Builder::new().prefix("nitro-elect-demo-").tempdir();
        let directory = directory.map_err(DemoError::system("make a temporary directory"))?;
        let cluster = Cluster::plan(directory.path(), options.nodes)?;
        let fleet = Fleet::new(program, directory.path());
        let eyes = cluster.names().iter().map(|name| Eye::new(name, cluster.admin_port(name))).collect();
        Ok(Demo { show, fleet, cluster, eyes, places: Vec::new(), options, directory })
    }

    /// Where all files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Plays to the end, or until a signal comes; then everything is cleared away. A signal is the way to end the part
    /// that goes on by itself, and a failure before that.
    pub async fn play(mut self, signals: &mut Signals) -> Result<(), DemoError> {
        let played = tokio::select! {
            played = self.acts() => played,
            signal = signals.next() => Err(DemoError::Signal(signal)),
        };
        let played = match played {
            Ok(()) if !self.options.once => tokio::select! {
                failed = self.go_on() => failed,
                _ = signals.next() => Ok(()),
            },
            played => played,
        };
        let disorderly = self.fleet.end();
        let ended = match disorderly.is_empty() {
            true => played,
            false => played.and(Err(DemoError::Disorderly(disorderly))),
        };
        self.conclude(&ended)?;
        self.directory.close().map_err(DemoError::system("remove the temporary directory"))?;
        ended
    }

    fn conclude(&self, ended: &Result<(), DemoError>) -> Result<(), DemoError> {
        match ended {
            Ok(()) => self.show.show(&Scene::Done { took_ms: millis(self.show.elapsed()) }),
            // People are told by the command, on standard error.
            Err(error) if self.options.json => self.show.show(&Scene::Failed { why: error.to_string() }),
            Err(_) => Ok(()),
        }
    }

    async fn acts(&mut self) -> Result<(), DemoError> {
        let all = self.acts_without_deadline();
        let slow = DemoError::DidNotHappen { what: "all of it".into(), waited: ONCE, seen: String::new() };
        tokio::time::timeout(ONCE, all).await.unwrap_or(Err(slow))
    }

    async fn acts_without_deadline(&mut self) -> Result<(), DemoError> {
        let electorate = self.raise().await?;
        self.see().await?;
        let began = Instant::now();
        let led = self.elect(None, began, "the nodes saw each other").await?;
        self.prove(&electorate, &led, true).await?;
        let killed = Instant::now();
        self.kill(&led.leader)?;
        let next = self.elect(Some(&led), killed, "the kill").await?;
        self.prove(&electorate, &next, false).await?;
        self.bring_back(&led.leader).await
    }

    /// Enclave, proxy, nodes.
    async fn raise(&mut self) -> Result<Electorate, DemoError> {
        let n = usize::from(self.options.nodes);
        let f = n.saturating_sub(1) / 3;
        let (assurance, directory) = (Assurance::Simulated, self.directory().display().to_string());
        self.show.show(&Scene::Begins { n, f, quorum: quorum(n, f), assurance, directory })?;
        self.cluster.start_enclave(&mut self.fleet)?;
        self.wait("the start of the enclave", async |demo| demo.cluster.enclave_is_up().then_some(()))
            .await?;
        let electorate = self.cluster.make(&self.fleet)?;
        self.show.show(&Scene::Enclave { endpoint: self.cluster.enclave() })?;
        self.cluster.start_proxy(&mut self.fleet)?;
        self.wait("the start of the proxy", async |demo| demo.cluster.proxy_is_up().then_some(())).await?;
        self.show.show(&Scene::Proxy { endpoint: self.cluster.proxy(), admits: n })?;
        for name in self.cluster.names() {
            let place = self.cluster.start_node(&mut self.fleet, &name)?;
            self.places.push(place);
        }
        self.show.show(&Scene::Nodes { nodes: self.places.clone() })?;
        Ok(electorate)
    }

    /// Every node sees every other one.
    async fn see(&mut self) -> Result<(), DemoError> {
        let others = self.eyes.len() - 1;
        let sight = self.wait("every node seeing every other one", async |demo| {
            let sight = demo.sight().await;
            (sight.iter().all(|seer| seer.sees.len() == others)).then_some(sight)
        });
        let sight = sight.await?;
        self.show.show(&Scene::Sight { sight })
    }

    async fn sight(&mut self) -> Vec<Sight> {
        let mut sight = Vec::new();
        for eye in &mut self.eyes {
            sight.push(Sight { node: eye.name.clone(), sees: eye.sees().await.unwrap_or_default() });
        }
        sight
    }

    /// A leader, of a higher term than the one before, that says so itself; then all living nodes agree.
    async fn elect(
        &mut self,
        before: Option<&Led>,
        since: Instant,
        since_what: &'static str,
    ) -> Result<Led, DemoError> {
        let least = before.map_or(Term(1), |before| before.term.next());
        let what = format!("the election of a leader in term {least} or later");
        let led = self
            .wait(&what, async |demo| demo.leader_of_itself().await.filter(|led| led.term >= least))
            .await?;
        let took_ms = millis(since.elapsed());
        let agree = self
            .wait("all living nodes agreeing on the leader", async |demo| demo.agree_on(&led).await)
            .await?;
        let (leader, term) = (led.leader.clone(), led.term);
        self.show.show(&Scene::Elected { leader, term, agree, took_ms, since: since_what })?;
        Ok(led)
    }

    /// The node that says that it holds the lease.
    pub(super) async fn leader_of_itself(&mut self) -> Option<Led> {
        for eye in &mut self.eyes {
            let Some(answer) = eye.leader().await else { continue };
            if let Some(leader) = answer.leader.filter(|_| answer.this_node) {
                return Some(Led { leader: leader.name, term: answer.term });
            }
        }
        None
    }

    /// How many nodes agree, if all that live do.
    async fn agree_on(&mut self, led: &Led) -> Option<usize> {
        let mut agree = 0;
        for eye in &mut self.eyes {
            let Some(answer) = eye.leader().await else { continue };
            let same =
                answer.term == led.term && answer.leader.is_some_and(|leader| leader.name == led.leader);
            agree += usize::from(same);
        }
        (agree == self.places.len()).then_some(agree)
    }

    /// Has a follower's proof verified against the manifest, without asking any node to be honest.
    async fn prove(&mut self, electorate: &Electorate, led: &Led, in_full: bool) -> Result<(), DemoError> {
        let (term, quorum) = (led.term, electorate.quorum());
        let served = self.wait("a follower serving the proof with a quorum of promises", async |demo| {
            demo.follower_proof(led, term, quorum).await
        });
        let (from, proof) = served.await?;
        let authority = Authority::Manifest(Box::new(electorate.clone()));
        let accept = Accept { simulated: true, ..Accept::default() };
        let report =
            verify(&proof, &authority, Question { moment: Moment::Now(clock::wall()), nonce: None, accept });
        let valid = report.verdict == Verdict::Valid;
        let assurance = report.certificate.as_ref().map(|certificate| certificate.assurance());
        let checks: Vec<Check> = report.lines.iter().map(check).collect();
        let failed = checks.iter().find(|check| check.passed == Some(false));
        let why = failed.map(|check| format!("check {}, {}: {}", check.number, check.title, check.found));
        let (node, leader) = (from.clone(), led.leader.clone());
        self.show.show(&Scene::Proof {
            from,
            valid,
            assurance,
            leader,
            term,
            checks,
            in_full: in_full || !valid,
        })?;
        if valid { Ok(()) } else { Err(DemoError::Proof { node, why: why.unwrap_or_default() }) }
    }

    async fn follower_proof(
        &mut self,
        led: &Led,
        term: Term,
        promises: usize,
    ) -> Option<(String, ProofFile)> {
        let alive: Vec<&str> = self.places.iter().map(|place| place.node.as_str()).collect();
        let mut followers =
            self.eyes.iter_mut().filter(|eye| eye.name != led.leader && alive.contains(&eye.name.as_str()));
        let eye = followers.next()?;
        let proof = ProofFile::parse(&eye.proof().await?).ok()?;
        let named = proof.bundle.certificate.peek().ok()?.term;
        (named == term && proof.bundle.promises.len() >= promises).then(|| (eye.name.clone(), proof))
    }

    fn kill(&mut self, name: &str) -> Result<(), DemoError> {
        self.places.retain(|place| place.node != name);
        let process = self.fleet.kill_node(name).map_err(DemoError::system(format!("kill {name}")))?;
        self.show.show(&Scene::Killed { node: name.to_owned(), process })
    }

    /// Starts a node that was killed, and waits until it is one of the cluster again.
    pub(super) async fn bring_back(&mut self, name: &str) -> Result<(), DemoError> {
        let began = Instant::now();
        self.start_again(name)?;
        let what = format!("the return of {name}");
        let led = self.wait(&what, async |demo| demo.has_returned(name).await).await?;
        let (leader, term, took_ms) = (led.leader, led.term, millis(began.elapsed()));
        self.show.show(&Scene::Returned { node: name.to_owned(), leader, term, took_ms })
    }

    pub(super) fn start_again(&mut self, name: &str) -> Result<(), DemoError> {
        let place = self.cluster.start_node(&mut self.fleet, name)?;
        let process = place.process;
        self.places.push(place);
        self.places.sort_by(|a, b| a.node.cmp(&b.node));
        self.show.show(&Scene::StartedAgain { node: name.to_owned(), process })
    }

    /// Whom a node follows, once it is ready, all others see it, and it agrees with all of them.
    async fn has_returned(&mut self, name: &str) -> Option<Led> {
        let led = self.leader_of_itself().await?;
        let eye = self.eyes.iter_mut().find(|eye| eye.name == name)?;
        if !eye.is_ready().await {
            return None;
        }
        let sight = self.sight().await;
        let others = sight.iter().filter(|seer| seer.node != name);
        let seen =
            others.clone().count() == others.filter(|seer| seer.sees.iter().any(|seen| seen == name)).count();
        self.agree_on(&led).await.filter(|_| seen).map(|_| led)
    }

    /// Looks until there is something, or patience ends; a process that ends meanwhile is a failure.
    async fn wait<T>(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut(&mut Demo) -> Option<T>,
    ) -> Result<T, DemoError> {
        let last = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self).await {
                return Ok(found);
            }
            if let Some(ended) = self.fleet.ended() {
                return Err(DemoError::Ended(ended));
            }
            if Instant::now() > last {
                let seen = self.why_nobody_leads().await.unwrap_or_default();
                return Err(DemoError::DidNotHappen { what: what.to_owned(), waited: PATIENCE, seen });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Why nobody leads, as the first node that answers says.
    pub(super) async fn why_nobody_leads(&mut self) -> Option<String> {
        for eye in &mut self.eyes {
            if let Some(overview) = eye.overview().await {
                return overview.no_leader_because;
            }
        }
        None
    }
}

fn check(line: &Line) -> Check {
    Check {
        number: line.step.to_string(),
        title: line.step.title(),
        passed: match line.status {
            Status::Passed => Some(true),
            Status::Failed => Some(false),
            Status::Expired | Status::NotAsked | Status::NotReached => None,
        },
        found: line.found.clone(),
    }
}
