//! What every request meets first: the token, the limit on calls, and the way to its protocol.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    http::{
        HeaderValue, Request, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::Response,
};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tonic::Status;
use tower::ServiceExt as _;

use crate::{Config, Hubs, LimitsConfig, auth::Tokens, grpc, http};

/// Answers requests, whatever their protocol. Clones share their limits.
#[derive(Debug, Clone)]
pub(super) struct Front {
    /// `None` when only HTTP is spoken.
    grpc: Option<Router>,
    http: Router,
    tokens: Tokens,
    calls: Arc<Semaphore>,
}

impl Front {
    pub(super) fn new(hubs: &Hubs, config: &Config) -> Self {
        Self {
            grpc: Some(grpc::routes(hubs, config.limits.message_bytes)),
            http: http::routes(hubs, config),
            tokens: Tokens::new(config.tokens.clone()),
            calls: Arc::new(Semaphore::new(config.limits.calls.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Answers with an application's own routes, and its hubs over gRPC if it says so.
    pub(super) fn around(routes: Router, grpc: Option<&Hubs>) -> Self {
        let message_bytes = LimitsConfig::default().message_bytes;
        Self {
            grpc: grpc.map(|hubs| grpc::routes(hubs, message_bytes)),
            http: routes,
            tokens: Tokens::new(Vec::new()),
            calls: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// A gRPC call is known by its content type alone: a router that takes it by path, or after
    /// the others, answers 200 to an unknown path of HTTP.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response {
        let request = request.map(Body::new);
        match &self.grpc {
            Some(grpc) if is_grpc(&request) => self.grpc(grpc, request).await,
            _ => self.http(request).await,
        }
    }

    async fn grpc(&self, grpc: &Router, request: Request<Body>) -> Response {
        if !grpc::is_open(request.uri().path()) && !self.tokens.admit(request.headers()) {
            return Status::unauthenticated("send `authorization: Bearer <token>`").into_http();
        }
        let Ok(_counted) = self.calls.try_acquire() else {
            return grpc::busy("too many calls are under way").into_http();
        };
        grpc::answer(grpc.clone(), request).await
    }

    async fn http(&self, request: Request<Body>) -> Response {
        let open = http::OPEN_PATHS.contains(&request.uri().path());
        if !open && !self.tokens.admit(request.headers()) {
            let message = "send `Authorization: Bearer <token>`";
            let mut response = http::refusal(StatusCode::UNAUTHORIZED, message);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        let Ok(_counted) = self.calls.try_acquire() else {
            let message = "too many requests are under way; try again a little later";
            let mut response = http::refusal(StatusCode::SERVICE_UNAVAILABLE, message);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        };
        match self.http.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// Whether this is a call of gRPC proper; gRPC for browsers is another protocol.
fn is_grpc(request: &Request<Body>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}
