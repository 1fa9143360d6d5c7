//! Work for a worker, and what a worker reads out of it.

use prost::Message as _;
use prost_types::Duration;
use taskhub_core::{
    Epoch, Event, ExecutionId, InstanceId, Job, Kind, PartitionId, Piece, Task, Ticket, Turn, Work,
};

use crate::{
    Extent, History, InvalidMessage,
    again::waiting_out,
    entity::{batch_in, operations_in, operations_out},
    history::{arrivals_in, turn_started_out},
    history_in, history_out,
    ids::{call_in, call_out, execution_out, maybe_execution_in, receiver_in},
    proto::{
        ActivityRequest, HistoryEvent, HistoryExtent, OrchestratorEntityParameters,
        OrchestratorRequest, WorkItem, history_event::EventType, work_item::Request,
    },
    tags_out,
    text::text_out,
    timestamp_in, trace_out,
    work::work_in,
};

/// How a worker wants its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// A history of more bytes is left out, and the worker fetches it; for workers that can.
    pub history_bytes_max: usize,
    /// Whether the history of a turn is left out, because the worker keeps the code: what it needs
    /// is how far that history goes, and it fetches it if its code stands elsewhere.
    pub keeps_code: bool,
}

impl Dialect {
    /// What to leave out for a worker that can fetch histories: those beyond 1 MiB.
    pub const STREAMED_BYTES: usize = 1 << 20;
}

impl Default for Dialect {
    /// What every SDK understands: whole histories.
    fn default() -> Self {
        Self { history_bytes_max: usize::MAX, keeps_code: false }
    }
}

/// A task for a worker, who gives `completion_token` back with what comes of it.
#[must_use]
pub fn work_item_out(task: &Task, completion_token: String, dialect: Dialect) -> WorkItem {
    let Task { ticket, job } = task;
    let request = match job {
        Job::Activity(work) => Request::ActivityRequest(activity_out(ticket, work)),
        Job::Turn(turn) => Request::OrchestratorRequest(turn_out(ticket, turn, dialect)),
        Job::Operations(it) => Request::EntityRequestV2(operations_out(ticket, it)),
    };
    WorkItem { completion_token, request: Some(request), withdrawn: Vec::new() }
}

fn activity_out(ticket: &Ticket, work: &Work) -> ActivityRequest {
    let call = match ticket.piece {
        Piece::Activity(call) => call_out(call),
        Piece::Turn(_) | Piece::Operations(_) => -1,
    };
    ActivityRequest {
        name: work.name.to_string(),
        version: text_out(work.version.as_ref()),
        input: text_out(work.input.as_ref()),
        orchestration_instance: Some(execution_out(&ticket.instance, Some(ticket.execution))),
        task_id: call,
        parent_trace_context: work.trace.as_ref().map(trace_out),
        tags: tags_out(&work.tags),
        given_at: 0,
    }
}

fn turn_out(ticket: &Ticket, turn: &Turn, dialect: Dialect) -> OrchestratorRequest {
    if dialect.keeps_code {
        let (extent, new_events) = turn_news_out(&ticket.instance, turn);
        let mark = turn.after.map_or(0, |mark| mark.0);
        let left_out = Some(HistoryExtent { mark, ..extent.out() });
        let whole = turn_with(ticket, Vec::new(), new_events);
        return OrchestratorRequest { requires_history_streaming: true, left_out, ..whole };
    }
    let (past, new_events) = turn_history_out(&ticket.instance, turn);
    let streamed = dialect.history_bytes_max < usize::MAX
        && past.iter().map(HistoryEvent::encoded_len).sum::<usize>() > dialect.history_bytes_max;
    let past = if streamed { Vec::new() } else { past };
    let whole = turn_with(ticket, past, new_events);
    OrchestratorRequest { requires_history_streaming: streamed, ..whole }
}

fn turn_with(
    ticket: &Ticket,
    past_events: Vec<HistoryEvent>,
    new_events: Vec<HistoryEvent>,
) -> OrchestratorRequest {
    OrchestratorRequest {
        instance_id: ticket.instance.to_string(),
        execution_id: Some(ticket.execution.to_string()),
        past_events,
        new_events,
        // Without this, .NET takes entities for not supported. Nothing arrives out of order.
        entity_parameters: Some(OrchestratorEntityParameters {
            entity_message_reorder_window: Some(Duration { seconds: 0, nanos: 0 }),
        }),
        ..OrchestratorRequest::default()
    }
}

/// The history before a turn, and what is new in it: its beginning, and what it takes. The former
/// is what a worker hears that fetches the history of its work.
#[must_use]
pub fn turn_history_out(
    instance: &InstanceId,
    turn: &Turn,
) -> (Vec<HistoryEvent>, Vec<HistoryEvent>) {
    let History { past, waiting } = history_out(instance, events(turn));
    (past, begun(turn, waiting))
}

