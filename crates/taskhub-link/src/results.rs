//! One stream for many results, where a server takes them so: less than half the work of a call for
//! each, on both sides. What is large, or for another server, is brought by a call of its own.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use foldhash::HashMap;
use futures::stream;
use prost::Message as _;
use taskhub_wire::results::{HandedBack, Taken, handed_back, results_client::ResultsClient};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::{
    Code, Status, metadata::AsciiMetadataValue, service::interceptor::InterceptedService,
    transport::Channel,
};

use crate::{
    Brought,
    error::is_absent,
    link::{ANSWER_TIME_MAX, Labels},
};

/// What is larger does not hold up the others.
const BYTES_MAX: usize = 64 << 10;

/// Results that are ready before the connection takes them.
const AHEAD: usize = 256;

type Client = ResultsClient<InterceptedService<Channel, Labels>>;

/// The stream of a connection, opened when it is first needed, and again when it is lost.
pub(crate) struct Results {
    client: Client,
    open: Mutex<Option<Open>>,
    /// The server takes no such stream.
    is_unknown: AtomicBool,
    next: AtomicU64,
}

/// A stream.
#[derive(Clone)]
struct Open {
    sender: mpsc::Sender<HandedBack>,
    waiting: Arc<Waiting>,
}

/// Who waits to hear what became of which result; nobody any more when the stream has ended.
#[derive(Default)]
struct Waiting(Mutex<Option<HashMap<u64, oneshot::Sender<Taken>>>>);

impl Results {
    pub(crate) fn over(client: Client) -> Self {
        let (open, is_unknown) = (Mutex::default(), AtomicBool::default());
        Self { client, open, is_unknown, next: AtomicU64::default() }
    }

    /// Brings a result, and says what the server said; or gives it back, to be brought by a call.
    pub(crate) async fn bring(
        self: &Arc<Self>,
        result: Brought,
    ) -> Result<Result<(), Status>, Brought> {
        if self.is_unknown.load(Ordering::Relaxed) || bytes(&result) > BYTES_MAX {
            return Err(result);
        }
        let brought = match result {
            Brought::Activity(it) => handed_back::Result::Activity(it),
            Brought::Turn(it) => handed_back::Result::Turn(it),
            Brought::Operations(it) => handed_back::Result::Operations(it),
            undone => return Err(undone),
        };
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let Open { sender, waiting } = self.open();
        let (told, taken) = oneshot::channel();
        waiting.add(number, told);
        let sent = sender.send(HandedBack { number, result: Some(brought) }).await;
        let lost = || Status::unavailable("the stream of results ended");
        if sent.is_err() {
            return Ok(Err(lost()));
        }
        let Ok(taken) = timeout(ANSWER_TIME_MAX, taken).await else {
            waiting.forget(number);
            let late = "the server does not say what became of it";
            return Ok(Err(Status::deadline_exceeded(late)));
        };
        Ok(taken.map_err(|_| lost()).and_then(status))
    }

    fn open(self: &Arc<Self>) -> Open {
        let mut open = lock(&self.open);
        if let Some(open) = &*open
            && !open.sender.is_closed()
        {
            return open.clone();
        }
        let (sender, results) = mpsc::channel(AHEAD);
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::default()))));
        let listening = listen(self.client.clone(), results, waiting.clone(), Arc::downgrade(self));
        tokio::spawn(listening);
        let new = Open { sender, waiting };
        *open = Some(new.clone());
        new
    }
}

/// Listens to what the server says of results, until the stream ends.
async fn listen(
    mut client: Client,
    results: mpsc::Receiver<HandedBack>,
    waiting: Arc<Waiting>,
    of: Weak<Results>,
) {
    let results =
        stream::unfold(results, |mut results| async { Some((results.recv().await?, results)) });
    match client.bring(results).await {
        Ok(answers) => {
            let mut answers = answers.into_inner();
            while let Ok(Some(taken)) = answers.message().await {
                waiting.tell(taken);
            }
        }
        // Whatever it says of this stream: it may take calls.
        Err(status) if !is_absent(&status) => {
            if let Some(of) = of.upgrade() {
                of.is_unknown.store(true, Ordering::Relaxed);
            }
        }
        Err(_) => {}
    }
    waiting.end();
}

impl Waiting {
    fn add(&self, number: u64, told: oneshot::Sender<Taken>) {
        if let Some(waiting) = &mut *lock(&self.0) {
            waiting.insert(number, told);
        }
    }

    fn tell(&self, taken: Taken) {
        if let Some(told) = self.forget(taken.number) {
            let _ = told.send(taken);
        }
    }

    fn forget(&self, number: u64) -> Option<oneshot::Sender<Taken>> {
        lock(&self.0).as_mut().and_then(|waiting| waiting.remove(&number))
    }

    fn end(&self) {
        lock(&self.0).take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bytes(result: &Brought) -> usize {
    match result {
        Brought::Activity(it) => it.encoded_len(),
        Brought::Turn(it) => it.encoded_len(),
        Brought::Operations(it) => it.encoded_len(),
        _ => 0,
    }
}

/// What a server said, as a call would have been answered.
fn status(taken: Taken) -> Result<(), Status> {
    let Taken { code, message, busy, .. } = taken;
    if code == 0 {
        return Ok(());
    }
    let mut status = Status::new(Code::from(code), message);
    if busy {
        let after = AsciiMetadataValue::from_static("250");
        status.metadata_mut().insert("grpc-retry-pushback-ms", after);
    }
    Err(status)
}
