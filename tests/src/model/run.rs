//! Carries out one step: what happens at once because of it, and what is sent.
//!
//! Pre-votes and their answers, answers to calls and renewals, attestation documents and health arrive at once.

use nitro_elect::core::durable::Record;
use nitro_elect::core::event::{Command, Event};
use nitro_elect_protocol::crypto::Signer;
use nitro_elect_protocol::heartbeat::{Flags, Heartbeat};
use nitro_elect_protocol::ids::{Generation, NodeId, Term};
use nitro_elect_protocol::peer::{Delta, PeerMessage};
use nitro_elect_protocol::statement::Verified;
use std::collections::VecDeque;
use std::sync::Arc;

use super::Model;
use super::byzantine::LIFE;
use super::cluster::{id, now};
use super::fold::Fold;
use super::local::{Input, Mail, Out};
use super::soup::Item;
use super::state::{Node, State};
use super::step::Step;
use crate::sim::standin::StandInKey;
use crate::sim::violation::{Invariant, Violation};

/// What came of a step.
pub enum Outcome {
    /// Another state, or the same.
    Next(Box<State>),
    /// A term beyond the bounds was called.
    Beyond,
}

/// A step under way.
pub(super) struct Run<'a> {
    pub(super) model: &'a mut Model,
    pub(super) state: State,
    queue: VecDeque<(usize, Input)>,
    /// Whether answers to calls and renewals arrive.
    heard: bool,
    /// Whose next write is the last thing that it does in this life.
    tears: Option<usize>,
    beyond: bool,
}

impl Model {
    /// The state at the start: every honest node in its first life, all connected, all alive.
    pub fn beginning(&mut self) -> Result<State, Violation> {
        let nodes = self.cluster.honest().map(|node| self.newborn(node)).collect();
        let bounds = self.cluster.bounds;
        let state = State {
            tick: 0,
            nodes,
            soup: Vec::new(),
            issued: Vec::new(),
            left: Vec::new(),
            restarts: bounds.restarts,
            sleeps: bounds.sleeps,
            step_downs: bounds.step_downs,
            heard: Vec::new(),
            past: 0,
        };
        let mut run = Run::new(self, state);
        for node in run.model.cluster.honest() {
            run.wake(node);
        }
        run.drain()?;
        let state = run.state;
        if bounds.led { self.lead(state) } else { Ok(state) }
    }

    /// The state in which the first voter leads, after everything that honest nodes sent has arrived.
    fn lead(&mut self, beginning: State) -> Result<State, Violation> {
        let late = self.cluster.honest().len() as u32 - 1;
        let mut state = State { sleeps: beginning.sleeps + late, ..beginning };
        let mut steps = vec![Step::Tick { awake: vec![0] }];
        while let Some(step) = steps.pop() {
            if let Outcome::Next(next) = self.take(&state, &step)?
                && next.print() != state.print()
            {
                state = *next;
                steps = self.steps(&state);
                steps.retain(|step| self.is_smooth(step));
            }
        }
        assert!(self.holds(&state, 0), "the first voter leads when all goes well");
        Ok(state)
    }

    /// Whether a step is part of what happens when nothing goes wrong and nobody lies.
    fn is_smooth(&self, step: &Step) -> bool {
        match step {
            Step::Arrive { item, heard: true, .. } => !self.always.contains(item),
            Step::Elect { views, heard: true, .. } => views.count_ones() as usize == self.cluster.parts.n,
            Step::Learn { .. } | Step::Beat { .. } => true,
            _ => false,
        }
    }

    fn newborn(&mut self, node: usize) -> Node {
        let record = self.cluster.first_record(node);
        let local = self.locals.keep(self.cluster.start(node, record, None, 0));
        Node {
            local,
            record,
            generation: record.generation,
            newest: None,
            belief: None,
            led: Term(0),
            adopted: Term(0),
            beaten: true,
        }
    }

    /// What comes of a step.
    pub fn take(&mut self, state: &State, step: &Step) -> Result<Outcome, Violation> {
        let mut run = Run::new(self, state.clone());
        run.begin(step)?;
        run.drain()?;
        let Run { state, beyond, .. } = run;
        Ok(if beyond { Outcome::Beyond } else { Outcome::Next(Box::new(state)) })
    }
}

impl<'a> Run<'a> {
    fn new(model: &'a mut Model, state: State) -> Self {
        Run { model, state, queue: VecDeque::new(), heard: true, tears: None, beyond: false }
    }

