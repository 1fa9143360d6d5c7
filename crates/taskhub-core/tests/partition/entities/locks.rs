//! Critical sections: several entities for one orchestration, given back however it ends.

use bytes::Bytes;
use taskhub_core::{InstanceId, Limits, Verb};

use super::{
    script::entity,
    world::{Trouble, World, whatever_happens},
};

#[test]
fn while_an_entity_is_locked_only_its_holder_is_served() {
    whatever_happens(|world| {
        world.start("h", "lock a; wait go; call a h; unlock; wait end");
        world.signal("a", "note", "x");
        world.start("g", "call a g");
        world.perform();
        assert_eq!(world.holder("a").as_deref(), Some("h"));
        assert_eq!(world.state("a"), "");
        world.raise("h", "go");
        world.perform();
        assert_eq!((world.state("a"), world.holder("a")), ("h,x,g".to_owned(), None));
    });
}

#[test]
fn what_was_asked_before_the_lock_is_done_before_it() {
    whatever_happens(|world| {
        world.start("h", "signal a 1; signal a 2; lock a; call a 3; unlock");
        world.perform();
        assert_eq!(world.output("h").as_deref(), Some("1,2,3"));
    });
}

#[test]
fn entities_are_locked_one_after_another_in_the_order_of_their_ids() {
    whatever_happens(|world| {
        world.start("first", "lock b; wait go");
        world.start("second", "lock c,a,b,a; wait go");
        assert_eq!(world.holder("a").as_deref(), Some("second"));
        assert_eq!(world.holder("b").as_deref(), Some("first"));
        assert_eq!(world.holder("c"), None);
        world.raise("first", "go");
        for key in ["a", "b", "c"] {
            assert_eq!(world.holder(key).as_deref(), Some("second"), "{key}");
        }
    });
}

#[test]
fn those_who_want_the_same_entities_in_any_order_all_get_them() {
    whatever_happens(|world| {
        for (id, keys) in [("1", "a,b,c"), ("2", "c,b,a"), ("3", "b,a"), ("4", "c,a"), ("5", "b")] {
            let first = &keys[..1];
            world.start(id, &format!("lock {keys}; call {first} {id}; unlock"));
        }
        world.perform();
        for id in ["1", "2", "3", "4", "5"] {
            assert!(world.outcome(id).is_some(), "{id}");
        }
        for key in ["a", "b", "c"] {
            assert_eq!(world.holder(key), None, "{key}");
        }
    });
}

#[test]
fn locks_are_granted_in_the_order_in_which_they_were_asked_for() {
    whatever_happens(|world| {
        for id in ["1", "2", "3"] {
            world.start(id, &format!("lock a; call a {id}; wait go"));
            world.perform();
        }
        for id in ["1", "2", "3"] {
            assert_eq!(world.holder("a").as_deref(), Some(id));
            world.raise(id, "go");
            world.perform();
        }
        assert_eq!((world.state("a"), world.holder("a")), ("1,2,3".to_owned(), None));
    });
}

/// Nobody holds the entities any more, nor stands in the way of who comes next.
fn assert_free(world: &mut World, keys: &[&str]) {
    for key in keys {
        assert_eq!(world.holder(key), None, "{key}");
        let id = format!("next-{key}");
        world.start(&id, &format!("lock {key}; call {key} next; unlock"));
        world.perform();
        assert!(world.outcome(&id).is_some(), "{key} cannot be locked");
    }
}

#[test]
fn locks_are_given_back_when_their_holder_ends_however_it_does() {
    for end in ["", "fail", "again; wait never", "unlock"] {
        whatever_happens(|world| {
            world.start("h", &format!("lock a,b; call a x; wait go; {end}"));
            world.perform();
            assert_eq!(world.holder("b").as_deref(), Some("h"));
            world.raise("h", "go");
            assert_free(world, &["a", "b"]);
        });
    }
}

