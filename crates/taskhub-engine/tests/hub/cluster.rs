//! Several nodes in one process, on one store: who owns what, and that any of them serves anything.

mod circles;
mod link;
mod moves;
mod requests;
mod world;
