//! The thread that keeps this node's partitions: claims, renews, gives away, opens again.
//!
//! [`Holdings`](crate::Holdings) decides; this asks the store, and tells the turn threads. A node
//! whose store belongs to it alone claims everything once, and has work here only after a failure.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender},
    },
    time::{Duration, Instant},
};

use taskhub_core::{
    Limits, PartitionId,
    store::{Node, Ownership, Store, StoreError},
};

use super::{
    Held, lock,
    mail::{self, Mail, Post},
    tenure::Tenure,
    trouble::Trouble,
};
use crate::Balance;

/// How long it waits before it tries a store again that failed: ever longer.
const RETRY_AFTER: Duration = Duration::from_millis(200);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// How often it looks whether the nodes have changed, and whether a partition is free.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Hints make it look, but not more often than so.
const HINTS_EVERY: Duration = Duration::from_millis(50);

/// What a keeper is asked to do.
pub(super) enum Errand {
    /// A lane failed: these are to be claimed anew.
    Closed(Vec<Ownership>),
    /// Nothing of a partition is under way any more: it can be released.
    Left(Ownership),
    /// Something changed about a partition of another node, or of none.
    Heard,
    /// Give everything away, say so, and end.
    Stop(SyncSender<()>),
}

/// Keeps the partitions of a node.
pub(super) struct Keeper {
    pub node: Node,
    pub store: Arc<dyn Store>,
    pub held: Held,
    pub post: Post,
    pub limits: Limits,
    pub tenure: Tenure,
    /// How long a claim holds.
    pub ttl: Duration,
    pub state: State,
}

/// What it has to remember.
#[derive(Default)]
pub(super) struct State {
    /// To be released.
    given_back: Vec<Ownership>,
    /// When it renewed the leases.
    renewed: Option<Instant>,
    /// Whether it would claim more if more were free.
    wants: bool,
    /// After a failure: how long it waits, and when it goes on.
    pause: Duration,
    resumes: Option<Instant>,
    /// When it looked last.
    looked: Option<Instant>,
    trouble: Trouble,
    /// Whom to tell that everything is given back, and until when that is tried.
    stopping: Option<(SyncSender<()>, Instant)>,
}

impl Keeper {
    /// Runs until it is told to stop, or everybody is gone.
    pub(super) fn run(mut self, errands: &Receiver<Errand>) {
        loop {
            match errands.recv_timeout(self.rest()) {
                Ok(errand) => self.take(errand),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(errand) = errands.try_recv() {
                self.take(errand);
            }
            if !self.rest().is_zero() {
                continue;
            }
            match self.tend() {
                Ok(()) => self.state.trouble.is_over(),
                Err(error) => {
                    let what = "the partitions of this node cannot be kept while the store fails";
                    self.state.trouble.tell(&error.to_string(), what);
                    self.back_off();
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
            Errand::Closed(closed) => {
                state.given_back.extend(closed);
                self.back_off();
            }
            Errand::Left(owned) => {
                if lock(&self.held).remove(owned) {
                    state.given_back.push(owned);
                    state.looked = None;
                }
            }
            Errand::Heard => {
                if state.wants && state.looked.is_some_and(|at| at.elapsed() >= HINTS_EVERY) {
                    state.looked = None;
                }
            }
            Errand::Stop(done) => {
                lock(&self.held).stop();
                state.stopping = Some((done, Instant::now() + super::GIVE_BACK_MAX));
                (state.resumes, state.looked) = (None, None);
            }
        }
    }

    /// How long it has nothing to do.
    fn rest(&self) -> Duration {
        let now = Instant::now();
        if let Some(at) = self.state.resumes {
            return at.saturating_duration_since(now);
        }
        let every = match self.store.shared() {
            Some(_) => LOOK_EVERY.min(self.ttl / 10),
            None => Duration::from_hours(1),
        };
        let since = self.state.looked.map(|at| now.saturating_duration_since(at));
        since.map_or(Duration::ZERO, |since| every.saturating_sub(since))
    }

    fn back_off(&mut self) {
        let state = &mut self.state;
        let now = Instant::now();
        let long_ago = |at: Instant| now.saturating_duration_since(at) > RETRY_AFTER_MAX;
        let fresh = state.pause.is_zero() || state.looked.is_some_and(long_ago);
        state.pause = if fresh { RETRY_AFTER } else { (state.pause * 2).min(RETRY_AFTER_MAX) };
        if state.stopping.is_some() {
            state.pause = RETRY_AFTER;
        }
        state.resumes = Some(now + state.pause);
    }

    /// Does all that is to be done now.
    pub(super) fn tend(&mut self) -> Result<(), StoreError> {
        (self.state.resumes, self.state.looked) = (None, Some(Instant::now()));
        let freed = std::mem::take(&mut self.state.given_back);
        if !freed.is_empty()
            && let Err(error) = self.store.release(&freed)
        {
            self.state.given_back.extend(freed);
            return Err(error);
        }
        self.renew()?;
        let nodes = match self.store.shared() {
            Some(shared) => shared.nodes()?.len(),
            None => 1,
        };
        let balance = lock(&self.held).balance(nodes);
        self.state.wants = false;
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
        let all: Vec<_> = lock(&self.held).all().collect();
        let lost = self.store.renew(&all, self.ttl)?;
        if self.state.stopping.is_none() {
            shared.heartbeat(&self.node, self.ttl)?;
        }
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
        self.state.wants = claimed.len() < count;
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
