//! What a system implements to be measured.
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use axum::Router;
use tokio::sync::mpsc::UnboundedSender;

use crate::{Door, Place};

/// Whatever went wrong, to be printed.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result that carries whatever went wrong.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A system under measurement, open on one store, with its durable default settings.
///
/// [`weather`](System::weather) serves W1. [`start`](System::start) and [`wait`](System::wait)
/// serve W2 to W4; W5 needs [`raise`](System::raise) as well. W6 needs [`hold`](System::hold) only.
pub trait System: Sized + Send + Sync + 'static {
    /// Opens the store in `place`, creating it when there is none.
    ///
    /// Each activity marks `steps` when it runs, and does nothing else. So does a
    /// [`Job::Wait`], right before it waits.
    fn open(place: &Place, steps: Steps) -> impl Future<Output = Result<Self>> + Send;

    /// The weather API: `GET /api/weather` waits for the text of `POST /api/replies/{id}`.
    ///
    /// Each id goes to `published` once its request is durable. A reply is taken with 204, or
    /// another 2xx, once it is durable; the GET then answers 200 with its text.
    fn weather(&self, published: Published) -> Api;

    /// Starts an instance, and returns once that is durable.
    fn start(&self, id: &str, job: Job) -> impl Future<Output = Result<()>> + Send {
        let _ = (id, job);
        async { Err("this system has no orchestrations".into()) }
    }

    /// Waits until an instance has completed, and returns its output.
    fn wait(&self, id: &str) -> impl Future<Output = Result<String>> + Send {
        let _ = id;
        async { Err("this system has no orchestrations".into()) }
    }

    /// Raises the event that a [`Job::Wait`] waits for, and returns once that is durable.
    fn raise(&self, id: &str, text: &str) -> impl Future<Output = Result<()>> + Send {
        let _ = (id, text);
        async { Err("this system has no events".into()) }
    }

    /// Serves in this process, as it does for its users, with a way to have requests held.
    #[must_use]
    fn hold(place: &Place, door: Door) -> impl Future<Output = Result<Holding>> + Send {
        let _ = (place, door);
        async { Err("this system does not serve by itself".into()) }
    }
}

/// Where the weather API of a system is.
#[derive(Debug)]
pub enum Api {
    /// In this process, by these routes.
    Routes(Router),
    /// In a server that has HTTP itself, with the same two exchanges at paths of its own.
    Server {
        /// Where it listens.
        address: SocketAddr,
        /// What is asked by a GET.
        hold: &'static str,
        /// What comes before the id and behind it where a reply is posted.
        reply: [&'static str; 2],
    },
}

impl From<Router> for Api {
    fn from(routes: Router) -> Api {
        Api::Routes(routes)
    }
}

/// A server whose requests are held.
pub struct Holding {
    /// Where it listens.
    pub address: SocketAddr,
    /// What to ask it.
    pub method: &'static str,
    /// The path and the query.
    pub path: String,
    /// How many requests are held just now.
    pub held: Box<dyn Fn() -> usize + Send + Sync>,
}

impl std::fmt::Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holding").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The orchestrations a system is measured with.
#[derive(Clone, Copy, Debug)]
pub enum Job {
    /// So many activities, one after the other.
    Chain(usize),
    /// So many activities at once, joined.
    FanOut(usize),
    /// One external event, whose text is the output.
    Wait,
}

/// Counts the activities that ran, and remembers when each of the first few thousand did.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Marks>>);

#[derive(Debug, Default)]
struct Marks {
    count: usize,
    first: Vec<Instant>,
}

/// How many steps are remembered: a million parked instances must not weigh more for it.
const REMEMBERED: usize = 4096;

impl Steps {
    /// Notes that a step ran just now.
    pub fn mark(&self) {
        let mut marks = self.marks();
        marks.count += 1;
        if marks.count <= REMEMBERED {
            marks.first.push(Instant::now());
        }
    }

    /// How many steps ran.
    #[must_use]
    pub fn count(&self) -> usize {
        self.marks().count
    }

    /// When each of the first steps ran, in order.
    pub(crate) fn times(&self) -> Vec<Instant> {
        self.marks().first.clone()
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().expect("nothing panics while it holds the marks")
    }
}

/// Where a system announces that a weather request is durable and may be answered.
#[derive(Clone, Debug)]
pub struct Published(Arc<Repliers>);

#[derive(Debug)]
struct Repliers {
    inboxes: Vec<UnboundedSender<String>>,
    next: AtomicUsize,
}

impl Published {
    pub(crate) fn to(inboxes: Vec<UnboundedSender<String>>) -> Published {
        Published(Arc::new(Repliers { inboxes, next: AtomicUsize::new(0) }))
    }

    /// The request `id` is durable: its reply may be sent.
    pub fn announce(&self, id: String) {
        let next = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.inboxes.len();
        let _ = self.0.inboxes[next].send(id);
    }
}
