//! What lies on disk can be read for ever, and no bytes bring the reader down.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use taskhub_core::{
    CallId, Event, ExecutionId, Failure, Inherited, InstanceId, Kind, Message, Outcome, Parent,
    RuntimeStatus, Started, Tags, Text, Timestamp, Trace, Work, codec,
};

fn text() -> impl Strategy<Value = Text> {
    ".{0,12}".prop_map(Text::from)
}

fn maybe() -> impl Strategy<Value = Option<Text>> {
    prop::option::of(text())
}

fn tags() -> impl Strategy<Value = Tags> {
    prop::collection::btree_map(text(), text(), 0..3)
        .prop_map(|tags| tags.into_iter().collect::<Vec<_>>().into())
}

fn failure() -> impl Strategy<Value = Failure> {
    let one = (text(), text(), maybe(), any::<bool>(), maybe());
    let one = one.prop_map(|(kind, message, stack, fatal, details)| Failure {
        stack,
        non_retriable: fatal,
        details,
        ..Failure::new(kind, message)
    });
    vec(one, 1..4).prop_map(|chain| {
        let fold = |cause: Failure, failure: Failure| failure.caused_by(cause);
        chain.into_iter().reduce(fold).expect("there is one")
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![maybe().prop_map(Ok), failure().prop_map(Err)]
}

fn call() -> impl Strategy<Value = CallId> {
    any::<u32>().prop_map(CallId)
}

fn id() -> impl Strategy<Value = InstanceId> {
    "[a-z0-9]{1,20}".prop_map(InstanceId::trusted)
}

fn at() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp)
}

fn work() -> impl Strategy<Value = Work> {
    let trace = prop::option::of((text(), maybe()));
    (text(), maybe(), maybe(), tags(), trace).prop_map(|(name, version, input, tags, trace)| {
        let trace = trace.map(|(parent, state)| Trace { parent, state });
        Work { version, tags, trace, ..Work::new(name, input) }
    })
}

fn parent() -> impl Strategy<Value = Parent> {
    (id(), any::<u128>(), text(), call()).prop_map(|(instance, execution, name, call)| Parent {
        instance,
        execution: ExecutionId(execution),
        name,
        call,
    })
}

fn inherited() -> impl Strategy<Value = Inherited> {
    (any::<u128>(), call(), id()).prop_map(|(execution, call, instance)| Inherited {
        execution: ExecutionId(execution),
        call,
        instance,
    })
}

