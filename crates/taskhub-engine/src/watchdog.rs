//! Names the instance whose code keeps a thread, when it does not come to an `.await` for long.
//!
//! A loop without an end cannot be stopped from outside, and all else that its thread has to do
//! waits for it. But people can be told whose it is.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use taskhub_core::{
    InstanceId,
    turn::{Functions, Orchestration},
};

/// How often somebody looks. Code that runs so long is named after twice that time at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What runs on one thread.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    instance: Option<InstanceId>,
    /// How often code began to run.
    turns: u64,
}

impl Watch {
    /// Code of this instance begins to run.
    pub fn entered(&self, instance: &InstanceId) {
        let mut running = self.lock();
        running.turns += 1;
        running.instance = Some(instance.clone());
    }

    /// It has come back.
    pub fn left(&self) {
        self.lock().instance = None;
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Starts a thread that looks at these, until they are gone, and logs what it finds.
pub fn watch(watches: &[Arc<Watch>]) -> io::Result<()> {
    let mut watchdog = Watchdog::of(watches);
    thread::Builder::new().name("taskhub-watchdog".to_owned()).spawn(move || {
        loop {
            thread::sleep(LOOK_EVERY);
            let Some(found) = watchdog.look() else { break };
            for (instance, looks) in found {
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
struct Watchdog(Vec<Seen>);

struct Seen {
    watch: Weak<Watch>,
    turns: u64,
    /// How often the same code ran.
    looks: u32,
}

impl Watchdog {
    fn of(watches: &[Arc<Watch>]) -> Self {
        let unseen = |watch| Seen { watch: Arc::downgrade(watch), turns: 0, looks: 0 };
        Self(watches.iter().map(unseen).collect())
    }

    /// Whose code has been running since so many looks, where it is time to say so: at the first of
    /// them, and again when it is twice as long. `None` when all are gone.
    fn look(&mut self) -> Option<Vec<(InstanceId, u32)>> {
        let mut found = Vec::new();
        self.0.retain_mut(|seen| {
            let Some(watch) = seen.watch.upgrade() else { return false };
            let running = watch.lock();
            let same = running.instance.is_some() && running.turns == seen.turns;
            seen.looks = if same { seen.looks + 1 } else { 0 };
            seen.turns = running.turns;
            if let Some(instance) =
                running.instance.as_ref().filter(|_| seen.looks.is_power_of_two())
            {
                found.push((instance.clone(), seen.looks));
            }
            true
        });
        (!self.0.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_code_runs_on_is_named_ever_more_seldom() {
        let (one, two) = (Arc::new(Watch::default()), Arc::new(Watch::default()));
        let mut watchdog = Watchdog::of(&[one.clone(), two.clone()]);
        let id = InstanceId::trusted("busy");
        one.entered(&id);
        let mut looks = Vec::new();
        for _ in 0..9 {
            two.entered(&InstanceId::trusted("quick"));
            looks.extend(watchdog.look().expect("they are there").into_iter().map(|it| it.1));
            two.left();
        }
        assert_eq!(looks, [1, 2, 4, 8]);
        one.left();
        assert_eq!(watchdog.look(), Some(Vec::new()));
        one.entered(&id);
        assert_eq!(watchdog.look(), Some(Vec::new()), "this is another turn");
        assert_eq!(watchdog.look(), Some(vec![(id, 1)]));
        drop((one, two));
        assert_eq!(watchdog.look(), None);
    }
}
