//! Critical sections: several entities for one orchestration, until it lets go of them.

use std::{
    cell::RefCell,
    fmt,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as Task, Poll},
};

use futures::future::FusedFuture;
use taskhub_core::{
    InstanceId, InvalidInstanceId, Text,
    turn::{Command, Pending, Place, Scope},
};

use super::EntityProxy;
use crate::{Failure, Result};

/// Whether an execution is in a critical section; shared by all that could break its rules.
#[derive(Clone, Default)]
pub(crate) struct Sections(Rc<RefCell<Section>>);

#[derive(Default)]
enum Section {
    #[default]
    None,
    Asked,
    Entered(Arc<[InstanceId]>),
}

impl Sections {
    /// Why an entity must not be called now: two sections could wait for each other.
    pub(crate) fn check_call(&self, entity: &InstanceId) -> Result<()> {
        match &*self.0.borrow() {
            Section::Entered(held) if !held.contains(entity) => Err(misuse(format!(
                "{entity} is called within a critical section that it was not locked for: lock it \
                 together with the others, or call it before or after the section"
            ))),
            _ => Ok(()),
        }
    }

    /// Why an entity must not be signaled now: it could not be said when that is performed.
    pub(super) fn check_signal(&self, entity: &InstanceId) -> Result<()> {
        match &*self.0.borrow() {
            Section::Entered(held) if held.contains(entity) => Err(misuse(format!(
                "{entity} is signaled by who has locked it, and would not see that before the end \
                 of the section: call it instead"
            ))),
            _ => Ok(()),
        }
    }

    /// Why an orchestration must not be called now: it could wait for what is locked here.
    pub(crate) fn check_child(&self, name: &str) -> Result<()> {
        match &*self.0.borrow() {
            Section::Entered(_) => Err(misuse(format!(
                "the orchestration `{name}` is called within a critical section, and could wait \
                 for an entity that is locked here: call it before or after the section"
            ))),
            _ => Ok(()),
        }
    }

    fn ask(&self) -> Result<()> {
        let mut section = self.0.borrow_mut();
        if !matches!(*section, Section::None) {
            return Err(misuse(
                "an orchestration has one critical section at a time: lock all its entities at \
                 once, or drop the first section before the next"
                    .to_owned(),
            ));
        }
        *section = Section::Asked;
        Ok(())
    }

    fn set(&self, section: Section) {
        *self.0.borrow_mut() = section;
    }
}

fn misuse(message: String) -> Failure {
    Failure::new(Failure::CRITICAL_SECTION, message).no_retry()
}

/// What can be locked: an [`EntityProxy`], an array or a `Vec` of them, a tuple of different ones.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be locked",
    label = "not an entity, nor several",
    note = "lock `&entity`, `[&a, &b]`, or a tuple of entities of different types"
)]
pub trait Lockable {
    #[doc(hidden)]
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId>;
}

impl<E> Lockable for EntityProxy<E> {
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
        Ok(vec![self.id()?.clone()])
    }
}

impl<L: Lockable + ?Sized> Lockable for &L {
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
        (**self).ids()
    }
}

impl<L: Lockable> Lockable for [L] {
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
        self.iter().try_fold(Vec::new(), |mut ids, one| {
            ids.extend(one.ids()?);
            Ok(ids)
        })
    }
}

impl<L: Lockable, const N: usize> Lockable for [L; N] {
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
        self.as_slice().ids()
    }
}

impl<L: Lockable> Lockable for Vec<L> {
    fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
        self.as_slice().ids()
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => { $(
        impl<$($name: Lockable),*> Lockable for ($($name,)*) {
            #[allow(non_snake_case)]
            fn ids(&self) -> Result<Vec<InstanceId>, InvalidInstanceId> {
                let ($($name,)*) = self;
                let mut ids = Vec::new();
                $(ids.extend($name.ids()?);)*
                Ok(ids)
            }
        }
    )* };
}

tuples! { (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) }

/// A wait for entities, made by [`Context::lock`](crate::Context::lock). Dropping it gives back
/// what it has got so far.
#[must_use = "nothing is locked until it is awaited"]
pub struct Lock {
    scope: Scope,
    place: Place,
    sections: Sections,
    entities: Arc<[InstanceId]>,
    stage: Stage,
}

enum Stage {
    Broken(Failure),
    Made,
    Waiting(Pending),
    Over,
}

impl Lock {
    #[track_caller]
    pub(crate) fn new(scope: &Scope, sections: &Sections, entities: &impl Lockable) -> Self {
        let (entities, stage) = match entities.ids() {
            Ok(ids) if ids.is_empty() => {
                (Vec::new(), Stage::Broken(misuse("name the entities to lock".to_owned())))
            }
            Ok(ids) => (ids, Stage::Made),
            Err(invalid) => (Vec::new(), Stage::Broken(Failure::from(invalid).no_retry())),
        };
        let (place, sections) = (scope.place(), sections.clone());
        Self { scope: scope.clone(), place, sections, entities: entities.into(), stage }
    }

    fn advance(&mut self, task: &mut Task<'_>) -> Poll<Result<CriticalSection>> {
        if let Stage::Made = self.stage {
            self.stage = match self.sections.ask() {
                Ok(()) => {
                    let command = Command::Lock { entities: self.entities.clone() };
                    Stage::Waiting(self.scope.call_at(self.place, command))
                }
                Err(failure) => Stage::Broken(failure),
            };
        }
        let outcome = match &mut self.stage {
            Stage::Broken(failure) => return Poll::Ready(Err(failure.clone())),
            Stage::Waiting(pending) => std::task::ready!(Pin::new(pending).poll(task)),
            Stage::Made | Stage::Over => panic!("polled again after it was ready"),
        };
        self.sections.set(Section::None);
        let section = outcome.map_err(Failure::of)?.unwrap_or_default();
        self.sections.set(Section::Entered(self.entities.clone()));
        Poll::Ready(Ok(CriticalSection {
            scope: self.scope.clone(),
            place: self.place,
            sections: self.sections.clone(),
            entities: self.entities.clone(),
            section,
        }))
    }
}

impl Future for Lock {
    type Output = Result<CriticalSection>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let polled = self.advance(task);
        if polled.is_ready() {
            self.stage = Stage::Over;
        }
        polled
    }
}

impl FusedFuture for Lock {
    fn is_terminated(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Stage::Waiting(_) = self.stage {
            self.sections.set(Section::None);
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lock({:?})", self.entities)
    }
}

/// Entities that nobody else is served by, until this is dropped: a critical section.
///
/// They are also given back when the orchestration ends, however it does, or continues as new.
#[must_use = "the entities are given back when it is dropped: keep it in a variable"]
pub struct CriticalSection {
    scope: Scope,
    place: Place,
    sections: Sections,
    entities: Arc<[InstanceId]>,
    section: Text,
}

impl Drop for CriticalSection {
    fn drop(&mut self) {
        self.sections.set(Section::None);
        for entity in self.entities.iter().cloned() {
            let place = self.scope.place_like(self.place);
            self.scope.tell_at(place, Command::Unlock { section: self.section.clone(), entity });
        }
    }
}

impl fmt::Debug for CriticalSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CriticalSection({:?})", self.entities)
    }
}
