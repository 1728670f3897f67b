//! The world: everything there is, and the loop that lets things happen.

use nitro_elect::core::event::{Command, Event, RequestId};
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::ids::{NodeId, Term};
use nitro_elect_protocol::peer::PeerMessage;
use std::sync::Arc;
use std::time::Duration;

use super::adversary::Adversary;
use super::clock::{At, Clock};
use super::dice::Dice;
use super::ending::Ending;
use super::fault::Tally;
use super::identities::Shared;
use super::links::Links;
use super::machine::Machine;
use super::observer::Observer;
use super::outage::Outage;
use super::proxies::{Host, Proxy};
use super::queue::Queue;
use super::recorder::Recorder;
use super::scenario::Scenario;
use super::succession::Succession;
use super::trace::Trace;
use super::violation::{Invariant, Violation};
use super::wills::Swept;
use super::work::Due;
use nitro_elect_protocol::time::Boot;

/// Happenings that may be planned at once: more would be growth without bound.
const PLANNED_MAX: usize = 100_000;
/// Happenings in one lease for each pair of machines: some hundreds are usual.
const STEPS_A_LEASE_MAX: u64 = 20_000;

/// Something that is going to happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A node's process starts.
    Start { machine: usize },
    /// A planned tick is due.
    Tick { machine: usize, life: u64, planned: At },
    /// A tick that comes whatever else does.
    ExtraTick { machine: usize, life: u64 },
    /// A process ends, whatever it does.
    Crash { machine: usize, life: u64 },
    /// A write has ended.
    Written { machine: usize, life: u64 },
    /// A paused process goes on.
    Resume { machine: usize, life: u64 },
    /// A message arrives over a connection, if that is still the same.
    Arrive { from: usize, to: usize, epoch: u64, message: PeerMessage },
    /// A message arrives by a way of its own.
    ArriveAlone { from: usize, to: usize, message: PeerMessage },
    /// A node learns that a connection works.
    Up { machine: usize, life: u64, peer: usize, epoch: u64 },
    /// A node learns that a connection is gone.
    Down { machine: usize, life: u64, peer: usize },
    /// One of two machines dials the other.
    Dial { a: usize, b: usize },
    /// A connection that carries nothing is given up.
    GiveUp { a: usize, b: usize, epoch: u64 },
    /// Everything between these two works again, in this direction.
    Mend { from: usize, to: usize, cut: u64 },
    /// A question arrives at an enclave.
    Asked { machine: usize, life: u64, proxy: usize, request: RequestId, message: Box<Request> },
    /// An answer, or none, arrives at a node.
    Answered { machine: usize, life: u64, request: RequestId, answer: Option<Box<Response>> },
    /// A supervisor has made an end of what its node left behind, as far as it can.
    Swept(Box<Swept>),
    /// Something of leader-only work is due.
    Work(Due),
    /// An enclave boots.
    Boot { host: usize },
    /// A proxy comes back.
    ProxyUp { proxy: usize },
    /// An operator, or a program, wants something.
    Command { machine: usize, command: Command },
    /// A Byzantine voter makes a move.
    Move { adversary: usize },
    /// The storm strikes.
    Strike,
    /// The storm is over.
    Calm,
}

