//! The rules on virtual time: a lease of a second, prolonged by hand.

use super::*;

const LEASE: Duration = Duration::from_secs(1);
const USABLE: u64 = 980;
const SETTINGS: Settings = Settings { patience: Duration::from_secs(10), watchdog: None, once: false };

/// Rules, the time in milliseconds, and the last order.
struct World {
    rules: Rules,
    now: u64,
    order: Order,
}

fn at(ms: u64) -> Boot {
    Boot(ms * 1_000_000)
}

impl World {
    fn with(settings: Settings) -> World {
        World { rules: Rules::new(settings), now: 1_000, order: Order::default() }
    }

    fn feed(&mut self, event: Event) -> Vec<Action> {
        self.rules.handle(event, at(self.now))
    }

    /// A command that runs under term 7 from the first moment.
    fn running(settings: Settings) -> World {
        let mut world = World::with(settings);
        assert_eq!(world.renew(7), [Action::Start(Term(7))]);
        assert_eq!(world.feed(Event::Started), []);
        world
    }

    fn order(&mut self, change: impl FnOnce(&mut Order)) -> Vec<Action> {
        change(&mut self.order);
        self.order.number += 1;
        self.feed(Event::Order(self.order))
    }

    /// The lease begins, or begins anew, now.
    fn renew(&mut self, term: u64) -> Vec<Action> {
        let lease = Lease { term: Term(term), until: at(self.now + USABLE), length: LEASE };
        self.order(|order| order.lease = Some(lease))
    }

    /// Lets time pass, with ticks when they are due; what was done and when.
    fn run(&mut self, ms: u64) -> Vec<(u64, Action)> {
        let (begun, end) = (self.now, self.now + ms);
        let mut done = Vec::new();
        while let Some(wake) = self.rules.next_wake().map(|wake| wake.0.div_ceil(1_000_000)) {
            if wake > end {
                break;
            }
            self.now = self.now.max(wake);
            let when = self.now - begun;
            done.extend(self.feed(Event::Tick).into_iter().map(|action| (when, action)));
        }
        self.now = end;
        done
    }
}

fn asked(why: Why) -> Action {
    Action::Tell(Telling::Asked { why })
}

const KILLED: Action = Action::Tell(Telling::Killed);
const TERM: Action = Action::End(libc::SIGTERM);

fn gone(term: u64, exit: Option<Exit>, why: Why) -> Action {
    Action::Tell(Telling::Gone { term: Term(term), exit, why })
}

#[test]
fn nothing_starts_without_a_lease() {
    let mut world = World::with(SETTINGS);
    assert_eq!(world.order(|_| ()), [Action::Tell(Telling::Clear { order: 1 })]);
    assert_eq!(world.rules.next_wake(), None);
}

#[test]
fn a_lease_that_fades_starts_nothing() {
    let mut world = World::with(SETTINGS);
    let lease = Lease { term: Term(7), until: at(world.now + 333), length: LEASE };
    assert_eq!(world.order(|order| order.lease = Some(lease)), []);
    world.now += 10;
    assert_eq!(world.renew(7), [Action::Start(Term(7))]);
}

#[test]
fn as_long_as_the_lease_is_renewed_the_command_runs() {
    let mut world = World::running(SETTINGS);
    for _ in 0..20 {
        assert_eq!(world.run(600), []);
        assert_eq!(world.renew(7), []);
    }
}

#[test]
fn it_is_asked_when_a_third_is_left_and_killed_20_ms_before_the_end() {
    let mut world = World::running(SETTINGS);
    let done = world.run(965);
    let third = USABLE - 333;
    assert_eq!(done[..2], [(third, asked(Why::NoRenewal)), (third, TERM)]);
    assert_eq!(done[2..4], [(960, KILLED), (960, Action::Kill)]);
    assert_eq!(done[4..], [(965, Action::Kill)], "and again, for what was born meanwhile");
}

