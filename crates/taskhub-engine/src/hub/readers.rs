//! Threads that read from the store what partitions ask for.

use std::sync::{
    Arc, Mutex,
    mpsc::{self, Receiver, Sender},
};

use taskhub_core::{
    MessageId,
    partition::{Input, Read},
    store::{Ownership, Store},
};

use super::mail::{Mail, Post};

/// What is to be read for a partition, as owned when it asked.
pub(super) enum Wanted {
    /// What it asked for itself.
    Read(Ownership, Read),
    /// Its inbox, without the messages that it has.
    Inbox(Ownership, Vec<MessageId>),
}

/// Where readers take their work from.
pub(super) type Reads = Arc<Mutex<Receiver<Wanted>>>;

pub(super) fn channel() -> (Sender<Wanted>, Reads) {
    let (sender, receiver) = mpsc::channel();
    (sender, Arc::new(Mutex::new(receiver)))
}

/// One reading thread.
pub(super) struct Reader {
    pub store: Arc<dyn Store>,
    pub reads: Reads,
    pub post: Post,
    /// How many messages of an inbox are read at once.
    pub inbox_max: usize,
}

impl Reader {
    pub(super) fn run(&self) {
        loop {
            let wanted = super::lock(&self.reads).recv();
            let Ok(wanted) = wanted else { return };
            let (Wanted::Read(owner, _) | Wanted::Inbox(owner, _)) = wanted;
            self.post.send(owner.partition, self.answer(wanted));
        }
    }

    /// Reads what the owner of a partition wants.
    pub(super) fn answer(&self, wanted: Wanted) -> Mail {
        match wanted {
            Wanted::Read(owner, read) => Mail::Owned(owner, self.read(owner, read)),
            Wanted::Inbox(owner, known) => {
                let tick = self.post.tick();
                let found = self.store.inbox(owner.partition, &known, self.inbox_max);
                let all = |inbox: &Vec<_>| (inbox.len() < self.inbox_max).then_some(tick);
                Mail::Found(owner, found.map(|inbox| (all(&inbox), inbox)))
            }
        }
    }

    fn read(&self, owner: Ownership, read: Read) -> Input {
        match read {
            Read::Instance(id) => {
                let loaded = self.store.load(&id);
                Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
            }
            Read::Whole(id) => {
                let loaded = self.store.load_whole(&id);
                Input::Loaded(id, loaded.map(|stored| stored.map(Box::new)))
            }
            Read::Wakes { after, limit } => {
                Input::Wakes(self.store.wakes(owner.partition, after.as_ref(), limit))
            }
            Read::Busy { after, limit } => {
                Input::Busy(self.store.busy(owner.partition, after.as_ref(), limit))
            }
        }
    }
}
