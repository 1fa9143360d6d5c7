//! One stream for many results, where a server takes them so: less than half the work of a call for
//! each, on both sides. What is large, or for another server, is brought by a call of its own.
//!
//! Whoever posts a result does not wait for what becomes of it, so a turn goes from the thread that
//! ran it straight to the connection.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use foldhash::HashMap;
use futures::stream;
use prost::Message as _;
use taskhub_wire::results::{
    self as proto, Ahead, HandedBack, Taken, handed_back, results_client::ResultsClient,
};
use tokio::{runtime::Handle, sync::mpsc, time::Instant};
use tonic::{
    Code, Status, metadata::AsciiMetadataValue, service::interceptor::InterceptedService,
    transport::Channel,
};

use crate::{
    Brought,
    bringing::{by_call, is_later},
    error::is_absent,
    link::{Labels, Service},
};

/// What is larger does not hold up the others.
const BYTES_MAX: usize = 64 << 10;

/// After how long a server that refused such a stream is asked for one again: it may be another
/// one by then, or what kept it may be over.
const AGAIN_AFTER: Duration = Duration::from_mins(1);

type Client = ResultsClient<InterceptedService<Channel, Labels>>;

/// Told if the server does not take a result; dropped when it does.
type Refused = Box<dyn FnOnce(Status) + Send>;

/// The results of a connection, and their stream.
pub(crate) struct Results {
    client: Client,
    service: Service,
    runtime: Handle,
    known: Mutex<Known>,
}

/// The stream, opened when it is first needed, and again when it is lost.
#[derive(Default)]
struct Known {
    stream: Option<mpsc::UnboundedSender<HandedBack>>,
    /// What is on its way, by its number. Whoever posts has that much in hand and no more.
    waiting: HashMap<u64, Posted>,
    next: u64,
    refused_at: Option<Instant>,
}

struct Posted {
    result: Brought,
    refused: Refused,
}

impl Results {
    /// To be called within tokio.
    pub(crate) fn over(client: Client, service: Service) -> Self {
        Self { client, service, runtime: Handle::current(), known: Mutex::default() }
    }

    /// Sends a result on the stream; or by a call, if it is none for the stream.
    pub(crate) fn post(self: &Arc<Self>, result: Brought, refused: Refused) {
        let mut posted = Posted { result, refused };
        let Some((brought, ahead)) = of_stream(&mut posted.result) else {
            return self.call(posted);
        };
        let mut known = lock(&self.known);
        if known.refused_at.is_some_and(|at| at.elapsed() < AGAIN_AFTER) {
            drop(known);
            return self.call(posted);
        }
        let stream = known.stream.get_or_insert_with(|| self.open()).clone();
        known.next += 1;
        let number = known.next;
        known.waiting.insert(number, posted);
        if stream.send(HandedBack { number, result: Some(brought), ahead }).is_err() {
            let posted = known.waiting.remove(&number);
            drop(known);
            if let Some(posted) = posted {
                self.call(posted);
            }
        }
    }

    fn open(self: &Arc<Self>) -> mpsc::UnboundedSender<HandedBack> {
        let (sender, results) = mpsc::unbounded_channel();
        self.runtime.spawn(listen(self.client.clone(), results, Arc::downgrade(self)));
        sender
    }

    /// Brings a result by a call, as often as it takes.
    fn call(&self, Posted { result, refused }: Posted) {
        let service = self.service.clone();
        self.runtime.spawn(async move {
            if let Err(status) = by_call(&service, result).await {
                refused(status);
            }
        });
    }

    fn taken(&self, taken: Taken) {
        let mut known = lock(&self.known);
        let through: Vec<_> =
            taken.numbers.iter().filter_map(|number| known.waiting.remove(number)).collect();
        let refused: Vec<_> = taken
            .refused
            .into_iter()
            .filter_map(|it| Some((known.waiting.remove(&it.number)?, it)))
            .collect();
        drop(known);
        // Whoever posted it hears that it was taken.
        drop(through);
        for (posted, refused) in refused {
            match status(refused) {
                status if is_later(&status) => self.call(posted),
                status => (posted.refused)(status),
            }
        }
    }

    /// The stream has ended: what it did not answer is brought by calls. What was taken already
    /// counts once.
    fn ended(&self, is_refused: bool) {
        let mut known = lock(&self.known);
        known.stream = None;
        if is_refused {
            known.refused_at = Some(Instant::now());
        }
        let unsaid = std::mem::take(&mut known.waiting);
        drop(known);
        for posted in unsaid.into_values() {
            self.call(posted);
        }
    }
}

/// Listens to what the server says of results, until the stream ends.
async fn listen(
    mut client: Client,
    results: mpsc::UnboundedReceiver<HandedBack>,
    of: Weak<Results>,
) {
    let results =
        stream::unfold(results, |mut results| async { Some((results.recv().await?, results)) });
    let mut is_refused = false;
    match client.bring(results).await {
        Ok(answers) => {
            let mut answers = answers.into_inner();
            while let Ok(Some(taken)) = answers.message().await
                && let Some(of) = of.upgrade()
            {
                of.taken(taken);
            }
        }
        // Whatever it says of this stream: it may take calls.
        Err(status) => is_refused = !is_absent(&status),
    }
    if let Some(of) = of.upgrade() {
        of.ended(is_refused);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same as a message of the stream, if it is for that. A turn that was run ahead goes with it;
/// whoever brings the result again does without.
fn of_stream(result: &mut Brought) -> Option<(handed_back::Result, Option<Ahead>)> {
    let mut turn = None;
    let (result, bytes) = match result {
        Brought::Activity(it, ahead) => {
            let bytes = it.encoded_len();
            let fits = |ahead: &Ahead| bytes + ahead.encoded_len() <= BYTES_MAX;
            turn = ahead.take().map(|ahead| *ahead).filter(fits);
            (handed_back::Result::Activity(it.clone()), bytes)
        }
        Brought::Turn(it) => (handed_back::Result::Turn(it.clone()), it.encoded_len()),
        Brought::Operations(it) => (handed_back::Result::Operations(it.clone()), it.encoded_len()),
        _ => return None,
    };
    (bytes <= BYTES_MAX).then_some((result, turn))
}

/// What a server said, as a call would have been answered.
fn status(refused: proto::Refused) -> Status {
    let proto::Refused { code, message, busy, .. } = refused;
    let mut status = Status::new(Code::from(code), message);
    if busy {
        let after = AsciiMetadataValue::from_static("250");
        status.metadata_mut().insert("grpc-retry-pushback-ms", after);
    }
    status
}
