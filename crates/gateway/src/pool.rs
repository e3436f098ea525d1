//! The connections to an upstream: how many may be in use, and those that are kept open for the next request.
//!
//! A connection keeps its place among those that may be in use while nobody uses it, so that a worker that takes one of
//! its own again has to ask no other. Only if somebody waits for a place does it give that up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::body::Progress;
use crate::clock::{Moment, now};
use crate::connection::Connection;
use crate::upstream::{SendError, UpstreamOptions};

/// How many workers have a shelf of their own for connections that nobody uses; further ones share them.
const SHELVES: usize = 16;

/// How long a connection that nobody uses may take to be ready. One whose upstream did not read all of the last
/// request never is.
const READY_WITHIN: Duration = Duration::from_millis(10);

/// The connections to one upstream.
pub(crate) struct Pool {
    shelves: [Arc<Shelf>; SHELVES],
    places: Arc<Places>,
    patience: Duration,
}

/// One for each connection that may be in use.
struct Places {
    free: Arc<Semaphore>,
    /// How many requests wait for one.
    waiting: AtomicUsize,
}

/// The connections of one worker that nobody uses. The worker that made a connection hears of it first.
struct Shelf {
    /// The latest used is the last.
    idle: Mutex<VecDeque<Box<Kept>>>,
    /// Whether connections that nobody uses are looked for.
    is_swept: AtomicBool,
    keep_alive: Duration,
    places: Arc<Places>,
}

/// A connection, and what goes with it.
struct Kept {
    connection: Connection,
    /// There is one while the connection is in use.
    place: Option<OwnedSemaphorePermit>,
    /// Whether it has served no request yet.
    is_new: bool,
    /// When it was used last.
    since: Moment,
}

/// A connection that is in use. It goes back once the answer was read to its end, and is closed if it never was.
pub(crate) struct Lease(Option<Leased>);

struct Leased {
    kept: Box<Kept>,
    /// Where it belongs.
    shelf: Arc<Shelf>,
    /// The request's body, if it had one, and how long the upstream may take nothing of it. It may answer
    /// before it has all of it.
    upload: Option<Box<(Arc<Progress>, Duration)>>,
}

impl Pool {
    pub(crate) fn new(options: UpstreamOptions) -> Self {
        let free = Arc::new(Semaphore::new(options.connections));
        let places = Arc::new(Places { free, waiting: AtomicUsize::new(0) });
        let shelf = |_| {
            let (idle, is_swept) = Default::default();
            Arc::new(Shelf { idle, is_swept, keep_alive: options.keep_alive, places: places.clone() })
        };
        let shelves = std::array::from_fn(shelf);
        Self { shelves, places, patience: options.connect }
    }

    /// A connection that is ready, for a worker: one of its own if there is one, else another's, else a new one.
    pub(crate) async fn lend<F: Future<Output = Result<Connection, SendError>>>(
        &self,
        worker: usize,
        connect: impl FnOnce() -> F,
    ) -> Result<Lease, SendError> {
        let own = worker % SHELVES;
        if let Some(lease) = self.shelves[own].take(Kept::has_place).await {
            return Ok(lease);
        }
        // What is rare lies elsewhere: a request is moved the less.
        Box::pin(self.find(own, connect)).await
    }

    async fn find<F: Future<Output = Result<Connection, SendError>>>(
        &self,
        own: usize,
        connect: impl FnOnce() -> F,
    ) -> Result<Lease, SendError> {
        let place = match self.places.free.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                // Who keeps a connection from now on gives its place up; those before lie on a shelf by now.
                let _waiting = self.places.wait();
                if let Some(lease) = self.take(own, Kept::has_place).await {
                    return Ok(lease);
                }
                let place = timeout(self.patience, self.places.free.clone().acquire_owned()).await;
                place.ok().and_then(Result::ok).ok_or(SendError::Crowded)?
            }
        };
        if let Some(mut lease) = self.take(own, |_| true).await {
            if let Some(Leased { kept, .. }) = &mut lease.0 {
                kept.place = Some(place);
            }
            return Ok(lease);
        }
        let connection = connect().await?;
        let kept = Box::new(Kept { connection, place: Some(place), is_new: true, since: now() });
        Ok(Lease::of(kept, &self.shelves[own]))
    }

    /// A connection from any shelf, this worker's first.
    async fn take(&self, own: usize, is_fit: impl Fn(&Kept) -> bool) -> Option<Lease> {
        for shelf in self.shelves[own..].iter().chain(&self.shelves[..own]) {
            if let Some(lease) = shelf.take(&is_fit).await {
                return Some(lease);
            }
        }
        None
    }
}

