//! What is done to instances that are there: `raise`, `terminate`, `suspend`, `resume`, `rewind`.

use clap::Args;
use taskhub_wire::proto::{
    OrchestrationStatus, RaiseEventRequest, ResumeRequest, RewindInstanceRequest, SuspendRequest,
    TerminateRequest,
};

use super::{
    Failure, filters,
    payload::Payload,
    progress::bar,
    remote::{Link, Remote},
    shown,
    start::told,
};

/// An event for an instance.
#[derive(Debug, Args)]
pub(in crate::cli) struct Raise {
    /// The id of the instance
    id: String,
    /// The name of the event
    event: String,
    #[command(flatten)]
    payload: Payload,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Instances to end.
#[derive(Debug, Args)]
pub(in crate::cli) struct Terminate {
    /// End what they called, too
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    because: Because,
}

/// Instances, and why it is done to them.
#[derive(Debug, Args)]
pub(in crate::cli) struct Because {
    /// The ids of the instances
    #[arg(required = true)]
    ids: Vec<String>,
    /// Why; it stands in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print a JSON object per instance, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn raise(flags: Raise) -> Result<(), Failure> {
    let input = flags.payload.text()?;
    let mut link = flags.remote.connect().await?;
    runs(&mut link, &flags.id).await?;
    let (instance_id, name) = (flags.id.clone(), flags.event);
    let asked = link.request(RaiseEventRequest { instance_id, name, input, keep_until: None });
    link.client.raise_event(asked).await?;
    if flags.json {
        return Ok(told(&flags.id, true)?);
    }
    Ok(shown::text(format!("{} raised", shown::harmless(&flags.id)))?)
}

pub(super) async fn terminate(flags: Terminate) -> Result<(), Failure> {
    let recursive = flags.recursive;
    each(flags.because, "terminated", async |link, instance_id, output| {
        runs(link, &instance_id).await?;
        let asked = link.request(TerminateRequest { instance_id, output, recursive });
        link.client.terminate_instance(asked).await?;
        Ok(())
    })
    .await
}

pub(super) async fn suspend(flags: Because) -> Result<(), Failure> {
    each(flags, "suspended", async |link, instance_id, reason| {
        runs(link, &instance_id).await?;
        let asked = link.request(SuspendRequest { instance_id, reason });
        link.client.suspend_instance(asked).await?;
        Ok(())
    })
    .await
}

pub(super) async fn resume(flags: Because) -> Result<(), Failure> {
    each(flags, "resumed", async |link, instance_id, reason| {
        runs(link, &instance_id).await?;
        let asked = link.request(ResumeRequest { instance_id, reason });
        link.client.resume_instance(asked).await?;
        Ok(())
    })
    .await
}

pub(super) async fn rewind(flags: Because) -> Result<(), Failure> {
    each(flags, "rewound", async |link, instance_id, reason| {
        let state = link.state(&instance_id, false).await?;
        if state.orchestration_status() != OrchestrationStatus::Failed {
            let status = shown::status(&state);
            return Err(Failure::Refused(format!(
                "instance {instance_id} has not failed, it is {status}"
            )));
        }
        let asked = link.request(RewindInstanceRequest { instance_id, reason });
        link.client.rewind_instance(asked).await?;
        Ok(())
    })
    .await
}

/// Does something to each instance, and tells which it was done to. The others are told of at
/// once, and the first of them is what the command fails with.
async fn each(
    flags: Because,
    done: &'static str,
    act: impl AsyncFn(&mut Link, String, Option<String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut link = flags.remote.connect().await?;
    let (progress, many) = (bar(flags.ids.len(), done), flags.ids.len() > 1);
    let mut failed = None;
    for id in flags.ids {
        match act(&mut link, id.clone(), flags.reason.clone()).await {
            Ok(()) if flags.json => progress.suspend(|| told(&id, true))?,
            Ok(()) => {
                let text = format!("{} {done}", shown::harmless(&id));
                progress.suspend(|| shown::text(text))?;
            }
            Err(failure) if many => {
                progress.suspend(|| eprintln!("taskhub: {failure}"));
                failed.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    failed.map_or(Ok(()), |first| Err(Failure::Told(Box::new(first))))
}

/// Only an instance that has not ended hears anything. The server takes it without a word, as the
/// SDKs expect; a person wants to know.
async fn runs(link: &mut Link, id: &str) -> Result<(), Failure> {
    let state = link.state(id, false).await?;
    if filters::has_ended(&state) {
        let status = shown::status(&state);
        return Err(Failure::Refused(format!("instance {id} has ended already: {status}")));
    }
    Ok(())
}
