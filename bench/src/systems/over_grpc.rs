//! The same functions as a worker of a server: every turn and every activity goes over gRPC.
use std::future::pending;

use axum::Router;
use bench_harness::{Job, Place, Published, Result, Steps, System};
use taskhub_server::{Config, Server};

use super::taskhub::{Taskhub, functions};

/// A server on a port of its own, and a host that is connected to it. Both are in this process,
/// so that they share its processors as they would as two processes.
#[derive(Debug)]
pub(crate) struct OverGrpc(Taskhub);

/// Serves the hubs of a folder, at the address that this yields.
pub(super) async fn serve(place: &Place) -> Result<String> {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".to_owned()];
    config.data = place.folder.clone();
    let server = Server::start(&config).await?;
    let address = server.addresses()[0].to_string();
    tokio::spawn(server.run(pending()));
    Ok(address)
}

impl System for OverGrpc {
    async fn open(place: &Place, steps: Steps) -> Result<OverGrpc> {
        let url = format!("http://{}", serve(place).await?);
        Ok(OverGrpc(Taskhub::on(functions(steps).connect(url).build()?)))
    }

    fn weather(&self, published: Published) -> Router {
        self.0.weather(published)
    }

    async fn start(&self, id: &str, job: Job) -> Result<()> {
        self.0.start(id, job).await
    }

    async fn wait(&self, id: &str) -> Result<String> {
        self.0.wait(id).await
    }

    async fn raise(&self, id: &str, text: &str) -> Result<()> {
        self.0.raise(id, text).await
    }
}
