//! A hub of real processes under load, while they are killed, stopped and cut off: nothing that was
//! accepted may be lost, and nothing may count twice.
//!
//! ```text
//!   clients ──wires──> nodes (the program itself, as `chaos node`) ──wires──> PostgreSQL
//!      │                 │  └──wires── other nodes
//!      '── ledger        '── journals        '── what is stored
//!              └───────────────┴── check ────────────┘
//! ```
//!
//! - `app`, `journal`: the application that a node runs, and what its activities write down;
//! - `clients`, `backend`, `http`, `ledger`: the load, and what it was told;
//! - `nodes`, `wires`, `sockets`: processes, and the ways between them, which can be cut;
//! - `faults`, `chance`: what goes wrong, from a seed;
//! - `check`, `seen`: read the ledger, the journals and the database, and find what must not be;
//! - `probes`: how long work stands still;
//! - `run`: all of it, from start to verdict.

mod app;
mod backend;
mod chance;
mod check;
mod clients;
mod faults;
mod http;
mod journal;
mod ledger;
mod nodes;
mod probes;
mod run;
mod seen;
mod sockets;
mod wires;

pub use app::{NodeFlags, serve};
pub use run::{Options, Trouble, run};