/// Everything there is.
pub struct World {
    /// What it follows from.
    pub scenario: Scenario,
    /// True time.
    pub at: At,
    /// The machines.
    pub machines: Vec<Machine>,
    /// What sees everything.
    pub observer: Observer,
    /// The event log.
    pub trace: Trace,
    /// What struck.
    pub tally: Tally,
    /// Happenings worked off.
    pub steps: u64,
    /// The only one; where manifests succeed each other, the one that Byzantine voters lie under next.
    pub(super) electorate: Electorate,
    pub(super) succession: Option<Succession>,
    pub(super) crypto: Arc<Recorder>,
    pub(super) dice: Dice,
    pub(super) queue: Queue<Happening>,
    pub(super) links: Links,
    pub(super) hosts: Vec<Host>,
    pub(super) proxies: Vec<Proxy>,
    pub(super) adversaries: Vec<Adversary>,
    pub(super) boots: usize,
    pub(super) ending: Option<Ending>,
    pub(super) outage: Option<Outage>,
    pub(super) calm: bool,
    /// Whether the next election's enclave is to end in the midst of it.
    pub(super) ambush: bool,
    /// Chance for leader-only work: it shifts no other draws.
    pub(super) work_dice: Dice,
    /// Whose work began under the highest term, and which.
    pub(super) latest_work: Option<(usize, Term)>,
    /// When the count of happenings begins anew, and where it stood.
    busy: (At, u64),
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(scenario: Scenario, trace: Trace) -> Self {
        let mut dice = Dice::new(scenario.seed ^ 0x5eed);
        let shared = Shared::get();
        let machines: Vec<Machine> = (0..scenario.n + scenario.observers)
            .map(|index| {
                let clock = draw_clock(&mut dice);
                Machine::new(index, scenario.primitives, clock, scenario.patience, &mut dice)
            })
            .collect();
        let voters = machines.iter().take(scenario.n).enumerate();
        let voters = voters.map(|(index, machine)| scenario.voter(index, machine.id)).collect();
        let electorate = scenario.electorate(voters);
        let crypto = Arc::new(Recorder::new(shared.crypto(scenario.primitives)));
        let succession = (scenario.changes > 0)
            .then(|| Succession::draw(&electorate, &machines, &scenario, &*crypto, &mut dice));
        let manifests = succession.as_ref().map_or(vec![electorate.clone()], Succession::manifests);
        let observer = Observer::new(&manifests, machines.iter().map(|machine| machine.id));
        let links = Links::new(machines.len());
        let mut world = World {
            at: At(0),
            machines,
            observer,
            trace,
            tally: Tally::default(),
            steps: 0,
            crypto,
            electorate,
            succession,
            dice,
            queue: Queue::default(),
            links,
            hosts: Vec::new(),
            proxies: Vec::new(),
            adversaries: Vec::new(),
            boots: 0,
            ending: None,
            outage: None,
            calm: false,
            ambush: false,
            work_dice: Dice::new(scenario.seed ^ 0x1012),
            latest_work: None,
            busy: (At(0), 0),
            scenario,
        };
        world.set_up();
        world
    }

    fn set_up(&mut self) {
        self.build_enclaves();
        self.build_adversaries();
        let lease = self.scenario.lease;
        for machine in 0..self.machines.len() {
            let start = At(0) + self.dice.span(Duration::ZERO, lease / 4);
            self.queue.plan(start, Happening::Start { machine });
        }
        for (a, b) in self.links.pairs() {
            let dial = At(0) + self.dice.span(Duration::ZERO, lease / 4);
            self.queue.plan(dial, Happening::Dial { a, b });
        }
        let storm = At(0) + lease * 2;
        if self.scenario.storm > Duration::ZERO {
            self.queue.plan(storm, Happening::Strike);
        }
        self.queue.plan(storm + self.scenario.storm, Happening::Calm);
    }

    /// Lets everything happen up to the end of the world, or to the first violation.
    pub fn run(&mut self) -> Result<(), Violation> {
        if let Some(hunt) = self.scenario.hunt {
            hunt.begin(self)?;
        }
        while !self.is_over() {
            self.step()?;
        }
        Ok(())
    }

    /// Lets everything happen up to a time.
    pub fn run_until(&mut self, end: At) -> Result<(), Violation> {
        while let Some((at, happening)) = self.queue.next(end) {
            self.happen(at, happening)?;
        }
        self.at = self.at.max(end);
        Ok(())
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.queue.next(At(u64::MAX)) {
            Some((at, happening)) => self.happen(at, happening),
            None => Err(self.violated(Invariant::I11, "nothing happens any more".into())),
        }
    }

