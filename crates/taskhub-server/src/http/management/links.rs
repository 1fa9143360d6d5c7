//! Where an instance is managed: the addresses that a client is given, and the answer with them.

use std::borrow::Cow;

use axum::{
    extract::OriginalUri,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{HOST, LOCATION, RETRY_AFTER},
        request::Parts,
    },
    response::Response,
};
use serde::Serialize;

use super::{BASE, answer, query::Query};
use crate::{HubName, http::door::Shown};

/// How long clients are asked to wait before they look at an instance that was just started.
const RETRY_STARTED: HeaderValue = HeaderValue::from_static("10");

const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The name that stands for the storage. There is only one, so it means nothing, but clients
/// expect it.
const CONNECTION: &str = "Storage";

/// How clients reach the routes, as the request itself may not say; whoever serves the routes puts
/// it into the extensions of requests, and [`Links::of`] finds it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Whether a proxy stands before them that sets `X-Forwarded-Host` and `X-Forwarded-Proto`.
    pub forwarded: bool,
}

/// What the addresses in an answer are made of: scheme and host of the request, the hub, and
/// perhaps a key.
///
/// ```
/// use axum::{extract::Request, response::Response};
/// use taskhub_server::http::{Links, create_check_status_response};
///
/// async fn order(request: Request) -> Response {
///     let (parts, _) = request.into_parts();
///     // .. start the instance `order-17` ..
///     create_check_status_response(&Links::of(&parts), "order-17")
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Links {
    https: bool,
    host: String,
    base: Cow<'static, str>,
    hub: Cow<'static, str>,
    connection: Cow<'static, str>,
    code: Option<String>,
    /// For answers to who showed it.
    shown: Option<Shown>,
    fails_with_500: Option<bool>,
    uri: Uri,
}

/// All that can be done to an instance over HTTP, and where. The fields are in the order in which
/// clients know them; where a text stands in braces, they put one of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct HttpManagementPayload {
    /// The id of the instance.
    pub id: String,
    /// GET: where it stands.
    pub status_query_get_uri: String,
    /// POST: raise the event `{eventName}`.
    pub send_event_post_uri: String,
    /// POST: end it because of `{text}`.
    pub terminate_post_uri: String,
    /// POST: let it go on from before its failure, because of `{text}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewind_post_uri: Option<String>,
    /// DELETE: forget it.
    pub purge_history_delete_uri: String,
    /// POST: run it again.
    pub restart_post_uri: String,
    /// POST: pause it because of `{text}`.
    pub suspend_post_uri: String,
    /// POST: let it go on because of `{text}`.
    pub resume_post_uri: String,
}

impl Links {
    /// Addresses at the scheme and host that the request came to, for the hub `default` unless the
    /// request or [`hub`](Self::hub) names another. They carry the key that [`code`](Self::code)
    /// gives. Without one, those in answers to the client carry the key by which it came through
    /// [`authorize`](crate::http::authorize) or the gate of an endpoint, if the management API
    /// takes that key; those of [`create_http_management_payload`] may go elsewhere, and carry
    /// none.
    #[must_use]
    pub fn of(request: &Parts) -> Self {
        let uri = request.extensions.get::<OriginalUri>().map_or(&request.uri, |uri| &uri.0);
        let host = text(&request.headers, &HOST).map(str::to_owned);
        let host = host.or_else(|| uri.authority().map(ToString::to_string));
        let query = Query::of(uri);
        let named = |name: &str| query.text(name).filter(|text| !text.trim().is_empty());
        let reached = request.extensions.get::<Reached>().copied().unwrap_or_default();
        let links = Self {
            https: reached.https || uri.scheme_str() == Some("https"),
            host: host.unwrap_or_else(|| "localhost".to_owned()),
            base: BASE.into(),
            hub: named("taskHub").map_or(HubName::DEFAULT.into(), Cow::from),
            connection: named("connection").map_or(CONNECTION.into(), Cow::from),
            code: None,
            shown: request.extensions.get().cloned(),
            fails_with_500: None,
            uri: uri.clone(),
        };
        if reached.forwarded { links.forwarded(&request.headers) } else { links }
    }

    /// The server speaks TLS, or who stands before it does.
    #[must_use]
    pub fn https(mut self, https: bool) -> Self {
        self.https |= https;
        self
    }

    /// Takes scheme and host from `X-Forwarded-Proto` and `X-Forwarded-Host`, if both are there.
    /// Only for servers behind a proxy that sets them: others would believe their clients.
    #[must_use]
    pub fn forwarded(mut self, headers: &HeaderMap) -> Self {
        let first = |name| Some(text(headers, name)?.split(',').next()?.trim());
        if let (Some(host), Some(scheme)) = (first(&FORWARDED_HOST), first(&FORWARDED_PROTO))
            && !host.is_empty()
            && ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        {
            host.clone_into(&mut self.host);
            self.https = scheme.eq_ignore_ascii_case("https");
        }
        self
    }

    /// The hub of the instance.
    #[must_use]
    pub fn hub(mut self, name: &str) -> Self {
        if *name != *self.hub {
            self.hub = name.to_owned().into();
        }
        self
    }

    /// A key that lets whoever has the addresses in.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Whether the status of a failed instance is answered with 500. If nobody says so here, the
    /// query of the request may: `returnInternalServerErrorOnFailure=true`.
    #[must_use]
    pub fn return_internal_server_error_on_failure(mut self, fails: bool) -> Self {
        self.fails_with_500 = Some(fails);
        self
    }

    /// Where the management API is mounted, if not at its usual path.
    pub(super) fn base(mut self, path: &str) -> Self {
        if *path != *self.base {
            self.base = path.to_owned().into();
        }
        self
    }