/// The same of which only the extent is needed.
fn turn_news_out(instance: &InstanceId, turn: &Turn) -> (Extent, Vec<HistoryEvent>) {
    let (extent, waiting) = waiting_out(instance, events(turn));
    (extent, begun(turn, waiting))
}

fn events(turn: &Turn) -> impl Iterator<Item = &Event> + Clone {
    turn.history.iter().flat_map(|piece| piece.iter())
}

/// The beginning of a turn, and what it takes.
fn begun(turn: &Turn, waiting: Vec<HistoryEvent>) -> Vec<HistoryEvent> {
    let arrivals = waiting.into_iter().take(turn.takes as usize);
    [turn_started_out(turn.clock)].into_iter().chain(arrivals).collect()
}

/// Work as a worker reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The instance that it is for.
    pub instance: InstanceId,
    /// Its execution, if the work item says so.
    pub execution: Option<ExecutionId>,
    /// Which piece of that execution's work; the numbers of turns and operations are not known.
    pub piece: Piece,
    /// What to do. Who calls an operation is known, but not by which call: it is 0.
    pub job: Job,
    /// To be given back with what comes of it.
    pub completion_token: String,
}

impl Given {
    /// Work as a process takes it. Its partition is one of where it comes from, and not known here.
    #[must_use]
    pub fn task(self) -> Task {
        let ticket = Ticket {
            partition: PartitionId(0),
            epoch: Epoch(0),
            instance: self.instance,
            execution: self.execution.unwrap_or(ExecutionId(0)),
            piece: self.piece,
        };
        Task { ticket, job: self.job }
    }
}

/// Reads a work item; `None` for a ping. A history that was left out
/// (`requires_history_streaming`) is to be put into it before.
pub fn work_item_in(item: WorkItem) -> Result<Option<Given>, InvalidMessage> {
    let WorkItem { completion_token, request, .. } = item;
    let given = |(instance, execution, piece, job)| {
        Some(Given { instance, execution, piece, job, completion_token })
    };
    let field = "workItem.request";
    Ok(match request.ok_or(InvalidMessage::Missing { field })? {
        Request::HealthPing(_) => None,
        Request::ActivityRequest(wire) => given(activity_in(wire)?),
        Request::OrchestratorRequest(wire) => given(turn_in(wire)?),
        // The older form: we never send it, as every SDK reads the newer one. Other servers do.
        Request::EntityRequest(wire) => {
            let (entity, operations) = batch_in(wire)?;
            let job = Job::Operations(Box::new(operations));
            given((entity, None, Piece::Operations(0), job))
        }
        Request::EntityRequestV2(wire) => {
            let (entity, execution, operations) = operations_in(wire)?;
            let job = Job::Operations(Box::new(operations));
            given((entity, execution, Piece::Operations(0), job))
        }
    })
}

type Read = (InstanceId, Option<ExecutionId>, Piece, Job);

fn activity_in(wire: ActivityRequest) -> Result<Read, InvalidMessage> {
    let of = wire.orchestration_instance.unwrap_or_default();
    let instance = receiver_in("orchestrationInstance.instanceId", &of.instance_id)?;
    let execution = maybe_execution_in(of.execution_id.as_deref())?;
    let piece = Piece::Activity(call_in("taskId", wire.task_id)?);
    let work = work_in(wire.name, wire.version, wire.input, wire.tags, wire.parent_trace_context);
    Ok((instance, execution, piece, Job::Activity(work)))
}

fn turn_in(wire: OrchestratorRequest) -> Result<Read, InvalidMessage> {
    let instance = receiver_in("instanceId", &wire.instance_id)?;
    let execution = maybe_execution_in(wire.execution_id.as_deref())?;
    let past = history_in(wire.past_events)?;
    let mut new = wire.new_events;
    let begins =
        |event: &HistoryEvent| matches!(event.event_type, Some(EventType::OrchestratorStarted(_)));
    let field = "newEvents.orchestratorStarted";
    let begin = new.iter().position(begins).ok_or(InvalidMessage::Missing { field })?;
    let clock = new.remove(begin).timestamp.ok_or(InvalidMessage::Missing { field })?;
    let clock = timestamp_in(field, &clock)?;
    let new = arrivals_in(&past, new)?;
    let takes = u32::try_from(new.len()).unwrap_or(u32::MAX);
    let started = past.iter().chain(&new).find_map(|event| match &event.kind {
        Kind::Started(started) => Some(started),
        _ => None,
    });
    let field = "executionStarted";
    let started = started.ok_or(InvalidMessage::Missing { field })?;
    let (name, version) = (started.name.clone(), started.version.clone());
    let history = vec![past.into(), new.into()];
    let turn = Turn { name, version, history, takes, clock, after: None };
    Ok((instance, execution, Piece::Turn(0), Job::Turn(Box::new(turn))))
}
