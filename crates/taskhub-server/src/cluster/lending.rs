//! Workers of this node at work for other nodes: for each of them, a worker there stands for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use taskhub_core::Text;
use taskhub_engine::{Hub, WorkerId, WorkerOptions};
use tokio::{sync::watch, task::JoinSet, time::interval};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

use super::{Nodes, stand_in::StandIn};

/// How often to look which nodes there are.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Lends, until it is dropped.
#[derive(Debug)]
#[must_use = "nothing is lent when it is dropped"]
pub struct Lending {
    _run: AbortOnDropHandle<()>,
}

/// For which worker, at which node; whoever is let go of ends.
type StandIns = BTreeMap<(Text, WorkerId), DropGuard>;

impl Nodes {
    /// Lends the workers of `hub` to all other nodes that share its store; `own` is the address of
    /// this one.
    pub fn lend(&self, hub: &Hub, own: &str) -> Lending {
        let (tell, others) = watch::channel(Vec::new());
        let (hub, own) = (hub.clone(), Text::from(own));
        let lends = self.clone().lend_among(hub.clone(), others);
        let looks = async move {
            let mut every = interval(LOOK_EVERY);
            loop {
                every.tick().await;
                let Ok(nodes) = hub.nodes().await else { continue };
                let others = nodes.into_iter().map(|node| node.address);
                let mut others: Vec<_> = others.filter(|it| !it.is_empty() && *it != own).collect();
                others.sort_unstable();
                tell.send_if_modified(|last| std::mem::replace(last, others) != *last);
            }
        };
        Lending::of(async {
            tokio::select! {
                () = looks => {}
                () = lends => {}
            }
        })
    }

    /// Lends the workers of `hub` to the nodes at these addresses, as they come and go.
    pub fn lend_to(&self, hub: &Hub, others: watch::Receiver<Vec<Text>>) -> Lending {
        Lending::of(self.clone().lend_among(hub.clone(), others))
    }

    async fn lend_among(self, hub: Hub, mut others: watch::Receiver<Vec<Text>>) {
        let mut lends = hub.lends();
        let mut stand_ins = StandIns::new();
        let mut running = JoinSet::new();
        loop {
            let workers = lends.borrow_and_update().clone();
            let addresses = others.borrow_and_update().clone();
            let wanted = addresses.iter().flat_map(|address| {
                workers.iter().map(|(id, options)| ((address.clone(), *id), options))
            });
            let wanted: BTreeMap<_, _> = wanted.collect();
            let known: BTreeSet<_> = stand_ins.keys().cloned().collect();
            stand_ins.retain(|key, _| wanted.contains_key(key));
            for (key, options) in wanted.into_iter().filter(|(key, _)| !known.contains(key)) {
                if let Some(stand_in) = self.stand_in(&hub, &key.0, options) {
                    let stop = CancellationToken::new();
                    running.spawn(stand_in.run(stop.clone()));
                    stand_ins.insert(key, stop.drop_guard());
                }
            }
            tokio::select! {
                changed = lends.changed() => if changed.is_err() { return },
                changed = others.changed() => if changed.is_err() { return },
                Some(_) = running.join_next() => {}
            }
        }
    }

    fn stand_in(&self, hub: &Hub, address: &str, options: &WorkerOptions) -> Option<StandIn> {
        match self.link(address) {
            Ok(link) => Some(StandIn::new(link, hub.clone(), options)),
            Err(error) => {
                tracing::warn!(address, %error, "the address of a node cannot be used");
                None
            }
        }
    }
}

impl Lending {
    fn of(run: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { _run: AbortOnDropHandle::new(tokio::spawn(run)) }
    }
}
