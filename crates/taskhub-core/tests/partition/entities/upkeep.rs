//! Entities come when they are asked for something, and go when nothing is left of them.

use std::collections::BTreeSet;

use taskhub_core::{
    Answer, EntityMetadata, InstanceId, Limits, Refusal, Reuse, Started, Verb, codec,
};

use super::{
    script::entity,
    world::{Trouble, World, whatever_happens},
};

#[test]
fn an_entity_without_a_state_vanishes() {
    whatever_happens(|world| {
        world.start("h", "call a x; ask a clear x");
        world.perform();
        assert_eq!(world.output("h").as_deref(), Some("x|x"));
        assert_eq!(world.entity("a"), None);
        world.signal("a", "note", "y");
        world.perform();
        assert_eq!(world.state("a"), "y");
    });
}

#[test]
fn an_entity_that_was_only_locked_vanishes() {
    whatever_happens(|world| {
        world.start("h", "lock a; wait go");
        assert!(world.entity("a").is_some());
        world.raise("h", "go");
        assert_eq!(world.entity("a"), None);
    });
}

#[test]
fn an_entity_stays_for_what_it_is_to_do_later() {
    whatever_happens(|world| {
        world.start("h", "later a x 60");
        let seen = world.entity("a").expect("it is there");
        assert_eq!((seen.state, seen.backlog), (None, 1));
        world.pass(60);
        world.perform();
        assert_eq!(world.state("a"), "x");
    });
}

#[test]
fn an_entity_that_rests_can_be_purged() {
    whatever_happens(|world| {
        world.signal("a", "note", "x");
        world.perform();
        assert_eq!(world.ask(&entity("a"), Verb::Purge), Answer::Done);
        assert_eq!(world.entity("a"), None);
        let gone = Answer::Refused(Refusal::NotFound(entity("a")));
        assert_eq!(world.ask(&entity("a"), Verb::Purge), gone);
    });
}

#[test]
fn an_entity_that_is_in_use_is_not_purged() {
    whatever_happens(|world| {
        let in_use = Answer::Refused(Refusal::InUse(entity("a")));
        world.start("h", "lock a; wait go");
        assert_eq!(world.ask(&entity("a"), Verb::Purge), in_use);
        world.raise("h", "go");
        world.signal("a", "note", "x");
        assert_eq!(world.ask(&entity("a"), Verb::Purge), in_use);
        world.perform();
        assert_eq!(world.state("a"), "x");
    });
}

#[test]
fn entities_and_orchestrations_are_asked_different_things() {
    whatever_happens(|world| {
        world.start("h", "wait go");
        world.signal("a", "note", "x");
        world.perform();
        let other = |id: &InstanceId| Answer::Refused(Refusal::OtherKind(id.clone()));
        let started = || Box::new(Started::new("script", None, taskhub_core::ExecutionId(9)));
        for verb in [
            Verb::Start { started: started(), reuse: Reuse::Join },
            Verb::Raise { name: "go".into(), input: None },
            Verb::Terminate { reason: None, recursive: false },
            Verb::Suspend { reason: None },
            Verb::Wait,
        ] {
            assert_eq!(world.ask(&entity("a"), verb), other(&entity("a")));
        }
        world.signal("!h", "note", "x");
        world.signal("!nobody", "note", "x");
        let refused = [other(&entity("!h")), other(&entity("!nobody"))];
        assert!(world.answers.ends_with(&refused), "{:?}", world.answers);
        world.raise("h", "go");
        assert!(world.outcome("h").is_some());
        assert_eq!(world.state("a"), "x");
    });
}

#[test]
fn an_entity_whose_state_could_not_be_read_goes_on_when_it_can() {
    let mut world = World::new(Trouble::None, Limits::default());
    world.signal("a", "note", "x");
    world.perform();
    let whole = std::mem::take(&mut world.stored(&entity("a")).history);
    world.stored(&entity("a")).history = vec![bytes::Bytes::from_static(b"\xFF\xFF\xFF\xFF")];
    world.crash();
    world.signal("a", "note", "y");
    world.perform();
    let seen = world.entity("a").expect("it is there");
    assert!(seen.stuck.is_some() && seen.state.is_none(), "{seen:?}");
    let later = world.stored(&entity("a")).history.split_off(1);
    world.stored(&entity("a")).history = whole.into_iter().chain(later).collect();
    world.ask(&entity("a"), Verb::Resume { reason: None });
    world.perform();
    assert_eq!((world.state("a"), world.entity("a").and_then(|it| it.stuck)), ("x,y".into(), None));
}

#[test]
fn the_history_of_an_entity_does_not_grow() {
    whatever_happens(|world| {
        for _ in 0..100 {
            world.signal("a", "note", "x");
            world.perform();
            world.signal("a", "clear", "");
            world.signal("a", "note", "y");
            world.perform();
        }
        let history = codec::decode_history(&world.stored(&entity("a")).history);
        assert_eq!(history.expect("it can be read").len(), 1);
    });
}

#[test]
fn no_two_entities_share_an_execution() {
    let mut world = World::new(Trouble::None, Limits::default());
    let keys: Vec<_> = (0..50).map(|number| number.to_string()).collect();
    let signals: Vec<_> = keys.iter().map(|key| format!("signal {key} x")).collect();
    world.start("h", &signals.join("; "));
    world.perform();
    let executions: BTreeSet<_> =
        keys.iter().map(|key| world.stored(&entity(key)).record.execution).collect();
    assert_eq!(executions.len(), keys.len());
}

#[test]
fn what_others_see_is_what_was_committed() {
    whatever_happens(|world| {
        world.signal("a", "note", "x");
        world.perform();
        world.start("h", "lock a; wait go");
        world.signal("a", "note", "y");
        let due = Some(world.now.plus(std::time::Duration::from_secs(9)));
        world.signal_at("a", "note", "z", due);
        let EntityMetadata { state, locked_by, backlog, modified, .. } =
            world.entity("a").expect("it is there");
        assert_eq!(state.as_deref(), Some("x"));
        assert_eq!(locked_by, Some(InstanceId::trusted("h")));
        assert_eq!((backlog, modified), (2, world.now));
    });
}