#[test]
fn a_renewal_that_comes_late_gives_it_time_to_end_and_then_it_starts_anew() {
    let mut world = World::running(SETTINGS);
    world.run(700);
    assert_eq!(world.renew(7), []);
    assert_eq!(world.run(600), [], "it is not killed at the old end");
    world.renew(7);
    let (exit, at_once) = (Exit::Signal(libc::SIGTERM), Action::Start(Term(7)));
    assert_eq!(world.feed(Event::Exited(exit)), []);
    assert_eq!(world.feed(Event::Empty), [gone(7, Some(exit), Why::NoRenewal), at_once]);
}

#[test]
fn a_lost_lease_asks_it_at_once_and_kills_it_at_the_end_it_would_have_had() {
    let mut world = World::running(SETTINGS);
    world.run(100);
    assert_eq!(world.order(|order| order.lease = None), [asked(Why::LeaseLost), TERM]);
    assert_eq!(world.run(862), [(860, KILLED), (860, Action::Kill)]);
    let gone = gone(7, None, Why::LeaseLost);
    assert_eq!(world.feed(Event::Empty), [gone, Action::Tell(Telling::Clear { order: 2 })]);
}

#[test]
fn time_alone_kills_it_though_nobody_gives_orders_or_ticks() {
    let mut world = World::running(SETTINGS);
    world.now += 5_000;
    let late = world.feed(Event::Tick);
    assert_eq!(late, [asked(Why::NoRenewal), TERM, KILLED, Action::Kill]);
}

#[test]
fn for_a_hand_over_it_has_its_patience_while_the_lease_is_renewed() {
    let patience = Duration::from_millis(1_500);
    let mut world = World::running(Settings { patience, ..SETTINGS });
    assert_eq!(world.order(|order| order.end = true), [asked(Why::HandOver), TERM]);
    for _ in 0..4 {
        assert_eq!(world.run(333), []);
        world.renew(7);
    }
    assert_eq!(world.run(170)[..2], [(168, KILLED), (168, Action::Kill)]);
    let clear = Action::Tell(Telling::Clear { order: world.order.number });
    assert_eq!(world.feed(Event::Empty), [gone(7, None, Why::HandOver), clear]);
    assert_eq!(world.renew(7).len(), 1, "nothing starts, and each order is answered");
    assert_eq!(world.order(|order| order.end = false), [Action::Start(Term(7))], "withdrawn");
}

#[test]
fn the_lease_ends_before_the_patience_does() {
    let mut world = World::running(SETTINGS);
    world.order(|order| order.end = true);
    assert_eq!(world.run(962), [(960, KILLED), (960, Action::Kill)]);
}

#[test]
fn a_new_term_ends_what_runs_under_the_old_one_and_starts_it_again() {
    let mut world = World::running(SETTINGS);
    world.run(300);
    assert_eq!(world.renew(8), [asked(Why::NewTerm), TERM]);
    assert_eq!(world.run(662), [(660, KILLED), (660, Action::Kill)], "by the old lease's end");
    let exit = Exit::Signal(libc::SIGKILL);
    world.feed(Event::Exited(exit));
    world.renew(8);
    assert_eq!(world.feed(Event::Empty), [gone(7, Some(exit), Why::NewTerm), Action::Start(Term(8))]);
}

#[test]
fn what_it_leaves_behind_when_it_ends_is_asked_and_killed_too() {
    let patience = Duration::from_millis(100);
    let mut world = World::running(Settings { patience, ..SETTINGS });
    assert_eq!(world.feed(Event::Exited(Exit::Code(0))), [TERM]);
    assert_eq!(world.run(102), [(100, Action::Kill)]);
    assert_eq!(world.feed(Event::Empty), [gone(7, Some(Exit::Code(0)), Why::ItEnded)]);
}

