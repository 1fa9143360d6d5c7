//! The library with its hub in this process: in virtual time, in memory, or in a database.

mod activities;
mod blocked;
mod changes;
mod collector;
mod direct;
mod early;
mod endpoints;
mod entities;
mod entities_elsewhere;
mod events;
mod gateway;
mod histories;
mod http_calls;
mod left_behind;
mod long;
mod management;
mod orchestrations;
mod postgres;
mod sections;
mod stray;
mod test_hub;
mod traces;
mod triggers;
mod trouble;
mod updates;
mod verbs;
