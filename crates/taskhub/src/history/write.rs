//! Events to lines.

use std::fmt::Write as _;

use taskhub_core::{
    CallId, Event, Kind, Outcome, Parent, Started, Tags, Text, Timestamp, Work, codec,
};

use super::{
    line::{FailureLine, Line, ParentLine, TraceLine, When},
    payload::Payload,
};

impl From<&Event> for Line {
    fn from(event: &Event) -> Self {
        let line = Self::of(event);
        match &event.kind {
            Kind::Started(started) => line.started(started),
            Kind::TurnStarted { takes, clock } => {
                Self { takes: Some(*takes), clock: clock.map(When), ..line }
            }
            Kind::ActivityScheduled { work, .. } => line.work(work),
            Kind::ChildScheduled { instance, work, .. } => {
                Self { instance: Some(instance.to_string()), ..line.work(work) }
            }
            Kind::ActivityFinished { outcome, .. } | Kind::ChildFinished { outcome, .. } => {
                line.outcome(outcome)
            }
            Kind::TimerCreated { fire_at, .. } => line.due(Some(*fire_at)),
            Kind::EventSent { to, name, input, .. } => {
                Self { instance: Some(to.to_string()), ..line.event(name, input.as_ref()) }
            }
            Kind::EventRaised { name, input } => line.event(name, input.as_ref()),
            Kind::InstanceStarted { instance, work, at, .. } => {
                Self { instance: Some(instance.to_string()), ..line.work(work).due(*at) }
            }
            Kind::TerminateSent { to, reason, recursive, .. } => Self {
                instance: Some(to.to_string()),
                recursive: Some(*recursive),
                ..line.reason(reason.as_ref())
            },
            Kind::Noted { name, value, .. } => {
                Self { name: Some(name.to_string()), value: Some(Payload(value.clone())), ..line }
            }
            Kind::Suspended { reason }
            | Kind::Resumed { reason }
            | Kind::Terminated { reason }
            | Kind::Rewound { reason } => line.reason(reason.as_ref()),
            Kind::Completed { status } => Self { status: Some(format!("{status:?}")), ..line },
            Kind::TimerFired { .. } | Kind::CallCancelled { .. } => line,
            _ => Self {
                encoded: Some(hex(&codec::encode_events(std::slice::from_ref(event)))),
                ..line
            },
        }
    }
}

impl Line {
    /// Its time, its type and its call.
    fn of(event: &Event) -> Self {
        let shown = format!("{:?}", event.kind);
        let kind = shown.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let mut line = Self::empty(When(event.at), kind.to_owned());
        line.call = event.kind.call().map(|CallId(call)| call);
        line
    }

    fn empty(at: When, r#type: String) -> Self {
        Self {
            at,
            r#type,
            call: None,
            name: None,
            version: None,
            instance: None,
            input: None,
            output: None,
            failure: None,
            due: None,
            takes: None,
            clock: None,
            value: None,
            reason: None,
            recursive: None,
            status: None,
            execution: None,
            origin: None,
            parent: None,
            deadline: None,
            tags: None,
            trace: None,
            encoded: None,
        }
    }

    fn started(self, started: &Started) -> Self {
        Self {
            name: Some(started.name.to_string()),
            version: started.version.as_deref().map(str::to_owned),
            input: started.input.clone().map(Payload),
            execution: Some(started.execution.to_string()),
            origin: started.origin.map(|origin| origin.to_string()),
            parent: started.parent.as_ref().map(ParentLine::from),
            deadline: started.deadline.map(When),
            tags: tags(&started.tags),
            trace: started.trace.as_ref().map(TraceLine::from),
            ..self.due(started.start_at)
        }
    }

    fn work(self, work: &Work) -> Self {
        Self {
            name: Some(work.name.to_string()),
            version: work.version.as_deref().map(str::to_owned),
            input: work.input.clone().map(Payload),
            tags: tags(&work.tags),
            trace: work.trace.as_ref().map(TraceLine::from),
            ..self
        }
    }

    fn outcome(self, outcome: &Outcome) -> Self {
        match outcome {
            Ok(output) => Self { output: output.clone().map(Payload), ..self },
            Err(failure) => Self { failure: Some(FailureLine::from(failure)), ..self },
        }
    }

    fn event(self, name: &Text, input: Option<&Text>) -> Self {
        Self { name: Some(name.to_string()), input: input.cloned().map(Payload), ..self }
    }

    fn reason(self, reason: Option<&Text>) -> Self {
        Self { reason: reason.map(ToString::to_string), ..self }
    }

    fn due(self, due: Option<Timestamp>) -> Self {
        Self { due: due.map(When), ..self }
    }
}

impl From<&Parent> for ParentLine {
    fn from(parent: &Parent) -> Self {
        Self {
            instance: parent.instance.to_string(),
            execution: parent.execution.to_string(),
            name: parent.name.to_string(),
            call: parent.call.0,
        }
    }
}

impl From<&taskhub_core::Trace> for TraceLine {
    fn from(trace: &taskhub_core::Trace) -> Self {
        let state = trace.state.as_deref().map(str::to_owned);
        Self { parent: trace.parent.to_string(), state }
    }
}

fn tags(tags: &Tags) -> Option<std::collections::BTreeMap<String, String>> {
    let tags = tags.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    Some(tags.collect()).filter(|tags: &std::collections::BTreeMap<_, _>| !tags.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
