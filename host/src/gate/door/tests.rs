//! The door on virtual time: scenarios, and random lives that are checked against what a gate promises.

use super::*;
use nitro_elect_protocol::assurance::Assurance;
use nitro_elect_protocol::ids::ClusterId;
use proptest::prelude::*;

const DRAIN: Duration = Duration::from_secs(30);
const LEASE: Duration = Duration::from_millis(980);
const START: Boot = Boot(1_000_000_000);

fn leader(term: u64) -> NodeId {
    NodeId([u8::try_from(term % 250).unwrap(); 32])
}

fn standing(term: u64, now: Boot) -> Standing {
    Standing { term: Term(term), leader: leader(term), until: now + LEASE, assurance: Assurance::Attested }
}

fn record(term: u64, open: bool) -> Record {
    let leader = (term > 0).then(|| leader(term));
    Record { cluster: ClusterId([1; 16]), term: Term(term), leader, open }
}

/// A door and its disk, at a time of the test's own.
struct World {
    door: Door,
    now: Boot,
    disk: Record,
}

impl World {
    fn starting(disk: Record, has_command: bool) -> Self {
        World { door: Door::new(disk.clone(), DRAIN, has_command, START), now: START, disk }
    }

    fn new() -> Self {
        World::starting(record(0, false), false)
    }

    fn wait(&mut self, span: Duration) -> Option<Term> {
        self.now = self.now + span;
        self.tick()
    }

    fn tick(&mut self) -> Option<Term> {
        match self.door.tick(self.now)? {
            Due::Fence(term) => Some(term),
            Due::Save(record) => {
                self.save(record, Boot(0));
                None
            }
        }
    }

    fn save(&mut self, record: Record, until: Boot) {
        self.disk = record.clone();
        self.door.saved(record, until, self.now);
    }

    fn present(&mut self, term: u64) -> Result<(), Closed> {
        let standing = standing(term, self.now);
        match self.door.present(&standing, self.now)? {
            Step::Done => {}
            Step::Save(record) => self.save(record, standing.until),
        }
        Ok(())
    }

    fn enter(&mut self, term: u64) -> Result<ConnectionId, Closed> {
        loop {
            match self.door.enter(leader(term), self.now) {
                Ok(id) => {
                    assert!(
                        self.disk.open && self.disk.term == self.door.term(),
                        "durable before anything passes"
                    );
                    return Ok(id);
                }
                Err(Err(why)) => return Err(why),
                Err(Ok(record)) => self.save(record, Boot(0)),
            }
        }
    }

    fn ended(&mut self, id: ConnectionId, ending: Ending) {
        self.door.ended(id, ending, self.now);
    }
}

#[test]
fn a_leader_enters_while_its_proof_holds_and_not_after() {
    let mut world = World::new();
    assert!(matches!(world.enter(7), Err(Closed::NoProof { over: None, .. })));
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    assert!(matches!(world.enter(8), Err(Closed::NotTheLeader { .. })));
    world.wait(LEASE);
    assert!(matches!(world.enter(7), Err(Closed::NoProof { over: Some(_), .. })));
    world.present(7).unwrap();
    world.enter(7).unwrap();
    world.ended(id, Ending::Eof);
}

#[test]
fn the_next_term_waits_for_the_last_connection_and_the_lower_one_is_over_at_once() {
    let mut world = World::new();
    world.present(7).unwrap();
    let (one, two) = (world.enter(7).unwrap(), world.enter(7).unwrap());
    assert!(matches!(world.present(8), Err(Closed::Draining { connections: 2, .. })));
    assert_eq!(world.door.until(), Boot(0), "nothing more of term 7 is forwarded");
    assert!(matches!(world.present(7), Err(Closed::LowerTerm { .. })));
    assert!(world.enter(7).is_err());
    world.ended(one, Ending::Eof);
    assert!(world.present(8).is_err());
    world.ended(two, Ending::Eof);
    assert_eq!(world.disk, record(7, true), "until the next is admitted, the record is the old one");
    world.present(8).unwrap();
    assert_eq!(world.disk, record(8, true));
    world.enter(8).unwrap();
}

#[test]
fn of_several_that_wait_the_highest_is_let_in() {
    let mut world = World::new();
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    assert!(world.present(9).is_err());
    assert!(matches!(world.present(8), Err(Closed::LowerTerm { highest: Term(9), .. })));
    world.ended(id, Ending::Eof);
    assert!(world.present(8).is_err());
    world.present(9).unwrap();
}

