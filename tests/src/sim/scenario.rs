//! What one world is like: drawn from its seed, or written by hand.

use nitro_elect_protocol::electorate::{Electorate, VERSION, Voter};
use nitro_elect_protocol::ids::{ClusterId, NodeId};
use nitro_elect_protocol::limits::AGE_MAX;
use nitro_elect_protocol::policy::{Policy, Prefer, Rule};
use nitro_elect_protocol::quorum;
use std::time::Duration;

use super::dice::Dice;
use super::fault::Weights;
use super::hunt::Hunt;
use super::identities::{Primitives, Shared};

/// A driver that gives ticks badly, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct BadTicks {
    /// Up to half a lease late.
    pub late: u64,
    /// Twice.
    pub doubled: u64,
    /// Not at all: the next one comes a step later.
    pub dropped: u64,
}

/// How messages fare, in thousandths, without any particular fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost.
    pub lost: u64,
    /// Delivered twice.
    pub doubled: u64,
    /// Up to two leases late.
    pub late: u64,
    /// Whether messages of one direction keep their order.
    pub in_order: bool,
}

/// What sets some worlds apart.
struct Shape {
    open: bool,
    observers: usize,
    joins_late: Option<usize>,
    max_age: Duration,
}

impl Shape {
    fn draw(dice: &mut Dice, n: usize, lease: Duration) -> Self {
        let open = n > 1 && dice.chance(80);
        let observers = if !open && dice.chance(100) { dice.between(1, 2) as usize } else { 0 };
        // Not below the differences between wall clocks.
        let short = (lease * 12).max(Duration::from_secs(20));
        Shape {
            open,
            observers,
            joins_late: (n > 2 && dice.chance(80)).then(|| dice.below(n as u64) as usize),
            max_age: if lease >= Duration::from_secs(1) && dice.chance(80) { short } else { AGE_MAX },
        }
    }
}

