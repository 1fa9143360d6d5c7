//! What clients ask of one instance, over the wire.

use std::time::Duration;

use taskhub_core::{
    Answer, ExecutionId, InstanceId, Record, Refusal, Requested, Reuse, RuntimeStatus, Started,
    Text, Verb,
};
use taskhub_wire::{
    InvalidMessage,
    proto::{
        CreateInstanceRequest, CreateOrchestrationAction, GetInstanceRequest, GetInstanceResponse,
        OrchestrationIdReusePolicy, PurgeInstancesRequest, RaiseEventRequest, ResumeRequest,
        RewindInstanceRequest, SignalEntityRequest, SuspendRequest, TerminateRequest,
        purge_instances_request,
    },
    state_in, status_in, status_out, tags_out, timestamp_out, trace_out,
};
use tonic::{Code, Request, Response, Status};

use super::{
    Link,
    refusal::{is_absent, refused},
};
use crate::{HubError, client::Refused};

/// How long an answer may take, unless it is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait before a server that is not there is asked again: first, and at most.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

type Asked = Result<Answer, Refused>;

impl Link {
    /// Asks the owner of an instance, like [`Hub::ask`](taskhub_engine::Hub::ask).
    pub(crate) async fn ask(&self, id: &InstanceId, verb: Verb) -> Asked {
        match verb {
            Verb::Start { started, reuse } => self.begin(id, *started, &reuse).await,
            Verb::Raise { name, input } => self.raise(id, &name, input).await,
            Verb::Terminate { reason, recursive } => self.terminate(id, reason, recursive).await,
            Verb::Suspend { reason } => {
                let (instance_id, reason) = (id.to_string(), text(reason));
                let request = soon(SuspendRequest { instance_id, reason });
                let answer = self.service.clone().suspend_instance(request).await;
                done(id, told(id, 0, answer)?.ended)
            }
            Verb::Resume { reason } => {
                let (instance_id, reason) = (id.to_string(), text(reason));
                let request = soon(ResumeRequest { instance_id, reason });
                let answer = self.service.clone().resume_instance(request).await;
                done(id, told(id, 0, answer)?.ended)
            }
            Verb::Rewind { reason } => self.rewind(id, reason).await,
            Verb::Signal(requested) => self.signal(id, *requested).await,
            Verb::Purge => self.purge(id, false).await,
            Verb::Status => {
                let answer = self.service.clone().get_instance(soon(get(id))).await;
                stands(id, told(id, 0, answer)?)
            }
            Verb::Wait => self.wait(id, false).await,
            Verb::WaitStart => self.wait(id, true).await,
            other => Err(unexpected(format!("nobody asks a server for {other:?}"))),
        }
    }

    async fn begin(&self, id: &InstanceId, started: Started, reuse: &Reuse) -> Asked {
        let bytes = started.input.as_ref().map_or(0, |input| input.len());
        let execution = started.execution;
        let request = soon(CreateInstanceRequest {
            instance_id: id.to_string(),
            name: started.name.to_string(),
            version: text(started.version),
            input: text(started.input),
            scheduled_start_timestamp: started.start_at.map(timestamp_out),
            orchestration_id_reuse_policy: Some(policy(reuse)),
            tags: tags_out(&started.tags),
            parent_trace_context: started.trace.as_ref().map(trace_out),
            deadline: started.deadline.map(timestamp_out),
            ..CreateInstanceRequest::default()
        });
        match self.service.clone().start_instance(request).await {
            Err(status) if status.code() == Code::AlreadyExists => {
                let there = self.status(id).await;
                // It was there, and had a status; should it be gone by now, that one will do.
                let status = there.map_or(RuntimeStatus::Running, |record| record.status);
                Err(Refused::Instance(Refusal::Exists(id.clone(), status)))
            }
            answer => told(id, bytes, answer).map(|_| Answer::Started(execution)),
        }
    }

    async fn raise(&self, id: &InstanceId, name: &str, input: Option<Text>) -> Asked {
        let bytes = input.as_ref().map_or(0, |input| input.len());
        let (instance_id, name, input) = (id.to_string(), name.to_owned(), text(input));
        let request = soon(RaiseEventRequest { instance_id, name, input });
        let answer = self.service.clone().raise_event(request).await;
        done(id, told(id, bytes, answer)?.ended)
    }

    async fn terminate(&self, id: &InstanceId, reason: Option<Text>, recursive: bool) -> Asked {
        let (instance_id, output) = (id.to_string(), text(reason));
        let request = soon(TerminateRequest { instance_id, output, recursive });
        let answer = told(id, 0, self.service.clone().terminate_instance(request).await)?;
        if answer.absent {
            return Err(Refused::Instance(Refusal::NotFound(id.clone())));
        }
        done(id, answer.ended)
    }

    async fn rewind(&self, id: &InstanceId, reason: Option<Text>) -> Asked {
        let (instance_id, reason) = (id.to_string(), text(reason));
        let request = soon(RewindInstanceRequest { instance_id, reason });
        match self.service.clone().rewind_instance(request).await {
            Err(why) if why.code() == Code::FailedPrecondition => {
                Err(Refused::Instance(match self.status(id).await?.status {
                    RuntimeStatus::Failed => {
                        let begin = format!("instance {id} cannot be rewound: ");
                        let why = why.message().trim_start_matches(&begin);
                        Refusal::CannotRewind(id.clone(), why.into())
                    }
                    status => Refusal::NotFailed(id.clone(), status),
                }))
            }
            answer => told(id, 0, answer).map(|_| Answer::Done),
        }
    }

