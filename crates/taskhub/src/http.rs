//! HTTP calls that are as durable as everything else in an orchestration.
//!
//! [`Context::call_http`](crate::Context::call_http) sends a request from an activity. What is
//! answered with 202 and a `Location` is asked for again until it is done, with durable timers in
//! between: so a job elsewhere that takes a day is awaited in one line, across restarts.
//!
//! ```
//! use std::time::Duration;
//! use taskhub::{http::HttpRequest, prelude::*};
//!
//! #[orchestration]
//! async fn render(ctx: Context, scene: String) -> Result<String> {
//!     let job = HttpRequest::post("https://render.example.com/jobs").json(&scene)?;
//!     let done = ctx.call_http(job).retry(Retry::exponential(5)).await?;
//!     Ok(done.content)
//! }
//! ```
//!
//! Every program that hosts orchestrations can do it; [`HttpCalls`] says how: with tokens, with
//! another limit, or, in tests, without a network.

mod activity;
mod call;
mod follow;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use activity::HttpCalls;
pub(crate) use activity::{NAME, send};
pub use call::HttpCall;

use crate::{Failure, Result};

/// A request to be sent. It is stored in the history as the Durable Functions SDKs write theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRequest {
    /// Such as `POST`.
    #[serde(default = "get")]
    pub method: String,
    /// Where to, as a whole: `https://example.com/jobs?kind=large`.
    pub uri: String,
    /// Headers; their names in any case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Values>,
    /// The body. Without a `Content-Type` it is `text/plain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Whether an answer with 202 and a `Location` means "ask there again".
    #[serde(default = "yes")]
    pub asynchronous_pattern_enabled: bool,
    /// What the request wants a token for, if it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_source: Option<TokenSource>,
    /// How long one answer may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_millis: Option<u64>,
}

/// What a token is wanted for. The token itself is never stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenSource {
    /// The name of it, as the program's [`HttpCalls::tokens`] knows it.
    pub resource: String,
}

/// The value of a header, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Values {
    /// The values one after another.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
        .iter()
        .map(String::as_str)
    }
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpResponse {
    /// Such as 200.
    pub status_code: u16,
    /// The headers; their names in lower case.
    #[serde(default)]
    pub headers: BTreeMap<String, Values>,
    /// The body.
    #[serde(default)]
    pub content: String,
}

fn get() -> String {
    "GET".to_owned()
}

fn yes() -> bool {
    true
}

impl HttpRequest {
    /// A request with any method.
    #[must_use]
    pub fn new(method: impl Into<String>, uri: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            uri: uri.into(),
            headers: BTreeMap::new(),
            content: None,
            asynchronous_pattern_enabled: true,
            token_source: None,
            timeout_millis: None,
        }
    }

    /// A `GET`.
    #[must_use]
    pub fn get(uri: impl Into<String>) -> Self {
        Self::new("GET", uri)
    }

    /// A `POST`.
    #[must_use]
    pub fn post(uri: impl Into<String>) -> Self {
        Self::new("POST", uri)
    }

    /// With a header, instead of one of that name.
    #[must_use]
    pub fn header(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        let name = name.as_ref().to_lowercase();
        self.headers.retain(|known, _| known.to_lowercase() != name);
        self.headers.insert(name, Values::One(value.into()));
        self
    }

    /// With a body of text.
    #[must_use]
    pub fn content(mut self, content: impl Into<String>) -> Self {
        self.content = Some(content.into());
        self
    }

    /// With a body of JSON.
    pub fn json<T: Serialize + ?Sized>(self, value: &T) -> Result<Self> {
        let json = serde_json::to_string(value).map_err(|error| {
            Failure::new(Failure::DATA, "the body cannot be written as JSON").caused_by(error)
        })?;
        Ok(self.header("content-type", "application/json").content(json))
    }

    /// With a bearer token for this, which [`HttpCalls::tokens`] gives anew for each request.
    #[must_use]
    pub fn token(mut self, resource: impl Into<String>) -> Self {
        self.token_source = Some(TokenSource { resource: resource.into() });
        self
    }

    /// How long one answer may take; then the request has failed with the kind
    /// [`Failure::TIMEOUT`]. Without it, 100 seconds.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout_millis = Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Takes an answer with 202 for the last one, too.
    #[must_use]
    pub fn without_polling(mut self) -> Self {
        self.asynchronous_pattern_enabled = false;
        self
    }
}

impl HttpResponse {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let found = self.headers.iter().find(|(known, _)| is(known));
        found.and_then(|(_, values)| values.iter().next())
    }

    /// The body, read as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.content).map_err(|error| {
            let message = format!("the body is not JSON for {}", std::any::type_name::<T>());
            Failure::new(Failure::DATA, message).caused_by(error).no_retry()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_the_sdks_write_theirs() {
        let request = HttpRequest::post("http://a/b").header("X-A", "1").content("hi").token("r");
        let json = serde_json::to_string(&request).unwrap();
        let expected = r#"{"method":"POST","uri":"http://a/b","headers":{"x-a":"1"},"#.to_owned()
            + r#""content":"hi","asynchronousPatternEnabled":true,"tokenSource":{"resource":"r"}}"#;
        assert_eq!(json, expected);
        let theirs = r#"{"method":"GET","uri":"http://a","headers":{"Accept":["a","b"]},
            "content":null,"asynchronousPatternEnabled":false,
            "tokenSource":{"kind":"AzureManagedIdentity","resource":"r"}}"#;
        let request: HttpRequest = serde_json::from_str(theirs).unwrap();
        assert!(!request.asynchronous_pattern_enabled);
        assert_eq!(request.headers["Accept"].iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
