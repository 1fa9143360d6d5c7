//! What workers hand back, there and back.

use proptest::{collection::vec, prelude::*};
use taskhub_core::{
    Act, CallId, ExecutionId, Failure, InstanceId, Kind, Mark, Operation, Operations, Performed,
    Piece, Requested, Taken, Work,
    turn::{ContinueAsNew, Progress, Step},
};
use taskhub_wire::{
    Chunks, InvalidMessage, drop_repeated, outcome_in, outcome_out, performed_in, performed_out,
    proto::{
        ActivityResponse, CompleteOrchestrationAction, CreateSubOrchestrationAction,
        CreateTimerAction, EntityBatchResult, HistoryEvent, OrchestratorAction,
        OrchestratorResponse, ScheduleTaskAction, SendEntityMessageAction, TaskFailureDetails,
        orchestrator_action::OrchestratorActionType as Asked,
    },
    taken_in, taken_out,
};

use crate::{entity, generate, instance, log_of, started, ticket, turn};

fn response(actions: Vec<(i32, Asked)>) -> OrchestratorResponse {
    let actions = actions
        .into_iter()
        .map(|(id, asked)| OrchestratorAction { id, orchestrator_action_type: Some(asked) });
    OrchestratorResponse { actions: actions.collect(), ..Default::default() }
}

fn taken(response: OrchestratorResponse) -> Result<Taken, InvalidMessage> {
    taken_in(&ticket(instance(), Piece::Turn(1)), response)
}

fn ends_with(orchestration_status: i32) -> CompleteOrchestrationAction {
    let (result, new_version) = (Some("7".into()), Some("2".into()));
    let carried = HistoryEvent {
        event_type: Some(taskhub_wire::proto::history_event::EventType::EventRaised(
            taskhub_wire::proto::EventRaisedEvent { name: "go".into(), input: None },
        )),
        ..Default::default()
    };
    let carryover_events = vec![carried, HistoryEvent::default()];
    CompleteOrchestrationAction {
        orchestration_status,
        result,
        new_version,
        carryover_events,
        details: Some("why".into()),
        ..Default::default()
    }
}

#[test]
fn names_and_labels_of_actions_are_bounded() {
    let named = |name: &str| ScheduleTaskAction { name: name.to_owned(), ..Default::default() };
    let call = |call| taken(response(vec![(0, Asked::ScheduleTask(call))]));
    assert!(call(named("pay")).is_ok());
    assert!(matches!(call(named("")), Err(InvalidMessage::Missing { .. })));
    assert!(matches!(call(named(&"n".repeat(1_025))), Err(InvalidMessage::TooLong { .. })));
    let version = Some("1".repeat(1_025));
    let versioned = ScheduleTaskAction { version, ..named("pay") };
    assert!(matches!(call(versioned), Err(InvalidMessage::TooLong { .. })));
    let tags = [("label".to_owned(), "x".repeat(64 << 10))].into();
    let labelled = ScheduleTaskAction { tags, ..named("pay") };
    assert!(matches!(call(labelled), Err(InvalidMessage::TooLong { .. })));
}

#[test]
fn two_actions_of_one_turn_have_two_ids() {
    let pay = || ScheduleTaskAction { name: "pay".to_owned(), ..Default::default() };
    let calls = |first, second| {
        let (one, other) = (Asked::ScheduleTask(pay()), Asked::ScheduleTask(pay()));
        taken(response(vec![(first, one), (7, Asked::ScheduleTask(pay())), (second, other)]))
    };
    assert!(calls(2, 1).is_ok());
    assert_eq!(calls(1, 1), Err(InvalidMessage::Twice { number: 1 }));
}

#[test]
fn an_execution_ends_in_one_of_five_ways() {
    let how = ContinueAsNew {
        input: Some("7".into()),
        version: Some("2".into()),
        keep_events: true,
        tags: None,
    };
    let kept = vec![Kind::EventRaised { name: "go".into(), input: None }];
    let failure = Failure::new("OrchestrationFailed", "why");
    let expected = [
        (1, Progress::Finished(Ok(Some("7".into())))),
        (2, Progress::ContinuedAsNew(how, kept)),
        (3, Progress::Finished(Err(failure))),
        (4, Progress::Terminated(Some("7".into()))),
        (5, Progress::Terminated(Some("7".into()))),
    ];
    for (status, progress) in expected {
        let end = Asked::CompleteOrchestration(ends_with(status));
        assert_eq!(taken(response(vec![(-1, end)])).map(|it| it.step.progress), Ok(progress));
    }
    for number in [0, 6, 7, 8, -1] {
        let end = Asked::CompleteOrchestration(ends_with(number));
        assert_eq!(taken(response(vec![(1, end)])), Err(InvalidMessage::End { number }));
    }
}

