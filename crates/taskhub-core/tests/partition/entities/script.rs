//! An orchestration that does what its input says, and entities that note down what they are told.
//!
//! The input is a list of statements, such as `call a x; lock a,b; call b y; unlock; wait go`.

use std::time::Duration;

use futures::future::{Either, join, select};
use taskhub_core::{
    Act, Failure, InstanceId, Operation, Operations, Outcome, Performed, Requested, Text,
    Timestamp, Work,
    turn::{Command, ContinueAsNew, Functions, Orchestration, Run, Scope},
};

pub(crate) struct Code;

impl Functions for Code {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(self)
    }
}

/// The entity with this key; of `!id`, the orchestration `id`.
pub(crate) fn entity(key: &str) -> InstanceId {
    if let Some(id) = key.strip_prefix('!') {
        return InstanceId::trusted(id);
    }
    InstanceId::entity("e", key).expect("a good key")
}

pub(crate) fn operation(name: &str, input: &str) -> Operation {
    Operation::new("", name, Some(input.into()))
}

impl Orchestration for Code {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        Box::pin(run(scope, input.unwrap_or_default()))
    }
}

async fn run(scope: Scope, script: Text) -> Outcome {
    let mut said = Vec::new();
    let mut held: Vec<(Text, Vec<InstanceId>)> = Vec::new();
    let mut rest = &*script;
    while let Some((statement, after)) = next(rest) {
        rest = after;
        let words: Vec<_> = statement.split(' ').collect();
        match words[..] {
            ["call", key, input] => said.push(called(&scope, key, "note", input).await?),
            ["ask", key, name, input] => said.push(called(&scope, key, name, input).await?),
            ["both", a, b] => {
                let calls = join(called(&scope, a, "note", "x"), called(&scope, b, "note", "x"));
                let (first, second) = calls.await;
                said.extend([first?, second?]);
            }
            ["signal", key, input] => signal(&scope, key, input, None),
            ["later", key, input, seconds] => {
                let at = scope.now().plus(Duration::from_secs(number(seconds)));
                signal(&scope, key, input, Some(at));
            }
            ["lock", keys] => held.push(lock(&scope, keys).await?),
            ["race", keys, event] => {
                let locks = Box::pin(lock(&scope, keys));
                match select(locks, wait(&scope, event)).await {
                    Either::Left((locked, _)) => held.push(locked?),
                    Either::Right(_) => said.push("gave up".to_owned()),
                }
            }
            ["unlock"] => {
                let (section, entities) = held.pop().expect("something is locked");
                for entity in entities {
                    let section = section.clone();
                    scope.tell_at(scope.place(), Command::Unlock { section, entity });
                }
            }
            ["release", key, section] => {
                let (section, entity) = (section.into(), entity(key));
                scope.tell_at(scope.place(), Command::Unlock { section, entity });
            }
            ["wait", event] => said.extend(wait(&scope, event).await?.map(|it| it.to_string())),
            ["fail"] => return Err(Failure::new("Failed", "as it was told")),
            ["again"] => {
                let input = Some(rest.into());
                scope.continue_as_new(ContinueAsNew { input, ..Default::default() });
                return Ok(None);
            }
            _ => panic!("no statement: {statement}"),
        }
    }
    Ok(Some(said.join("|").into()))
}

fn next(script: &str) -> Option<(&str, &str)> {
    let (first, rest) = script.split_once(';').unwrap_or((script, ""));
    (!first.trim().is_empty()).then(|| (first.trim(), rest))
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

async fn called(scope: &Scope, key: &str, name: &str, input: &str) -> Result<String, Failure> {
    let command = Command::Operation { entity: entity(key), operation: operation(name, input) };
    Ok(scope.call(command).await?.unwrap_or_default().to_string())
}

fn signal(scope: &Scope, key: &str, input: &str, at: Option<Timestamp>) {
    let (entity, operation) = (entity(key), operation("note", input));
    scope.tell_at(scope.place(), Command::Signal { entity, operation, at });
}

async fn lock(scope: &Scope, keys: &str) -> Result<(Text, Vec<InstanceId>), Failure> {
    let entities: Vec<_> = keys.split(',').map(entity).collect();
    let section = scope.call(Command::Lock { entities: entities.clone().into() }).await?;
    Ok((section.expect("a section has a name"), entities))
}

fn wait(scope: &Scope, event: &str) -> taskhub_core::turn::Pending {
    scope.call(Command::Event { name: event.into() })
}

/// Performs operations as a worker does.
pub(crate) fn perform(asked: &Operations) -> Performed {
    let mut performed = Performed { state: asked.state.clone(), ..Performed::default() };
    for Requested { operation, .. } in &asked.requested {
        let input = operation.input.as_deref().unwrap_or_default();
        let outcome = match &*operation.name {
            "note" => {
                let before = performed.state.take().map_or(String::new(), |it| format!("{it},"));
                performed.state = Some(format!("{before}{input}").into());
                Ok(performed.state.clone())
            }
            "clear" => Ok(performed.state.take()),
            "relay" => {
                let (key, input) = input.split_once(':').expect("key and input");
                let operation = self::operation("note", input);
                let requested = Requested { operation, caller: None, due: None };
                performed.acts.push(Act::Signal(entity(key), requested));
                Ok(None)
            }
            "start" => {
                let (id, script) = input.split_once(':').expect("id and script");
                let work = Work::new("script", Some(script.replace('_', " ").into()));
                let instance = InstanceId::trusted(id);
                performed.acts.push(Act::Start { instance, work, at: None });
                Ok(None)
            }
            other => Err(Failure::new("Unknown", format!("no operation {other}"))),
        };
        performed.outcomes.push(outcome);
    }
    performed
}
