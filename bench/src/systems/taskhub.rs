//! This hub on its embedded store: every acknowledgement is synced to the disk.
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use bench_harness::{Job, Published, Result, Steps, System};
use taskhub_core::turn::{Command, Functions, Orchestration, Run, Scope};
use taskhub_core::{
    Answer, ExecutionId, InstanceId, Limits, Reuse, Started, Task, Text, Timestamp, Verb, Work,
};
use taskhub_engine::store::Embedded;
use taskhub_engine::{Activities, Code, Hub, Running};
use uuid::Uuid;

#[derive(Debug)]
pub(crate) struct Taskhub {
    hub: Hub,
}

struct Jobs(Steps);

impl Functions for Jobs {
    fn orchestration(&self, _: &str, _: Option<&str>) -> Option<&dyn Orchestration> {
        Some(self)
    }
}

impl Orchestration for Jobs {
    fn begin(&self, scope: Scope, input: Option<Text>) -> Run {
        let steps = self.0.clone();
        Box::pin(async move {
            let input = input.unwrap_or_default();
            let (job, count) = input.split_once(' ').unwrap_or(("wait", "0"));
            let count: usize = count.parse().unwrap_or(0);
            let step = || {
                let (name, tags) = ("step".into(), Arc::new([]));
                scope.call(Command::Activity(Work { name, version: None, input: None, tags }))
            };
            match job {
                "chain" => {
                    for _ in 0..count {
                        step().await?;
                    }
                    Ok(Some("done".into()))
                }
                "fan" => {
                    futures::future::try_join_all((0..count).map(|_| step())).await?;
                    Ok(Some("done".into()))
                }
                _ => {
                    steps.mark();
                    scope.call(Command::Event { name: "reply".into() }).await
                }
            }
        })
    }
}

impl Activities for Jobs {
    fn run(&self, _: &Task) -> Option<Running> {
        let steps = self.0.clone();
        Some(Box::pin(async move {
            steps.mark();
            Ok(None)
        }))
    }
}

impl System for Taskhub {
    async fn open(folder: &Path, steps: Steps) -> Result<Taskhub> {
        let store = Arc::new(Embedded::open(folder)?);
        let jobs = Arc::new(Jobs(steps));
        let code = Code { functions: jobs.clone(), activities: jobs };
        Ok(Taskhub { hub: Hub::open(store, &code, Limits::default())? })
    }

    fn weather(&self, published: Published) -> Router {
        Router::new()
            .route("/api/weather", get(weather))
            .route("/api/replies/{id}", post(reply))
            .with_state((self.hub.clone(), published))
    }

    async fn start(&self, id: &str, job: Job) -> Result<()> {
        let input = match job {
            Job::Chain(count) => format!("chain {count}"),
            Job::FanOut(count) => format!("fan {count}"),
            Job::Wait => "wait 0".to_owned(),
        };
        let started = Started::new("job", Some(input.into()), execution());
        let reuse = Reuse::ended();
        expect(
            self.hub
                .ask(InstanceId::parse(id)?, Verb::Start { started: Box::new(started), reuse })
                .await,
        )
    }

    async fn wait(&self, id: &str) -> Result<String> {
        match self.hub.ask(InstanceId::parse(id)?, Verb::Wait).await {
            Answer::Status(record) => match record.outcome {
                Some(Ok(output)) => Ok(output.unwrap_or_default().to_string()),
                other => Err(format!("{other:?}").into()),
            },
            other => Err(format!("{other:?}").into()),
        }
    }

    async fn raise(&self, id: &str, text: &str) -> Result<()> {
        let verb = Verb::Raise { name: "reply".into(), input: Some(text.into()) };
        expect(self.hub.ask(InstanceId::parse(id)?, verb).await)
    }
}

fn expect(answer: Answer) -> Result<()> {
    match answer {
        Answer::Refused(why) => Err(why.into()),
        _ => Ok(()),
    }
}

fn execution() -> ExecutionId {
    ExecutionId(Uuid::now_v7().as_u128())
}

async fn weather(State((hub, published)): State<(Hub, Published)>) -> (StatusCode, String) {
    let text = Uuid::now_v7().simple().to_string();
    let id = InstanceId::trusted(text.as_str());
    let now = Timestamp(0).plus(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
    let started = Started {
        deadline: Some(now.plus(Duration::from_mins(1))),
        ..Started::new("weather", None, execution())
    };
    hub.ask(id.clone(), Verb::Start { started: Box::new(started), reuse: Reuse::Fresh }).await;
    published.announce(text);
    match hub.ask(id, Verb::Wait).await {
        Answer::Status(record) => match record.outcome {
            Some(Ok(Some(output))) => (StatusCode::OK, output.to_string()),
            other => (StatusCode::INTERNAL_SERVER_ERROR, format!("{other:?}")),
        },
        other => (StatusCode::INTERNAL_SERVER_ERROR, format!("{other:?}")),
    }
}

async fn reply(
    State((hub, _)): State<(Hub, Published)>,
    UrlPath(id): UrlPath<String>,
    text: String,
) -> StatusCode {
    let verb = Verb::Raise { name: "reply".into(), input: Some(text.into()) };
    match hub.ask(InstanceId::trusted(id), verb).await {
        Answer::Done => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}