    async fn signal(&self, id: &InstanceId, requested: Requested) -> Asked {
        let Requested { operation, due, .. } = requested;
        let bytes = operation.input.as_ref().map_or(0, |input| input.len());
        let request = soon(SignalEntityRequest {
            instance_id: id.to_string(),
            name: operation.name.to_string(),
            input: text(operation.input),
            request_id: operation.request.to_string(),
            scheduled_time: due.map(timestamp_out),
            ..SignalEntityRequest::default()
        });
        let answer = self.service.clone().signal_entity(request).await;
        told(id, bytes, answer).map(|_| Answer::Done)
    }

    /// The protocol says how many were purged; why one was not has to be looked up.
    pub(crate) async fn purge(&self, id: &InstanceId, recursive: bool) -> Asked {
        let request = Some(purge_instances_request::Request::InstanceId(id.to_string()));
        let request = soon(PurgeInstancesRequest { request, recursive, ..Default::default() });
        let answer = told(id, 0, self.service.clone().purge_instances(request).await)?;
        if answer.deleted_instance_count > 0 {
            return Ok(Answer::Done);
        }
        let status = self.status(id).await?.status;
        Err(Refused::Instance(Refusal::NotEnded(id.clone(), status)))
    }

    /// Starts once more what an instance that has ended was started with, under any id: the call of
    /// the protocol for that lets nobody choose one.
    pub(crate) async fn restart(
        &self,
        ended: &InstanceId,
        id: &InstanceId,
        reuse: &Reuse,
        execution: ExecutionId,
    ) -> Asked {
        let request = GetInstanceRequest { without_input: false, ..get(ended) };
        let answer = self.service.clone().get_instance(soon(request)).await;
        let mut answer = told(ended, 0, answer)?;
        let input = answer.orchestration_state.as_mut().and_then(|state| state.input.take());
        let Answer::Status(record) = stands(ended, answer)? else {
            return Err(unexpected("the answer to another question".to_owned()));
        };
        if !record.status.is_terminal() {
            return Err(Refused::Instance(Refusal::NotEnded(ended.clone(), record.status)));
        }
        let started = Started {
            version: record.version,
            tags: record.tags,
            ..Started::new(record.name, input.map(Text::from), execution)
        };
        self.begin(id, started, reuse).await
    }

    async fn status(&self, id: &InstanceId) -> Result<Box<Record>, Refused> {
        let answer = self.service.clone().get_instance(soon(get(id))).await;
        match stands(id, told(id, 0, answer)?)? {
            Answer::Status(record) => Ok(record),
            other => Err(unexpected(format!("{other:?}"))),
        }
    }

    /// Waits as long as it takes, also for a server that is down meanwhile.
    async fn wait(&self, id: &InstanceId, start: bool) -> Asked {
        let mut pause = PAUSE;
        loop {
            let mut service = self.service.clone();
            let answer = async {
                if start {
                    service.wait_for_instance_start(get(id)).await
                } else {
                    service.wait_for_instance_completion(get(id)).await
                }
            };
            let answer = tokio::select! {
                answer = answer => answer,
                () = self.closing.cancelled() => return Err(Refused::Hub(HubError::Stopping)),
            };
            match answer {
                Err(status) if is_absent(&status) || status.code() == Code::DeadlineExceeded => {
                    tracing::debug!(instance = %id, %status, "a wait begins anew");
                }
                answer => return stands(id, told(id, 0, answer)?),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.closing.cancelled() => return Err(Refused::Hub(HubError::Stopping)),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// A request that is to be answered soon.
pub(super) fn soon<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_TIME_MAX);
    request
}

fn get(id: &InstanceId) -> GetInstanceRequest {
    GetInstanceRequest {
        instance_id: id.to_string(),
        get_inputs_and_outputs: true,
        without_input: true,
        only_if_there: true,
    }
}

/// What a start does when its id is in use. Only older clients name an action: that is how to say
/// that the one which is there will do.
fn policy(reuse: &Reuse) -> OrchestrationIdReusePolicy {
    let (statuses, action): (&[RuntimeStatus], _) = match reuse {
        Reuse::Replace(statuses) => (statuses, None),
        Reuse::Join => (&RuntimeStatus::ALL, Some(CreateOrchestrationAction::Ignore.into())),
        Reuse::Fresh => (&[], None),
    };
    let numbers = statuses.iter().map(|status| status_out(*status).into());
    OrchestrationIdReusePolicy { replaceable_status: numbers.collect(), action }
}

fn told<T>(
    id: &InstanceId,
    bytes: usize,
    answer: Result<Response<T>, Status>,
) -> Result<T, Refused> {
    answer.map(Response::into_inner).map_err(|status| refused(id, bytes, &status))
}

/// It happened, unless the instance had ended.
fn done(id: &InstanceId, ended: Option<i32>) -> Asked {
    let Some(number) = ended else { return Ok(Answer::Done) };
    let status = status_in("ended", number).map_err(unreadable)?;
    Err(Refused::Instance(Refusal::Ended(id.clone(), status)))
}

fn stands(id: &InstanceId, answer: GetInstanceResponse) -> Asked {
    match answer.orchestration_state {
        Some(state) if answer.exists => {
            let (_, record) = state_in(state).map_err(unreadable)?;
            Ok(Answer::Status(Box::new(record)))
        }
        _ => Err(Refused::Instance(Refusal::NotFound(id.clone()))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "made for `map_err`")]
fn unreadable(error: InvalidMessage) -> Refused {
    unexpected(error.to_string())
}

fn unexpected(what: String) -> Refused {
    Refused::Hub(HubError::Unexpected(what))
}

fn text(text: Option<Text>) -> Option<String> {
    text.map(|text| text.to_string())
}
