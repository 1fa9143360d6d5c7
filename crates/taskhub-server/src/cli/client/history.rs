//! `taskhub history` and `taskhub export`: what happened to instances, event by event.

use std::{
    fs::File,
    io::{self, BufWriter, Write, stdout},
    path::{Path, PathBuf},
};

use clap::Args;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Map, Value, value::Serializer};
use taskhub_wire::proto::{DESCRIPTORS, HistoryEvent, StreamInstanceHistoryRequest};

use super::{
    Failure,
    filters::Filters,
    progress::counter,
    remote::{Link, Remote},
    shown,
};

/// How much of a value is shown to people.
const VALUE_COUNT_MAX: usize = 60;

/// Whose history to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// The id of the instance
    id: String,
    /// Print a JSON object per event, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Whose histories to write, and where.
#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The ids of the instances; without any, all that match
    ids: Vec<String>,
    /// Write to this file; it is replaced
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    let mut link = flags.remote.connect().await?;
    let words = Words::new()?;
    if flags.json {
        write(&mut link, &flags.id, &words, &mut stdout()).await?;
        return Ok(());
    }
    let mut rows = Vec::new();
    let mut events = events(&mut link, &flags.id).await?;
    while let Some(chunk) = events.message().await? {
        for event in chunk.events {
            rows.push(row(&event, words.event(&event)?));
        }
    }
    Ok(shown::table(Some(["#", "TIME", "EVENT", "WHAT"]), rows)?)
}

pub(super) async fn export(flags: Export) -> Result<(), Failure> {
    let mut link = flags.remote.connect().await?;
    let words = Words::new()?;
    let mut out: Box<dyn Write> = match &flags.out {
        Some(file) => Box::new(BufWriter::new(create(file)?)),
        None => Box::new(stdout()),
    };
    let done = counter("instances exported", flags.out.is_none());
    for id in &flags.ids {
        write(&mut link, id, &words, &mut out).await?;
        done.inc(1);
    }
    if flags.ids.is_empty() {
        let mut pages = flags.filters.pages(link.clone(), false);
        while let Some(page) = pages.next().await? {
            for state in page {
                match write(&mut link, &state.instance_id, &words, &mut out).await {
                    // It was purged meanwhile.
                    Err(Failure::NotFound(_)) => {}
                    written => written?,
                }
                done.inc(1);
            }
        }
    }
    done.finish_and_clear();
    out.flush()?;
    if flags.out.is_some() {
        let (count, s) = (done.position(), if done.position() == 1 { "" } else { "s" });
        eprintln!("taskhub: {count} instance{s} exported");
    }
    Ok(())
}

fn create(file: &Path) -> Result<File, Failure> {
    let failed = |error| Failure::Other(format!("{} cannot be written: {error}", file.display()));
    File::create(file).map_err(failed)
}

/// Writes the history of an instance, one event per line.
async fn write(
    link: &mut Link,
    id: &str,
    words: &Words,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let mut events = events(link, id).await?;
    while let Some(chunk) = events.message().await? {
        for event in chunk.events {
            let mut fields = words.event(&event)?;
            fields.insert("instanceId".to_owned(), id.into());
            serde_json::to_writer(&mut *out, &fields).map_err(io::Error::from)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

async fn events(
    link: &mut Link,
    id: &str,
) -> Result<tonic::Streaming<taskhub_wire::proto::HistoryChunk>, Failure> {
    let request = StreamInstanceHistoryRequest { instance_id: id.to_owned(), ..Default::default() };
    let asked = link.patient(request);
    Ok(link.client.stream_instance_history(asked).await?.into_inner())
}

/// An event for people: which, when, what, and what it says.
fn row(event: &HistoryEvent, mut fields: Map<String, Value>) -> [String; 4] {
    fields.remove("eventId");
    fields.remove("timestamp");
    let (kind, said) = fields.into_iter().next().unwrap_or_default();
    let said: Vec<_> = said.as_object().into_iter().flatten().filter_map(word).collect();
    let number = if event.event_id < 0 { String::new() } else { event.event_id.to_string() };
    [number, shown::time(event.timestamp.as_ref()), kind, said.join("  ")]
}

/// A field of an event, if it says anything.
fn word((field, value): (&String, &Value)) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(false) => return None,
        Value::Array(values) if values.is_empty() => return None,
        Value::Object(fields) if fields.is_empty() => return None,
        other => other.to_string(),
    };
    (!text.is_empty()).then(|| format!("{field}={}", shown::short(&text, VALUE_COUNT_MAX)))
}

/// Knows the names of the fields of events, from the files of the protocol.
struct Words(MessageDescriptor);

impl Words {
    fn new() -> Result<Self, Failure> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(odd)?;
        let events = pool.get_message_by_name("HistoryEvent");
        events.map(Self).ok_or_else(|| odd("the protocol has no events"))
    }

    /// An event in the JSON form of its protocol message.
    fn event(&self, event: &HistoryEvent) -> Result<Map<String, Value>, Failure> {
        let bytes = event.encode_to_vec();
        let message = DynamicMessage::decode(self.0.clone(), &*bytes).map_err(odd)?;
        let options = SerializeOptions::new().skip_default_fields(false);
        match message.serialize_with_options(Serializer, &options).map_err(odd)? {
            Value::Object(fields) => Ok(fields),
            other => Err(odd(other)),
        }
    }
}

/// What cannot be, as long as this program was built from one piece.
fn odd(error: impl std::fmt::Display) -> Failure {
    Failure::Other(format!("an event cannot be shown: {error}"))
}
