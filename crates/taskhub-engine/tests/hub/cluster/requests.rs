//! Any node serves any request, whoever owns the instance.

use std::time::Duration;

use taskhub_core::{Answer, Refusal, Verb};

use super::world::{World, hold, ids, output, raise, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_finds_the_owner_from_any_node() {
    let world = World::new();
    let [(a, _), (b, _)] = world.pair().await;
    for (number, instance) in ids(16).into_iter().enumerate() {
        assert!(matches!(a.ask(instance.clone(), start("wait", number)).await, Answer::Started(_)));
        let held = tokio::spawn({
            let (a, instance) = (a.clone(), instance.clone());
            async move { a.ask(instance, Verb::Wait).await }
        });
        assert_eq!(b.ask(instance.clone(), raise("sun")).await, Answer::Done);
        assert_eq!(output(held.await.expect("it does not panic")), "sun");
        assert_eq!(output(b.ask(instance, Verb::Status).await), "sun");
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_is_held_while_its_instance_moves() {
    let world = World::new();
    let [(a, _), (b, _)] = world.pair().await;
    for (number, instance) in ids(16).into_iter().enumerate() {
        b.ask(instance, start("wait", number)).await;
    }
    let held = hold(&b, ids(16)).await;
    a.stop().await;
    world.until_shared(&[("b", 8)]).await;
    for instance in ids(16) {
        assert_eq!(b.ask(instance, raise("sun")).await, Answer::Done);
    }
    for held in held {
        assert_eq!(output(held.await.expect("it does not panic")), "sun");
    }
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_on_is_never_passed_on_again() {
    let world = World::new();
    let [(a, _), (b, _)] = world.pair().await;
    let mut here = 0;
    for (number, instance) in ids(32).into_iter().enumerate() {
        let answers = [
            a.ask_here(instance.clone(), start("wait", number)).await,
            b.ask_here(instance.clone(), start("wait", number)).await,
        ];
        let moved = Answer::Refused(Refusal::Moved(instance.clone()));
        let others: Vec<_> = answers.iter().filter(|answer| **answer != moved).collect();
        assert!(matches!(others[..], [Answer::Started(_)]), "{answers:?}");
        let is_here = answers[0] != moved;
        assert_eq!((a.is_here(&instance), b.is_here(&instance)), (is_here, !is_here));
        here += usize::from(is_here);
    }
    assert!(here > 0 && here < 32, "both own some of them: {here}");
    a.stop().await;
    b.stop().await;
}

/// However long each try takes: the owner keeps its leases, so trying on is of no use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_owner_has_that_cannot_be_reached_is_refused_in_the_end() {
    let world = World::new();
    let [(a, _), (b, _)] = world.pair().await;
    let id = ids(32).into_iter().find(|id| a.is_here(id)).expect("it owns some");
    a.ask(id.clone(), start("wait", 1)).await;
    let late = Duration::from_millis(600);
    world.net.lose("a", late);
    let refused = async |verb| {
        let asked = tokio::time::timeout(Duration::from_mins(1), b.ask(id.clone(), verb)).await;
        let answer = asked.expect("it is not asked for ever");
        assert!(matches!(answer, Answer::Refused(Refusal::Unavailable(..))), "{answer:?}");
    };
    refused(Verb::Wait).await;
    refused(raise("sun")).await;
    // Nor one that can be reached, and never answers.
    world.net.mute("a", late);
    refused(Verb::Wait).await;
    refused(Verb::Status).await;
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_through_a_node_that_stops_is_served_by_the_next() {
    let world = World::new();
    let [(a, _), (b, _)] = world.pair().await;
    let stopping = tokio::spawn(async move { a.stop().await });
    for (number, instance) in ids(64).into_iter().enumerate() {
        let started = b.ask(instance, start("chain", number)).await;
        assert!(matches!(started, Answer::Started(_)), "{started:?}");
    }
    stopping.await.expect("it does not panic");
    for instance in ids(64) {
        assert_eq!(output(b.ask(instance, Verb::Wait).await), "3");
    }
    b.stop().await;
}
