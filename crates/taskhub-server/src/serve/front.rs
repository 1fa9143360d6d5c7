//! What every request meets first: the token, the limit on calls, and the way to its protocol.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody as _},
    http::{
        HeaderName, HeaderValue, Request, StatusCode, Version,
        header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
        request::Parts,
    },
    response::Response,
};
use futures::{
    FutureExt as _,
    future::{BoxFuture, ready},
};
use tokio::sync::Semaphore;
use tonic::Status;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use super::{
    Around,
    timely::{Slow, Timely},
};
use crate::{Config, Hubs, Keys, LimitsConfig, Metrics, auth::Tokens, cluster::Secret, grpc, http};

/// Answers requests, whatever their protocol. Clones share their limits.
#[derive(Debug, Clone)]
pub(super) struct Front {
    /// `None` when only HTTP is spoken.
    grpc: Option<Router>,
    http: Router,
    cors: Option<CorsLayer>,
    tokens: Tokens,
    secret: Secret,
    /// Whether gRPC is for other nodes alone.
    only_nodes: bool,
    calls: Arc<Semaphore>,
    /// `None` where nobody asks for them.
    metrics: Option<Metrics>,
    /// Whether this answers with them, or the routes do.
    tells: bool,
    /// Whether it listens on addresses of this machine alone.
    is_local: bool,
    /// How long a body may take to come, and a request in all.
    body_time: Duration,
    request_time: Option<Duration>,
}

impl Front {
    /// Whether only this machine reaches it is up to where it listens.
    pub(super) fn new(hubs: &Hubs, keys: &Keys, is_local: bool, config: &Config) -> Self {
        let is_guarded = is_local || !config.tokens.is_empty();
        let held = grpc::Held { keys: keys.clone(), is_guarded };
        Self {
            grpc: Some(grpc::routes(hubs, config.limits.message_bytes, Some(held))),
            http: http::routes(hubs, keys, is_local, config),
            cors: cors(&config.http.origins),
            tokens: Tokens::new(config.tokens.clone()),
            secret: Secret::new(config.cluster.secret.clone()),
            only_nodes: false,
            calls: Arc::new(Semaphore::new(config.limits.calls.min(Semaphore::MAX_PERMITS))),
            metrics: Some(Metrics::new(hubs)),
            tells: true,
            is_local,
            body_time: Duration::from_secs(config.limits.body_seconds),
            request_time: request_time(&config.limits),
        }
    }

    /// Answers with an application's own routes, and its hubs over gRPC if it says so.
    pub(super) fn around(routes: Router, is_local: bool, how: &Around) -> Self {
        let limits = &how.limits;
        Self {
            grpc: how.grpc.as_ref().map(|hubs| grpc::routes(hubs, limits.message_bytes, None)),
            http: routes,
            cors: cors(&how.origins),
            tokens: Tokens::new(Vec::new()),
            secret: Secret::new(how.secret.clone()),
            only_nodes: how.only_nodes,
            calls: Arc::new(Semaphore::new(limits.calls.min(Semaphore::MAX_PERMITS))),
            metrics: how.metrics.clone(),
            tells: false,
            is_local,
            body_time: Duration::from_secs(limits.body_seconds),
            request_time: request_time(limits),
        }
    }

    /// Answers a request, and counts it. Many are held for long: what waits is kept small.
    pub(super) fn answer(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Response> + Send + use<> {
        let is_grpc = self.grpc.is_some() && is_grpc(&request);
        let counted = self.metrics.as_ref().map(|it| (it.clone(), it.begin(&request, is_grpc)));
        let answering = self.answer_as_it_is(request);
        async move {
            let response = answering.await;
            if let Some((metrics, call)) = counted {
                metrics.end(call, &response);
            }
            response
        }
    }

    /// A gRPC call is known by its content type alone: a router that takes it by path, or after
    /// the others, answers 200 to an unknown path of HTTP.
    fn answer_as_it_is(&self, request: Request<Body>) -> BoxFuture<'static, Response> {
        if let Some(grpc) = &self.grpc
            && is_grpc(&request)
        {
            let (front, grpc) = (self.clone(), grpc.clone());
            return async move { front.grpc(&grpc, request).await }.boxed();
        }
        let Some(cors) = &self.cors else { return self.http(request) };
        let front = self.clone();
        let http = service_fn(move |request| front.http(request).map(Ok::<_, Infallible>));
        cors.layer(http).oneshot(request).map(sure).boxed()
    }

