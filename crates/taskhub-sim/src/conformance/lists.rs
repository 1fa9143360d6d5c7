//! Wakes, busy instances and lists: sorted, in pages, and whole though others write.

use std::collections::BTreeSet;

use taskhub_core::{
    InstanceId, PartitionId, Record, RuntimeStatus, Timestamp,
    store::{Cursor, Filter, Order, PAGE_BYTES_MAX, Wake, Which},
};

use super::{
    Fixture,
    hub::{Hub, append, ended, instance, keep, partition, purge, running},
};

fn waking(at: i64) -> Record {
    Record { due: Some(Timestamp(at)), ..running(0) }
}

fn wakes(hub: &Hub, partition: PartitionId, page: usize) -> Vec<Wake> {
    let mut found: Vec<Wake> = Vec::new();
    loop {
        let next = hub.store.wakes(partition, found.last(), page).expect("reading works");
        assert!(next.len() <= page);
        if next.is_empty() {
            return found;
        }
        let behind = found.last().is_none_or(|last| next[0] > *last);
        assert!(behind && next.is_sorted(), "pages go forward: {next:?}");
        found.extend(next);
    }
}

/// The order is that of [`Wake`], from the beginning of time to its end.
pub fn wakes_come_by_time_and_id_in_pages(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let times = [5, i64::MIN, 0, i64::MAX, -7, i64::MIN, 5, 5];
    let mut expected = Vec::new();
    for n in 0..64 {
        let (id, at) = (format!("i{n}"), times[n % times.len()]);
        hub.commit([keep(&id, waking(at)), append(&format!("quiet{n}"), 0..1)]);
        expected.push((partition(&id), Wake { at: Timestamp(at), instance: instance(&id) }));
    }
    expected.sort();
    for number in 0..super::PARTITIONS {
        let own = PartitionId(number);
        let mine: Vec<Wake> =
            expected.iter().filter(|(p, _)| *p == own).map(|(_, wake)| wake.clone()).collect();
        for page in [1, 3, 100] {
            assert_eq!(wakes(&hub, own, page), mine);
        }
        assert_eq!(hub.store.wakes(own, None, 0), Ok(vec![]));
    }
}

/// A changed time moves a wake, none removes it, and so does a purge.
pub fn a_wake_goes_when_nothing_is_due(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let own = partition("a");
    let at = |at| vec![Wake { at: Timestamp(at), instance: instance("a") }];
    for record in [waking(7), waking(i64::MIN), running(0), waking(-1)] {
        let expected = record.due.map(|time| at(time.0)).unwrap_or_default();
        hub.commit([keep("a", record)]);
        assert_eq!(wakes(&hub, own, 10), expected);
    }
    hub.commit([purge("a")]);
    assert_eq!(wakes(&hub, own, 10), []);
}

fn busy(hub: &Hub, partition: PartitionId, page: usize) -> Vec<InstanceId> {
    let mut found: Vec<InstanceId> = Vec::new();
    loop {
        let next = hub.store.busy(partition, found.last(), page).expect("reading works");
        assert!(next.len() <= page);
        if next.is_empty() {
            return found;
        }
        found.extend(next);
    }
}

/// Whatever is due, and whenever.
pub fn busy_instances_come_by_id_in_pages(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let mut expected = Vec::new();
    for n in 0..64 {
        let name = ["order", "Order", "@counter@", "ördér", "", "'%"][n % 6];
        let id = format!("{name}{n}");
        let due = (n % 2 == 0).then_some(Timestamp(-1));
        hub.commit([keep(&id, Record { due, busy: true, ..running(0) })]);
        hub.commit([keep(&format!("quiet{n}"), Record { due, ..running(0) })]);
        expected.push(instance(&id));
    }
    expected.sort();
    for number in 0..super::PARTITIONS {
        let own = PartitionId(number);
        let here = |id: &&InstanceId| partition(id.as_str()) == own;
        let mine: Vec<_> = expected.iter().filter(here).cloned().collect();
        for page in [1, 3, 100] {
            assert_eq!(busy(&hub, own, page), mine);
        }
        assert_eq!(hub.store.busy(own, None, 0), Ok(vec![]));
    }
}

/// An instance is listed as long as it is busy, and there.
pub fn an_instance_is_busy_until_it_is_not(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let own = partition("a");
    let working = Record { busy: true, ..running(0) };
    for record in [working.clone(), running(0), waking(7), working] {
        let expected = if record.busy { vec![instance("a")] } else { vec![] };
        hub.commit([keep("a", record)]);
        assert_eq!(busy(&hub, own, 10), expected);
    }
    hub.commit([purge("a")]);
    assert_eq!(busy(&hub, own, 10), []);
}

