//! The store in a database: its laws, and what it does when the connection, the server or others
//! get in its way.

mod copying;
mod crashes;
mod cuts;
mod hints;
mod laws;
mod opening;
mod others;
mod plans;
mod pooled;
mod proxy;
mod rival;
mod scene;
mod secure;
mod sizes;
mod steps;