    async fn grpc(&self, grpc: &Router, mut request: Request<Body>) -> Response {
        match self.secret.check(request.headers()) {
            Ok(Some(node)) => drop(request.extensions_mut().insert(node)),
            Ok(None) if self.only_nodes => {
                let message = "gRPC is for the other nodes of this application; let others in by \
                               `HostBuilder::workers`";
                return Status::unauthenticated(message).into_http();
            }
            Ok(None) if grpc::is_open(request.uri().path()) => {}
            Ok(None) if self.tokens.is_empty() => {
                let (parts, body) = request.into_parts();
                if let Err(why) = self.admit_without_token(&parts) {
                    return Status::unauthenticated(why).into_http();
                }
                request = Request::from_parts(parts, body);
            }
            Ok(None) if self.tokens.admit(request.headers()) => {}
            Ok(None) => {
                let message = "no token of this server came; send `authorization: Bearer <token>`";
                return Status::unauthenticated(message).into_http();
            }
            Err(impostor) => {
                self.secret.tell(impostor);
                let message = "this is no secret of this cluster; give all nodes the same";
                return Status::unauthenticated(message).into_http();
            }
        }
        let Ok(_counted) = self.calls.try_acquire() else {
            return grpc::busy("too many calls are under way").into_http();
        };
        if grpc::takes_stream(request.uri().path()) {
            return grpc::answer(grpc.clone(), request).await;
        }
        let (within, slow) = (self.body_time, Slow::default());
        let request = request.map(|body| Body::new(Timely::new(body, within, slow.clone())));
        let answer = grpc::answer(grpc.clone(), request).await;
        if slow.is() { Status::aborted(slowness(within)).into_http() } else { answer }
    }

    /// Without tokens gRPC is for programs, and on an address of this machine for those that call
    /// it themselves.
    fn admit_without_token(&self, request: &Parts) -> Result<(), &'static str> {
        if self.is_local && !http::is_direct(request) {
            return Err("this came by another name, or by a proxy: set `tokens`, and send one");
        }
        if http::is_of_a_page(request) {
            return Err("web pages cannot call this: set `tokens`, and send one");
        }
        Ok(())
    }

    fn http(&self, mut request: Request<Body>) -> BoxFuture<'static, Response> {
        let asked = self.tells && request.uri().path() == http::METRICS_PATH;
        let metrics = self.metrics.as_ref().filter(|_| asked);
        let open = http::is_open(request.uri().path()) || (metrics.is_some() && self.is_local);
        let is_let_in = self.tokens.admit(request.headers());
        if let Some(known) = http::as_known(request.uri()) {
            *request.uri_mut() = known;
        }
        if http::is_management(request.uri()) {
            // It knows keys, too.
            if !self.tokens.is_empty() {
                let token = if is_let_in { http::Token::Known } else { http::Token::Unknown };
                request.extensions_mut().insert(token);
            }
        } else if !open && !is_let_in {
            let message = "no token of this server came; send `Authorization: Bearer <token>`";
            let mut response = http::refusal(StatusCode::UNAUTHORIZED, message);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return ready(response).boxed();
        }
        if let Some(metrics) = metrics {
            return ready(metrics.response()).boxed();
        }
        let Ok(counted) = self.calls.clone().try_acquire_owned() else {
            let message = "too many requests are under way; try again a little later";
            let mut response = http::refusal(StatusCode::SERVICE_UNAVAILABLE, message);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return ready(response).boxed();
        };
        let within = self.body_time;
        let slow = (!request.body().is_end_stream()).then(Slow::default);
        let request = match slow.clone() {
            Some(slow) => request.map(|body| Body::new(Timely::new(body, within, slow))),
            None => request,
        };
        let answer = self.http.clone().oneshot(request).map(sure);
        // Most who read it know only that it broke off.
        let knew = |answer: &Response| {
            answer.status().is_success() || answer.status() == StatusCode::REQUEST_TIMEOUT
        };
        let answer = answer.map(move |answer| match slow {
            Some(slow) if slow.is() && !knew(&answer) => came_too_slowly(within),
            _ => answer,
        });
        let Some(within) = self.request_time else {
            return answer.inspect(|_| drop(counted)).boxed();
        };
        let answer = tokio::time::timeout(within, answer).inspect(|_| drop(counted));
        answer.map(move |answer| answer.unwrap_or_else(|_| took_too_long(within))).boxed()
    }
}

/// What comes of something that cannot fail.
fn sure(answered: Result<Response, Infallible>) -> Response {
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn request_time(limits: &LimitsConfig) -> Option<Duration> {
    (limits.request_seconds > 0).then(|| Duration::from_secs(limits.request_seconds))
}

fn came_too_slowly(within: Duration) -> Response {
    http::refusal(StatusCode::REQUEST_TIMEOUT, &slowness(within))
}

fn slowness(within: Duration) -> String {
    format!("the body did not come within {within:?}; see `limits.body_seconds`")
}

fn took_too_long(within: Duration) -> Response {
    let message = format!("no answer within {within:?}; see `limits.request_seconds`");
    http::refusal(StatusCode::GATEWAY_TIMEOUT, &message)
}

/// What browsers are told about pages from elsewhere; without origins nothing.
fn cors(origins: &[String]) -> Option<CorsLayer> {
    if origins.is_empty() {
        return None;
    }
    let listed = origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok());
    let for_all = origins.iter().any(|origin| origin == "*");
    let allowed = if for_all { AllowOrigin::any() } else { AllowOrigin::list(listed) };
    let shown = [LOCATION, RETRY_AFTER, HeaderName::from_static("x-ms-continuation-token")];
    let cors = CorsLayer::new().allow_origin(allowed).allow_methods(Any).expose_headers(shown);
    Some(cors.allow_headers(AllowHeaders::mirror_request()))
}

/// Whether this is a call of gRPC proper, which is HTTP/2; gRPC for browsers is another protocol.
fn is_grpc(request: &Request<Body>) -> bool {
    if request.version() != Version::HTTP_2 {
        return false;
    }
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
