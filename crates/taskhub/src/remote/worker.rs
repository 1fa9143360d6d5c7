//! A worker of a hub in another process: listens for work, does it, and comes back when it is lost.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use taskhub_core::Limits;
use taskhub_engine::Code;
use taskhub_link::{Link, LinkError, MESSAGE_BYTES_MAX};
use taskhub_wire::proto::{GetWorkItemsRequest, WorkItemFilters, WorkerCapability};
use tokio::{sync::Semaphore, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Code as StatusCode, Status};
use uuid::Uuid;

use super::{hand::Hand, turns::Turns};

/// Turns that the server hands out at once; each is short.
const TURNS_COUNT_MAX: i32 = 256;

/// How many instances that are parked to remember.
const PARKED_COUNT_MAX: usize = 1_000;

/// How long to wait before the next attempt to listen: first, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a worker is made of.
pub(crate) struct Worker {
    pub(super) link: Link,
    pub(super) code: Code,
    pub(super) slots: Arc<Semaphore>,
    pub(super) turns: Turns,
    pub(super) hand: Hand,
    /// Instances that it gave back as parked, the last ones.
    parked: Mutex<HashSet<String>>,
    serves: WorkItemFilters,
    limits: Limits,
    name: String,
    stop: CancellationToken,
}

/// A worker at work. Dropped, it leaves all that it has in hand; others get that at once.
#[derive(Debug)]
pub(crate) struct Working {
    stop: CancellationToken,
    hand: Hand,
    run: JoinHandle<()>,
}

/// Why listening ended.
enum Ended {
    /// It was asked to stop.
    Stopped,
    /// The stream ended, or there was none.
    Lost(Status),
}

impl Worker {
    /// To be called within tokio.
    pub(crate) fn new(
        link: Link,
        code: Code,
        serves: WorkItemFilters,
        limits: Limits,
    ) -> io::Result<Self> {
        let turns = Turns::start(&code.functions, limits.cache_bytes_max)?;
        Ok(Self {
            link,
            code,
            slots: Arc::new(Semaphore::new(limits.activity_slots.max(1))),
            turns,
            hand: Hand::new(),
            parked: Mutex::default(),
            serves,
            limits,
            name: format!("rust-{}-{}", std::process::id(), Uuid::now_v7().simple()),
            stop: CancellationToken::new(),
        })
    }

    /// Begins to work. To be called within tokio.
    pub(crate) fn start(self) -> Working {
        let (stop, hand) = (self.stop.clone(), self.hand.clone());
        Working { stop, hand, run: tokio::spawn(Arc::new(self).run()) }
    }

    /// Notes that an instance is given back as parked. Whether it was before: a server that is not
    /// ours knows no such thing, and hands it out again at once.
    pub(super) fn park(&self, instance: &str) -> bool {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        if parked.len() >= PARKED_COUNT_MAX {
            parked.clear();
        }
        !parked.insert(instance.to_owned())
    }

    async fn run(self: Arc<Self>) {
        let mut pause = PAUSE;
        loop {
            let mut heard = false;
            match self.listen(&mut heard).await {
                Ended::Stopped => break,
                Ended::Lost(why) => self.tell(&why),
            }
            if heard {
                pause = PAUSE;
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stop.cancelled() => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        // The stream has ended, so nothing new comes; what is done now still counts.
        self.hand.end(self.limits.drain_time_max).await;
    }

    fn tell(&self, why: &Status) {
        let (code, why) = (why.code(), LinkError::of(why));
        if matches!(code, StatusCode::Unavailable | StatusCode::Unknown | StatusCode::Cancelled) {
            tracing::info!(server = ?self.link, %why, "no work comes until the server is back");
        } else {
            tracing::error!(server = ?self.link, %why, "the server gives no work");
        }
    }

    async fn listen(self: &Arc<Self>, heard: &mut bool) -> Ended {
        let items = tokio::select! {
            items = self.link.work(self.offer()) => items,
            () = self.stop.cancelled() => return Ended::Stopped,
        };
        let mut items = match items {
            Ok(items) => items,
            Err(status) => return Ended::Lost(status),
        };
        tracing::info!(server = ?self.link, "listening for work");
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return Ended::Stopped,
                item = items.next() => match item {
                    Ok(item) => {
                        *heard = true;
                        self.begin(item);
                    }
                    Err(status) => return Ended::Lost(status),
                }
            }
        }
    }

    fn offer(&self) -> GetWorkItemsRequest {
        let slots = i32::try_from(self.limits.activity_slots.max(1)).unwrap_or(i32::MAX);
        GetWorkItemsRequest {
            max_concurrent_orchestration_work_items: TURNS_COUNT_MAX,
            max_concurrent_activity_work_items: slots,
            max_concurrent_entity_work_items: slots,
            capabilities: vec![WorkerCapability::HistoryStreaming.into()],
            work_item_filters: Some(self.serves.clone()),
            worker_instance_id: self.name.clone(),
            message_bytes_max: i64::try_from(MESSAGE_BYTES_MAX).unwrap_or(i64::MAX),
            keeps_code: true,
            hears_withdrawn: true,
            in_hand: self.hand.tokens(),
        }
    }
}

impl Working {
    /// Takes no more, and finishes what is in hand.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        let _ = (&mut self.run).await;
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.run.abort();
        self.hand.stop_all();
    }
}