impl Places {
    /// Says that somebody waits for one, for as long as this is there.
    fn wait(&self) -> impl Drop {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(&self.waiting)
    }
}

impl Kept {
    fn has_place(&self) -> bool {
        self.place.is_some()
    }
}

impl Shelf {
    /// The latest used of those that are fit, open and ready.
    async fn take(self: &Arc<Self>, is_fit: impl Fn(&Kept) -> bool) -> Option<Lease> {
        loop {
            let mut kept = self.latest(&is_fit)?;
            if kept.connection.is_ready(READY_WITHIN).await {
                return Some(Lease::of(kept, self));
            }
        }
    }

    fn latest(&self, is_fit: impl Fn(&Kept) -> bool) -> Option<Box<Kept>> {
        let mut idle = self.idle();
        let at = idle.iter().rposition(|kept| is_fit(kept))?;
        if idle[at].since.elapsed() >= self.keep_alive {
            // Those before it are older.
            idle.drain(..=at);
            return None;
        }
        idle.remove(at)
    }

    /// Keeps a connection for the next request.
    fn keep(self: &Arc<Self>, mut kept: Box<Kept>) {
        (kept.is_new, kept.since) = (false, now());
        let mut idle = self.idle();
        // Whoever waits for a place said so before it looked here.
        let given_up = if self.places.waiting.load(Ordering::SeqCst) > 0 { kept.place.take() } else { None };
        idle.push_back(kept);
        drop(idle);
        drop(given_up);
        if !self.is_swept.swap(true, Ordering::SeqCst) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes the connections that nobody used for too long, and says whether there are others.
    fn close_idle(&self) -> bool {
        let mut idle = self.idle();
        while idle.front().is_some_and(|oldest| oldest.since.elapsed() >= self.keep_alive) {
            idle.pop_front();
        }
        !idle.is_empty()
    }

    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Kept>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else looks at a connection that nobody uses. It ends with the last of them.
async fn sweep(shelf: Weak<Shelf>) {
    loop {
        let Some(keep_alive) = shelf.upgrade().map(|shelf| shelf.keep_alive) else { return };
        sleep(keep_alive).await;
        let Some(shelf) = shelf.upgrade() else { return };
        if shelf.close_idle() {
            continue;
        }
        shelf.is_swept.store(false, Ordering::SeqCst);
        // One may have been kept just before that was said.
        if !shelf.close_idle() || shelf.is_swept.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

impl Lease {
    fn of(kept: Box<Kept>, shelf: &Arc<Shelf>) -> Self {
        Self(Some(Leased { kept, shelf: shelf.clone(), upload: None }))
    }

    /// The connection, until it was given back, and whether no request was sent on it before.
    pub(crate) fn connection(&mut self) -> Option<(&mut Connection, bool)> {
        self.0.as_mut().map(|leased| (&mut leased.kept.connection, leased.kept.is_new))
    }

    /// The connection is in use until the request's body has gone, too, unless the upstream takes nothing of it
    /// for `idle`.
    pub(crate) fn hold_for(&mut self, upload: Option<Arc<Progress>>, idle: Duration) {
        if let Some(leased) = &mut self.0 {
            leased.upload = upload.map(|upload| Box::new((upload, idle)));
        }
    }

    /// Polls what waits for a part of the answer.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut part: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        match &mut self.0 {
            Some(leased) => leased.kept.connection.poll(cx, part),
            None => part(cx),
        }
    }

    /// The answer was read to its end: the connection may serve another request, unless the rest of the last
    /// one is still on its way.
    pub(crate) fn give_back(&mut self) {
        let Some(Leased { kept, shelf, upload }) = self.0.take() else { return };
        match upload.filter(|upload| !upload.0.is_over()) {
            Some(upload) => kept.connection.finish(upload.0, upload.1),
            None if kept.connection.is_closed() => {}
            None => shelf.keep(kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;

    /// A pool of two connections, and the far ends of those that were made.
    struct Here {
        pool: Arc<Pool>,
        far: Arc<Mutex<Vec<DuplexStream>>>,
    }

    impl Here {
        fn new() -> Self {
            let options = UpstreamOptions { connections: 2, ..UpstreamOptions::default() };
            Self { pool: Arc::new(Pool::new(options)), far: Arc::default() }
        }

        async fn lend(&self, worker: usize) -> Result<Lease, SendError> {
            let connect = || async {
                let (near, far) = tokio::io::duplex(64);
                self.far.lock().unwrap().push(far);
                Connection::over(near).await.map_err(SendError::Unreachable)
            };
            self.pool.lend(worker, connect).await
        }

        /// Asks for a connection, which has to be waited for.
        async fn wait(&self, worker: usize) -> JoinHandle<Result<Lease, SendError>> {
            let here = Self { pool: self.pool.clone(), far: self.far.clone() };
            let waits = tokio::spawn(async move { here.lend(worker).await });
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(!waits.is_finished());
            waits
        }

        fn made(&self) -> usize {
            self.far.lock().unwrap().len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_takes_its_own_again_then_anothers_and_then_makes_one() {
        let here = Here::new();
        let mut first = here.lend(0).await.unwrap();
        assert_eq!(first.connection().map(|(_, is_new)| is_new), Some(true));
        first.give_back();
        assert!(first.connection().is_none());
        for worker in [0, 1, SHELVES] {
            let mut again = here.lend(worker).await.unwrap();
            assert_eq!(again.connection().map(|(_, is_new)| is_new), Some(false));
            again.give_back();
        }
        assert_eq!(here.made(), 1);
        let _both = (here.lend(1).await.unwrap(), here.lend(1).await.unwrap());
        assert_eq!(here.made(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_are_in_use_than_may_be_and_who_waits_gets_what_is_given_back_or_closed() {
        let here = Here::new();
        let (mut first, second) = (here.lend(0).await.unwrap(), here.lend(1).await.unwrap());
        let waits = [here.wait(0).await, here.wait(2).await];
        first.give_back();
        drop(second);
        let [third, fourth] = waits;
        let (mut third, mut fourth) = (third.await.unwrap().unwrap(), fourth.await.unwrap().unwrap());
        assert_eq!(here.made(), 3, "one was given back, and one is new for one that was closed");
        let waits = here.wait(1).await;
        let refused = tokio::time::timeout(Duration::from_secs(60), waits).await.unwrap().unwrap();
        assert!(matches!(refused, Err(SendError::Crowded)));
        // Nobody waits now: both keep their places.
        third.give_back();
        fourth.give_back();
        let _all = (here.lend(1).await.unwrap(), here.lend(1).await.unwrap());
        assert_eq!(here.made(), 3);
        here.wait(1).await.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_was_given_up_is_one_again() {
        let here = Here::new();
        for _ in 0..3 {
            let (mut first, mut second) = (here.lend(0).await.unwrap(), here.lend(0).await.unwrap());
            let waits = here.wait(1).await;
            first.give_back();
            waits.await.unwrap().unwrap().give_back();
            second.give_back();
        }
        assert_eq!((here.made(), here.pool.places.waiting.load(Ordering::SeqCst)), (2, 0));
        let _all = (here.lend(1).await.unwrap(), here.lend(1).await.unwrap());
        here.wait(1).await.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_closed_and_gives_its_place_back() {
        let here = Here::new();
        let mut first = here.lend(0).await.unwrap();
        first.give_back();
        tokio::time::sleep(UpstreamOptions::default().keep_alive * 3).await;
        assert!(here.pool.shelves[0].idle().is_empty());
        assert_eq!(here.pool.places.free.available_permits(), 2);
    }
}
