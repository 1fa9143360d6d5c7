//! The gRPC side: the service of the Durable Task protocol, health, and reflection.

mod agent;
mod answer;
mod call;
mod clients;
mod entities;
mod forced;
mod hands;
mod histories;
mod instances;
mod keys;
mod members;
mod offer;
mod partial;
mod purge;
mod queries;
mod refusal;
mod restarts;
mod results;
mod service;
mod spans;
mod task_hubs;
mod tokens;
mod waits;
mod work_items;
mod workers;

use std::sync::Arc;

use axum::Router;
use taskhub_wire::cluster::cluster_server::ClusterServer;
use taskhub_wire::keys::keys_server::KeysServer;
use taskhub_wire::proto::{
    DESCRIPTORS, task_hub_sidecar_service_server::TaskHubSidecarServiceServer,
};
use taskhub_wire::results::results_server::ResultsServer;
use tonic::service::Routes;

use crate::Hubs;
use service::Service;

pub(crate) use answer::answer;
pub(crate) use hands::Hands;
pub(crate) use keys::Held;
pub(crate) use refusal::busy;

/// Whether a path needs no token: who watches the process should not have one.
pub(crate) fn is_open(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

/// Whether a call takes messages one after the other, for as long as its client likes.
pub(crate) fn takes_stream(path: &str) -> bool {
    path.starts_with("/taskhub.results.Results/") || path.starts_with("/grpc.reflection.")
}

/// The largest message on such a stream: the library's own workers send what is larger otherwise.
const STREAMED_BYTES_MAX: usize = 1 << 20;

/// All services; a message to them may have so many bytes. Keys are shown and changed only where
/// they are given.
pub(crate) fn routes(hubs: &Hubs, message_bytes_max: usize, keys: Option<Held>) -> Router {
    let service = Arc::new(Service::new(hubs.clone()));
    let results = ResultsServer::new(results::Taking(service.clone()))
        .max_decoding_message_size(message_bytes_max.min(STREAMED_BYTES_MAX));
    let service =
        TaskHubSidecarServiceServer::from_arc(service).max_decoding_message_size(message_bytes_max);
    let (reporter, health) = tonic_health::server::health_reporter();
    report(reporter, hubs.clone());
    let cluster = ClusterServer::new(members::Described(hubs.clone()));
    let mut routes =
        Routes::new(service).add_service(results).add_service(cluster).add_service(health);
    if let Some(keys) = keys {
        routes = routes.add_service(KeysServer::new(keys));
    }
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    match (described().build_v1(), described().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "no reflection"),
    }
    routes.prepare().into_axum_router()
}

/// Keeps the health service up to date.
fn report(reporter: tonic_health::server::HealthReporter, hubs: Hubs) {
    type Served = TaskHubSidecarServiceServer<Service>;
    tokio::spawn(async move {
        reporter.set_serving::<Served>().await;
        hubs.stopping().cancelled().await;
        reporter.set_not_serving::<Served>().await;
        reporter.set_service_status("", tonic_health::ServingStatus::NotServing).await;
    });
}
