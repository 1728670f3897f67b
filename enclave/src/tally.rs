//! Which views count (DESIGN §3.2, step 3).
//!
//! Every view of a request is opened, read, verified and matched. One that fails is skipped, listed with its
//! place and the reason, and spoils nothing: a coordinator cannot read what it carries, so it must not be blamed,
//! nor the election lost, for what a voter put inside.
//!
//! Two views of one voter for the request's cluster and term with different bytes are equivocation, whatever else
//! differs between them: an honest voter signs at most one a term (I6). None of that voter's views counts, and
//! one pair comes back as evidence, of at most [`EVIDENCE_MAX`] voters.

use nitro_elect_protocol::certificate::{SkipCode, Skipped};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::crypto::Crypto;
use nitro_elect_protocol::electorate::Electorate;
use nitro_elect_protocol::evidence::Evidence;
use nitro_elect_protocol::ids::{ElectorateDigest, EnclaveId, Generation, NodeId, Term};
use nitro_elect_protocol::limits::EVIDENCE_MAX;
use nitro_elect_protocol::seal::{self, SealedView};
use nitro_elect_protocol::statement::{Signed, StatementError, Verified};
use nitro_elect_protocol::view::View;
use std::collections::BTreeMap;

use crate::attestor::Attestor;
use crate::limits::SEALED_VIEW_MAX;

/// The election that a view must be for.
#[derive(Clone, Copy, Debug)]
pub struct Election<'a> {
    /// The voters: a valid electorate.
    pub electorate: &'a Electorate,
    /// Its digest, computed here.
    pub digest: ElectorateDigest,
    /// This enclave.
    pub enclave: EnclaveId,
    /// The term that was called.
    pub term: Term,
    /// Who called.
    pub coordinator: NodeId,
    /// Its life.
    pub generation: Generation,
}

/// The views that count, and what became of the others.
#[derive(Debug, Default)]
pub struct Tally {
    /// One of each voter that counts, by voter.
    pub counted: Vec<View>,
    /// The others, by place in the request.
    pub skipped: Vec<Skipped>,
    /// Voters that signed twice.
    pub evidence: Vec<Evidence>,
}

/// A view that its voter signed for this cluster and term, with its place in the request.
type Placed = (u32, Verified<View>);

impl Tally {
    /// Opens and sorts the views of a request.
    pub fn of(
        election: &Election<'_>,
        sealed_views: &[SealedView],
        attestor: &dyn Attestor,
        crypto: &dyn Crypto,
    ) -> Tally {
        let (mut tally, mut by_voter) = (Tally::default(), BTreeMap::<NodeId, Vec<Placed>>::new());
        let context = seal::context(&election.digest, &election.enclave, election.term);
        for (index, sealed) in (0..).zip(sealed_views) {
            match open(sealed, &context, attestor).and_then(|signed| election.verify(signed, crypto)) {
                Ok(view) => by_voter.entry(view.voter).or_default().push((index, view)),
                Err(code) => tally.skip(index, code),
            }
        }
        by_voter.into_values().for_each(|views| tally.settle(election, views));
        tally.skipped.sort_by_key(|skipped| skipped.index);
        tally
    }

    /// Decides what becomes of all that one voter signed.
    fn settle(&mut self, election: &Election<'_>, views: Vec<Placed>) {
        let mut views = views.into_iter();
        let Some((index, first)) = views.next() else { return };
        let differs = |(_, other): &&Placed| other.signed().bytes() != first.signed().bytes();
        if let Some((_, second)) = views.as_slice().iter().find(differs) {
            if self.evidence.len() < EVIDENCE_MAX {
                self.evidence.push(Evidence::new(first.signed().clone(), second.signed().clone()));
            }
            self.skip(index, SkipCode::Equivocated);
            return views.for_each(|(index, _)| self.skip(index, SkipCode::Equivocated));
        }
        views.for_each(|(index, _)| self.skip(index, SkipCode::Repeated));
        match election.matches(&first) {
            Ok(()) => self.counted.push(first.into_inner()),
            Err(code) => self.skip(index, code),
        }
    }

    fn skip(&mut self, index: u32, code: SkipCode) {
        self.skipped.push(Skipped { index, code });
    }
}

/// Opens a sealed view and reads the signed bytes inside.
fn open(sealed: &SealedView, context: &[u8], attestor: &dyn Attestor) -> Result<Signed<View>, SkipCode> {
    if sealed.0.len() > SEALED_VIEW_MAX {
        return Err(SkipCode::Malformed);
    }
    let opened = attestor.open(context, sealed).map_err(|_| SkipCode::NotOpened)?;
    codec::decode(&opened).map_err(|_| SkipCode::Malformed)
}

impl Election<'_> {
    /// Checks that a voter signed a view of this cluster and term.
    fn verify(&self, signed: Signed<View>, crypto: &dyn Crypto) -> Result<Verified<View>, SkipCode> {
        let claimed = signed.peek().map_err(|_| SkipCode::Malformed)?;
        if !self.electorate.contains(&claimed.voter) {
            return Err(SkipCode::NotAVoter);
        }
        let view = signed.verify(crypto).map_err(|error| match error {
            StatementError::Decode(_) => SkipCode::Malformed,
            StatementError::Signature(_) => SkipCode::BadSignature,
        })?;
        let is_ours = view.cluster == self.electorate.cluster && view.term == self.term;
        if is_ours { Ok(view) } else { Err(SkipCode::OtherElection) }
    }

    /// Checks that a view is for this very call, and that its list is a sorted set of voters.
    fn matches(&self, view: &View) -> Result<(), SkipCode> {
        let call = (self.digest, self.enclave, self.coordinator, self.generation);
        if (view.electorate, view.enclave, view.coordinator, view.coordinator_generation) != call {
            return Err(SkipCode::OtherElection);
        }
        let is_set = view.active.is_sorted_by(|a, b| a < b);
        let is_of_voters = view.active.iter().all(|node| self.electorate.contains(node));
        if is_set && is_of_voters { Ok(()) } else { Err(SkipCode::Malformed) }
    }
}