/// Instances of every kind, in a mixed order of creation.
fn population() -> Vec<(String, Record)> {
    let tags = |n: i64| match n % 3 {
        0 => vec![],
        1 => vec![("city".into(), "Bonn".into())],
        _ => vec![("city".into(), "Bonn".into()), ("team".into(), format!("t{}", n % 2).into())],
    };
    (0..96_i64)
        .zip(0..)
        .map(|(n, index): (i64, usize)| {
            let status = RuntimeStatus::ALL[index % 8];
            let created = [n, -n, 40, i64::MIN, i64::MAX][index % 5];
            let record = Record {
                status,
                created_at: Timestamp(created),
                updated_at: Timestamp(created.saturating_add(2 * n)),
                completed_at: status.is_terminal().then_some(Timestamp(created.saturating_add(n))),
                name: ["weather", "Weather", "weather2"][index % 3].into(),
                tags: tags(n).into(),
                stuck: (n % 11 == 0).then(|| "changed code".into()),
                ..running(0)
            };
            let names = ["order", "order_%", "ord", "@c@1", "Order", "ördér", "zoo"];
            let name = names[index % names.len()];
            (format!("{name}-{n}"), record)
        })
        .collect()
}

fn filters() -> Vec<Filter> {
    use RuntimeStatus::{Completed, Failed, Running, Terminated};
    let time = |at| Some(Timestamp(at));
    let any = Filter::default;
    let bonn = ("city".into(), "Bonn".into());
    let mut filters = vec![
        any(),
        Filter { stuck: true, ..any() },
        Filter { stuck: true, statuses: vec![Failed, Running], ..any() },
        Filter { created_from: time(0), ..any() },
        Filter { created_to: time(40), ..any() },
        Filter { created_from: time(40), created_to: time(41), ..any() },
        Filter { created_from: time(i64::MIN), created_to: time(i64::MIN), ..any() },
        Filter { created_from: time(i64::MAX), ..any() },
        Filter { created_from: time(9), created_to: time(3), ..any() },
        Filter { completed_from: time(i64::MIN), ..any() },
        Filter { completed_to: time(40), statuses: vec![Completed, Terminated], ..any() },
        Filter { completed_from: time(10), completed_to: time(90), ..any() },
        Filter { tags: vec![bonn.clone()], ..any() },
        Filter { tags: vec![("team".into(), "t1".into()), bonn], ..any() },
        Filter { tags: vec![("city".into(), "bonn".into())], ..any() },
        Filter { prefix: Some("order".into()), statuses: vec![Running], ..any() },
        Filter { updated_from: time(20), ..any() },
        Filter { updated_to: time(i64::MIN), ..any() },
        Filter { updated_from: time(-3), updated_to: time(60), ..any() },
        Filter { name: Some("weather".into()), ..any() },
        Filter { name: Some("Weather".into()), statuses: vec![Failed], ..any() },
        Filter { name: Some("weather".into()), prefix: Some("order".into()), ..any() },
        Filter { name: Some("weath".into()), ..any() },
        Filter { kind: Which::Entities, ..any() },
        Filter { kind: Which::Entities, created_from: time(3), ..any() },
        Filter { kind: Which::Entities, prefix: Some("@c".into()), ..any() },
        Filter { kind: Which::Entities, prefix: Some("o".into()), ..any() },
        Filter { kind: Which::All, ..any() },
        Filter { kind: Which::All, prefix: Some("@".into()), ..any() },
    ];
    for status in RuntimeStatus::ALL {
        filters.push(Filter { statuses: vec![status], ..any() });
    }
    // The same again, by the end.
    let by_end = |filter: &Filter| Filter { order: Order::Completed, ..filter.clone() };
    filters.extend(filters.iter().map(by_end).collect::<Vec<_>>());
    for prefix in ["", "o", "order", "order_", "order_%", "Order-9", "ö", "zz", "%", "\u{10FFFF}"]
    {
        filters.push(Filter { prefix: Some(prefix.into()), ..any() });
    }
    filters
}

/// Every filter gives what [`Filter::matches`] says, in pages of every size.
pub fn filters_select_what_they_say(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let population = population();
    hub.commit(population.iter().map(|(id, record)| keep(id, record.clone())));
    for filter in filters() {
        let placed = |(id, record): &(String, Record)| {
            filter.place(&instance(id), record).map(|place| (place, record.clone()))
        };
        let mut all: Vec<(Cursor, Record)> = population.iter().filter_map(placed).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        let matching =
            |(place, record): &&(Cursor, Record)| filter.matches(&place.instance, record);
        let expected: Vec<String> =
            all.iter().filter(matching).map(|(place, _)| place.instance.to_string()).collect();
        for limit in [1, 7, 1_000] {
            let filter = Filter { limit, ..filter.clone() };
            assert_eq!(hub.listed(&filter), expected, "{filter:?}");
        }
        // Every instance is a place from which the list can go on, whether or not it matches.
        for (after, _) in all.iter().step_by(9) {
            let filter = Filter { limit: 50, after: Some(after.clone()), ..filter.clone() };
            let rest: Vec<String> = all
                .iter()
                .filter(|(place, _)| place > after)
                .filter(matching)
                .map(|(place, _)| place.instance.to_string())
                .collect();
            assert_eq!(hub.listed(&filter), rest, "{filter:?}");
        }
    }
    let none = hub.store.query(&Filter::default()).expect("listing works");
    assert!(none.instances.is_empty() && none.next.is_none(), "a limit of 0 is one");
}

