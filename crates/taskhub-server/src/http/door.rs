//! Who may use the management API: whoever has a key, or, where that is safe, everybody.

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{HOST, ORIGIN},
        request::Parts,
        uri::Authority,
    },
    middleware::Next,
    response::Response,
};

use crate::keys::{AuthLevel, Keys, sent};

/// Put into the request by whoever let the client in already, or could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// It sent a token that lets it in.
    Known,
    /// Tokens are asked for, and it sent none that lets it in.
    Unknown,
}

/// The key by which a client was let in, where the management API takes it as well.
#[derive(Clone)]
pub(super) struct Shown(pub Arc<str>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl Shown {
    /// Notes it in the request.
    fn note(keys: &Keys, request: &mut Parts) {
        if let Some(key) = sent(request)
            && keys.admit(&AuthLevel::Management, request)
        {
            request.extensions.insert(Self(key.into()));
        }
    }
}

/// The way into the management API.
#[derive(Debug, Clone, Default)]
pub(super) enum Door {
    /// Everybody is let in: others guard it.
    #[default]
    Open,
    /// Who has a key is let in. While there are no keys, everybody on this machine is.
    Keys {
        keys: Keys,
        /// Whether only clients on this machine reach it.
        is_local: Arc<AtomicBool>,
        /// The origins whose web pages may use it.
        origins: Arc<[HeaderValue]>,
    },
}

impl Door {
    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, level: &AuthLevel, request: &Parts) -> Result<(), &'static str> {
        let Self::Keys { keys, is_local, origins } = self else { return Ok(()) };
        let token = request.extensions.get::<Token>();
        if token == Some(&Token::Known) || keys.admit(level, request) {
            return Ok(());
        }
        if token.is_some() {
            return Err("no token or key of this server came; send `Authorization: Bearer \
                        <token>`, or a key as `x-functions-key`");
        }
        if !keys.is_empty() {
            return Err(
                "no good key came; send one as the header `x-functions-key` or the parameter \
                        `code`",
            );
        }
        if !is_local.load(Ordering::Relaxed) {
            return Err("other machines reach this server: make a key with `taskhub keys create`");
        }
        if !is_direct(request) {
            return Err("this came by another name, or by a proxy: send a key, once there is one");
        }
        // Any web page may make a browser on this machine send requests here.
        if is_of_a_page(request) && !is_allowed(request, origins) {
            return Err("web pages from elsewhere need a key, or an origin that is listed: by \
                        `http.origins`, or in an application by `HostBuilder::origin`");
        }
        Ok(())
    }
}

/// The way into the endpoints of an application: that of the management API, for other keys.
#[derive(Debug, Clone)]
pub struct Gate(Door);

impl Gate {
    /// Lets in only who has a good one of these keys. As long as there are none, everybody is let
    /// in if only clients on this machine reach the server, and nobody otherwise; of web pages
    /// those of these origins, where `*` is all.
    #[must_use]
    pub fn new(keys: Keys, is_local: Arc<AtomicBool>, allowed: &[String]) -> Self {
        Self(Door::Keys { keys, is_local, origins: origins(allowed) })
    }
}

/// A middleware: who may not pass the gate with what this level asks for is answered with 401.
pub async fn guard(
    State((gate, level)): State<(Gate, AuthLevel)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    if let Err(why) = gate.0.admit(&level, &parts) {
        return super::refusal(StatusCode::UNAUTHORIZED, why);
    }
    if let Door::Keys { keys, .. } = &gate.0 {
        Shown::note(keys, &mut parts);
    }
    next.run(Request::from_parts(parts, body)).await
}

/// A middleware for the routes of an application: who has no key that is good enough is answered
/// with 401.
///
/// ```
/// use axum::{Router, middleware::from_fn_with_state, routing::get};
/// use taskhub_server::{AuthLevel, Keys, http::authorize};
///
/// # fn routes(keys: Keys) -> Router {
/// let level = AuthLevel::Function("orders".to_owned());
/// Router::new()
///     .route("/api/orders", get(|| async { "cups" }))
///     .layer(from_fn_with_state((keys, level), authorize))
/// # }
/// ```
pub async fn authorize(
    State((keys, level)): State<(Keys, AuthLevel)>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    if keys.admit(&level, &parts) {
        Shown::note(&keys, &mut parts);
        return next.run(Request::from_parts(parts, body)).await;
    }
    let message = "send a key as the header `x-functions-key` or the parameter `code`";
    super::refusal(StatusCode::UNAUTHORIZED, message)
}

/// Whether a client on this machine may have sent this itself: it calls the machine by one of its
/// own names, and no proxy says that it passed it on.
pub(crate) fn is_direct(request: &Parts) -> bool {
    is_for_here(request) && !is_forwarded(request)
}

/// Whether the client calls this machine by one of its own names. A page from elsewhere whose name
/// was made to lead here does not.
fn is_for_here(request: &Parts) -> bool {
    let Some(authority) = called(request).map(str::parse::<Authority>) else { return true };
    let Ok(authority) = authority else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_loopback || host.eq_ignore_ascii_case("localhost")
}

/// How the client calls this machine; over HTTP/2 the address says it.
fn called(request: &Parts) -> Option<&str> {
    let host = request.headers.get(HOST).map(|host| host.to_str().unwrap_or_default());
    host.or_else(|| request.uri.authority().map(Authority::as_str))
}

/// Whether a proxy passes on what may come from anywhere.
fn is_forwarded(request: &Parts) -> bool {
    let headers = ["forwarded", "x-forwarded-for", "x-forwarded-host"];
    headers.iter().any(|header| request.headers.contains_key(*header))
}

/// Whether a browser sends this for a page that came from elsewhere.
pub(crate) fn is_of_a_page(request: &Parts) -> bool {
    let Some(origin) = request.headers.get(ORIGIN) else { return false };
    let host = called(request).unwrap_or_default();
    let authority = origin.as_bytes().splitn(3, |byte| *byte == b'/').nth(2);
    authority != Some(host.as_bytes())
}

/// Origins as headers name them; what no header can say is none.
pub(super) fn origins(allowed: &[String]) -> Arc<[HeaderValue]> {
    allowed.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect()
}

fn is_allowed(request: &Parts, origins: &[HeaderValue]) -> bool {
    let origin = request.headers.get(ORIGIN);
    origins.iter().any(|known| known == "*" || Some(known) == origin)
}
