//! What a batch writes is there whole, in order, and exactly as it was written.

use bytes::Bytes;
use taskhub_core::{
    CallId, ExecutionId, Failure, HistoryChange, Parent, Record, RuntimeStatus, Timestamp,
    store::{CommitError, Filter, StoreError},
};

use super::{
    Fixture,
    hub::{
        Hub, append, ended, events, hidden, instance, keep, numbers, purge, running, turn, write,
    },
};

/// A record with something unusual in every field.
#[must_use]
pub fn full_record() -> Record {
    let cause = Failure::new("io::Error", "the disk is gone");
    let failure = Failure { stack: Some("at main.rs:1".into()), ..Failure::new("Lost", "it's") };
    Record {
        execution: ExecutionId(u128::MAX - 5),
        name: "Wetter \u{1F326} 'quoted'".into(),
        version: Some("2.0".into()),
        status: RuntimeStatus::Failed,
        created_at: Timestamp(i64::MIN),
        updated_at: Timestamp(i64::MAX),
        completed_at: Some(Timestamp(-1)),
        due: Some(Timestamp::START),
        busy: true,
        custom_status: Some("{\"at\": \"50\u{0}%\"}".into()),
        tags: [("city".into(), "Zürich".into()), ("empty".into(), "".into())].into(),
        parent: Some(Parent {
            instance: instance("order-17"),
            execution: ExecutionId(9),
            name: "order".into(),
            call: CallId(3),
        }),
        stuck: Some("history has #4, the code asked for a timer".into()),
        outcome: Some(Err(failure.caused_by(cause).non_retriable())),
        events: 0,
    }
}

/// Every field, with its extreme values.
pub fn a_record_comes_back_as_it_was_written(fixture: &mut impl Fixture) {
    let mut hub = Hub::open(fixture);
    let records = [
        ("plain", running(0)),
        ("full", full_record()),
        ("no output", Record { outcome: Some(Ok(None)), ..ended(0) }),
        ("empty output", Record { outcome: Some(Ok(Some("".into()))), ..ended(0) }),
        ("empty texts", Record { stuck: Some("".into()), version: Some("".into()), ..running(0) }),
        ("Ünïcödé", Record { custom_status: Some("".into()), ..running(0) }),
    ];
    hub.commit(records.iter().map(|(id, record)| keep(id, record.clone())));
    for _ in 0..2 {
        for (id, record) in &records {
            assert_eq!(hub.record(id).as_ref(), Some(record), "{id}");
        }
        let page =
            hub.store.query(&Filter { limit: 10, ..Filter::default() }).expect("the store works");
        for (id, record) in page.instances {
            assert_eq!(Some(&record), hub.record(id.as_str()).as_ref(), "{id}");
        }
        hub.reopen(fixture);
    }
}

/// An update leaves nothing of the record before.
pub fn every_field_of_a_record_can_change(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (bare, full) = (running(0), full_record());
    let one_changed = [
        Record { execution: full.execution, ..bare.clone() },
        Record { name: full.name.clone(), ..bare.clone() },
        Record { version: full.version.clone(), ..bare.clone() },
        Record { created_at: full.created_at, ..bare.clone() },
        Record { updated_at: full.updated_at, ..bare.clone() },
        Record { completed_at: full.completed_at, ..bare.clone() },
        Record { due: full.due, ..bare.clone() },
        Record { busy: full.busy, ..bare.clone() },
        Record { custom_status: full.custom_status.clone(), ..bare.clone() },
        Record { tags: full.tags.clone(), ..bare.clone() },
        Record { parent: full.parent.clone(), ..bare.clone() },
        Record { stuck: full.stuck.clone(), ..bare.clone() },
        Record { outcome: full.outcome.clone(), ..bare.clone() },
        full,
    ];
    for changed in one_changed {
        for record in [&bare, &changed, &bare] {
            hub.commit([keep("a", record.clone())]);
            assert_eq!(hub.record("a").as_ref(), Some(record));
        }
    }
    for status in RuntimeStatus::ALL {
        hub.commit([keep("a", Record { status, ..bare.clone() })]);
        assert_eq!(hub.record("a").map(|record| record.status), Some(status));
    }
}

/// Within a batch, turns take effect in their order.
pub fn the_later_of_two_records_stays(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let named = |name: &str| Record { name: name.into(), ..running(0) };
    hub.commit([keep("a", named("1")), keep("b", named("2")), keep("a", named("3"))]);
    assert_eq!(hub.record("a"), Some(named("3")));
    assert_eq!(hub.record("b"), Some(named("2")));
    hub.commit([keep("a", named("4")), turn("a"), keep("a", named("5")), turn("a")]);
    assert_eq!(hub.record("a"), Some(named("5")));
}

/// Several appends to one history in one batch, and in the next.
pub fn pieces_of_one_batch_all_stay_in_order(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([append("a", 0..2), append("b", 0..1), append("a", 2..3), append("a", 3..7)]);
    hub.commit([append("b", 1..4), keep("a", running(7)), append("a", 7..9)]);
    assert_eq!(hub.loaded("a"), (0..9).collect::<Vec<_>>());
    assert_eq!(hub.loaded("b"), (0..4).collect::<Vec<_>>());
    assert_eq!(hub.record("a"), Some(running(9)));
}

