//! Worlds whose voters change: manifests that succeed each other, and when a machine moves to the next (DESIGN §3.8).
//!
//! Steps are proposed at random, and only those that the product's own rules allow are carried out, with words that its
//! own ledgers let voters sign. A machine that restarts in the storm may move; now and then its operator tries a rival of
//! the next manifest first, that one voter too few has approved, however often Byzantine voters approve it and in whose names.
//! Those go by whatever manifest they like, and sign for all sides. When the storm is over, all move to the latest manifest
//! that any of them has reached.

use nitro_elect::core::config::Predecessor;
use nitro_elect_protocol::change::{Agreed, Approve, Change, Endorse, Ledger, SafeChange, Word, may_pass};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::statement::{Signed, Statement, Verified, signing_input};

use super::dice::Dice;
use super::machine::Machine;
use super::scenario::Scenario;
use super::world::World;

/// Steps that a world can take.
const STEPS: usize = 24;
/// Proposals for each: most of those drawn at random are not allowed.
const PROPOSALS: usize = 40;

/// Manifests that succeed each other, the approvals of each step, and a certificate under each as soon as there is one.
#[derive(Debug)]
pub struct Succession {
    manifests: Vec<Electorate>,
    approvals: Vec<Vec<Signed<Approve>>>,
    /// Of each step another one, and too few approvals for it.
    rivals: Vec<(Electorate, Vec<Signed<Approve>>)>,
    shown: Vec<Option<Bundle>>,
}

impl Succession {
    /// Draws a succession that begins with this electorate, of these machines' nodes.
    pub fn draw(
        first: &Electorate,
        machines: &[Machine],
        scenario: &Scenario,
        crypto: &dyn Crypto,
        dice: &mut Dice,
    ) -> Self {
        let byzantine: Vec<NodeId> =
            scenario.byzantine_machines().map(|machine| machines[machine].id).collect();
        let (mut manifests, mut approvals, mut rivals) = (vec![first.clone()], Vec::new(), Vec::new());
        for _ in 0..STEPS {
            let old = manifests.last().expect("there is a first");
            let Some(new) = allowed(old, machines, scenario, dice) else { break };
            let Some(rival) = allowed(old, machines, scenario, dice) else { break };
            let byzantine = |key: &NodeId| byzantine.contains(key);
            let too_few = too_few(Change::between(old, &rival), old, machines, byzantine, crypto);
            approvals.push(approved(Change::between(old, &new), old, machines, crypto));
            rivals.push((rival, too_few));
            manifests.push(new);
        }
        let shown = vec![None; manifests.len()];
        Succession { manifests, approvals, rivals, shown }
    }

    fn manifest(&self, place: Place) -> &Electorate {
        if place.strayed { &self.rivals[place.index - 1].0 } else { &self.manifests[place.index] }
    }

    /// All manifests, the first one first, and all rivals.
    pub fn manifests(&self) -> Vec<Electorate> {
        self.manifests.iter().chain(self.rivals.iter().map(|(rival, _)| rival)).cloned().collect()
    }

    /// A node adopted a certificate.
    pub fn see(&mut self, bundle: &Bundle) {
        let Ok(certificate) = bundle.certificate.peek() else { return };
        let place = self.manifests.iter().position(|known| known.digest() == certificate.electorate);
        if let Some(shown) = place.map(|place| &mut self.shown[place]) {
            shown.get_or_insert_with(|| bundle.clone());
        }
    }

    /// Whether a node may move from here in the succession, or to the rival of its next step, by the product's rules.
    fn may_move(&self, from: usize, to_rival: bool, crypto: &dyn Crypto) -> bool {
        let (Some(next), Some(approvals)) = (self.manifests.get(from + 1), self.approvals.get(from)) else {
            return false;
        };
        let (rival, too_few) = &self.rivals[from];
        let (new, words) = if to_rival { (rival, too_few) } else { (next, approvals) };
        let old = &self.manifests[from];
        let certificate = self.shown[from].as_ref().and_then(|shown| shown.verify_own(crypto, old).ok());
        may_pass(old, new, words, certificate.as_ref(), crypto).is_ok()
    }
}

/// At which manifest a machine's node is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// Its number in the succession.
    pub index: usize,
    /// Whether it moved there in its latest start.
    pub just_moved: bool,
    /// Whether it is the rival of that number, which no node may reach.
    pub strayed: bool,
}

