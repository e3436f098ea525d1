//! The places for connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

/// How long a connection may do nothing while no place is left.
const SCARCE: Duration = Duration::from_secs(2);
/// Places are scarce until more than one in so many are free again.
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
pub(crate) struct Places(Arc<All>);

#[derive(Debug)]
struct All {
    free: Arc<Semaphore>,
    count: usize,
    room: watch::Sender<Room>,
}

/// One that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    all: Arc<All>,
}

/// Tells a connection how it stands with places.
#[derive(Clone, Debug)]
pub(crate) struct Crowd(watch::Receiver<Room>);

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        let room = watch::Sender::new(Room::Plenty);
        Self(Arc::new(All { free: Arc::new(Semaphore::new(count)), count, room }))
    }

    pub(crate) fn crowd(&self) -> Crowd {
        Crowd(self.0.room.subscribe())
    }

    /// Takes a place, once there is one.
    pub(crate) async fn take(&self) -> Option<Place> {
        let all = &self.0;
        let permit = match all.free.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                all.turn(Room::Plenty, Room::Scarce);
                all.free.clone().acquire_owned().await.ok()?
            }
        };
        Some(Place { permit: Some(permit), all: all.clone() })
    }

    /// Lets connections end, and waits until all have.
    pub(crate) async fn close(&self) {
        self.0.room.send_replace(Room::Closing);
        let all = self.0.free.acquire_many(u32::try_from(self.0.count).unwrap_or(u32::MAX));
        // The semaphore is never closed.
        let _ = all.await;
    }
}

impl All {
    fn turn(&self, from: Room, to: Room) {
        self.room.send_if_modified(|room| {
            let is_so = *room == from;
            if is_so {
                *room = to;
            }
            is_so
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        if self.all.free.available_permits() > self.all.count / RESERVE {
            self.all.turn(Room::Scarce, Room::Plenty);
        }
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

    /// Waits for as long as a connection may do nothing, from now on.
    pub(crate) async fn outlast(mut self, patience: Duration) {
        let began = Instant::now();
        while let Some(patience) = self.patience(patience) {
            tokio::select! {
                () = sleep_until(began + patience) => return,
                () = self.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{sleep, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn taken(places: &Places, count: usize) -> Vec<Place> {
        let mut taken = Vec::new();
        for _ in 0..count {
            taken.push(places.take().await.unwrap());
        }
        taken
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_does_nothing_ends_sooner_while_no_place_is_left() {
        for (count, are_few) in [(1, 0), (32, 2)] {
            let places = Places::new(count);
            let mut crowd = places.crowd();
            let mut all = taken(&places, count).await;
            assert_eq!(crowd.patience(LONG), Some(LONG));
            let idle = tokio::spawn(places.crowd().outlast(LONG));
            assert!(timeout(SCARCE + SCARCE / 2, places.take()).await.is_err());
            assert!(idle.is_finished());
            assert_eq!(crowd.patience(LONG), Some(SCARCE));
            assert_eq!(crowd.patience(SCARCE / 2), Some(SCARCE / 2));
            all.truncate(count - are_few);
            assert_eq!(crowd.patience(LONG), Some(SCARCE));
            all.pop();
            assert_eq!(crowd.patience(LONG), Some(LONG));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_coming_and_going_lets_a_connection_last_longer() {
        let places = Places::new(1);
        let idle = tokio::spawn(places.crowd().outlast(SCARCE * 5));
        for _ in 0..3 {
            let _place = places.take().await.unwrap();
            assert!(timeout(Duration::from_millis(1), places.take()).await.is_err());
            sleep(SCARCE / 2).await;
        }
        assert!(idle.is_finished());
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
        drop(place);
        timeout(SCARCE, closing).await.unwrap();
        assert_eq!(crowd.patience(LONG), None);
    }
}