/// Neither record nor history; and purging what is not there is no error.
pub fn a_purge_leaves_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([append("a", 0..2), append("b", 0..2)]);
    hub.commit([purge("a"), purge("nobody")]);
    hub.commit([append("c", 0..1), purge("c")]);
    for gone in ["a", "nobody", "c"] {
        assert_eq!(hub.record(gone), None, "{gone}");
        assert_eq!(hub.history(gone, 0..u64::MAX), [0; 0], "{gone}");
    }
    assert_eq!(hub.listed(&Filter { limit: 10, ..Filter::default() }), ["b"]);
    assert_eq!(hub.loaded("b"), [0, 1]);
}

/// A purged id is like a new one.
pub fn a_purged_id_can_be_written_again_in_the_same_batch(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let late = Record { created_at: Timestamp(9), ..running(1) };
    let replace = HistoryChange::Replace { events: events(&(7..8)) };
    hub.commit([append("a", 0..2)]);
    hub.commit([append("a", 2..4), purge("a"), write("a", late.clone(), replace)]);
    assert_eq!(hub.record("a"), Some(late));
    assert_eq!(hub.loaded("a"), [7]);
    hub.commit([purge("a"), append("a", 0..3), append("a", 3..4)]);
    assert_eq!(hub.loaded("a"), [0, 1, 2, 3]);
    hub.commit([purge("a")]);
    hub.commit([append("a", 0..2)]);
    assert_eq!(hub.loaded("a"), [0, 1]);
}

/// Continue-as-new: nothing of the execution before is left.
pub fn a_replaced_history_is_forgotten(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let replace = |numbers: std::ops::Range<u32>| {
        let (count, events) = (numbers.len() as u64, events(&numbers));
        write("a", running(count), HistoryChange::Replace { events })
    };
    hub.commit([append("a", 0..2)]);
    hub.commit([append("a", 2..5), append("b", 0..1)]);
    hub.commit([append("a", 5..6), replace(100..102)]);
    assert_eq!(hub.loaded("a"), [100, 101]);
    assert_eq!(hub.history("a", 0..u64::MAX), [100, 101]);
    hub.commit([append("a", 2..4)]);
    assert_eq!(hub.loaded("a"), [100, 101, 2, 3]);
    hub.commit([replace(200..201), replace(300..303), append("a", 3..4)]);
    assert_eq!(hub.loaded("a"), [300, 301, 302, 3]);
    assert_eq!(hub.loaded("b"), [0]);
}

/// The record of an ended instance is asked for often, its history hardly ever.
pub fn an_ended_instance_loads_without_its_history(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    for status in RuntimeStatus::ALL {
        let id = format!("{status:?}");
        let append = HistoryChange::Append { at: 0, events: events(&(0..3)) };
        hub.commit([write(&id, Record { status, ..running(3) }, append)]);
        let loaded: &[u32] = if status.is_terminal() { &[] } else { &[0, 1, 2] };
        assert_eq!(hub.loaded(&id), loaded, "{status:?}");
        assert_eq!(hub.history(&id, 0..u64::MAX), [0, 1, 2], "{status:?}");
    }
}

/// Whole pieces, those that touch the range and no others.
pub fn a_history_is_read_in_ranges(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let starts = [0, 3, 4, 10];
    let ends = [3, 4, 10, 12];
    for (start, end) in starts.into_iter().zip(ends) {
        hub.commit([append("a", start..end)]);
    }
    for from in 0..14 {
        for to in 0..14 {
            let touched = |number: &u32| {
                let piece = ends.iter().position(|end| number < end).unwrap_or_default();
                from < ends[piece] && starts[piece] < to && from < to
            };
            let expected: Vec<u32> = (0..12).filter(touched).collect();
            assert_eq!(hub.history("a", from.into()..to.into()), expected, "{from}..{to}");
        }
    }
    assert_eq!(hub.history("a", 11..u64::MAX), [10, 11]);
    assert_eq!(hub.history("a", u64::MAX..u64::MAX), [0; 0]);
    assert_eq!(hub.history("nobody", 0..9), [0; 0]);
}

/// The first piece of each history, in the order in which they were asked for.
pub fn the_beginnings_of_several_histories_are_read_at_once(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([append("a", 0..2), append("b", 0..1), keep("empty", running(0))]);
    hub.commit([append("a", 2..5), append("b", 1..2)]);
    let asked = ["b", "nobody", "a", "empty", "b"].map(instance);
    let found = hub.store.beginnings(&asked).expect("reading works");
    let found: Vec<_> = found.iter().map(|first| numbers(first.as_slice())).collect();
    assert_eq!(found, [vec![0], vec![], vec![0, 1], vec![], vec![0]]);
    assert_eq!(hub.store.beginnings(&[]), Ok(vec![]));
}

