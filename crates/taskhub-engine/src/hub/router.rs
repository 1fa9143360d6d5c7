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

use super::{Held, lock, owners::Owners, requests::Requests, tally::Tallies};
use crate::{NOTICED_WITHIN, Peers, Unreached};

/// How long it waits until it asks again where an instance lives: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(10);
const RETRY_AFTER_MAX: Duration = Duration::from_millis(100);

/// A wait that took longer was held by an owner until it was told to ask elsewhere.
const HELD_AFTER: Duration = Duration::from_millis(500);

/// How long an owner that another one has replaced may still take to answer.
const LAST_WORD: Duration = Duration::from_secs(1);

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
    /// Where the partitions were when somebody looked, and when this router did.
    pub owners: Owners,
    pub looked: Mutex<Option<Instant>>,
    /// Who knows whether the store fails.
    pub tallies: Arc<Tallies>,
}

/// Where a question can go.
enum Way {
    Here,
    To(Lease),
    Nowhere,
}

/// What came back.
enum Came {
    Answer(Answer),
    /// The owner was not asked: there is none just now, or it cannot be reached.
    Unasked(String),
    /// Who was asked does not own it any more. Nothing happened.
    Moved,
    /// Whether anything happened is not known.
    Lost(String),
}

impl Router {
    /// Of a node whose store belongs to it alone.
    pub(super) fn alone(requests: Requests, store: Arc<dyn Store>, held: Held) -> Self {
        let (node, ttl, owners) = (Text::from(""), Duration::ZERO, Owners::unknown());
        let (shares, peers, looked) = (false, None, Mutex::default());
        let tallies = Arc::default();
        Self { node, requests, store, held, shares, peers, ttl, owners, looked, tallies }
    }

    /// Asks the owner of an instance, wherever it is, and waits for the answer. Many wait for
    /// long, most of them on nodes that are alone: what those need is kept small.
    pub(super) fn ask(&self, instance: InstanceId, verb: Verb) -> impl Future<Output = Answer> {
        let counted = if self.requests.post().stopping().load(Ordering::Relaxed) {
            Err(Refusal::Stopping)
        } else {
            self.requests.count(&verb)
        };
        let reads = reads(&verb);
        let asked = counted.map(|counted| {
            let id = instance.clone();
            let asking = if self.shares {
                Err(Box::pin(self.ask_around(id, verb)))
            } else {
                Ok(self.requests.send(id, verb))
            };
            (counted, asking)
        });
        async move {
            match asked {
                Ok((_counted, Ok(here))) => match here.await {
                    // Nothing was to be done, so nothing can have been.
                    Answer::Refused(Refusal::Lost(why)) if reads => {
                        Answer::Refused(Refusal::Unavailable(instance, why))
                    }
                    answer => self.told(answer, instance),
                },
                Ok((_counted, Err(around))) => around.await,
                Err(refusal) => Answer::Refused(refusal),
            }
        }
    }

    /// Whether what is asked of an instance is not passed on.
    pub(super) fn is_here(&self, instance: &InstanceId) -> bool {
        !self.shares || matches!(self.way(instance), Way::Here)
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
        let reads = reads(&verb);
        let patience = self.ttl + self.ttl / 3;
        let (mut failing, mut pause) = (None, RETRY_AFTER);
        loop {
            let asked = Instant::now();
            let (came, held_after) = match self.ask_once(&instance, &verb, reads).await {
                Came::Answer(answer) => return self.told(answer, instance),
                Came::Unasked(why) => (why, Duration::MAX),
                Came::Moved => ("its partition is being handed over".to_owned(), HELD_AFTER),
                Came::Lost(why) if reads => (why, NOTICED_WITHIN),
                Came::Lost(why) => return Answer::Refused(Refusal::Lost(why)),
            };
            // All else is answered soon, so trying on for longer than that is of no use.
            if verb.waits() && asked.elapsed() > held_after {
                (failing, pause) = (None, RETRY_AFTER);
            }
            let is_vain = self.tallies.is_apart();
            if is_vain || failing.get_or_insert_with(Instant::now).elapsed() > patience {
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

    /// Why nobody has an instance: since the store fails, or since this is so.
    fn why(&self, otherwise: &str) -> String {
        let failing = self.tallies.failing().map(|why| format!("the store fails: {why}"));
        failing.unwrap_or_else(|| otherwise.to_owned())
    }

    /// Only nodes hear of each other that an instance has moved.
    fn told(&self, answer: Answer, instance: InstanceId) -> Answer {
        match answer {
            Answer::Refused(Refusal::Moved(_)) => {
                let why = self.why("its partition is being taken over");
                Answer::Refused(Refusal::Unavailable(instance, why))
            }
            answer => answer,
        }
    }

    async fn ask_once(&self, instance: &InstanceId, verb: &Verb, reads: bool) -> Came {
        let answer = match self.way(instance) {
            Way::Here => self.requests.send(instance.clone(), verb.clone()).await,
            Way::Nowhere => {
                return Came::Unasked(self.why("no node owns its partition just now"));
            }
            Way::To(lease) => {
                let Some(peers) = &self.peers else {
                    return Came::Unasked("it lives on another node".to_owned());
                };
                let asking = peers.ask(&lease.node.address, instance, verb);
                let answer = tokio::select! {
                    biased;
                    answer = asking => answer,
                    () = self.replaced(&lease, reads) => {
                        let why = "it fell silent, and another node owns it now".to_owned();
                        Err(Unreached::Lost(why))
                    }
                };
                match answer {
                    Ok(answer) => answer,
                    Err(Unreached::Unsent(why)) => return Came::Unasked(why),
                    Err(Unreached::Lost(why)) => return Came::Lost(why),
                }
            }
        };
        match answer {
            Answer::Refused(Refusal::Moved(_) | Refusal::Stopping) => Came::Moved,
            Answer::Refused(Refusal::Lost(why)) => Came::Lost(why),
            answer => Came::Answer(answer),
        }
    }

    /// Waits until an owner that was asked is none any more, and will say nothing. One that hands
    /// over in good order has answered before; one that hangs is not waited for.
    async fn replaced(&self, lease: &Lease, reads: bool) {
        self.owners.replaced(lease.owned).await;
        if !reads {
            tokio::time::sleep(LAST_WORD).await;
        }
    }

    fn way(&self, instance: &InstanceId) -> Way {
        let partition = PartitionId::of(instance, self.store.partitions());
        if lock(&self.held).held(partition).is_some() {
            return Way::Here;
        }
        match self.owners.of(partition) {
            Some(lease) if lease.node.id != self.node => Way::To(lease),
            _ => Way::Nowhere,
        }
    }

    /// Reads who owns what, unless somebody just did.
    async fn look_up(&self) {
        {
            let mut looked = lock(&self.looked);
            if looked.is_some_and(|at| at.elapsed() < LOOK_UP_EVERY) {
                return;
            }
            *looked = Some(Instant::now());
        }
        let store = self.store.clone();
        let read = move || store.shared().map_or(Ok(Vec::new()), Shared::owners);
        let read = tokio::task::spawn_blocking(read).await;
        match read.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string()))) {
            Ok(leases) => self.owners.are(leases),
            Err(error) => tracing::debug!(%error, "who owns what cannot be read just now"),
        }
    }
}

/// Whether what is asked changes nothing.
fn reads(verb: &Verb) -> bool {
    matches!(verb, Verb::Status) || verb.waits()
}