#[test]
fn locks_are_given_back_when_their_holder_is_terminated() {
    whatever_happens(|world| {
        world.start("h", "lock a,b; wait go");
        world.terminate("h");
        assert_free(world, &["a", "b"]);
    });
}

#[test]
fn locks_are_given_back_by_one_who_still_waits_for_others() {
    for way in ["terminate", "give up"] {
        whatever_happens(|world| {
            world.start("other", "lock b; wait go");
            world.start("h", "race a,b stop; wait never");
            assert_eq!(world.holder("a").as_deref(), Some("h"));
            match way {
                "terminate" => world.terminate("h"),
                _ => world.raise("h", "stop"),
            }
            assert_free(world, &["a"]);
            world.raise("other", "go");
            assert_free(world, &["b"]);
        });
    }
}

#[test]
fn a_grant_that_comes_too_late_is_given_back() {
    for way in ["give up", "terminate", "purge", "start anew"] {
        let mut world = World::new(Trouble::None, Limits::default());
        world.delays_grants = true;
        world.start("h", "race a,b stop; wait go");
        match way {
            "give up" => world.raise("h", "stop"),
            _ => world.terminate("h"),
        }
        match way {
            "purge" => drop(world.ask(&InstanceId::trusted("h"), Verb::Purge)),
            "start anew" => world.start("h", "wait go"),
            _ => {}
        }
        world.delays_grants = false;
        let delayed = std::mem::take(&mut world.delayed);
        assert_eq!(delayed.len(), 1, "{way}");
        world.go(delayed);
        assert_free(&mut world, &["a", "b"]);
    }
}

#[test]
fn locks_are_given_back_when_a_parked_holder_is_purged() {
    let mut world = World::new(Trouble::None, Limits::default());
    let id = InstanceId::trusted("h");
    world.start("h", "lock a; wait go");
    // From now on its code does something else than its history says.
    let history = &mut world.stored(&id).history;
    *history = history.iter().map(|piece| replaced(piece, b"lock a", b"call a")).collect();
    world.crash();
    world.raise("h", "go");
    assert!(world.stored(&id).record.stuck.is_some());
    world.ask(&id, Verb::Purge);
    assert_free(&mut world, &["a"]);
}

fn replaced(piece: &[u8], old: &[u8], new: &[u8]) -> Bytes {
    let mut piece = piece.to_vec();
    if let Some(at) = piece.windows(old.len()).position(|window| window == old) {
        piece[at..at + old.len()].copy_from_slice(new);
    }
    piece.into()
}

#[test]
fn a_lock_whose_holder_is_gone_without_a_trace_can_be_given_back() {
    whatever_happens(|world| {
        world.start("h", "lock a; wait go");
        let section = world.entity("a").and_then(|it| it.section).expect("it is locked");
        let unlock = |section: &str| Verb::Unlock { section: section.into() };
        world.ask(&entity("a"), unlock("another section"));
        assert_eq!(world.holder("a").as_deref(), Some("h"));
        world.ask(&entity("a"), unlock(&section));
        assert_free(world, &["a"]);
    });
}

#[test]
fn who_knows_the_name_of_a_section_gives_nothing_of_it_back() {
    whatever_happens(|world| {
        world.start("h", "lock a; wait go");
        let section = world.entity("a").and_then(|it| it.section).expect("it is locked");
        world.start("stranger", &format!("lock b; release a {section}; unlock"));
        assert!(world.outcome("stranger").is_some());
        assert_eq!(world.holder("a").as_deref(), Some("h"));
        world.raise("h", "go");
        assert_free(world, &["a", "b"]);
    });
}

#[test]
fn what_is_no_entity_is_passed_over_by_a_lock() {
    whatever_happens(|world| {
        world.start("other", "wait go");
        world.start("h", "lock !other,a,!nobody; call a x; unlock");
        world.perform();
        assert_eq!(world.output("h").as_deref(), Some("x"));
        assert_free(world, &["a"]);
    });
}