/// A gap or an overlap would be another history: the whole batch is refused.
pub fn an_append_in_the_wrong_place_writes_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([append("a", 0..3)]);
    let before = hub.record("a");
    for wrong in [0..1, 2..5, 4..5] {
        let refused = hub.try_commit([append("b", 0..1), append("a", wrong), append("c", 0..1)]);
        assert!(matches!(refused, Err(CommitError::Store(StoreError::Damaged(_)))), "{refused:?}");
        assert_eq!(hub.record("a"), before);
        assert_eq!((hub.record("b"), hub.record("c")), (None, None));
    }
    assert!(hub.try_commit([append("new", 1..2)]).is_err());
    assert!(hub.try_commit([append("a", 3..4), append("a", 5..6)]).is_err());
    assert!(hub.try_commit([append("a", 3..5), append("b", 9..10)]).is_err());
    // Nor does the store remember anything of what it refused.
    hub.commit([append("a", 3..4), append("b", 0..1)]);
    assert_eq!((hub.loaded("a"), hub.loaded("b")), (vec![0, 1, 2, 3], vec![0]));
}

/// Empty batches, idle turns, empty appends.
pub fn nothing_changes_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    hub.commit([]);
    hub.commit([turn("nobody")]);
    assert_eq!(hub.record("nobody"), None);
    let empty = |at| HistoryChange::Append { at, events: Bytes::new() };
    hub.commit([write("a", running(0), empty(0)), append("a", 0..2)]);
    hub.commit([write("a", running(2), empty(2)), write("a", running(2), empty(2))]);
    hub.commit([append("a", 2..3)]);
    assert_eq!(hub.loaded("a"), [0, 1, 2]);
}

/// 10 MB in one output, in one piece of history, and in one message.
pub fn large_values_come_back(fixture: &mut impl Fixture) {
    const SIZE: usize = 10 << 20;
    let mut hub = Hub::open(fixture);
    let large: String = ('a'..='w').cycle().take(SIZE).collect();
    let record = Record {
        custom_status: Some(large.as_str().into()),
        outcome: Some(Ok(Some(large.as_str().into()))),
        ..running(1)
    };
    let history = HistoryChange::Append { at: 0, events: Bytes::from(large.clone()) };
    let mut sending = write("a", record.clone(), history);
    let mut sent = super::hub::envelope(0, 1, "b");
    sent.message =
        taskhub_core::Message::Raise { name: "e".into(), input: Some(large.as_str().into()) };
    sending.sent.push(sent.clone());
    hub.commit([sending, append("b", 0..1)]);

    hub.reopen(fixture);
    let stored = hub.store.load(&instance("a")).expect("the store works").expect("it was written");
    assert!(stored.record == record && stored.history.concat() == large.as_bytes());
    assert!(hub.inbox(sent.partition.0) == [sent]);
    hub.commit([keep("a", running(1))]);
    assert_eq!(hub.record("a"), Some(running(1)));
    assert_eq!(hub.loaded("b"), [0]);
}

/// A custom status and an output, long or short, through turns that do not write them again.
pub fn what_is_shown_stays_while_turns_show_nothing_new(fixture: &mut impl Fixture) {
    let mut hub = Hub::open(fixture);
    let texts = [None, Some("short".into()), Some("long".repeat(10_000).into())];
    let shown = texts.iter().flat_map(|status| texts.iter().map(move |output| (status, output)));
    let mut count = 0;
    for (status, output) in shown {
        let outcome = output.clone().map(|output| Ok(Some(output)));
        let record = |events: u32| Record {
            custom_status: status.clone(),
            outcome: outcome.clone(),
            ..running(events.into())
        };
        let next = |from: u32, to: u32| {
            let events = events(&(from..to));
            write("a", record(to), HistoryChange::Append { at: from.into(), events })
        };
        hub.commit([next(count, count + 1), hidden(next(count + 1, count + 2))]);
        assert_eq!(hub.record("a"), Some(record(count + 2)));
        hub.commit([hidden(keep("a", record(count + 2)))]);
        hub.reopen(fixture);
        hub.commit([hidden(next(count + 2, count + 3))]);
        count += 3;
        assert_eq!(hub.record("a"), Some(record(count)));
        hub.commit([purge("b"), keep("b", record(0)), hidden(keep("b", record(0)))]);
        assert_eq!(hub.record("b"), Some(record(0)));
    }
    assert_eq!(hub.loaded("a"), (0..count).collect::<Vec<_>>());
}

/// What was acknowledged outlives the process.
pub fn all_is_there_after_reopening(fixture: &mut impl Fixture) {
    let mut hub = Hub::open(fixture);
    let mut listed_before = 1;
    for round in 0..5 {
        hub.commit([append("a", round * 2..round * 2 + 1), append(&format!("b{round}"), 0..2)]);
        hub.commit([append("a", round * 2 + 1..round * 2 + 2)]);
        hub.reopen(fixture);
        assert_eq!(hub.loaded("a"), (0..round * 2 + 2).collect::<Vec<_>>());
        let listed = hub.listed(&Filter { limit: 3, ..Filter::default() });
        assert_eq!(listed.len(), listed_before + 1);
        listed_before = listed.len();
    }
    assert_eq!(hub.loaded("b0"), [0, 1]);
}
