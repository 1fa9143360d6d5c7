//! Lines to events.

use taskhub_core::{
    CallId, Event, ExecutionId, InstanceId, Kind, Outcome, Parent, RuntimeStatus, Started, Tags,
    Text, Timestamp, Trace, Work, codec,
};

use super::line::{Line, ParentLine, TraceLine, When};

/// Why a line is no event.
type Why = String;

impl TryFrom<Line> for Event {
    type Error = Why;

    fn try_from(mut line: Line) -> Result<Self, Why> {
        if let Some(encoded) = &line.encoded {
            let events = codec::decode_events(&bytes(encoded)?).map_err(|why| why.to_string())?;
            let [event] = events.try_into().map_err(|_| "it is not one event".to_owned())?;
            return Ok(event);
        }
        let at = line.at.0;
        let kind = match &*std::mem::take(&mut line.r#type) {
            "Started" => Kind::Started(Box::new(started(line)?)),
            "TurnStarted" => Kind::TurnStarted {
                takes: line.takes.ok_or_else(|| missing("takes"))?,
                clock: time(line.clock),
            },
            "ActivityScheduled" => {
                Kind::ActivityScheduled { call: call(&line)?, work: work(line)? }
            }
            "ActivityFinished" => {
                Kind::ActivityFinished { call: call(&line)?, outcome: outcome(line) }
            }
            "ChildScheduled" => Kind::ChildScheduled {
                call: call(&line)?,
                instance: instance(&line)?,
                work: work(line)?,
            },
            "ChildFinished" => Kind::ChildFinished { call: call(&line)?, outcome: outcome(line) },
            "TimerCreated" => Kind::TimerCreated {
                call: call(&line)?,
                fire_at: time(line.due).ok_or_else(|| missing("due"))?,
            },
            "TimerFired" => Kind::TimerFired { call: call(&line)? },
            "CallCancelled" => Kind::CallCancelled { call: call(&line)? },
            other => return sent(other, line).map(|kind| Event { at, kind }),
        };
        Ok(Event { at, kind })
    }
}

/// Events that go somewhere, or come from there.
fn sent(kind: &str, line: Line) -> Result<Kind, Why> {
    let reason = line.reason.clone().map(Text::from);
    Ok(match kind {
        "EventSent" => Kind::EventSent {
            call: call(&line)?,
            to: instance(&line)?,
            name: name(&line)?,
            input: line.input.map(|input| input.0),
        },
        "EventRaised" => {
            Kind::EventRaised { name: name(&line)?, input: line.input.map(|input| input.0) }
        }
        "InstanceStarted" => Kind::InstanceStarted {
            call: call(&line)?,
            instance: instance(&line)?,
            at: time(line.due),
            work: work(line)?,
        },
        "TerminateSent" => Kind::TerminateSent {
            call: call(&line)?,
            to: instance(&line)?,
            reason,
            recursive: line.recursive.unwrap_or_default(),
        },
        "Noted" => Kind::Noted {
            call: call(&line)?,
            name: name(&line)?,
            value: line.value.ok_or_else(|| missing("value"))?.0,
        },
        "Suspended" => Kind::Suspended { reason },
        "Resumed" => Kind::Resumed { reason },
        "Terminated" => Kind::Terminated { reason },
        "Rewound" => Kind::Rewound { reason },
        "Completed" => {
            let named = line.status.ok_or_else(|| missing("status"))?;
            Kind::Completed { status: status(&named)? }
        }
        other => return Err(format!("`{other}` is no type that is known here")),
    })
}

/// The status of this name.
pub(super) fn status(name: &str) -> Result<RuntimeStatus, Why> {
    let found = RuntimeStatus::ALL.into_iter().find(|status| format!("{status:?}") == name);
    found.ok_or_else(|| format!("`{name}` is no status"))
}

fn started(line: Line) -> Result<Started, Why> {
    let execution = line.execution.as_deref().ok_or_else(|| missing("execution"))?;
    let mut started = Started::new(name(&line)?, None, self::execution(execution)?);
    started.origin = line.origin.as_deref().map(self::execution).transpose()?;
    started.version = line.version.map(Into::into);
    started.input = line.input.map(|input| input.0);
    started.parent = line.parent.map(Parent::try_from).transpose()?;
    started.start_at = time(line.due);
    started.deadline = time(line.deadline);
    started.tags = tags(line.tags);
    started.trace = line.trace.map(Into::into);
    Ok(started)
}

fn work(line: Line) -> Result<Work, Why> {
    let mut work = Work::new(name(&line)?, None);
    work.version = line.version.map(Into::into);
    work.input = line.input.map(|input| input.0);
    work.tags = tags(line.tags);
    work.trace = line.trace.map(Into::into);
    Ok(work)
}

fn outcome(line: Line) -> Outcome {
    match line.failure {
        Some(failure) => Err(failure.into()),
        None => Ok(line.output.map(|output| output.0)),
    }
}

fn call(line: &Line) -> Result<CallId, Why> {
    line.call.map(CallId).ok_or_else(|| missing("call"))
}

fn name(line: &Line) -> Result<Text, Why> {
    line.name.as_deref().map(Text::from).ok_or_else(|| missing("name"))
}

fn instance(line: &Line) -> Result<InstanceId, Why> {
    line.instance.as_deref().map(InstanceId::trusted).ok_or_else(|| missing("instance"))
}

fn time(when: Option<When>) -> Option<Timestamp> {
    when.map(|when| when.0)
}

fn tags(tags: Option<std::collections::BTreeMap<String, String>>) -> Tags {
    tags.into_iter().flatten().map(|(key, value)| (key.into(), value.into())).collect()
}

fn missing(field: &str) -> Why {
    format!("it has no `{field}`")
}

fn execution(text: &str) -> Result<ExecutionId, Why> {
    let number = u128::from_str_radix(text, 16);
    number.map(ExecutionId).map_err(|_| format!("`{text}` is no execution"))
}

fn bytes(hex: &str) -> Result<Vec<u8>, Why> {
    let byte = |at: usize| {
        let digits = hex.get(at..at + 2).ok_or("its bytes are cut off")?;
        u8::from_str_radix(digits, 16).map_err(|_| "its bytes are no hex digits".to_owned())
    };
    (0..hex.len()).step_by(2).map(byte).collect()
}

impl TryFrom<ParentLine> for Parent {
    type Error = Why;

    fn try_from(line: ParentLine) -> Result<Self, Why> {
        Ok(Self {
            instance: InstanceId::trusted(line.instance),
            execution: execution(&line.execution)?,
            name: line.name.into(),
            call: CallId(line.call),
        })
    }
}

impl From<TraceLine> for Trace {
    fn from(line: TraceLine) -> Self {
        Self { parent: line.parent.into(), state: line.state.map(Into::into) }
    }
}
