//! `taskhub start`: starts an instance, and waits for its end if it is told to.

use std::collections::BTreeMap;

use clap::{Args, builder::NonEmptyStringValueParser};
use jiff::{Span, Timestamp, Zoned};
use serde_json::json;
use taskhub_wire::proto::{CreateInstanceRequest, OrchestrationState, OrchestrationStatus};

use super::{
    Failure, filters,
    payload::Payload,
    remote::Remote,
    shown::{self, Instance},
};

/// What to start.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// The name of the orchestration
    name: String,
    #[command(flatten)]
    payload: Payload,
    /// The id of the new instance; without it there is a fresh one
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// The version of the orchestration
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// A label to list by; repeat it for more
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
    tags: Vec<(String, String)>,
    /// When to begin: a time such as 2026-01-31T12:00:00Z, or in how long, such as 90m or 7d
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Wait until it has ended, and print its output
    #[arg(long)]
    wait: bool,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let input = flags.payload.text()?;
    let mut link = flags.remote.connect().await?;
    let asked = link.request(CreateInstanceRequest {
        instance_id: flags.id.unwrap_or_default(),
        name: flags.name,
        version: flags.version,
        input,
        scheduled_start_timestamp: flags.at.map(filters::out),
        tags: BTreeMap::from_iter(flags.tags),
        ..CreateInstanceRequest::default()
    });
    let id = link.client.start_instance(asked).await?.into_inner().instance_id;
    if !flags.wait {
        return Ok(told(&id, flags.json)?);
    }
    // Whoever stops waiting can ask for it later.
    eprintln!("taskhub: waiting for instance {id}");
    let state = link.end(&id).await?;
    if flags.json {
        shown::line(&Instance::of(&state))?;
    } else if let Some(output) = &state.output {
        shown::text(output)?;
    }
    well(&state)
}

/// Prints the id of an instance.
pub(super) fn told(id: &str, json: bool) -> std::io::Result<()> {
    if json { shown::line(&json!({ "instanceId": id })) } else { shown::text(id) }
}

/// Whether an instance that has ended came to a good end.
pub(super) fn well(state: &OrchestrationState) -> Result<(), Failure> {
    let (id, status) = (&state.instance_id, shown::status(state));
    match (state.orchestration_status(), &state.failure_details) {
        (OrchestrationStatus::Completed, _) => Ok(()),
        (_, Some(failure)) => Err(Failure::BadEnd(format!(
            "instance {id} has ended: {status}: {}: {}",
            failure.error_type, failure.error_message
        ))),
        (_, None) => Err(Failure::BadEnd(format!("instance {id} has ended: {status}"))),
    }
}

fn tag(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = split.ok_or_else(|| format!("{text:?} is not of the form KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// A point in time, or in how long it will be.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let wait: Span = text.parse().map_err(|_| {
        format!("{text:?} is neither a time like 2026-01-31T12:00:00Z nor a duration like 90m")
    })?;
    let at = Zoned::now().checked_add(wait).map_err(|error| error.to_string())?;
    Ok(at.timestamp())
}
