//! Retention: instances that ended long enough ago are forgotten, without anybody asking.

use std::time::Duration;

use taskhub_core::{
    Answer, RuntimeStatus, Timestamp,
    store::{Filter, Order},
};
use taskhub_engine::Hub;

use crate::{Hubs, RetentionConfig, http::is_own};

/// How long to rest between two rounds over all hubs.
const REST: Duration = Duration::from_mins(1);

/// How many instances are listed at a time.
const PAGE_COUNT: usize = 500;

/// How long to rest between two pages, so that others get their turn.
const BREATH: Duration = Duration::from_millis(50);

/// Keeps all hubs that are open tidy, until they stop.
pub async fn keep(hubs: Hubs, policy: RetentionConfig) {
    let ages: Vec<_> = policy.ages().collect();
    if ages.is_empty() {
        return;
    }
    let stopping = hubs.stopping().clone();
    let rounds = async {
        loop {
            // Not by name: one that is deleted meanwhile would be made again.
            for (name, hub) in hubs.open_ones() {
                for (status, age) in &ages {
                    sweep(&hub, name.as_str(), *status, *age).await;
                }
            }
            tokio::time::sleep(REST).await;
        }
    };
    tokio::select! {
        () = rounds => {}
        () = stopping.cancelled() => {}
    }
}

/// Purges the instances with this status that ended longer ago than that.
async fn sweep(hub: &Hub, name: &str, status: RuntimeStatus, age: Duration) {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let mut next = Some(Filter {
        statuses: vec![status],
        completed_to: Some(Timestamp(hub.now().0.saturating_sub(micros))),
        order: Order::Completed,
        limit: PAGE_COUNT,
        ..Filter::default()
    });
    let mut count = 0;
    while let Some(filter) = next {
        match page(hub, &filter).await {
            Ok((purged, rest)) => {
                count += purged;
                next = rest;
            }
            Err(why) => {
                tracing::warn!(hub = name, ?status, why, "retention goes on in a minute");
                break;
            }
        }
        tokio::time::sleep(BREATH).await;
    }
    if count > 0 {
        tracing::info!(hub = name, ?status, count, "instances were forgotten, as told");
    }
}

/// Purges one page: how many, and the next one.
async fn page(hub: &Hub, filter: &Filter) -> Result<(usize, Option<Filter>), String> {
    let page = hub.query(filter.clone()).await.map_err(|error| error.to_string())?;
    let meant = page.instances.into_iter().filter(|(_, record)| !is_own(record));
    let purged = hub.purge_ended(meant.map(|(id, _)| id).collect(), false).await;
    let count = purged.map_err(|answer| match answer {
        Answer::Refused(refusal) => refusal.to_string(),
        other => format!("the hub answered something else: {other:?}"),
    })?;
    Ok((count, page.next.map(|after| Filter { after: Some(after), ..filter.clone() })))
}
