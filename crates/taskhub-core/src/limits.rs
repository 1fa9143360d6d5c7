//! Every bound in the system, in one place. Beyond a limit the caller hears "try later"; nothing
//! that was accepted is dropped.

use std::time::Duration;

/// The bounds of one node. The unit ends each name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests under way, those aside that wait for an end: so many times the turn threads.
    pub mailbox_count_max: usize,
    /// Turns in one commit.
    pub batch_count_max: usize,
    /// Bytes in one commit.
    pub batch_bytes_max: usize,
    /// Rounds of turns, of one partition each, that wait for the lane.
    pub lane_count_max: usize,
    /// Bytes of instances that are kept in memory, per node.
    pub cache_bytes_max: usize,
    /// Requests that wait for an instance to begin or to end, per node.
    pub waiters_count_max: usize,
    /// Wakes (timers and the like) in a page of the store's list, and busy instances in a page of
    /// theirs. A partition keeps two pages of wakes in memory and one of busy instances.
    pub wakes_count_max: usize,
    /// Operations of one entity handed to a worker at once.
    pub operations_count_max: usize,
    /// Activities of one name handed to workers by one partition and not yet finished; the rest
    /// waits. Of all names together twice as many, of which each gets no more than is free, so that
    /// what nobody serves holds up nothing else. So many turns for workers elsewhere, and so many
    /// entities, besides.
    pub tasks_count_max: usize,
    /// Workers elsewhere that may be lost one after another with the same work, before nobody gets
    /// it any more.
    pub workers_lost_max: u32,
    /// Activities that run at the same time in this process.
    pub activity_slots: usize,
    /// Arrivals that one instance holds and no turn has taken.
    pub backlog_count_max: usize,
    /// Events kept for one instance that nobody has started yet.
    pub early_events_max: usize,
    /// Instances that nobody has started and that have such events, per hub: each partition has its
    /// share.
    pub early_instances_max: usize,
    /// An input, output, event or status, in bytes.
    pub payload_bytes_max: usize,
    /// What the code of one turn calls, shows and comes to, or what the operations of one turn of
    /// an entity do, all together, in bytes; also the events that are kept for one instance that
    /// nobody has started.
    pub turn_bytes_max: usize,
    /// A text of a failure (its message, its stack), and why an instance is parked, in bytes. What
    /// is longer is cut, and says by how much. Details of failures are payloads.
    pub failure_text_bytes_max: usize,
    /// Failures in a chain of causes; what lies deeper is left out.
    pub failure_causes_max: usize,
    /// Calls made by one turn.
    pub calls_per_turn_max: usize,
    /// Children of earlier executions that may run still, and that an instance remembers when it
    /// continues as new, to end or to forget them with it. The oldest are forgotten first.
    pub children_kept_max: usize,
    /// Events in one history.
    pub history_events_max: u64,
    /// Events in a history that are a reason to warn, and again at each multiple of it.
    pub history_events_warn: u64,
    /// Of so many instances one is a sample: it is dropped from memory whenever its history has
    /// doubled, so that its next turn begins with a replay. Code that is not deterministic is found
    /// so while it runs, not only after a restart. 0 takes no samples.
    pub replay_samples: u64,
    /// Threads that read instances from the store.
    pub readers_count: usize,
    /// Lists, histories and the like that are read for clients at the same time; the others wait.
    pub looks_count_max: usize,
    /// Executions that one instance may run in a row (continue-as-new) before others get a turn.
    pub continues_in_row_max: usize,
    /// Whether somebody emits the spans of executions: then what they call is told of these, in the
    /// trace of their caller, and of the caller's own span otherwise.
    pub spans: bool,
    /// How long a shutdown waits for the turns in hand.
    pub drain_time_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mailbox_count_max: 16_384,
            batch_count_max: 1_024,
            batch_bytes_max: 4 << 20,
            lane_count_max: 8_192,
            cache_bytes_max: 256 << 20,
            waiters_count_max: 100_000,
            wakes_count_max: 10_000,
            operations_count_max: 1_000,
            tasks_count_max: 1_024,
            // After the second there are pauses, up to 30 s: together they take five minutes.
            workers_lost_max: 20,
            activity_slots: 256,
            backlog_count_max: 100_000,
            early_events_max: 1_000,
            early_instances_max: 10_000,
            payload_bytes_max: 4 << 20,
            turn_bytes_max: 64 << 20,
            failure_text_bytes_max: 64 << 10,
            failure_causes_max: 32,
            calls_per_turn_max: 100_000,
            children_kept_max: 1_000,
            history_events_max: 1_000_000,
            history_events_warn: 100_000,
            replay_samples: 256,
            readers_count: 2,
            looks_count_max: 2,
            continues_in_row_max: 16,
            spans: false,
            drain_time_max: Duration::from_secs(10),
        }
    }
}
