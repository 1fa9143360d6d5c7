//! The Python SDK as the worker: on `taskhub serve`, and on the backend in memory that it brings.
use std::marker::PhantomData;
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Stdio};
use std::time::Duration;

use axum::Router;
use bench_harness::{Api, Job, Place, Published, Result, Steps, System};
use taskhub::prelude::Client;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use super::{environment, over_grpc};

/// Calls that wait for an end at a time: the backend in memory has ten threads for all calls.
const WAITS_COUNT_MAX: usize = 4;

/// How long the programs in Python may take to begin.
const START_TIME_MAX: Duration = Duration::from_secs(20);

const LONG: Duration = Duration::from_mins(10);

/// What the worker is connected to.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Starts it: its address, and what it runs in beside this process.
    fn start(place: &Place) -> impl Future<Output = Result<(String, Option<Program>)>> + Send;
}

/// This hub; the server is in this process.
#[derive(Debug)]
pub(crate) struct Taskhub;

/// The SDK's own backend, in a process of its own.
#[derive(Debug)]
pub(crate) struct InMemory;

/// A worker of the SDK in a process of its own, and who starts instances and waits for them.
#[derive(Debug)]
pub(crate) struct Python<B> {
    client: Client,
    waits: Semaphore,
    _programs: (Program, Option<Program>),
    _backend: PhantomData<B>,
}

/// A program that ends when its standard input does, or when this is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Kept open, so that it runs on.
    _input: Option<ChildStdin>,
}

impl Program {
    fn start(name: &str, argument: &str) -> Result<Program> {
        let mut command = environment::command("python", name);
        let mut child =
            command.arg(argument).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let input = child.stdin.take();
        Ok(Program { child, _input: input })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Backend for Taskhub {
    async fn start(place: &Place) -> Result<(String, Option<Program>)> {
        Ok((over_grpc::serve(place).await?, None))
    }
}

impl Backend for InMemory {
    async fn start(_: &Place) -> Result<(String, Option<Program>)> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let program = Program::start("backend.py", &port.to_string())?;
        Ok((format!("127.0.0.1:{port}"), Some(program)))
    }
}

impl<B: Backend> System for Python<B> {
    async fn open(place: &Place, _: Steps) -> Result<Python<B>> {
        let (address, backend) = B::start(place).await?;
        let programs = (Program::start("worker.py", &address)?, backend);
        let client = Client::connect(format!("http://{address}"))?;
        let waits = Semaphore::new(WAITS_COUNT_MAX);
        let python = Python { client, waits, _programs: programs, _backend: PhantomData };
        let latest = Instant::now() + START_TIME_MAX;
        while let Err(error) = python.start("first", Job::Chain(1)).await {
            if Instant::now() > latest {
                return Err(error);
            }
            sleep(Duration::from_millis(100)).await;
        }
        python.wait("first").await?;
        Ok(python)
    }

    fn weather(&self, _: Published) -> Api {
        Router::new().into()
    }

    async fn start(&self, id: &str, job: Job) -> Result<()> {
        let Job::Chain(steps) = job else { return Err("it has chains only".into()) };
        self.client.start_by_name("chain", &steps).id(id).await?;
        Ok(())
    }

    async fn wait(&self, id: &str) -> Result<String> {
        let _permit = self.waits.acquire().await?;
        Ok(self.client.instance(id).wait(LONG).await?.to_string())
    }
}
