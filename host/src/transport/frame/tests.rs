//! Framing, and its abuse.

use super::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{DuplexStream, duplex};

const SOON: Deadlines = Deadlines { idle: Duration::from_millis(50), frame: Duration::from_millis(50) };
const LATE: Deadlines = Deadlines { idle: Duration::from_secs(60), frame: Duration::from_secs(60) };

fn pair() -> (DuplexStream, FrameReader<DuplexStream>) {
    let (ours, theirs) = duplex(64 << 10);
    (ours, FrameReader::new(theirs))
}

#[tokio::test]
async fn frames_of_every_size_up_to_the_cap_arrive_as_they_were_sent() {
    let max = 3 * WRITE_CHUNK;
    for len in [1, 2, WRITE_CHUNK - HEADER, WRITE_CHUNK, WRITE_CHUNK + 1, max] {
        let (mut ours, mut reader) = pair();
        let frame: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let (wrote, read) =
            tokio::join!(write_frame(&mut ours, &frame, max, LATE.frame), reader.read(max, LATE));
        wrote.unwrap();
        assert_eq!(read.unwrap(), frame);
    }
}

#[tokio::test]
async fn several_frames_in_one_write_are_read_one_by_one() {
    let (mut ours, mut reader) = pair();
    let mut bytes = Vec::new();
    for frame in [&b"one"[..], b"two", b"three"] {
        append_frame(&mut bytes, frame, 16).unwrap();
    }
    write_bytes(&mut ours, &bytes, LATE.frame).await.unwrap();
    for frame in [&b"one"[..], b"two", b"three"] {
        assert_eq!(reader.read(16, LATE).await.unwrap(), frame);
    }
}

#[tokio::test]
async fn a_claim_over_the_cap_is_refused_before_any_of_the_body_is_awaited_or_stored() {
    let (mut ours, mut reader) = pair();
    ours.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    let refused = reader.read(1024, LATE).await;
    assert!(matches!(refused, Err(FrameError::TooLong { len: 0xffff_ffff, max: 1024 })), "{refused:?}");
    assert_eq!(reader.body.capacity(), 0);
}

#[tokio::test]
async fn a_claim_within_the_cap_allocates_only_as_bytes_arrive() {
    let (mut ours, mut reader) = pair();
    ours.write_all(&(1u32 << 20).to_be_bytes()).await.unwrap();
    ours.write_all(&[7; 100]).await.unwrap();
    let late = reader.read(1 << 20, SOON).await;
    assert!(matches!(late, Err(FrameError::Deadline { .. })), "{late:?}");
    assert_eq!(reader.body.len(), 100);
    assert!(reader.body.capacity() <= 2 * READ_CHUNK, "{}", reader.body.capacity());
}

#[tokio::test]
async fn an_empty_frame_is_refused_on_both_sides() {
    let (mut ours, mut reader) = pair();
    ours.write_all(&[0; 4]).await.unwrap();
    assert!(matches!(reader.read(16, LATE).await, Err(FrameError::Empty)));
    assert!(matches!(write_frame(&mut ours, b"", 16, LATE.frame).await, Err(FrameError::Empty)));
}

#[tokio::test]
async fn a_frame_over_the_cap_is_not_sent() {
    let (mut ours, _reader) = pair();
    let refused = write_frame(&mut ours, &[0; 17], 16, LATE.frame).await;
    assert!(matches!(refused, Err(FrameError::TooLong { len: 17, max: 16 })));
}

#[tokio::test]
async fn an_end_between_frames_and_one_within_a_frame_are_told_apart() {
    let (ours, mut reader) = pair();
    drop(ours);
    assert!(matches!(reader.read(16, LATE).await, Err(FrameError::Closed)));

    for sent in [&[0][..], &[0, 0, 0, 9], &[0, 0, 0, 9, 1]] {
        let (mut ours, mut reader) = pair();
        ours.write_all(sent).await.unwrap();
        drop(ours);
        let ended = reader.read(16, LATE).await;
        assert!(matches!(ended, Err(FrameError::HalfFrame { got }) if got == sent.len()), "{ended:?}");
    }
}

#[tokio::test]
async fn silence_and_a_frame_that_does_not_end_are_told_apart() {
    let (mut ours, mut reader) = pair();
    assert!(matches!(reader.read(16, SOON).await, Err(FrameError::Silence { .. })));
    ours.write_all(&[0]).await.unwrap();
    assert!(matches!(reader.read(16, SOON).await, Err(FrameError::Deadline { .. })));
}

#[tokio::test]
async fn a_byte_now_and_then_does_not_prolong_a_frames_deadline() {
    let (mut ours, mut reader) = pair();
    let drip = async {
        ours.write_all(&1000u32.to_be_bytes()).await.unwrap();
        while ours.write_all(&[1]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let deadlines = Deadlines { idle: Duration::from_secs(60), frame: Duration::from_millis(200) };
    tokio::select! {
        read = reader.read(1024, deadlines) => assert!(matches!(read, Err(FrameError::Deadline { .. }))),
        () = drip => panic!("the reader went away"),
    }
    assert!(reader.body.len() < 1000, "it ended by its deadline, not by its last byte");
}

#[tokio::test]
async fn a_read_that_was_dropped_loses_nothing_and_keeps_its_deadline() {
    let (mut ours, mut reader) = pair();
    ours.write_all(&[0, 0, 0, 4, 1, 2]).await.unwrap();
    tokio::select! {
        biased;
        read = reader.read(16, LATE) => panic!("half a frame was returned: {read:?}"),
        () = std::future::ready(()) => (),
    }
    assert!(reader.is_within_frame());
    ours.write_all(&[3, 4]).await.unwrap();
    assert_eq!(reader.read(16, LATE).await.unwrap(), [1, 2, 3, 4]);
}

/// Notes the size of each write.
struct Sizes(Arc<Mutex<Vec<usize>>>);

impl AsyncWrite for Sizes {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().unwrap().push(bytes.len());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn no_write_exceeds_the_chunk_that_virtual_sockets_bear() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    write_frame(&mut Sizes(sizes.clone()), &[0; 100_000], 1 << 20, LATE.frame).await.unwrap();
    let sizes = sizes.lock().unwrap();
    assert!(sizes.iter().all(|size| *size <= 16 << 10), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 100_000 + HEADER);
}

#[tokio::test]
async fn a_reader_that_stops_reading_ends_the_write_in_time() {
    let (mut ours, _reader) = pair();
    let stalled = write_frame(&mut ours, &[0; 1 << 20], 1 << 20, SOON.frame).await;
    assert!(matches!(stalled, Err(FrameError::Deadline { .. })), "{stalled:?}");
}
