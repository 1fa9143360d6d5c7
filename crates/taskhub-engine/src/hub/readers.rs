//! Threads that read from the store what partitions ask for.

use std::sync::{
    Arc, Mutex,
    mpsc::{self, Receiver, Sender},
};

use taskhub_core::{
    partition::{Input, Read},
    store::{Ownership, Store},
};

use super::mail::{Mail, Post};

/// A partition, as owned when it asked, and what it wants to read.
pub(super) type Wanted = (Ownership, Read);

/// Where readers take their work from.
pub(super) type Reads = Arc<Mutex<Receiver<Wanted>>>;

pub(super) fn channel() -> (Sender<Wanted>, Reads) {
    let (sender, receiver) = mpsc::channel();
    (sender, Arc::new(Mutex::new(receiver)))
}

/// One reading thread.
pub(super) struct Reader {
    store: Arc<dyn Store>,
    reads: Reads,
    post: Post,
}

impl Reader {
    pub(super) fn new(store: Arc<dyn Store>, reads: Reads, post: Post) -> Self {
        Self { store, reads, post }
    }

    pub(super) fn run(&self) {
        loop {
            let wanted = super::lock(&self.reads).recv();
            let Ok((owner, read)) = wanted else { return };
            self.post.send(owner.partition, answer(&*self.store, owner, read));
        }
    }
}

/// Reads what the owner of a partition wants.
pub(super) fn answer(store: &dyn Store, owner: Ownership, read: Read) -> Mail {
    let input = match read {
        Read::Instance(id) => {
            let loaded = store.load(&id);
            Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
        }
        Read::Whole(id) => {
            let loaded = store.load_whole(&id);
            Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
        }
        Read::Wakes { after, limit } => {
            Input::Wakes(store.wakes(owner.partition, after.as_ref(), limit))
        }
        Read::Busy { after, limit } => {
            Input::Busy(store.busy(owner.partition, after.as_ref(), limit))
        }
    };
    Mail::Owned(owner, input)
}
