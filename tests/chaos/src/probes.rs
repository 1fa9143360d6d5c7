//! Requests that show who does the work: after a fault all nodes, during one those that are left.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};

use crate::{http, nodes::Nodes};

/// The longest that a node may take, after a fault is over, until it answers a request: five times
/// a lease of 2 seconds, for a slow machine.
const RECOVERY_MAX: Duration = Duration::from_secs(10);

/// The longest that what a node owned may wait for others. The database may be stopped and started
/// meanwhile, which takes a busy disk longer than all else.
const TAKEOVER_MAX: Duration = Duration::from_secs(20);

/// How many requests look for work that stands still: with three nodes, 999 times of 1,000 one of
/// them is for an instance of a given node.
const PROBES: usize = 17;

/// How long to wait for one answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it takes from now until every node has answered a request.
pub(crate) async fn recovery(nodes: &Arc<Nodes>) -> Result<Duration, String> {
    let all = (0..nodes.count()).map(|node| vec![node]).collect();
    answered(nodes, all, RECOVERY_MAX).await
}

/// How long it takes from now until the others do what one node did.
pub(crate) async fn takeover(nodes: &Arc<Nodes>, without: usize) -> Result<Duration, String> {
    let others: Vec<_> = (0..nodes.count()).filter(|node| *node != without).collect();
    answered(nodes, vec![others; PROBES], TAKEOVER_MAX).await
}

/// How long it takes until as many requests are answered as there are lists, each by one of the
/// nodes in its list.
async fn answered(
    nodes: &Arc<Nodes>,
    lists: Vec<Vec<usize>>,
    most: Duration,
) -> Result<Duration, String> {
    let began = Instant::now();
    let mut probes = JoinSet::new();
    for list in lists {
        let nodes = nodes.clone();
        probes.spawn(async move {
            let key = uuid::Uuid::now_v7().simple().to_string();
            let body = r#"{"count":1,"pause":1}"#;
            for node in list.iter().cycle() {
                let asked = http::post(nodes.port(*node), "/chain", Some(&key), body, PATIENCE);
                if asked.await.is_ok_and(|answer| answer.status == 200) {
                    return Ok(());
                }
                if began.elapsed() > most {
                    return Err(format!("{key} was not answered within {most:?} at {list:?}"));
                }
                sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        });
    }
    probes.join_all().await.into_iter().collect::<Result<(), _>>()?;
    Ok(began.elapsed())
}
