//! A hub in another process: where its server is, and how to be let in.

mod asking;
mod bring;
mod item;
mod kept;
mod reading;
mod refusal;
mod turns;
mod worker;

use std::{fmt, time::Duration};

use taskhub_wire::proto::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

pub(crate) use worker::{Worker, Working};

/// How long a connection may take to be made.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How often a silent server is asked whether it is still there, and how long it may take to say
/// so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_TIME_MAX: Duration = Duration::from_secs(20);

/// What may be sent ahead to us: per call, and per connection.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// How large a message may be that we receive.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// A hub that a server keeps: `taskhub serve`, or any other that speaks the Durable Task protocol.
///
/// ```no_run
/// use taskhub::{Client, Remote};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hub = Client::connect("http://127.0.0.1:7071")?;
/// let token = std::env::var("TASKHUB_TOKEN")?;
/// let orders = Remote::at("https://tasks.example.com").hub("orders").token(token);
/// let orders = Client::connect(orders)?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Remote {
    address: String,
    hub: Option<String>,
    token: Option<String>,
    certificate: Option<String>,
}

/// Why a hub in another process cannot be spoken to, whatever its server does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The text is no address.
    #[error("{0:?} is no address of a server: {1}; write it as http://HOST:PORT or https://HOST")]
    Address(String, String),
    /// The scheduler's connection string asks for something that only its own cloud has.
    #[error(
        "`Authentication={0}` is not supported; use `None`, and a token if the server wants one"
    )]
    Authentication(String),
    /// A name or a token cannot be sent.
    #[error("the {0} has characters that cannot be sent")]
    Header(&'static str),
}

impl Remote {
    /// The default hub of the server at an address such as `http://127.0.0.1:7071` or
    /// `https://tasks.example.com`. A scheduler's connection string
    /// (`Endpoint=http://..;TaskHub=..;Authentication=None`) names the hub too.
    pub fn at(address: impl Into<String>) -> Self {
        Self { address: address.into(), hub: None, token: None, certificate: None }
    }

    /// The hub of this name on that server.
    #[must_use]
    pub fn hub(mut self, name: impl Into<String>) -> Self {
        self.hub = Some(name.into());
        self
    }

    /// The bearer token to be let in with.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trusts this certificate, in PEM, beside those that this machine trusts.
    #[must_use]
    pub fn certificate(mut self, pem: impl Into<String>) -> Self {
        self.certificate = Some(pem.into());
        self
    }

    /// A connection, made when it is first needed, and again when it is lost. To be called within
    /// tokio.
    pub(crate) fn link(&self) -> Result<Link, RemoteError> {
        let (address, hub) = self.parts()?;
        let wrong = |error: tonic::transport::Error| {
            RemoteError::Address(self.address.clone(), causes(&error))
        };
        let mut endpoint = Endpoint::from_shared(address.clone())
            .map_err(wrong)?
            .connect_timeout(CONNECT_TIME_MAX)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_TIME_MAX)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
        match address.split_once("://") {
            Some(("https", _)) => {
                let mut tls = ClientTlsConfig::new().with_native_roots();
                if let Some(pem) = &self.certificate {
                    tls = tls.ca_certificate(Certificate::from_pem(pem));
                }
                endpoint = endpoint.tls_config(tls).map_err(wrong)?;
            }
            Some(("http", _)) => {}
            _ => {
                let why = "it does not say how to speak to it".to_owned();
                return Err(RemoteError::Address(self.address.clone(), why));
            }
        }
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}"));
        let header = |what, text: Option<&str>| {
            let value = text.map(AsciiMetadataValue::try_from).transpose();
            value.map_err(|_| RemoteError::Header(what))
        };
        let labels = Labels {
            hub: header("name of the hub", hub.as_deref())?,
            token: header("token", bearer.as_deref())?,
        };
        let service =
            TaskHubSidecarServiceClient::with_interceptor(endpoint.connect_lazy(), labels)
                .max_decoding_message_size(MESSAGE_BYTES_MAX);
        let service = Box::new(service);
        Ok(Link { service, address, closing: CancellationToken::new() })
    }

    /// The address of the server, and the name of the hub.
    fn parts(&self) -> Result<(String, Option<String>), RemoteError> {
        let (mut address, mut hub) = (self.address.clone(), None);
        let settings = self.address.split(';').filter_map(|it| it.split_once('='));
        for (key, value) in settings.map(|(key, value)| (key.trim(), value.trim())) {
            match key.to_lowercase().as_str() {
                "endpoint" => value.clone_into(&mut address),
                "taskhub" => hub = Some(value.to_owned()),
                "authentication" if !value.eq_ignore_ascii_case("none") => {
                    return Err(RemoteError::Authentication(value.to_owned()));
                }
                _ => {}
            }
        }
        Ok((address, self.hub.clone().or(hub)))
    }
}

impl From<&str> for Remote {
    fn from(address: &str) -> Self {
        Self::at(address)
    }
}

impl From<String> for Remote {
    fn from(address: String) -> Self {
        Self::at(address)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hub = self.hub.as_deref().unwrap_or("the default hub");
        write!(f, "Remote({hub} at {})", self.address)
    }
}

type Service = TaskHubSidecarServiceClient<InterceptedService<Channel, Labels>>;

/// A connection to the server of a hub. Clones are the same connection.
#[derive(Clone)]
pub(crate) struct Link {
    service: Box<Service>,
    address: String,
    /// Cancelled when nobody is to wait any more.
    closing: CancellationToken,
}

impl Link {
    /// From now on whoever waits for an instance is handed back, as by a hub that stops.
    pub(crate) fn close(&self) {
        self.closing.cancel();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.address)
    }
}

/// What every call carries.
#[derive(Debug, Clone)]
struct Labels {
    hub: Option<AsciiMetadataValue>,
    token: Option<AsciiMetadataValue>,
}

impl Interceptor for Labels {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        if let Some(hub) = &self.hub {
            metadata.insert("taskhub", hub.clone());
        }
        if let Some(token) = &self.token {
            metadata.insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// What an error says, and what those behind it say.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(remote: &Remote) -> (String, Option<String>) {
        remote.parts().expect("it can be read")
    }

    #[test]
    fn a_connection_string_names_server_and_hub() {
        let text = "Endpoint=http://localhost:8080;TaskHub=orders;Authentication=None";
        let expected = ("http://localhost:8080".to_owned(), Some("orders".to_owned()));
        assert_eq!(parts(&text.into()), expected);
        let other = Remote::at(text).hub("other");
        assert_eq!(parts(&other).1.as_deref(), Some("other"));
    }

    #[test]
    fn an_address_alone_means_the_default_hub() {
        let expected = ("https://tasks.example.com".to_owned(), None);
        assert_eq!(parts(&"https://tasks.example.com".into()), expected);
    }

    #[tokio::test]
    async fn what_cannot_work_is_told_before_anything_is_sent() {
        let refused = |remote: Remote| remote.link().expect_err("it cannot work");
        let cloud = "Endpoint=https://a.example.com;TaskHub=a;Authentication=ManagedIdentity";
        assert!(matches!(refused(cloud.into()), RemoteError::Authentication(_)));
        for address in ["", "localhost:7071", "ftp://a.example.com", "http://a b"] {
            assert!(matches!(refused(address.into()), RemoteError::Address(..)), "{address}");
        }
        let remote = Remote::at("http://localhost:7071").token("a\nb");
        assert_eq!(refused(remote), RemoteError::Header("token"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let remote = Remote::at("http://localhost:7071").token("sesame");
        assert!(!format!("{remote:?}").contains("sesame"));
    }
}
