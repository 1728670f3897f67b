//! The texts that operators hand each other: put together, cut, mislabelled.

use super::*;
use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::change::{Change, Word};
use nitro_elect_protocol::crypto::{NodeKey, Ring, Signer};
use nitro_elect_protocol::ids::{ClusterId, ElectorateDigest};
use nitro_elect_protocol::statement::Verified;

fn change() -> Change {
    let digest = |byte| ElectorateDigest([byte; 32]);
    Change { cluster: ClusterId([3; 16]), from: digest(4), to: digest(5) }
}

fn key() -> NodeKey {
    NodeKey::from_seed([7; 32])
}

fn endorsed() -> String {
    let word = Verified::sign(Endorse::word(change(), 1, key().id()), &key());
    endorsement("Endorsement by a", word.signed())
}

fn approved() -> String {
    let word = Verified::sign(Approve::word(change(), 2, key().id()), &key());
    approval("Approval by a", word.signed())
}

fn bundled() -> String {
    let signed = SignedCertificate { bytes: vec![1; 40], signature: vec![2; 256] };
    certificate("A certificate", &Bundle { certificate: signed, document: vec![3; 90], promises: vec![] })
}

fn parsed(text: &str) -> Result<Shown, ChangeTextError> {
    let mut shown = Shown::default();
    shown.parse(text).map(|()| shown)
}

#[test]
fn texts_put_together_show_all_that_each_shows() {
    let text = format!("From: b\n\n{}\n{}{}{}", endorsed(), approved(), bundled(), endorsed());
    let shown = parsed(&text).unwrap();
    assert_eq!((shown.endorsements.len(), shown.approvals.len(), shown.certificates.len()), (2, 1, 1));
    let word = shown.endorsements[0].clone().verify(&Ring).unwrap();
    assert_eq!((word.change(), word.attempt), (change(), 1));
    assert_eq!(shown.approvals[0].clone().verify(&Ring).unwrap().attempt, 2);
    assert!(endorsed().len() < 700, "small enough for a chat: {}", endorsed().len());
}

#[test]
fn a_text_that_was_cut_anywhere_shows_nothing() {
    let (whole, text) = (endorsed(), endorsed() + &approved());
    for end in 0..whole.trim_end().len() {
        assert!(parsed(&text[..end]).is_err(), "{end}");
    }
    let block = text.rfind("-----BEGIN").unwrap();
    for end in block + "-----BEGIN ".len()..text.trim_end().len() {
        assert!(parsed(&text[..end]).is_err(), "the first alone does not make it whole: {end}");
    }
}

#[test]
fn other_blocks_and_blocks_of_other_contents_are_named() {
    assert_eq!(parsed("hello"), Err(ChangeTextError::Nothing));
    let key = "-----BEGIN PRIVATE KEY-----\neHg=\n-----END PRIVATE KEY-----\n";
    assert_eq!(parsed(key), Err(ChangeTextError::OtherLabel("PRIVATE KEY".into())));
    let mislabelled = endorsed().replace("ENDORSEMENT", "ELECTORATE");
    assert!(matches!(parsed(&mislabelled), Err(ChangeTextError::Block { place: 1, label: ELECTORATE, .. })));
    let many = endorsed().repeat(CHANGE_BLOCKS_MAX + 1);
    assert_eq!(parsed(&many), Err(ChangeTextError::TooMany(CHANGE_BLOCKS_MAX + 1)));
}

#[test]
fn a_name_that_looks_like_a_block_breaks_nothing() {
    let word = Verified::sign(Endorse::word(change(), 1, key().id()), &key());
    let text = endorsement("Endorsement by -----BEGIN X-----", word.signed());
    assert_eq!(parsed(&text).unwrap().endorsements.len(), 1);
}
