//! Histories as files: what is exported comes back, and changed code is found by replaying it.

use std::{fmt, time::Duration};

use taskhub::{
    History, HistoryError, InvalidHistory, RuntimeStatus,
    prelude::*,
    testing::{TestHub, replay},
};

const DAY: Duration = Duration::from_hours(24);
const PAID: Event<u64> = Event::new("paid");

#[activity(retry = Retry::fixed(2, Duration::from_secs(5)))]
async fn reserve(item: String) -> Result<u64> {
    match &*item {
        "unicorn" => {
            Err(Failure::terminal("there are none").caused_by(Failure::new("Myth", "sorry")))
        }
        item => Ok(item.len() as u64),
    }
}

#[orchestration]
async fn pack(ctx: Context, item: String) -> Result<u64> {
    ctx.call(reserve, item).await
}

/// What everybody has deployed; the histories in the folder `histories` are of this.
#[orchestration]
async fn order(ctx: Context, items: Vec<String>) -> Result<u64> {
    ctx.set_custom_status("packing");
    let packed = try_join_all(items.into_iter().map(|item| ctx.call(pack, item))).await?;
    ctx.raise("stock", PAID, packed.iter().sum())?;
    ctx.event(PAID).timeout(DAY).await
}

mod changed {
    use super::{DAY, PAID, pack, reserve};
    use taskhub::prelude::*;

    /// It reserves without packing.
    #[orchestration(name = "order")]
    pub(super) async fn calls_another(ctx: Context, items: Vec<String>) -> Result<u64> {
        let items = items.into_iter().map(|item| ctx.call(reserve, item));
        try_join_all(items).await.map(|all| all.iter().sum())
    }

    /// It waits before it waits.
    #[orchestration(name = "order")]
    pub(super) async fn calls_more(ctx: Context, items: Vec<String>) -> Result<u64> {
        ctx.set_custom_status("packing");
        let packed = try_join_all(items.into_iter().map(|item| ctx.call(pack, item))).await?;
        ctx.raise("stock", PAID, packed.iter().sum())?;
        let paid = ctx.event(PAID).timeout(DAY);
        let (paid, ()) = futures::join!(paid, ctx.sleep(DAY));
        paid
    }

    /// It packs everything twice as big.
    #[orchestration(name = "order")]
    pub(super) async fn gives_another_input(ctx: Context, items: Vec<String>) -> Result<u64> {
        ctx.set_custom_status("packing");
        let items = items.into_iter().map(|item| ctx.call(pack, item.repeat(2)));
        let packed = try_join_all(items).await?;
        ctx.raise("stock", PAID, packed.iter().sum())?;
        ctx.event(PAID).timeout(DAY).await
    }
}

/// One that ended, one that waits, one that failed and one that was terminated.
async fn lived() -> Vec<History> {
    let hub = TestHub::new();
    let host = Host::builder().orchestration(order).orchestration(pack).activity(reserve);
    let host = hub.open(host).expect("nothing is missing");
    let client = host.client();
    let items = vec!["pen".to_owned(), "ink".to_owned()];
    let mut histories = Vec::new();
    for id in ["ended", "waits", "terminated", "failed"] {
        let items = if id == "failed" { vec!["unicorn".to_owned()] } else { items.clone() };
        let run = client.start(order, items).id(format!("order-{id}")).tag("shop", "north");
        let run = run.await.expect("accepted");
        tokio::time::sleep(Duration::from_secs(1)).await;
        match id {
            "ended" => run.raise(PAID, 9).await.expect("accepted"),
            "waits" => run.suspend("a break").await.expect("accepted"),
            "terminated" => run.terminate("not \"wanted\"").await.expect("accepted"),
            _ => {}
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        if id == "waits" {
            run.raise(PAID, 9).await.expect("accepted");
        }
        histories.push(run.export().await.expect("it is there"));
    }
    let missing = client.instance("nobody").export().await;
    assert!(matches!(missing, Err(HistoryError::NotFound(_))));
    host.stop().await;
    histories
}

#[tokio::test(start_paused = true)]
async fn what_is_exported_comes_back_from_its_text() {
    let mut fails = Run::of(pack).input("unicorn".to_owned());
    fails.expect(reserve).fails(Failure::terminal("there are none").caused_by(fmt::Error));
    for history in lived().await.into_iter().chain([fails.history()]) {
        let json = history.to_json();
        let back = History::from_json(&json).expect("it was just written");
        assert_eq!((back.events(), back.to_json()), (history.events(), json.clone()));
        assert_eq!(back, history);
        // Whoever formats the file changes nothing.
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(History::from_json(&pretty), Ok(history));
    }
}

#[tokio::test(start_paused = true)]
async fn histories_of_every_end_can_be_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    for history in lived().await {
        history.save(folder.path()).expect("there is room");
    }
    replay::folder(folder.path()).with(order).check();
}

