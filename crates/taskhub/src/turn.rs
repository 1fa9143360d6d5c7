//! Knows that code of an orchestration runs on this thread, and what must not be called there.

pub(crate) mod blocked;

use std::cell::Cell;

use blocked::{Polling, polled};

use crate::{
    Entity as _,
    handle::{Kind as _, OperationSignature, Signature},
};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// As long as this is kept, code of an orchestration runs on this thread.
pub(crate) struct Inside {
    _polling: Option<Polling>,
}

impl Inside {
    pub(crate) fn enter(name: &'static str) -> Self {
        INSIDE.set(true);
        Self { _polling: polled(name) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

/// Panics where an orchestration calls a durable function as if it were an ordinary one: it would
/// run within the turn, at each replay again, and no history would know of it.
#[track_caller]
pub(crate) fn refuse_direct<S: Signature>() {
    if !INSIDE.get() {
        return;
    }
    let name = std::any::type_name::<S>();
    let name = name.rsplit("::").next().unwrap_or(name);
    let (kind, advice) = if S::Kind::IS_ACTIVITY {
        ("activity", "which repeats it at each replay: write")
    } else {
        let advice = "which makes no instance of it: move what is shared into a plain `async fn`, \
             or write";
        ("orchestration", advice)
    };
    panic!(
        "the {kind} `{name}` was called directly, {advice} `ctx.call({name}, ..)`; then resume the \
         instance"
    );
}

/// The same for an operation of an entity.
#[track_caller]
pub(crate) fn refuse_direct_operation<S: OperationSignature>() {
    let (entity, name) = (S::Entity::NAME, S::NAME);
    assert!(
        !INSIDE.get(),
        "the operation `{name}` was called directly on a value, which no hub knows: write \
         `ctx.entity::<{entity}>(key).call({entity}::{name}, ..)`, then resume the instance"
    );
}
