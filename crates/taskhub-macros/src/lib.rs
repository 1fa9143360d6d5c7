//! The attributes of Taskhub, which make durable functions out of ordinary ones.
//!
//! Use them through `taskhub::prelude`; this crate is a part of `taskhub` that has to stand alone.

use proc_macro::TokenStream;

mod arguments;
mod combinators;
mod determinism;
mod entity;
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

/// Makes an entity out of the `impl` of its state: each `async fn` in it is an operation.
///
/// ```text
/// #[derive(Default, Serialize, Deserialize)]
/// struct Counter { value: i64 }
///
/// #[entity]                       // named `counter`: names of entities have no case
/// #[entity(name = "Count")]       // ... under a name that outlives renames
/// impl Counter {
///     async fn add(&mut self, amount: i64) -> Result<i64> { .. }
///     async fn value(&self) -> Result<i64> { .. }
/// }
/// ```
///
/// An operation takes `&mut self`, or `&self` if it only reads; then extractors (`State<T>`,
/// `Client`, `EntityContext`) and at most one input. It returns `taskhub::Result<T>`, its future is
/// `Send`. Input and output implement serde's `Serialize` and `Deserialize`, and so does the state,
/// which is `Default`, `Send` and `Sync` too. What is not `async` is left alone.
///
/// The attribute leaves the methods in place: `Counter::add` is what callers name, and
/// `counter.add(5).await` is an ordinary call in a unit test.
#[proc_macro_attribute]
pub fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    entity::entity(arguments.into(), item.into()).into()
}
