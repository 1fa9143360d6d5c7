//! What an attribute leaves in place of a function: the function, its handle, and how to run it.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Error, ItemFn, LitStr, Result, spanned::Spanned as _};

use crate::{
    arguments::{self, Arguments},
    combinators, determinism,
    function::{Function, Kind},
};

/// Expands an attribute; an error stands beside the function, so that it is the only one.
pub(crate) fn durable(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    let function = item.clone();
    try_durable(kind, arguments, item).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #function)
    })
}

/// Expands an attribute, or says what is wrong with the function.
pub(crate) fn try_durable(
    kind: Kind,
    arguments: TokenStream,
    item: TokenStream,
) -> Result<TokenStream> {
    let arguments = arguments::parse(kind, arguments)?;
    let item: ItemFn = syn::parse2(item).map_err(|error| {
        let advice = format!("{} is an `async fn` with a body ({error})", kind.noun());
        Error::new(error.span(), advice)
    })?;
    let function = Function::check(kind, item)?;
    let mut offences = None;
    if kind == Kind::Orchestration && arguments.unchecked.is_none() {
        let block = &function.item.block;
        offences = determinism::scan(quote!(#block)).map(Error::into_compile_error);
    }
    let expanded = expand(kind, &arguments, &function);
    Ok(quote!(#offences #expanded))
}

fn expand(kind: Kind, arguments: &Arguments, function: &Function) -> TokenStream {
    let (handle, vis) = (&function.item.sig.ident, &function.item.vis);
    let cfg: Vec<_> = attributes(function, |name| name == "cfg").collect();
    let signature = signature(kind, arguments, function);
    let code = if kind == Kind::Orchestration {
        orchestration_code(function)
    } else {
        activity_code(function)
    };
    let call = call(kind, function);
    quote! {
        #(#cfg)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, missing_debug_implementations)]
        #vis enum #handle {}
        #(#cfg)*
        #signature
        #(#cfg)*
        #code
        #call
    }
}

/// Whether an attribute belongs to the function that callers see.
pub(crate) fn is_outer(name: &str) -> bool {
    !is_within(name) || name == "allow"
}

/// Whether an attribute belongs to the function that has the code.
pub(crate) fn is_within(name: &str) -> bool {
    !matches!(name, "doc" | "cfg" | "deprecated" | "must_use")
}

pub(crate) fn attributes(
    function: &Function,
    pick: fn(&str) -> bool,
) -> impl Iterator<Item = &Attribute> {
    function.item.attrs.iter().filter(move |attribute| {
        pick(&attribute.path().get_ident().map(Ident::to_string).unwrap_or_default())
    })
}

fn signature(kind: Kind, arguments: &Arguments, function: &Function) -> TokenStream {
    let handle = &function.item.sig.ident;
    let plain = || handle.to_string().trim_start_matches("r#").to_owned();
    let name = arguments.name.as_ref().map_or_else(plain, LitStr::value);
    let version = arguments.version.as_ref().map_or_else(
        || quote!(::core::option::Option::None),
        |version| quote!(::core::option::Option::Some(#version)),
    );
    let kind = if kind == Kind::Orchestration {
        quote!(::taskhub::handle::Orchestration)
    } else {
        quote!(::taskhub::handle::Activity)
    };
    let input = function
        .input
        .as_ref()
        .map_or_else(|| quote!(()), |(_, ty)| quote_spanned!(ty.span()=> #ty));
    let output = &function.output;
    let output = quote_spanned!(output.span()=> <#output as ::taskhub::handle::Returns>::Output);
    let options = options(arguments);
    quote! {
        impl ::taskhub::handle::Signature for #handle {
            const NAME: &'static str = #name;
            const VERSION: ::core::option::Option<&'static str> = #version;
            type Kind = #kind;
            type Input = #input;
            type Output = #output;
            #options
        }
    }
}

/// What the function says of itself, one method of its signature each.
fn options(arguments: &Arguments) -> TokenStream {
    let retry = quote!(::taskhub::Retry);
    let duration = quote!(::core::time::Duration);
    let count = quote!(::core::primitive::usize);
    let given = [
        ("retry", &arguments.retry, &retry),
        ("attempt_timeout", &arguments.attempt_timeout, &duration),
        ("heartbeat", &arguments.heartbeat, &duration),
        ("limit", &arguments.limit, &count),
        ("limit_per_key", &arguments.limit_per_key, &count),
    ];
    let methods = given.into_iter().filter_map(|(name, value, ty)| {
        let (name, value) = (format_ident!("{name}"), value.as_ref()?);
        Some(quote! {
            fn #name() -> ::core::option::Option<#ty> {
                ::core::option::Option::Some(#value)
            }
        })
    });
    methods.collect()
}

fn orchestration_code(function: &Function) -> TokenStream {
    let handle = &function.item.sig.ident;
    let input = function.input.as_ref().map(|_| quote!(input));
    quote! {
        impl ::taskhub::handle::OrchestrationCode for #handle {
            fn begin(
                context: ::taskhub::Context,
                input: <Self as ::taskhub::handle::Signature>::Input,
            ) -> ::taskhub::handle::Body<Self> {
                let _ = &input;
                #handle(context, #input)
            }
        }
    }
}

fn activity_code(function: &Function) -> TokenStream {
    let handle = &function.item.sig.ident;
    let input = function.input.as_ref().map(|_| quote!(input));
    let extract = quote!(::taskhub::activity::Extract);
    let extracted = function
        .before
        .iter()
        .map(|(_, ty)| quote_spanned!(ty.span()=> <#ty as #extract>::extract(context)?));
    let needed = function
        .before
        .iter()
        .map(|(_, ty)| quote_spanned!(ty.span()=> <#ty as #extract>::needs()));
    quote! {
        impl ::taskhub::handle::ActivityCode for #handle {
            fn begin(
                context: &::taskhub::ActivityContext,
                input: <Self as ::taskhub::handle::Signature>::Input,
            ) -> ::taskhub::Result<::taskhub::handle::Body<Self>> {
                let _ = (context, &input);
                ::core::result::Result::Ok(#handle(#(#extracted,)* #input))
            }

            fn needs() -> ::std::vec::Vec<::taskhub::activity::Needed> {
                let needed: [::core::option::Option<::taskhub::activity::Needed>; _] =
                    [#(#needed),*];
                needed.into_iter().flatten().collect()
            }
        }
    }
}

/// The function itself: what it was stands inside, and its future travels as a `Body`.
fn call(kind: Kind, function: &Function) -> TokenStream {
    let item = &function.item;
    let (handle, vis, block) = (&item.sig.ident, &item.vis, &item.block);
    let inner = format_ident!("__taskhub_{}", handle.to_string().trim_start_matches("r#"));
    let (parameters, output) = (&item.sig.inputs, &item.sig.output);
    let outer = attributes(function, is_outer);
    let within = attributes(function, is_within);
    let arguments: Vec<_> = function.before.iter().chain(&function.input).collect();
    let names: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
    let types = arguments.iter().map(|(_, ty)| ty);
    let (new, block) = if kind == Kind::Orchestration {
        (quote!(orchestration), combinators::in_order(quote!(#block)))
    } else {
        (quote!(activity), quote!(#block))
    };
    quote! {
        #(#outer)*
        #[track_caller]
        #vis fn #handle(#(#names: #types),*) -> ::taskhub::handle::Body<#handle> {
            #(#within)*
            #[allow(clippy::unused_async, clippy::needless_pass_by_value)]
            async fn #inner(#parameters) #output #block
            ::taskhub::handle::Body::#new(#inner(#(#names),*))
        }
    }
}
