//! Hunts: worlds in which one kind of trouble is frequent, for guards that a seed of the general mixture rarely
//! needs. Like those, each world follows from its seed alone, and the same invariants are checked in it.

use nitro_elect_protocol::policy::{Policy, Rule};
use std::fmt;
use std::time::Duration;

use super::fault::{Fault, Weights};
use super::scenario::{Scenario, Weather};
use super::violation::Violation;
use super::world::World;

/// A kind of world, by name.
pub struct Hunt {
    /// What it is called on the command line.
    pub name: &'static str,
    scenario: fn(u64) -> Scenario,
    script: Option<Script>,
}

/// What is done to a world before it is left to itself.
type Script = fn(&mut World) -> Result<(), Violation>;

/// All hunts.
pub const ALL: &[Hunt] = &[
    Hunt { name: "churn", scenario: churn, script: None },
    Hunt { name: "siege", scenario: siege, script: None },
    Hunt { name: "disks", scenario: disks, script: None },
    Hunt { name: "proxies", scenario: proxies, script: None },
    Hunt { name: "wills", scenario: wills, script: None },
    Hunt { name: "work", scenario: work, script: None },
    Hunt { name: "scattered", scenario: scattered, script: None },
    Hunt { name: "upstarts", scenario: upstarts, script: Some(strand_new_leaders) },
    Hunt { name: "relapse", scenario: relapse, script: Some(crash_after_calls) },
    Hunt { name: "voters", scenario: voters, script: None },
    Hunt { name: "clocks", scenario: clocks, script: Some(strand_slow_leaders) },
];

impl Hunt {
    /// The hunt of this name.
    pub fn named(name: &str) -> Option<&'static Hunt> {
        ALL.iter().find(|hunt| hunt.name == name)
    }

    /// The world of one seed.
    pub fn draw(&'static self, seed: u64) -> Scenario {
        Scenario { hunt: Some(self), ..(self.scenario)(seed) }
    }

    /// Does to a new world what this hunt does.
    pub(super) fn begin(&self, world: &mut World) -> Result<(), Violation> {
        self.script.map_or(Ok(()), |script| script(world))
    }
}

impl fmt::Debug for Hunt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// Leaders come and go all the time, in a network that delays and doubles, and writes take long, so that crashes
/// interrupt them. Three voters without a Byzantine one: two quorums share a single voter, and what it forgets is
/// missed.
fn churn(seed: u64) -> Scenario {
    let lease = Duration::from_secs(1);
    Scenario {
        enclaves: 2,
        latency: (Duration::from_micros(100), Duration::from_millis(5)),
        enclave_latency: (Duration::from_millis(1), Duration::from_millis(40)),
        sync: Duration::from_millis(20),
        fatal_writes: 50,
        last_wills: 500,
        weather: Weather { lost: 20, doubled: 100, late: 100, in_order: false },
        weights: Weights::only(&[
            (Fault::Crash, 12),
            (Fault::Pause, 4),
            (Fault::Break, 4),
            (Fault::OneWay, 4),
            (Fault::Partition, 4),
            (Fault::StepDown, 6),
        ]),
        fault_every: lease / 2,
        faults_last: [lease / 20, lease / 5, lease, lease * 2],
        storm: lease * 60,
        ..Scenario::calm(seed, 3)
    }
}

/// The same, with four voters of which one is Byzantine, first or last in the succession or between. In every other
/// world it goes on when the storm is over.
fn siege(seed: u64) -> Scenario {
    let (byzantine_from, attacks_last) = (seed as usize / 2 % 4, seed % 2 == 1);
    Scenario { byzantine: 1, byzantine_from, attacks_last, n: 4, f: 1, ..churn(seed) }
}

/// Writes fail, and then the process does.
fn disks(seed: u64) -> Scenario {
    let weights = [(Fault::DiskFailure, 6), (Fault::Crash, 4), (Fault::OneWay, 2), (Fault::StepDown, 2)];
    Scenario { weights: Weights::only(&weights), ..churn(seed) }
}

/// Manifests succeed each other while leaders come and go: up to five voters, of whom the first manifest has all. In half
/// of the starts a node moves to the next, if it may. In every fourth world one of up to six voters is Byzantine, and in more
/// than half leaders work.
fn voters(seed: u64) -> Scenario {
    let (last_wills, byzantine) = (1000, usize::from(seed % 4 == 1));
    let (byzantine_from, works) = (seed as usize / 4 % 6, seed % 4 > 1 || seed % 8 == 5);
    let base = Scenario { changes: 500, last_wills, byzantine, byzantine_from, works, ..churn(seed) };
    Scenario { n: 5 + byzantine, f: byzantine, ..base }
}

/// Processes die and leave work behind, and wills come late, twice, and after a restart.
fn wills(seed: u64) -> Scenario {
    let weights = [(Fault::Crash, 12), (Fault::Pause, 3), (Fault::OneWay, 2), (Fault::StepDown, 2)];
    Scenario { last_wills: 900, remains: 400, weights: Weights::only(&weights), ..churn(seed) }
}

