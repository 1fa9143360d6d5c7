//! Answers in the forms of the original: JSON, empty ones, and error objects.

use axum::{
    body::Body,
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use serde_json::value::RawValue;
use taskhub_core::{Answer, Refusal, store::StoreError};

use crate::HubError;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// Ask again in so many seconds, when the server is at its limits.
const TRY_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// An error as clients know it. What .NET tells of an exception is kept as far as there is any.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Wrong<'a> {
    message: &'a str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    exception: Option<Thrown>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Thrown {
    exception_message: String,
    exception_type: &'static str,
    stack_trace: Option<&'static str>,
}

/// A value as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => raw(status, body),
        Err(error) => wrong(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Text that is JSON already.
pub(super) fn raw(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, JSON)], body.into()).into_response()
}

/// Nothing but a status code.
pub(super) fn empty(status: StatusCode) -> Response {
    status.into_response()
}

/// An error object.
pub(super) fn wrong(status: StatusCode, message: &str) -> Response {
    json(status, &Wrong { message, exception: None })
}

/// An error object that names what the original would have thrown, and why.
pub(super) fn thrown(
    status: StatusCode,
    message: &str,
    exception_type: &'static str,
    why: &dyn std::fmt::Display,
) -> Response {
    let exception_message = why.to_string();
    let exception = Some(Thrown { exception_message, exception_type, stack_trace: None });
    json(status, &Wrong { message, exception })
}

/// What was sent is no JSON.
pub(super) fn no_json(error: &serde_json::Error) -> Response {
    let exception = "Newtonsoft.Json.JsonReaderException";
    thrown(StatusCode::BAD_REQUEST, "Invalid JSON content", exception, error)
}

/// An argument makes no sense.
pub(super) fn bad_argument(error: &dyn std::fmt::Display) -> Response {
    let message = "One or more of the arguments submitted is incorrect";
    thrown(StatusCode::BAD_REQUEST, message, "System.ArgumentException", error)
}

/// It could not be done now, and perhaps can in a moment.
pub(super) fn try_again(why: &dyn std::fmt::Display) -> Response {
    let mut response = wrong(StatusCode::SERVICE_UNAVAILABLE, &why.to_string());
    response.headers_mut().insert(RETRY_AFTER, TRY_AGAIN);
    response
}

/// What the hub refused; an answer to another question cannot be.
pub(super) fn refused(answer: &Answer) -> Response {
    let Answer::Refused(refusal) = answer else {
        let what = format!("the hub answered something else: {answer:?}");
        return wrong(StatusCode::INTERNAL_SERVER_ERROR, &what);
    };
    match refusal {
        Refusal::NotFound(_) => empty(StatusCode::NOT_FOUND),
        Refusal::Ended(..) => empty(StatusCode::GONE),
        Refusal::Exists(..) => wrong(StatusCode::CONFLICT, &told(refusal)),
        // The original purges an entity whatever it does. Here what it was asked for, and the locks
        // that it has given, would be lost; so it is refused as an instance that runs is.
        Refusal::NotEnded(..)
        | Refusal::NotFailed(..)
        | Refusal::CannotRewind(..)
        | Refusal::InUse(_) => json(StatusCode::PRECONDITION_FAILED, &told(refusal)),
        Refusal::TooLarge(..) => wrong(StatusCode::PAYLOAD_TOO_LARGE, &told(refusal)),
        _ => try_again(refusal),
    }
}

fn told(refusal: &Refusal) -> String {
    refusal.to_string()
}

/// The store could not be read.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn unreadable(error: StoreError) -> Response {
    match error {
        StoreError::Damaged(_) => wrong(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        _ => try_again(&error),
    }
}

/// There is no such hub, or not now.
#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
pub(super) fn no_hub(error: HubError) -> Response {
    match error {
        HubError::Name(_) => bad_argument(&error),
        HubError::Unlisted(_) => wrong(StatusCode::NOT_FOUND, &error.to_string()),
        _ => try_again(&error),
    }
}

/// How deep arrays and objects may stand in each other. Many clients cannot read what is deeper:
/// one instance with such a text would keep them from reading a whole list.
const DEPTH_MAX: usize = 128;

/// Whether a text that is JSON is nested deeper than clients can read.
pub(super) fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    json.bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// A stored text as it is shown: JSON as it stands, anything else as a string, nothing as null.
pub(super) fn shown(text: Option<&str>) -> Box<RawValue> {
    let Some(text) = text.map(str::trim) else { return RawValue::NULL.to_owned() };
    let value = serde_json::from_str::<&RawValue>(text).ok().filter(|it| !is_too_deep(it.get()));
    value.map_or_else(|| quoted(Some(text)), RawValue::to_owned)
}

/// A text as a JSON string, nothing as null.
pub(super) fn quoted(text: Option<&str>) -> Box<RawValue> {
    serde_json::value::to_raw_value(&text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_text_is_shown_as_json_whatever_it_is() {
        for (stored, expected) in [
            (None, "null"),
            (Some(""), "\"\""),
            (Some("  "), "\"\""),
            (Some(" {\"a\" : 1.50} "), "{\"a\" : 1.50}"),
            (Some("gone \"fishing\""), "\"gone \\\"fishing\\\"\""),
            (Some("12345678901234567890123"), "12345678901234567890123"),
        ] {
            assert_eq!(shown(stored).get(), expected, "{stored:?}");
        }
    }

    #[test]
    fn what_is_nested_too_deeply_is_shown_as_a_string() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let flat = format!("[{}\"[[\\\"[[\"]", "[],".repeat(200));
        for text in [nested(DEPTH_MAX), flat] {
            assert_eq!(shown(Some(&text)).get(), text);
        }
        let deep = nested(DEPTH_MAX + 1);
        assert_eq!(shown(Some(&deep)).get(), format!("\"{deep}\""));
    }
}
