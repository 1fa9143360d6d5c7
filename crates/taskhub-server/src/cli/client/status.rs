//! `taskhub status`: shows one instance, once or until it has ended.

use std::time::Duration;

use clap::Args;
use taskhub_wire::proto::OrchestrationState;

use super::{
    Failure, filters,
    remote::{Link, Remote},
    shown::{self, Instance},
    start::well,
};

/// Which instance, and how to show it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// The id of the instance
    id: String,
    /// Look again and again until it has ended, and print what has changed
    #[arg(long, short)]
    watch: bool,
    /// How many seconds after one look the next one follows; its end is told at once
    #[arg(long, value_name = "SECONDS", default_value_t = 1, requires = "watch",
        value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let mut link = flags.remote.connect().await?;
    if flags.watch {
        let every = Duration::from_secs(flags.every);
        return watch(link, &flags.id, every, flags.json).await;
    }
    let state = link.state(&flags.id, true).await?;
    Ok(if flags.json { shown::line(&Instance::of(&state)) } else { sheet(&state) }?)
}

/// Shows an instance whenever it changed, and last its end.
async fn watch(mut link: Link, id: &str, every: Duration, json: bool) -> Result<(), Failure> {
    let mut ending = link.clone();
    let end = ending.end(id);
    tokio::pin!(end);
    let mut last = link.state(id, true).await?;
    loop {
        if json {
            shown::line(&Instance::of(&last))?;
        } else {
            shown::text(change(&last))?;
        }
        if filters::has_ended(&last) {
            return well(&last);
        }
        let before = last.clone();
        while is_same(&last, &before) {
            last = tokio::select! {
                state = &mut end => state?,
                () = tokio::time::sleep(every) => link.later_state(id).await?,
            };
        }
    }
}

/// Whether nothing happened that somebody watches for.
fn is_same(one: &OrchestrationState, other: &OrchestrationState) -> bool {
    let seen = |it: &OrchestrationState| (it.orchestration_status, it.execution_id.clone());
    let same = one.custom_status == other.custom_status && one.stuck == other.stuck;
    seen(one) == seen(other) && same
}

/// An instance in one line.
fn change(state: &OrchestrationState) -> String {
    let at = shown::time(state.last_updated_timestamp.as_ref());
    let stuck = state.stuck.as_ref().map(|why| format!("parked: {why}"));
    let status = Some(shown::status(state));
    let words = [&Some(at), &status, &stuck, &state.custom_status, &state.output];
    words.into_iter().flatten().map(|word| shown::harmless(word)).collect::<Vec<_>>().join("  ")
}

/// Everything of an instance, one thing a line.
fn sheet(state: &OrchestrationState) -> std::io::Result<()> {
    let failure = state.failure_details.as_ref();
    let tags: Vec<_> = state.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let time = |at: &Option<prost_types::Timestamp>| shown::time(at.as_ref());
    let of = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows = [
        ["instance".to_owned(), state.instance_id.clone()],
        ["name".to_owned(), state.name.clone()],
        ["version".to_owned(), of(&state.version)],
        ["status".to_owned(), shown::status(state)],
        ["parked".to_owned(), of(&state.stuck)],
        ["custom status".to_owned(), of(&state.custom_status)],
        ["created".to_owned(), time(&state.created_timestamp)],
        ["scheduled for".to_owned(), time(&state.scheduled_start_timestamp)],
        ["updated".to_owned(), time(&state.last_updated_timestamp)],
        ["ended".to_owned(), time(&state.completed_timestamp)],
        ["parent".to_owned(), of(&state.parent_instance_id)],
        ["tags".to_owned(), tags.join(", ")],
        ["input".to_owned(), of(&state.input)],
        ["output".to_owned(), of(&state.output)],
        ["failure".to_owned(), failure.map(|it| it.error_type.clone()).unwrap_or_default()],
        ["because".to_owned(), failure.map(|it| it.error_message.clone()).unwrap_or_default()],
    ];
    shown::table(None, rows.into_iter().filter(|[_, value]| !value.is_empty()))
}
