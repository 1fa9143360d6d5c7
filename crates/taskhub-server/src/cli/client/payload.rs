//! Payloads on the command line: JSON, from the flag itself, a file, or standard input.

use std::io::Read as _;

use clap::Args;
use serde::de::IgnoredAny;

use super::Failure;

/// What is sent along.
#[derive(Debug, Args)]
pub(super) struct Payload {
    /// JSON to send along; `@FILE` reads it from a file, `@-` from standard input
    #[arg(long, short, value_name = "JSON")]
    input: Option<String>,
    /// Send the input as it is, whether or not it is JSON
    #[arg(long, requires = "input")]
    raw: bool,
}

impl Payload {
    /// The text to send, if any.
    pub(super) fn text(self) -> Result<Option<String>, Failure> {
        let Some(given) = self.input else { return Ok(None) };
        let text = match given.strip_prefix('@') {
            None => given,
            Some(source) => read(source)
                .map_err(|error| Failure::Usage(format!("{source} cannot be read: {error}")))?,
        };
        if !self.raw
            && let Err(error) = serde_json::from_str::<IgnoredAny>(&text)
        {
            return Err(Failure::Usage(format!(
                "the input is no JSON: {error}; a text needs quotes of its own: '\"text\"'. \
                 `--raw` sends anything"
            )));
        }
        Ok(Some(text))
    }
}

fn read(source: &str) -> std::io::Result<String> {
    if source != "-" {
        return std::fs::read_to_string(source);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
