//! A whole hub in memory, in virtual time, for tests in which everything really runs.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use taskhub_core::{Change, HistoryChange, TurnRecord, codec};
use taskhub_engine::{Death, Dies, Hub, Lockstep, store::MemoryStore};
use tokio::time::Instant;

use super::{NOON, blocked};
use crate::{Client, Host, HostBuilder, HostError, Timestamp};

/// Several, so that instances reach each other across partitions, as they do in earnest.
const PARTITIONS: u16 = 4;

/// A hub in memory whose clock is that of tokio: pause it, and a year takes a moment.
///
/// Everything is as in earnest: activities run on the runtime of the test, the [`Client`] is a
/// client, the routes answer. Only time stands still while there is anything to do, and otherwise
/// jumps to whatever is waited for next, be it a timer of an orchestration, a `tokio::time::sleep`
/// of an activity, or the test's own. The hub begins at noon of 2024-01-01, UTC.
///
/// It needs tokio's feature `test-util`, and a test that begins with the clock paused. Without
/// the pause it runs in real time.
///
/// ```
/// use std::time::Duration;
/// use taskhub::{prelude::*, testing::TestHub};
///
/// #[activity]
/// async fn remind(customer: String) -> Result<String> {
///     tokio::time::sleep(Duration::from_secs(5)).await; // it takes its time
///     Ok(format!("reminded {customer}"))
/// }
///
/// #[orchestration]
/// async fn dunning(ctx: Context, customer: String) -> Result<String> {
///     ctx.sleep(Duration::from_secs(30 * 24 * 3600)).await;
///     ctx.call(remind, customer).await
/// }
///
/// #[tokio::main(flavor = "current_thread", start_paused = true)] // in a test: #[tokio::test(..)]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let hub = TestHub::new();
///     let host = hub.open(Host::builder().orchestration(dunning).activity(remind))?;
///     let began = host.client().now();
///     let run = host.client().start(dunning, "Ada".to_owned()).await?;
///     let year = Duration::from_secs(365 * 24 * 3600);
///     assert_eq!(run.wait(year).await?, "reminded Ada");
///     assert_eq!((host.client().now() - began).as_secs(), 30 * 24 * 3600 + 5);
///     Ok(())
/// }
/// ```
pub struct TestHub {
    store: MemoryStore,
    began: Instant,
    commits: Arc<AtomicU64>,
    /// Beside which commit the process dies, counted from 0.
    dies: Option<(u64, Death)>,
    /// What that commit was to write.
    fatal: Arc<Mutex<Option<String>>>,
    opened: Mutex<Vec<Client>>,
}

impl TestHub {
    /// An empty hub.
    #[must_use]
    pub fn new() -> Self {
        blocked::watch();
        Self {
            store: MemoryStore::new(PARTITIONS),
            began: Instant::now(),
            commits: Arc::default(),
            dies: None,
            fatal: Arc::default(),
            opened: Mutex::default(),
        }
    }

    /// A hub whose process dies once, beside the commit of this number, counted from 0.
    pub(super) fn dying(commit: u64, death: Death) -> Self {
        Self { dies: Some((commit, death)), ..Self::new() }
    }

    /// Opens the hub with this host's functions, routes and triggers; a store of the host's own is
    /// not used. Opened again after [`Host::stop`], it has what it had: so a test can restart a
    /// program, or deploy another version of it.
    pub fn open(&self, host: HostBuilder) -> Result<Host, HostError> {
        let host = host.build_on(|code, limits| {
            let how = Lockstep { begins_at: self.now().core(), dies: self.dies() };
            Ok(Hub::open_in_lockstep(Arc::new(self.store.clone()), code, limits, how)?)
        })?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.push(host.client().clone());
        Ok(host)
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        NOON + self.began.elapsed()
    }

    fn dies(&self) -> Dies {
        let (commits, fatal, dies) = (self.commits.clone(), self.fatal.clone(), self.dies);
        Box::new(move |turn| {
            let number = commits.fetch_add(1, Ordering::Relaxed);
            let (_, death) = dies.filter(|(commit, _)| *commit == number)?;
            *fatal.lock().unwrap_or_else(PoisonError::into_inner) = Some(told(turn));
            Some(death)
        })
    }

    /// How many commits were made or tried.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// What the commit was to write beside which the process died, if it did.
    pub(super) fn fatal(&self) -> Option<String> {
        self.fatal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops what was opened.
    pub(super) async fn stop(self) {
        let opened = self.opened.into_inner().unwrap_or_else(PoisonError::into_inner);
        for client in opened {
            if let Some(hub) = client.hub() {
                hub.stop().await;
            }
        }
    }
}

impl Default for TestHub {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestHub(at {})", self.now())
    }
}

/// What a turn writes: of which instance, and which events.
fn told(turn: &TurnRecord) -> String {
    let (HistoryChange::Append { events, .. } | HistoryChange::Replace { events }) =
        (match &turn.change {
            Change::Write { history, .. } => history,
            _ => &HistoryChange::Keep,
        })
    else {
        return format!("`{}` writes no event", turn.instance);
    };
    let events = codec::decode_history(std::slice::from_ref(events)).unwrap_or_default();
    let kinds = events.iter().map(|event| {
        let kind = format!("{:?}", event.kind);
        let kind = kind.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
        event.kind.call().map_or(kind.to_owned(), |call| format!("{kind} {call}"))
    });
    format!("`{}` writes {}", turn.instance, kinds.collect::<Vec<_>>().join(", "))
}
