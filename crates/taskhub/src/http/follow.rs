//! Where to ask again, and when, after an answer with 202.

use std::time::Duration;

use url::Url;

use super::{HttpRequest, HttpResponse};
use crate::Timestamp;

/// What only those who were asked first may see.
const SECRETS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The request that asks how far something has come; `None` if the answer was the last one.
pub(super) fn next(request: &HttpRequest, response: &HttpResponse) -> Option<HttpRequest> {
    if response.status_code != 202 || !request.asynchronous_pattern_enabled {
        return None;
    }
    let from = Url::parse(&request.uri).ok()?;
    let to = from.join(response.header("location")?).ok()?;
    let mut next = HttpRequest {
        method: "GET".to_owned(),
        uri: to.to_string(),
        content: None,
        ..request.clone()
    };
    let is_elsewhere = to.origin() != from.origin();
    next.headers.retain(|name, _| {
        let name = name.to_lowercase();
        let is_of_body = name.starts_with("content-") || name == "transfer-encoding";
        let is_key = name == "x-functions-key";
        let is_secret = is_elsewhere && SECRETS.contains(&&*name);
        !is_of_body && !is_key && !is_secret
    });
    if is_elsewhere {
        next.token_source = None;
    }
    Some(next)
}

/// How long to wait before that, if the answer says so.
pub(super) fn pause(response: &HttpResponse, now: Timestamp) -> Option<Duration> {
    let text = response.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Timestamp::from_micros(at.as_microsecond()) - now)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::http::Values;

    fn answer(status_code: u16, headers: &[(&str, &str)]) -> HttpResponse {
        let header =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Values::One((*value).to_owned()));
        let headers = headers.iter().map(header).collect::<BTreeMap<_, _>>();
        HttpResponse { status_code, headers, content: String::new() }
    }

    fn asked() -> HttpRequest {
        HttpRequest::post("https://a.example.com/jobs/new")
            .header("x-functions-key", "secret")
            .header("Authorization", "Bearer 1")
            .header("content-type", "text/plain")
            .header("accept", "text/html")
            .content("body")
            .token("jobs")
    }

    #[test]
    fn what_is_done_is_not_asked_for_again() {
        assert_eq!(next(&asked(), &answer(200, &[("location", "/jobs/1")])), None);
        assert_eq!(next(&asked(), &answer(202, &[])), None);
        let once = asked().without_polling();
        assert_eq!(next(&once, &answer(202, &[("location", "/jobs/1")])), None);
    }

    #[test]
    fn the_next_request_has_no_body_and_no_key() {
        let again = next(&asked(), &answer(202, &[("Location", "../jobs/1?x=2")])).unwrap();
        assert_eq!((&*again.method, &*again.uri), ("GET", "https://a.example.com/jobs/1?x=2"));
        assert_eq!(again.content, None);
        assert_eq!(again.headers.keys().collect::<Vec<_>>(), ["accept", "authorization"]);
        assert!(again.token_source.is_some());
    }

    #[test]
    fn another_server_sees_no_secrets() {
        let again = next(&asked(), &answer(202, &[("location", "https://b.example.com/1")]));
        let again = again.unwrap();
        assert_eq!(again.headers.keys().collect::<Vec<_>>(), ["accept"]);
        assert_eq!(again.token_source, None);
    }

    #[test]
    fn the_pause_is_told_in_seconds_or_as_a_date() {
        let now = Timestamp::from_micros(784_111_770_000_000); // 1994-11-06, 08:49:30
        let told = |text| pause(&answer(202, &[("retry-after", text)]), now);
        assert_eq!(told("120"), Some(Duration::from_mins(2)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::from_secs(7)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:07 GMT"), Some(Duration::ZERO));
        assert_eq!(told("soon"), None);
        assert_eq!(pause(&answer(202, &[]), now), None);
    }
}
