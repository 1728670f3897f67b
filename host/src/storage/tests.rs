//! The life of a state directory: births, restarts, crashes, mistakes.

use super::*;
use nitro_elect_protocol::certificate::SignedCertificate;
use nitro_elect_protocol::crypto::{NodeKey, Signer};
use nitro_elect_protocol::ids::{ElectorateDigest, EnclaveId, Generation, Term};
use nitro_elect_protocol::statement::Verified;
use nitro_elect_protocol::time::Wall;
use nitro_elect_protocol::view::View;
use std::process::Command;

use crate::core::durable::Support;
use crate::help::Help;
use crate::keys::{self, KEY_FILE, KeyError};

const CLUSTER: ClusterId = ClusterId([3; 16]);

fn key() -> NodeKey {
    NodeKey::from_seed([1; 32])
}

fn owner() -> Owner {
    Owner { node: key().id(), cluster: CLUSTER, danger_forget_votes: false }
}

fn born() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    give_birth(dir.path(), &key()).unwrap();
    dir
}

fn open(dir: &Path) -> Result<(Storage, Loaded), StorageError> {
    Storage::open(dir, &owner())
}

fn supporting(term: u64) -> Record {
    let (holder, electorate) = (NodeId([9; 32]), ElectorateDigest([4; 32]));
    let generation = Generation(2);
    let support = Support { term: Term(term), holder, generation, electorate, lease_ms: 1000 };
    let newborn = record::newborn(key().id());
    Record { generation: Generation(1), cluster: Some(CLUSTER), support: Some(support), ..newborn }
}

fn bundle() -> Bundle {
    let certificate = SignedCertificate { bytes: vec![1; 8000], signature: vec![2; 8] };
    Bundle { certificate, document: vec![3; 20], promises: Vec::new() }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Two views of one voter that contradict each other.
fn evidence(voter: &NodeKey) -> Evidence {
    let view = |eligible| View {
        cluster: CLUSTER,
        electorate: ElectorateDigest([4; 32]),
        enclave: EnclaveId([5; 32]),
        term: Term(6),
        coordinator: voter.id(),
        coordinator_generation: Generation(1),
        voter: voter.id(),
        voter_generation: Generation(1),
        active: vec![voter.id()],
        eligible,
        preferred: None,
        accepted: None,
        signed_at: Wall(1),
    };
    let sign = |view: View| Verified::sign(view, voter).into_signed();
    Evidence::new(sign(view(true)), sign(view(false)))
}

#[test]
fn evidence_is_kept_and_what_is_none_is_left_and_told_of() {
    let (dir, liar) = (born(), NodeKey::from_seed([2; 32]));
    let (mut storage, loaded) = open(dir.path()).unwrap();
    assert!(loaded.evidence.is_empty() && loaded.unread.is_empty());
    let piece = evidence(&liar);
    storage.keep(&liar.id(), &piece).unwrap();
    drop(storage);
    let garbage = dir.path().join(evidence::EVIDENCE_DIRECTORY).join("garbage");
    fs::write(&garbage, b"garbage").unwrap();
    let (_storage, loaded) = open(dir.path()).unwrap();
    assert_eq!((loaded.evidence, loaded.unread), (vec![piece], vec![garbage.clone()]));
    assert!(garbage.exists());
}

#[test]
fn a_node_is_born_with_its_state_and_its_key_and_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/b");
    give_birth(&dir, &key()).unwrap();
    assert_eq!(mode(&dir), 0o700);
    let mut names: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [KEY_FILE, "lock", RECORD_FILE]);
    for name in names {
        assert_eq!(mode(&dir.join(name)), 0o600);
    }
    let (_, loaded) = open(&dir).unwrap();
    let expected = Record { cluster: Some(CLUSTER), ..record::newborn(key().id()) };
    assert_eq!((loaded.record, loaded.newest, loaded.cuts), (expected, None, vec![]));
}

#[test]
fn a_saved_record_and_certificate_come_back() {
    let dir = born();
    let (mut storage, _) = open(dir.path()).unwrap();
    storage.save(&supporting(7)).unwrap();
    storage.save(&supporting(8)).unwrap();
    storage.append(&bundle()).unwrap();
    drop(storage);
    let (_, loaded) = open(dir.path()).unwrap();
    assert_eq!((loaded.record, loaded.newest), (supporting(8), Some(bundle())));
    assert_eq!(mode(&dir.path().join("certificates.log")), 0o600);
}

#[test]
fn a_second_process_with_the_same_state_is_refused() {
    let dir = born();
    let (storage, _) = open(dir.path()).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(error.to_string().contains(&format!("number {}", std::process::id())), "{error}");
    assert!(matches!(give_birth(dir.path(), &key()), Err(BirthError::Storage(StorageError::Locked { .. }))));
    drop(storage);
    assert!(open(dir.path()).is_ok());
}

#[test]
fn a_key_without_its_state_is_a_lost_disk() {
    let dir = born();
    fs::remove_file(dir.path().join(RECORD_FILE)).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, StorageError::Lost { .. }), "{error}");
    assert!(error.help().contains("--danger-forget-votes"));
    let daring = Owner { danger_forget_votes: true, ..owner() };
    let (mut storage, loaded) = Storage::open(dir.path(), &daring).unwrap();
    assert!(loaded.record.forgot_votes);
    storage.save(&loaded.record).unwrap();
    drop(storage);
    assert!(open(dir.path()).unwrap().1.record.forgot_votes, "it stays written");
}