    fn begin(&mut self, step: &Step) -> Result<(), Violation> {
        match step {
            Step::Beat { node } => self.beat(*node),
            Step::Arrive { item, to, heard } => {
                self.heard = *heard;
                self.hear_call(*item);
                let item = self.model.items.get(*item);
                let (Item::Call { from, mail, .. }
                | Item::Renew { from, mail, .. }
                | Item::Resign { of: from, mail, .. }) = &*item
                else {
                    return Ok(());
                };
                self.feed(*to, Input::mail(id(*from), mail));
            }
            Step::Learn { certificate, to } => {
                let stranger = id(self.model.cluster.parts.n - 1);
                let mail = self.model.issued.get(*certificate).mail.clone();
                self.feed(*to, Input::mail(stranger, &mail));
            }
            Step::Elect { item, views, heard } => self.elect(*item, *views, *heard)?,
            Step::Count { by, term, enclave, voters } => {
                let views = self.model.views_for(&self.state, *by, *term, *enclave);
                let chosen =
                    views.filter(|(of, _)| voters >> of & 1 == 1).map(|(_, sealed)| sealed).collect();
                let elect = self.model.cluster.byzantine_elect(*by, *term, *enclave, chosen);
                self.count(*enclave, elect)?;
            }
            Step::GiveUp { node } => {
                self.state.step_downs -= 1;
                let event = Event::Command(Command::StepDown { to: None });
                self.feed(*node, Input { event, print: Fold::of("step down") });
            }
            Step::Restart { node } => self.restart(*node),
            Step::Torn { node, by } => {
                self.tears = Some(*node);
                self.begin(by)?;
            }
            Step::Tick { awake } => self.pass(awake)?,
        }
        Ok(())
    }

    fn pass(&mut self, awake: &[usize]) -> Result<(), Violation> {
        self.state.tick += 1;
        self.state.sleeps -= (self.state.nodes.len() - awake.len()) as u32;
        for node in &mut self.state.nodes {
            node.beaten = false;
            // What ended is no state of mind any more.
            node.belief = node.belief.filter(|(_, until)| *until > now(self.state.tick).boot);
        }
        for node in awake {
            self.beat(*node);
            self.drain()?;
        }
        Ok(())
    }

    /// Counts the calls of Byzantine voters.
    fn hear_call(&mut self, item: u32) {
        let call =
            matches!(&*self.model.items.get(item), Item::Call { .. }) && self.model.always.contains(&item);
        if call && !self.state.heard.contains(&item) {
            self.state.heard.push(item);
            self.state.heard.sort_unstable();
        }
    }

    pub(super) fn feed(&mut self, node: usize, input: Input) {
        self.queue.push_back((node, input));
    }

