//! A node's connection to the store, which can be cut: as if its process, or the network, was gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use taskhub_core::store::StoreError;
use taskhub_engine::store::MemoryStore;

use crate::guarded::{Asked, Guarded};

/// The store, as long as it is not cut off.
pub(crate) struct Link {
    pub store: Guarded,
    cut: Arc<AtomicBool>,
    /// Whether no hint of this node reaches anybody.
    mute: Arc<AtomicBool>,
    /// Whether somebody has deleted the hub.
    gone: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        let [cut, mute, gone] = [(); 3].map(|()| Arc::<AtomicBool>::default());
        let (is_cut, is_mute, is_gone) = (cut.clone(), mute.clone(), gone.clone());
        let store = Guarded::new(store.clone(), move |asked| {
            if matches!(asked, Asked::Heartbeat) && is_gone.load(Ordering::SeqCst) {
                return Err(StoreError::Deleted);
            }
            let is_lost = matches!(asked, Asked::Hint) && is_mute.load(Ordering::SeqCst);
            if is_lost || is_cut.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("this is a test".into()));
            }
            Ok(())
        });
        Self { store: store.shared(), cut, mute, gone }
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mute(&self) {
        self.mute.store(true, Ordering::SeqCst);
    }

    pub(crate) fn delete(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}