#[test]
fn a_command_that_keeps_ending_waits_longer_each_time() {
    let mut world = World::running(SETTINGS);
    let mut waits = Vec::new();
    for _ in 0..10 {
        world.feed(Event::Exited(Exit::Code(1)));
        world.feed(Event::Empty);
        let mut waited = 0;
        loop {
            world.renew(7);
            let started = world.run(50).into_iter().any(|(_, action)| action == Action::Start(Term(7)));
            waited += 50;
            if started {
                break;
            }
        }
        waits.push(waited);
    }
    assert_eq!(waits, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
    for _ in 0..20 {
        world.run(500);
        world.renew(7);
    }
    world.feed(Event::Exited(Exit::Code(1)));
    world.feed(Event::Empty);
    assert_eq!(world.rules.next_wake(), Some(at(world.now + 100)), "it had run well");
}

#[test]
fn with_once_it_is_not_started_again_after_it_ended_by_itself() {
    let mut world = World::running(Settings { once: true, ..SETTINGS });
    world.feed(Event::Exited(Exit::Code(3)));
    let clear = Action::Tell(Telling::Clear { order: 1 });
    assert_eq!(world.feed(Event::Empty), [gone(7, Some(Exit::Code(3)), Why::ItEnded), clear]);
    assert_eq!((Exit::Code(3).code(), Exit::Signal(9).code(), Exit::Code(256).code()), (3, 137, 255));
}

#[test]
fn with_once_it_is_started_again_after_it_was_stopped() {
    let mut world = World::running(Settings { once: true, ..SETTINGS });
    world.order(|order| order.lease = None);
    world.feed(Event::Empty);
    assert_eq!(world.renew(9), [Action::Start(Term(9))]);
}

#[test]
fn a_command_that_cannot_be_started_is_tried_again_later() {
    let mut world = World::with(SETTINGS);
    world.renew(7);
    assert_eq!(world.feed(Event::CannotStart), [gone(7, None, Why::ItEnded)]);
    assert_eq!(world.run(100), [(100, Action::Start(Term(7)))]);
}

#[test]
fn without_a_sign_of_life_it_is_stopped() {
    let watchdog = Some(Duration::from_millis(200));
    let mut world = World::running(Settings { watchdog, ..SETTINGS });
    for _ in 0..3 {
        assert_eq!(world.run(190), []);
        assert_eq!(world.feed(Event::Beat), []);
        world.renew(7);
    }
    assert_eq!(world.run(210), [(200, asked(Why::Stuck)), (200, TERM)]);
}

#[test]
fn whoever_is_orphaned_kills_at_once_and_is_over() {
    let mut world = World::running(SETTINGS);
    let done = world.feed(Event::Orphaned);
    assert_eq!(done, [asked(Why::Orphaned), TERM, KILLED, Action::Kill]);
    assert!(world.rules.is_killing() && !world.rules.is_over());
    world.feed(Event::Exited(Exit::Signal(9)));
    world.feed(Event::Empty);
    assert!(world.rules.is_over());
}

#[test]
fn to_end_for_good_it_gets_the_signal_that_was_sent() {
    let mut world = World::running(SETTINGS);
    let done = world.order(|order| order.quit = Some(libc::SIGINT));
    assert_eq!(done, [asked(Why::Quit), Action::End(libc::SIGINT)]);
    let clear = Action::Tell(Telling::Clear { order: 2 });
    world.feed(Event::Exited(Exit::Code(0)));
    assert_eq!(world.feed(Event::Empty), [gone(7, Some(Exit::Code(0)), Why::Quit), clear]);
    assert_eq!(world.renew(8).len(), 1, "nothing starts any more");
}

#[test]
fn doubled_and_dropped_ticks_change_nothing_but_when() {
    let mut world = World::running(SETTINGS);
    world.run(650);
    assert_eq!(world.feed(Event::Tick), []);
    world.now += 400;
    assert_eq!(world.feed(Event::Tick), [KILLED, Action::Kill]);
    assert_eq!(world.feed(Event::Tick), [], "not twice within 5 ms");
}
