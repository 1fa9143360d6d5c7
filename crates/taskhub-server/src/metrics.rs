//! What the server counts, in the form that Prometheus reads.

mod histogram;
mod names;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Request, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use prost_reflect::DescriptorPool;
use taskhub_engine::{Hub, Tally};
use taskhub_wire::proto::DESCRIPTORS;
use tokio::time::Instant;
use tonic::Status;

use crate::{HubName, Hubs, http};

/// The upper ends of the classes of latency, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// How often what was measured is put into these classes, so that it does not pile up.
const UPKEEP: Duration = Duration::from_secs(5);

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

static METADATA: Metadata<'_> = Metadata::new("taskhub", Level::INFO, None);

/// The numbers of one server, for Prometheus. Clones are the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    /// The names that a label may have: nobody outside makes up new ones.
    calls: Arc<BTreeSet<String>>,
    hubs: Hubs,
}

/// A call under way.
pub(crate) struct Begun {
    protocol: &'static str,
    call: String,
    at: Instant,
}

impl Metrics {
    /// Numbers for the server of these hubs; call it within tokio.
    #[must_use]
    pub fn new(hubs: &Hubs) -> Self {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).unwrap_or_default();
        let recorder = Arc::new(builder.build_recorder());
        names::describe(&recorder);
        let (handle, stopping) = (recorder.handle(), hubs.stopping().clone());
        tokio::spawn(async move {
            let mut every = tokio::time::interval(UPKEEP);
            while stopping.run_until_cancelled(every.tick()).await.is_some() {
                handle.run_upkeep();
            }
        });
        Self { recorder, calls: Arc::new(calls()), hubs: hubs.clone() }
    }

    /// A request came.
    pub(crate) fn begin(&self, request: &Request<Body>, is_grpc: bool) -> Begun {
        let path = request.uri().path();
        let (protocol, call) = if is_grpc {
            let name = path.rsplit('/').next().unwrap_or_default();
            ("grpc", self.calls.get(name).map_or("other", String::as_str))
        } else if http::is_management(request.uri()) {
            ("http", "management")
        } else {
            let known = http::PROBES.iter().chain([&http::METRICS_PATH, &"/version"]);
            ("http", known.copied().find(|known| *known == path).unwrap_or("other"))
        };
        Begun { protocol, call: call.to_owned(), at: Instant::now() }
    }

    /// It was answered; of a stream, the beginning was.
    pub(crate) fn end(&self, begun: Begun, response: &Response) {
        let status = if begun.protocol == "grpc" {
            let refused = Status::from_header_map(response.headers());
            refused.map_or("Ok".to_owned(), |status| format!("{:?}", status.code()))
        } else {
            response.status().as_str().to_owned()
        };
        let mut labels =
            vec![Label::new("protocol", begun.protocol), Label::new("call", begun.call)];
        let seconds = Key::from_parts(names::CALL_SECONDS, labels.clone());
        self.recorder.register_histogram(&seconds, &METADATA).record(begun.at.elapsed());
        labels.push(Label::new("status", status));
        let calls = Key::from_parts(names::CALLS, labels);
        self.recorder.register_counter(&calls, &METADATA).increment(1);
    }

    /// All numbers, as Prometheus reads them.
    #[must_use]
    pub fn response(&self) -> Response {
        let hubs = self.hubs.open_ones();
        let hubs: Vec<_> = hubs.into_iter().map(|(name, hub)| (name, hub.tally(), hub)).collect();
        self.look(&hubs);
        let mut text = self.recorder.handle().render();
        let turns = hubs.iter().map(|(name, tally, _)| (name, tally.turn_times));
        let commits = hubs.iter().map(|(name, tally, _)| (name, tally.commit_times));
        let added = histogram::render(&mut text, names::TURN_SECONDS, turns)
            .and_then(|()| histogram::render(&mut text, names::COMMIT_SECONDS, commits));
        debug_assert!(added.is_ok(), "a text takes everything");
        ([(CONTENT_TYPE, TEXT)], text).into_response()
    }

    /// Takes over what the hubs count, and looks how much there is of what comes and goes.
    fn look(&self, hubs: &[(HubName, Tally, Hub)]) {
        let version = vec![Label::new("version", env!("CARGO_PKG_VERSION"))];
        self.gauge(names::BUILD, version, 1);
        for (name, tally, hub) in hubs {
            let label = || vec![Label::new("hub", name.to_string())];
            let (workers, waiting, given) = hub.workers();
            self.gauge(names::WORKERS, label(), workers);
            self.gauge(names::WAITING, label(), waiting);
            self.gauge(names::GIVEN, label(), given);
            self.gauge(names::HELD, label(), hub.held_requests());
            self.gauge(names::FAILING, label(), usize::from(hub.store_failure().is_some()));
            self.counter(names::COMMITS, label(), tally.commits);
            self.counter(names::COMMIT_FAILURES, label(), tally.failures);
            self.counter(names::COMMIT_CHANGES, label(), tally.changes);
            self.counter(names::COMMIT_BYTES, label(), tally.bytes);
            self.counter(names::STARTED, label(), tally.started);
            self.counter(names::TURNS, label(), tally.turns);
            self.counter(names::TURN_MICROS, label(), tally.turn_micros);
            self.counter(names::READS, label(), tally.reads);
            let now = [
                (names::UNCOMMITTED, tally.waiting),
                (names::CACHED, tally.cached),
                (names::CACHED_BYTES, tally.cached_bytes),
            ];
            for (name, value) in now {
                self.gauge(name, label(), usize::try_from(value).unwrap_or(usize::MAX));
            }
            let ends = [
                ("Completed", tally.completed),
                ("Failed", tally.failed),
                ("Terminated", tally.terminated),
            ];
            for (status, count) in ends {
                let labels = [label(), vec![Label::new("status", status)]].concat();
                self.counter(names::ENDED, labels, count);
            }
        }
    }

    fn gauge(&self, name: &'static str, labels: Vec<Label>, value: usize) {
        let key = Key::from_parts(name, labels);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        self.recorder.register_gauge(&key, &METADATA).set(value as f64);
    }

    fn counter(&self, name: &'static str, labels: Vec<Label>, value: u64) {
        let key = Key::from_parts(name, labels);
        self.recorder.register_counter(&key, &METADATA).absolute(value);
    }
}

/// The names of the calls of the protocol.
fn calls() -> BTreeSet<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap_or_default();
    let calls = pool.services().flat_map(|service| {
        let names: Vec<_> = service.methods().map(|call| call.name().to_owned()).collect();
        names
    });
    calls.collect()
}
