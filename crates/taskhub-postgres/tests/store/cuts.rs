//! The connection is cut, anywhere.

use std::time::Duration;

use taskhub_core::store::{Filter, Store as _};
use taskhub_sim::conformance::hub::instance;

use crate::{
    proxy::{Proxy, Way},
    rival::Rival,
    scene::{Scene, database, fresh, is_unknown, options, server},
};

/// How many bytes go each way when one more step is committed.
fn traffic(proxy: &Proxy, scene: &Scene, at: u32) -> [usize; 2] {
    let before = proxy.counts();
    scene.step(at).expect("nothing is cut");
    let after = proxy.counts();
    [0, 1].map(|way| after[way] - before[way])
}

/// After a cut the commit is there whole or not at all, whoever asks; an acknowledged one is there;
/// and the store goes on by itself.
#[test]
fn a_commit_is_whole_or_absent_wherever_the_connection_is_cut() {
    let proxy = Proxy::to(server().port()).expect("there is a port");
    let hub = fresh();
    let mut scene = Scene::open(options(&proxy.url(), &hub));
    let witness = Scene { store: options(&server().url(), &hub).open().unwrap(), owned: vec![] };
    scene.step(0).expect("nothing is cut");
    let [up, down] = traffic(&proxy, &scene, 1);
    let (mut at, mut lost, mut there) = (2, 0, 0);
    let ups = (0..=up).step_by(up / 40).map(|after| (Way::ToServer, after));
    let downs = (0..down).step_by((down / 12).max(1)).map(|after| (Way::ToClient, after));
    for (way, after) in ups.chain(downs) {
        // On a new connection the first one prepares the statement.
        scene.step(at).expect("nothing is cut");
        at += 1;
        proxy.cut(way, after);
        let done = scene.step(at);
        let is_cut = proxy.mend();
        assert_eq!(is_cut, is_unknown(&done), "cut after {after} bytes {way:?}: {done:?}");
        if done.is_err() {
            scene.recover().expect("the next connection is whole");
        }
        let steps = witness.steps();
        assert!(steps.iter().all(|it| *it == steps[0]), "half a commit: {steps:?}");
        let is_there = steps[0] == usize::try_from(at).unwrap_or_default() + 1;
        assert!(is_there || done.is_err(), "an acknowledged commit is gone");
        lost += u32::from(done.is_err() && !is_there);
        there += u32::from(done.is_err() && is_there);
        at += u32::from(is_there);
    }
    assert!(lost > 10, "commits were cut on their way");
    assert!(there > 3, "answers were cut on their way");
}

/// A read has nothing to lose: it is asked again.
#[test]
fn a_read_that_is_cut_is_asked_again() {
    let proxy = Proxy::to(server().port()).expect("there is a port");
    let scene = Scene::open(options(&proxy.url(), &fresh()));
    scene.step(0).expect("nothing is cut");
    let read = || {
        let found = scene.store.load(&instance("a")).expect("it is asked again");
        assert_eq!(found.map(|stored| stored.history.len()), Some(1));
        let list = Filter { limit: 10, ..Filter::default() };
        let page = scene.store.query(&list).expect("it is asked again");
        assert_eq!(page.instances.len(), 2);
    };
    read();
    let before = proxy.counts();
    read();
    let after = proxy.counts();
    for (way, bytes) in
        [(Way::ToServer, after[0] - before[0]), (Way::ToClient, after[1] - before[1])]
    {
        for cut in (0..bytes).step_by(bytes / 10) {
            proxy.cut(way, cut);
            read();
            assert!(proxy.mend(), "it was cut after {cut} bytes {way:?}");
        }
    }
}

/// Also when the server itself says that it is about to close the connection.
#[test]
fn a_read_whose_connection_the_server_closes_is_asked_again() {
    let scene = Scene::open(options(&database("closing", ""), "default"));
    scene.step(0).expect("the server runs");
    let rival = Rival::with("closing", "LOCK TABLE taskhub.instance");
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| scene.store.load(&instance("a")));
        rival.holds_up(1, Duration::ZERO);
        rival.close_those_held_up();
        drop(rival);
        let read = reading.join().expect("it does not panic").expect("it is asked again");
        assert_eq!(read.map(|stored| stored.history.len()), Some(1));
    });
}

/// Where a wire has gone dead, what was open over it is of no use; each would be waited for.
#[test]
fn one_connection_that_falls_silent_speaks_for_all_that_are_open() {
    let proxy = Proxy::to(server().port()).expect("there is a port");
    let hub = fresh();
    let patience = Duration::from_secs(2);
    let mut scene = Scene::open(options(&proxy.url(), &hub).patience(patience));
    scene.step(0).expect("nothing is silent");
    // Several that nobody uses at the moment.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| scene.store.commit(&scene.batch([])).expect("nothing is silent"));
            scope.spawn(|| scene.store.renew(&scene.owned, patience).expect("nothing is silent"));
        }
    });
    proxy.freeze();
    assert!(is_unknown(&scene.step(1)), "it was on its way");
    scene.recover().expect("a new connection is made");
    scene.step(1).expect("a new connection is made");
    assert_eq!(scene.steps(), [2, 2, 2]);
}

/// Who opens a hub is told when there is no connection, wherever it ends.
#[test]
fn opening_over_a_cut_connection_is_an_error_that_can_be_tried_again() {
    let proxy = Proxy::to(server().port()).expect("there is a port");
    let hub = fresh();
    for after in (0..1_200).step_by(60) {
        proxy.cut(Way::ToServer, after);
        let opened = options(&proxy.url(), &hub).open();
        assert!(opened.is_err() || !proxy.mend(), "cut after {after} bytes");
        proxy.mend();
        options(&proxy.url(), &hub).open().expect("the next connection is whole");
    }
}

/// An answer that never comes counts as lost, in time.
#[test]
fn a_silent_server_is_not_waited_for_longer_than_is_said() {
    let hub = fresh();
    let mut scene =
        Scene::open(options(&server().url(), &hub).patience(Duration::from_millis(700)));
    scene.step(0).expect("the server runs");
    let lock = format!(
        "SELECT 1 FROM taskhub.instance WHERE id = 'a' AND hub = \
         (SELECT key FROM taskhub.hub WHERE name = '{hub}') FOR UPDATE"
    );
    let rival = Rival::with("postgres", &lock);
    assert!(is_unknown(&scene.step(1)), "the row is locked by somebody else");
    drop(rival);
    scene.recover().expect("the server answers");
    let [steps, ..] = scene.steps();
    scene.step(u32::try_from(steps).unwrap()).expect("it goes on");
}
