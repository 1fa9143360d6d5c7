//! The thread that keeps this node's partitions: claims, renews, gives away, opens again.
//!
//! [`Holdings`](crate::Holdings) decides; this asks the store, and tells the turn threads. A node
//! whose store belongs to it alone claims everything once, and has work here only after a failure.

mod pace;

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::{Duration, Instant},
};

use taskhub_core::{
    Limits, PartitionId,
    store::{Node, Ownership, Store, StoreError},
};
use tokio::sync::watch;

use super::{
    Held, lock,
    mail::{self, Mail, Post},
    owners::Owners,
    tally::Tallies,
    tenure::Tenure,
    trouble::Trouble,
};
use crate::{
    Balance,
    sharing::{Share, sharing},
};
use pace::Pace;

/// How often it looks, in the time of a lease, whether nodes have come or gone.
const LOOKS_PER_LEASE: u32 = 15;

/// How often it looks at a store that belongs to this node alone.
const LOOK_ALONE_EVERY: Duration = Duration::from_hours(1);

/// What a keeper is asked to do.
pub(super) enum Errand {
    /// A lane failed: these are to be claimed anew; at once, if it was not the store that failed.
    Closed(Vec<Ownership>, Blame),
    /// Nothing of a partition is under way any more: it can be released.
    Left(Ownership),
    /// Something changed about these partitions.
    Heard(Vec<PartitionId>),
    /// Give everything away, say so, and end.
    Stop(SyncSender<()>),
}

/// Why a lane failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The store does not work just now.
    Store,
    /// Another node has claimed a partition.
    Fence,
}

/// The keeper, as others see it.
pub(super) struct KeeperHandle {
    /// Where it takes errands.
    pub errands: Sender<Errand>,
    /// Whether it found that somebody has deleted the hub.
    pub deleted: watch::Receiver<bool>,
}

/// Keeps the partitions of a node.
pub(super) struct Keeper {
    pub node: Node,
    pub store: Arc<dyn Store>,
    pub held: Held,
    /// What it sees of the others.
    pub owners: Owners,
    pub post: Post,
    pub limits: Limits,
    pub tenure: Tenure,
    /// How long a claim holds.
    pub ttl: Duration,
    pub state: State,
    pub tallies: Arc<Tallies>,
    /// Tells that somebody has deleted the hub.
    pub deleted: watch::Sender<bool>,
}

/// How often a node looks whether others have come or gone; hardly ever, if its store is its own.
pub(super) fn look_every(shares: bool, ttl: Duration, looks: Duration) -> Duration {
    if shares { looks.min(ttl / LOOKS_PER_LEASE) } else { LOOK_ALONE_EVERY }
}

/// What it has to remember.
pub(super) struct State {
    /// To be released.
    given_back: Vec<Ownership>,
    /// When it renewed the leases.
    renewed: Option<Instant>,
    pace: Pace,
    trouble: Trouble,
    /// Whether others share the partitions without this node.
    is_left_out: bool,
    /// Whom to tell that everything is given back, and until when that is tried.
    stopping: Option<(SyncSender<()>, Instant)>,
}

impl State {
    /// That of a node that looks so often.
    pub(super) fn new(every: Duration) -> Self {
        let (given_back, renewed, stopping) = (Vec::new(), None, None);
        Self {
            given_back,
            renewed,
            pace: Pace::new(every),
            trouble: Trouble::default(),
            is_left_out: false,
            stopping,
        }
    }
}