    fn happen(&mut self, at: At, happening: Happening) -> Result<(), Violation> {
        self.at = at;
        self.steps += 1;
        self.check_bounds()?;
        self.crypto.set_now(at);
        match happening {
            Happening::Start { machine } => self.start(machine),
            Happening::Tick { machine, life, planned } => self.tick(machine, life, planned),
            Happening::ExtraTick { machine, life } if self.lives(machine, life) => {
                self.feed(machine, Event::Tick)
            }
            Happening::Crash { machine, life } if self.lives(machine, life) => self.crash(machine, false),
            Happening::Written { machine, life } => self.written(machine, life),
            Happening::Resume { machine, life } => self.resume(machine, life),
            Happening::Arrive { from, to, epoch, message } => {
                if self.links.epoch(from, to) == epoch {
                    self.receive(from, to, message);
                }
            }
            Happening::ArriveAlone { from, to, message } => self.receive(from, to, message),
            Happening::Up { machine, life, peer, epoch } => self.sees_up(machine, life, peer, epoch),
            Happening::Down { machine, life, peer } if self.lives(machine, life) => {
                let peer = self.machines[peer].id;
                self.feed(machine, Event::PeerDown { peer });
            }
            Happening::Dial { a, b } => self.dial(a, b),
            Happening::GiveUp { a, b, epoch } => self.give_up(a, b, epoch),
            Happening::Mend { from, to, cut } => self.links.mend(from, to, cut),
            Happening::Asked { machine, life, proxy, request, message } => {
                self.asked(machine, life, proxy, request, *message)
            }
            Happening::Answered { machine, life, request, answer } => {
                self.answered(machine, life, request, answer)
            }
            Happening::Swept(swept) => self.swept(*swept),
            Happening::Work(due) => self.work_due(due),
            Happening::Boot { host } => self.boot(host),
            Happening::ProxyUp { proxy } => self.proxies[proxy].is_up = true,
            Happening::Command { machine, command } => self.feed(machine, Event::Command(command)),
            Happening::Move { adversary } => self.make_move(adversary),
            Happening::Strike => self.strike(),
            Happening::Calm => self.calm_down(),
            Happening::Crash { .. } | Happening::ExtraTick { .. } | Happening::Down { .. } => {}
        }
        self.check_ending();
        self.check_outage();
        match self.observer.violation.take() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Nothing may grow without bound, nor anybody be busy with the same for ever.
    fn check_bounds(&mut self) -> Result<(), Violation> {
        if self.queue.len() > PLANNED_MAX {
            let what = format!("{} messages and timers are under way", self.queue.len());
            return Err(self.violated(Invariant::I11, what));
        }
        if self.at >= self.busy.0 {
            self.busy = (self.at + self.scenario.lease, self.steps);
        }
        let steps = self.steps - self.busy.1;
        if steps > STEPS_A_LEASE_MAX * (self.machines.len() * self.machines.len()) as u64 {
            return Err(self.violated(Invariant::I11, format!("{steps} things happened within one lease")));
        }
        Ok(())
    }

    /// Whether this very process of the machine still runs.
    pub(super) fn lives(&self, machine: usize, life: u64) -> bool {
        self.machines[machine].is_up() && self.machines[machine].life == life
    }

    pub(super) fn violated(&self, invariant: Invariant, what: String) -> Violation {
        Violation { invariant, at: self.at, what }
    }

    /// The index of a node's machine.
    pub(super) fn index_of(&self, node: &NodeId) -> Option<usize> {
        self.machines.iter().position(|machine| machine.id == *node)
    }
}

/// A rate within one percent, any offset, and a wall clock that is seconds off.
fn draw_clock(dice: &mut Dice) -> Clock {
    let rate = match dice.below(4) {
        0 => -10_000,
        1 => 10_000,
        _ => dice.between(0, 20_000) as i64 - 10_000,
    };
    let base = Boot(dice.between(0, 1_000_000_000_000_000));
    Clock::new(rate, base, dice.between(0, 10_000) as i64 - 5_000)
}

impl World {
    /// The primitives that this world runs on.
    pub fn crypto(&self) -> &dyn Crypto {
        &*self.crypto
    }
}
