//! Failures are kept whole as long as they are of a sensible size, and cut where they are not.

use crate::bench::{Bench, Code, act};
use taskhub_core::{Failure, Kind, Limits, RuntimeStatus};

fn limits() -> Limits {
    Limits {
        failure_text_bytes_max: 42,
        failure_causes_max: 3,
        payload_bytes_max: 20,
        ..Limits::default()
    }
}

#[test]
fn what_is_small_is_kept_as_it_is() {
    let mut failure = Failure::new("Down", "0123456789").caused_by(Failure::new("Why", "so"));
    failure.details = Some(r#"{"a":1}"#.into());
    failure.stack = Some("at line 1".into());
    assert_eq!(failure.clone().within(&limits()), failure);
}

#[test]
fn a_long_text_is_cut_between_two_characters_and_says_by_how_much() {
    let mut failure = Failure::new("Down", "é".repeat(25));
    failure.stack = Some("x".repeat(1_000_010).into());
    let cut = failure.within(&limits());
    assert_eq!(&*cut.message, "ééééé... 40 bytes left out");
    assert_eq!(cut.stack.as_deref(), Some("xxxxxxxxxx... 1000000 bytes left out"));
    let odd = Failure::new("Down", format!("x{}", "é".repeat(25))).within(&limits());
    assert_eq!(&*odd.message, "xéééé... 42 bytes left out");
    assert_eq!(cut.clone().within(&limits()), cut, "whoever passes it on cuts no more");
}

#[test]
fn a_long_chain_keeps_its_beginning_and_counts_the_rest() {
    let chain = (0..10).map(|at| Failure::new("Link", at.to_string()));
    let chain = chain.reduce(Failure::caused_by).unwrap().within(&limits());
    assert_eq!(chain.to_string(), "0: 1: 8 causes left out");
    assert_eq!(chain.clone().within(&limits()), chain, "whoever passes it on cuts no more");
}

#[test]
fn details_that_are_no_payload_are_left_out_and_the_message_says_so() {
    let detailed = |bytes: usize| {
        let mut failure = Failure::new("Down", "no");
        failure.details = Some("x".repeat(bytes).into());
        failure
    };
    assert_eq!(detailed(20).within(&limits()), detailed(20));
    let chain = detailed(15).caused_by(detailed(15)).within(&limits());
    assert_eq!(chain.to_string(), "no: no (details of 15 bytes left out)");
    assert!(chain.details.is_some() && chain.cause.unwrap().details.is_none());
}

#[test]
fn no_history_and_no_status_keeps_more_of_a_failure() {
    const FAILS: Code = &[
        ("passes on", |scope| Box::pin(async move { act(&scope, "ship").await })),
        ("fails", |_| Box::pin(async { Err(Failure::new("Down", "x".repeat(1 << 20))) })),
        ("panics", |_| Box::pin(async { panic!("{}", "x".repeat(1 << 20)) })),
    ];
    let mut bench = Bench::with(FAILS, limits());
    bench.start("passes on");
    bench.finish("ship", Err(Failure::new("Down", "x".repeat(1 << 20))));
    let cut = Err("xxxxxxxxxx... 1048566 bytes left out".to_owned());
    assert_eq!(bench.outcome("passes on"), cut);
    let kept = bench.history("passes on").into_iter().find_map(|event| match event.kind {
        Kind::ActivityFinished { outcome: Err(failure), .. } => Some(failure),
        _ => None,
    });
    assert_eq!(Err(kept.unwrap().message.to_string()), cut);

    bench.start("fails");
    assert_eq!(bench.outcome("fails"), cut);
    bench.start("panics");
    assert_eq!(bench.status("panics"), RuntimeStatus::Pending);
    assert!(bench.record("panics").stuck.as_ref().unwrap().len() <= 42);
}
