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

/// The longest message of a status, in bytes. Some say again what the client has sent; and clients
/// take 8 KiB of headers, in which a byte may take three.
const MESSAGE_BYTES_MAX: usize = 2_000;

/// The status that clients expect instead of one that tonic made, or that is too long for them.
fn corrected(status: &Status) -> Option<Status> {
    match status.code() {
        Code::OutOfRange => Some(Status::resource_exhausted(format!(
            "{}; send less at once or raise `limits.message_bytes` of the server",
            status.message()
        ))),
        Code::Internal if is_undecodable(status.message()) => {
            Some(Status::invalid_argument(status.message()))
        }
        code if status.message().len() > MESSAGE_BYTES_MAX => {
            Some(Status::with_metadata(code, cut(status.message()), status.metadata().clone()))
        }
        _ => None,
    }
}

/// The beginning of a message, and how much is left out.
fn cut(message: &str) -> String {
    let kept = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    format!("{} .. ({} more bytes)", &message[..kept], message.len() - kept)
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
    fn a_message_without_end_is_cut_and_keeps_what_else_is_said() {
        let mut status = Status::invalid_argument("é".repeat(50_000));
        status.metadata_mut().insert("a", "b".parse().expect("a value"));
        let cut = corrected(&status).expect("it is too long");
        assert_eq!((cut.code(), cut.metadata().len()), (Code::InvalidArgument, 1));
        assert!(cut.message().ends_with("é .. (98000 more bytes)"), "{cut}");
        assert!(corrected(&Status::not_found("it is not there")).is_none());
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
