//! Any node serves any request: a question goes to the thread that owns the instance, or to the
//! node that does.

use std::{
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use taskhub_core::{
    Answer, InstanceId, PartitionId, Refusal, Text, Verb,
    store::{Lease, Shared, Store, StoreError},
};

use super::{Held, lock, requests::Requests};
use crate::{Peers, Unreached};

/// How long it waits until it asks again where an instance lives: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(10);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(500);

/// Who owns what is read from the store at most so often.
const LOOK_UP_EVERY: Duration = Duration::from_millis(20);

/// Finds the way of each question.
pub(super) struct Router {
    /// The id of this node.
    pub node: Text,
    pub requests: Requests,
    pub store: Arc<dyn Store>,
    pub held: Held,
    /// Whether there can be other nodes.
    pub shares: bool,
    pub peers: Option<Arc<dyn Peers>>,
    /// How long an owner that cannot be reached may stay one.
    pub ttl: Duration,
    pub owners: Mutex<Owners>,
}

/// Where the partitions were when somebody looked.
#[derive(Default)]
pub(super) struct Owners {
    leases: Vec<Lease>,
    looked: Option<Instant>,
}

/// Where a question can go.
enum Way {
    Here,
    To(Text),
    Nowhere,
}

/// What came back.
enum Came {
    Answer(Answer),
    /// Nothing happened: the owner is another one, or nobody just now.
    Nothing(String),
    /// Whether anything happened is not known.
    Lost(String),
}

impl Router {
    /// Of a node whose store belongs to it alone.
    pub(super) fn alone(requests: Requests, store: Arc<dyn Store>, held: Held) -> Self {
        let (node, ttl, owners) = (Text::from(""), Duration::ZERO, Mutex::default());
        Self { node, requests, store, held, shares: false, peers: None, ttl, owners }
    }

    /// Asks the owner of an instance, wherever it is, and waits for the answer. Many wait for
    /// long, most of them on nodes that are alone: what those need is kept small.
    pub(super) async fn ask(&self, instance: InstanceId, verb: Verb) -> Answer {
        if self.requests.post().stopping().load(Ordering::Relaxed) {
            return Answer::Refused(Refusal::Stopping);
        }
        let _counted = match self.requests.count(&verb) {
            Ok(counted) => counted,
            Err(refusal) => return Answer::Refused(refusal),
        };
        if !self.shares {
            let answer = self.requests.send(instance.clone(), verb).await;
            return told(answer, instance);
        }
        Box::pin(self.ask_around(instance, verb)).await
    }

    /// What another node passed on: it is answered here, or not at all.
    pub(super) async fn ask_here(&self, instance: InstanceId, verb: Verb) -> Answer {
        match self.requests.count(&verb) {
            Ok(_counted) => self.requests.send(instance, verb).await,
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    /// Asks until there is an answer, as long as nothing can have happened. What only reads is
    /// asked again whatever became of it, so a wait is held while its instance moves.
    async fn ask_around(&self, instance: InstanceId, verb: Verb) -> Answer {
        let reads = matches!(verb, Verb::Status) || verb.waits();
        let patience = self.ttl + self.ttl / 3;
        let (mut since, mut pause) = (Instant::now(), RETRY_AFTER);
        loop {
            let asked = Instant::now();
            let (came, sure) = match self.ask_once(&instance, &verb).await {
                Came::Answer(answer) => return told(answer, instance),
                Came::Nothing(why) => (why, true),
                Came::Lost(why) => (why, false),
            };
            if !sure && !reads {
                return Answer::Refused(Refusal::Lost(came));
            }
            if asked.elapsed() > RETRY_AFTER_MAX {
                (since, pause) = (Instant::now(), RETRY_AFTER); // It was held until then.
            }
            if since.elapsed() > patience {
                return Answer::Refused(Refusal::Unavailable(instance, came));
            }
            if self.requests.post().stopping().load(Ordering::Relaxed) {
                return Answer::Refused(Refusal::Stopping);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_AFTER_MAX);
            self.look_up().await;
        }
    }

    async fn ask_once(&self, instance: &InstanceId, verb: &Verb) -> Came {
        let answer = match self.way(instance) {
            Way::Here => self.requests.send(instance.clone(), verb.clone()).await,
            Way::Nowhere => return Came::Nothing("no node owns its partition just now".to_owned()),
            Way::To(address) => {
                let Some(peers) = &self.peers else {
                    return Came::Nothing("it lives on another node".to_owned());
                };
                match peers.ask(&address, instance, verb).await {
                    Ok(answer) => answer,
                    Err(Unreached::Unsent(why)) => return Came::Nothing(why),
                    Err(Unreached::Lost(why)) => return Came::Lost(why),
                }
            }
        };
        match answer {
            Answer::Refused(Refusal::Moved(_) | Refusal::Stopping) => {
                Came::Nothing("its partition is being handed over".to_owned())
            }
            Answer::Refused(Refusal::Lost(why)) => Came::Lost(why),
            answer => Came::Answer(answer),
        }
    }

    fn way(&self, instance: &InstanceId) -> Way {
        let partition = PartitionId::of(instance, self.store.partitions());
        if lock(&self.held).held(partition).is_some() {
            return Way::Here;
        }
        let owners = lock(&self.owners);
        let lease = owners.leases.iter().find(|lease| lease.owned.partition == partition);
        match lease {
            Some(lease) if lease.node.id != self.node => Way::To(lease.node.address.clone()),
            _ => Way::Nowhere,
        }
    }

    /// Reads who owns what, unless somebody just did.
    async fn look_up(&self) {
        {
            let mut owners = lock(&self.owners);
            if owners.looked.is_some_and(|at| at.elapsed() < LOOK_UP_EVERY) {
                return;
            }
            owners.looked = Some(Instant::now());
        }
        let store = self.store.clone();
        let read = move || store.shared().map_or(Ok(Vec::new()), Shared::owners);
        let read = tokio::task::spawn_blocking(read).await;
        match read.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()))) {
            Ok(leases) => lock(&self.owners).leases = leases,
            Err(error) => tracing::debug!(%error, "who owns what cannot be read just now"),
        }
    }
}

/// Only nodes hear of each other that an instance has moved.
fn told(answer: Answer, instance: InstanceId) -> Answer {
    match answer {
        Answer::Refused(Refusal::Moved(_)) => {
            let why = "its partition is being taken over".to_owned();
            Answer::Refused(Refusal::Unavailable(instance, why))
        }
        answer => answer,
    }
}
