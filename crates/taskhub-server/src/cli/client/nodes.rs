//! `taskhub nodes` and `taskhub partitions`: who takes part in a hub, and who owns what.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use taskhub_wire::cluster::{DescribeRequest, DescribeResponse, Lease, Node};

use super::{Failure, remote::Remote, shown};

/// How to show it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Flags {
    /// Print a JSON object per line, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    node: String,
    address: String,
    /// Whether it gave a sign of life in time.
    lives: bool,
    partitions: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    partition: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    epoch: u64,
    lease_milliseconds: u64,
}

/// Every node that lives, or that still owns something.
pub(super) async fn nodes(flags: Flags) -> Result<(), Failure> {
    let described = describe(&flags.remote).await?;
    let ownerless = ownerless(&described);
    let members = members(described);
    if flags.json {
        return Ok(members.iter().try_for_each(shown::line)?);
    }
    let rows = members.into_iter().map(|it| {
        let lives = if it.lives { "yes" } else { "no" };
        [it.node, it.address, lives.to_owned(), it.partitions.to_string()]
    });
    shown::table(Some(["NODE", "ADDRESS", "LIVES", "PARTITIONS"]), rows)?;
    if ownerless > 0 {
        eprintln!("taskhub: {ownerless} partitions have no owner just now");
    }
    Ok(())
}

/// Every partition, with its owner if it has one.
pub(super) async fn partitions(flags: Flags) -> Result<(), Failure> {
    let shares = shares(describe(&flags.remote).await?);
    if flags.json {
        return Ok(shares.iter().try_for_each(shown::line)?);
    }
    let rows = shares.into_iter().map(|it| {
        let lasts = format!(
            "{:.1} s",
            std::time::Duration::from_millis(it.lease_milliseconds).as_secs_f64()
        );
        let lasts = if it.node.is_some() { lasts } else { String::new() };
        let (node, address) = (it.node.unwrap_or_default(), it.address.unwrap_or_default());
        [it.partition.to_string(), node, address, it.epoch.to_string(), lasts]
    });
    Ok(shown::table(Some(["PARTITION", "NODE", "ADDRESS", "EPOCH", "LEASE"]), rows)?)
}

async fn describe(remote: &Remote) -> Result<DescribeResponse, Failure> {
    let mut link = remote.connect().await?;
    let asked = link.request(DescribeRequest {});
    Ok(link.cluster.describe(asked).await?.into_inner())
}

/// How many partitions nobody owns.
fn ownerless(described: &DescribeResponse) -> usize {
    let owned = described.leases.iter().filter(|lease| lease.milliseconds > 0).count();
    usize::try_from(described.partition_count).unwrap_or_default().saturating_sub(owned)
}

fn members(described: DescribeResponse) -> Vec<Member> {
    let mut members = BTreeMap::new();
    let mut member = |node: Node, lives: bool, partitions: usize| {
        let Node { id, address } = node;
        let new = Member { node: id.clone(), address, lives: false, partitions: 0 };
        let known = members.entry(id).or_insert(new);
        known.lives |= lives;
        known.partitions += partitions;
    };
    for node in described.nodes {
        member(node, true, 0);
    }
    for lease in described.leases {
        member(lease.node.unwrap_or_default(), false, 1);
    }
    members.into_values().collect()
}

fn shares(described: DescribeResponse) -> Vec<Share> {
    let mut leases: BTreeMap<u32, Lease> = BTreeMap::new();
    leases.extend(described.leases.into_iter().map(|lease| (lease.partition, lease)));
    let share = |partition| {
        let lease = leases.remove(&partition).unwrap_or_default();
        let node = lease.node.filter(|_| lease.milliseconds > 0);
        let (node, address) = node.map(|node| (node.id, node.address)).unzip();
        Share {
            partition,
            node,
            address,
            epoch: lease.epoch,
            lease_milliseconds: lease.milliseconds,
        }
    };
    (0..described.partition_count).map(share).collect()
}
