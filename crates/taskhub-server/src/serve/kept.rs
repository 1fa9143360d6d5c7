//! Something that is kept for a client as long as it takes of it now and then.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_util::task::AbortOnDropHandle;

/// How long a client may take nothing.
pub(crate) const STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// It is dropped with this, or when nothing was taken of it for [`STALL_TIME_MAX`].
#[derive(Debug)]
pub(crate) struct Kept<T> {
    thing: Arc<Mutex<Option<T>>>,
    /// Whether something was taken since somebody looked.
    taken: Arc<AtomicBool>,
    _watch: AbortOnDropHandle<()>,
}

impl<T: Send + 'static> Kept<T> {
    /// To be called within tokio.
    pub(crate) fn new(thing: T) -> Self {
        let thing = Arc::new(Mutex::new(Some(thing)));
        let taken = Arc::<AtomicBool>::default();
        let (watched, moves) = (Arc::downgrade(&thing), taken.clone());
        let watch = tokio::spawn(async move {
            loop {
                tokio::time::sleep(STALL_TIME_MAX).await;
                let Some(thing) = watched.upgrade() else { return };
                if !moves.swap(false, Ordering::Relaxed) {
                    *thing.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return;
                }
            }
        });
        Self { thing, taken, _watch: AbortOnDropHandle::new(watch) }
    }

    /// Takes something of it; `None` when it is not kept any more.
    pub(crate) fn take<R>(&self, take: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.taken.store(true, Ordering::Relaxed);
        let mut thing = self.thing.lock().unwrap_or_else(PoisonError::into_inner);
        thing.as_mut().map(take)
    }
}
