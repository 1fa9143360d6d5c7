//! Around every call: its deadline, and the codes that clients expect where tonic uses others.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request},
    response::Response,
};
use tonic::{Code, Status};
use tower::ServiceExt as _;

/// Answers a call within its deadline.
pub(crate) async fn answer(routes: Router, request: Request<Body>) -> Response {
    let deadline = deadline(request.headers());
    let call = async {
        match routes.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let response = match deadline {
        None => call.await,
        Some(time) => match tokio::time::timeout(time, call).await {
            Ok(response) => response,
            Err(_) => Status::deadline_exceeded("the deadline of this call is over").into_http(),
        },
    };
    match Status::from_header_map(response.headers()).as_ref().and_then(corrected) {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// The status that clients expect instead of one that tonic made.
fn corrected(status: &Status) -> Option<Status> {
    match status.code() {
        Code::OutOfRange => Some(Status::resource_exhausted(format!(
            "{}; send less at once or raise `limits.message_bytes` of the server",
            status.message()
        ))),
        Code::Internal if is_undecodable(status.message()) => {
            Some(Status::invalid_argument(status.message()))
        }
        _ => None,
    }
}

/// Whether tonic means that what the client sent is no message.
fn is_undecodable(message: &str) -> bool {
    ["failed to decode Protobuf", "Missing request message", "protocol error", "Unexpected EOF"]
        .iter()
        .any(|beginning| message.starts_with(beginning))
}

/// How long the client waits: up to 8 digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deadline_of(text: &str) -> Option<Duration> {
        deadline(&HeaderMap::from_iter([("grpc-timeout".parse().ok()?, text.parse().ok()?)]))
    }

    #[test]
    fn a_deadline_is_read_in_every_unit() {
        assert_eq!(deadline_of("99999999H"), Some(Duration::from_hours(99_999_999)));
        assert_eq!(deadline_of("2M"), Some(Duration::from_mins(2)));
        assert_eq!(deadline_of("1500m"), Some(Duration::from_millis(1_500)));
        assert_eq!(deadline_of("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn a_deadline_that_cannot_be_read_is_none() {
        for text in ["", "S", "1", "-1S", "1x", "123456789S", "1.5S"] {
            assert_eq!(deadline_of(text), None, "{text}");
        }
    }
}
