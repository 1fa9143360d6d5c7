//! A message is in its receiver's inbox from the commit that sent it until the one that takes it.

use std::slice;

use taskhub_core::{
    CallId, Envelope, ExecutionId, Failure, InstanceId, Message, MessageId, PartitionId, Started,
    TurnRecord,
    store::{CommitError, StoreError},
};

use super::{
    Fixture,
    hub::{Hub, append, envelope, instance, message_id, partition, purge, turn},
};

pub(super) fn sends(id: &str, sent: impl IntoIterator<Item = Envelope>) -> TurnRecord {
    TurnRecord { sent: sent.into_iter().collect(), ..turn(id) }
}

pub(super) fn takes(id: &str, taken: impl IntoIterator<Item = MessageId>) -> TurnRecord {
    TurnRecord { taken: taken.into_iter().collect(), ..turn(id) }
}

/// Two receivers of different partitions.
fn two() -> (&'static str, &'static str) {
    let (a, b) = ("order-1", "order-2");
    assert_ne!(partition(a), partition(b));
    (a, b)
}

/// Until then every reader finds it.
pub fn a_message_waits_until_it_is_taken(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (a, b) = two();
    let (to_a, to_b) = (envelope(0, 1, a), envelope(0, 2, b));
    hub.commit([sends(b, [to_a.clone(), to_b.clone()])]);
    for _ in 0..2 {
        assert_eq!(hub.inbox(partition(a).0), slice::from_ref(&to_a));
        assert_eq!(hub.inbox(partition(b).0), slice::from_ref(&to_b));
    }
    hub.commit([takes(a, [to_a.id])]);
    assert_eq!(hub.inbox(partition(a).0), []);
    assert_eq!(hub.inbox(partition(b).0), [to_b]);
}

/// In the order of their commits, without those that the reader has taken already.
pub fn messages_come_oldest_first_in_pages(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let sent: Vec<Envelope> =
        (0..20).map(|n| envelope(u16::from(n % 2 == 0), 100 - n, "order-1")).collect();
    for pair in sent.chunks(4) {
        hub.commit([
            sends("x", pair[..2].to_vec()),
            append(&format!("i{}", pair[0].id.number), 0..1),
            sends("y", pair[2..].to_vec()),
        ]);
    }
    let inbox = partition("order-1");
    assert_eq!(hub.inbox(inbox.0), sent);
    let mut taken = Vec::new();
    for page in sent.chunks(7) {
        let found = hub.store.inbox(inbox, &taken, 7).expect("the store works");
        assert_eq!(found, page);
        taken.extend(found.iter().map(|envelope| envelope.id));
    }
    assert_eq!(hub.store.inbox(inbox, &taken, 7), Ok(vec![]));
    assert_eq!(hub.store.inbox(inbox, &[], 0), Ok(vec![]));
    hub.commit([takes("order-1", [sent[0].id, sent[2].id])]);
    let found = hub.store.inbox(inbox, &[sent[1].id], 2).expect("the store works");
    assert_eq!(found, sent[3..5]);
}

/// It was never needed.
pub fn a_message_sent_and_taken_in_one_batch_leaves_no_trace(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (gone, stays) = (envelope(0, 1, "order-1"), envelope(0, 2, "order-1"));
    hub.commit([
        sends("x", [gone.clone(), stays.clone()]),
        append("order-1", 0..1),
        takes("order-1", [gone.id]),
    ]);
    assert_eq!(hub.inbox(partition("order-1").0), [stays]);
}

/// Turns take effect in order, so there was nothing to take yet.
pub fn a_message_taken_before_it_is_sent_stays(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let stays = envelope(0, 1, "order-1");
    hub.commit([takes("order-1", [stays.id]), sends("x", [stays.clone()])]);
    assert_eq!(hub.inbox(partition("order-1").0), [stays]);
}

/// Neither an unknown message nor one in another partition's inbox.
pub fn taking_what_is_not_there_changes_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (a, b) = two();
    let stays = envelope(0, 1, a);
    hub.commit([sends("x", [stays.clone()])]);
    hub.commit([takes(a, [message_id(0, 2), message_id(1, 1)]), takes(b, [stays.id])]);
    assert_eq!(hub.inbox(partition(a).0), slice::from_ref(&stays));
    let taken = || takes(a, [stays.id]);
    hub.commit([taken(), taken()]);
    hub.commit([taken()]);
    assert_eq!(hub.inbox(partition(a).0), []);
}

/// Also the long and the empty ones.
pub fn every_kind_of_message_comes_back(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let finished = |outcome| Message::ChildFinished {
        execution: ExecutionId(u128::MAX),
        call: CallId(7),
        outcome,
    };
    let started = Started {
        name: "child".into(),
        version: Some("1".into()),
        input: Some("{}".into()),
        execution: ExecutionId(3),
        origin: Some(ExecutionId(2)),
        parent: None,
        start_at: Some(taskhub_core::Timestamp(5)),
        deadline: Some(taskhub_core::Timestamp(6)),
        tags: [("k".into(), "v".into())].into(),
        trace: None,
        inherited: Vec::new().into(),
    };
    let messages = [
        Message::Start(Box::new(started)),
        Message::Raise { name: "weather_response".into(), input: Some("sun\u{0}".into()) },
        Message::Raise { name: "".into(), input: None },
        finished(Ok(None)),
        finished(Ok(Some("".into()))),
        finished(Err(Failure::new("Lost", "no \u{1F4E6}"))),
        Message::Terminate {
            child_of: Some((ExecutionId(9), CallId(4))),
            reason: Some("enough".into()),
            recursive: true,
        },
    ];
    let sent: Vec<Envelope> = (0..)
        .zip(messages)
        .map(|(n, message)| Envelope { message, ..envelope(1, n, "order-1") })
        .collect();
    hub.commit([sends("x", sent.clone())]);
    assert_eq!(hub.inbox(partition("order-1").0), sent);
}

/// Purging an instance does not touch its mail: its partition decides what becomes of it.
pub fn messages_outlive_their_receiver_and_the_process(fixture: &mut impl Fixture) {
    let mut hub = Hub::open(fixture);
    let first = envelope(0, 1, "order-1");
    hub.commit([append("order-1", 0..1), sends("x", [first.clone()])]);
    hub.commit([purge("order-1")]);
    hub.reopen(fixture);
    assert_eq!(hub.inbox(partition("order-1").0), slice::from_ref(&first));
    let second = envelope(1, 1, "order-1");
    hub.commit([sends("x", [second.clone()])]);
    assert_eq!(hub.inbox(partition("order-1").0), [first, second]);
    let nobody = InstanceId::clone(&instance("order-1"));
    assert_eq!(hub.store.load(&nobody), Ok(None));
}

/// A store that kept one of the two would lose a message without a word.
pub fn an_id_used_twice_writes_nothing(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let (first, again) = (envelope(0, 1, "order-1"), envelope(0, 1, "order-1"));
    hub.commit([sends("x", [first.clone()])]);
    let refused = hub.try_commit([append("y", 0..1), sends("x", [again])]);
    assert!(matches!(refused, Err(CommitError::Store(StoreError::Damaged(_)))), "{refused:?}");
    assert_eq!(hub.record("y"), None);
    assert_eq!(hub.store.inbox(first.partition, &[], 9), Ok(vec![first]));
    assert_eq!(hub.store.inbox(PartitionId(0), &[], 9).map(|found| found.len() <= 1), Ok(true));
}
