//! Events and actions in the words of the event log. Gossip and bare ticks are left out.

use nitro_elect::core::event::{Action, Event, Notice};
use nitro_elect_protocol::enclave_api::{Request, Response};
use nitro_elect_protocol::ids::NodeId;
use nitro_elect_protocol::peer::PeerMessage;

use super::world::World;

/// An event, if it is worth a line.
pub fn event(world: &World, event: &Event) -> Option<String> {
    Some(match event {
        Event::Tick => return None,
        Event::PeerUp { peer, .. } => format!("is connected with {}", name(world, peer)),
        Event::PeerDown { peer } => format!("has no connection with {}", name(world, peer)),
        Event::Received { from, message } => {
            format!("<- {}: {}", name(world, from), self::message(world, message)?)
        }
        Event::EnclaveAnswered { request, answer } => {
            let answer = match answer {
                Ok(Response::Attestation { .. }) => "a document".into(),
                Ok(Response::Elected { certificate, .. }) => {
                    let certificate = certificate.peek().ok()?;
                    format!("elected {} in term {}", name(world, &certificate.leader), certificate.term)
                }
                Ok(Response::Latest { certificate }) => {
                    format!("latest is term {}", certificate.peek().ok()?.term)
                }
                Ok(Response::Health(_)) => "healthy".into(),
                Ok(Response::Refused(refusal)) => format!("refused: {refusal}"),
                Err(unanswered) => unanswered.to_string(),
            };
            format!("<- enclave, {request:?}: {answer}")
        }
        Event::NotPersisted => "could not write".into(),
        Event::Command(command) => format!("is told: {command:?}"),
    })
}

/// An action, if it is worth a line.
pub fn action(world: &World, action: &Action) -> Option<String> {
    Some(match action {
        Action::Persist(record) => match record.support {
            Some(support) => format!(
                "writes: term {}, {} in generation {}",
                support.term,
                name(world, &support.holder),
                support.generation
            ),
            None => "writes: no support".into(),
        },
        Action::Append(_) | Action::Keep(_) | Action::Dial { .. } => return None,
        Action::Send { to, message } => format!("-> {}: {}", name(world, to), self::message(world, message)?),
        Action::Ask { enclave, request, message } => {
            let what = match message {
                Request::Attest { .. } => "its document".into(),
                Request::Elect(elect) => {
                    format!("to count {} views of term {}", elect.views.len(), elect.term)
                }
                Request::Latest { .. } => "its latest certificate".into(),
                Request::Health => "whether it works".into(),
            };
            format!("-> enclave {}, {request:?}: asks {what}", enclave.0 + 1)
        }
        Action::Notice(notice) => format!("** {}", self::notice(world, notice)?),
        Action::Halt(reason) => format!("** stops for ever: {reason}"),
    })
}

fn notice(world: &World, notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Active(node) => format!("sees {} alive", name(world, node)),
        Notice::Silent(node) => format!("sees {} no more", name(world, node)),
        Notice::Called { term } => format!("calls term {term}"),
        Notice::CallFailed { term, why } => format!("fails to elect (term {term:?}): {why}"),
        Notice::Adopted { certificate, occasion } => format!(
            "adopts term {} ({}): {} in generation {}, called by {}",
            certificate.term,
            occasion.name(),
            name(world, &certificate.leader),
            certificate.leader_generation,
            name(world, &certificate.coordinator)
        ),
        Notice::LeaseGained { term, until } => format!("HOLDS THE LEASE of term {term} until {until:?}"),
        Notice::LeaseExtended { term, until } => format!("prolongs the lease of term {term} until {until:?}"),
        Notice::LeaseLost { term, why } => format!("LOSES THE LEASE of term {term}: {why}"),
        Notice::CannotStepDown(why) => format!("cannot step down: {why}"),
        Notice::Equivocation(evidence) => {
            format!("has proof that {} signed twice in term {}", name(world, &evidence.voter), evidence.term)
        }
        Notice::Dropped { from, why } => format!("drops a message of {}: {why}", name(world, from)),
        Notice::Enclave { enclave, verdict } => format!("enclave {}: {verdict:?}", enclave.0 + 1),
        Notice::ListChanged { members } => format!("has a list of {members} members"),
        Notice::EndWork { term } => format!("asks the work under term {term} to end"),
        Notice::WorkMayGoOn => "lets work go on".into(),
        Notice::Proven(_) => return None,
    })
}

fn message(world: &World, message: &PeerMessage) -> Option<String> {
    Some(match message {
        PeerMessage::Digest(_) | PeerMessage::Delta(_) => return None,
        PeerMessage::PreVote(vote) => format!("would you vote? (round {})", vote.round),
        PeerMessage::PreVoteAnswer(answer) => match &answer.refusal {
            None => format!("I would (round {}, record {})", answer.round, answer.record_term),
            Some(why) => format!("I would not (round {}): {why}", answer.round),
        },
        PeerMessage::Call(call) => format!("call of term {}, generation {}", call.term, call.generation),
        PeerMessage::CallAnswer(answer) => match &answer.outcome {
            Ok(_) => format!("my view of term {}", answer.term),
            Err(why) => format!("no view of term {}: {why}", answer.term),
        },
        PeerMessage::Renew(renew) => {
            format!("renew term {}, generation {}, seq {}", renew.term, renew.generation, renew.seq)
        }
        PeerMessage::RenewAnswer(answer) => match &answer.outcome {
            Ok(_) => format!("my promise in term {}, seq {}", answer.term, answer.seq),
            Err(why) => format!("no promise in term {}, seq {}: {why}", answer.term, answer.seq),
        },
        PeerMessage::WantCertificate { above } => format!("your certificate above term {above}?"),
        PeerMessage::Certificate(bundle) => {
            format!("certificate of term {}", bundle.certificate.peek().ok()?.term)
        }
        PeerMessage::Resign(resign) => {
            let resign = resign.peek().ok()?;
            let (node, generation) = (name(world, &resign.node), resign.generation);
            format!("{node}, generation {generation}, resigns up to term {}", resign.up_to_term)
        }
        PeerMessage::Lease(proof) => format!("lease proof of term {}", proof.term),
        PeerMessage::Nonces(nonces) => format!("{} nonces", nonces.len()),
        PeerMessage::Evidence(_) => "evidence".into(),
        PeerMessage::UnknownVersion { v } => format!("version {v} is not known here"),
    })
}

fn name(world: &World, node: &NodeId) -> String {
    world.index_of(node).map_or_else(|| node.short(), |index| world.machines[index].name.clone())
}
