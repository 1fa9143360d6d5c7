//! Operations: performed in order, once, and answered.

use taskhub_core::{Act, Failure, Limits, Performed, Text, Timestamp};

use super::script::perform;
use super::world::{Trouble, World, operations, whatever_happens};

#[test]
fn a_call_is_answered_with_what_the_operation_gave() {
    whatever_happens(|world| {
        world.start("h", "call a x; call a y");
        world.perform();
        assert_eq!(world.output("h").as_deref(), Some("x|x,y"));
        assert_eq!(world.state("a"), "x,y");
    });
}

#[test]
fn what_one_sender_asks_for_is_done_in_that_order() {
    whatever_happens(|world| {
        world.start("h", "signal a 1; signal a 2; call a 3; signal a 4");
        world.perform();
        assert_eq!(world.state("a"), "1,2,3,4");
        for input in ["5", "6", "7"] {
            world.signal("a", "note", input);
        }
        world.perform();
        assert_eq!(world.state("a"), "1,2,3,4,5,6,7");
    });
}

#[test]
fn a_failed_operation_fails_its_call_and_no_other() {
    whatever_happens(|world| {
        world.start("good", "signal a 1; wait go; call a 2");
        world.start("bad", "ask a unheard x");
        world.raise("good", "go");
        world.perform();
        let failure = world.outcome("bad").expect("it has ended").expect_err("it failed");
        assert_eq!(&*failure.kind, "Unknown");
        assert_eq!(world.output("good").as_deref(), Some("1,2"));
    });
}

#[test]
fn operations_that_could_not_be_performed_at_all_fail_and_leave_the_state() {
    whatever_happens(|world| {
        world.start("h", "call a x; call a y");
        let first = world.tasks.pop_back().expect("a call is out");
        let performed = perform(operations(&first));
        world.done(first, performed);
        let second = world.tasks.pop_back().expect("another call is out");
        let failure = Failure::new("Lost", "the worker broke down");
        world.done(second, Performed { failed: Some(failure), ..Performed::default() });
        assert_eq!(&*world.outcome("h").unwrap().unwrap_err().kind, "Lost");
        assert_eq!(world.state("a"), "x");
    });
}

#[test]
fn an_entity_signals_another_and_itself() {
    whatever_happens(|world| {
        world.start("h", "ask a relay b:x; ask a relay a:y; ask a relay b:z");
        world.perform();
        assert_eq!((world.state("b"), world.state("a")), ("x,z".to_owned(), "y".to_owned()));
    });
}

#[test]
fn an_entity_starts_an_orchestration() {
    whatever_happens(|world| {
        world.signal("a", "start", "o:call_b_x;call_b_y");
        world.perform();
        assert_eq!(world.output("o").as_deref(), Some("x|x,y"));
    });
}

#[test]
fn a_signal_for_later_is_not_performed_before_its_time() {
    whatever_happens(|world| {
        world.start("h", "later a x 5; later a w 3; signal a v");
        let due = world.now.plus(std::time::Duration::from_secs(4));
        world.signal_at("a", "note", "m", Some(due));
        world.perform();
        for (seconds, expected) in [(2, "v"), (1, "v,w"), (1, "v,w,m"), (1, "v,w,m,x")] {
            world.pass(seconds);
            world.perform();
            assert_eq!(world.state("a"), expected);
        }
    });
}

#[test]
fn a_signal_whose_time_has_come_keeps_its_place() {
    let mut world = World::new(Trouble::None, Limits::default());
    world.start("h", "lock a; wait go; call a z; wait on");
    let due = world.now.plus(std::time::Duration::from_secs(1));
    world.signal_at("a", "note", "first", Some(due));
    world.pass(1);
    world.signal("a", "note", "second");
    world.raise("h", "go");
    world.perform();
    world.crash();
    world.raise("h", "on");
    world.perform();
    assert_eq!(world.state("a"), "z,first,second");
}

#[test]
fn a_signal_whose_time_has_come_is_performed_before_what_came_later() {
    whatever_happens(|world| {
        let due = world.now.plus(std::time::Duration::from_secs(1));
        world.signal_at("a", "note", "first", Some(due));
        world.pass(1);
        world.signal("a", "note", "second");
        world.crash();
        world.perform();
        assert_eq!(world.state("a"), "first,second");
    });
}

#[test]
fn a_signal_whose_time_has_passed_is_performed_at_once() {
    whatever_happens(|world| {
        world.signal_at("a", "note", "x", Some(Timestamp(1)));
        world.perform();
        assert_eq!(world.state("a"), "x");
    });
}

#[test]
fn operations_without_a_result_are_performed_in_the_next_turn() {
    whatever_happens(|world| {
        world.start("h", "call a 1");
        for input in ["2", "3"] {
            world.signal("a", "note", input);
        }
        let mut turns = 0;
        while let Some(task) = world.tasks.pop_front() {
            turns += 1;
            let mut asked = operations(&task).clone();
            asked.requested.truncate(1);
            world.done(task, perform(&asked));
        }
        assert_eq!((world.state("a"), turns), ("1,2,3".to_owned(), 3));
        assert_eq!(world.output("h").as_deref(), Some("1"));
    });
}

