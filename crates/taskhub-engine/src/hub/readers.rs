//! Threads that read from the store what partitions ask for.

use std::sync::{
    Arc, Mutex,
    mpsc::{self, Receiver, Sender},
};

use taskhub_core::{
    MessageId,
    partition::{Input, Read},
    store::{Ownership, Store, StoreError},
};

use super::{
    mail::{Mail, Post},
    trouble::Trouble,
};

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
    store: Arc<dyn Store>,
    reads: Reads,
    post: Post,
    inbox_max: usize,
    trouble: Trouble,
}

impl Reader {
    /// One that reads up to so many messages of an inbox at once.
    pub(super) fn new(store: Arc<dyn Store>, reads: Reads, post: Post, inbox_max: usize) -> Self {
        Self { store, reads, post, inbox_max, trouble: Trouble::default() }
    }

    pub(super) fn run(mut self) {
        loop {
            let wanted = super::lock(&self.reads).recv();
            let Ok(wanted) = wanted else { return };
            let (Wanted::Read(owner, _) | Wanted::Inbox(owner, _)) = wanted;
            let mail = self.answer(wanted);
            self.post.send(owner.partition, mail);
        }
    }

    /// Reads what the owner of a partition wants. Whatever could not be read is asked for again.
    pub(super) fn answer(&mut self, wanted: Wanted) -> Mail {
        let mail = self.look_up(wanted);
        if let Some((what, error)) = failed(&mail) {
            let error = format!("{what}: {error}");
            self.trouble.tell(&error, "something could not be read; it is tried again");
        }
        mail
    }

    fn look_up(&self, wanted: Wanted) -> Mail {
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

/// What could not be read, and why.
fn failed(mail: &Mail) -> Option<(String, &StoreError)> {
    let (owner, what, error) = match mail {
        Mail::Owned(_, Input::Loaded(id, Err(error))) => {
            return Some((format!("instance {id}"), error));
        }
        Mail::Owned(owner, Input::Wakes(Err(error))) => (owner, "timers", error),
        Mail::Owned(owner, Input::Busy(Err(error))) => (owner, "busy instances", error),
        Mail::Found(owner, Err(error)) => (owner, "inbox", error),
        _ => return None,
    };
    Some((format!("{what} of partition {}", owner.partition.0), error))
}
