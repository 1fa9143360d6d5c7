//! Every kind of event, as written by hand.

use taskhub_core::{CallId, Failure, InstanceId, Kind, Operation, Text, Timestamp, Trace, Work};
use taskhub_wire::{
    failure_out, history_out,
    proto::{
        EntityLockGrantedEvent, EntityLockRequestedEvent, EntityOperationCalledEvent,
        EntityOperationCompletedEvent, EntityOperationFailedEvent, EntityOperationSignaledEvent,
        EntityUnlockSentEvent, EventRaisedEvent, EventSentEvent, ExecutionResumedEvent,
        ExecutionSuspendedEvent, ExecutionTerminatedEvent, SubOrchestrationInstanceCompletedEvent,
        SubOrchestrationInstanceCreatedEvent, SubOrchestrationInstanceFailedEvent,
        TaskCompletedEvent, TaskFailedEvent, TaskScheduledEvent, TimerCreatedEvent,
        TimerFiredEvent, history_event::EventType,
    },
    timestamp_out, trace_out,
};

use crate::{entity, instance, log_of, started, turn};

const HEX: &str = "0000000000000000000000000000000a";

fn operation() -> Operation {
    let trace = Some(Trace { parent: "00-1-2-01".into(), state: None });
    Operation { trace, ..Operation::new("r1", "add", Some("7".into())) }
}

fn failure() -> Failure {
    Failure::new("Declined", "")
}

/// What the outside sees of the last of these kinds, as arrivals and calls of one execution.
fn shown(kinds: &[Kind]) -> EventType {
    let mut log = vec![started(), turn(1)];
    for kind in kinds {
        log.push(kind.clone());
        if kind.is_arrival() {
            log.push(turn(1));
        }
    }
    let past = history_out(&instance(), &log_of(log)).past;
    let ends = |it: &EventType| matches!(it, EventType::OrchestratorCompleted(_));
    past.into_iter().filter_map(|it| it.event_type).rfind(|it| !ends(it)).expect("it is shown")
}

fn check(table: Vec<(Vec<Kind>, EventType)>) {
    for (kinds, expected) in table {
        assert_eq!(shown(&kinds), expected, "{kinds:?}");
    }
}

#[test]
fn the_start_names_its_execution() {
    let past = history_out(&instance(), &log_of([started(), turn(1)])).past;
    let Some(EventType::ExecutionStarted(wire)) = &past[1].event_type else { panic!("{past:?}") };
    let own = wire.orchestration_instance.clone().unwrap_or_default();
    assert_eq!((own.instance_id.as_str(), own.execution_id.as_deref()), ("order-17", Some(HEX)));
    assert_eq!((wire.name.as_str(), wire.input.as_deref()), ("charge", Some("7")));
    assert_eq!((&wire.version, &wire.parent_instance), (&None, &None));
}

#[test]
fn activities() {
    let call = CallId(4);
    let scheduled = Kind::ActivityScheduled { call, work: Work::new("pay", Some("7".into())) };
    let finished = |outcome| Kind::ActivityFinished { call, outcome };
    let wire =
        TaskScheduledEvent { name: "pay".into(), input: Some("7".into()), ..Default::default() };
    check(vec![
        (vec![scheduled], EventType::TaskScheduled(wire)),
        (
            vec![finished(Ok(Some("7".into())))],
            EventType::TaskCompleted(TaskCompletedEvent {
                task_scheduled_id: 4,
                result: Some("7".into()),
            }),
        ),
        (
            vec![finished(Err(failure()))],
            EventType::TaskFailed(TaskFailedEvent {
                task_scheduled_id: 4,
                failure_details: Some(failure_out(&failure())),
            }),
        ),
    ]);
}

#[test]
fn children() {
    let (call, child) = (CallId(4), InstanceId::trusted("child"));
    let work = Work::new("ship", Some("7".into()));
    let finished = |outcome| Kind::ChildFinished { call, outcome };
    let at = Some(Timestamp(5));
    let wire = SubOrchestrationInstanceCreatedEvent {
        instance_id: "child".into(),
        name: "ship".into(),
        input: Some("7".into()),
        ..Default::default()
    };
    let forgotten = SubOrchestrationInstanceCreatedEvent {
        tags: [("FireAndForget".to_owned(), "5".to_owned())].into(),
        ..wire.clone()
    };
    check(vec![
        (
            vec![Kind::ChildScheduled { call, instance: child.clone(), work: work.clone() }],
            EventType::SubOrchestrationInstanceCreated(wire),
        ),
        (
            vec![Kind::InstanceStarted { call, instance: child, work, at }],
            EventType::SubOrchestrationInstanceCreated(forgotten),
        ),
        (
            vec![finished(Ok(None))],
            EventType::SubOrchestrationInstanceCompleted(SubOrchestrationInstanceCompletedEvent {
                task_scheduled_id: 4,
                result: None,
            }),
        ),
        (
            vec![finished(Err(failure()))],
            EventType::SubOrchestrationInstanceFailed(SubOrchestrationInstanceFailedEvent {
                task_scheduled_id: 4,
                failure_details: Some(failure_out(&failure())),
            }),
        ),
    ]);
}

