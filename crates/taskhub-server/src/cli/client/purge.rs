//! `taskhub purge`: forgets instances that have ended or are parked, by id or by what they share.

use clap::Args;
use serde_json::json;
use taskhub_wire::proto::{InstanceBatch, PurgeInstancesRequest, purge_instances_request::Request};

use super::{
    Failure,
    filters::{Filters, StatusName, has_ended},
    progress::counter,
    remote::{Link, Remote},
    shown,
};

/// What to forget.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// The ids of instances that have ended, or are parked
    #[arg(conflicts_with_all = ["all", "status", "parked", "prefix"])]
    #[arg(conflicts_with_all = ["created_after", "created_before"])]
    ids: Vec<String>,
    /// All that have ended
    #[arg(long)]
    all: bool,
    /// What they called, too
    #[arg(long)]
    recursive: bool,
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    remote: Remote,
}

pub(super) async fn run(flags: Flags) -> Result<(), Failure> {
    if flags.ids.is_empty() && !flags.all && flags.filters.is_any() {
        return Err(Failure::Usage(
            "say what to purge: ids, what they have in common, or `--all` that has ended"
                .to_owned(),
        ));
    }
    let link = flags.remote.connect().await?;
    let count = if flags.ids.is_empty() {
        matching(link, flags.filters, flags.recursive).await?
    } else {
        named(link, flags.ids, flags.recursive).await?
    };
    if flags.json {
        shown::line(&json!({ "instancesDeleted": count }))?;
    } else {
        shown::text(format_args!("{count} purged"))?;
    }
    Ok(())
}

/// Nothing is purged unless all of them may be.
async fn named(mut link: Link, ids: Vec<String>, recursive: bool) -> Result<u64, Failure> {
    for id in &ids {
        let state = link.state(id, false).await?;
        if !has_ended(&state) && state.stuck.is_none() {
            let status = shown::status(&state);
            return Err(Failure::Refused(format!(
                "instance {id} has not ended, it is {status}; terminate it first"
            )));
        }
    }
    batch(&mut link, ids, recursive).await
}

/// Purges page by page what has ended, or is parked if that is asked for, and matches.
async fn matching(mut link: Link, mut filters: Filters, recursive: bool) -> Result<u64, Failure> {
    let asked = !filters.status.is_empty();
    filters.status.retain(|status| filters.parked || StatusName::ENDED.contains(status));
    match (asked, filters.status.is_empty()) {
        (true, true) => {
            return Err(Failure::Usage("only instances that have ended can be purged".to_owned()));
        }
        (false, _) if !filters.parked => filters.status = StatusName::ENDED.to_vec(),
        _ => {}
    }
    let mut pages = filters.pages(link.clone(), false);
    let done = counter("instances purged", false);
    while let Some(page) = pages.next().await? {
        let ids = page.into_iter().map(|state| state.instance_id).collect();
        done.inc(batch(&mut link, ids, recursive).await?);
    }
    done.finish_and_clear();
    Ok(done.position())
}

/// Purges those of `ids` that are there and have ended; how many that were, children included.
async fn batch(link: &mut Link, ids: Vec<String>, recursive: bool) -> Result<u64, Failure> {
    if ids.is_empty() {
        return Ok(0);
    }
    let request = Some(Request::InstanceBatch(InstanceBatch { instance_ids: ids }));
    let asked = PurgeInstancesRequest { request, recursive, is_orchestration: true };
    let asked = link.patient(asked);
    let purged = link.client.purge_instances(asked).await?.into_inner();
    Ok(u64::try_from(purged.deleted_instance_count).unwrap_or_default())
}
