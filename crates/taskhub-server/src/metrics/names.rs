//! The names of the metrics, with what `docs/telemetry.md` says of them.

use metrics::Recorder as _;
use metrics_exporter_prometheus::PrometheusRecorder;

pub(super) const CALLS: &str = "taskhub_calls_total";
pub(super) const CALL_SECONDS: &str = "taskhub_call_seconds";
pub(super) const STARTED: &str = "taskhub_instances_started_total";
pub(super) const ENDED: &str = "taskhub_instances_ended_total";
pub(super) const COMMITS: &str = "taskhub_commits_total";
pub(super) const COMMIT_FAILURES: &str = "taskhub_commit_failures_total";
pub(super) const COMMIT_CHANGES: &str = "taskhub_commit_changes_total";
pub(super) const COMMIT_BYTES: &str = "taskhub_commit_bytes_total";
pub(super) const TURNS: &str = "taskhub_turns_total";
pub(super) const TURN_MICROS: &str = "taskhub_turn_microseconds_total";
pub(super) const FAILING: &str = "taskhub_store_failing";
pub(super) const UNCOMMITTED: &str = "taskhub_turns_uncommitted";
pub(super) const READS: &str = "taskhub_instances_read_total";
pub(super) const CACHED: &str = "taskhub_cached_instances";
pub(super) const CACHED_BYTES: &str = "taskhub_cached_bytes";
pub(super) const HELD: &str = "taskhub_held_requests";
pub(super) const WORKERS: &str = "taskhub_workers";
pub(super) const WAITING: &str = "taskhub_tasks_waiting";
pub(super) const GIVEN: &str = "taskhub_tasks_given";
pub(super) const BUILD: &str = "taskhub_build_info";

/// A histogram of the hubs themselves, and what it is.
pub(super) type Described = (&'static str, &'static str);

pub(super) const TURN_SECONDS: Described = (
    "taskhub_turn_seconds",
    "How long it was from when a change was begun to be decided until it was durable.",
);
pub(super) const COMMIT_SECONDS: Described =
    ("taskhub_commit_seconds", "How long each commit took that succeeded.");

/// Tells Prometheus what each of them is.
pub(super) fn describe(recorder: &PrometheusRecorder) {
    for (name, text) in [
        (CALLS, "Calls that were answered, by protocol, call and status."),
        (STARTED, "Orchestrations that were started, children included."),
        (ENDED, "Orchestrations that ended, by status."),
        (TURNS, "Changes of instances that were decided."),
        (TURN_MICROS, "How long deciding them took together."),
        (READS, "Instances that were read, as they were not in memory."),
        (COMMITS, "Commits that succeeded."),
        (COMMIT_FAILURES, "Commits that failed."),
        (COMMIT_CHANGES, "Changes of instances that were committed."),
        (COMMIT_BYTES, "About how many bytes were committed."),
    ] {
        recorder.describe_counter(name.into(), None, text.into());
    }
    for (name, text) in [
        (FAILING, "1 while nothing can be committed, 0 otherwise."),
        (UNCOMMITTED, "Changes that wait to be committed."),
        (CACHED, "Instances in memory."),
        (CACHED_BYTES, "About how many bytes they take."),
        (HELD, "Requests that wait for an instance."),
        (WORKERS, "Workers that are connected."),
        (WAITING, "Tasks that wait for a worker."),
        (GIVEN, "Tasks that workers have in hand."),
        (BUILD, "1, with the version of the server."),
    ] {
        recorder.describe_gauge(name.into(), None, text.into());
    }
    let text = "How long calls took; of a stream, until it began.";
    recorder.describe_histogram(CALL_SECONDS.into(), None, text.into());
}
