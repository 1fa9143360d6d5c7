//! A failed instance that goes on takes others along: its children, in whatever state it finds
//! them, and the entities that it asked for something.

use std::{future::poll_fn, pin::pin, task::Poll};

use crate::bench::{Bench, Code, act, child, event};
use futures::future::{Either, select, try_join};
use taskhub_core::{
    Answer, Done, Event, ExecutionId, Failure, InstanceId, Job, Kind, Operation, Performed,
    Refusal, RuntimeStatus, Started, Verb, turn::Command,
};

#[test]
fn children_are_rewound_however_deep_they_stand() {
    let mut bench = Bench::new(&[
        ("parent", |scope| {
            Box::pin(async move {
                act(&scope, "first").await?;
                child(&scope, "child").await
            })
        }),
        ("child", |scope| {
            Box::pin(async move {
                act(&scope, "second").await?;
                child(&scope, "grandchild").await
            })
        }),
        ("grandchild", |scope| Box::pin(async move { act(&scope, "third").await })),
    ]);
    let family = ["parent", "child", "grandchild"];
    bench.start("parent");
    bench.succeed("first");
    bench.succeed("second");
    for _ in 0..2 {
        bench.fail("third");
        let before = family.map(|it| bench.record(it).execution);
        assert_eq!(family.map(|it| bench.status(it)), [RuntimeStatus::Failed; 3]);
        assert_eq!(bench.rewind("parent"), Answer::Done);
        assert_eq!(family.map(|it| bench.status(it)), [RuntimeStatus::Running; 3]);
        assert_eq!(bench.activities(), ["third"]);
        let after = family.map(|it| bench.record(it).execution);
        assert!(before.iter().zip(&after).all(|(before, after)| before != after));
        bench.crash();
    }
    bench.succeed("third");
    assert_eq!(bench.outcome("parent"), Ok("third done".to_owned()));
}

/// A parent whose child waits for an event, or fails if that carries something, beside an activity.
const BESIDE: Code = &[
    ("parent", |scope| {
        Box::pin(async move {
            let (output, _) = try_join(child(&scope, "child"), act(&scope, "beside")).await?;
            Ok(output)
        })
    }),
    ("child", |scope| {
        Box::pin(async move {
            match event(&scope, "go").await? {
                None => Ok(Some("went".into())),
                Some(why) => Err(Failure::new("Wanted", why)),
            }
        })
    }),
];

/// The parent has failed with its activity, and its child lives.
fn failed_beside_its_child() -> Bench {
    let mut bench = Bench::new(BESIDE);
    bench.start("parent");
    bench.fail("beside");
    bench
}

fn go(bench: &mut Bench) {
    let raised = bench.ask("child", Verb::Raise { name: "go".into(), input: None });
    assert_eq!(raised, Answer::Done);
}

