//! What clients ask of one instance, over the wire.

use std::time::Duration;

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Record, Refusal, Requested, Reuse, RuntimeStatus, Started,
    Text, Timestamp, Verb,
};
use taskhub_wire::{
    execution_in,
    proto::{
        CleanEntityStorageRequest, CreateInstanceRequest, CreateOrchestrationAction,
        GetInstanceRequest, GetInstanceResponse, OrchestrationIdReusePolicy, PurgeInstancesRequest,
        RaiseEventRequest, ResumeRequest, RewindInstanceRequest, SignalEntityRequest,
        SuspendRequest, TerminateRequest, purge_instances_request,
    },
    state_in, status_in, status_out, tags_out, timestamp_out, trace_out,
};
use tonic::{Code, Request, Response, Status};

use crate::{
    Link, LinkError,
    error::{is_absent, refusal},
    link::soon,
};

/// How long to wait before a server that is not there is asked again: first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long one call waits for an instance; then there is another one. Not every server can wait
/// for ever.
const WAIT_TIME_MAX: Duration = Duration::from_hours(1);

type Asked = Result<Answer, LinkError>;

impl Link {
    /// Asks the owner of an instance, as one asks a hub in this process; what it refuses is
    /// refused alike. Whoever waits for an instance waits on while the server is away.
    ///
    /// [`Verb::Finish`] is never sent: a result goes to who handed out the work, by
    /// [`bring`](Self::bring).
    pub async fn ask(&self, id: &InstanceId, verb: Verb) -> Asked {
        if !verb.waits() {
            return self.ask_once(id, verb).await;
        }
        let mut pause = PAUSE;
        loop {
            let asked = self.wait_once(id, &verb);
            let answer = tokio::select! {
                answer = asked => answer,
                () = self.closing.cancelled() => return Ok(Answer::Refused(Refusal::Stopping)),
            };
            match answer {
                Err(status) if is_absent(&status) || status.code() == Code::DeadlineExceeded => {
                    tracing::debug!(instance = %id, %status, "a wait begins anew");
                }
                // Its server has waited as long as it does.
                Ok(answer) if verb.expects() && !answer.get_ref().exists => {}
                answer => return answered(id, answer.map(|it| stands(id, it))),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.closing.cancelled() => return Ok(Answer::Refused(Refusal::Stopping)),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The same, but a wait for an instance ends with an error when its server goes away.
    pub async fn ask_once(&self, id: &InstanceId, verb: Verb) -> Asked {
        match verb {
            Verb::Start { started, reuse } => self.begin(id, *started, &reuse, None).await,
            Verb::StartOrRaise { started, reuse, name, input } => {
                let event = event(id, &name, input, None);
                self.begin(id, *started, &reuse, Some(event)).await
            }
            Verb::Raise { name, input } => self.raise(id, event(id, &name, input, None)).await,
            Verb::RaiseEarly { name, input, until } => {
                self.raise(id, event(id, &name, input, Some(until))).await
            }
            Verb::Terminate { reason, recursive } => self.terminate(id, reason, recursive).await,
            Verb::Suspend { reason } => {
                let (instance_id, reason) = (id.to_string(), text(reason));
                let request = soon(SuspendRequest { instance_id, reason });
                let answer = self.service().suspend_instance(request).await;
                answered(id, answer.map(|it| done(id, it.into_inner().ended)))
            }
            Verb::Resume { reason } => {
                let (instance_id, reason) = (id.to_string(), text(reason));
                let request = soon(ResumeRequest { instance_id, reason });
                let answer = self.service().resume_instance(request).await;
                answered(id, answer.map(|it| done(id, it.into_inner().ended)))
            }
            Verb::Rewind { reason } => self.rewind(id, reason).await,
            Verb::Signal(requested) => self.signal(id, *requested).await,
            Verb::Unlock { section } => self.unlock(id, &section).await,
            Verb::Purge => self.purge(id, false).await,
            Verb::Status => {
                let answer = self.service().get_instance(soon(get(id))).await;
                answered(id, answer.map(|it| stands(id, it)))
            }
            verb if verb.waits() => {
                let answer = self.wait_once(id, &verb).await;
                answered(id, answer.map(|it| stands(id, it)))
            }
            other => Err(LinkError::Unexpected(format!("nobody asks a server for {other:?}"))),
        }
    }

    async fn begin(
        &self,
        id: &InstanceId,
        started: Started,
        reuse: &Reuse,
        raise: Option<RaiseEventRequest>,
    ) -> Asked {
        let raises = raise.is_some();
        let execution = started.execution;
        let request = soon(CreateInstanceRequest {
            instance_id: id.to_string(),
            name: started.name.to_string(),
            version: text(started.version),
            input: text(started.input),
            scheduled_start_timestamp: started.start_at.map(timestamp_out),
            orchestration_id_reuse_policy: Some(policy(reuse)),
            // A server takes it from other nodes only.
            execution_id: Some(execution.to_string()),
            tags: tags_out(&started.tags),
            parent_trace_context: started.trace.as_ref().map(trace_out),
            deadline: started.deadline.map(timestamp_out),
            raise,
            ..CreateInstanceRequest::default()
        });
        match self.service().start_instance(request).await {
            Err(status)
                if status.code() == Code::AlreadyExists && refusal(id, &status).is_none() =>
            {
                // It was there, and had a status; should it be gone by now, that one will do.
                let there = self.status(id).await;
                let status = there.map_or(RuntimeStatus::Running, |record| record.status);
                Ok(Answer::Refused(Refusal::Exists(id.clone(), status)))
            }
            Err(status) => answered(id, Err(status)),
            Ok(answer) => match &*answer.into_inner().execution_id {
                "" if raises => {
                    let what = "it was started, but the server knows no events at starts";
                    Err(LinkError::Unexpected(what.to_owned()))
                }
                "" => Ok(Answer::Started(execution)),
                told => {
                    let told = execution_in("executionId", told).map_err(LinkError::unreadable)?;
                    Ok(Answer::Started(told))
                }
            },
        }
    }

    async fn raise(&self, id: &InstanceId, event: RaiseEventRequest) -> Asked {
        let answer = self.service().raise_event(soon(event)).await;
        answered(id, answer.map(|it| done(id, it.into_inner().ended)))
    }

    async fn terminate(&self, id: &InstanceId, reason: Option<Text>, recursive: bool) -> Asked {
        let (instance_id, output) = (id.to_string(), text(reason));
        let request = soon(TerminateRequest { instance_id, output, recursive });
        let answer = self.service().terminate_instance(request).await.map(Response::into_inner);
        answered(
            id,
            answer.map(|it| {
                if it.absent {
                    return Ok(Answer::Refused(Refusal::NotFound(id.clone())));
                }
                done(id, it.ended)
            }),
        )
    }

    async fn rewind(&self, id: &InstanceId, reason: Option<Text>) -> Asked {
        let (instance_id, reason) = (id.to_string(), text(reason));
        let request = soon(RewindInstanceRequest { instance_id, reason });
        match self.service().rewind_instance(request).await {
            Err(why) if why.code() == Code::FailedPrecondition && refusal(id, &why).is_none() => {
                Ok(Answer::Refused(match self.status(id).await?.status {
                    RuntimeStatus::Failed => {
                        Refusal::CannotRewind(id.clone(), why.message().into())
                    }
                    status => Refusal::NotFailed(id.clone(), status),
                }))
            }
            answer => answered(id, answer.map(|_| Ok(Answer::Done))),
        }
    }

    async fn signal(&self, id: &InstanceId, requested: Requested) -> Asked {
        let Requested { operation, due, .. } = requested;
        let request = soon(SignalEntityRequest {
            instance_id: id.to_string(),
            name: operation.name.to_string(),
            input: text(operation.input),
            request_id: operation.request.to_string(),
            scheduled_time: due.map(timestamp_out),
            parent_trace_context: operation.trace.as_ref().map(trace_out),
            ..SignalEntityRequest::default()
        });
        let answer = self.service().signal_entity(request).await;
        answered(id, answer.map(|_| Ok(Answer::Done)))
    }

    async fn unlock(&self, id: &InstanceId, section: &str) -> Asked {
        let request = soon(CleanEntityStorageRequest {
            instance_id: id.to_string(),
            critical_section_id: section.to_owned(),
            ..CleanEntityStorageRequest::default()
        });
        let answer = self.service().clean_entity_storage(request).await;
        answered(id, answer.map(|_| Ok(Answer::Done)))
    }

    /// The protocol says how many were purged; why one was not, only our own servers say.
    ///
    /// Forgets an instance that has ended; `recursive`, what it called as well.
    pub async fn purge(&self, id: &InstanceId, recursive: bool) -> Asked {
        let request = Some(purge_instances_request::Request::InstanceId(id.to_string()));
        let request = soon(PurgeInstancesRequest { request, recursive, ..Default::default() });
        let answer = match self.service().purge_instances(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return answered(id, Err(status)),
        };
        if answer.deleted_instance_count > 0 {
            return Ok(Answer::Done);
        }
        if let Some(why) = answer.refusal.and_then(taskhub_wire::refusal_in) {
            return Ok(Answer::Refused(why));
        }
        match self.ask_status(id).await? {
            Answer::Status(record) => {
                Ok(Answer::Refused(Refusal::NotEnded(id.clone(), record.status)))
            }
            refused => Ok(refused),
        }
    }

    /// Starts once more what an instance was started with, under any id, its own if it has ended:
    /// the call of the protocol for that lets nobody choose one.
    pub async fn restart(
        &self,
        ended: &InstanceId,
        id: &InstanceId,
        reuse: &Reuse,
        execution: ExecutionId,
    ) -> Asked {
        let request = GetInstanceRequest { without_input: false, ..get(ended) };
        let mut answer = match self.service().get_instance(soon(request)).await {
            Ok(answer) => answer,
            Err(status) => return answered(ended, Err(status)),
        };
        let state = answer.get_mut().orchestration_state.as_mut();
        let input = state.and_then(|state| state.input.take());
        let record = match stands(ended, answer)? {
            Answer::Status(record) => record,
            refused => return Ok(refused),
        };
        if ended == id && !record.status.is_terminal() {
            return Ok(Answer::Refused(Refusal::NotEnded(ended.clone(), record.status)));
        }
        let started = Started {
            version: record.version,
            tags: record.tags,
            ..Started::new(record.name, input.map(Text::from), execution)
        };
        self.begin(id, started, reuse, None).await
    }

    async fn ask_status(&self, id: &InstanceId) -> Asked {
        let answer = self.service().get_instance(soon(get(id))).await;
        answered(id, answer.map(|it| stands(id, it)))
    }

    async fn status(&self, id: &InstanceId) -> Result<Box<Record>, LinkError> {
        match self.ask_status(id).await? {
            Answer::Status(record) => Ok(record),
            other => Err(LinkError::Unexpected(format!("{other:?}"))),
        }
    }

    async fn wait_once(
        &self,
        id: &InstanceId,
        verb: &Verb,
    ) -> Result<Response<GetInstanceResponse>, Status> {
        let request = GetInstanceRequest { only_if_there: !verb.expects(), ..get(id) };
        let (mut service, mut request) = (self.service(), Request::new(request));
        request.set_timeout(WAIT_TIME_MAX);
        if matches!(verb, Verb::WaitStart | Verb::ExpectStart) {
            service.wait_for_instance_start(request).await
        } else {
            service.wait_for_instance_completion(request).await
        }
    }
}

fn get(id: &InstanceId) -> GetInstanceRequest {
    GetInstanceRequest {
        instance_id: id.to_string(),
        get_inputs_and_outputs: true,
        without_input: true,
        only_if_there: true,
    }
}

/// What a start does when its id is in use. Only older clients name an action: with one the
/// statuses are taken as they stand, and that is how to say that the one which is there will do.
fn policy(reuse: &Reuse) -> OrchestrationIdReusePolicy {
    let (statuses, action): (&[RuntimeStatus], _) = match reuse {
        Reuse::Replace(statuses) => (statuses, Some(CreateOrchestrationAction::Terminate.into())),
        Reuse::Join => (&RuntimeStatus::ALL, Some(CreateOrchestrationAction::Ignore.into())),
        Reuse::Fresh => (&[], None),
    };
    let numbers = statuses.iter().map(|status| status_out(*status).into());
    OrchestrationIdReusePolicy { replaceable_status: numbers.collect(), action }
}

fn event(
    id: &InstanceId,
    name: &Text,
    input: Option<Text>,
    until: Option<Timestamp>,
) -> RaiseEventRequest {
    RaiseEventRequest {
        instance_id: id.to_string(),
        name: name.to_string(),
        input: text(input),
        keep_until: until.map(timestamp_out),
    }
}

/// What came of a call about `id`.
fn answered(id: &InstanceId, called: Result<Asked, Status>) -> Asked {
    called.unwrap_or_else(|status| match refusal(id, &status) {
        Some(why) => Ok(Answer::Refused(why)),
        None => Err(LinkError::of(&status)),
    })
}

/// It happened, unless the instance had ended.
fn done(id: &InstanceId, ended: Option<i32>) -> Asked {
    let Some(number) = ended else { return Ok(Answer::Done) };
    let status = status_in("ended", number).map_err(LinkError::unreadable)?;
    Ok(Answer::Refused(Refusal::Ended(id.clone(), status)))
}

fn stands(id: &InstanceId, answer: Response<GetInstanceResponse>) -> Asked {
    let answer = answer.into_inner();
    match answer.orchestration_state {
        Some(state) if answer.exists => {
            let (_, record) = state_in(state).map_err(LinkError::unreadable)?;
            Ok(Answer::Status(Box::new(record)))
        }
        _ => Ok(Answer::Refused(Refusal::NotFound(id.clone()))),
    }
}

fn text(text: Option<Text>) -> Option<String> {
    text.map(|text| text.to_string())
}
