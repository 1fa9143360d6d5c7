//! The same test again and again, with a crash at another place each time.

use std::{fmt::Debug, panic::AssertUnwindSafe};

use futures::FutureExt as _;
use taskhub_engine::Death;

use super::TestHub;

/// Runs a test as it is, and then twice for every commit that it made. Once the process dies just
/// before that commit: the turn has run, and nothing of it is kept. Once it dies just after: the
/// turn is kept, and nothing has left, but what clients were told. Each time the test must come to
/// the same. Returns what it comes to.
///
/// When the process dies, everything in memory is lost, running activities are cut off, and the
/// hub opens again from what it stored. The test itself does not notice: what it asked of the hub
/// and was not answered is asked again. What it sees is that activities may run twice, as they
/// may in earnest: a test that counts what they did fails, unless they recognise a repetition.
///
/// The test makes its world anew each time; whatever the activities reach outlives the crash, as
/// a database elsewhere would.
///
/// ```
/// use std::{collections::BTreeSet, sync::{Arc, Mutex}, time::Duration};
/// use taskhub::{prelude::*, testing::chaos};
///
/// /// A service that books each number once.
/// type Books = Arc<Mutex<BTreeSet<String>>>;
///
/// #[activity]
/// async fn book(State(books): State<Books>, call: ActivityContext) -> Result<()> {
///     books.lock().unwrap().insert(call.call_key()); // the same key when it is run again
///     Ok(())
/// }
///
/// #[orchestration]
/// async fn order(ctx: Context) -> Result<()> {
///     ctx.call(book, ()).await?;
///     ctx.sleep(Duration::from_secs(3600)).await;
///     ctx.call(book, ()).await
/// }
///
/// #[tokio::main(flavor = "current_thread", start_paused = true)] // in a test: #[tokio::test(..)]
/// async fn main() {
///     let booked = chaos(async |hub| {
///         let books = Books::default();
///         let host = Host::builder().orchestration(order).activity(book).state(books.clone());
///         let host = hub.open(host).unwrap();
///         let run = host.client().start(order, ()).await.unwrap();
///         run.wait(Duration::from_secs(86_400)).await.unwrap();
///         books.lock().unwrap().len()
///     });
///     assert_eq!(booked.await, 2);
/// }
/// ```
///
/// # Panics
///
/// If the test comes to something else after a crash, or panics. The message says before or after
/// which commit the process died, and what that commit was to write.
pub async fn chaos<T: PartialEq + Debug>(test: impl AsyncFn(&TestHub) -> T) -> T {
    let calm = TestHub::new();
    let expected = test(&calm).await;
    let commits = calm.commits();
    calm.stop().await;
    let places = (0..commits).flat_map(|at| [(at, Death::Before), (at, Death::After)]);
    for (commit, death) in places {
        let hub = TestHub::dying(commit, death);
        let outcome = AssertUnwindSafe(test(&hub)).catch_unwind().await;
        let fatal = hub.fatal().unwrap_or_else(|| "nobody writes".to_owned());
        let when = if death == Death::Before { "before" } else { "after" };
        let place = format!("the process died {when} commit {commit} of {commits}, where {fatal}");
        match outcome {
            Ok(outcome) => assert_eq!(outcome, expected, "{place}"),
            Err(panic) => {
                eprintln!("The test panicked, and {place}.");
                std::panic::resume_unwind(panic);
            }
        }
        hub.stop().await;
    }
    expected
}