/// The first of some proposals that the product's rules allow.
fn allowed(
    old: &Electorate,
    machines: &[Machine],
    scenario: &Scenario,
    dice: &mut Dice,
) -> Option<Electorate> {
    let proposed = std::iter::repeat_with(|| propose(old, machines, scenario, dice));
    proposed.take(PROPOSALS).find(|new| new.faults().is_empty() && SafeChange::check(old, new).is_ok())
}

/// Another set of voters: mostly one more or one fewer, now and then any.
fn propose(old: &Electorate, machines: &[Machine], scenario: &Scenario, dice: &mut Dice) -> Electorate {
    let all: Vec<usize> = (0..machines.len()).collect();
    let votes = |machine: usize| old.contains(&machines[machine].id);
    let turned = *dice.pick(&all);
    let mut chosen: Vec<usize> = if dice.chance(500) {
        dice.subset(&all)
    } else {
        all.into_iter().filter(|machine| votes(*machine) != (*machine == turned)).collect()
    };
    if chosen.is_empty() {
        chosen.push(turned);
    }
    let voters = chosen.iter().map(|machine| scenario.voter(*machine, machines[*machine].id)).collect();
    let drawn = scenario.electorate(voters);
    let shorter = dice.chance(500);
    Electorate {
        epoch: old.epoch + 1,
        previous: Some(old.digest()),
        lease_ms: if shorter { drawn.lease_ms / 2 } else { drawn.lease_ms },
        ..drawn
    }
}

/// What all voters of `old` sign about a step, each as its ledger lets it.
fn approved(
    change: Change,
    old: &Electorate,
    machines: &[Machine],
    crypto: &dyn Crypto,
) -> Vec<Signed<Approve>> {
    let voters: Vec<&Machine> = machines.iter().filter(|machine| old.contains(&machine.id)).collect();
    let mut ledgers: Vec<Ledger> = voters.iter().map(|voter| Ledger::new(voter.id, old)).collect();
    let endorsed: Vec<Endorse> = ledgers
        .iter_mut()
        .map(|ledger| ledger.endorse(change, 1, None).expect("a new ledger is free"))
        .collect();
    let endorsed = signed(&voters, &endorsed);
    let agreed = Agreed::count(change, old, &endorsed, crypto).expect("all have endorsed");
    let approved: Vec<Approve> = ledgers
        .iter_mut()
        .map(|ledger| ledger.approve(change, &agreed).expect("a quorum has endorsed"))
        .collect();
    signed(&voters, &approved)
}

/// One approval too few, which Byzantine voters try to pass off as enough: theirs are there again, of another attempt, and
/// they sign in the names of those that have not.
fn too_few(
    change: Change,
    old: &Electorate,
    machines: &[Machine],
    is_byzantine: impl Fn(&NodeId) -> bool,
    crypto: &dyn Crypto,
) -> Vec<Signed<Approve>> {
    let mut words = approved(change, old, machines, crypto);
    let says = |word: &Signed<Approve>| word.peek().expect("it was just signed");
    words.sort_by_key(|word| !is_byzantine(&says(word).voter));
    let missing = words.split_off(old.quorum() - 1);
    for liar in machines.iter().filter(|machine| old.contains(&machine.id) && is_byzantine(&machine.id)) {
        let own = words.iter().map(says).find(|word| word.voter == liar.id);
        let again = own.map(|word| Approve { attempt: word.attempt + 1, ..word });
        let forged = missing.iter().map(says).map(|word| {
            let key = liar.key();
            let bytes = codec::encode(&word);
            let signature = key.sign(&signing_input(Approve::DOMAIN, &bytes));
            Signed::from_parts(bytes, signature)
        });
        let forged: Vec<_> = forged.collect();
        words.extend(again.map(|word| Verified::sign(word, &*liar.key()).into_signed()));
        words.extend(forged);
    }
    words
}

fn signed<T: Word>(voters: &[&Machine], words: &[T]) -> Vec<Signed<T>> {
    let both = voters.iter().zip(words);
    both.map(|(voter, word)| Verified::sign(word.clone(), &*voter.key()).into_signed()).collect()
}

