//! Ends a test in which an orchestration keeps its thread: it would never come back to say so.

use std::{
    collections::BTreeMap,
    io::{Write as _, stderr},
    process::exit,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often the same poll may be found: for about ten seconds. Looks are counted, not time, so
/// that neither a debugger nor a laptop that sleeps ends a test.
const LOOKS_MAX: u32 = 100;

/// What a test ends with when it panics.
const FAILED: i32 = 101;

/// The polls that go on just now; there only where something is tested.
static POLLS: OnceLock<Mutex<BTreeMap<u64, Poll>>> = OnceLock::new();

struct Poll {
    name: &'static str,
    looks: u32,
}

/// From now on, polls in this process are watched.
pub(super) fn watch() {
    POLLS.get_or_init(|| {
        // Without this thread a test works as well, as long as its code does.
        let _ = thread::Builder::new().name("taskhub-test-watch".to_owned()).spawn(look_around);
        Mutex::default()
    });
}

/// A poll that goes on until this is dropped.
pub(crate) struct Polling(u64);

/// Code of the orchestration of this name begins to be polled.
pub(crate) fn polled(name: &'static str) -> Option<Polling> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let polls = POLLS.get()?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    lock(polls).insert(number, Poll { name, looks: 0 });
    Some(Polling(number))
}

impl Drop for Polling {
    fn drop(&mut self) {
        if let Some(polls) = POLLS.get() {
            lock(polls).remove(&self.0);
        }
    }
}

fn look_around() {
    loop {
        thread::sleep(LOOK_EVERY);
        let Some(polls) = POLLS.get() else { continue };
        for poll in lock(polls).values_mut() {
            poll.looks += 1;
            if poll.looks > LOOKS_MAX {
                // Directly, as what tests print is kept until they end.
                let _ = writeln!(
                    stderr(),
                    "\n`{}` has been running for {} s without coming to an `.await` that waits, so \
                     this test would never end: a turn must not block or loop without end. Put \
                     what blocks into an activity, with `tokio::task::spawn_blocking`.",
                    poll.name,
                    (LOOK_EVERY * LOOKS_MAX).as_secs(),
                );
                exit(FAILED);
            }
        }
    }
}

fn lock(polls: &Mutex<BTreeMap<u64, Poll>>) -> MutexGuard<'_, BTreeMap<u64, Poll>> {
    polls.lock().unwrap_or_else(PoisonError::into_inner)
}
