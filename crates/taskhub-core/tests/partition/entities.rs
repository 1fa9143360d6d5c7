//! Entities in one partition: what they promise to those who call, signal and lock them.

mod locks;
mod operations;
mod script;
mod upkeep;
mod world;