impl World {
    /// The manifest that a machine's node is at, and the one before.
    pub(super) fn manifest_of(&self, machine: usize) -> (&Electorate, Option<Predecessor>) {
        let Some(succession) = &self.succession else { return (&self.electorate, None) };
        let place = self.machines[machine].place;
        let before = place.index.checked_sub(1).map(|index| succession.manifests[index].clone());
        let predecessor =
            before.map(|before| Predecessor { electorate: Box::new(before), just_left: place.just_moved });
        (succession.manifest(place), predecessor)
    }

    /// A machine's node is about to start: it moves on if it may and somebody wants it to.
    pub(super) fn move_on(&mut self, machine: usize) {
        let place = self.machines[machine].place;
        // What it moved to when the storm ended, it starts with just now.
        self.machines[machine].place.just_moved &= self.calm;
        let wanted = self.succession.is_some() && !self.calm && self.dice.chance(self.scenario.changes);
        if wanted && !self.observer.is_honest(machine) {
            return self.go_anywhere(machine);
        }
        if !wanted || place.strayed {
            return;
        }
        let strayed = self.dice.chance(100) && self.may_move(place.index, true);
        if strayed || self.may_move(place.index, false) {
            let index = place.index + 1;
            self.machines[machine].place = Place { index, just_moved: true, strayed };
            let (name, rival) = (self.machines[machine].name.clone(), if strayed { "rival " } else { "" });
            self.trace.note(self.at, &name, || format!("moves to {rival}manifest {index}"));
        }
    }

    /// A Byzantine voter goes by any manifest that it likes, and waits for nothing.
    fn go_anywhere(&mut self, machine: usize) {
        let reached = self.reached();
        let index = self.dice.between(reached.saturating_sub(1) as u64, reached as u64 + 1) as usize;
        let last = self.succession.as_ref().map_or(0, |succession| succession.manifests.len() - 1);
        let index = index.min(last);
        let strayed = index > 0 && self.dice.chance(300);
        self.machines[machine].place = Place { index, just_moved: false, strayed };
    }

    /// The latest manifest that an honest node has reached.
    fn reached(&self) -> usize {
        let honest = (0..self.machines.len()).filter(|machine| self.observer.is_honest(*machine));
        honest.map(|machine| self.machines[machine].place.index).max().unwrap_or_default()
    }

    /// Byzantine voters sign for all sides: under the manifest that honest nodes have reached, and those around it.
    pub(super) fn choose_manifest(&mut self) {
        let reached = self.reached();
        let Some(succession) = &self.succession else { return };
        let around = reached.saturating_sub(1)..(reached + 2).min(succession.manifests.len());
        let rival = succession.rivals.get(reached).map(|(rival, _)| rival);
        let sides: Vec<&Electorate> = succession.manifests[around].iter().chain(rival).collect();
        self.electorate = (*self.dice.pick(&sides)).clone();
    }

    fn may_move(&self, from: usize, to_rival: bool) -> bool {
        self.succession.as_ref().is_some_and(|succession| succession.may_move(from, to_rival, &*self.crypto))
    }

    /// The storm is over: every node that is behind is stopped, and starts at the latest manifest that one has reached.
    pub(super) fn catch_up(&mut self) {
        let latest = self.reached();
        for machine in 0..self.machines.len() {
            if !self.observer.is_honest(machine) {
                self.crash(machine, false);
                self.machines[machine].place = Place { index: latest, just_moved: true, strayed: false };
                continue;
            }
            let behind = self.machines[machine].place.index;
            if behind < latest && (behind..latest).all(|index| self.may_move(index, false)) {
                self.crash(machine, false);
                self.machines[machine].place = Place { index: latest, just_moved: true, strayed: false };
            }
        }
    }

    /// Nodes that follow without voting: those of machines for that, and in a world whose voters change, all others.
    pub(super) fn followers_of(&self, electorate: &Electorate) -> impl Iterator<Item = NodeId> {
        let (n, changes) = (self.scenario.n, self.succession.is_some());
        let others = self.machines.iter().enumerate();
        let follows =
            move |(machine, id): &(usize, NodeId)| *machine >= n || (changes && !electorate.contains(id));
        others.map(|(machine, own)| (machine, own.id)).filter(follows).map(|(_, id)| id)
    }
}
