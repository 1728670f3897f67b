//! Sending a last will: to all voters at once, each over a connection of its own, within one deadline.
//!
//! The connection shows the node's key, and names a service of its own, so that a voter takes one frame from it and no
//! more, and no other connection of that key ends by it (the node's next life may be connected already).

use nitro_elect_protocol::crypto::NodeKey;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::message::{Voter, WillBytes};
use crate::limits::LAST_WILL_MAX;
use crate::transport::connect::connect_tcp;
use crate::transport::endpoint::HostPort;
use crate::transport::frame::{Deadlines, FrameReader, write_frame};
use crate::transport::links::greeting::{GREETING_MAX, Greeting};
use crate::transport::socket;
use crate::transport::tls::{ExpectedKey, Service, TlsClient, TlsIdentity};

/// How far it got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Voters that took it.
    pub taken: usize,
    /// Voters that were to be told.
    pub voters: usize,
}

/// Sends the will to the voters, and waits until each has it or the time is over.
///
/// Runs in a process of one thread, which makes a runtime for it: nothing of the kind exists before.
pub fn deliver(will: WillBytes<'_>, voters: &[Voter], within: Duration) -> std::io::Result<Delivered> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let taken = runtime.block_on(send_all(will, voters, within));
    // A name that is still being looked up is waited for by nobody.
    runtime.shutdown_background();
    Ok(Delivered { taken, voters: voters.len() })
}

async fn send_all(will: WillBytes<'_>, voters: &[Voter], within: Duration) -> usize {
    let client = TlsClient::new(Service::Will, TlsIdentity::of(&NodeKey::from_seed(*will.seed)));
    let mut sending = JoinSet::new();
    for voter in voters.iter().cloned() {
        sending.spawn(send(client.clone(), voter, will.frame.to_vec(), within));
    }
    let mut taken = 0;
    let all = async {
        while let Some(sent) = sending.join_next().await {
            taken += usize::from(matches!(sent, Ok(Some(()))));
        }
    };
    let _late_ones_do_not_count = tokio::time::timeout(within, all).await;
    taken
}

/// Sends the frame to one voter; it has it when it has hung up after letting this key in.
async fn send(client: TlsClient, voter: Voter, frame: Vec<u8>, within: Duration) -> Option<()> {
    let place: HostPort = voter.address.parse().ok()?;
    let (stream, _) = connect_tcp(&place, within).await.ok()?;
    socket::prepare(&stream, within).ok()?;
    let (mut stream, _) = client.connect(stream, ExpectedKey::Exactly(voter.key), within).await.ok()?;
    // Unasked: whether this key is let in shows in the answer, and one way less is one way less.
    write_frame(&mut stream, &frame, LAST_WILL_MAX, within).await.ok()?;
    stream.flush().await.ok()?;
    let mut answers = FrameReader::new(&mut stream);
    let deadlines = Deadlines { idle: within, frame: within };
    let greeting = answers.read(GREETING_MAX, deadlines).await.ok()?;
    let welcome = matches!(Greeting::decode(&greeting), Ok(Greeting::Welcome));
    let ended = answers.read(GREETING_MAX, deadlines).await.is_err();
    (welcome && ended).then_some(())
}
