//! Hints between nodes: one thread tells them, one hears them, one finds what no hint came for.
//! None of them is waited for by anybody.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender},
    },
    time::Duration,
};

use taskhub_core::{PartitionId, store::Store};

use super::{
    keeper::Errand,
    mail::{Mail, Post},
};

/// How long it listens before it looks whether the node is about to stop.
const LISTEN: Duration = Duration::from_millis(500);

/// How long it waits until it listens again, when that failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How often it looks for mail of which no hint came.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells the others in which inboxes something stands: all that gathered meanwhile at once. A hint
/// that is lost costs a second: every node looks by itself.
pub(super) fn tell(store: &dyn Store, hints: &Receiver<PartitionId>) {
    while let Ok(first) = hints.recv() {
        let all: BTreeSet<_> = std::iter::once(first).chain(hints.try_iter()).collect();
        let all: Vec<_> = all.into_iter().collect();
        if let Some(shared) = store.shared()
            && let Err(error) = shared.hint(&all)
        {
            tracing::debug!(%error, "a hint is lost; its receiver looks by itself in a second");
        }
    }
}

/// Passes on what is heard, until the node has stopped.
pub(super) fn hear(store: &Arc<dyn Store>, post: &Post, keeper: &Sender<Errand>) {
    let Some(shared) = store.shared() else { return };
    let mut ears = None;
    while !post.has_stopped().load(Ordering::Relaxed) {
        let Some(listener) = &mut ears else {
            ears = shared.listen().ok();
            if ears.is_none() {
                std::thread::sleep(RETRY_AFTER);
                continue;
            }
            // What was said before was not heard.
            let all = (0..store.partitions()).map(PartitionId).collect();
            let _ = keeper.send(Errand::Heard(all));
            continue;
        };
        let heard = listener.next(LISTEN);
        match heard {
            Ok(partitions) if partitions.is_empty() => {}
            Ok(partitions) => {
                for partition in &partitions {
                    post.send(*partition, Mail::Look(*partition, false));
                }
                let _ = keeper.send(Errand::Heard(partitions));
            }
            Err(_) => ears = None,
        }
    }
}

/// Looks for mail once a second until the node has stopped: a hint may have been lost.
pub(super) fn find(store: &dyn Store, post: &Post) {
    let Some(shared) = store.shared() else { return };
    while !post.has_stopped().load(Ordering::Relaxed) {
        std::thread::sleep(LOOK_EVERY);
        match shared.mail() {
            Ok(partitions) => {
                for partition in partitions {
                    post.send(partition, Mail::Look(partition, false));
                }
            }
            Err(error) => tracing::debug!(%error, "which inboxes are empty is not known just now"),
        }
    }
}
