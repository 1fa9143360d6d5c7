//! A running node, with its threads and a store.

mod clients;
mod cluster;
mod entities;
mod failing_store;
mod guarded;
mod lockstep;
mod poison;
