//! Nodes that are wrong about each other: questions come back to where they came from, go round in
//! circles, or get there while the answers do not. Each is answered or refused in time, and none
//! is passed on twice.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use taskhub_core::{Answer, InstanceId, Kind, Refusal, Verb, codec, store::Store as _};
use taskhub_engine::{Asking, Hub, Peers, Unreached};

use super::world::{Net, World, ids, output, raise, start};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_mins(1);

tokio::task_local! {
    /// Set while a node answers what another one has passed on.
    static PASSED_ON: ();
}

/// Where a question goes that was meant for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    To(&'static str),
    Unsent,
    /// It is lost, or its answer is.
    Lost,
    Unanswered(&'static str),
}

/// What becomes of the questions of one node to another.
type Leads = Arc<dyn Fn(&str, &str) -> Fate + Send + Sync>;

/// The ways between all nodes.
#[derive(Clone)]
struct Ways {
    net: Net,
    leads: Arc<Mutex<Leads>>,
    passed_on_twice: Arc<AtomicUsize>,
}

/// The ways of one node.
struct Way(&'static str, Ways);

impl Peers for Way {
    fn ask(&self, address: &str, instance: &InstanceId, verb: &Verb) -> Asking {
        let Self(from, ways) = self;
        if PASSED_ON.try_with(|()| ()).is_ok() {
            ways.passed_on_twice.fetch_add(1, Ordering::SeqCst);
        }
        let fate = ways.leads()(from, address);
        let there = match fate {
            Fate::To(there) | Fate::Unanswered(there) => ways.net.at(there),
            Fate::Unsent | Fate::Lost => None,
        };
        let (instance, verb) = (instance.clone(), verb.clone());
        Box::pin(async move {
            let lost = || Err(Unreached::Lost("the way is cut".into()));
            if fate == Fate::Lost {
                return lost();
            }
            let Some(there) = there else { return Err(Unreached::Unsent("no way".into())) };
            let answer = PASSED_ON.scope((), there.ask_here(instance, verb)).await;
            if let Fate::Unanswered(_) = fate { lost() } else { Ok(answer) }
        })
    }
}

impl Ways {
    /// Nodes with these names, which share everything, and the ways between them.
    async fn between<const N: usize>(names: [&'static str; N]) -> (Self, World, [Hub; N]) {
        let world = World::new();
        let straight: Leads = Arc::new(move |_, to| Fate::To(named(&names, to)));
        let leads = Arc::new(Mutex::new(straight));
        let ways = Self { net: world.net.clone(), leads, passed_on_twice: Arc::default() };
        let nodes = names.map(|name| {
            let way = Arc::new(Way(name, ways.clone()));
            world.join_by(name, "all", way).0
        });
        while world.shares().len() < N {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        (ways, world, nodes)
    }

    fn leads(&self) -> Leads {
        self.leads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lead(&self, leads: impl Fn(&str, &str) -> Fate + Send + Sync + 'static) {
        *self.leads.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(leads);
    }

    async fn stop(self, nodes: impl IntoIterator<Item = Hub>) {
        for node in nodes {
            node.stop().await;
        }
        assert_eq!(self.passed_on_twice.load(Ordering::SeqCst), 0, "passed on twice");
    }
}

fn named(names: &[&'static str], name: &str) -> &'static str {
    names.iter().find(|it| **it == name).copied().unwrap_or("nowhere")
}

/// Asks everything of every node, for some instances; each question ends in time.
async fn ask_all(nodes: &[Hub], verbs: &[Verb]) -> Vec<(usize, InstanceId, Verb, Answer)> {
    let mut asked = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for instance in ids(12) {
            for verb in verbs {
                let (node, instance, verb) = (node.clone(), instance.clone(), verb.clone());
                asked.push(tokio::spawn(async move {
                    let answer = node.ask(instance.clone(), verb.clone());
                    let answer = tokio::time::timeout(LONG, answer).await;
                    (number, instance, verb, answer.expect("it ends in time"))
                }));
            }
        }
    }
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.expect("it does not panic"));
    }
    answers
}

async fn start_all(node: &Hub) {
    for (number, instance) in ids(12).into_iter().enumerate() {
        assert!(matches!(node.ask(instance, start("wait", number)).await, Answer::Started(_)));
    }
}

/// Each believes that somebody else has what it is asked for: two of each other, three in a round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_go_round_in_circles_are_refused_in_time() {
    for size in [2, 3] {
        let names = ["a", "b", "c"];
        let (ways, _world, all) = Ways::between(names).await;
        start_all(&all[0]).await;
        // What is meant for the next comes to the one behind it, at two back to who asks.
        ways.lead(move |from, to| {
            let place = |name| names.iter().position(|it| *it == name).unwrap_or_default();
            match size {
                2 => Fate::To(names[place(from)]),
                _ => Fate::To(names[3 - place(from) - place(to)]),
            }
        });
        let verbs = [Verb::Status, Verb::Wait, raise("sun")];
        for (node, instance, verb, answer) in ask_all(&all, &verbs[..1]).await {
            let is_here = all[node].is_here(&instance);
            let is_told = matches!(answer, Answer::Status(_));
            let is_refused = matches!(answer, Answer::Refused(Refusal::Unavailable(..)));
            assert!(is_told == is_here && is_refused != is_here, "{verb:?}: {answer:?}");
        }
        for (.., verb, answer) in ask_all(&all, &verbs[1..]).await {
            let is_refused = matches!(answer, Answer::Refused(Refusal::Unavailable(..)));
            let is_late = matches!(answer, Answer::Refused(Refusal::Ended(..)));
            let is_done = matches!(answer, Answer::Status(_) | Answer::Done);
            assert!(is_refused || is_late || is_done, "{verb:?}: {answer:?}");
        }
        ways.stop(all).await;
    }
}

/// `a` reaches `b`, which does not reach `a`, in each way in which that can be so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_that_are_cut_in_one_direction_refuse_in_time_and_heal() {
    let (ways, _world, all) = Ways::between(["a", "b"]).await;
    start_all(&all[0]).await;
    for cut in [Fate::Unsent, Fate::Lost, Fate::Unanswered("a")] {
        ways.lead(move |from, _| if from == "a" { Fate::To("b") } else { cut });
        for (node, instance, _, answer) in ask_all(&all, &[Verb::Status]).await {
            let is_told = node == 0 || all[1].is_here(&instance);
            assert_eq!(matches!(answer, Answer::Status(_)), is_told, "{cut:?}: {answer:?}");
            let is_refused = matches!(answer, Answer::Refused(Refusal::Unavailable(..)));
            assert_eq!(is_refused, !is_told, "{cut:?}: {answer:?}");
        }
    }
    // What was asked, and not answered, happened once.
    let there = ids(12).into_iter().find(|id| all[0].is_here(id)).expect("it has some");
    let asked = all[1].ask(there.clone(), raise("rain")).await;
    assert!(matches!(asked, Answer::Refused(Refusal::Lost(_))), "{asked:?}");
    ways.lead(|_, to| Fate::To(named(&["a", "b"], to)));
    assert_eq!(output(all[1].ask(there.clone(), Verb::Wait).await), "rain");
    let again = all[1].ask(there, raise("sun")).await;
    assert!(matches!(again, Answer::Refused(Refusal::Ended(..))), "{again:?}");
    ways.stop(all).await;
}

/// How many events stand in the history of an instance.
fn arrived(world: &World, instance: &InstanceId) -> usize {
    let pieces = world.store.history(instance, 0..u64::MAX).expect("it is in memory");
    let events = codec::decode_history(&pieces).expect("it is a history");
    events.iter().filter(|event| matches!(event.kind, Kind::EventRaised { .. })).count()
}

/// What becomes of a question, by its number.
fn draw(number: u64, names: [&'static str; 3], to: &str) -> Fate {
    let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let drawn = (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33;
    let anywhere = names[usize::try_from(drawn / 10 % 3).unwrap_or_default()];
    match drawn % 10 {
        0..5 => Fate::To(named(&names, to)),
        5..7 => Fate::To(anywhere),
        7 => Fate::Unsent,
        8 => Fate::Lost,
        _ => Fate::Unanswered(anywhere),
    }
}

/// Whatever becomes of each question, while nodes leave: from seeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_go_anywhere_end_in_time_and_what_was_done_was_done_once() {
    for seed in 0..4_u64 {
        let names = ["a", "b", "c"];
        let (ways, world, all) = Ways::between(names).await;
        start_all(&all[0]).await;
        let drawn = AtomicUsize::new(0);
        ways.lead(move |_, to| {
            draw(seed << 32 | drawn.fetch_add(1, Ordering::SeqCst) as u64, names, to)
        });
        // No waits: where every raise is lost, they are held, and rightly so.
        let verbs = [raise("rain"), raise("sun"), Verb::Status];
        let (leaving, staying) = (all[0].clone(), &all[1..]);
        let (answers, ()) = tokio::join!(ask_all(staying, &verbs), leaving.stop());
        ways.lead(move |_, to| Fate::To(named(&names, to)));
        for instance in ids(12) {
            // Of those that were never raised, somebody has to.
            let _ = all[1].ask(instance.clone(), raise("late")).await;
            output(all[2].ask(instance.clone(), Verb::Wait).await);
            let came = |answer: &Answer, verb: &Verb| match (verb, answer) {
                (Verb::Raise { .. }, Answer::Done) => [1, 0],
                (Verb::Raise { .. }, Answer::Refused(Refusal::Lost(_))) => [0, 1],
                _ => [0, 0],
            };
            let of_it = answers.iter().filter(|(_, id, ..)| *id == instance);
            let counts = of_it.map(|(.., verb, answer)| came(answer, verb));
            let [done, unknown] = counts.fold([0, 1], |[a, b], [c, d]| [a + c, b + d]);
            let there = arrived(&world, &instance);
            let right = done..=done + unknown;
            assert!(right.contains(&there), "seed {seed}, {instance}: {there} of {right:?}");
        }
        ways.stop(staying.to_vec()).await;
    }
}
