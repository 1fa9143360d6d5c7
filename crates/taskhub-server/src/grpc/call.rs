//! One call: who makes it, which hub it is for, and what it may use to answer.

use std::sync::Arc;

use taskhub_core::{Answer, InstanceId, InvalidInstanceId, Trace, Verb};
use taskhub_engine::Hub;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::{Request, Status, metadata::MetadataMap};

use super::{
    histories::Sent,
    partial::Partial,
    refusal::{bad_id, no_hub},
    spans::Spans,
};
use crate::{HubName, Hubs, cluster::FromNode, serve::Connection, traces::caller};

/// Where the name of the hub stands in the metadata of a call.
const HUB_KEYS: [&str; 2] = ["taskhub", "durable-taskhub"];

/// Who calls.
#[derive(Clone)]
pub(super) struct Caller {
    /// What the call came by.
    pub connection: Option<Connection>,
    /// Whether another node passed it on.
    pub from_node: bool,
    /// The trace that the metadata says it is in.
    pub trace: Option<Trace>,
}

impl Caller {
    pub(super) fn of<T>(request: &Request<T>) -> Self {
        let connection = request.extensions().get().cloned();
        let from_node = request.extensions().get::<FromNode>().is_some();
        Self { connection, from_node, trace: caller(request.metadata().as_ref()) }
    }
}

/// One call: what it is about, beside what it asks.
pub(super) struct Call<'a> {
    /// The hub that it names.
    pub hub: Hub,
    /// The name of that hub.
    pub name: HubName,
    /// The hubs of the server.
    pub hubs: &'a Hubs,
    /// Responses of workers that are not whole yet.
    pub chunks: &'a Partial,
    /// The spans of orchestrations.
    pub spans: &'a Arc<Spans>,
    /// The room for histories that are being sent.
    pub histories: &'a Sent,
    /// What it came by.
    pub connection: Option<Connection>,
    /// Whether another node passed it on.
    pub from_node: bool,
    /// The trace that its metadata says it is in.
    pub trace: Option<Trace>,
    /// The turns of those that read something long.
    pub reads: &'a Semaphore,
}

impl Call<'_> {
    /// Asks the owner of an instance, wherever it is; but what another node passed on is answered
    /// here.
    pub(super) async fn ask(&self, id: InstanceId, verb: Verb) -> Answer {
        if self.from_node {
            self.hub.ask_here(id, verb).await
        } else {
            self.hub.ask(id, verb).await
        }
    }

    /// Waits for the turn to read something long; hold what this returns meanwhile.
    pub(super) async fn read(&self) -> Result<SemaphorePermit<'_>, Status> {
        let permit = self.reads.acquire().await;
        permit.map_err(|_| Status::unavailable("this server is shutting down"))
    }
}

/// The id of an orchestration from outside.
pub(super) fn instance_id(text: &str) -> Result<InstanceId, Status> {
    InstanceId::parse(text).map_err(bad_id)
}

/// The id of an orchestration or an entity.
pub(super) fn any_id(text: &str) -> Result<InstanceId, Status> {
    match InstanceId::parse(text) {
        Err(InvalidInstanceId::Entity) => InstanceId::parse_entity(text),
        id => id,
    }
    .map_err(bad_id)
}

/// The name of the hub that a call is for.
pub(super) fn hub_name(metadata: &MetadataMap) -> Result<HubName, Status> {
    let named = HUB_KEYS.iter().find_map(|key| metadata.get(*key));
    let name = named.map(|name| String::from_utf8_lossy(name.as_bytes()));
    let name = HubName::parse(name.as_deref().unwrap_or(HubName::DEFAULT));
    name.map_err(|error| no_hub(error.into()))
}
