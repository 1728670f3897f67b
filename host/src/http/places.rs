//! Answers that take a core or a disk for a while: made on threads of their own, so many at once and no more.
//!
//! A client that hangs up ends the wait for its answer, not the work on it. So the place goes with the work: whoever asks
//! and hangs up again and again waits like everybody else, and keeps no more cores busy than there are places.

use axum::http::StatusCode;
use tokio::sync::Semaphore;

use super::answers::Fault;

/// Does work that blocks, at one of these places, which is taken until the work is done.
pub async fn at_a_place<T: Send + 'static>(
    places: &'static Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    let internal = |why: String| Fault::new(StatusCode::INTERNAL_SERVER_ERROR, why);
    let place = places.acquire().await.map_err(|closed| internal(closed.to_string()))?;
    let working = tokio::task::spawn_blocking(move || {
        let _until_done = place;
        work()
    });
    working.await.map_err(|error| internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[tokio::test]
    async fn a_client_that_hangs_up_does_not_make_room_while_its_answer_is_being_made() {
        static PLACES: Semaphore = Semaphore::const_new(1);
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let asked = tokio::spawn(at_a_place(&PLACES, move || {
            begun.send(()).unwrap();
            ends.recv().unwrap();
        }));
        begins.await.unwrap();
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        assert_eq!(PLACES.available_permits(), 0, "the work goes on");
        end.send(()).unwrap();
        let next = tokio::time::timeout(Duration::from_secs(20), at_a_place(&PLACES, || 7)).await;
        assert_eq!(next.unwrap(), Ok(7));
    }
}