#[test]
fn past_the_drain_an_operator_is_waited_for_and_only_his_word_for_that_term_counts() {
    let mut world = World::new();
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    assert!(world.door.drained(Term(7)).is_err(), "nothing is waited for yet");
    assert!(world.present(8).is_err());
    assert_eq!(world.wait(DRAIN), None, "there is no command");
    assert!(matches!(world.present(8), Err(Closed::Overdue { connections: 1, has_command: false, .. })));
    assert!(world.door.drained(Term(8)).is_err());
    assert_eq!(world.door.drained(Term(7)), Ok(true));
    world.present(8).unwrap();
    world.enter(8).unwrap();
    world.ended(id, Ending::Broken);
    assert_eq!(world.door.connections(), 1, "what was abandoned does not count for the next term");
    world.present(8).unwrap();
}

#[test]
fn past_the_drain_the_command_runs_until_it_succeeds_and_nobody_is_let_in_meanwhile() {
    let mut world = World::starting(record(0, false), true);
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    assert!(world.present(8).is_err());
    assert_eq!(world.wait(DRAIN - Duration::from_millis(1)), None);
    assert_eq!(world.wait(Duration::from_millis(1)), Some(Term(7)));
    assert_eq!(world.wait(DRAIN), None, "one at a time");
    world.ended(id, Ending::Eof);
    assert!(
        matches!(world.present(8), Err(Closed::Fencing { .. })),
        "it might end the next one's connections"
    );
    assert!(!world.door.fenced(false, world.now));
    world.present(8).unwrap();
}

#[test]
fn a_connection_that_broke_is_in_doubt_and_waiting_does_not_help() {
    for has_command in [false, true] {
        let mut world = World::starting(record(0, false), has_command);
        world.present(7).unwrap();
        let id = world.enter(7).unwrap();
        world.ended(id, Ending::Broken);
        world.enter(7).unwrap();
        world.present(7).unwrap();
        let id = world.enter(7).unwrap() - 1;
        world.ended(id, Ending::Eof);
        world.ended(id + 1, Ending::Eof);
        assert!(matches!(world.present(8), Err(Closed::InDoubt { at_start: false, .. })));
        assert_eq!(world.tick(), has_command.then_some(Term(7)), "at once");
        match has_command {
            true => assert!(world.door.fenced(true, world.now)),
            false => assert_eq!(world.door.drained(Term(7)), Ok(true)),
        }
        world.present(8).unwrap();
    }
}

#[test]
fn a_mark_found_at_the_start_is_fenced_first_where_there_is_a_command() {
    let mut world = World::starting(record(7, true), true);
    assert_eq!(world.tick(), Some(Term(7)));
    assert!(matches!(world.present(7), Err(Closed::Fencing { .. })));
    assert!(!world.door.fenced(false, world.now));
    assert!(matches!(world.present(7), Err(Closed::FenceFailed { .. })));
    assert!(matches!(world.present(8), Err(Closed::FenceFailed { .. })));
    assert_eq!(world.wait(FENCE_RETRY), Some(Term(7)));
    world.door.fenced(true, world.now);
    world.present(8).unwrap();
}

#[test]
fn a_mark_found_at_the_start_lets_its_own_leader_go_on_and_nobody_else() {
    let mut world = World::starting(record(7, true), false);
    assert!(matches!(world.door.why_closed(world.now), Some(Closed::InDoubt { at_start: true, .. })));
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    world.ended(id, Ending::Eof);
    assert_eq!(world.wait(MARK_IDLE), None);
    assert!(world.disk.open, "the doubt is still there for whoever starts next");
    assert!(world.present(8).is_err());
    assert_eq!(world.door.drained(Term(7)), Ok(true));
    world.present(8).unwrap();
}

#[test]
fn the_mark_goes_when_there_has_been_no_connection_for_a_while_and_comes_back_first() {
    let mut world = World::new();
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    world.wait(MARK_IDLE);
    assert!(world.disk.open);
    world.ended(id, Ending::Eof);
    world.tick();
    assert!(world.disk.open, "not after each of many short ones");
    world.wait(MARK_IDLE);
    assert!(!world.disk.open);
    world.present(7).unwrap();
    world.enter(7).unwrap();
    assert!(world.disk.open);
}

