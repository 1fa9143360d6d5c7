//! The activity that sends one request, and how a program sends them.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header::CONTENT_TYPE},
};
use bytes::Bytes;
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tower::ServiceExt as _;

use super::{HttpRequest, HttpResponse, Values};
use crate::{Failure, Result, State, activity};

/// How long one answer may take, if the request does not say.
const TIME_MAX: Duration = Duration::from_secs(100);

/// How many bytes of a body are read, if nobody says: what a payload may have.
const BYTES_MAX: usize = 4 << 20;

/// How a program sends the requests of [`Context::call_http`](crate::Context::call_http): a state,
/// for [`HostBuilder::state`](crate::HostBuilder::state). Without it they go over the network.
#[derive(Clone)]
pub struct HttpCalls {
    way: Way,
    tokens: Option<Tokens>,
    bytes_max: usize,
}

#[derive(Clone)]
enum Way {
    Network(Arc<OnceLock<Result<reqwest::Client, String>>>),
    Router(Router),
}

type Tokens = Arc<dyn Fn(String) -> BoxFuture<'static, Result<String>> + Send + Sync>;

impl Default for HttpCalls {
    fn default() -> Self {
        Self { way: Way::Network(Arc::default()), tokens: None, bytes_max: BYTES_MAX }
    }
}

impl HttpCalls {
    /// Over the network, with the certificates that this machine trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For tests: this router answers them all, whatever their host, and no network is needed.
    #[must_use]
    pub fn answered_by(router: Router) -> Self {
        Self { way: Way::Router(router), ..Self::default() }
    }

    /// Where tokens come from that requests ask for by [`HttpRequest::token`]: gets the resource,
    /// gives the bearer token. It is asked for each request, so let it keep tokens that last.
    #[must_use]
    pub fn tokens<F>(mut self, tokens: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<String>> + Send + 'static,
    {
        self.tokens = Some(Arc::new(move |resource| tokens(resource).boxed()));
        self
    }

    /// How many bytes the body of an answer may have; 4 MiB otherwise, as payloads.
    #[must_use]
    pub fn body_bytes_max(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse> {
        let prepared = self.prepare(&request).await?;
        let (method, uri) = (&request.method, &request.uri);
        let time = request.timeout_millis.map_or(TIME_MAX, Duration::from_millis);
        let answer = match &self.way {
            Way::Router(router) => answer(router.clone(), prepared).boxed(),
            Way::Network(client) => {
                let client = client.get_or_init(client_of).clone();
                let client = client.map_err(|why| Failure::new("Tls", why))?;
                fetch(client, prepared).boxed()
            }
        };
        let answer = async {
            let (status_code, headers, body) = answer.await?;
            let content = read(body, self.bytes_max).await?;
            Ok(HttpResponse { status_code, headers: named(&headers), content })
        };
        tokio::time::timeout(time, answer).await.unwrap_or_else(|_| {
            let message = format!("{method} {uri} was not answered within {time:?}");
            Err(Failure::new(Failure::TIMEOUT, message))
        })
    }

    /// The request as it is sent.
    async fn prepare(&self, request: &HttpRequest) -> Result<Request<String>> {
        let HttpRequest { method, uri, headers, content, token_source, .. } = request;
        let wrong =
            |what: String| Failure::terminal(format!("{method} {uri} cannot be sent: {what}"));
        let known = method.to_uppercase().parse::<Method>();
        let known = known.map_err(|_| wrong(format!("`{method}` is no method")))?;
        let prepared = Request::builder().method(known).uri(uri);
        let prepared = prepared.body(content.clone().unwrap_or_default());
        let mut prepared = prepared.map_err(|error| wrong(error.to_string()))?;
        for (name, values) in headers {
            let no_header = || wrong(format!("`{name}` is no header"));
            let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header())?;
            for value in values.iter() {
                let value = HeaderValue::from_str(value).map_err(|_| no_header())?;
                prepared.headers_mut().append(&known, value);
            }
        }
        let kind = prepared.headers().get(CONTENT_TYPE);
        if kind.is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"multipart/"))
        {
            return Err(wrong("its body is in parts, which text cannot hold".to_owned()));
        }
        if kind.is_none() && content.is_some() {
            prepared.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        if let Some(source) = token_source {
            let Some(tokens) = &self.tokens else {
                let advice = "it wants a token: give `HttpCalls::tokens` to the host";
                return Err(wrong(advice.to_owned()));
            };
            let token = format!("Bearer {}", tokens(source.resource.clone()).await?);
            let value = HeaderValue::from_str(&token).map_err(|_| wrong("bad token".to_owned()))?;
            prepared.headers_mut().insert("authorization", value);
        }
        Ok(prepared)
    }
}

/// The name of the activity.
pub(crate) const NAME: &str = "BuiltIn::HttpActivity";

/// Sends one request. The name is the one that it has in Durable Functions.
#[activity(name = "BuiltIn::HttpActivity")]
pub(crate) async fn send(
    State(calls): State<HttpCalls>,
    request: HttpRequest,
) -> Result<HttpResponse> {
    calls.send(request).await
}

/// Status, headers and the body, piece by piece.
type Answer = (u16, HeaderMap, BoxStream<'static, Result<Bytes>>);

async fn answer(router: Router, request: Request<String>) -> Result<Answer> {
    let Ok(response) = router.oneshot(request.map(Body::from)).await;
    let (parts, body) = response.into_parts();
    let body = body.into_data_stream().map(|piece| Ok(piece?));
    Ok((parts.status.as_u16(), parts.headers, body.boxed()))
}

async fn fetch(client: reqwest::Client, request: Request<String>) -> Result<Answer> {
    let response = client.execute(request.try_into()?).await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = stream::try_unfold(response, |mut response| async {
        Ok(response.chunk().await?.map(|piece| (piece, response)))
    });
    Ok((status, headers, body.boxed()))
}

fn client_of() -> Result<reqwest::Client, String> {
    let mut trusted = RootCertStore::empty();
    trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(trusted)
        .with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).build();
    client.map_err(|error| error.to_string())
}

async fn read(mut body: BoxStream<'static, Result<Bytes>>, bytes_max: usize) -> Result<String> {
    let mut content = Vec::new();
    while let Some(piece) = body.next().await {
        content.extend_from_slice(&piece?);
        if content.len() > bytes_max {
            return Err(Failure::terminal(format!(
                "the answer has more than {bytes_max} bytes: let it be stored elsewhere, or raise \
                 `HttpCalls::body_bytes_max` and `Limits::payload_bytes_max`"
            )));
        }
    }
    String::from_utf8(content).map_err(|error| {
        Failure::new(Failure::DATA, "the answer is not text").caused_by(error).no_retry()
    })
}

fn named(headers: &HeaderMap) -> BTreeMap<String, Values> {
    let values = |name: &HeaderName| {
        let all = headers.get_all(name).iter();
        let mut all: Vec<_> =
            all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        if all.len() == 1 { Values::One(all.remove(0)) } else { Values::Many(all) }
    };
    headers.keys().map(|name| (name.to_string(), values(name))).collect()
}

impl fmt::Debug for HttpCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Network(_) => "over the network",
            Way::Router(_) => "answered by a router",
        };
        write!(f, "HttpCalls({way})")
    }
}
