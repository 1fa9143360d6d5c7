//! The history of an instance as a file that people can read, and tests can replay.

mod line;
mod payload;
mod read;
mod write;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use taskhub_core::{Event, InstanceId, Kind, Outcome, RuntimeStatus, Text};

use line::{FailureLine, Line};
use payload::Payload;

/// The version of the format, in the field that also tells what the file is.
const FORMAT: u32 = 1;

/// What happened to an instance, and where it stands: what
/// [`InstanceRef::export`](crate::InstanceRef::export) gives, to be looked at, or kept for
/// [`replay::folder`](crate::testing::replay::folder).
///
/// As text it is one JSON object. Its head says which instance it is and how it ended; `events`
/// has one event per line, with its time, its type, the number of the call it belongs to, and its
/// payloads as they are. A payload that is no JSON stands in `{"$text": ".."}`; an event that this
/// version knows no names for, such as those of entities, carries its stored bytes in `encoded`.
///
/// ```
/// use taskhub::{History, prelude::*};
///
/// #[orchestration]
/// async fn greet(_ctx: Context, name: String) -> Result<String> {
///     Ok(format!("Hello, {name}"))
/// }
///
/// let history = Run::of(greet).input("Ada".to_owned()).history();
/// let json = history.to_json();
/// assert!(json.contains(r#""type":"Started","name":"greet","input":"Ada""#), "{json}");
/// assert_eq!(History::from_json(&json), Ok(history));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct History {
    pub(crate) instance: InstanceId,
    pub(crate) status: RuntimeStatus,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) custom_status: Option<Text>,
    pub(crate) events: Vec<Event>,
}

/// Why a text is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHistory {
    /// It is not the JSON that a history is written as.
    #[error("this is no history: {0}; take what `InstanceRef::export` gives")]
    Json(String),
    /// It was written in a later format.
    #[error("this history has format {0}, and only {FORMAT} is known here; use a later version")]
    Format(u32),
    /// One of the events cannot be read; they are counted from 0.
    #[error("event {0} of this history cannot be read: {1}")]
    Event(usize, String),
}

/// The file, as serde sees it.
#[derive(Serialize, Deserialize)]
struct File {
    taskhub_history: u32,
    instance: String,
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Payload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_status: Option<Payload>,
    #[serde(default, skip_serializing)]
    events: Vec<Line>,
}

impl History {
    /// Which instance it is of.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Where the instance stood.
    #[must_use]
    pub fn status(&self) -> RuntimeStatus {
        self.status
    }

    /// What happened, in order, in the words of the engine.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The history as text; see [`History`].
    #[must_use]
    pub fn to_json(&self) -> String {
        let (output, failure) = match &self.outcome {
            Some(Ok(output)) => (output.clone().map(Payload), None),
            Some(Err(failure)) => (None, Some(FailureLine::from(failure))),
            None => (None, None),
        };
        let head = File {
            taskhub_history: FORMAT,
            instance: self.instance.to_string(),
            status: format!("{:?}", self.status),
            output,
            failure,
            custom_status: self.custom_status.clone().map(Payload),
            events: Vec::new(),
        };
        let lines = self.events.iter().map(|event| text(&Line::from(event)));
        let lines = lines.collect::<Vec<_>>().join(",\n");
        let head = text(&head);
        let head = head.strip_suffix('}').unwrap_or(&head);
        format!("{head},\n\"events\": [\n{lines}\n]}}\n")
    }

    /// Reads a history from its text.
    pub fn from_json(json: &str) -> Result<Self, InvalidHistory> {
        let invalid = |error: serde_json::Error| InvalidHistory::Json(error.to_string());
        let file: File = serde_json::from_str(json).map_err(invalid)?;
        if file.taskhub_history != FORMAT {
            return Err(InvalidHistory::Format(file.taskhub_history));
        }
        let status = read::status(&file.status).map_err(InvalidHistory::Json)?;
        let outcome = match file.failure {
            _ if !status.is_terminal() => None,
            Some(failure) => Some(Err(failure.into())),
            None => Some(Ok(file.output.map(|output| output.0))),
        };
        let events =
            file.events.into_iter().enumerate().map(|(at, line)| {
                Event::try_from(line).map_err(|why| InvalidHistory::Event(at, why))
            });
        Ok(Self {
            instance: InstanceId::trusted(file.instance),
            status,
            outcome,
            custom_status: file.custom_status.map(|status| status.0),
            events: events.collect::<Result<_, _>>()?,
        })
    }

    /// Writes it into a folder, which is made if need be, as `<function>-<instance id>.json`; says
    /// where. What was there under that name is replaced.
    pub fn save(&self, folder: impl AsRef<Path>) -> io::Result<PathBuf> {
        let folder = folder.as_ref();
        std::fs::create_dir_all(folder)?;
        let function = match self.events.first().map(|event| &event.kind) {
            Some(Kind::Started(started)) => &*started.name,
            _ => "unknown",
        };
        // An id has no such characters, a name may have any.
        let function = function.replace(['/', '\\', ':'], "_");
        let path = folder.join(format!("{function}-{}.json", self.instance));
        std::fs::write(&path, self.to_json())?;
        Ok(path)
    }
}

fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("it has plain keys: {error}"))
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (instance, count) = (&self.instance, self.events.len());
        write!(f, "History({instance:?}, {:?}, {count} events)", self.status)
    }
}
