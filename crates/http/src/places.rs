//! The places for connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

/// How long a connection may do nothing while no place is left.
const SCARCE: Duration = Duration::from_secs(2);
/// Places are scarce until one in so many is free again.
const RESERVE: usize = 16;

/// How it stands with places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Plenty,
    /// None was left. Whoever does nothing with its own loses it soon.
    Scarce,
    /// The listener stops: nobody is to keep one.
    Closing,
}

/// All places of a listener.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    count: usize,
    room: watch::Sender<Room>,
}

/// Tells a connection how it stands with places.
#[derive(Clone, Debug)]
pub(crate) struct Crowd(watch::Receiver<Room>);

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), count, room: watch::Sender::new(Room::Plenty) }
    }

    pub(crate) fn crowd(&self) -> Crowd {
        Crowd(self.room.subscribe())
    }

    /// Takes a place, once there is one.
    pub(crate) async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.free.clone().try_acquire_owned() {
            if self.free.available_permits() > self.count / RESERVE {
                self.say(Room::Plenty);
            }
            return Some(place);
        }
        self.say(Room::Scarce);
        self.free.clone().acquire_owned().await.ok()
    }

    /// Lets connections end, and waits until all have.
    pub(crate) async fn close(&self) {
        self.say(Room::Closing);
        let all = self.free.acquire_many(u32::try_from(self.count).unwrap_or(u32::MAX));
        // The semaphore is never closed.
        let _ = all.await;
    }

    fn say(&self, room: Room) {
        self.room.send_if_modified(|known| std::mem::replace(known, room) != room);
    }
}

impl Crowd {
    /// How long a connection may do nothing: `patience`, or less while places are scarce; `None` if it is to end at
    /// once.
    pub(crate) fn patience(&mut self, patience: Duration) -> Option<Duration> {
        match *self.0.borrow_and_update() {
            Room::Plenty => Some(patience),
            Room::Scarce => Some(patience.min(SCARCE)),
            Room::Closing => None,
        }
    }

    /// Whether the listener stops.
    pub(crate) fn is_closing(&self) -> bool {
        *self.0.borrow() == Room::Closing
    }

    /// Waits until what [`Self::patience`] says may have changed.
    pub(crate) async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The listener is gone, and with it, in a moment, whoever waits.
            std::future::pending::<()>().await;
        }
    }

    /// Waits for as long as a connection may do nothing.
    pub(crate) async fn outlast(mut self, patience: Duration) {
        while let Some(patience) = self.patience(patience) {
            tokio::select! {
                () = sleep(patience) => return,
                () = self.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn whoever_does_nothing_ends_sooner_while_no_place_is_left() {
        let places = Places::new(2);
        let mut crowd = places.crowd();
        let (first, _second) = (places.take().await.unwrap(), places.take().await.unwrap());
        assert_eq!(crowd.patience(LONG), Some(LONG));
        let idle = tokio::spawn(places.crowd().outlast(LONG));
        assert!(timeout(SCARCE * 10, places.take()).await.is_err());
        assert!(idle.is_finished());
        assert_eq!(crowd.patience(LONG), Some(SCARCE));
        assert_eq!(crowd.patience(SCARCE / 2), Some(SCARCE / 2));
        // One that is taken at once is not enough.
        drop(first);
        let first = places.take().await.unwrap();
        assert_eq!(crowd.patience(LONG), Some(SCARCE));
        drop((first, _second));
        let _first = places.take().await.unwrap();
        assert_eq!(crowd.patience(LONG), Some(LONG));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_keeps_a_place_once_the_listener_stops() {
        let places = Places::new(1);
        let (place, mut crowd) = (places.take().await.unwrap(), places.crowd());
        let idle = tokio::spawn(places.crowd().outlast(LONG));
        let closing = places.close();
        tokio::pin!(closing);
        assert!(timeout(SCARCE, &mut closing).await.is_err());
        assert!(idle.is_finished());
        assert_eq!(crowd.patience(LONG), None);
        drop(place);
        timeout(SCARCE, closing).await.unwrap();
    }
}
