//! Names the instance whose code keeps a thread, when it does not come to an `.await` for long.
//!
//! A loop without an end cannot be stopped from outside, and all else that its thread has to do
//! waits for it. But people can be told whose it is.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use taskhub_core::{
    InstanceId,
    turn::{Functions, Orchestration},
};

/// How often somebody looks. Code that runs so long is named after twice that time at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What runs on one thread, and whose it is.
#[derive(Debug)]
pub struct Watch<T = InstanceId> {
    /// How often code began to run or came back: odd as long as it runs. One thread counts.
    steps: AtomicU64,
    /// Whose code ran last.
    whose: Mutex<Option<T>>,
}

impl<T: Clone> Watch<T> {
    /// Code of this one begins to run.
    pub fn entered(&self, whose: &T) {
        *self.whose.lock().unwrap_or_else(PoisonError::into_inner) = Some(whose.clone());
        self.step();
    }

    /// It has come back.
    pub fn left(&self) {
        self.step();
    }

    fn step(&self) {
        self.steps.store(self.steps() + 1, Ordering::Release);
    }

    fn steps(&self) -> u64 {
        self.steps.load(Ordering::Acquire)
    }

    /// Whose code it is, if it has not come back since these steps.
    fn whose(&self, steps: u64) -> Option<T> {
        let whose = self.whose.lock().unwrap_or_else(PoisonError::into_inner).clone();
        whose.filter(|_| self.steps() == steps)
    }
}

impl<T> Default for Watch<T> {
    fn default() -> Self {
        Self { steps: AtomicU64::new(0), whose: Mutex::new(None) }
    }
}

/// The code of one thread, which says what runs.
pub(crate) struct Watched {
    pub(crate) functions: Arc<dyn Functions>,
    pub(crate) watch: Arc<Watch>,
}

impl Functions for Watched {
    fn orchestration(&self, name: &str, version: Option<&str>) -> Option<&dyn Orchestration> {
        self.functions.orchestration(name, version)
    }

    fn entered(&self, instance: &InstanceId) {
        self.watch.entered(instance);
    }

    fn left(&self) {
        self.watch.left();
    }
}

/// Starts a thread that looks at these, until they are gone, and logs what it finds: at the first
/// look that finds it, and again when it is twice as long.
pub fn watch(watches: &[Arc<Watch>]) -> io::Result<()> {
    let mut watchdog = Watchdog::default();
    for watch in watches {
        watchdog.add(watch);
    }
    thread::Builder::new().name("taskhub-watchdog".to_owned()).spawn(move || {
        loop {
            thread::sleep(LOOK_EVERY);
            let found = watchdog.look();
            if watchdog.is_empty() {
                break;
            }
            for (instance, looks) in found.into_iter().filter(|(_, it)| it.is_power_of_two()) {
                let seconds = LOOK_EVERY.as_secs() * u64::from(looks);
                tracing::error!(
                    %instance,
                    "its code has been running for more than {seconds} s without an `.await`: \
                     whatever else its thread has to do waits"
                );
            }
        }
    })?;
    Ok(())
}

/// What was seen of each thread.
#[derive(Debug)]
pub struct Watchdog<T = InstanceId>(Vec<Seen<T>>);

#[derive(Debug)]
struct Seen<T> {
    watch: Weak<Watch<T>>,
    steps: u64,
    /// How often the same code ran.
    looks: u32,
}

impl<T> Default for Watchdog<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Watchdog<T> {
    /// Looks at this one too, until it is gone.
    pub fn add(&mut self, watch: &Arc<Watch<T>>) {
        self.0.push(Seen { watch: Arc::downgrade(watch), steps: 0, looks: 0 });
    }

    /// Whether there is nothing left to look at.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose code has been running since so many looks before this one.
    pub fn look(&mut self) -> Vec<(T, u32)> {
        let mut found = Vec::new();
        self.0.retain_mut(|seen| {
            let Some(watch) = seen.watch.upgrade() else { return false };
            let steps = watch.steps();
            let same = steps % 2 == 1 && steps == seen.steps;
            seen.looks = if same { seen.looks + 1 } else { 0 };
            seen.steps = steps;
            if same && let Some(whose) = watch.whose(steps) {
                found.push((whose, seen.looks));
            }
            true
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_code_runs_on_is_found_with_how_long() {
        let (one, two) = (Arc::new(Watch::default()), Arc::new(Watch::default()));
        let mut watchdog = Watchdog::default();
        watchdog.add(&one);
        watchdog.add(&two);
        one.entered(&"busy");
        let mut looks = Vec::new();
        for _ in 0..4 {
            two.entered(&"quick");
            looks.extend(watchdog.look());
            two.left();
        }
        assert_eq!(looks, [("busy", 1), ("busy", 2), ("busy", 3)]);
        one.left();
        assert_eq!(watchdog.look(), []);
        one.entered(&"busy");
        assert_eq!(watchdog.look(), [], "this is another turn");
        assert_eq!(watchdog.look(), [("busy", 1)]);
        drop((one, two));
        assert!(watchdog.look().is_empty() && watchdog.is_empty());
    }
}