#[test]
fn a_timer_fires_with_the_time_of_the_latest_timer_of_its_id() {
    let call = CallId(2);
    let created = |micros| Kind::TimerCreated { call, fire_at: Timestamp(micros) };
    let fired = Kind::TimerFired { call };
    let at = |micros| Some(timestamp_out(Timestamp(micros)));
    let wire = |fire_at| EventType::TimerFired(TimerFiredEvent { fire_at, timer_id: 2 });
    check(vec![
        (vec![created(70)], EventType::TimerCreated(TimerCreatedEvent { fire_at: at(70) })),
        (vec![created(70), fired.clone()], wire(at(70))),
        (vec![created(70), fired.clone(), created(90), fired], wire(at(90))),
    ]);
}

#[test]
fn what_clients_do() {
    let reason = || Some(Text::from("7"));
    let said = || Some("7".to_owned());
    check(vec![
        (
            vec![Kind::EventRaised { name: "Go".into(), input: Some("7".into()) }],
            EventType::EventRaised(EventRaisedEvent { name: "Go".into(), input: said() }),
        ),
        (
            vec![Kind::Suspended { reason: reason() }],
            EventType::ExecutionSuspended(ExecutionSuspendedEvent { input: said() }),
        ),
        (
            vec![Kind::Resumed { reason: reason() }],
            EventType::ExecutionResumed(ExecutionResumedEvent { input: said() }),
        ),
        (
            vec![Kind::Terminated { reason: reason() }],
            EventType::ExecutionTerminated(ExecutionTerminatedEvent {
                input: said(),
                recurse: false,
            }),
        ),
    ]);
}

#[test]
fn operations_of_entities() {
    let call = CallId(3);
    let called = Kind::OperationCalled { call, entity: entity(), operation: operation() };
    let signaled =
        Kind::OperationSignaled { call, entity: entity(), operation: operation(), at: None };
    let finished = |outcome| Kind::OperationFinished { call, outcome };
    let wire = EntityOperationCalledEvent {
        request_id: "r1".into(),
        operation: "add".into(),
        scheduled_time: None,
        input: Some("7".into()),
        parent_instance_id: Some("order-17".into()),
        parent_execution_id: Some(HEX.into()),
        target_instance_id: Some("@counter@a".into()),
        trace_context: operation().trace.as_ref().map(trace_out),
    };
    let signal = EntityOperationSignaledEvent {
        request_id: "r1".into(),
        operation: "add".into(),
        scheduled_time: None,
        input: Some("7".into()),
        target_instance_id: Some("@counter@a".into()),
        trace_context: operation().trace.as_ref().map(trace_out),
    };
    let completed =
        EntityOperationCompletedEvent { request_id: "r1".into(), output: Some("7".into()) };
    let failed = EntityOperationFailedEvent {
        request_id: "r1".into(),
        failure_details: Some(failure_out(&failure())),
    };
    check(vec![
        (vec![called.clone()], EventType::EntityOperationCalled(wire)),
        (vec![signaled], EventType::EntityOperationSignaled(signal)),
        (
            vec![called.clone(), finished(Ok(Some("7".into())))],
            EventType::EntityOperationCompleted(completed),
        ),
        (vec![called, finished(Err(failure()))], EventType::EntityOperationFailed(failed)),
    ]);
}

#[test]
fn locks_of_entities() {
    let (call, section) = (CallId(3), Text::from("s1"));
    let requested =
        Kind::LocksRequested { call, section: section.clone(), entities: [entity()].into() };
    let unlocked = Kind::Unlocked { call, section: section.clone(), entity: entity() };
    check(vec![
        (
            vec![requested],
            EventType::EntityLockRequested(EntityLockRequestedEvent {
                critical_section_id: "s1".into(),
                lock_set: vec!["@counter@a".into()],
                position: 0,
                parent_instance_id: Some("order-17".into()),
            }),
        ),
        (
            vec![Kind::LocksGranted { call, section }],
            EventType::EntityLockGranted(EntityLockGrantedEvent {
                critical_section_id: "s1".into(),
            }),
        ),
        (
            vec![unlocked],
            EventType::EntityUnlockSent(EntityUnlockSentEvent {
                critical_section_id: "s1".into(),
                parent_instance_id: Some("order-17".into()),
                target_instance_id: Some("@counter@a".into()),
            }),
        ),
    ]);
}

#[test]
fn what_the_protocol_has_no_word_for_is_an_event_to_nobody() {
    let call = CallId(5);
    let to = InstanceId::trusted("other");
    let sent = |instance: &str, name: &str, input| {
        let (instance_id, name) = (instance.to_owned(), name.to_owned());
        EventType::EventSent(EventSentEvent { instance_id, name, input })
    };
    let terminate =
        |recursive| Kind::TerminateSent { call, to: to.clone(), reason: None, recursive };
    check(vec![
        (
            vec![Kind::EventSent {
                call,
                to: to.clone(),
                name: "Go".into(),
                input: Some("7".into()),
            }],
            sent("other", "Go", Some("7".into())),
        ),
        (
            vec![Kind::Noted { call, name: "patch".into(), value: "1".into() }],
            sent("@note", "patch", Some("1".into())),
        ),
        (vec![Kind::CallCancelled { call }], sent("@cancel", "", None)),
        (vec![terminate(false)], sent("@terminate", "other", None)),
        (vec![terminate(true)], sent("@terminate-all", "other", None)),
    ]);
}
