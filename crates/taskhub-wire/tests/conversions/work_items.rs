//! Work for workers, there and back.

use proptest::{collection::vec, prelude::*};
use taskhub_core::{
    CallId, Caller, Event, ExecutionId, InstanceId, Job, Kind, Operation, Operations, Piece,
    Requested, Task, Timestamp, Trace, Turn, Work,
};
use taskhub_wire::{
    Dialect, Extent, history_out,
    proto::{
        EntityBatchRequest, HistoryEvent, OperationRequest, OrchestratorRequest, WorkItem,
        history_event::EventType, work_item,
    },
    timestamp_out, turn_history_out, work_item_in, work_item_out,
};

use crate::{entity, generate, instance, log_of, started, ticket, turn};

fn turn_of(kinds: impl IntoIterator<Item = Kind>, takes: u32) -> Turn {
    let history = vec![log_of(kinds).into()];
    let clock = Timestamp(99);
    Turn { name: "charge".into(), version: None, history, takes, clock, after: None }
}

fn request(turn: Turn, dialect: Dialect) -> OrchestratorRequest {
    let ticket = ticket(instance(), Piece::Turn(1));
    let item = work_item_out(&Task { ticket, job: Job::Turn(Box::new(turn)) }, "t".into(), dialect);
    assert_eq!(item.completion_token, "t");
    match item.request {
        Some(work_item::Request::OrchestratorRequest(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn is_raised(event: &HistoryEvent) -> bool {
    matches!(event.event_type, Some(EventType::EventRaised(_)))
}

fn raised() -> Kind {
    Kind::EventRaised { name: "go".into(), input: Some("x".repeat(2_000).into()) }
}

#[test]
fn new_events_begin_with_the_turn_and_are_those_it_takes() {
    let asked =
        request(turn_of([started(), turn(1), raised(), raised(), raised()], 2), Dialect::default());
    assert_eq!(asked.past_events.len(), 3);
    let [begin, new @ ..] = &*asked.new_events else { panic!("nothing is new") };
    assert!(matches!(begin.event_type, Some(EventType::OrchestratorStarted(_))));
    assert_eq!(begin.timestamp, Some(timestamp_out(Timestamp(99))));
    assert!(new.len() == 2 && new.iter().all(is_raised));
    let hex = "0000000000000000000000000000000a";
    assert_eq!((&*asked.instance_id, asked.execution_id.as_deref()), ("order-17", Some(hex)));
    assert!(asked.entity_parameters.is_some(), "or .NET refuses to use entities");
}

#[test]
fn a_long_history_is_left_out_for_those_who_can_fetch_it() {
    let long = || turn_of([started(), raised(), turn(2), raised()], 1);
    for (history_bytes_max, streamed) in [(1_000, true), (9_000, false), (usize::MAX, false)] {
        let asked = request(long(), Dialect { history_bytes_max, ..Dialect::default() });
        assert_eq!(asked.requires_history_streaming, streamed, "{history_bytes_max}");
        assert_eq!(asked.past_events.is_empty(), streamed, "{history_bytes_max}");
        assert_eq!(asked.new_events.len(), 2);
    }
}

#[test]
fn of_a_history_that_the_worker_has_only_the_extent_is_sent() {
    let turn = || turn_of([started(), raised(), turn(1), raised()], 2);
    let whole = request(turn(), Dialect::default());
    let asked = request(turn(), Dialect { keeps_code: true, ..Dialect::default() });
    assert!(asked.past_events.is_empty() && asked.requires_history_streaming);
    assert_eq!(asked.left_out.map(Extent::told), Some(Extent::of(&whole.past_events)));
    assert_eq!(asked.new_events, whole.new_events);
}

#[test]
fn operations_go_as_events() {
    let trace = Some(Trace { parent: "00-1-2-01".into(), state: None });
    let operation = Operation { trace, ..Operation::new("r1", "add", None) };
    let caller = Caller { instance: instance(), execution: ExecutionId(7), call: CallId(3) };
    let first = Requested { operation: operation.clone(), caller: Some(caller), due: None };
    let second = Requested { operation, caller: None, due: Some(Timestamp(5)) };
    let operations = Operations { state: Some("1".into()), requested: vec![first, second] };
    let job = Job::Operations(Box::new(operations));
    let task = Task { ticket: ticket(entity(), Piece::Operations(2)), job };
    let item = work_item_out(&task, "t".into(), Dialect::default());
    let Some(work_item::Request::EntityRequestV2(wire)) = item.request else { panic!("events") };
    let types: Vec<_> = wire.operation_requests.into_iter().map(|it| it.event_type).collect();
    let [
        Some(EventType::EntityOperationCalled(first)),
        Some(EventType::EntityOperationSignaled(second)),
    ] = &*types
    else {
        panic!("{types:?}")
    };
    assert_eq!(first.parent_instance_id.as_deref(), Some("order-17"));
    assert_eq!(first.parent_execution_id, Some(ExecutionId(7).to_string()));
    assert_eq!(second.target_instance_id.as_deref(), Some("@counter@a"));
    let within = second.trace_context.as_ref().map(|it| &*it.trace_parent);
    assert_eq!(within, Some("00-1-2-01"));
}

/// Other servers send it.
#[test]
fn operations_are_read_from_a_batch_too() {
    let add = OperationRequest {
        operation: "add".into(),
        request_id: "r1".into(),
        input: Some("5".into()),
        trace_context: None,
    };
    let batch = EntityBatchRequest {
        instance_id: "@counter@a".into(),
        entity_state: Some("1".into()),
        operations: vec![add],
        ..EntityBatchRequest::default()
    };
    let request = Some(work_item::Request::EntityRequest(batch));
    let item = WorkItem { request, ..WorkItem::default() };
    let given = work_item_in(item).expect("it is valid").expect("it is work");
    let operation = Operation::new("r1", "add", Some("5".into()));
    let requested = vec![Requested { operation, caller: None, due: None }];
    let operations = Operations { state: Some("1".into()), requested };
    assert_eq!((given.instance, given.job), (entity(), Job::Operations(Box::new(operations))));
}

#[test]
fn a_ping_is_no_work() {
    let request = Some(work_item::Request::HealthPing(taskhub_wire::proto::HealthPing {}));
    let ping = WorkItem { request, ..WorkItem::default() };
    assert_eq!(work_item_in(ping), Ok(None));
    assert!(work_item_in(WorkItem::default()).is_err());
}

fn requested() -> impl Strategy<Value = Requested> {
    let caller = (generate::id(), any::<u128>()).prop_map(|(instance, execution)| Caller {
        instance,
        execution: ExecutionId(execution),
        call: CallId(0),
    });
    let operation = (generate::text(), generate::text(), generate::maybe())
        .prop_map(|(request, name, input)| Operation::new(request, name, input));
    let due = prop::option::of(generate::at());
    (operation, prop::option::of(caller), due).prop_map(|(operation, caller, due)| Requested {
        operation,
        caller,
        due,
    })
}

fn read_back(instance: InstanceId, piece: Piece, job: &Job) -> Job {
    let task = Task { ticket: ticket(instance.clone(), piece), job: job.clone() };
    let item = work_item_out(&task, "t".into(), Dialect::default());
    let given = work_item_in(item).expect("it is valid").expect("it is work");
    assert_eq!((given.instance, given.execution), (instance, Some(ExecutionId(10))));
    given.job
}

proptest! {
    #[test]
    fn a_turn_survives_the_way_to_a_worker(
        history in generate::history(),
        keep in 1..40usize,
        streamed: bool,
    ) {
        let history: Vec<std::sync::Arc<[Event]>> = vec![history[..keep.min(history.len())].into()];
        let (name, version) = match &*history[0] {
            [Event { kind: Kind::Started(it), .. }, ..] => {
                (it.name.clone(), it.version.clone())
            }
            _ => panic!("it begins with the start"),
        };
        let clock = Timestamp(9_999);
        let turn = Turn { name, version, history, takes: 2, clock, after: None };
        let (past, new) = turn_history_out(&instance(), &turn);
        let job = Job::Turn(Box::new(turn.clone()));
        let task = Task { ticket: ticket(instance(), Piece::Turn(7)), job };
        let history_bytes_max = if streamed { 0 } else { usize::MAX };
        let dialect = Dialect { history_bytes_max, ..Dialect::default() };
        let mut item = work_item_out(&task, "t".into(), dialect);
        if streamed {
            let Some(work_item::Request::OrchestratorRequest(wire)) = &mut item.request else {
                panic!("it is a turn")
            };
            wire.past_events.clone_from(&past);
        }
        let given = work_item_in(item).expect("it is valid").expect("it is work");
        let Job::Turn(back) = given.job else { panic!("it is a turn") };
        prop_assert_eq!((&back.name, &back.version), (&turn.name, &turn.version));
        prop_assert_eq!(turn_history_out(&instance(), &back), (past.clone(), new.clone()));
        prop_assert_eq!(back.takes as usize, new.len() - 1);
        let told = history_out(&instance(), back.history.iter().flat_map(|piece| piece.iter()));
        prop_assert_eq!((told.past, &told.waiting[..]), (past, &new[1..]));
    }

    #[test]
    fn an_activity_survives_the_way_to_a_worker(work in generate::work(), call in 0..9_999u32) {
        let job = Job::Activity(work);
        let back = read_back(instance(), Piece::Activity(CallId(call)), &job);
        prop_assert_eq!(back, job);
    }

    #[test]
    fn operations_survive_the_way_to_a_worker(
        state in generate::maybe(),
        requested in vec(requested(), 0..5),
    ) {
        let job = Job::Operations(Box::new(Operations { state, requested }));
        prop_assert_eq!(read_back(entity(), Piece::Operations(0), &job), job);
    }
}

#[test]
fn an_activity_says_whose_call_it_is() {
    let job = Job::Activity(Work::new("pay", Some("7".into())));
    let task = Task { ticket: ticket(instance(), Piece::Activity(CallId(4))), job };
    let item = work_item_out(&task, "t".into(), Dialect::default());
    let Some(work_item::Request::ActivityRequest(wire)) = item.request else { panic!("activity") };
    let of = wire.orchestration_instance.unwrap_or_default();
    assert_eq!((&*wire.name, wire.task_id, &*of.instance_id), ("pay", 4, "order-17"));
}

proptest! {
    /// A worker that keeps code in memory knows by the extent whether it missed anything.
    #[test]
    fn the_extent_of_a_history_grows_by_its_turns(log in generate::history()) {
        let mut log = log;
        log.retain(|event| !matches!(event.kind, Kind::Completed { .. }));
        let mut calls = Vec::new();
        for event in &log {
            match &event.kind {
                Kind::TurnStarted { .. } => calls.push(0),
                kind if kind.is_action() => *calls.last_mut().expect("a turn calls") += 1,
                _ => {}
            }
        }
        let told = history_out(&instance(), &log).past;
        let begins = |event: &HistoryEvent| {
            matches!(event.event_type, Some(EventType::OrchestratorStarted(_)))
        };
        let mut extent = Extent::default();
        let mut rest = &told[..];
        for calls in calls {
            let turns = rest.iter().enumerate().skip(1);
            let end = turns.filter(|(_, it)| begins(it)).map(|(at, _)| at).next();
            let (turn, later) = rest.split_at(end.unwrap_or(rest.len()));
            // What is new is the beginning of the turn and what it took: its calls and its end go.
            let new = &turn[..turn.len() - calls - 1];
            extent = extent.after(Extent::of(new), calls);
            rest = later;
        }
        prop_assert_eq!(extent, Extent::of(&told));
    }
}

proptest! {
    #[test]
    fn what_is_new_and_how_far_the_history_goes_needs_no_history(
        history in generate::history(),
        keep in 1..40usize,
        takes in 0..5u32,
    ) {
        let history = vec![history[..keep.min(history.len())].into()];
        let (name, clock) = ("a".into(), Timestamp(99));
        let turn = Turn { name, version: None, history, takes, clock, after: None };
        let whole = request(turn.clone(), Dialect::default());
        let asked = request(turn, Dialect { keeps_code: true, ..Dialect::default() });
        prop_assert_eq!(asked.left_out.map(Extent::told), Some(Extent::of(&whole.past_events)));
        prop_assert_eq!(asked.new_events, whole.new_events);
    }
}
