//! The same functions as a worker of a server: every turn and every activity goes over gRPC.
use std::future::pending;

use bench_harness::{Place, Result, Steps};
use taskhub_server::{Config, Server};

use super::taskhub::{Hub, Setting, functions};

/// A server on a port of its own, and a host that is connected to it. Both are in this process,
/// so that they share its processors as they would as two processes.
#[derive(Debug)]
pub(crate) struct OverGrpc;

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

impl Setting for OverGrpc {
    async fn open(place: &Place, steps: Steps) -> Result<Hub> {
        let url = format!("http://{}", serve(place).await?);
        Ok(Hub::on(functions(steps).connect(url).build()?))
    }
}