fn started() -> impl Strategy<Value = Box<Started>> {
    let times = (prop::option::of(at()), prop::option::of(at()));
    let trace = prop::option::of((text(), maybe()));
    let inherited = prop::collection::vec(inherited(), 0..3);
    let origin = prop::option::of(any::<u128>());
    let who = (any::<u128>(), origin, prop::option::of(parent()), inherited);
    (text(), maybe(), maybe(), who, times, tags(), trace).prop_map(
        |(name, version, input, who, (start_at, deadline), tags, trace)| {
            let (execution, origin, parent, inherited) = who;
            let trace = trace.map(|(parent, state)| Trace { parent, state });
            Box::new(Started {
                version,
                origin: origin.map(ExecutionId),
                parent,
                start_at,
                deadline,
                tags,
                trace,
                inherited: inherited.into(),
                ..Started::new(name, input, ExecutionId(execution))
            })
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    let calls = prop_oneof![
        (call(), work()).prop_map(|(call, work)| Kind::ActivityScheduled { call, work }),
        (call(), outcome()).prop_map(|(call, outcome)| Kind::ActivityFinished { call, outcome }),
        (call(), id(), work()).prop_map(|(call, instance, work)| Kind::ChildScheduled {
            call,
            instance,
            work
        }),
        (call(), outcome()).prop_map(|(call, outcome)| Kind::ChildFinished { call, outcome }),
        (call(), at()).prop_map(|(call, fire_at)| Kind::TimerCreated { call, fire_at }),
        call().prop_map(|call| Kind::TimerFired { call }),
        (call(), id(), text(), maybe()).prop_map(|(call, to, name, input)| Kind::EventSent {
            call,
            to,
            name,
            input
        }),
        call().prop_map(|call| Kind::CallCancelled { call }),
    ];
    let status = prop::sample::select(RuntimeStatus::ALL.to_vec());
    let others = prop_oneof![
        started().prop_map(Kind::Started),
        (any::<u32>(), prop::option::of(at()))
            .prop_map(|(takes, clock)| Kind::TurnStarted { takes, clock }),
        (text(), maybe()).prop_map(|(name, input)| Kind::EventRaised { name, input }),
        maybe().prop_map(|reason| Kind::Suspended { reason }),
        maybe().prop_map(|reason| Kind::Resumed { reason }),
        maybe().prop_map(|reason| Kind::Terminated { reason }),
        status.prop_map(|status| Kind::Completed { status }),
        (call(), text(), text()).prop_map(|(call, name, value)| Kind::Noted { call, name, value }),
        at().prop_map(|until| Kind::Awaited { until }),
        any::<u32>().prop_map(|count| Kind::OperationsDue { count }),
        inherited().prop_map(|it| Kind::ChildGone { execution: it.execution, call: it.call }),
    ];
    prop_oneof![calls, others]
}

fn event() -> impl Strategy<Value = Event> {
    (at(), kind()).prop_map(|(at, kind)| Event { at, kind })
}

fn message() -> impl Strategy<Value = Message> {
    prop_oneof![
        started().prop_map(Message::Start),
        (text(), maybe()).prop_map(|(name, input)| Message::Raise { name, input }),
        (started(), any::<u128>(), maybe()).prop_map(|(started, execution, reason)| {
            Message::Rewind { started, execution: ExecutionId(execution), reason }
        }),
        (any::<u128>(), call(), outcome()).prop_map(|(execution, call, outcome)| {
            Message::ChildFinished { execution: ExecutionId(execution), call, outcome }
        }),
        (prop::option::of((any::<u128>(), call())), maybe(), any::<bool>()).prop_map(
            |(child_of, reason, recursive)| {
                let child_of = child_of.map(|(execution, call)| (ExecutionId(execution), call));
                Message::Terminate { child_of, reason, recursive }
            }
        ),
    ]
}

/// Tries every reader on some bytes; whatever they say, they come back.
fn read_all(bytes: &[u8]) {
    let _ = codec::decode_events(bytes);
    let _ = codec::decode_history(&[Bytes::copy_from_slice(bytes)]);
    let _ = codec::decode_message(bytes);
    let _ = codec::decode_outcome(bytes);
    let _ = codec::decode_tags(bytes);
    let _ = codec::decode_parent(bytes);
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(events in vec(event(), 0..6)) {
        prop_assert_eq!(codec::decode_events(&codec::encode_events(&events)), Ok(events));
    }

    #[test]
    fn messages_come_back_as_they_were(message in message()) {
        prop_assert_eq!(codec::decode_message(&codec::encode_message(&message)), Ok(message));
    }

    #[test]
    fn the_rest_comes_back_as_it_was(outcome in outcome(), tags in tags(), parent in parent()) {
        prop_assert_eq!(codec::decode_outcome(&codec::encode_outcome(&outcome)), Ok(outcome));
        prop_assert_eq!(codec::decode_tags(&codec::encode_tags(&tags)), Ok(tags));
        prop_assert_eq!(codec::decode_parent(&codec::encode_parent(&parent)), Ok(parent));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_events_are_read_or_refused(
        events in vec(event(), 1..4),
        damages in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = codec::encode_events(&events).to_vec();
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_all(&bytes);
        read_all(&bytes[..cut.index(bytes.len())]);
    }
}

/// A field that holds bytes, as protobuf writes it.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = inner.len();
    while length >= 0x80 {
        bytes.push(length.to_le_bytes()[0] | 0x80);
        length >>= 7;
    }
    bytes.push(length.to_le_bytes()[0]);
    bytes.extend(inner);
    bytes
}

#[test]
fn a_failure_nested_without_end_is_refused() {
    let cause = 4;
    let failure = (0..5_000).fold(Vec::new(), |inner, _| field(cause, &inner));
    assert!(codec::decode_outcome(&field(2, &failure)).is_err());
}
