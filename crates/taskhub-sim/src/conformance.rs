//! What any store must do, as tests that any store can be put to.
//!
//! A store's own test file is a [`Fixture`] and one line:
//!
//! ```ignore
//! taskhub_sim::conformance!(Folder::new());
//! ```
//!
//! Each law is a test of its own, named after what it demands.

pub mod commits;
pub mod hub;
pub mod inboxes;
pub mod lists;
pub mod model;
pub mod ownership;
pub mod random;
pub mod shared;
pub mod together;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use taskhub_core::{Timestamp, store::Store};
use taskhub_engine::store::Clock;

/// Partitions that the store of a [`Fixture`] has.
pub const PARTITIONS: u16 = 4;

/// Makes one store and can open it again.
pub trait Fixture {
    /// Opens the store: empty the first time, later with all that was committed. The one opened
    /// before is gone by then.
    fn open(&mut self) -> Arc<dyn Store>;

    /// The clock by which the store's leases run out.
    fn clock(&self) -> &TestClock;
}

/// A clock that moves only when a test moves it.
#[derive(Debug, Clone, Default)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    /// Moves it.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }

    /// For the store.
    #[must_use]
    pub fn to_clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl fmt::Display for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.now().fmt(f)
    }
}

/// The laws of stores that nodes share, besides [`conformance!`](crate::conformance!); the argument
/// makes a new [`Fixture`](crate::conformance::Fixture).
#[macro_export]
macro_rules! conformance_of_shared {
    ($fixture:expr) => {
        $crate::conformance! { $fixture;
            shared::a_node_lives_as_long_as_its_heart_beats,
            shared::a_node_that_departs_no_longer_counts,
            shared::owners_are_told_with_their_nodes,
            shared::an_owner_is_told_until_it_releases_or_another_claims,
            shared::mail_is_seen_until_it_is_taken,
            shared::a_hint_reaches_all_who_listen,
            shared::a_listener_that_hears_nothing_goes_on,
            shared::a_hint_wakes_a_listener_that_waits,
            shared::lanes_commit_side_by_side,
        }
    };
}

/// Yields one `#[test]` per law; the argument makes a new [`Fixture`](crate::conformance::Fixture).
#[macro_export]
macro_rules! conformance {
    ($fixture:expr) => {
        $crate::conformance! { $fixture;
            ownership::every_partition_is_claimed_once,
            ownership::a_lease_runs_out_and_its_owner_is_told,
            ownership::a_renewed_lease_lasts,
            ownership::a_late_renewal_counts_while_nobody_else_has_claimed,
            ownership::a_released_partition_is_free_at_once,
            ownership::a_stale_owner_can_neither_renew_nor_release,
            ownership::a_stale_owner_writes_nothing,
            ownership::an_owner_of_the_latest_epoch_writes_though_its_lease_ran_out,
            ownership::a_turn_of_a_partition_without_owner_is_refused,
            ownership::epochs_go_on_after_reopening,
            commits::a_record_comes_back_as_it_was_written,
            commits::every_field_of_a_record_can_change,
            commits::the_later_of_two_records_stays,
            commits::pieces_of_one_batch_all_stay_in_order,
            commits::a_purge_leaves_nothing,
            commits::a_purged_id_can_be_written_again_in_the_same_batch,
            commits::a_replaced_history_is_forgotten,
            commits::an_ended_instance_loads_without_its_history,
            commits::a_history_is_read_in_ranges,
            commits::the_beginnings_of_several_histories_are_read_at_once,
            commits::an_append_in_the_wrong_place_writes_nothing,
            commits::nothing_changes_nothing,
            commits::large_values_come_back,
            commits::what_is_shown_stays_while_turns_show_nothing_new,
            commits::all_is_there_after_reopening,
            inboxes::a_message_waits_until_it_is_taken,
            inboxes::messages_come_oldest_first_in_pages,
            inboxes::a_message_sent_and_taken_in_one_batch_leaves_no_trace,
            inboxes::a_message_taken_before_it_is_sent_stays,
            inboxes::taking_what_is_not_there_changes_nothing,
            inboxes::every_kind_of_message_comes_back,
            inboxes::messages_outlive_their_receiver_and_the_process,
            inboxes::an_id_used_twice_writes_nothing,
            lists::wakes_come_by_time_and_id_in_pages,
            lists::a_wake_goes_when_nothing_is_due,
            lists::busy_instances_come_by_id_in_pages,
            lists::an_instance_is_busy_until_it_is_not,
            lists::filters_select_what_they_say,
            lists::a_list_is_sorted_by_creation,
            lists::a_list_can_be_sorted_by_the_end,
            lists::a_list_is_whole_though_others_write,
            lists::a_page_ends_by_its_bytes,
            together::a_reader_never_sees_part_of_a_batch,
            together::a_record_and_its_history_are_of_one_moment,
            random::any_batches_leave_what_the_model_says,
        }
    };
    ($fixture:expr; $($module:ident::$law:ident,)*) => {
        $(
            #[test]
            fn $law() {
                $crate::conformance::$module::$law(&mut $fixture);
            }
        )*
    };
}
