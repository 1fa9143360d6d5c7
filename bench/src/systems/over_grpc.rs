//! The same functions as a worker of a server: every turn and every activity goes over gRPC.
use std::future::pending;
use std::path::Path;

use axum::Router;
use bench_harness::{Job, Published, Result, Steps, System};
use taskhub_server::{Config, Server};

use super::taskhub::Taskhub;

/// A server on a port of its own, and a host that is connected to it. Both are in this process,
/// so that they share its processors as they would as two processes.
#[derive(Debug)]
pub(crate) struct OverGrpc(Taskhub);

/// Serves the hubs of a folder, at the address that this yields.
pub(super) async fn serve(folder: &Path) -> Result<String> {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".to_owned()];
    config.data = folder.to_owned();
    let server = Server::start(&config).await?;
    let address = server.addresses()[0].to_string();
    tokio::spawn(server.run(pending()));
    Ok(address)
}

impl System for OverGrpc {
    async fn open(folder: &Path, steps: Steps) -> Result<OverGrpc> {
        let url = format!("http://{}", serve(folder).await?);
        Ok(OverGrpc(Taskhub::on(|host| host.connect(url), steps)?))
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
