//! Takes the chance out of `select!`: its branches are asked in the order they are written in.
//!
//! The engine lets at most one branch be ready, so a random order finds nothing to choose from.
//! But branches that are not durable, or that share a variable, could still see it.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::quote;

/// Rewrites `tokio::select!` and `futures::select!`, where they are written with their paths.
pub(crate) fn in_order(body: TokenStream) -> TokenStream {
    let tokens: Vec<_> = body.into_iter().collect();
    let token = |index: usize| match &tokens[index] {
        TokenTree::Group(group) => {
            let from = index.saturating_sub(5);
            let mut inner = in_order(group.stream());
            if is_select_of("tokio", &tokens[from..index]) && !begins_biased(&inner) {
                inner = quote!(biased; #inner);
            }
            let mut rewritten = Group::new(group.delimiter(), inner);
            rewritten.set_span(group.span());
            TokenTree::Group(rewritten)
        }
        TokenTree::Ident(name) if index >= 3 && index + 2 <= tokens.len() => {
            if is_select_of("futures", &tokens[index - 3..index + 2]) {
                TokenTree::Ident(Ident::new("select_biased", name.span()))
            } else {
                tokens[index].clone()
            }
        }
        other => other.clone(),
    };
    (0..tokens.len()).map(token).collect()
}

/// Whether the tokens are `krate :: select !`.
fn is_select_of(krate: &str, tokens: &[TokenTree]) -> bool {
    let text = |token: &TokenTree| match token {
        TokenTree::Group(_) => String::new(),
        other => other.to_string(),
    };
    tokens.iter().map(text).eq([krate, ":", ":", "select", "!"].map(str::to_owned))
}

fn begins_biased(body: &TokenStream) -> bool {
    body.clone().into_iter().next().is_some_and(|first| first.to_string() == "biased")
}
