//! The weather API in trouble, as its users see it: the real program, over HTTP and files.

mod crowd;
mod deadline;
mod disk;
mod http;
mod kill;
mod replies;
mod rubbish;
mod starting;
mod stopping;
mod sunshine;
mod weather;
