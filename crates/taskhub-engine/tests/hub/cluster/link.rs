//! A node's connection to the store, which can be cut: as if its process, or the network, was gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use taskhub_core::store::StoreError;
use taskhub_engine::store::MemoryStore;

use crate::guarded::Guarded;

/// The store, as long as it is not cut off.
pub(crate) struct Link {
    pub store: Guarded,
    cut: Arc<AtomicBool>,
}

impl Link {
    pub(crate) fn new(store: &MemoryStore) -> Self {
        let cut = Arc::<AtomicBool>::default();
        let is_cut = cut.clone();
        let store = Guarded::new(store.clone(), move |_| {
            if is_cut.load(Ordering::SeqCst) {
                return Err(StoreError::Unavailable("this is a test".into()));
            }
            Ok(())
        });
        Self { store: store.shared(), cut }
    }

    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}
