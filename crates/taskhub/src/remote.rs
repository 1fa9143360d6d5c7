//! Functions of this process at work for a hub in another one.

mod hand;
mod item;
mod kept;
mod turns;
mod worker;

pub(crate) use worker::{Worker, Working};