#[test]
fn forgetting_votes_forgets_none_that_are_there() {
    let dir = born();
    open(dir.path()).unwrap().0.save(&supporting(7)).unwrap();
    let daring = Owner { danger_forget_votes: true, ..owner() };
    assert_eq!(Storage::open(dir.path(), &daring).unwrap().1.record, supporting(7));
}

#[test]
fn the_state_of_another_key_or_cluster_is_refused() {
    let dir = born();
    let other = Owner { node: NodeId([7; 32]), ..owner() };
    assert!(matches!(Storage::open(dir.path(), &other), Err(StorageError::OtherKey { .. })));
    open(dir.path()).unwrap().0.save(&supporting(7)).unwrap();
    let elsewhere = Owner { cluster: ClusterId::OPEN, ..owner() };
    let error = Storage::open(dir.path(), &elsewhere).unwrap_err();
    assert!(error.to_string().contains("an open cluster"), "{error}");
}

#[test]
fn a_damaged_record_is_refused_with_instructions_and_left_alone_even_when_forgetting() {
    let dir = born();
    let path = dir.path().join(RECORD_FILE);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    for damaged in [bytes, Vec::new(), vec![0; 100], vec![0; RECORD_MAX + 1]] {
        fs::write(&path, &damaged).unwrap();
        for danger_forget_votes in [false, true] {
            let error = Storage::open(dir.path(), &Owner { danger_forget_votes, ..owner() }).unwrap_err();
            assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
            assert!(error.help().contains("Move"), "{}", error.help());
        }
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn a_directory_that_is_missing_no_directory_or_open_to_others_is_refused() {
    let dir = born();
    assert!(matches!(open(&dir.path().join("none")), Err(StorageError::NoDirectory { .. })));
    assert!(matches!(open(&dir.path().join(KEY_FILE)), Err(StorageError::NotADirectory { .. })));
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(error.help().contains("chmod 700"), "{error}");
}

#[test]
fn what_a_killed_process_left_of_a_save_is_swept() {
    let dir = born();
    let leftover = dir.path().join(".record.abc.new");
    fs::write(&leftover, b"half").unwrap();
    open(dir.path()).unwrap();
    assert!(!leftover.exists());
}

#[test]
fn a_birth_touches_no_key_and_no_state_that_is_there() {
    let dir = born();
    let again = give_birth(dir.path(), &NodeKey::from_seed([2; 32])).unwrap_err();
    assert!(matches!(again, BirthError::Key(KeyError::Exists { .. })), "{again}");
    assert_eq!(keys::load(dir.path()).unwrap().id(), key().id());
    open(dir.path()).unwrap().0.save(&supporting(7)).unwrap();
    fs::remove_file(dir.path().join(KEY_FILE)).unwrap();
    let orphan = give_birth(dir.path(), &NodeKey::from_seed([2; 32])).unwrap_err();
    assert!(matches!(orphan, BirthError::KeyMissing { .. }), "{orphan}");
    assert_eq!(open(dir.path()).unwrap().1.record, supporting(7));
}

#[test]
fn a_birth_that_broke_off_before_the_key_can_be_repeated() {
    let dir = born();
    fs::remove_file(dir.path().join(KEY_FILE)).unwrap();
    let key = NodeKey::from_seed([2; 32]);
    give_birth(dir.path(), &key).unwrap();
    assert!(Storage::open(dir.path(), &Owner { node: key.id(), ..owner() }).is_ok());
}

const CHILD: &str = "NITRO_ELECT_TEST_FULL_DISK";

/// The file size limit of a process fails its writes as a full disk does, after a part was written.
fn limit_file_size(bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: both calls take valid arguments; this process runs no other test (see below).
    let set = unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        libc::setrlimit(libc::RLIMIT_FSIZE, &limit)
    };
    assert_eq!(set, 0);
}

#[test]
fn a_full_disk_leaves_record_and_log_as_they_were() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return fill_the_disk(Path::new(&dir));
    }
    let dir = born();
    let name = "storage::tests::a_full_disk_leaves_record_and_log_as_they_were";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child = child.args([name, "--exact", "--test-threads=1"]).env(CHILD, dir.path()).output().unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
    let (_, loaded) = open(dir.path()).unwrap();
    assert_eq!((loaded.record, loaded.newest, loaded.cuts), (supporting(9), Some(bundle()), vec![]));
}

fn fill_the_disk(dir: &Path) {
    let (mut storage, _) = open(dir).unwrap();
    storage.save(&supporting(7)).unwrap();
    storage.append(&bundle()).unwrap();
    let log = fs::read(dir.join("certificates.log")).unwrap();

    limit_file_size(100);
    storage.save(&supporting(8)).unwrap_err();
    limit_file_size(log.len() as u64 + 100);
    storage.append(&bundle()).unwrap_err();
    assert_eq!(fs::read(dir.join("certificates.log")).unwrap(), log);
    assert_eq!(read_record(&dir.join(RECORD_FILE)).unwrap(), Some(supporting(7)));
    assert_eq!(fs::read_dir(dir).unwrap().count(), 4, "no temporary file is left");

    limit_file_size(libc::RLIM_INFINITY);
    storage.save(&supporting(9)).unwrap();
    storage.append(&bundle()).unwrap();
}