    /// All that follows at once.
    fn drain(&mut self) -> Result<(), Violation> {
        while let Some((node, input)) = self.queue.pop_front() {
            let local = self.state.nodes[node].local.clone();
            let reaction = self.model.locals.react(&local, &input, self.state.tick);
            self.state.nodes[node].local = reaction.local;
            let generation = self.state.nodes[node].generation;
            for out in reaction.outs.iter() {
                self.carry_out(node, out)?;
                if self.state.nodes[node].generation != generation {
                    break;
                }
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, node: usize, out: &Out) -> Result<(), Violation> {
        match out {
            Out::Persist(record) => self.write(node, *record),
            Out::Newest(bundle, term) => self.state.nodes[node].newest = Some((bundle.clone(), *term)),
            Out::Tell { to, mail } => self.tell(node, to, mail)?,
            Out::Ask { enclave, request, message } => self.ask(node, *enclave, *request, message)?,
            Out::Called(term) => self.beyond |= term.0 > self.model.cluster.bounds.terms,
            Out::Adopted(term, certificate) => self.adopts(node, *term, *certificate)?,
            Out::Holds { term, until } => self.holds(node, *term, *until)?,
            Out::HoldsNoMore => self.state.nodes[node].belief = None,
            Out::Accused(voter) => self.accused(voter)?,
            Out::Halted => return Err(self.violated(Invariant::I11, format!("n{} stops for good", node + 1))),
        }
        Ok(())
    }

    fn write(&mut self, node: usize, record: Record) {
        let disk = self.model.cluster.parts.disk;
        let own = &mut self.state.nodes[node];
        own.record = Record { generation: record.generation, ..disk(own.record, record) };
        if self.tears.take_if(|tears| *tears == node).is_some() {
            self.restart(node);
        }
    }

    /// The next life, from what is on the disk.
    fn restart(&mut self, node: usize) {
        self.state.restarts -= 1;
        self.queue.retain(|(other, _)| *other != node);
        let own = &mut self.state.nodes[node];
        own.generation = Generation(own.generation.0 + 1);
        own.record.generation = own.generation;
        let newest = own.newest.as_ref().map(|(bundle, _)| (**bundle).clone());
        let core = self.model.cluster.start(node, own.record, newest, self.state.tick);
        own.local = self.model.locals.keep(core);
        own.belief = None;
        own.adopted = own.newest.as_ref().map_or(Term(0), |(_, term)| *term);
        self.wake(node);
    }

    /// A node that has just started hears of everybody.
    fn wake(&mut self, node: usize) {
        self.beat(node);
        for peer in (0..self.model.cluster.parts.n).filter(|peer| *peer != node) {
            let event = Event::PeerUp { peer: id(peer), reached_at: None };
            self.feed(node, Input { event, print: Fold::of(&("up", peer)) });
        }
    }

    fn beat(&mut self, node: usize) {
        self.state.nodes[node].beaten = true;
        let others = (0..self.model.cluster.parts.n).filter(|peer| *peer != node);
        let lives: Vec<(usize, Generation)> = others
            .map(|peer| (peer, self.state.nodes.get(peer).map_or(LIFE, |peer| peer.generation)))
            .collect();
        let heartbeats = lives.iter().map(|(peer, generation)| self.heartbeat(*peer, *generation)).collect();
        let message = PeerMessage::Delta(Delta { heartbeats, wanted: Vec::new() });
        let from = id(lives[0].0);
        let print = Fold::of(&("beat", self.state.tick, lives));
        self.feed(node, Input { event: Event::Received { from, message }, print });
    }

    fn heartbeat(
        &self,
        node: usize,
        generation: Generation,
    ) -> nitro_elect_protocol::statement::Signed<Heartbeat> {
        let (tick, cluster) = (self.state.tick, &self.model.cluster);
        let key = StandInKey(id(node));
        let heartbeat = Heartbeat {
            cluster: cluster.electorate.cluster,
            node: key.id(),
            name: String::new(),
            address: String::new(),
            generation,
            seq: u64::from(tick) + 1,
            boot: now(tick).boot,
            wall: now(tick).wall,
            highest_term: Term(0),
            flags: Flags::default(),
        };
        Verified::sign(heartbeat, &key).into_signed()
    }

    fn tell(&mut self, node: usize, to: &NodeId, mail: &Arc<Mail>) -> Result<(), Violation> {
        let Some(to) = self.model.cluster.number(to) else { return Ok(()) };
        let honest = self.model.cluster.honest().contains(&to);
        match &mail.message {
            PeerMessage::PreVote(_) if honest => self.prevote(node, to, mail),
            PeerMessage::PreVoteAnswer(_) if honest => self.deliver(node, to, mail),
            PeerMessage::PreVote(message) => {
                let answer = self.model.cluster.byzantine_prevote(message);
                self.deliver(to, node, &Mail::new(answer));
            }
            PeerMessage::Call(call) => {
                let term = call.term;
                self.send(mail, || Item::Call { from: node, term, mail: mail.clone() });
                if !honest && let Some(answer) = self.model.cluster.byzantine_answer(to, node, call) {
                    self.deliver(to, node, &Mail::new(answer));
                }
            }
            PeerMessage::CallAnswer(answer) => {
                if let Ok(sealed) = &answer.outcome {
                    self.view_leaves(node, sealed)?;
                    self.byzantine_keeps(node, to, sealed);
                }
                if honest && self.heard {
                    self.deliver(node, to, mail);
                }
            }
            PeerMessage::Renew(renew) => {
                let term = renew.term;
                self.send(mail, || Item::Renew { from: node, term, mail: mail.clone() });
                if !honest && let Some(certificate) = self.certificate_of(node, term) {
                    let answer = self.model.cluster.byzantine_promise(to, node, renew, certificate);
                    self.deliver(to, node, &Mail::new(answer));
                }
            }
            PeerMessage::RenewAnswer(_) if honest && self.heard => self.deliver(node, to, mail),
            PeerMessage::Resign(resign) => {
                let up_to = resign.peek().map(|resign| resign.up_to_term).unwrap_or_default();
                self.send(mail, || Item::Resign { of: node, up_to, mail: mail.clone() });
            }
            _ => {}
        }
        Ok(())
    }

    /// A voter says whether it would sign, and is left as it was: as if the question had come just before its next
    /// timer. What the question brings along can reach it in other ways.
    fn prevote(&mut self, from: usize, to: usize, mail: &Mail) {
        let local = self.state.nodes[to].local.clone();
        let reaction = self.model.locals.react(&local, &Input::mail(id(from), mail), self.state.tick);
        let answers = reaction.outs.iter().filter_map(|out| match out {
            Out::Tell { to, mail } if *to == id(from) => Some(mail),
            _ => None,
        });
        let answer = answers.into_iter().find(|mail| matches!(mail.message, PeerMessage::PreVoteAnswer(_)));
        if let Some(answer) = answer {
            self.deliver(to, from, answer);
        }
    }

    fn deliver(&mut self, from: usize, to: usize, mail: &Mail) {
        self.feed(to, Input::mail(id(from), mail));
    }

    /// Something joins what was sent; the same to several counts once.
    fn send(&mut self, mail: &Mail, make: impl FnOnce() -> Item) {
        self.put(mail.print, make);
    }

    pub(super) fn put(&mut self, print: super::fold::Print, make: impl FnOnce() -> Item) {
        let number = self.model.items.number(print, make);
        if !self.state.soup.contains(&number) {
            self.state.soup.push(number);
            self.state.note(print);
        }
    }

    pub(super) fn violated(&self, invariant: Invariant, what: String) -> Violation {
        let at = crate::sim::clock::At(0) + super::cluster::TICK * self.state.tick;
        Violation { invariant, at, what }
    }
}
