//! Makes a hub in lockstep move, whenever somebody sends it something or a timer of it is due.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc::{self, SyncSender},
    },
    time::Duration,
};

use taskhub_core::Timestamp;
use tokio::{runtime::Handle, sync::watch, time::Instant};

/// Between two steps that nobody but the hub itself asked for, time passes.
const TICK: Duration = Duration::from_millis(1);

/// One step: the hub goes as far as it can at this time, then says when it wants to go on.
pub(super) struct Step {
    pub now: Timestamp,
    pub done: SyncSender<Option<Timestamp>>,
}

/// Whoever has one makes the hub move.
#[derive(Clone)]
pub(super) struct Pacer {
    steps: mpsc::Sender<Step>,
    /// When it was opened, by its clock and by that of tokio.
    opened: (Timestamp, Instant),
    /// What time it was at the latest step.
    shown: Arc<AtomicI64>,
    wake: watch::Sender<Option<Timestamp>>,
}

thread_local! {
    /// Whether this thread is one that moves in lockstep: it cannot wait for itself.
    static IS_PACED: Cell<bool> = const { Cell::new(false) };
}

impl Pacer {
    pub(super) fn new(steps: mpsc::Sender<Step>, begins_at: Timestamp) -> Self {
        let (opened, shown) = ((begins_at, Instant::now()), AtomicI64::new(begins_at.0));
        Self { steps, opened, shown: Arc::new(shown), wake: watch::Sender::new(None) }
    }

    /// Moves the hub whenever a timer of it is due, from now on.
    pub(super) fn start(&self) {
        Handle::current().spawn(tick(self.clone(), self.wake.subscribe()));
    }

    /// This thread is the one that moves.
    pub(super) fn moves_this_thread() {
        IS_PACED.set(true);
    }

    /// The time at the latest step, as the hub sees it.
    pub(super) fn shown(&self) -> Arc<AtomicI64> {
        self.shown.clone()
    }

    /// Outside of the runtime, tokio's clock is not the one that may be paused.
    pub(super) fn now(&self) -> Timestamp {
        let shown = Timestamp(self.shown.load(Ordering::Relaxed));
        match Handle::try_current() {
            Ok(_) => shown.max(self.opened.0.plus(self.opened.1.elapsed())),
            Err(_) => shown,
        }
    }

    /// Moves the hub, and waits until it rests. False when it has ended.
    pub(super) fn step(&self) -> bool {
        if IS_PACED.get() {
            return true;
        }
        let (done, rests) = mpsc::sync_channel(1);
        if self.steps.send(Step { now: self.now(), done }).is_err() {
            return false;
        }
        let Ok(wake) = rests.recv() else { return false };
        self.wake.send_replace(wake);
        true
    }
}

async fn tick(pacer: Pacer, mut wake: watch::Receiver<Option<Timestamp>>) {
    let (begins_at, opened) = pacer.opened;
    loop {
        let due = *wake.borrow_and_update();
        let sleeps = async {
            let Some(due) = due else { return std::future::pending().await };
            let soon = Instant::now() + TICK;
            let at = opened.checked_add(due.since(begins_at)).unwrap_or(soon).max(soon);
            tokio::time::sleep_until(at).await;
        };
        let lives = tokio::select! {
            () = sleeps => pacer.step(),
            changed = wake.changed() => changed.is_ok(),
        };
        if !lives {
            return;
        }
    }
}
