//! A worker at another node that stands for one of this node.
//!
//! What it is given goes into the pool of this node, where any worker takes it, and what comes of
//! it goes back to where it came from. A node gives a stand-in only what its own workers have no
//! room for, and what was lent is never lent on.

use std::{collections::HashMap, time::Duration};

use taskhub_core::{Task, Text};
use taskhub_engine::{Hub, Names, Serves, WorkerOptions};
use taskhub_link::{Brought, Link, MESSAGE_BYTES_MAX};
use taskhub_wire::{
    Given,
    proto::{
        AbandonActivityTaskRequest, ActivityFilter, EntityFilter, GetWorkItemsRequest,
        OrchestrationFilter, WorkItem, WorkItemFilters, WorkerCapability, work_item::Request,
    },
    work_item_in,
};
use tokio::{
    task::{AbortHandle, Id, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long to wait before a node is asked for work again: first, and at most.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long what it had in hand still counts after it has left.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30);

/// A worker of this node, as another node sees it.
#[derive(Clone)]
pub(super) struct StandIn {
    link: Link,
    hub: Hub,
    offer: GetWorkItemsRequest,
}

/// What it has in hand, by its tokens.
#[derive(Default)]
struct Hand {
    running: JoinSet<()>,
    tasks: HashMap<String, AbortHandle>,
    tokens: HashMap<Id, String>,
}

impl Hand {
    fn begin(&mut self, token: String, work: impl Future<Output = ()> + Send + 'static) {
        let task = self.running.spawn(work);
        self.tokens.insert(task.id(), token.clone());
        self.tasks.insert(token, task);
    }

    /// Waits until a piece of it has ended; whether there was one.
    async fn ended(&mut self) -> bool {
        let Some(ended) = self.running.join_next_with_id().await else { return false };
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        if let Some(token) = self.tokens.remove(&id) {
            self.tasks.remove(&token);
        }
        true
    }
}

impl StandIn {
    pub(super) fn new(link: Link, hub: Hub, options: &WorkerOptions) -> Self {
        Self { link, hub, offer: offer(options) }
    }

    /// Works until it is told to stop, and comes back when its node was away.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut hand = Hand::default();
        let mut pause = PAUSE;
        while !stop.is_cancelled() {
            let mut heard = false;
            let listens = self.listen(&mut hand, &mut heard);
            let Some(Err(why)) = stop.run_until_cancelled(listens).await else { break };
            tracing::debug!(node = ?self.link, %why, "a node gives no work just now");
            pause = if heard { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            let _ = stop.run_until_cancelled(sleep(pause)).await;
        }
        let _ = timeout(DRAIN_TIME_MAX, async { while hand.ended().await {} }).await;
    }

    async fn listen(&self, hand: &mut Hand, heard: &mut bool) -> Result<(), Status> {
        let in_hand = hand.tasks.keys().cloned().collect();
        let offer = GetWorkItemsRequest { in_hand, ..self.offer.clone() };
        let mut items = self.link.work(offer).await?;
        loop {
            tokio::select! {
                item = items.next() => {
                    *heard = true;
                    let item = item?;
                    for token in &item.withdrawn {
                        self.withdraw(hand, token);
                    }
                    // A ping, or word of what was withdrawn alone, is no work.
                    if item.request.as_ref().is_some_and(is_work) {
                        hand.begin(item.completion_token.clone(), self.clone().pass_on(item));
                    }
                }
                true = hand.ended() => {}
            }
        }
    }

    /// Nobody waits for an activity any more: nor do the workers here.
    fn withdraw(&self, hand: &Hand, token: &str) {
        if let Some(task) = hand.tasks.get(token) {
            task.abort();
            let completion_token = token.to_owned();
            let undone = AbandonActivityTaskRequest { completion_token };
            self.link.post(Brought::ActivityUndone(undone), |_| {});
        }
    }

    /// Has an item done here, and brings back what came of it.
    async fn pass_on(self, item: WorkItem) {
        let token = item.completion_token.clone();
        let Some(undone) = Brought::undone(&item) else { return };
        let brought = match self.read(item).await {
            Ok(Some(task)) => {
                let done = self.hub.borrow(task.clone()).result().await;
                done.and_then(|done| Brought::of(&task, token, &done))
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(node = ?self.link, %error, "lent work cannot be read");
                None
            }
        };
        if let Err(status) = self.link.bring(brought.unwrap_or(undone)).await {
            // Its node gives it to somebody else.
            tracing::warn!(node = ?self.link, %status, "a result of lent work was not taken");
        }
    }

    /// The work of an item; none of a ping.
    async fn read(&self, mut item: WorkItem) -> Result<Option<Task>, Status> {
        if let Some(Request::OrchestratorRequest(turn)) = &mut item.request {
            self.link.fill(turn).await?;
        }
        let given = work_item_in(item);
        Ok(given.map_err(|error| Status::internal(error.to_string()))?.map(Given::task))
    }
}

fn is_work(request: &Request) -> bool {
    !matches!(request, Request::HealthPing(_))
}

fn offer(options: &WorkerOptions) -> GetWorkItemsRequest {
    let room = |count| i32::try_from(count).unwrap_or(i32::MAX);
    let Serves { orchestrations, activities, entities } = &options.serves;
    let is_all = [orchestrations, activities, entities].iter().all(|it| **it == Names::All);
    let filters = WorkItemFilters {
        orchestrations: named(orchestrations, |name, versions| OrchestrationFilter {
            name,
            versions,
        }),
        activities: named(activities, |name, versions| ActivityFilter { name, versions }),
        entities: named(entities, |name, _| EntityFilter { name }),
        any_entity: *entities == Names::All,
    };
    GetWorkItemsRequest {
        max_concurrent_orchestration_work_items: room(options.turns),
        max_concurrent_activity_work_items: room(options.activities),
        max_concurrent_entity_work_items: room(options.entities),
        capabilities: vec![WorkerCapability::HistoryStreaming.into()],
        work_item_filters: (!is_all).then_some(filters),
        worker_instance_id: options.name.clone(),
        keeps_code: false,
        hears_withdrawn: true,
        in_hand: Vec::new(),
        message_bytes_max: i64::try_from(MESSAGE_BYTES_MAX).unwrap_or(i64::MAX),
    }
}

fn named<F>(names: &Names, filter: impl Fn(String, Vec<String>) -> F) -> Vec<F> {
    let Names::Only(names) = names else { return Vec::new() };
    let texts = |texts: &[Text]| texts.iter().map(ToString::to_string).collect();
    names.iter().map(|(name, versions)| filter(name.to_string(), texts(versions))).collect()
}
