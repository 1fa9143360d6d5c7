//! Which server a command is for, and the way to it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::Args;
use taskhub_wire::cluster::cluster_client::ClusterClient;
use taskhub_wire::keys::keys_client::KeysClient;
use taskhub_wire::proto::{
    GetInstanceRequest, GetInstanceResponse, OrchestrationState,
    task_hub_sidecar_service_client::TaskHubSidecarServiceClient,
};
use tonic::{
    Request, Response, Status,
    metadata::AsciiMetadataValue,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{
    Failure,
    failure::{causes, is_lost},
};

/// Where the name of the hub stands in the metadata of a call.
const HUB_KEY: &str = "taskhub";

/// How long it waits until it asks again a server that is away: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// A question that took longer was held by the server until that time.
const HELD_AFTER: Duration = Duration::from_secs(5);

/// The flags that every command to a server has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct Remote {
    /// Where the server is
    #[arg(
        long,
        value_name = "URL",
        env = "TASKHUB_SERVER",
        default_value = "http://127.0.0.1:7071"
    )]
    server: String,
    /// Which hub is meant [default: the server's default one]
    #[arg(long, value_name = "NAME", env = "TASKHUB_HUB")]
    hub: Option<String>,
    #[command(flatten)]
    access: Access,
}

/// How a server is spoken to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(in crate::cli) struct Access {
    /// The bearer token to be let in with. Other users of this machine may see flags: the variable
    /// is safer
    #[arg(long, value_name = "TOKEN", env = "TASKHUB_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Trust this certificate as well, a PEM file
    #[arg(long, value_name = "FILE", env = "TASKHUB_CA")]
    ca: Option<PathBuf>,
    /// How many seconds an answer may take; waits for an instance take as long as they take, and
    /// bear it if the server is away for so long
    #[arg(long, value_name = "SECONDS", env = "TASKHUB_TIMEOUT", default_value_t = 30)]
    timeout: u64,
}

/// The generated client, and what every call of it carries.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Link {
    pub client: TaskHubSidecarServiceClient<Channel>,
    /// For people who look after a cluster.
    pub cluster: ClusterClient<Channel>,
    /// For people who look after keys.
    pub keys: KeysClient<Channel>,
    hub: Option<AsciiMetadataValue>,
    token: Option<AsciiMetadataValue>,
    timeout: Duration,
}

impl Remote {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Link, Failure> {
        let hub = self.hub.as_deref().map(|hub| header("--hub", hub)).transpose()?;
        Ok(Link { hub, ..self.access.connect(&self.server).await? })
    }
}

impl Access {
    /// Connects to a server.
    pub(in crate::cli) async fn connect(&self, server: &str) -> Result<Link, Failure> {
        let url =
            if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let unusable =
            |why: String| Failure::Usage(format!("{server:?} is no address of a server: {why}"));
        let mut endpoint = Endpoint::from_shared(url.clone())
            .map_err(|error| unusable(causes(&error)))?
            .connect_timeout(Duration::from_secs(self.timeout.clamp(1, 10)));
        match url.split_once("://") {
            Some(("https", _)) => {
                let tls = self.tls()?;
                endpoint = endpoint.tls_config(tls).map_err(|error| unusable(causes(&error)))?;
            }
            Some(("http", _)) if self.ca.is_some() => {
                let why = format!(
                    "`--ca` is for servers that speak TLS, and {server} is called without it; \
                     write https://"
                );
                return Err(Failure::Usage(why));
            }
            Some(("http", _)) => {}
            _ => return Err(unusable("it begins with http:// or https://".to_owned())),
        }
        let channel = endpoint.connect().await;
        let channel = channel.map_err(|error| Failure::unreachable(server, &error))?;
        let cluster = ClusterClient::new(channel.clone());
        let keys = KeysClient::new(channel.clone());
        // What a page holds is up to the server.
        let client =
            TaskHubSidecarServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        let token =
            self.token.as_deref().map(|token| header("--token", &format!("Bearer {token}")));
        let timeout = Duration::from_secs(self.timeout);
        Ok(Link { client, cluster, keys, hub: None, token: token.transpose()?, timeout })
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let tls = ClientTlsConfig::new().with_native_roots();
        let Some(file) = &self.ca else { return Ok(tls) };
        let pem = std::fs::read(file).map_err(|error| {
            Failure::Usage(format!("{} cannot be read: {error}", file.display()))
        })?;
        Ok(tls.ca_certificate(Certificate::from_pem(pem)))
    }
}

/// The value of a header; the message names the flag alone, since its value may be secret.
fn header(flag: &str, text: &str) -> Result<AsciiMetadataValue, Failure> {
    let wrong = |_| Failure::Usage(format!("{flag} has characters that no header may have"));
    AsciiMetadataValue::try_from(text).map_err(wrong)
}

impl Link {
    /// A request that is to be answered soon.
    pub(in crate::cli) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.patient(message);
        request.set_timeout(self.timeout);
        request
    }

    /// A request whose answer may take any time.
    pub(super) fn patient<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(hub) = &self.hub {
            metadata.insert(HUB_KEY, hub.clone());
        }
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.clone());
        }
        request
    }

    /// Where an instance stands; one that is not there is a failure.
    pub(super) async fn state(
        &mut self,
        id: &str,
        payloads: bool,
    ) -> Result<OrchestrationState, Failure> {
        let asked = self.request(get(id, payloads));
        there(id, self.client.get_instance(asked).await?)
    }

    /// The same for who watches it, and can wait while the server is away.
    pub(super) async fn later_state(&mut self, id: &str) -> Result<OrchestrationState, Failure> {
        let mut absence = Absence::new(self.timeout);
        loop {
            let asked = self.request(get(id, true));
            match self.client.get_instance(asked).await {
                Ok(answer) => return there(id, answer),
                Err(status) => absence.bear(status).await?,
            }
        }
    }

    /// Where an instance stands once it has ended.
    pub(super) async fn end(&mut self, id: &str) -> Result<OrchestrationState, Failure> {
        let mut absence = Absence::new(self.timeout);
        loop {
            let asked = self.patient(get(id, true));
            match self.client.wait_for_instance_completion(asked).await {
                Ok(answer) => return there(id, answer),
                Err(status) => absence.bear(status).await?,
            }
        }
    }
}

/// How long a server has been away, whose answer can be waited for.
struct Absence {
    since: Instant,
    asked: Instant,
    pause: Duration,
    longest: Duration,
}

impl Absence {
    fn new(longest: Duration) -> Self {
        let now = Instant::now();
        Self { since: now, asked: now, pause: RETRY_AFTER, longest }
    }

    /// Waits until it may be asked again, ever longer; fails if that is no use.
    async fn bear(&mut self, status: Status) -> Result<(), Failure> {
        if self.asked.elapsed() > HELD_AFTER {
            (self.since, self.pause) = (Instant::now(), RETRY_AFTER);
        }
        if !is_lost(&status) || self.since.elapsed() > self.longest {
            return Err(status.into());
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_AFTER_MAX);
        self.asked = Instant::now();
        Ok(())
    }
}

fn there(id: &str, answer: Response<GetInstanceResponse>) -> Result<OrchestrationState, Failure> {
    answer.into_inner().orchestration_state.ok_or_else(|| Failure::no_instance(id))
}

fn get(id: &str, payloads: bool) -> GetInstanceRequest {
    GetInstanceRequest {
        instance_id: id.to_owned(),
        get_inputs_and_outputs: payloads,
        ..GetInstanceRequest::default()
    }
}