/// Only what has ended is listed by its end; equal times by id, whatever was created first.
pub fn a_list_can_be_sorted_by_the_end(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let at = |created, end| Record {
        created_at: Timestamp(created),
        completed_at: Some(Timestamp(end)),
        ..ended(0)
    };
    hub.commit([keep("c", at(1, 5)), keep("a", at(2, 9)), keep("b", at(3, 5))]);
    hub.commit([keep("d", at(4, -1)), keep("e", running(0))]);
    let list = Filter { order: Order::Completed, limit: 2, ..Filter::default() };
    assert_eq!(hub.listed(&list), ["d", "b", "c", "a"]);
    hub.commit([keep("c", running(0)), keep("e", at(9, 0))]);
    assert_eq!(hub.listed(&list), ["d", "e", "b", "a"]);
}

/// A changed time of creation moves an instance in the list.
pub fn a_list_is_sorted_by_creation(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let at = |at| Record { created_at: Timestamp(at), ..running(0) };
    hub.commit([keep("c", at(2)), keep("b", at(1)), keep("d", at(2)), keep("a", at(3))]);
    let all = Filter { limit: 10, ..Filter::default() };
    assert_eq!(hub.listed(&all), ["b", "c", "d", "a"]);
    hub.commit([keep("a", at(2)), keep("b", at(9))]);
    assert_eq!(hub.listed(&all), ["a", "c", "d", "b"]);
}

/// Instances that are there all the time are listed once each, while others come and go.
pub fn a_list_is_whole_though_others_write(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let at = |at| Record { created_at: Timestamp(at), ..waking(at) };
    let staying: Vec<String> = (0..60).map(|n| format!("stays{n:02}")).collect();
    hub.commit((0..).zip(&staying).map(|(n, id)| keep(id, at(n * 10))));
    let mut filter = Filter { limit: 4, ..Filter::default() };
    let mut listed = Vec::new();
    let (mut woken, mut wake): (BTreeSet<InstanceId>, Vec<Option<Wake>>) =
        (BTreeSet::new(), vec![None; usize::from(super::PARTITIONS)]);
    for round in 0.. {
        let page = hub.store.query(&filter).expect("listing works");
        listed.extend(page.instances.into_iter().map(|(id, _)| id));
        for (number, after) in (0..).zip(&mut wake) {
            let next = hub.store.wakes(PartitionId(number), after.as_ref(), 2);
            let next = next.expect("reading works");
            *after = next.last().cloned().or(after.take());
            woken.extend(next.into_iter().map(|wake| wake.instance));
        }
        // One more before, among and behind what has been read; the former ones go.
        let places = [-round, round * 35 + 5, 100_000 + round];
        let name = |round: i64, place: usize| format!("passes{round}-{place}");
        hub.commit((0..).zip(places).map(|(n, place)| keep(&name(round, n), at(place))));
        hub.commit((0..3).map(|n| purge(&name(round - 1, n))));
        match page.next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
        assert!(round < 500, "the list comes to an end");
    }
    let once: BTreeSet<&InstanceId> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "nothing is listed twice");
    for id in &staying {
        assert!(once.contains(&instance(id)), "{id} is missing in the list");
        assert!(woken.contains(&instance(id)), "{id} is missing among the wakes");
    }
}

/// However many may be on it, a page has so many bytes and one instance more; none is left out.
pub fn a_page_ends_by_its_bytes(fixture: &mut impl Fixture) {
    let hub = Hub::open(fixture);
    let large = |n: i64, bytes| Record {
        created_at: Timestamp(n),
        completed_at: Some(Timestamp(n)),
        name: "weather".into(),
        custom_status: Some("x".repeat(bytes / 3).into()),
        outcome: Some(Ok(Some("x".repeat(bytes - bytes / 3).into()))),
        ..ended(0)
    };
    let mut all = Vec::new();
    for (n, part) in (0..).zip([3, 3, 3, 3, 20, 1, 0, 3, 3, 3]) {
        all.push(format!("large{n}"));
        hub.commit([
            keep(&format!("large{n}"), large(n, PAGE_BYTES_MAX / 8 * part)),
            keep(&format!("other{n}"), Record { name: "other".into(), ..large(n, 1 << 20) }),
        ]);
    }
    let named = Filter { name: Some("weather".into()), limit: 100, ..Filter::default() };
    for filter in [
        named.clone(),
        Filter { prefix: Some("large".into()), ..named.clone() },
        Filter { order: Order::Completed, ..named },
    ] {
        let (mut listed, mut filter) = (Vec::new(), filter);
        let mut pages = Vec::new();
        loop {
            let page = hub.store.query(&filter).expect("listing works");
            pages.push(page.instances.len());
            listed.extend(page.instances.into_iter().map(|(id, _)| id.to_string()));
            let Some(next) = page.next else { break };
            filter.after = Some(next);
        }
        assert_eq!(listed, all);
        assert_eq!(pages[..3], [3, 2, 5], "{pages:?}");
    }
}
