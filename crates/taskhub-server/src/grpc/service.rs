//! The service: each call finds its hub, and the function that answers it.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use taskhub_wire::proto::{self, task_hub_sidecar_service_server::TaskHubSidecarService};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, async_trait};

use super::{
    call::{Call, Caller, hub_name},
    clients, entities, forced,
    histories::{self, Sent},
    instances,
    partial::Partial,
    purge, queries,
    refusal::no_hub,
    restarts,
    spans::Spans,
    task_hubs, waits, work_items, workers,
};
use crate::{HubName, Hubs};

/// Calls that read lists or histories at the same time; the others wait for their turn.
const READS_COUNT_MAX: usize = 64;

/// The calls that make the hub that they name: a wait may be there before what it waits for. The
/// others are about what is in a hub.
const MAKING: [&str; 6] = [
    "start_instance",
    "signal_entity",
    "raise_event",
    "get_work_items",
    "wait_for_instance_start",
    "wait_for_instance_completion",
];

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service for all hubs of the server.
pub(super) struct Service {
    hubs: Hubs,
    reads: Semaphore,
    chunks: Partial,
    spans: Arc<Spans>,
    histories: Sent,
}

impl Service {
    pub(super) fn new(hubs: Hubs) -> Self {
        let reads = Semaphore::new(READS_COUNT_MAX);
        let (chunks, spans, histories) = (Partial::default(), Arc::default(), Sent::default());
        Self { hubs, reads, chunks, spans, histories }
    }

    /// The hubs of the server.
    pub(super) fn hubs(&self) -> &Hubs {
        &self.hubs
    }

    /// A call of this name; not every one makes a hub.
    async fn call<T>(&self, rpc: &str, request: &Request<T>) -> Result<Call<'_>, Status> {
        let (name, by) = (hub_name(request.metadata())?, Caller::of(request));
        self.call_to(name, by, MAKING.contains(&rpc)).await
    }

    /// A call of somebody to a hub, which may make it; no node makes one for another.
    pub(super) async fn call_to(
        &self,
        name: HubName,
        by: Caller,
        makes: bool,
    ) -> Result<Call<'_>, Status> {
        let hub = if by.from_node {
            self.hubs.open_here(&name)
        } else if makes {
            self.hubs.hub(&name).await
        } else {
            self.hubs.seen(&name).await
        };
        let hub = hub.map_err(no_hub)?;
        let Caller { connection, from_node, trace } = by;
        let Self { hubs, chunks, spans, histories, reads } = self;
        Ok(Call { hub, name, hubs, chunks, spans, histories, connection, from_node, trace, reads })
    }
}

/// Fills the service in: which function answers which call.
macro_rules! service {
    ($($rpc:ident($asks:ident) -> $answers:ident = $family:ident::$answer:ident;)*) => {
        #[async_trait]
        impl TaskHubSidecarService for Service {
            type GetWorkItemsStream = Answers<proto::WorkItem>;
            type StreamInstanceHistoryStream = Answers<proto::HistoryChunk>;

            async fn hello(&self, _: Request<()>) -> Result<Response<()>, Status> {
                Ok(Response::new(()))
            }

            async fn create_task_hub(
                &self,
                request: Request<proto::CreateTaskHubRequest>,
            ) -> Result<Response<proto::CreateTaskHubResponse>, Status> {
                let name = hub_name(request.metadata())?;
                task_hubs::create(&self.hubs, &name, request.get_ref()).await.map(Response::new)
            }

            async fn delete_task_hub(
                &self,
                request: Request<proto::DeleteTaskHubRequest>,
            ) -> Result<Response<proto::DeleteTaskHubResponse>, Status> {
                let name = hub_name(request.metadata())?;
                task_hubs::delete(&self.hubs, &name).await.map(Response::new)
            }

            async fn get_work_items(
                &self,
                request: Request<proto::GetWorkItemsRequest>,
            ) -> Result<Response<Self::GetWorkItemsStream>, Status> {
                let call = self.call("get_work_items", &request).await?;
                let stream = work_items::stream(&call, request)?;
                Ok(Response::new(Box::pin(stream)))
            }

            async fn stream_instance_history(
                &self,
                request: Request<proto::StreamInstanceHistoryRequest>,
            ) -> Result<Response<Self::StreamInstanceHistoryStream>, Status> {
                let call = self.call("stream_instance_history", &request).await?;
                let stream = histories::stream(&call, request.into_inner()).await?;
                Ok(Response::new(Box::pin(stream)))
            }

            $(async fn $rpc(
                &self,
                request: Request<proto::$asks>,
            ) -> Result<Response<proto::$answers>, Status> {
                let call = self.call(stringify!($rpc), &request).await?;
                $family::$answer(&call, request.into_inner()).await.map(Response::new)
            })*
        }
    };
}

service! {
    start_instance(CreateInstanceRequest) -> CreateInstanceResponse = clients::start;
    get_instance(GetInstanceRequest) -> GetInstanceResponse = instances::get;
    wait_for_instance_start(GetInstanceRequest) -> GetInstanceResponse = waits::for_start;
    wait_for_instance_completion(GetInstanceRequest) -> GetInstanceResponse = waits::for_end;
    restart_instance(RestartInstanceRequest) -> RestartInstanceResponse = restarts::restart;
    raise_event(RaiseEventRequest) -> RaiseEventResponse = clients::raise;
    terminate_instance(TerminateRequest) -> TerminateResponse = clients::terminate;
    suspend_instance(SuspendRequest) -> SuspendResponse = clients::suspend;
    resume_instance(ResumeRequest) -> ResumeResponse = clients::resume;
    rewind_instance(RewindInstanceRequest) -> RewindInstanceResponse = clients::rewind;
    query_instances(QueryInstancesRequest) -> QueryInstancesResponse = queries::query;
    list_instance_ids(ListInstanceIdsRequest) -> ListInstanceIdsResponse = queries::list_ids;
    purge_instances(PurgeInstancesRequest) -> PurgeInstancesResponse = purge::purge;
    signal_entity(SignalEntityRequest) -> SignalEntityResponse = entities::signal;
    get_entity(GetEntityRequest) -> GetEntityResponse = entities::get;
    query_entities(QueryEntitiesRequest) -> QueryEntitiesResponse = entities::query;
    clean_entity_storage(CleanEntityStorageRequest)
        -> CleanEntityStorageResponse = entities::clean;
    skip_graceful_orchestration_terminations(SkipGracefulOrchestrationTerminationsRequest)
        -> SkipGracefulOrchestrationTerminationsResponse = forced::end;
    complete_activity_task(ActivityResponse) -> CompleteTaskResponse = workers::activity;
    complete_orchestrator_task(OrchestratorResponse) -> CompleteTaskResponse = workers::turn;
    complete_entity_task(EntityBatchResult) -> CompleteTaskResponse = workers::operations;
    abandon_task_activity_work_item(AbandonActivityTaskRequest)
        -> AbandonActivityTaskResponse = workers::abandon_activity;
    abandon_task_orchestrator_work_item(AbandonOrchestrationTaskRequest)
        -> AbandonOrchestrationTaskResponse = workers::abandon_turn;
    abandon_task_entity_work_item(AbandonEntityTaskRequest)
        -> AbandonEntityTaskResponse = workers::abandon_operations;
}