#[test]
fn the_end_may_stand_anywhere_and_only_once() {
    let end = || (9, Asked::CompleteOrchestration(ends_with(1)));
    let fire_at = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let timer = || (1, Asked::CreateTimer(CreateTimerAction { fire_at }));
    let first = taken(response(vec![end(), timer()]));
    assert_eq!(first, taken(response(vec![timer(), end()])));
    assert!(first.is_ok_and(|it| it.step.actions.len() == 1));
    assert_eq!(taken(response(vec![end(), end()])), Err(InvalidMessage::TwoEnds));
}

#[test]
fn a_child_without_a_name_gets_the_same_one_at_every_replay() {
    let unnamed = CreateSubOrchestrationAction { name: "ship".into(), ..Default::default() };
    let actions = taken(response(vec![(3, Asked::CreateSubOrchestration(unnamed))]));
    let Ok([Kind::ChildScheduled { instance, .. }]) =
        actions.as_ref().map(|it| it.step.actions.as_slice())
    else {
        panic!("{actions:?}");
    };
    assert_eq!(*instance, InstanceId::of_child(ExecutionId(10), CallId(3)));
}

#[test]
fn the_beginning_of_the_turn_is_not_counted_among_the_arrivals() {
    for (processed, takes) in [(None, None), (Some(3), Some(2)), (Some(0), Some(0))] {
        let response = OrchestratorResponse { num_events_processed: processed, ..response(vec![]) };
        assert_eq!(taken(response).map(|it| it.takes), Ok(takes));
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_reason() {
    let unnamed = Asked::SendEntityMessage(SendEntityMessageAction::default());
    let child = |id: &str| {
        let instance_id = id.to_owned();
        Asked::CreateSubOrchestration(CreateSubOrchestrationAction {
            instance_id,
            name: "ship".to_owned(),
            ..Default::default()
        })
    };
    let far = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let timer = |fire_at| Asked::CreateTimer(CreateTimerAction { fire_at });
    let wrong = [
        (1, unnamed, "sendEntityMessage.EntityMessageType is missing"),
        (1, child("@counter@a"), "must not begin with '@'"),
        (1, child("a/b"), "must not contain '/'"),
        (1, timer(None), "timer.fireAt is missing"),
        (1, timer(far), "no time"),
        (-1, child("a"), "not the id of a call"),
    ];
    for (id, asked, reason) in wrong {
        let error = taken(response(vec![(id, asked)])).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
    let nothing = OrchestratorAction::default();
    let nothing = OrchestratorResponse { actions: vec![nothing], ..Default::default() };
    assert!(taken(nothing).is_err());
}

#[test]
fn an_activity_failed_if_there_are_details_whatever_they_say() {
    let failure_details = Some(TaskFailureDetails::default());
    let failed = ActivityResponse { failure_details, ..ActivityResponse::default() };
    assert!(outcome_in(failed).is_err());
    assert_eq!(outcome_in(ActivityResponse::default()), Ok(None));
}

#[test]
fn what_a_worker_asks_again_is_dropped_as_long_as_it_is_open() {
    let call = CallId(1);
    let work = Work::new("pay", None);
    let scheduled = Kind::ActivityScheduled { call, work };
    let sent = Kind::EventSent { call: CallId(2), to: instance(), name: "go".into(), input: None };
    let mut log = vec![started(), turn(1), scheduled.clone(), sent.clone()];
    let asked = || vec![scheduled.clone(), sent.clone(), Kind::TimerFired { call: CallId(3) }];
    let mut again = asked();
    drop_repeated(&mut again, &log_of(log.clone()));
    assert_eq!(again, [Kind::TimerFired { call: CallId(3) }]);
    log.push(Kind::ActivityFinished { call, outcome: Ok(None) });
    let mut retried = asked();
    drop_repeated(&mut retried, &log_of(log));
    assert_eq!(retried, [scheduled.clone(), Kind::TimerFired { call: CallId(3) }]);
}

#[test]
fn an_empty_state_is_none_and_results_count_more_than_a_failure_of_the_whole() {
    let failure_details = Some(TaskFailureDetails::default());
    let wire = EntityBatchResult {
        entity_state: Some(String::new()),
        failure_details,
        ..EntityBatchResult::default()
    };
    let ticket = ticket(entity(), Piece::Operations(1));
    let performed = performed_in(&ticket, wire).expect("it is valid");
    assert!(performed.state.is_none() && performed.failed.is_some());
}

#[expect(deprecated, reason = "older workers send chunks")]
fn chunk(index: i32, more: bool) -> OrchestratorResponse {
    OrchestratorResponse {
        num_events_processed: Some(if index == 0 { 4 } else { 0 }),
        is_partial: more,
        chunk_index: Some(index),
        actions: vec![OrchestratorAction { id: index, ..Default::default() }],
        ..Default::default()
    }
}

#[test]
fn chunks_come_together_in_order() {
    let mut chunks = Chunks::default();
    assert_eq!(chunks.add(chunk(0, true)), Ok(None));
    assert_eq!(chunks.add(chunk(1, true)), Ok(None));
    assert_eq!(chunks.add(chunk(1, true)), Ok(None), "a retry");
    let whole = chunks.add(chunk(2, false)).expect("they follow").expect("it was the last");
    let ids: Vec<_> = whole.actions.iter().map(|action| action.id).collect();
    assert_eq!((ids, whole.num_events_processed), (vec![0, 1, 2], Some(4)));
    assert_eq!(chunks.add(chunk(2, true)), Err(InvalidMessage::Chunk { got: 2, expected: 0 }));
}

fn progress() -> impl Strategy<Value = Progress> {
    let how = (generate::maybe(), prop::option::of("[0-9]{1,3}"), generate::tags());
    let how = how.prop_map(|(input, version, tags)| ContinueAsNew {
        input,
        version: version.map(Into::into),
        keep_events: true,
        tags: Some(tags).filter(|tags| !tags.is_empty()),
    });
    let kept = (generate::text(), generate::maybe());
    let kept = vec(kept.prop_map(|(name, input)| Kind::EventRaised { name, input }), 0..3);
    prop_oneof![
        Just(Progress::Waiting),
        generate::outcome().prop_map(Progress::Finished),
        generate::maybe().prop_map(Progress::Terminated),
        (how, kept).prop_map(|(how, kept)| Progress::ContinuedAsNew(how, kept)),
    ]
}

pub(crate) fn any_taken() -> impl Strategy<Value = Taken> {
    let takes = prop::option::of(0..99u32);
    let mark = prop::option::of((1..u64::MAX).prop_map(Mark));
    (takes, progress(), vec(generate::action(), 0..6), generate::maybe(), mark).prop_map(
        |(takes, progress, actions, custom_status, mark)| {
            let named = actions
                .into_iter()
                .zip(1..)
                .map(|(action, id)| generate::with_id(action, CallId(id), &format!("r{id}")));
            let actions = named.chain([Kind::CallCancelled { call: CallId(77) }]).collect();
            Taken { takes, step: Step { progress, actions, custom_status }, mark }
        },
    )
}

fn performed() -> impl Strategy<Value = Performed> {
    let signal = (generate::entity(), generate::name(), generate::maybe());
    let due = || prop::option::of(generate::at());
    let signal = (signal, due()).prop_map(|((entity, name, input), due)| {
        let operation = Operation::new("", name, input);
        Act::Signal(entity, Requested { operation, caller: None, due })
    });
    let start = (generate::id(), generate::work(), due()).prop_map(|(instance, work, at)| {
        let work = Work { tags: [].into(), ..work };
        Act::Start { instance, work, at }
    });
    let acts = vec(prop_oneof![signal, start], 0..4);
    let state = prop::option::of(".{1,9}").prop_map(|state| state.map(Into::into));
    (vec(generate::outcome(), 1..4), state, acts).prop_map(|(outcomes, state, acts)| Performed {
        outcomes,
        state,
        acts,
        failed: None,
    })
}

proptest! {
    #[test]
    fn a_turn_survives_the_way_back(taken in any_taken()) {
        let ticket = ticket(instance(), Piece::Turn(1));
        let wire = taken_out(&ticket.instance, ticket.execution, "t".into(), &taken);
        prop_assert_eq!(wire.map(|wire| taken_in(&ticket, wire)), Some(Ok(taken)));
    }

    #[test]
    fn the_end_of_an_activity_survives_the_way_back(outcome in generate::outcome()) {
        let wire = outcome_out(&instance(), CallId(1), "t".into(), &outcome);
        prop_assert_eq!(outcome_in(wire), outcome);
    }

    #[test]
    fn operations_survive_the_way_back(performed in performed()) {
        let operations = Operations { state: None, requested: Vec::new() };
        let wire = performed_out(&operations, "t".into(), &performed);
        let mut back = performed_in(&ticket(entity(), Piece::Operations(1)), wire)
            .expect("it is valid");
        for act in &mut back.acts {
            if let Act::Signal(_, requested) = act {
                prop_assert_eq!(requested.operation.request.len(), 36, "a GUID");
                requested.operation.request = "".into();
            }
        }
        prop_assert_eq!(back, performed);
    }
}

#[test]
fn code_that_is_stuck_has_no_response() {
    let step =
        Step { progress: Progress::Stuck("why".into()), actions: Vec::new(), custom_status: None };
    let taken = Taken { takes: None, step, mark: None };
    assert_eq!(taken_out(&instance(), ExecutionId(1), String::new(), &taken), None);
}
