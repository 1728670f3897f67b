//! §6: which certificates count, live and later, and how they are fetched. Node 1 is shown them.

use nitro_elect::core::event::Drop;
use nitro_elect_protocol::certificate::{Certificate, DOMAIN, SignedCertificate, Vouching};
use nitro_elect_protocol::codec;
use nitro_elect_protocol::heartbeat::Heartbeat;
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest, EnclaveId, Generation, Term};
use nitro_elect_protocol::limits::AGE_MAX;
use nitro_elect_protocol::peer::PeerMessage;
use nitro_elect_protocol::proof::Bundle;
use nitro_elect_protocol::statement::signing_input;
use nitro_elect_tests::sim::standin::enclave_signature;

use crate::forgery::{sent_to, sign, term};
use crate::plan::{LEASE, Plan, id};
use crate::rig::Rig;

/// The node that is shown certificates.
const N: usize = 1;

fn show(rig: &mut Rig, bundle: Bundle) {
    rig.tell(N, 0, PeerMessage::Certificate(Box::new(bundle)));
}

/// The bundle with another content, signed by the enclave's own key all the same.
fn resigned(rig: &Rig, bundle: &Bundle, change: impl FnOnce(&mut Certificate)) -> Bundle {
    let mut certificate = bundle.certificate.peek().expect("a certificate");
    change(&mut certificate);
    let bytes = codec::encode(&certificate);
    let spki = rig.enclaves[0].identity.keys.claims().public_key;
    let signature = enclave_signature(&spki, &signing_input(DOMAIN, &bytes));
    Bundle { certificate: SignedCertificate { bytes, signature }, ..bundle.clone() }
}

/// PROTOCOL K1
#[test]
fn a_certificate_is_adopted_only_if_everything_about_it_is_right() {
    let mut rig = Rig::with(Plan { enclaves: 2, ..Plan::default() });
    let good = rig.certified(term(5), 0, 0);
    let mut unsigned = good.clone();
    unsigned.certificate.signature[0] ^= 1;
    let other_document = Bundle { document: rig.enclaves[1].identity.document.clone(), ..good.clone() };
    let mut bent_document = good.clone();
    bent_document.document[100] ^= 1;
    let alter = |change: fn(&mut Certificate)| resigned(&rig, &good, change);
    let bad = [
        ("a signature of nobody", unsigned),
        ("another enclave's document", other_document),
        ("a document that does not verify", bent_document),
        ("another electorate", alter(|it| it.electorate = ElectorateDigest([1; 32]))),
        ("another cluster", alter(|it| it.cluster = ClusterId([1; 16]))),
        ("another enclave", alter(|it| it.enclave = EnclaveId([1; 32]))),
        ("too few signers", alter(|it| it.signers.truncate(2))),
        ("a doubled signer", alter(|it| it.signers = vec![id(0), id(0), id(1)])),
        ("a stranger among the signers", alter(|it| it.signers = vec![id(0), id(1), id(9)])),
        ("a leader that is not active", alter(|it| it.active.retain(|node| *node != id(0)))),
        ("a leader that is no candidate", alter(|it| it.candidates.retain(|node| *node != id(0)))),
        ("a leader that did not sign", alter(|it| it.signers.retain(|node| *node != id(0)))),
        ("a leader from elsewhere", alter(|it| it.leader = id(9))),
        ("a coordinator from elsewhere", alter(|it| it.coordinator = id(9))),
        ("another version", alter(|it| it.version += 1)),
        ("a term out of range", alter(|it| it.term = Term(1 << 53))),
    ];
    for (what, bundle) in bad {
        show(&mut rig, bundle);
        assert_eq!(rig.term(N), Term(0), "{what}");
    }
    show(&mut rig, good);
    assert_eq!(rig.term(N), term(5));
}

/// PROTOCOL K1
#[test]
fn no_certificate_of_an_equal_or_a_lower_term_is_adopted() {
    let mut rig = Rig::new();
    let (low, first) = (rig.certified(term(4), 0, 0), rig.certified(term(5), 0, 0));
    let second = resigned(&rig, &first, |it| it.leader = id(2));
    show(&mut rig, first.clone());
    for other in [second, low] {
        show(&mut rig, other);
        assert_eq!(rig.status(N).bundle.map(|held| held.certificate), Some(first.certificate.clone()));
    }
}

/// A certificate whose enclave's document has expired by now, with the promises of so many voters.
fn expired(vouchers: usize) -> (Rig, Bundle) {
    let mut rig = Rig::new();
    let mut bundle = rig.certified(term(5), 0, 0);
    rig.pass(AGE_MAX.as_millis() as u64 + 1);
    bundle.promises = (0..vouchers).map(|voter| sign(rig.promise(&bundle, voter, 1))).collect();
    (rig, bundle)
}

