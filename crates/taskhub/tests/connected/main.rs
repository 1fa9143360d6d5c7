//! The library on hubs that servers have: what is promised in one process holds there too.

mod ahead;
mod edges;
mod hub;
mod lending;
mod serving;
mod verbs;
mod versions;
mod withdrawn;
mod worker;
