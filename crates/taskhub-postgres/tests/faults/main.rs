//! What a store in a database does when the connection, the server or others get in its way.

mod crashes;
mod cuts;
mod hints;
mod opening;
mod others;
mod plans;
mod proxy;
mod scene;
mod secure;
mod steps;