/// PROTOCOL K2
#[test]
fn when_the_document_has_expired_f_plus_one_promises_take_the_place_of_the_dates() {
    for (vouchers, adopted) in [(0, Term(0)), (1, Term(0)), (2, term(5))] {
        let (mut rig, bundle) = expired(vouchers);
        show(&mut rig, bundle);
        assert_eq!(rig.term(N), adopted, "{vouchers} promises");
    }
    let (mut rig, bundle) = expired(2);
    show(&mut rig, bundle);
    assert_eq!(rig.status(N).certificate.map(|held| held.vouching()), Some(Vouching::Voters));
}

/// PROTOCOL K2
#[test]
fn promises_vouch_only_if_they_are_of_distinct_voters_and_name_the_certificate() {
    let (rig, bundle) = expired(2);
    let good = rig.promise(&bundle, 1, 1);
    let first = bundle.promises[0].clone();
    let mut other = good.clone();
    other.certificate = nitro_elect_protocol::ids::CertificateDigest([1; 32]);
    let mut later = good.clone();
    later.generation = Generation(2);
    let mut stranger = good.clone();
    stranger.voter = id(9);
    for (what, second) in [
        ("the same voter", first.clone()),
        ("another certificate", sign(other)),
        ("another life", sign(later)),
        ("a stranger", sign(stranger)),
    ] {
        let (mut rig, _) = expired(0);
        show(&mut rig, Bundle { promises: vec![first.clone(), second], ..bundle.clone() });
        assert_eq!(rig.term(N), Term(0), "{what}");
    }
}

/// PROTOCOL K2
#[test]
fn expiry_alone_is_forgiven_later() {
    let (mut rig, mut bundle) = expired(2);
    bundle.document[100] ^= 1;
    show(&mut rig, bundle);
    assert_eq!(rig.term(N), Term(0), "a document that never was right stays wrong");
}

/// PROTOCOL K2
#[test]
fn a_nodes_own_disk_vouches_for_what_it_verified_itself() {
    let (mut rig, bundle) = expired(0);
    rig.nodes[N].log = Some(bundle);
    rig.restart(N);
    assert_eq!(rig.status(N).certificate.map(|held| held.vouching()), Some(Vouching::OwnDisk));
    let (mut rig, mut bundle) = expired(0);
    bundle.certificate.signature[0] ^= 1;
    rig.nodes[N].log = Some(bundle);
    rig.restart(N);
    assert_eq!(rig.term(N), Term(0), "what it holds is checked all the same");
}

/// PROTOCOL K3
#[test]
fn whoever_sees_a_higher_certified_term_in_a_heartbeat_asks_its_sender_for_the_certificate() {
    let mut rig = Rig::new();
    let bundle = rig.adopt(0, term(5), 2);
    let beat = |rig: &Rig, seq| Heartbeat { highest_term: term(5), ..rig.heartbeat(0, seq) };
    let done = rig.hear(N, 3, beat(&rig, 1));
    assert!(wants(&sent_to(&done, 3)).is_empty() && wants(&sent_to(&done, 0)).is_empty(), "passed on");
    let done = rig.hear(N, 0, beat(&rig, 2));
    assert_eq!(wants(&sent_to(&done, 0)), [Term(0)]);
    let done = rig.hear(N, 0, beat(&rig, 3));
    assert!(wants(&sent_to(&done, 0)).is_empty(), "once an interval");
    let done = rig.tell(0, N, PeerMessage::WantCertificate { above: Term(0) });
    let [PeerMessage::Certificate(answer)] = &sent_to(&done, N)[..] else { panic!("the certificate") };
    assert_eq!(**answer, bundle);
    rig.tell(N, 0, PeerMessage::Certificate(answer.clone()));
    assert_eq!(rig.term(N), term(5));
    rig.pass(LEASE);
    let done = rig.hear(N, 0, beat(&rig, 4));
    assert!(wants(&sent_to(&done, 0)).is_empty(), "nothing newer");
    let done = rig.tell(0, N, PeerMessage::WantCertificate { above: term(5) });
    assert!(sent_to(&done, N).iter().all(|message| !matches!(message, PeerMessage::Certificate(_))));
}

fn wants(messages: &[PeerMessage]) -> Vec<Term> {
    let wants = messages.iter().filter_map(|message| match message {
        PeerMessage::WantCertificate { above } => Some(*above),
        _ => None,
    });
    wants.collect()
}

/// PROTOCOL K1
#[test]
fn a_refused_certificate_is_counted() {
    let mut rig = Rig::new();
    let mut bundle = rig.certified(term(5), 0, 0);
    bundle.certificate.signature[0] ^= 1;
    show(&mut rig, bundle);
    assert!(rig.status(N).drops.contains(&(Drop::Certificate, 1)));
}