#[test]
fn a_child_that_lives_is_left_alone_and_heard() {
    let mut bench = failed_beside_its_child();
    let execution = bench.record("child").execution;
    bench.rewind("parent");
    assert_eq!(bench.record("child").execution, execution);
    bench.crash();
    go(&mut bench);
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn a_child_that_returned_while_nobody_listened_says_so_again() {
    let mut bench = failed_beside_its_child();
    go(&mut bench);
    bench.rewind("parent");
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn a_child_that_is_gone_is_made_anew() {
    let mut bench = failed_beside_its_child();
    bench.ask("child", Verb::Terminate { reason: None, recursive: false });
    bench.ask("child", Verb::Purge);
    bench.rewind("parent");
    assert_eq!(bench.status("child"), RuntimeStatus::Running);
    go(&mut bench);
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn a_child_that_was_terminated_begins_anew() {
    let mut bench = Bench::new(BESIDE);
    bench.start("parent");
    bench.ask("child", Verb::Terminate { reason: None, recursive: false });
    assert_eq!(bench.status("parent"), RuntimeStatus::Failed);
    bench.rewind("parent");
    assert_eq!(bench.status("child"), RuntimeStatus::Running);
    go(&mut bench);
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn an_instance_that_took_the_id_of_a_child_is_left_alone() {
    let mut bench = failed_beside_its_child();
    bench.ask("child", Verb::Terminate { reason: None, recursive: false });
    bench.start_with(Started::new("child", None, ExecutionId(99)));
    bench.rewind("parent");
    assert_eq!(bench.record("child").execution, ExecutionId(99));
    let why = bench.outcome("parent").unwrap_err();
    assert!(why.contains("exists already"), "{why}");
}

/// Ready when it is polled again, which is in the same turn.
async fn once() {
    let mut polled = false;
    poll_fn(|task| {
        task.waker().wake_by_ref();
        if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// The same parent, and child, but it does not wait for what it called.
const HASTY: Code = &[
    ("parent", |scope| {
        Box::pin(async move {
            let both = try_join(child(&scope, "child"), act(&scope, "beside"));
            match select(pin!(both), pin!(once())).await {
                Either::Left((both, _)) => both.map(|(output, _)| output),
                Either::Right(_) => Err(Failure::new("Hasty", "it did not wait")),
            }
        })
    }),
    BESIDE[1],
];

/// The same parent, and a child that waits for nothing durable.
const HANGS: Code =
    &[BESIDE[0], ("child", |_| Box::pin(async move { std::future::pending().await }))];

/// The same parent, and a child that is content with any event.
const MENDED: Code = &[
    BESIDE[0],
    ("child", |scope| {
        Box::pin(async move { event(&scope, "go").await.map(|_| Some("went".into())) })
    }),
];

#[test]
fn a_child_that_cannot_go_on_fails_its_parent_again() {
    let mut bench = Bench::new(BESIDE);
    bench.start("parent");
    bench.ask("child", Verb::Raise { name: "go".into(), input: Some("wrong".into()) });
    assert_eq!(bench.status("parent"), RuntimeStatus::Failed);
    bench.deploy(HANGS);
    bench.rewind("parent");
    assert_eq!(bench.status("child"), RuntimeStatus::Failed);
    let why = bench.outcome("parent").unwrap_err();
    assert!(why.contains("cannot be rewound"), "{why}");
    bench.deploy(MENDED);
    bench.rewind("parent");
    let rewound = |event: &Event| matches!(event.kind, Kind::Rewound { .. });
    assert!(bench.history("child").iter().any(rewound), "it goes on, it is not another");
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn a_child_that_returned_says_so_until_its_parent_hears_it() {
    let mut bench = failed_beside_its_child();
    go(&mut bench);
    for code in [HASTY, HASTY, BESIDE] {
        assert_eq!(bench.status("parent"), RuntimeStatus::Failed);
        bench.deploy(code);
        assert_eq!(bench.rewind("parent"), Answer::Done);
        assert_eq!(bench.status("child"), RuntimeStatus::Completed);
    }
    bench.succeed("beside");
    assert_eq!(bench.outcome("parent"), Ok("went".to_owned()));
}

#[test]
fn a_child_that_is_rewound_alone_tells_a_parent_that_is_rewound_later() {
    let mut bench = Bench::new(&[
        ("parent", |scope| Box::pin(async move { child(&scope, "child").await })),
        ("child", |scope| Box::pin(async move { act(&scope, "work").await })),
    ]);
    bench.start("parent");
    bench.fail("work");
    bench.rewind("child");
    bench.succeed("work");
    assert_eq!(bench.status("child"), RuntimeStatus::Completed);
    assert_eq!(bench.status("parent"), RuntimeStatus::Failed);
    bench.rewind("parent");
    assert_eq!(bench.outcome("parent"), Ok("work done".to_owned()));
}

fn account() -> InstanceId {
    InstanceId::trusted("@account@7")
}

/// A worker performs what it has to do for an entity.
fn perform(bench: &mut Bench, performed: Performed) {
    let of_entity = |task: &taskhub_core::Task| matches!(task.job, Job::Operations(_));
    let at = bench.tasks.iter().position(of_entity).expect("a worker has operations");
    let task = bench.tasks.remove(at);
    bench.done(task, Done::Operations(Box::new(performed)));
}

#[test]
fn an_operation_that_failed_is_asked_for_again() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            let operation = Operation::new("", "debit", None);
            scope.call(Command::Operation { entity: account(), operation }).await
        })
    })]);
    bench.start("order");
    let failed = Some(Failure::new("Closed", "the account is closed"));
    perform(&mut bench, Performed { failed, ..Performed::default() });
    assert_eq!(bench.status("order"), RuntimeStatus::Failed);
    bench.rewind("order");
    let outcomes = vec![Ok(Some("ok".into()))];
    perform(&mut bench, Performed { outcomes, ..Performed::default() });
    assert_eq!(bench.outcome("order"), Ok("ok".to_owned()));
}

#[test]
fn one_that_lost_its_locks_as_it_failed_is_refused() {
    let mut bench = Bench::new(&[("order", |scope| {
        Box::pin(async move {
            scope.call(Command::Lock { entities: [account()].into() }).await?;
            act(&scope, "ship").await
        })
    })]);
    bench.start("order");
    bench.fail("ship");
    let answer = bench.rewind("order");
    let Answer::Refused(Refusal::CannotRewind(_, why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("locked"), "{why}");
}
