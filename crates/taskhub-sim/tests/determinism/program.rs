//! Orchestrations made from a seed: every standard combinator, nested at random.

use std::{cell::RefCell, fmt::Write as _, future::ready, rc::Rc, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    channel::oneshot,
    future::{self, Either, LocalBoxFuture},
    stream::{self, FuturesOrdered, FuturesUnordered},
};
use proptest::{prelude::*, sample::select as one_of};
use taskhub_core::{
    Outcome, Text, Work,
    turn::{Command, Orchestration, Run, Scope},
};

/// A piece of an orchestration.
#[derive(Debug, Clone)]
pub(crate) enum Code {
    Call,
    Sleep(u64),
    Event,
    Sequence(Vec<Code>),
    Repeat(u8, Box<Code>),
    Many(Many, Vec<Code>),
    Pair(Pair, Box<Code>, Box<Code>),
}

/// How a list of branches is run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Many {
    JoinAll,
    TryJoinAll,
    Unordered,
    /// Takes the first so many of a `FuturesUnordered`, drops the others.
    First(usize),
    SelectAll,
    SelectOk,
    Ordered,
    /// A stream that runs two at a time and keeps their order.
    Buffered,
    /// A stream that runs two at a time and takes them as they end.
    BufferedUnordered,
}

/// How two branches are run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pair {
    TokioJoin,
    TokioSelect,
    /// `tokio::select!` over async blocks, which do something before their first call.
    TokioSelectBlocks,
    /// `tokio::select!` in a loop over pinned futures until both are through.
    TokioSelectLoop,
    FuturesSelect,
    FuturesSelectBiased,
    FuturesJoin,
    TokioTryJoin,
    FuturesTryJoin,
    /// `future::select`, which hands the loser back; it is waited for afterwards.
    SelectThenOther,
    /// The first is shared: two wait for it, and the second only with one of them.
    Shared,
    /// The second goes on when the first hands it a value over a channel.
    Channel,
}

/// Any program, up to a depth of four.
pub(crate) fn programs() -> impl Strategy<Value = Code> {
    let leaf = prop_oneof![
        4 => Just(Code::Call),
        1 => (1..50u64).prop_map(Code::Sleep),
        2 => Just(Code::Event),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let many = one_of(vec![
            Many::JoinAll,
            Many::TryJoinAll,
            Many::Unordered,
            Many::First(1),
            Many::First(2),
            Many::SelectAll,
            Many::SelectOk,
            Many::Ordered,
            Many::Buffered,
            Many::BufferedUnordered,
        ]);
        let pair = one_of(vec![
            Pair::TokioJoin,
            Pair::TokioSelect,
            Pair::TokioSelectBlocks,
            Pair::TokioSelectLoop,
            Pair::FuturesSelect,
            Pair::FuturesSelectBiased,
            Pair::FuturesJoin,
            Pair::TokioTryJoin,
            Pair::FuturesTryJoin,
            Pair::SelectThenOther,
            Pair::Shared,
            Pair::Channel,
        ]);
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Code::Sequence),
            (1..4u8, boxed()).prop_map(|(times, code)| Code::Repeat(times, code)),
            (many, prop::collection::vec(inner.clone(), 1..6))
                .prop_map(|(many, codes)| Code::Many(many, codes)),
            (pair, boxed(), boxed()).prop_map(|(pair, a, b)| Code::Pair(pair, a, b)),
        ]
    })
}

/// Runs a program; its outcome is the story of what happened in which order.
pub(crate) struct Program(pub(crate) Code);

impl Orchestration for Program {
    fn begin(&self, scope: Scope, _input: Option<Text>) -> Run {
        let code = self.0.clone();
        Box::pin(async move {
            let run = Interpreter { scope, story: Rc::default() };
            let result = run.run(&code, "r".to_owned()).await;
            let mut story = run.story.borrow().clone();
            let _ = write!(story, "= {result:?}");
            Ok(Some(story.into()))
        })
    }
}

struct Interpreter {
    scope: Scope,
    story: Rc<RefCell<String>>,
}

type Said = Result<String, String>;

impl Interpreter {
    fn tell(&self, path: &str, said: &Said) {
        let at = self.scope.now();
        let _ = writeln!(self.story.borrow_mut(), "{at} {path}: {said:?}");
    }

    fn run<'a>(&'a self, program: &'a Code, path: String) -> LocalBoxFuture<'a, Said> {
        let branches = |list: &'a [Code]| -> Vec<LocalBoxFuture<'a, Said>> {
            let each = list.iter().enumerate();
            each.map(|(index, code)| self.run(code, format!("{path}.{index}"))).collect()
        };
        match program {
            Code::Call => self.leaf(call(&path), path).boxed_local(),
            Code::Sleep(millis) => self.leaf(self.timer(*millis, &path), path).boxed_local(),
            Code::Event => {
                self.leaf(Command::Event { name: path.as_str().into() }, path).boxed_local()
            }
            Code::Sequence(list) => {
                let list = branches(list);
                async move {
                    let mut said = Ok(String::new());
                    for step in list {
                        said = Ok(step.await?);
                    }
                    said
                }
                .boxed_local()
            }
            Code::Repeat(times, code) => async move {
                let mut last = Ok(String::new());
                for round in 0..*times {
                    last = self.run(code, format!("{path}*{round}")).await;
                }
                last
            }
            .boxed_local(),
            Code::Many(many, list) => self.many(*many, branches(list)).boxed_local(),
            Code::Pair(pair, a, b) => {
                let (a, b) = (self.run(a, format!("{path}a")), self.run(b, format!("{path}b")));
                self.pair(*pair, a, b).boxed_local()
            }
        }
    }

