//! What clients do to one instance: start it, tell it something, pause it, end it.

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Refusal, Reuse, RuntimeStatus, Started, Text, Verb,
};
use taskhub_wire::{
    execution_in, named,
    proto::{
        CreateInstanceRequest, CreateInstanceResponse, CreateOrchestrationAction,
        OrchestrationIdReusePolicy, RaiseEventRequest, RaiseEventResponse, ResumeRequest,
        ResumeResponse, RewindInstanceRequest, RewindInstanceResponse, SuspendRequest,
        SuspendResponse, TerminateRequest, TerminateResponse,
    },
    short_tags, status_out, statuses_in, tags_in, timestamp_in, trace_in,
};
use tonic::Status;
use uuid::Uuid;

use super::{
    call::{Call, instance_id},
    queries::time,
    refusal::{bad_message, unexpected},
};
use crate::Request;

/// Starts an instance; one without an id gets a fresh one, which sorts by time.
pub(super) async fn start(
    call: &Call<'_>,
    mut request: CreateInstanceRequest,
) -> Result<CreateInstanceResponse, Status> {
    let policy = request.orchestration_id_reuse_policy.take();
    let execution = execution(call, request.execution_id.as_deref())?;
    let (id, reuse) = if request.instance_id.is_empty() {
        (InstanceId::fresh(execution), Reuse::Fresh)
    } else {
        (instance_id(&request.instance_id)?, reuse(policy.as_ref())?)
    };
    let raised = request.raise.take().map(|event| (event.name, event.input));
    let mut started = Box::new(started(request, execution)?);
    started.trace = started.trace.or_else(|| call.trace.clone());
    let traces = call.hubs.traces();
    let mut span = traces.map(|it| it.start(&started.name, &id, started.trace.as_ref()));
    started.trace = span.as_ref().map(Request::trace).or(started.trace);
    let verb = match raised {
        None => Verb::Start { started, reuse },
        Some((event, input)) => {
            let (name, input) = (name("raise.name", event)?, input.map(Text::from));
            Verb::StartOrRaise { started, reuse, name, input }
        }
    };
    let execution = match call.ask(id.clone(), verb).await {
        Answer::Started(execution) => execution.to_string(),
        // Older Go clients want it ignored only for certain statuses.
        Answer::Refused(Refusal::Exists(_, status))
            if policy.is_some_and(|policy| ignores(&policy, status)) =>
        {
            String::new()
        }
        other => {
            let refused = unexpected(other);
            if let Some(span) = &mut span {
                span.fail(refused.message());
            }
            return Err(refused);
        }
    };
    Ok(CreateInstanceResponse { instance_id: id.to_string(), execution_id: execution })
}

/// What to do with an instance that has the id: without a policy, replace it if it has ended.
fn reuse(policy: Option<&OrchestrationIdReusePolicy>) -> Result<Reuse, Status> {
    let Some(policy) = policy else { return Ok(Reuse::ended()) };
    let statuses = statuses_in("replaceableStatus", &policy.replaceable_status);
    let statuses = statuses.map_err(bad_message)?;
    let Some(action) = policy.action else {
        // Whoever may replace what runs may replace what somebody else has terminated meanwhile.
        let runs = statuses.iter().any(|status| !status.is_terminal());
        if runs && !statuses.contains(&RuntimeStatus::Terminated) {
            return Err(Status::invalid_argument(
                "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse \
                 of running instances",
            ));
        }
        return Ok(Reuse::Replace(statuses));
    };
    match CreateOrchestrationAction::try_from(action) {
        Ok(CreateOrchestrationAction::Terminate) => Ok(Reuse::Replace(statuses)),
        Ok(CreateOrchestrationAction::Ignore)
            if RuntimeStatus::ALL.iter().all(|status| statuses.contains(status)) =>
        {
            Ok(Reuse::Join)
        }
        Ok(_) => Ok(Reuse::Replace(Vec::new())),
        Err(_) => Err(Status::invalid_argument(format!(
            "orchestrationIdReusePolicy.action: {action} is no action; the actions are 0 to 2"
        ))),
    }
}

/// Whether an older Go client wants to hear of success though the id is in use.
fn ignores(policy: &OrchestrationIdReusePolicy, status: RuntimeStatus) -> bool {
    policy.action == Some(CreateOrchestrationAction::Ignore.into())
        && policy.replaceable_status.contains(&i32::from(status.number()))
}

/// The id of the execution is made here: ids of children follow from it, so no client may choose.
/// A node that passes a start on has made it.
fn execution(call: &Call<'_>, told: Option<&str>) -> Result<ExecutionId, Status> {
    match told.filter(|_| call.from_node) {
        Some(told) => execution_in("executionId", told).map_err(bad_message),
        None => Ok(ExecutionId(Uuid::now_v7().as_u128())),
    }
}

