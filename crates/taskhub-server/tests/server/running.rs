//! A server in this process, and clients for it.

use std::net::SocketAddr;

use taskhub_server::{Config, Hubs, Server};
use taskhub_wire::proto::{
    CreateInstanceRequest, GetInstanceRequest, OrchestrationState,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};

pub(crate) type Client = TaskHubSidecarServiceClient<Channel>;

/// A server on a free port, with its hubs in a folder of its own.
pub(crate) struct Running {
    pub address: SocketAddr,
    pub hubs: Hubs,
    pub folder: TempDir,
    stop: oneshot::Sender<()>,
    run: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn plain() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::again(tempfile::tempdir().unwrap(), change).await
    }

    /// On the folder of an earlier one.
    pub(crate) async fn again(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen = vec!["127.0.0.1:0".to_owned()];
        config.data = folder.path().to_owned();
        change(&mut config);
        let server = Server::start(&config).await.unwrap();
        let (address, hubs) =
            (server.addresses()[0], server.hubs().expect("it serves hubs").clone());
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { address, hubs, folder, stop, run }
    }

    pub(crate) async fn client(&self) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }

    /// Stops it and hands back its folder.
    pub(crate) async fn stop(self) -> TempDir {
        self.stop.send(()).unwrap();
        self.run.await.unwrap();
        self.folder
    }

    /// Sends bytes and receives all that comes back until the server ends the connection.
    pub(crate) async fn raw(&self, sent: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).await.unwrap();
        received
    }

    /// The head and the body that a GET of `path` gives.
    pub(crate) async fn get(&self, path: &str, headers: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n");
        self.raw(&request).await
    }
}

pub(crate) fn start(id: &str) -> CreateInstanceRequest {
    CreateInstanceRequest {
        instance_id: id.to_owned(),
        name: "charge".to_owned(),
        input: Some("7".to_owned()),
        ..CreateInstanceRequest::default()
    }
}

pub(crate) fn get(id: &str) -> GetInstanceRequest {
    GetInstanceRequest {
        instance_id: id.to_owned(),
        get_inputs_and_outputs: true,
        ..GetInstanceRequest::default()
    }
}

/// A request for a hub.
pub(crate) fn for_hub<T>(hub: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("taskhub", hub.parse().unwrap());
    request
}

/// Where an instance stands, if it is there.
pub(crate) async fn state(
    client: &mut Client,
    id: &str,
) -> Result<Option<OrchestrationState>, Status> {
    let response = client.get_instance(get(id)).await?.into_inner();
    assert_eq!(response.exists, response.orchestration_state.is_some());
    Ok(response.orchestration_state)
}
