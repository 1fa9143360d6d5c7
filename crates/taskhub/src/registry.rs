//! The functions of a process, by name and version.

mod named;

use std::{fmt, sync::Arc, time::Duration};

use taskhub_core::{Done, InstanceId, Job, Operations, Piece, Task, Work, turn::Orchestration};
use taskhub_engine::{Activities, Admission, Code, Hub, Running};
use taskhub_server::Traces;
use taskhub_wire::proto::{ActivityFilter, EntityFilter, OrchestrationFilter, WorkItemFilters};
use tokio::sync::SetOnce;

use crate::{
    ActivityContext, Client, Entity,
    activity::{Needed, States},
    attempt::{self, Pulse},
    code::{Activity, Performed, Replayed},
    entity::{Acting, Actor, Around},
    handle::{ActivityCode, Function, OrchestrationCode, Signature},
    http::{self, HttpCalls},
    labels, update,
    versions::Versions,
};
pub(crate) use named::unregistered;
use named::{Named, Replays};

/// What a process can run. A host collects it; build one by hand to embed an engine.
#[derive(Default)]
pub struct Registry {
    orchestrations: Named<Arc<dyn Orchestration>>,
    activities: Named<Arc<dyn Activity>>,
    entities: Named<Arc<dyn Actor>>,
    states: States,
    /// What functions need that are not registered by themselves, such as handlers of triggers.
    needed: Vec<(String, Needed)>,
    /// Whether workers elsewhere may have what is not here.
    workers: bool,
    versions: Versions,
    twice: Option<RegistryError>,
}

/// Why a process cannot run what it was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// An activity, an entity or the handler of a trigger takes a state that nobody gave.
    #[error(
        "`{activity}` takes a State<{state}>, and there is none: add `.state(..)` with a \
         value of that type"
    )]
    MissingState {
        /// What it is called.
        activity: String,
        /// The type it asks for.
        state: &'static str,
    },
    /// Two functions have one name and version.
    #[error("`{0}` is registered twice; give one of them a `name` or a `version` of its own")]
    Twice(&'static str),
}

impl Registry {
    /// A process that can run nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an orchestration.
    #[must_use]
    pub fn orchestration<M, F>(mut self, _function: F) -> Self
    where
        F: Function<M>,
        F::Signature: OrchestrationCode,
    {
        let code = Arc::new(Replayed::<F::Signature>::new());
        let (name, version) = (F::Signature::NAME, F::Signature::VERSION);
        let added = self.orchestrations.add(name, version, code);
        self.note(added)
    }

    /// Adds an activity.
    #[must_use]
    pub fn activity<M, F>(mut self, _function: F) -> Self
    where
        F: Function<M>,
        F::Signature: ActivityCode,
    {
        let (name, version) = (F::Signature::NAME, F::Signature::VERSION);
        let added = self.activities.add(name, version, Performed::<F::Signature>::boxed());
        self.note(added)
    }

    /// Adds an entity: `.entity::<Counter>()`.
    #[must_use]
    pub fn entity<E: Entity>(mut self) -> Self {
        let added = self.entities.add(E::NAME, None, Acting::<E>::boxed());
        self.note(added)
    }

    /// Adds a state for the activities that take a [`State<T>`](crate::State). A second one of the
    /// same type replaces the first.
    #[must_use]
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// Which orchestrations and activities run what asks for another version of them.
    #[must_use]
    pub fn versions(mut self, versions: Versions) -> Self {
        self.versions = versions;
        self
    }

    /// What every program can do: send HTTP calls, and ask instances. What somebody has registered
    /// under the same name is left alone.
    fn with_own(mut self) -> Self {
        if !self.states.contains(&Needed::of::<HttpCalls>()) {
            self.states.insert(HttpCalls::new());
        }
        if self.activities.find(http::NAME, None, Versions::matching()).is_none() {
            self = self.activity(http::send);
        }
        self.orchestration(update::ask)
    }

    /// Workers elsewhere may have what is not here.
    pub(crate) fn with_workers(mut self) -> Self {
        self.workers = true;
        self
    }

    /// The orchestration of that name and version.
    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Option<&dyn Orchestration> {
        self.orchestrations.find(name, version, self.versions).map(|code| &**code)
    }

    /// Notes what a function needs that an activity calls.
    pub(crate) fn needs(mut self, name: &str, needs: Vec<Needed>) -> Self {
        self.needed.extend(needs.into_iter().map(|needed| (name.to_owned(), needed)));
        self
    }

    fn note(mut self, added: Result<(), RegistryError>) -> Self {
        self.twice = self.twice.or(added.err());
        self
    }

