//! A connection to the server of a hub, kept up by itself, and what every call on it carries.

use std::{fmt, sync::Arc, time::Duration};

use taskhub_wire::proto::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use taskhub_wire::results::results_client::ResultsClient;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::results::Results;

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How often a silent server is asked whether it is still there, and how long it may take to say
/// so.
const PING_EVERY: Duration = Duration::from_secs(20);

/// The same for nodes of a cluster, which are near, and whose work others take over when they are
/// gone; also how long a connection to them may take to be made.
const NODE_PING_EVERY: Duration = Duration::from_secs(3);

/// What may be sent ahead to us: per call, and per connection.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// How large a message may be that we receive.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// How long an answer may take, unless it is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

pub(crate) type Service = TaskHubSidecarServiceClient<InterceptedService<Channel, Labels>>;

/// A connection to the server of a hub, made when it is first needed, and again when it is lost.
/// Clones are the same connection.
#[derive(Clone)]
pub struct Link {
    service: Box<Service>,
    address: String,
    pub(crate) results: Arc<Results>,
    /// Cancelled when nobody is to wait any more.
    pub(crate) closing: CancellationToken,
}

/// What every call carries.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    pub hub: Option<AsciiMetadataValue>,
    pub token: Option<AsciiMetadataValue>,
    pub secret: Option<AsciiMetadataValue>,
}

impl Link {
    /// To be called within tokio.
    pub(crate) fn over(endpoint: &Endpoint, address: String, labels: Labels) -> Self {
        let (connect, ping) = match labels.secret {
            Some(_) => (NODE_PING_EVERY, NODE_PING_EVERY),
            None => (CONNECT_TIME_MAX, PING_EVERY),
        };
        let endpoint = endpoint
            .clone()
            .connect_timeout(connect)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(ping)
            .keep_alive_timeout(ping)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        let channel = endpoint.connect_lazy();
        let results = ResultsClient::with_interceptor(channel.clone(), labels.clone());
        let service = TaskHubSidecarServiceClient::with_interceptor(channel, labels)
            .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let results = Arc::new(Results::over(results, service.clone()));
        Self { service: Box::new(service), address, results, closing: CancellationToken::new() }
    }

    /// From now on whoever waits for an instance is handed back, as by a hub that stops.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// The client for one call.
    pub(crate) fn service(&self) -> Service {
        (*self.service).clone()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.address)
    }
}

impl Interceptor for Labels {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        let labels = [("taskhub", &self.hub), ("authorization", &self.token)];
        for (name, label) in labels.into_iter().chain([(taskhub_wire::NODE_KEY, &self.secret)]) {
            if let Some(label) = label {
                metadata.insert(name, label.clone());
            }
        }
        Ok(request)
    }
}

/// A request that is to be answered soon.
pub(crate) fn soon<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_TIME_MAX);
    request
}