/// The files were exported when this test was written. They must fit whatever comes later.
#[test]
fn histories_of_old_can_be_replayed() {
    replay::folder("tests/in_process/histories").with(order).with(pack).check();
    let json = std::fs::read_to_string("tests/in_process/histories/order-waits.json")
        .expect("it is there");
    let history = History::from_json(&json).expect("it is one");
    assert_eq!(history.status(), RuntimeStatus::Suspended);
    assert_eq!(history.to_json(), json, "the format has changed");
}

#[test]
#[should_panic(
    expected = "order-ended.json: history has #0 orchestration `pack`, the code asked for activity \
                `reserve` at crates/taskhub/tests/in_process/histories.rs:"
)]
fn a_changed_call_is_named_with_both_sides_and_the_file() {
    replay::folder("tests/in_process/histories").with(changed::calls_another).check();
}

#[test]
#[should_panic(
    expected = "order-waits.json: history has no further call, the code asked for a timer"
)]
fn a_call_that_history_does_not_have_is_named() {
    replay::folder("tests/in_process/histories").with(changed::calls_more).check();
}

#[test]
#[should_panic(
    expected = "with the input \"pen\", the code now gives it \"penpen\" at crates/taskhub/tests/"
)]
fn another_input_is_named() {
    replay::folder("tests/in_process/histories").with(changed::gives_another_input).check();
}

/// Waits for both where `hasty` took whatever came first.
mod thorough {
    use super::*;

    #[orchestration(name = "hasty")]
    pub(super) async fn hasty(ctx: Context) -> Result<u64> {
        let minute = ctx.sleep(Duration::from_mins(1));
        let (reserved, ()) = tokio::join!(ctx.call(reserve, "pen".to_owned()), minute);
        reserved?;
        ctx.event(PAID).await
    }
}

#[orchestration]
async fn hasty(ctx: Context) -> Result<u64> {
    tokio::select! {
        reserved = ctx.call(reserve, "pen".to_owned()) => drop(reserved?),
        () = ctx.sleep(Duration::from_mins(1)) => {}
    }
    ctx.event(PAID).await
}

#[test]
#[should_panic(expected = "history says that the code gave up #0, the code waits for it")]
fn a_wait_for_what_was_given_up_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = Run::of(hasty).input(());
    run.advance(Duration::from_mins(1));
    run.history().save(folder.path()).expect("there is room");
    replay::folder(folder.path()).with(thorough::hasty).check();
}

#[test]
fn another_input_can_be_meant() {
    let folder = replay::folder("tests/in_process/histories").with(changed::gives_another_input);
    folder.inputs_may_differ().check();
}

#[test]
#[should_panic(expected = "it is of `order`: add that by `.with(..)`")]
fn code_that_is_missing_is_named() {
    replay::folder("tests/in_process/histories").with(pack).check();
}

#[test]
#[should_panic(expected = "a check of none finds nothing")]
fn an_empty_folder_is_no_check() {
    let folder = tempfile::tempdir().expect("a folder");
    replay::folder(folder.path()).check();
}

#[test]
fn what_is_no_history_is_refused_with_the_place() {
    let error = |json: &str| History::from_json(json).expect_err("it is none");
    assert!(matches!(error("[]"), InvalidHistory::Json(_)));
    let json = History::to_json(&Run::of(pack).input("pen".to_owned()).history());
    let later = json.replace("\"taskhub_history\":1", "\"taskhub_history\":2");
    assert_eq!(error(&later), InvalidHistory::Format(2));
    let strange = json.replace("\"type\":\"TurnStarted\"", "\"type\":\"Turned\"");
    assert_eq!(
        error(&strange).to_string(),
        "event 1 of this history cannot be read: \
        `Turned` is no type that is known here"
    );
}

#[test]
fn each_run_of_each_test_is_saved_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    let save = || {
        let path = Run::of(pack).input("pen".to_owned()).history().save(folder.path());
        let path = path.expect("there is room");
        path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned()
    };
    let test = "pack-histories.each_run_of_each_test_is_saved_in_a_file_of_its_own";
    assert_eq!([save(), save()], [format!("{test}.json"), format!("{test}-2.json")]);
}