impl Keeper {
    /// Runs until it is told to stop, or everybody is gone.
    pub(super) fn run(mut self, errands: &Receiver<Errand>) {
        loop {
            match errands.recv_timeout(self.state.pace.rest(Instant::now())) {
                Ok(errand) => self.take(errand),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(errand) = errands.try_recv() {
                self.take(errand);
            }
            if !self.state.pace.rest(Instant::now()).is_zero() {
                continue;
            }
            match self.tend() {
                // At its end it only gives back, which tells nothing of the store.
                Ok(()) if self.state.stopping.is_some() => {}
                Ok(()) => {
                    self.state.trouble.is_over();
                    self.tallies.fails(None);
                }
                Err(error) => {
                    self.tallies.fails(Some(error.to_string()));
                    self.deleted.send_if_modified(|is_deleted| {
                        error == StoreError::Deleted && !std::mem::replace(is_deleted, true)
                    });
                    let what = "the partitions of this node cannot be kept while the store fails";
                    self.state.trouble.tell(&error.to_string(), what);
                    self.state.pace.fails(Instant::now());
                }
            }
            if self.is_through() {
                return;
            }
        }
    }

    fn take(&mut self, errand: Errand) {
        let state = &mut self.state;
        match errand {
            Errand::Closed(closed, blame) => {
                state.given_back.extend(closed);
                match blame {
                    Blame::Store => state.pace.fails(Instant::now()),
                    Blame::Fence => state.pace.hurry(),
                }
            }
            Errand::Left(owned) => {
                if lock(&self.held).remove(owned) {
                    state.given_back.push(owned);
                    state.pace.hurry();
                }
            }
            Errand::Heard(partitions) => {
                let held = lock(&self.held);
                if partitions.iter().any(|id| held.held(*id).is_none()) {
                    state.pace.hears();
                }
            }
            Errand::Stop(done) => {
                lock(&self.held).stop();
                state.stopping = Some((done, Instant::now() + super::GIVE_BACK_MAX));
                state.pace.ends();
            }
        }
    }

    /// Does all that is to be done now.
    pub(super) fn tend(&mut self) -> Result<(), StoreError> {
        self.state.pace.looks(Instant::now());
        let freed = std::mem::take(&mut self.state.given_back);
        if !freed.is_empty()
            && let Err(error) = self.store.release(&freed)
        {
            self.state.given_back.extend(freed);
            return Err(error);
        }
        self.renew()?;
        let share = match self.store.shared() {
            Some(shared) => sharing(&shared.nodes()?, &self.node, || shared.owners())?,
            None => Share { count: 1, is_answered: true },
        };
        self.is_left_out(share.count == 0);
        self.tallies.is_answered(share.is_answered);
        let balance = lock(&self.held).balance(share.count);
        match balance {
            Balance::Rest => {}
            Balance::Leave(surplus) => {
                for owned in surplus {
                    self.post.send(owned.partition, Mail::Leave(owned));
                }
            }
            Balance::Claim(count) => self.claim(count)?,
        }
        self.hint_others(&freed);
        self.look_at_others()
    }

    /// Says so when others begin to share without this node.
    fn is_left_out(&mut self, is_left_out: bool) {
        if is_left_out && !self.state.is_left_out && self.state.stopping.is_none() {
            tracing::warn!(
                "other nodes have this hub, and cannot ask this one: it owns nothing of it; give \
                 it the secret of the others and an address (`cluster.secret`, `cluster.address`)"
            );
        }
        self.state.is_left_out = is_left_out;
    }

    /// Sees who owns what, and when it is to look again at the latest: when somebody does not renew
    /// what is theirs.
    fn look_at_others(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.store.shared() else { return Ok(()) };
        let owners = shared.owners()?;
        let others = owners.iter().filter(|it| it.node.id != self.node.id && !it.lasts.is_zero());
        if let Some(lasts) = others.map(|lease| lease.lasts).min() {
            self.state.pace.awaits(Instant::now() + lasts);
        }
        self.owners.are(owners);
        Ok(())
    }

    /// What was released and not claimed again is for others.
    fn hint_others(&self, freed: &[Ownership]) {
        let Some(shared) = self.store.shared() else { return };
        let held = lock(&self.held);
        let gone = freed.iter().map(|it| it.partition).filter(|id| held.held(*id).is_none());
        let gone: Vec<PartitionId> = gone.collect();
        drop(held);
        if !gone.is_empty()
            && let Err(error) = shared.hint(&gone)
        {
            tracing::debug!(%error, "others find by themselves what this node gave back");
        }
    }

    fn renew(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.store.shared() else { return Ok(()) };
        if self.state.stopping.is_some() {
            shared.depart(&self.node)?;
        }
        if self.state.renewed.is_some_and(|at| at.elapsed() < self.ttl / 3) {
            return Ok(());
        }
        let asked = Instant::now();
        // First: who sees that a lease has run out is to see that its node has, too.
        if self.state.stopping.is_none() {
            shared.heartbeat(&self.node, self.ttl)?;
        }
        let all: Vec<_> = lock(&self.held).all().collect();
        let lost = self.store.renew(&all, self.ttl)?;
        for owned in all.iter().filter(|owned| lost.contains(&owned.partition)) {
            let mut held = lock(&self.held);
            if held.remove(*owned) {
                tracing::warn!(partition = owned.partition.0, "another node has taken over");
                self.post.send(owned.partition, Mail::Lose(*owned));
            }
        }
        self.state.renewed = Some(asked);
        if let Some(term) = self.tenure.renewed(asked, self.ttl) {
            self.post.send_all(|| Mail::Term(term));
        }
        Ok(())
    }

    /// Claims up to so many partitions, and opens them: all of them, or none.
    fn claim(&mut self, count: usize) -> Result<(), StoreError> {
        let ttl = if self.store.shared().is_some() { self.ttl } else { Duration::MAX };
        let claimed = self.store.claim(&self.node, count, ttl)?;
        let tick = self.post.tick();
        lock(&self.held).claimed(&claimed);
        let read = mail::read(&self.post, &*self.store, (tick, &claimed), &self.limits);
        let mut held = lock(&self.held);
        match read {
            Ok(mut opened) => {
                opened.retain(|opened| held.stays(opened.owned));
                // Under the lock: a lane that fails now closes them behind this.
                self.post.open(opened);
                Ok(())
            }
            Err(error) => {
                let unopened = claimed.into_iter().filter(|owned| held.remove(*owned));
                self.state.given_back.extend(unopened);
                Err(error)
            }
        }
    }

    /// Whether it is to stop, and has given everything back or cannot.
    fn is_through(&self) -> bool {
        let Some((done, until)) = &self.state.stopping else { return false };
        if self.state.given_back.is_empty() && lock(&self.held).is_empty() {
            let _ = done.send(());
            return true;
        }
        Instant::now() >= *until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeOptions;

    #[test]
    fn a_node_looks_every_second_however_long_its_leases_are() {
        let looks = NodeOptions::default().looks;
        let every = |seconds| look_every(true, Duration::from_secs(seconds), looks);
        assert_eq!(
            [3, 15, 60, 600].map(every),
            [200, 1_000, 1_000, 1_000].map(Duration::from_millis)
        );
    }
}
