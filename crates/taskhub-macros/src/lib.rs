//! The attributes of Taskhub, which make durable functions out of ordinary ones.
//!
//! Use them through `taskhub::prelude`; this crate is a part of `taskhub` that has to stand alone.

use proc_macro::TokenStream;

mod arguments;
mod combinators;
mod determinism;
mod expand;
mod function;
#[cfg(test)]
mod tests;

use function::Kind;

/// Makes an orchestration out of an `async fn`.
///
/// ```text
/// #[orchestration]                        // registered and stored as `order`
/// #[orchestration(name = "PlaceOrder")]   // ... under a name that outlives renames
/// #[orchestration(version = "2")]         // ... next to other versions of it
/// async fn order(ctx: Context, input: Order) -> Result<Receipt> { .. }
/// ```
///
/// The function takes a `Context` and at most one input, and returns `taskhub::Result<T>`. Input
/// and output implement serde's `Serialize` and `Deserialize`. The attribute leaves a function in
/// place: its name is what `ctx.call`, `Client::start` and `Host` take.
///
/// # Deterministic by construction
///
/// An orchestration is replayed, so it must do the same again. The attribute refuses what cannot:
/// clocks, chance, threads, tasks, files, sockets and the environment, wherever the body names
/// them. It also makes `tokio::select!` and `futures::select!` (written with their paths) ask
/// their branches in order. The scan sees names in the body only, not what other functions do.
///
/// Where a name is refused that does no harm, say why:
///
/// ```text
/// #[orchestration(unchecked = "reads a constant that is compiled in")]
/// ```
#[proc_macro_attribute]
pub fn orchestration(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::durable(Kind::Orchestration, arguments.into(), item.into()).into()
}

/// Makes an activity out of an `async fn`, which may do anything.
///
/// ```text
/// #[activity]
/// #[activity(name = "FetchQuote", version = "2")]
/// #[activity(retry = Retry::exponential(3))]
/// async fn fetch_quote(http: State<Http>, vendor: Vendor) -> Result<Quote> { .. }
/// ```
///
/// The last argument is the input, unless it is an extractor; there may be none. Arguments before
/// it are extractors: `State<T>`, `Client`, `ActivityContext`. The function returns
/// `taskhub::Result<T>`, its future is `Send`. Input and output implement serde's `Serialize` and
/// `Deserialize`.
///
/// | option | what it says |
/// |---|---|
/// | `retry = Retry::exponential(3)` | how often to try; at a call: `.retry(..)` |
/// | `attempt_timeout = MINUTE` | how long one attempt may take; `.attempt_timeout(..)` |
/// | `heartbeat = MINUTE` | how long it may be silent; `.heartbeat_timeout(..)` |
/// | `limit = 10` | how many of it run at the same time in one process |
/// | `limit_per_key = 1` | the same, for each key that calls name by `.key(..)` |
#[proc_macro_attribute]
pub fn activity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::durable(Kind::Activity, arguments.into(), item.into()).into()
}
