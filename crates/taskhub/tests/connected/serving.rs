//! A server in this process, for hosts that leave their hub to it.

use std::net::SocketAddr;

use taskhub_engine::Hub;
use taskhub_server::{Config, HubName, Hubs, Server};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

/// A server on a loopback port, with its hubs in a folder of its own.
pub(crate) struct Serving {
    address: SocketAddr,
    hubs: Hubs,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    run: JoinHandle<()>,
}

/// A server that was stopped: where it was, and what it kept.
pub(crate) struct Stopped(SocketAddr, TempDir);

impl Serving {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::open("127.0.0.1:0".to_owned(), folder, change).await
    }

    /// Over hubs that are in a folder already.
    pub(crate) async fn over(folder: TempDir) -> Self {
        Self::open("127.0.0.1:0".to_owned(), folder, |_| {}).await
    }

    async fn open(address: String, folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen = vec![address];
        config.data = folder.path().to_owned();
        change(&mut config);
        let server = Server::start(&config).await.expect("it starts");
        let address = server.addresses()[0];
        let hubs = server.hubs().expect("it has some").clone();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, hubs, folder, stop, run }
    }

    /// Its default hub.
    pub(crate) async fn hub(&self) -> Hub {
        self.hubs.hub(&HubName::default()).await.expect("it is open")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it, and keeps what it had.
    pub(crate) async fn stop(self) -> Stopped {
        self.stop.send(()).expect("it runs");
        self.run.await.expect("it does not panic");
        Stopped(self.address, self.folder)
    }
}

impl Stopped {
    /// What it kept.
    pub(crate) fn folder(self) -> TempDir {
        self.1
    }

    /// Starts it again where it was.
    pub(crate) async fn again(self) -> Serving {
        Serving::open(self.0.to_string(), self.1, |_| {}).await
    }
}
