//! What is written between the parentheses of an attribute.

use proc_macro2::TokenStream;
use syn::{
    Error, Expr, Ident, LitStr, Result, Token,
    parse::{ParseStream, Parser as _},
};

use crate::function::Kind;

/// The options of one durable function.
#[derive(Default)]
pub(crate) struct Arguments {
    pub name: Option<LitStr>,
    pub version: Option<LitStr>,
    pub retry: Option<Expr>,
    pub attempt_timeout: Option<Expr>,
    pub heartbeat: Option<Expr>,
    pub limit: Option<Expr>,
    pub limit_per_key: Option<Expr>,
    pub unchecked: Option<LitStr>,
}

pub(crate) fn parse(kind: Kind, tokens: TokenStream) -> Result<Arguments> {
    (|input: ParseStream<'_>| {
        let mut arguments = Arguments::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            if !input.peek(Token![=]) {
                return Err(Error::new(key.span(), format!("`{key}` needs a value: `{key} = ..`")));
            }
            input.parse::<Token![=]>()?;
            set(kind, &mut arguments, &key, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    })
    .parse2(tokens)
}

fn set(kind: Kind, all: &mut Arguments, key: &Ident, input: ParseStream<'_>) -> Result<()> {
    let known = key.to_string();
    let twice = match (known.as_str(), kind) {
        ("name", _) => all.name.replace(text(input)?).is_some(),
        ("version", Kind::Orchestration | Kind::Activity) => {
            all.version.replace(text(input)?).is_some()
        }
        ("retry", Kind::Activity) => all.retry.replace(input.parse()?).is_some(),
        ("attempt_timeout", Kind::Activity) => {
            all.attempt_timeout.replace(input.parse()?).is_some()
        }
        ("heartbeat", Kind::Activity) => all.heartbeat.replace(input.parse()?).is_some(),
        ("limit", Kind::Activity) => all.limit.replace(input.parse()?).is_some(),
        ("limit_per_key", Kind::Activity) => all.limit_per_key.replace(input.parse()?).is_some(),
        ("unchecked", Kind::Orchestration) => all.unchecked.replace(text(input)?).is_some(),
        _ => return Err(Error::new(key.span(), unknown(kind, &known))),
    };
    if twice { Err(Error::new(key.span(), format!("`{known}` is given twice"))) } else { Ok(()) }
}

fn text(input: ParseStream<'_>) -> Result<LitStr> {
    let span = input.span();
    let text: LitStr =
        input.parse().map_err(|_| Error::new(span, "write a text in quotes here"))?;
    if text.value().trim().is_empty() {
        return Err(Error::new(text.span(), "this text must not be empty"));
    }
    Ok(text)
}

fn unknown(kind: Kind, key: &str) -> String {
    match (kind, key) {
        (Kind::Orchestration, "retry") => "an orchestration has no `retry` of its own; say how \
             often to try where it is called: `ctx.call(..).retry(..)`"
            .to_owned(),
        (Kind::Orchestration, "attempt_timeout" | "heartbeat" | "limit" | "limit_per_key") => {
            format!("`{key}` is for activities")
        }
        (Kind::Orchestration, _) => {
            format!("`{key}` is not known here; there are `name`, `version` and `unchecked`")
        }
        (Kind::Operation, _) => format!("`{key}` is not known here; there is `name`"),
        (Kind::Activity, _) => {
            format!(
                "`{key}` is not known here; there are `name`, `version`, `retry`, \
                 `attempt_timeout`, `heartbeat`, `limit` and `limit_per_key`"
            )
        }
    }
}