    /// Checks that nothing is missing, and gives what the engine runs.
    pub fn build(self) -> Result<Registered, RegistryError> {
        let this = self.with_own();
        if let Some(twice) = this.twice {
            return Err(twice);
        }
        let by_activities = this.activities.iter().flat_map(|(name, code)| {
            code.needs().into_iter().map(|needed| (name.to_owned(), needed))
        });
        let by_entities = this.entities.iter().flat_map(|(name, code)| {
            code.needs().into_iter().map(|needed| (name.to_owned(), needed))
        });
        let mut needed = by_activities.chain(by_entities).chain(this.needed);
        if let Some((activity, missing)) = needed.find(|(_, it)| !this.states.contains(it)) {
            return Err(RegistryError::MissingState { activity, state: missing.name });
        }
        drop(needed);
        let rule = this.versions;
        let serves = WorkItemFilters {
            orchestrations: this
                .orchestrations
                .served(rule, |name, versions| OrchestrationFilter { name, versions }),
            activities: this
                .activities
                .served(rule, |name, versions| ActivityFilter { name, versions }),
            entities: this
                .entities
                .served(rule, |name, _| EntityFilter { name: name.to_lowercase() }),
            any_entity: false,
        };
        let client = Arc::new(SetOnce::new());
        let activities = Performers {
            workers: this.workers,
            versions: this.versions,
            activities: this.activities,
            entities: this.entities,
            states: Arc::new(this.states),
            client: client.clone(),
        };
        let code = Code {
            functions: Arc::new(Replays::new(this.orchestrations, this.versions, !this.workers)),
            activities: Arc::new(activities),
        };
        Ok(Registered { code, client, serves, alone: !this.workers, traces: None })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |it: Vec<&'static str>| it.join(", ");
        f.debug_struct("Registry")
            .field("orchestrations", &names(self.orchestrations.iter().map(|it| it.0).collect()))
            .field("activities", &names(self.activities.iter().map(|it| it.0).collect()))
            .field("entities", &names(self.entities.iter().map(|it| it.0).collect()))
            .finish_non_exhaustive()
    }
}

/// The functions of a process, ready for an engine.
#[derive(Debug)]
pub struct Registered {
    code: Code,
    client: Arc<SetOnce<Client>>,
    serves: WorkItemFilters,
    /// Whether nobody but this process has functions.
    alone: bool,
    /// Where the spans of activities go.
    traces: Option<Traces>,
}

impl Registered {
    /// What to open a [`Hub`] with.
    #[must_use]
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Says which hub runs the code. Activities wait for this: they may ask for a [`Client`].
    #[must_use]
    pub fn connect(self, hub: Hub) -> Client {
        let client = self.told(Client::new(hub));
        self.attach(&client);
        client
    }

    /// The same client, which knows what nobody runs, unless workers elsewhere may.
    pub(crate) fn told(&self, client: Client) -> Client {
        let alone = self.alone.then(|| self.code.functions.clone());
        client.knowing(alone)
    }

    /// The same, with a way for the traces of activities.
    pub(crate) fn traced(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }

    /// Says how activities reach the hub.
    pub(crate) fn attach(&self, client: &Client) {
        let _ = self.client.set(client.clone().traced(self.traces.clone()));
    }

    /// What a worker tells a server that it can run.
    pub(crate) fn serves(&self) -> &WorkItemFilters {
        &self.serves
    }
}

struct Performers {
    workers: bool,
    versions: Versions,
    activities: Named<Arc<dyn Activity>>,
    entities: Named<Arc<dyn Actor>>,
    states: Arc<States>,
    client: Arc<SetOnce<Client>>,
}

impl Performers {
    fn find(&self, work: &Work) -> Option<&Arc<dyn Activity>> {
        self.activities.find(&work.name, work.version.as_deref(), self.versions)
    }

    fn actor(&self, id: &InstanceId) -> Option<&Arc<dyn Actor>> {
        self.entities.find(id.as_entity()?.0, None, Versions::matching())
    }

    fn operate(&self, id: &InstanceId, asked: &Operations) -> Option<Running> {
        let code = self.actor(id)?.clone();
        let (id, asked) = (id.clone(), asked.clone());
        let (states, client) = (self.states.clone(), self.client.clone());
        Some(Box::pin(async move {
            let client = client.wait().await.clone();
            Done::Operations(Box::new(code.perform(id, asked, Around { states, client }).await))
        }))
    }
}

impl Activities for Performers {
    fn run(&self, task: &Task) -> Option<Running> {
        if let Job::Operations(asked) = &task.job {
            return self.operate(&task.ticket.instance, asked);
        }
        let (Piece::Activity(call), Job::Activity(work)) = (task.ticket.piece, &task.job) else {
            return None;
        };
        let code = self.find(work)?.clone();
        let call = (task.ticket.clone(), call, work.clone());
        let (states, client) = (self.states.clone(), self.client.clone());
        Some(Box::pin(async move {
            let client = client.wait().await.clone();
            let Work { name, input, tags, .. } = call.2.clone();
            let asked = labels::find(&tags, labels::HEARTBEAT).and_then(|it| it.parse().ok());
            let silence = asked.map(Duration::from_micros).or_else(|| code.heartbeat());
            let pulse = Arc::<Pulse>::default();
            let (instance, trace) = (call.0.instance.clone(), call.2.trace.clone());
            let traces = client.traces().cloned();
            let context = ActivityContext::new(call, states, Some(client), pulse.clone());
            let run = attempt::run(name.clone(), pulse, silence, code.run(context, input));
            match traces {
                None => Done::Activity(run.await),
                Some(traces) => {
                    let run = async { Done::Activity(run.await) };
                    traces.activity(&name, &instance, trace.as_ref(), run).await
                }
            }
        }))
    }

    fn is_elsewhere(&self, task: &Task) -> bool {
        match &task.job {
            Job::Turn(_) => true,
            Job::Activity(work) => self.workers && self.find(work).is_none(),
            Job::Operations(_) => self.workers && self.actor(&task.ticket.instance).is_none(),
        }
    }

    fn admit(&self, task: &Task) -> Option<Admission> {
        let Job::Activity(work) = &task.job else { return None };
        self.find(work)?.gate().admit(labels::find(&work.tags, labels::KEY))
    }
}
