//! How many runs of one activity there may be at the same time in this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Waker},
};

use futures::future::maybe_done;
use taskhub_core::Text;
use taskhub_engine::Admission;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one activity. Both let in first who came first.
pub(crate) struct Gate {
    all: Option<Arc<Semaphore>>,
    per_key: Option<usize>,
    keys: Keys,
}

/// One semaphore for each key that somebody uses just now.
type Keys = Arc<Mutex<HashMap<Text, Weak<Semaphore>>>>;

impl Gate {
    pub(crate) fn new(all: Option<usize>, per_key: Option<usize>) -> Self {
        let all = all.map(|limit| Arc::new(Semaphore::new(limit.max(1))));
        Self { all, per_key: per_key.map(|limit| limit.max(1)), keys: Keys::default() }
    }

    /// A place in line, taken now; `None` when nothing limits the run.
    pub(crate) fn admit(&self, key: Option<&Text>) -> Option<Admission> {
        let of_key = self.per_key.zip(key).map(|(limit, key)| self.of_key(limit, key));
        let all = self.all.clone();
        if of_key.is_none() && all.is_none() {
            return None;
        }
        // The key first: whoever waits for it must not take a place that others could use.
        let mut line = Box::pin(maybe_done(async move {
            let of_key = match of_key {
                Some(of_key) => Some(of_key.enter().await),
                None => None,
            };
            (of_key, enter(all).await)
        }));
        // Asked once, so that it stands in line before its task is first run.
        let _ = line.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        Some(Box::pin(async move {
            line.as_mut().await;
            let permits: Box<dyn Send> = Box::new(line.as_mut().take_output());
            permits
        }))
    }

    fn of_key(&self, limit: usize, key: &Text) -> Keyed {
        let mut keys = lock(&self.keys);
        let known = keys.get(key).and_then(Weak::upgrade);
        let semaphore = known.unwrap_or_else(|| {
            let made = Arc::new(Semaphore::new(limit));
            keys.insert(key.clone(), Arc::downgrade(&made));
            made
        });
        Keyed {
            key: key.clone(),
            keys: self.keys.clone(),
            semaphore: Some(semaphore),
            permit: None,
        }
    }
}

async fn enter(semaphore: Option<Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    semaphore?.acquire_owned().await.ok()
}

/// A run that waits for its key, or has it. The last of a key takes the semaphore away.
struct Keyed {
    key: Text,
    keys: Keys,
    semaphore: Option<Arc<Semaphore>>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Keyed {
    async fn enter(mut self) -> Self {
        self.permit = enter(self.semaphore.clone()).await;
        self
    }
}

impl Drop for Keyed {
    fn drop(&mut self) {
        let mut keys = lock(&self.keys);
        self.permit = None;
        self.semaphore = None;
        if keys.get(&self.key).is_some_and(|it| it.strong_count() == 0) {
            keys.remove(&self.key);
        }
    }
}

/// The map is whole between any two statements, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} keys)", lock(&self.keys).len())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn who_came_first_enters_first_and_who_gives_up_makes_room() {
        let gate = Gate::new(Some(1), None);
        let admit = || gate.admit(None).expect("it is limited");
        let (first, mut second, mut third) = (admit(), admit(), admit());
        let inside = first.now_or_never().expect("there is room");
        assert!(third.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(inside);
        assert!(third.as_mut().now_or_never().is_none(), "the second was there before");
        drop(second);
        assert!(third.now_or_never().is_some());
    }

    #[test]
    fn keys_are_forgotten_with_their_last_run() {
        let gate = Gate::new(None, Some(1));
        let admit = |key: &str| gate.admit(Some(&key.into())).expect("it is limited");
        let (first, mut second, other) = (admit("a"), admit("a"), admit("b"));
        let first = first.now_or_never().expect("there is room");
        assert!(other.now_or_never().is_some(), "another key is no concern of it");
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.now_or_never().is_some());
        assert_eq!(format!("{gate:?}"), "Gate(0 keys)");
        assert!(gate.admit(None).is_none(), "without a key there is no limit");
    }
}

#[cfg(test)]
mod properties;
