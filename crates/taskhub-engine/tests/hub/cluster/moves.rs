//! Partitions move: as nodes come and go, in good order or not.

use std::time::Duration;

use taskhub_core::{Answer, PartitionId, Refusal, Verb, store::Shared as _};
use taskhub_engine::Hub;

use super::world::{PARTITIONS, World, hold, id, ids, output, raise, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_shared_as_nodes_come_and_go() {
    let world = World::new();
    let (a, _) = world.join("a");
    assert_eq!(world.shares(), [("a".to_owned(), usize::from(PARTITIONS))].into());
    let (b, _) = world.join("b");
    world.until_shared(&[("a", 4), ("b", 4)]).await;
    a.stop().await;
    world.until_shared(&[("b", 8)]).await;
    b.stop().await;
    assert_eq!(world.shares(), [].into(), "what is given back is nobody's");
}

/// What it had would be out of reach for whoever asks another one; it asks them, though.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_an_address_owns_nothing_among_those_that_have_one() {
    let world = World::new();
    let (lone, _) = world.join("");
    assert_eq!(world.shares(), [(String::new(), usize::from(PARTITIONS))].into(), "it is alone");
    let (second, _) = world.join("");
    assert_eq!(world.shares(), [(String::new(), usize::from(PARTITIONS))].into());
    assert!(matches!(lone.ask(id("x"), start("wait", 1)).await, Answer::Started(_)));
    let [(a, _), (b, _)] = world.pair().await;
    for instance in ids(16) {
        assert!(matches!(lone.ask(instance, start("wait", 2)).await, Answer::Started(_)));
    }
    a.stop().await;
    b.stop().await;
    world.until_shared(&[("", 8)]).await;
    lone.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_wrong_secret_owns_nothing_beside_the_others() {
    let world = World::new();
    let (wrong, _) = world.join_in("wrong", "1");
    let (a, _) = world.join_in("a", "2");
    let (b, _) = world.join_in("b", "2");
    world.until_shared(&[("a", 4), ("b", 4)]).await;
    assert_eq!([&wrong, &a, &b].map(Hub::is_apart), [true, false, false]);
    let refused = wrong.ask(id("x"), Verb::Status).await;
    assert!(matches!(refused, Answer::Refused(Refusal::Unavailable(..))), "{refused:?}");
    a.stop().await;
    world.until_shared(&[("b", 8)]).await;
    b.stop().await;
    world.until_shared(&[("wrong", 8)]).await;
    assert!(!wrong.is_apart());
    wrong.stop().await;
}

/// Each is started again with the new one, one after the other: somebody has everything all the
/// time, whoever can be asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_get_a_new_secret_one_after_another() {
    let world = World::new();
    let mut nodes = ["a", "b", "c"].map(|name| world.join_in(name, "old").0);
    for (name, then) in [
        ("a", &[("b", 4), ("c", 4)][..]),
        ("b", &[("a", 4), ("b", 4)]),
        ("c", &[("a", 3), ("b", 3), ("c", 2)]),
    ] {
        let index = ["a", "b", "c"].iter().position(|it| *it == name).expect("it is one of them");
        nodes[index].stop().await;
        nodes[index] = world.join_in(name, "new").0;
        world.until_shared(then).await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_had_goes_on_elsewhere_when_it_dies() {
    let world = World::new();
    let [(a, link), (b, _)] = world.pair().await;
    for (number, instance) in ids(16).into_iter().enumerate() {
        assert!(matches!(a.ask(instance, start("wait", number)).await, Answer::Started(_)));
    }
    link.cut();
    world.net.remove("a");
    for instance in ids(16) {
        assert_eq!(b.ask(instance.clone(), raise("sun")).await, Answer::Done);
        assert_eq!(output(b.ask(instance, Verb::Wait).await), "sun");
    }
    assert_eq!(world.shares(), [("b".to_owned(), 8)].into());
    b.stop().await;
}

/// Here a clock stands for hours: nodes look for each other only when they hear something. So the
/// pause of a hand-over is what the steps take, whatever the machine; no time passes in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_over_in_good_order_waits_for_no_clock() {
    let world = World::with_leases_of(Duration::from_hours(10));
    let (a, _) = world.join("a");
    let (b, _) = world.join("b");
    // That somebody came is nothing to be heard of; that nobody has a partition is, by who listens.
    while world.shares().len() < 2 {
        world.store.hint(&[PartitionId(PARTITIONS)]).expect("it is in memory");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    world.until_shared(&[("a", 4), ("b", 4)]).await;
    let asked: Vec<_> = ids(64)
        .into_iter()
        .map(|instance| {
            let b = b.clone();
            tokio::spawn(async move {
                let started = b.ask(instance.clone(), start("chain", 1)).await;
                assert!(matches!(started, Answer::Started(_)), "{started:?}");
                output(b.ask(instance, Verb::Wait).await)
            })
        })
        .collect();
    a.stop().await;
    for answer in asked {
        let answer = tokio::time::timeout(Duration::from_mins(1), answer).await;
        assert_eq!(answer.expect("it waits for a clock").expect("it does not panic"), "3");
    }
    assert_eq!(world.shares(), [("b".to_owned(), 8)].into());
    b.stop().await;
}

/// Nobody hears of a crash. Others look when the leases run out, which is long before they would
/// look anyway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_had_is_claimed_when_its_leases_run_out() {
    let lease = Duration::from_hours(10);
    let world = World::with_leases_of(lease);
    let (a, link) = world.join("a");
    a.ask(id("x"), start("wait", 1)).await;
    link.cut();
    world.net.remove("a");
    world.pass(lease.saturating_sub(Duration::from_millis(300)));
    let (b, _) = world.join("b");
    assert_eq!(world.shares(), [("a".to_owned(), 8)].into());
    assert_eq!(b.ask(id("x"), raise("sun")).await, Answer::Done);
    assert_eq!(world.shares(), [("b".to_owned(), 8)].into());
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_a_node_that_fell_silent_is_answered_by_the_next() {
    let world = World::new();
    let [(a, link), (b, _)] = world.pair().await;
    for (number, instance) in ids(16).into_iter().enumerate() {
        a.ask(instance, start("wait", number)).await;
    }
    world.net.silence("a");
    let held = hold(&b, ids(16)).await;
    link.cut();
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
async fn a_node_that_lost_touch_tells_nothing_and_comes_back() {
    let world = World::new();
    let (a, link) = world.join("a");
    a.ask(id("x"), start("wait", 1)).await;
    link.cut();
    let (b, _) = world.join("b");
    world.until_shared(&[("b", 8)]).await;
    // It has it in memory, and does not know that it is not the owner any more.
    let told = a.ask_here(id("x"), Verb::Status).await;
    assert_eq!(told, Answer::Refused(Refusal::Moved(id("x"))));
    assert_eq!(b.ask(id("x"), raise("sun")).await, Answer::Done);
    link.mend();
    world.until_shared(&[("a", 4), ("b", 4)]).await;
    assert_eq!(output(a.ask(id("x"), Verb::Wait).await), "sun");
    assert_eq!(output(b.ask(id("x"), Verb::Wait).await), "sun");
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_hub_is_deleted_says_so_and_stops() {
    let world = World::new();
    let (kept, _) = world.join("kept");
    let stops = kept.deleted();
    kept.stop().await;
    drop(kept);
    assert!(!stops.await, "it was stopped");
    let (hub, link) = world.join("a");
    link.delete();
    let told = tokio::time::timeout(Duration::from_mins(1), hub.deleted()).await;
    assert_eq!(told, Ok(true));
    let why = hub.store_failure().unwrap_or_default();
    assert!(why.contains("deleted by somebody else"), "{why}");
    hub.stop().await;
}

/// Each node looks by itself for mail of which no hint came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_between_nodes_arrive_though_every_hint_is_lost() {
    let world = World::new();
    let nodes = world.pair().await;
    for (_, link) in &nodes {
        link.mute();
    }
    let [(a, _), (b, _)] = nodes;
    for (number, instance) in ids(8).into_iter().enumerate() {
        assert!(matches!(a.ask(instance, start("parent", number)).await, Answer::Started(_)));
    }
    for instance in ids(8) {
        let answer = tokio::time::timeout(Duration::from_mins(1), b.ask(instance, Verb::Wait));
        assert_eq!(output(answer.await.expect("they are found")), "12");
    }
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_between_nodes_count_once_while_partitions_move() {
    let world = World::new();
    let (a, _) = world.join("a");
    for (number, instance) in ids(48).into_iter().enumerate() {
        assert!(matches!(a.ask(instance, start("parent", number)).await, Answer::Started(_)));
    }
    let (b, _) = world.join("b");
    let (c, _) = world.join("c");
    let asked: Vec<_> = ids(48)
        .into_iter()
        .map(|instance| {
            let b = b.clone();
            tokio::spawn(async move { output(b.ask(instance, Verb::Wait).await) })
        })
        .collect();
    a.stop().await;
    for answer in asked {
        assert_eq!(answer.await.expect("it does not panic"), "12");
    }
    world.until_shared(&[("b", 4), ("c", 4)]).await;
    b.stop().await;
    c.stop().await;
}
