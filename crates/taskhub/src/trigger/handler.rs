//! What a trigger calls: an async function that takes what happened, and then extractors.

use std::{any::type_name, fmt, pin::Pin, sync::Arc};

use crate::{
    ActivityContext, Failure, Result,
    activity::{Extract, Needed},
};

/// A handler at work.
type Handling = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// An async function that takes an `E`, then any number of extractors, and gives `Result<()>`.
///
/// Extractors are those of activities: `State<T>`, `Client` and `ActivityContext`. The error may
/// be any that turns into a [`Failure`]. `M` tells apart functions by their arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot handle a `{E}`",
    label = "not a handler of `{E}`",
    note = "a handler is an `async fn` that takes a `{E}` first, then any `State<T>`, `Client` or \
            `ActivityContext`, and returns `taskhub::Result<()>`",
    note = "its future must be `Send`: what it holds across an `.await` must be too"
)]
pub trait Handler<E, M>: Send + Sync + 'static {
    #[doc(hidden)]
    fn handle(
        &self,
        event: E,
        context: &ActivityContext,
    ) -> Result<Pin<Box<dyn Future<Output = Result<()>> + Send>>>;

    #[doc(hidden)]
    #[must_use]
    fn needs() -> Vec<Needed>;
}

macro_rules! handlers {
    ($(($($extractor:ident)*))*) => { $(
        impl<H, F, E, R, $($extractor),*> Handler<E, ($($extractor,)*)> for H
        where
            H: Fn(E, $($extractor),*) -> F + Send + Sync + 'static,
            F: Future<Output = Result<(), R>> + Send + 'static,
            R: Into<Failure>,
            $($extractor: Extract,)*
        {
            #[allow(unused_variables, reason = "a handler need not have extractors")]
            fn handle(
                &self,
                event: E,
                context: &ActivityContext,
            ) -> Result<Handling> {
                let handling = self(event, $($extractor::extract(context)?),*);
                Ok(Box::pin(async move { handling.await.map_err(Into::into) }))
            }

            fn needs() -> Vec<Needed> {
                let needs: [Option<Needed>; _] = [$($extractor::needs()),*];
                needs.into_iter().flatten().collect()
            }
        }
    )* };
}

handlers! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D G)
    (A B C D G I)
}

/// A handler without its types.
pub(crate) struct Handle<E> {
    call: Arc<Call<E>>,
    /// What the handler is called in the program; `None` for a closure, which has no name.
    pub(crate) name: Option<String>,
    pub(crate) needs: Vec<Needed>,
}

type Call<E> = dyn Fn(E, &ActivityContext) -> Result<Handling> + Send + Sync;

impl<E> Handle<E> {
    pub(crate) fn new<M, H: Handler<E, M>>(handler: H) -> Self {
        let call = Arc::new(move |event, context: &_| handler.handle(event, context));
        Self { call, name: name_of::<H>(), needs: H::needs() }
    }

    pub(crate) async fn call(&self, event: E, context: &ActivityContext) -> Result<()> {
        (self.call)(event, context)?.await
    }
}

impl<E> fmt::Debug for Handle<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", type_name::<E>())
    }
}

fn name_of<H>() -> Option<String> {
    let name = type_name::<H>().split('<').next()?.rsplit("::").next()?;
    (!name.contains('{')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, State};

    async fn plain(_: u8) -> Result<()> {
        Ok(())
    }

    async fn with_extractors(_: u8, _: Client, _: State<u16>) -> Result<(), std::fmt::Error> {
        Err(std::fmt::Error)
    }

    fn seen<E, M, H: Handler<E, M>>(handler: H) -> (Option<String>, usize) {
        let handle = Handle::<E>::new(handler);
        (handle.name, handle.needs.len())
    }

    #[test]
    fn a_handler_takes_what_happened_and_extractors() {
        assert_eq!(seen::<u8, _, _>(plain), (Some("plain".to_owned()), 0));
        assert_eq!(seen::<u8, _, _>(with_extractors), (Some("with_extractors".to_owned()), 1));
        assert_eq!(seen::<u8, _, _>(|_: u8| async { Ok::<(), Failure>(()) }), (None, 0));
    }
}