/// Everything that a world follows from.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where it came from.
    pub seed: u64,
    /// The hunt it belongs to; none: the general mixture.
    pub hunt: Option<&'static Hunt>,
    /// What signs.
    pub primitives: Primitives,
    /// Voters.
    pub n: usize,
    /// Byzantine voters tolerated.
    pub f: usize,
    /// Whether the cluster is open: its electorate is the list of active nodes (DESIGN §3.7).
    pub open: bool,
    /// Nodes that follow without voting, on the machines after the voters'.
    pub observers: usize,
    /// A machine whose node starts for the first time when the storm is over.
    pub joins_late: Option<usize>,
    /// How old attestation documents may grow; enclaves renew theirs in a sixth of it.
    pub max_age: Duration,
    /// Byzantine voters there are.
    pub byzantine: usize,
    /// The machine of the first of them; the others are on the next ones, around. The first machine weighs most.
    pub byzantine_from: usize,
    /// Whether Byzantine voters and hostile proxies go on attacking when the storm is over.
    pub attacks_last: bool,
    /// Proxies that are hostile, in thousandths.
    pub hostile_proxies: u64,
    /// How many leases every enclave and proxy is down after the storm, under a live leader: 0 for not at all.
    pub outage: u32,
    /// Who leads.
    pub policy: Policy,
    /// The lease.
    pub lease: Duration,
    /// Enclaves that nodes can ask.
    pub enclaves: usize,
    /// Whether messages travel as bytes.
    pub coded: bool,
    /// One way between two machines, at least and at most.
    pub latency: (Duration, Duration),
    /// One way to an enclave, at least and at most.
    pub enclave_latency: (Duration, Duration),
    /// How long a synced write takes, at most.
    pub sync: Duration,
    /// Writes during or right after which the process crashes, in thousandths.
    pub fatal_writes: u64,
    /// Thousandths of crashes that a supervisor notices.
    pub last_wills: u64,
    /// Thousandths of starts in the storm at which a node moves to the next manifest: 0 for voters that do not change.
    pub changes: u64,
    /// Thousandths of crashes that leave something at work, and of wills that come again.
    pub remains: u64,
    /// Whether leader-only work runs, on every machine of an honest voter (I12).
    pub works: bool,
    /// How long its commands have to end once they are asked to.
    pub patience: Duration,
    /// How messages fare.
    pub weather: Weather,
    /// How ticks fare.
    pub ticks: BadTicks,
    /// What strikes.
    pub weights: Weights,
    /// How often something strikes.
    pub fault_every: Duration,
    /// How long a fault lasts at most: one of these.
    pub faults_last: [Duration; 4],
    /// How long faults strike, after a first quiet lease.
    pub storm: Duration,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let n = *dice.pick(&[1, 2, 3, 3, 4, 4, 4, 4, 4, 5, 7]);
        let f = if dice.chance(800) { quorum::default_f(n) } else { 0 };
        let lease = Duration::from_millis(*dice.pick(&[200, 500, 1000, 1000, 1000, 1000, 5000]));
        let fault_every = lease * *dice.pick(&[1, 2, 4, 8]) / 2;
        let mut adversaries = dice.clone().fork();
        let byzantine = if adversaries.chance(500) { adversaries.between(0, f as u64) as usize } else { 0 };
        let hostile_proxies = *adversaries.pick(&[0, 0, 300]);
        let outage = *adversaries.pick(&[0, 0, 0, 10]);
        let shape = Shape::draw(&mut adversaries, n, lease);
        let (byzantine, outage) = if shape.open { (0, 0) } else { (byzantine, outage) };
        let attacked = (byzantine > 0 || hostile_proxies > 0) && outage == 0;
        Scenario {
            seed,
            hunt: None,
            primitives: if seed % 50 == 49 { Primitives::Real } else { Primitives::StandIn },
            n,
            f: if shape.open { 0 } else { f },
            open: shape.open,
            observers: shape.observers,
            joins_late: shape.joins_late,
            max_age: shape.max_age,
            byzantine,
            byzantine_from: adversaries.below(n as u64) as usize,
            attacks_last: attacked && adversaries.chance(700),
            hostile_proxies,
            outage,
            policy: draw_policy(&mut dice, shape.open),
            lease,
            enclaves: *dice.pick(&[1, 1, 2, 3]),
            coded: dice.chance(50),
            latency: draw_latency(&mut dice, lease),
            enclave_latency: (Duration::from_micros(400), Duration::from_micros(1500)),
            sync: Duration::from_micros(dice.between(100, 1500)),
            fatal_writes: 0,
            last_wills: *dice.pick(&[0, 500, 1000]),
            changes: 0,
            remains: *adversaries.pick(&[0, 200, 500]),
            works: false,
            patience: lease,
            weather: draw_weather(&mut dice),
            ticks: draw_ticks(&mut dice),
            weights: Weights::draw(&mut dice),
            fault_every,
            faults_last: usual_spans(lease),
            storm: lease * *dice.pick(&[10, 20, 40]),
        }
    }

    /// A calm cluster of `n` with the defaults of the product and a network of a data centre.
    pub fn calm(seed: u64, n: usize) -> Self {
        Scenario {
            seed,
            hunt: None,
            primitives: Primitives::StandIn,
            n,
            f: quorum::default_f(n),
            open: false,
            observers: 0,
            joins_late: None,
            max_age: AGE_MAX,
            byzantine: 0,
            byzantine_from: 0,
            attacks_last: false,
            hostile_proxies: 0,
            outage: 0,
            policy: Policy::of(Rule::Priority),
            lease: Duration::from_secs(1),
            enclaves: 1,
            coded: false,
            latency: (Duration::from_micros(100), Duration::from_micros(500)),
            enclave_latency: (Duration::from_micros(500), Duration::from_micros(750)),
            sync: Duration::from_millis(1),
            fatal_writes: 0,
            last_wills: 0,
            changes: 0,
            remains: 0,
            works: false,
            patience: Duration::from_secs(1),
            weather: Weather { in_order: true, ..Weather::default() },
            ticks: BadTicks::default(),
            weights: Weights::only(&[]),
            fault_every: Duration::from_secs(1),
            faults_last: usual_spans(Duration::from_secs(1)),
            storm: Duration::ZERO,
        }
    }

    /// The electorate of these voters.
    pub fn electorate(&self, voters: Vec<Voter>) -> Electorate {
        let mut electorate = Electorate {
            version: VERSION,
            cluster: if self.open { ClusterId::OPEN } else { ClusterId([7; 16]) },
            name: "simulated".into(),
            epoch: 0,
            previous: None,
            f: self.f as u32,
            policy: self.policy,
            lease_ms: self.lease.as_millis() as u64,
            trust: Shared::get().trust_up_to(self.max_age),
            voters,
        };
        electorate.sort();
        electorate
    }

    /// The machines whose voters are Byzantine.
    pub fn byzantine_machines(&self) -> impl Iterator<Item = usize> + use<> {
        let (from, n) = (self.byzantine_from, self.n);
        (0..self.byzantine).map(move |turn| (from + turn) % n)
    }

    /// The voter of this index and key.
    pub fn voter(&self, index: usize, key: NodeId) -> Voter {
        let weight = (self.n - index) as u32;
        Voter { key, name: format!("n{}", index + 1), address: format!("10.0.0.{}:5000", index + 1), weight }
    }
}

fn draw_policy(dice: &mut Dice, open: bool) -> Policy {
    let rule = *dice.pick(&[Rule::Priority, Rule::Priority, Rule::Highest, Rule::Rotate, Rule::Lottery]);
    let prefer = if dice.chance(250) { Prefer::Return } else { Prefer::Stay };
    let drawn = Policy { sticky: dice.chance(600), prefer, ..Policy::of(rule) };
    if open { Policy::of(Rule::Highest) } else { drawn }
}

/// From a moment to several leases.
fn usual_spans(lease: Duration) -> [Duration; 4] {
    [lease / 10, lease, lease * 3, lease * 8]
}

/// A step must hold two round trips and a write.
fn draw_latency(dice: &mut Dice, lease: Duration) -> (Duration, Duration) {
    let most = Duration::from_micros(*dice.pick(&[500, 2000, 8000]));
    (Duration::from_micros(100), most.min(lease / 60))
}

fn draw_weather(dice: &mut Dice) -> Weather {
    if dice.chance(500) {
        return Weather { in_order: true, ..Weather::default() };
    }
    let rate = |dice: &mut Dice| *dice.pick(&[0, 0, 2, 20, 100]);
    Weather { lost: rate(dice), doubled: rate(dice), late: rate(dice), in_order: dice.chance(300) }
}

fn draw_ticks(dice: &mut Dice) -> BadTicks {
    if dice.chance(700) {
        return BadTicks::default();
    }
    let rate = |dice: &mut Dice| *dice.pick(&[0, 20, 100, 300]);
    BadTicks { late: rate(dice), doubled: rate(dice), dropped: rate(dice) }
}
