//! Whole histories, there and back.

use proptest::prelude::*;
use taskhub_core::{
    CallId, Event, ExecutionId, Failure, InstanceId, Kind, Record, RuntimeStatus, Timestamp, Work,
};
use taskhub_wire::{
    history_in, history_out, history_shown,
    proto::{HistoryEvent, history_event::EventType},
    timestamp_out,
};

use crate::{generate, instance, log_of, started, turn};

fn raised(name: &str) -> Kind {
    Kind::EventRaised { name: name.into(), input: None }
}

fn scheduled(call: u32) -> Kind {
    Kind::ActivityScheduled { call: CallId(call), work: Work::new("pay", None) }
}

/// What each event is, and its id.
fn shape(events: &[HistoryEvent]) -> Vec<(&'static str, i32)> {
    let name = |event: &HistoryEvent| match &event.event_type {
        Some(EventType::OrchestratorStarted(_)) => "begin",
        Some(EventType::OrchestratorCompleted(_)) => "end",
        Some(EventType::ExecutionStarted(_)) => "started",
        Some(EventType::ExecutionCompleted(_)) => "completed",
        Some(EventType::ExecutionRewound(_)) => "rewound",
        Some(EventType::EventRaised(_)) => "raised",
        Some(EventType::TaskScheduled(_)) => "scheduled",
        Some(EventType::TaskCompleted(_)) => "finished",
        _ => "other",
    };
    events.iter().map(|event| (name(event), event.event_id)).collect()
}

proptest! {
    #[test]
    fn a_history_survives_the_way_out_and_back(history in generate::history()) {
        let told = history_out(&instance(), &history);
        prop_assert_eq!(told.waiting, vec![]);
        prop_assert_eq!(history_in(told.past), Ok(history));
    }

    #[test]
    fn what_waits_survives_too(history in generate::history(), keep in 1..40usize) {
        let keep = keep.min(history.len());
        let told = history_out(&instance(), &history[..keep]);
        let events: Vec<_> = told.past.iter().chain(&told.waiting).cloned().collect();
        let back = history_in(events).map(|back| history_out(&instance(), &back));
        prop_assert_eq!(back, Ok(told));
    }

    #[test]
    fn an_earlier_history_is_the_beginning_of_a_later_one(
        history in generate::history(),
        keep in 1..40usize,
    ) {
        let turns = history.iter().enumerate();
        let turns = turns.filter(|(_, event)| matches!(event.kind, Kind::TurnStarted { .. }));
        if let Some((end, _)) = turns.skip(keep % 5).last() {
            let earlier = history_out(&instance(), &history[..end]).past;
            let later = history_out(&instance(), &history).past;
            prop_assert_eq!(&later[..earlier.len()], &earlier);
        }
    }
}

#[test]
fn each_turn_has_what_it_took_and_then_what_it_asked_for() {
    let log = log_of([
        started(),
        raised("early"),
        turn(1),
        scheduled(1),
        raised("late"),
        Kind::ActivityFinished { call: CallId(1), outcome: Ok(None) },
        turn(2),
        raised("untaken"),
    ]);
    let told = history_out(&instance(), &log);
    let first = [("begin", -1), ("started", -1), ("scheduled", 1), ("end", -1)];
    let second = [("begin", -1), ("raised", -1), ("raised", -1), ("end", -1)];
    assert_eq!(shape(&told.past), [first, second].concat());
    assert_eq!(shape(&told.waiting), [("finished", -1), ("raised", -1)]);
}

#[test]
fn a_turn_begins_at_its_clock_and_ends_at_its_commit() {
    let clock = Some(Timestamp(5));
    let begin = Event { at: Timestamp(9), kind: Kind::TurnStarted { takes: 1, clock } };
    let log = [log_of([started()]), vec![begin]].concat();
    let past = history_out(&instance(), &log).past;
    let times: Vec<_> = past.into_iter().filter_map(|event| event.timestamp).collect();
    assert_eq!(times, [5, 1, 9].map(|micros| timestamp_out(Timestamp(micros))));
}

#[test]
fn the_end_of_the_execution_comes_last_with_its_result() {
    let status = RuntimeStatus::Failed;
    let log = log_of([started(), turn(1), raised("late"), Kind::Completed { status }]);
    let record = Record {
        execution: ExecutionId(10),
        name: "charge".into(),
        version: None,
        status,
        created_at: Timestamp(1),
        updated_at: Timestamp(4),
        completed_at: Some(Timestamp(4)),
        due: None,
        busy: false,
        custom_status: None,
        tags: [].into(),
        parent: None,
        stuck: None,
        outcome: Some(Err(Failure::new("Declined", "no money"))),
        events: 4,
    };
    let mut shown = history_shown(&instance(), &record, &log);
    let (begin, end) = (("begin", -1), ("end", -1));
    let expected = [begin, ("started", -1), end, ("raised", -1), ("completed", -1)];
    assert_eq!(shape(&shown), expected);
    let Some(EventType::ExecutionCompleted(last)) = shown.pop().and_then(|it| it.event_type) else {
        panic!("it ended");
    };
    assert_eq!(last.orchestration_status, 3);
    assert_eq!(last.failure_details.map(|it| it.error_type), Some("Declined".into()));
}

#[test]
fn a_rewind_stands_behind_the_turns_before_it_and_is_nothing_new() {
    let rewound = Kind::Rewound { reason: Some("fixed".into()) };
    let log = log_of([started(), turn(1), scheduled(1), rewound, turn(0)]);
    let told = history_out(&instance(), &log);
    let (begin, end) = (("begin", -1), ("end", -1));
    let expected = [begin, ("started", -1), ("scheduled", 1), end, ("rewound", -1), begin, end];
    assert_eq!((shape(&told.past).as_slice(), told.waiting.len()), (&expected[..], 0));
    let back = history_in(told.past).map(|back| history_out(&instance(), &back).past);
    assert_eq!(back.map(|past| shape(&past)), Ok(expected.to_vec()));
}

#[test]
fn an_answer_to_nothing_is_refused() {
    let answer = Kind::OperationFinished { call: CallId(1), outcome: Ok(None) };
    let entity = InstanceId::trusted("@counter@a");
    let operation = taskhub_core::Operation::new("r", "n", None);
    let asked = Kind::OperationCalled { call: CallId(1), entity, operation };
    let log = log_of([started(), turn(1), asked, answer, turn(1)]);
    let mut past = history_out(&instance(), &log).past;
    assert!(history_in(past.clone()).is_ok());
    past.retain(|event| event.event_id != 1);
    assert!(history_in(past).is_err());
}
