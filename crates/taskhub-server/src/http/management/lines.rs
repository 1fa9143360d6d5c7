//! Answers that come line by line, each a JSON value. An addition to the original.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::{IntoResponse as _, Response},
};
use futures::{Stream, StreamExt as _};
use serde::Serialize;

use super::call::Answered;

const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Whether the client asks for an answer line by line.
pub(super) fn wants_lines(headers: &HeaderMap) -> bool {
    let kinds = headers.get_all(ACCEPT).iter().filter_map(|kinds| kinds.to_str().ok());
    let mut kinds = kinds.flat_map(|kinds| kinds.split(','));
    kinds.any(|kind| kind.split(';').next().is_some_and(|it| it.trim() == "application/x-ndjson"))
}

/// One value per line. What goes wrong after the first line is the last line, as an error object.
pub(super) fn response<T: Serialize + Send + 'static>(
    values: impl Stream<Item = Answered<T>> + Send + 'static,
) -> Response {
    let lines = values.then(|value| async {
        let mut line = match value {
            Ok(value) => serde_json::to_vec(&value).unwrap_or_default(),
            Err(refused) => refused.body().await,
        };
        line.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    (StatusCode::OK, [(CONTENT_TYPE, LINES)], Body::from_stream(lines)).into_response()
}
