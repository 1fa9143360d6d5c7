//! Branches that begin alike: only their place tells them apart, whatever the order of polling.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use futures::{FutureExt as _, channel::oneshot, pin_mut};
use taskhub_core::{
    Event, Outcome, Text, Timestamp, Work,
    turn::{Command, Orchestration, Pending, Run, Scope},
};

use crate::life::{Arrival, Life};

/// An orchestration that is an ordinary function.
struct Code<F>(F);

impl<F, R> Orchestration for Code<F>
where
    F: Fn(Rc<Scope>) -> R + Send + Sync,
    R: Future<Output = String> + 'static,
{
    fn begin(&self, scope: Scope, _input: Option<Text>) -> Run {
        let code = Box::pin((self.0)(Rc::new(scope.clone())));
        scope.lives_in(&*code);
        Box::pin(async move { Ok(Some(code.await.into())) })
    }
}

#[track_caller]
fn ask(scope: &Scope, input: &str) -> Pending {
    scope.call(Command::Activity(Work::new("work", Some(input.into()))))
}

async fn work(scope: &Scope, input: &str) -> String {
    let outcome = ask(scope, input).await;
    outcome.ok().flatten().map_or_else(String::new, |text| text.to_string())
}

async fn event(scope: &Scope) -> String {
    let outcome = scope.call(Command::Event { name: "e".into() }).await;
    outcome.ok().flatten().map_or_else(String::new, |text| text.to_string())
}

async fn pause(scope: &Scope) {
    let fire_at = scope.now().plus(Duration::from_secs(1));
    let _ = scope.call(Command::Timer { fire_at }).await;
}

/// Pauses like its twin, then does what only it does.
async fn paused(scope: &Scope, name: &str) -> String {
    pause(scope).await;
    work(scope, name).await
}

fn finished(input: &str) -> Arrival {
    Arrival::Finished(input.into(), Ok(Some(format!("did {input}").into())))
}

/// All outcomes of many lives with the same arrivals, each replayed too. One turn each or all.
fn outcomes(code: &dyn Orchestration, arrivals: &[Arrival]) -> BTreeSet<String> {
    let mut outcomes = BTreeSet::new();
    for round in 0..200 {
        let mut life = Life::new(code);
        let mut takes = 0;
        for (at, arrival) in (0..).map(|at| Timestamp(at * 1_000_000)).zip(arrivals) {
            if !life.arrive(at, arrival) && takes > 0 {
                life.turn(std::mem::take(&mut takes));
                assert!(life.arrive(at, arrival), "{arrival:?} is not awaited");
            }
            takes += 1;
            if round % 2 == 0 {
                life.turn(std::mem::take(&mut takes));
            }
        }
        if takes > 0 {
            life.turn(takes);
        }
        for _ in 0..5 {
            assert_eq!(life.replay(|| false), life.outcome, "{:#?}", life.history);
        }
        outcomes.insert(text(life.outcome, &life.history));
    }
    outcomes
}

fn text(outcome: Option<Outcome>, history: &[Event]) -> String {
    outcome
        .and_then(Result::ok)
        .flatten()
        .unwrap_or_else(|| panic!("not finished: {history:#?}"))
        .to_string()
}

#[test]
fn branches_that_pause_alike_keep_their_timers() {
    let code = Code(|scope: Rc<Scope>| async move {
        tokio::select! {
            a = paused(&scope, "a") => format!("first {a}"),
            b = paused(&scope, "b") => format!("second {b}"),
        }
    });
    let fired = Arrival::Fired(Timestamp(1_000_000));
    let arrivals = [fired.clone(), fired, finished("b")];
    assert_eq!(outcomes(&code, &arrivals), ["second did b".to_owned()].into());
}

#[test]
fn the_first_branch_that_waits_for_an_event_gets_it() {
    let code = Code(|scope: Rc<Scope>| async move {
        tokio::select! {
            a = event(&scope) => format!("first {a}"),
            b = event(&scope) => format!("second {b}"),
        }
    });
    let raised = Arrival::Raised("E".into(), "it".into());
    assert_eq!(outcomes(&code, &[raised]), ["first it".to_owned()].into());
}

#[test]
fn a_racing_pair_of_one_call_keeps_its_results_apart() {
    let code = Code(|scope: Rc<Scope>| async move {
        let (a, b) = (work(&scope, "x").fuse(), work(&scope, "x").fuse());
        pin_mut!(a, b);
        futures::select! { a = a => format!("first {a}"), b = b => format!("second {b}") }
    });
    let mut all = BTreeSet::new();
    for _ in 0..100 {
        let mut life = Life::new(&code);
        assert!(life.arrive(Timestamp(1), &finished("x")));
        life.turn(1);
        assert_eq!(life.replay(|| false), life.outcome);
        all.insert(text(life.outcome, &life.history));
    }
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn the_order_in_which_join_polls_does_not_depend_on_turns() {
    let code = Code(|scope: Rc<Scope>| async move {
        let (send, receive) = oneshot::channel();
        let two = async {
            let _ = receive.await;
            ask(&scope, "heard").await
        };
        let one = async {
            let _ = ask(&scope, "first").await;
            let _ = send.send(());
            ask(&scope, "after").await
        };
        let (a, b, c) = tokio::join!(one, two, ask(&scope, "other"));
        format!("{:?}", [a, b, c].map(|outcome| outcome.ok().flatten()))
    });
    for others in [0, 1, 2, 3] {
        let mut arrivals = vec![Arrival::Raised("noise".into(), "".into()); others];
        arrivals.extend(["first", "heard", "after", "other"].map(finished));
        let all = outcomes(&code, &arrivals);
        let expected = r#"[Some("did after"), Some("did heard"), Some("did other")]"#;
        assert_eq!(all, [expected.to_owned()].into());
    }
}

#[test]
fn a_replay_ends_with_the_first_event_that_is_new() {
    let code = Code(|scope: Rc<Scope>| async move {
        let mut seen = vec![scope.is_replaying()];
        for input in ["1", "2", "3"] {
            work(&scope, input).await;
            seen.push(scope.is_replaying());
        }
        event(&scope).await;
        seen.push(scope.is_replaying());
        format!("{seen:?}")
    });
    let mut life = Life::new(&code);
    for arrival in [Arrival::Raised("e".into(), "".into()), finished("1"), finished("2")] {
        assert!(life.arrive(Timestamp(1), &arrival));
        life.turn(1);
    }
    let mut again = life.reload();
    assert!(again.arrive(Timestamp(2), &finished("3")));
    again.turn(1);
    let expected = "[true, true, true, false, false]";
    assert_eq!(text(again.outcome, &again.history), expected);
    assert!(life.arrive(Timestamp(2), &finished("3")));
    life.turn(1);
    assert_eq!(text(life.outcome, &life.history), format!("{:?}", [false; 5]));
}