/// Work runs wherever a node leads: nodes die under it, execs and runners stand still or are killed, leaders are asked to hand
/// over, and in every other world the one that calls is rarely the one that is elected. In every fourth a voter is
/// Byzantine.
fn work(seed: u64) -> Scenario {
    let lease = Duration::from_secs(1);
    let rule = if seed.is_multiple_of(2) { Rule::Priority } else { Rule::Rotate };
    let weights = [
        (Fault::Crash, 12),
        (Fault::Pause, 4),
        (Fault::OneWay, 3),
        (Fault::Partition, 3),
        (Fault::StepDown, 6),
        (Fault::RunnerFrozen, 3),
        (Fault::ExecFrozen, 3),
        (Fault::ExecKilled, 3),
        (Fault::Reboot, 1),
    ];
    let base = if seed % 4 == 3 { siege(seed) } else { churn(seed) };
    Scenario {
        policy: Policy::of(rule),
        last_wills: 900,
        remains: 300,
        works: true,
        patience: lease / 4 * (1 + seed as u32 % 8),
        weights: Weights::only(&weights),
        ..base
    }
}

/// Proxies let elections wait, or lose them.
fn proxies(seed: u64) -> Scenario {
    Scenario { hostile_proxies: 800, ..churn(seed) }
}

/// The network falls apart again and again, mostly into parts of which none is a quorum.
fn scattered(seed: u64) -> Scenario {
    let lease = Duration::from_millis(200);
    Scenario {
        n: 5,
        f: 0,
        lease,
        latency: (Duration::from_micros(100), Duration::from_millis(3)),
        enclave_latency: (Duration::from_millis(1), Duration::from_millis(5)),
        weights: Weights::only(&[(Fault::Partition, 4), (Fault::OneWay, 4), (Fault::Break, 1)]),
        fault_every: lease / 4,
        storm: lease * 20,
        ..Scenario::calm(seed, 5)
    }
}

/// Five voters, of whom two can be cut off. In every other world the one that calls is rarely the one that is elected.
fn upstarts(seed: u64) -> Scenario {
    let lease = Duration::from_secs(1);
    let rule = if seed.is_multiple_of(2) { Rule::Priority } else { Rule::Rotate };
    Scenario { policy: Policy::of(rule), f: 0, storm: lease * 100, ..Scenario::calm(seed, 5) }
}

/// Again and again a leader is cut off, its successor's election takes as long as it may, the successor is cut off
/// in the moment in which it begins to lead, the enclave that certified it forgets it, and the next election takes no
/// time.
fn strand_new_leaders(world: &mut World) -> Result<(), Violation> {
    let lease = world.scenario.lease;
    for _ in 0..10 {
        world.wait_for(lease * 5, |world| world.holder().is_some())?;
        let Some(leader) = world.holder() else { return Ok(()) };
        world.scenario.enclave_latency = (lease / 25, lease * 9 / 200);
        world.strand(leader, lease * 3 / 2);
        world.wait_for(lease * 3, |world| world.holder().is_some_and(|holder| holder != leader))?;
        let Some(leader) = world.holder() else { return Ok(()) };
        world.scenario.enclave_latency = (lease / 2000, lease / 1000);
        world.restart_enclaves();
        world.strand(leader, lease * 3 / 2);
        world.pass(lease * 3)?;
    }
    Ok(())
}

/// Three voters, and an enclave that takes its time.
fn relapse(seed: u64) -> Scenario {
    let lease = Duration::from_secs(1);
    let enclave_latency = (Duration::from_millis(10), Duration::from_millis(30));
    Scenario { enclave_latency, storm: lease * 100, ..Scenario::calm(seed, 3) }
}

/// Again and again the leader crashes, calls when it is back, crashes once more before it has the result, and is cut
/// off as soon as it leads again, when the enclave that certified it forgets it.
fn crash_after_calls(world: &mut World) -> Result<(), Violation> {
    let lease = world.scenario.lease;
    for _ in 0..10 {
        world.wait_for(lease * 5, |world| world.holder().is_some())?;
        let Some(leader) = world.holder() else { return Ok(()) };
        for _ in 0..2 {
            world.observer.called = None;
            world.restart(leader, lease / 20);
            let called = |world: &World| world.observer.called.is_some_and(|(node, _)| node == leader);
            world.wait_for(lease * 2, called)?;
            let at_work = world.dice.span(Duration::from_micros(200), Duration::from_millis(5));
            world.pass(at_work)?;
        }
        if world.wait_for(lease, |world| world.holds(leader))? {
            world.restart_enclaves();
            world.strand(leader, lease * 2);
        }
        world.pass(lease * 3)?;
    }
    Ok(())
}

/// A long lease, so that an election fits into one percent of it.
fn clocks(seed: u64) -> Scenario {
    let lease = Duration::from_secs(60);
    Scenario { lease, storm: lease * 50, ..Scenario::calm(seed, 4) }
}

/// Again and again, the leader's clock is as slow as it may be and all others' as fast, when it is cut off.
fn strand_slow_leaders(world: &mut World) -> Result<(), Violation> {
    let lease = world.scenario.lease;
    for _ in 0..8 {
        world.wait_for(lease * 3, |world| world.holder().is_some())?;
        let Some(leader) = world.holder() else { return Ok(()) };
        for machine in 0..world.machines.len() {
            let rate_ppm = if machine == leader { -10_000 } else { 10_000 };
            world.machines[machine].clock.set_rate(world.at, rate_ppm);
        }
        world.pass(lease)?;
        world.strand(leader, lease * 2);
        world.pass(lease * 3)?;
    }
    Ok(())
}