    /// What stood in the query of the request; read anew, as many are kept while they wait.
    pub(super) fn query(&self) -> Query {
        Query::of(&self.uri)
    }

    pub(super) fn fails_with_500(&self) -> bool {
        let asked = || self.query().flag("returnInternalServerErrorOnFailure");
        self.fails_with_500.or_else(asked).unwrap_or(false)
    }

    /// The address of the request itself.
    pub(super) fn own(&self) -> String {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        format!("{}{path}", self.origin())
    }

    fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.host)
    }
}

/// The addresses of everything that can be done to an instance, to be sent wherever they are
/// needed.
#[must_use]
pub fn create_http_management_payload(links: &Links, instance: &str) -> HttpManagementPayload {
    payload(links, instance, links.code.as_deref())
}

fn payload(links: &Links, instance: &str, code: Option<&str>) -> HttpManagementPayload {
    let at = format!("{}{}/instances/{}", links.origin(), links.base, coded(instance));
    let mut which =
        format!("taskHub={}&connection={}", coded(&links.hub), coded(&links.connection));
    if let Some(code) = code {
        which = format!("{which}&code={}", coded(code));
    }
    let fails = match links.fails_with_500 {
        Some(true) => "&returnInternalServerErrorOnFailure=true",
        _ => "",
    };
    let told = |verb: &str| format!("{at}/{verb}?reason={{text}}&{which}");
    HttpManagementPayload {
        id: instance.to_owned(),
        status_query_get_uri: format!("{at}?{which}{fails}"),
        send_event_post_uri: format!("{at}/raiseEvent/{{eventName}}?{which}"),
        terminate_post_uri: told("terminate"),
        rewind_post_uri: Some(told("rewind")),
        purge_history_delete_uri: format!("{at}?{which}"),
        restart_post_uri: format!("{at}/restart?{which}"),
        suspend_post_uri: told("suspend"),
        resume_post_uri: told("resume"),
    }
}

/// 202 with the addresses of an instance: the answer to whoever started it and does not wait.
#[must_use]
pub fn create_check_status_response(links: &Links, instance: &str) -> Response {
    let shown = links.shown.as_ref().map(|shown| &*shown.0);
    let payload = payload(links, instance, links.code.as_deref().or(shown));
    // Newer versions of the original leave this one address out of the answer.
    let payload = HttpManagementPayload { rewind_post_uri: None, ..payload };
    let mut response = answer::json(StatusCode::ACCEPTED, &payload);
    if let Ok(location) = HeaderValue::from_str(&payload.status_query_get_uri) {
        response.headers_mut().insert(LOCATION, location);
    }
    response.headers_mut().insert(RETRY_AFTER, RETRY_STARTED);
    response
}

fn coded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn links(request: axum::http::request::Builder) -> Links {
        Links::of(&request.body(()).expect("a request").into_parts().0)
    }

    #[test]
    fn addresses_lead_to_where_the_request_came_from() {
        let request = Request::get("/start?taskHub=a%26b").header("host", "example.com:81");
        let links = links(request).code("se cret").return_internal_server_error_on_failure(true);
        let payload = create_http_management_payload(&links, "a b&c");
        let at = "http://example.com:81/runtime/webhooks/durabletask/instances/a+b%26c";
        let which = "taskHub=a%26b&connection=Storage&code=se+cret";
        assert_eq!(payload.id, "a b&c");
        let status = format!("{at}?{which}&returnInternalServerErrorOnFailure=true");
        assert_eq!(payload.status_query_get_uri, status);
        let raise = format!("{at}/raiseEvent/{{eventName}}?{which}");
        assert_eq!(payload.send_event_post_uri, raise);
        let terminate = format!("{at}/terminate?reason={{text}}&{which}");
        assert_eq!(payload.terminate_post_uri, terminate);
        assert_eq!(payload.restart_post_uri, format!("{at}/restart?{which}"));
        assert_eq!(payload.purge_history_delete_uri, format!("{at}?{which}"));
    }

    #[test]
    fn a_key_that_was_shown_stands_in_answers_to_who_showed_it_alone() {
        let request = Request::get("/start").extension(Shown("mine".into()));
        let links = links(request);
        let location = |links: &Links| {
            let answer = create_check_status_response(links, "a");
            answer.headers()[LOCATION].to_str().expect("it is text").to_owned()
        };
        assert!(location(&links).ends_with("&code=mine"), "{}", location(&links));
        let payload = create_http_management_payload(&links, "a");
        assert!(!payload.status_query_get_uri.contains("code="), "{payload:?}");
        assert!(location(&links.code("other")).ends_with("&code=other"));
    }

    #[test]
    fn a_proxy_is_believed_only_when_asked_to_and_when_it_names_both() {
        let request = || Request::get("/").header("host", "inside");
        let both = request()
            .header("x-forwarded-host", "outside, inside")
            .header("x-forwarded-proto", "https");
        let headers = both.headers_ref().expect("a request").clone();
        assert_eq!(links(both).origin(), "http://inside");
        assert_eq!(links(request()).forwarded(&headers).origin(), "https://outside");
        let one = request().header("x-forwarded-host", "outside");
        let headers = one.headers_ref().expect("a request").clone();
        assert_eq!(links(one).forwarded(&headers).origin(), "http://inside");
        let odd = request()
            .header("x-forwarded-host", "outside")
            .header("x-forwarded-proto", "javascript");
        let headers = odd.headers_ref().expect("a request").clone();
        assert_eq!(links(odd).forwarded(&headers).origin(), "http://inside");
    }
}