#[test]
fn a_worker_is_given_only_so_many_operations_at_once() {
    let limits = Limits { operations_count_max: 2, ..Limits::default() };
    let mut world = World::new(Trouble::None, limits);
    for input in ["1", "2", "3", "4", "5", "6"] {
        world.signal("a", "note", input);
    }
    let mut sizes = Vec::new();
    while let Some(task) = world.tasks.pop_front() {
        sizes.push(operations(&task).requested.len());
        world.done(task.clone(), perform(operations(&task)));
    }
    assert_eq!((sizes, world.state("a")), (vec![1, 2, 2, 1], "1,2,3,4,5,6".to_owned()));
}

#[test]
fn a_result_counts_once() {
    let mut world = World::new(Trouble::None, Limits::default());
    world.start("h", "call a x; call a y");
    let first = world.tasks.pop_front().expect("a call is out");
    for _ in 0..2 {
        let performed = perform(operations(&first));
        world.done(first.clone(), performed);
    }
    world.perform();
    assert_eq!(world.state("a"), "x,y");
}

#[test]
fn a_result_of_an_earlier_owner_does_not_count() {
    let mut world = World::new(Trouble::None, Limits::default());
    world.start("h", "call a x");
    let old = world.tasks.pop_front().expect("a call is out");
    world.crash();
    let performed = perform(operations(&old));
    world.done(old, performed);
    assert_eq!(world.entity("a").expect("it is there").state, None);
    world.perform();
    assert_eq!(world.output("h").as_deref(), Some("x"));
}

#[test]
fn a_worker_that_gives_no_result_at_all_fails_the_calls() {
    let mut world = World::new(Trouble::None, Limits::default());
    world.start("h", "call a x");
    let task = world.tasks.pop_front().expect("a call is out");
    world.done(task, Performed::default());
    assert_eq!(&*world.outcome("h").unwrap().unwrap_err().kind, "NoResult");
}

#[test]
fn what_an_entity_keeps_or_sends_has_a_limit() {
    let long: Option<Text> = Some("x".repeat(25).into());
    for script in ["call a x", "ask a relay b:x"] {
        let limits = Limits { payload_bytes_max: 24, ..Limits::default() };
        let mut world = World::new(Trouble::None, limits);
        world.start("h", script);
        let task = world.tasks.pop_front().expect("a call is out");
        let mut performed = perform(operations(&task));
        match performed.acts.first_mut() {
            Some(Act::Signal(_, requested)) => requested.operation.input.clone_from(&long),
            _ => performed.state.clone_from(&long),
        }
        world.done(task, performed);
        let failure = world.outcome("h").expect("it has ended").expect_err("it failed");
        assert_eq!(&*failure.kind, "PayloadTooLarge");
        assert_eq!(world.state("a") + &world.state("b"), "");
    }
}

#[test]
fn an_operation_that_makes_the_state_too_large_takes_no_other_down() {
    let limits = Limits { payload_bytes_max: 40, ..Limits::default() };
    let mut world = World::new(Trouble::None, limits);
    world.signal("a", "note", "sunshine");
    let large = "x".repeat(33);
    for (id, input) in [("before", "1"), ("large", &large), ("after", "2")] {
        world.start(id, &format!("call a {input}"));
    }
    world.signal("a", "relay", "b:3");
    world.perform();
    let failure = world.outcome("large").expect("it has ended").expect_err("it is too large");
    assert_eq!(&*failure.kind, "PayloadTooLarge");
    assert_eq!(world.output("before").as_deref(), Some("sunshine,1"));
    assert_eq!(world.output("after").as_deref(), Some("sunshine,1,2"));
    assert_eq!((&*world.state("a"), &*world.state("b")), ("sunshine,1,2", "3"));
}

#[test]
fn people_are_told_of_a_signal_that_came_to_nothing() {
    let limits = Limits { payload_bytes_max: 24, ..Limits::default() };
    let mut world = World::new(Trouble::None, limits);
    world.signal("a", "note", "x");
    let task = world.tasks.pop_front().expect("an operation is out");
    let state = Some("x".repeat(25).into());
    let outcomes = vec![Ok(None)];
    world.done(task, Performed { outcomes, state, ..Performed::default() });
    world.start("h", "call a y");
    let task = world.tasks.pop_front().expect("a call is out");
    let outcomes = vec![Err(Failure::new("Wanted", "a test"))];
    world.done(task, Performed { outcomes, ..Performed::default() });
    assert_eq!(world.warnings, [("note".into(), "PayloadTooLarge".into())]);
}

#[test]
fn a_failure_of_operations_is_cut_like_any_other() {
    let limits = Limits { failure_text_bytes_max: 42, ..Limits::default() };
    let mut world = World::new(Trouble::None, limits);
    let long = || Failure::new("Down", "x".repeat(1 << 20));
    let whole = Performed { failed: Some(long()), ..Performed::default() };
    let one = Performed { outcomes: vec![Err(long())], ..Performed::default() };
    for performed in [whole, one] {
        world.start("h", "call a x");
        let task = world.tasks.pop_front().expect("a call is out");
        world.done(task, performed);
        let failure = world.outcome("h").expect("it has ended").expect_err("it failed");
        assert_eq!(&*failure.message, "xxxxxxxxxx... 1048566 bytes left out");
    }
}

#[test]
fn an_operation_of_what_is_no_entity_fails_its_call() {
    whatever_happens(|world| {
        world.start("other", "wait go");
        for id in ["!other", "!nobody"] {
            world.start("h", &format!("call {id} x"));
            let failure = world.outcome("h").expect("it has ended").expect_err("it failed");
            assert_eq!(&*failure.kind, "NotAnEntity", "{id}");
        }
    });
}