    /// No two timers of a program are for the same moment, so that they can be told apart.
    fn timer(&self, millis: u64, path: &str) -> Command {
        let salt = path.bytes().fold(7u64, |salt, byte| salt * 31 % 9_973 + u64::from(byte));
        let after = Duration::from_micros(millis * 1_000 + salt);
        Command::Timer { fire_at: self.scope.now().plus(after) }
    }

    async fn leaf(&self, command: Command, path: String) -> Said {
        let outcome: Outcome = self.scope.call(command).await;
        let said = match outcome {
            Ok(text) => Ok(text.as_deref().unwrap_or("-").to_owned()),
            Err(failure) => Err(failure.message.to_string()),
        };
        self.tell(&path, &said);
        said
    }

    async fn many(&self, many: Many, list: Vec<LocalBoxFuture<'_, Said>>) -> Said {
        match many {
            Many::JoinAll => {
                future::join_all(list).await.into_iter().collect::<Result<Vec<_>, _>>()
            }
            Many::TryJoinAll => future::try_join_all(list).await,
            Many::Unordered => {
                FuturesUnordered::from_iter(list).collect::<Vec<_>>().await.into_iter().collect()
            }
            Many::First(count) => {
                let first = FuturesUnordered::from_iter(list).take(count).collect::<Vec<_>>();
                first.await.into_iter().collect()
            }
            Many::SelectAll => {
                let (said, index, _others) = future::select_all(list).await;
                Ok(vec![format!("{index}"), said?])
            }
            Many::SelectOk => future::select_ok(list).await.map(|(said, _others)| vec![said]),
            Many::Ordered => FuturesOrdered::from_iter(list).try_collect().await,
            Many::Buffered => stream::iter(list).buffered(2).try_collect().await,
            Many::BufferedUnordered => stream::iter(list).buffer_unordered(2).try_collect().await,
        }
        .map(|all| all.join(","))
    }

    async fn pair(
        &self,
        pair: Pair,
        a: LocalBoxFuture<'_, Said>,
        b: LocalBoxFuture<'_, Said>,
    ) -> Said {
        match pair {
            Pair::TokioJoin => both(tokio::join!(a, b)),
            Pair::FuturesJoin => both(futures::join!(a, b)),
            Pair::TokioSelect => tokio::select! { a = a => a, b = b => b },
            Pair::TokioSelectBlocks => tokio::select! {
                a = async { ready(()).await; a.await.map(|a| format!("a {a}")) } => a,
                b = async { let b = b.await; b.map(|b| format!("b {b}")) } => b,
            },
            Pair::FuturesSelect => {
                let (mut a, mut b) = (a.fuse(), b.fuse());
                futures::select! { a = a => a, b = b => b }
            }
            Pair::FuturesSelectBiased => {
                let (mut a, mut b) = (a.fuse(), b.fuse());
                futures::select_biased! { a = a => a, b = b => b }
            }
            Pair::TokioTryJoin => tokio::try_join!(a, b).and_then(|(a, b)| both((Ok(a), Ok(b)))),
            Pair::FuturesTryJoin => {
                futures::try_join!(a, b).and_then(|(a, b)| both((Ok(a), Ok(b))))
            }
            Pair::SelectThenOther => match future::select(a, b).await {
                Either::Left((a, b)) => both((a, b.await)),
                Either::Right((b, a)) => both((b, a.await)),
            },
            Pair::Shared => {
                let one = a.shared();
                let other = one.clone();
                both(tokio::join!(one, async { both((other.await, b.await)) }))
            }
            Pair::TokioSelectLoop => {
                let (mut a, mut b) = (a.fuse(), b.fuse());
                let (mut one, mut two) = (None, None);
                while one.is_none() || two.is_none() {
                    tokio::select! {
                        a = &mut a, if one.is_none() => one = Some(a),
                        b = &mut b, if two.is_none() => two = Some(b),
                    }
                }
                both((one.unwrap_or(Ok("?".into())), two.unwrap_or(Ok("?".into()))))
            }
            Pair::Channel => {
                let (send, receive) = oneshot::channel();
                let one = async { send.send(a.await).map_err(|_| "gone".to_owned()) };
                let two = async {
                    let heard = receive.await;
                    Ok(format!("{heard:?} then {:?}", b.await))
                };
                both(tokio::join!(two, async { one.await.map(|()| String::new()) }))
            }
        }
    }
}

fn both((a, b): (Said, Said)) -> Said {
    Ok(format!("({} {})", a?, b?))
}

fn call(path: &str) -> Command {
    Command::Activity(Work::new("work", Some(path.into())))
}