#[test]
fn one_term_has_one_leader() {
    let mut world = World::new();
    world.present(7).unwrap();
    let other = Standing { leader: leader(9), ..standing(7, world.now) };
    assert!(matches!(world.door.present(&other, world.now), Err(Closed::OtherLeader { .. })));
}

#[test]
fn a_door_that_stops_lets_nobody_in_and_unmarks_when_it_is_at_rest() {
    let mut world = World::new();
    world.present(7).unwrap();
    let id = world.enter(7).unwrap();
    world.door.stop();
    assert!(world.present(7).is_err() && world.present(8).is_err() && world.enter(7).is_err());
    assert!(!world.door.is_at_rest() && world.door.until() == Boot(0));
    world.tick();
    assert!(world.disk.open);
    world.ended(id, Ending::Eof);
    world.tick();
    assert!(world.door.is_at_rest() && !world.disk.open);
}

/// What may happen to a gate.
#[derive(Clone, Debug)]
enum Event {
    Present(u64),
    Enter(u64),
    End(usize, Ending),
    Wait(u64),
    Fenced(bool),
    Word(u64),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let ending = prop_oneof![3 => Just(Ending::Eof), 1 => Just(Ending::Broken), 1 => Just(Ending::Unused)];
    prop_oneof![
        4 => (1..5u64).prop_map(Event::Present),
        4 => (1..5u64).prop_map(Event::Enter),
        4 => (0..8usize, ending).prop_map(|(which, ending)| Event::End(which, ending)),
        3 => (1..2000u64).prop_map(Event::Wait),
        1 => any::<bool>().prop_map(Event::Fenced),
        1 => (1..5u64).prop_map(Event::Word),
        1 => Just(Event::Restart),
    ]
}

/// What is really at work in the resource, by the term that it is of, and who has vouched for the end of the rest.
#[derive(Default)]
struct Truth {
    at_work: Vec<(u64, Option<ConnectionId>)>,
}

fn live(has_command: bool, events: Vec<Event>) {
    let mut world = World::starting(record(0, false), has_command);
    let (mut truth, mut fencing) = (Truth::default(), None::<u64>);
    for event in events {
        match event {
            Event::Present(term) => {
                let before = world.door.term().0;
                let admitted = world.present(term).is_ok();
                assert!(!admitted || term >= before, "terms never fall");
            }
            Event::Enter(term) => {
                let Ok(id) = world.enter(term) else { continue };
                assert_eq!(world.door.term(), Term(term));
                let others: Vec<_> = truth.at_work.iter().filter(|(other, _)| *other != term).collect();
                assert!(others.is_empty(), "term {term} was let in beside {others:?}");
                assert!(fencing.is_none(), "while the command ran");
                truth.at_work.push((term, Some(id)));
            }
            Event::End(which, ending) => {
                let open = truth.at_work.iter().enumerate().filter(|(_, (_, id))| id.is_some());
                let Some((at, id)) = open.map(|(at, (_, id))| (at, *id)).nth(which) else { continue };
                match ending {
                    // What broke goes on, unseen.
                    Ending::Broken => truth.at_work[at].1 = None,
                    Ending::Eof | Ending::Unused => drop(truth.at_work.remove(at)),
                }
                world.ended(id.unwrap(), ending);
            }
            Event::Wait(ms) => {
                if let Some(term) = world.wait(Duration::from_millis(ms * 20)) {
                    assert!(has_command && fencing.is_none());
                    fencing = Some(term.0);
                }
            }
            Event::Fenced(succeeded) => {
                let Some(term) = fencing.take() else { continue };
                if succeeded {
                    truth.at_work.retain(|(other, _)| *other != term);
                }
                world.door.fenced(succeeded, world.now);
            }
            Event::Word(term) => {
                let before = truth.at_work.len();
                let taken = world.door.drained(Term(term));
                // An operator tells the truth: he has ended what the gate no longer sees, or all if the gate drops it.
                if let Ok(abandoned) = taken {
                    truth.at_work.retain(|(other, id)| *other != term || (id.is_some() && !abandoned));
                }
                assert!(truth.at_work.len() <= before);
            }
            Event::Restart => {
                truth.at_work.iter_mut().for_each(|(_, id)| *id = None);
                fencing = None;
                world = World { now: world.now, ..World::starting(world.disk.clone(), has_command) };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_two_terms_are_at_work_at_once(
        has_command in any::<bool>(),
        events in proptest::collection::vec(event(), 1..60),
    ) {
        live(has_command, events);
    }
}
