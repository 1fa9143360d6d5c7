//! Ends a test in which an orchestration keeps its thread: it would never come back to say so.

use std::{
    io::{Write as _, stderr},
    process::exit,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    thread,
    time::Duration,
};

use taskhub_engine::{Watch, Watchdog};

/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often the same poll may be found: for about ten seconds. Looks are counted, not time, so
/// that neither a debugger nor a laptop that sleeps ends a test.
const LOOKS_MAX: u32 = 100;

/// What a test ends with when it panics.
const FAILED: i32 = 101;

/// The name of an orchestration whose code is polled.
type Name = &'static str;

/// The threads that poll; there only where something is tested.
static WATCHDOG: OnceLock<Mutex<Watchdog<Name>>> = OnceLock::new();

thread_local! {
    static WATCH: Option<Arc<Watch<Name>>> = watched();
}

/// From now on, polls in this process are watched.
pub(crate) fn watch() {
    WATCHDOG.get_or_init(|| {
        // Without this thread a test works as well, as long as its code does.
        let _ = thread::Builder::new().name("taskhub-test-watch".to_owned()).spawn(look_around);
        Mutex::default()
    });
}

fn watched() -> Option<Arc<Watch<Name>>> {
    let watch = Arc::default();
    let watchdog = WATCHDOG.get()?;
    watchdog.lock().unwrap_or_else(PoisonError::into_inner).add(&watch);
    Some(watch)
}

/// A poll that goes on until this is dropped.
pub(super) struct Polling(Arc<Watch<Name>>);

/// Code of the orchestration of this name begins to be polled.
pub(super) fn polled(name: Name) -> Option<Polling> {
    WATCHDOG.get()?;
    let watch = WATCH.try_with(Clone::clone).ok()??;
    watch.entered(&name);
    Some(Polling(watch))
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.0.left();
    }
}

fn look_around() {
    loop {
        thread::sleep(LOOK_EVERY);
        let Some(watchdog) = WATCHDOG.get() else { continue };
        let found = watchdog.lock().unwrap_or_else(PoisonError::into_inner).look();
        if let Some((name, looks)) = found.into_iter().find(|(_, looks)| *looks >= LOOKS_MAX) {
            // Directly, as what tests print is kept until they end.
            let _ = writeln!(
                stderr(),
                "\n`{name}` has been running for {} s without coming to an `.await` that waits, so \
                 this test would never end: a turn must not block or loop without end. Put what \
                 blocks into an activity, with `tokio::task::spawn_blocking`.",
                (LOOK_EVERY * looks).as_secs(),
            );
            exit(FAILED);
        }
    }
}