fn started(request: CreateInstanceRequest, execution: ExecutionId) -> Result<Started, Status> {
    let start_at = request.scheduled_start_timestamp.as_ref();
    let start_at = start_at.map(|at| timestamp_in("scheduledStartTimestamp", at)).transpose();
    short_tags("tags", &request.tags).map_err(bad_message)?;
    let deadline = request.deadline.as_ref().map(|at| timestamp_in("deadline", at)).transpose();
    let version = request.version.filter(|version| !version.is_empty());
    let trace = request.parent_trace_context.and_then(trace_in);
    if let Some(trace) = &trace {
        short("parentTraceContext.traceParent", &trace.parent)?;
        short("parentTraceContext.traceState", trace.state.as_deref().unwrap_or_default())?;
    }
    short("version", version.as_deref().unwrap_or_default())?;
    Ok(Started {
        version: version.map(Text::from),
        start_at: start_at.map_err(bad_message)?,
        deadline: deadline.map_err(bad_message)?,
        tags: tags_in(request.tags),
        trace,
        ..Started::new(name("name", request.name)?, request.input.map(Text::from), execution)
    })
}

/// Raises an event; one for an instance that has ended comes to nothing.
pub(super) async fn raise(
    call: &Call<'_>,
    request: RaiseEventRequest,
) -> Result<RaiseEventResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let (name, input) = (name("name", request.name)?, request.input.map(Text::from));
    if let Some(traces) = call.hubs.traces()
        && !call.from_node
    {
        traces.of(&call.name).raise(&name, &id, call.trace.as_ref());
    }
    let verb = match time("keepUntil", request.keep_until.as_ref())? {
        None => Verb::Raise { name, input },
        Some(until) => Verb::RaiseEarly { name, input, until },
    };
    let ended = tell(call, id, verb).await?;
    Ok(RaiseEventResponse { ended })
}

/// Ends an instance; one that is not there needs no ending.
pub(super) async fn terminate(
    call: &Call<'_>,
    request: TerminateRequest,
) -> Result<TerminateResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let reason = reason(call, "output", request.output)?;
    match tell(call, id, Verb::Terminate { reason, recursive: request.recursive }).await {
        Ok(ended) => Ok(TerminateResponse { ended, absent: false }),
        Err(status) if status.code() == tonic::Code::NotFound => {
            Ok(TerminateResponse { ended: None, absent: true })
        }
        Err(status) => Err(status),
    }
}

/// Pauses an instance.
pub(super) async fn suspend(
    call: &Call<'_>,
    request: SuspendRequest,
) -> Result<SuspendResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let reason = reason(call, "reason", request.reason)?;
    let ended = tell(call, id, Verb::Suspend { reason }).await?;
    Ok(SuspendResponse { ended })
}

/// Lets a paused instance go on.
pub(super) async fn resume(
    call: &Call<'_>,
    request: ResumeRequest,
) -> Result<ResumeResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let reason = reason(call, "reason", request.reason)?;
    let ended = tell(call, id, Verb::Resume { reason }).await?;
    Ok(ResumeResponse { ended })
}

/// Lets a failed instance go on from before its failure.
pub(super) async fn rewind(
    call: &Call<'_>,
    request: RewindInstanceRequest,
) -> Result<RewindInstanceResponse, Status> {
    let id = instance_id(&request.instance_id)?;
    let reason = reason(call, "reason", request.reason)?;
    match call.ask(id, Verb::Rewind { reason }).await {
        Answer::Done => Ok(RewindInstanceResponse {}),
        other => Err(unexpected(other)),
    }
}

/// Tells an instance something. It is all the same to one that has ended; how, is for those who can
/// read it.
async fn tell(call: &Call<'_>, id: InstanceId, verb: Verb) -> Result<Option<i32>, Status> {
    match call.ask(id, verb).await {
        Answer::Done => Ok(None),
        Answer::Refused(Refusal::Ended(_, status)) => Ok(Some(status_out(status).into())),
        other => Err(unexpected(other)),
    }
}

/// A name, which nothing goes without.
fn name(field: &'static str, text: String) -> Result<Text, Status> {
    named(field, &text).map_err(bad_message)?;
    Ok(text.into())
}

fn short(field: &'static str, text: &str) -> Result<(), Status> {
    taskhub_wire::short(field, text).map_err(bad_message)
}

fn reason(call: &Call<'_>, field: &str, text: Option<String>) -> Result<Option<Text>, Status> {
    let bytes_max = call.hubs.payload_bytes_max();
    match text {
        Some(text) if text.len() > bytes_max => Err(Status::resource_exhausted(format!(
            "{field}: {} bytes are too many, {bytes_max} are allowed; raise \
             `limits.payload_bytes` of the server",
            text.len()
        ))),
        text => Ok(text.map(Text::from)),
    }
}
