//! What `#[entity]` leaves in place of an impl block: its methods, and how to perform them.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Error, ImplItem, ImplItemFn, ItemFn, ItemImpl, LitStr, Result, Type};
use syn::{PathArguments, spanned::Spanned as _};

use crate::{
    arguments,
    expand::{attributes, is_outer, is_within},
    function::{Function, Kind},
};

/// Expands the attribute; an error stands beside the block, so that it is the only one.
pub(crate) fn entity(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let block = item.clone();
    try_entity(arguments, item).unwrap_or_else(|error| {
        let error = error.into_compile_error();
        quote!(#error #block)
    })
}

/// Expands the attribute, or says what is wrong with the block.
pub(crate) fn try_entity(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments = arguments::parse(Kind::Operation, arguments)?;
    let mut block: ItemImpl = syn::parse2(item).map_err(|error| {
        let advice =
            format!("#[entity] stands on the `impl` of the type that is the state: {error}");
        Error::new(error.span(), advice)
    })?;
    let actor = checked(&block)?;
    let name = name(&actor, arguments.name.as_ref())?;
    let mut operations = Vec::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut block.items) {
        match item {
            ImplItem::Fn(method) if method.sig.asyncness.is_some() => {
                let operation = Operation::check(&actor, method)?;
                items.extend(operation.methods());
                operations.push(operation);
            }
            other => items.push(quote!(#other)),
        }
    }
    if operations.is_empty() {
        let advice = "an entity has operations: add an `async fn` that takes `&mut self`";
        return Err(Error::new(actor.span(), advice));
    }
    let (attrs, ty) = (&block.attrs, &block.self_ty);
    let handles = operations.iter().map(Operation::handle);
    let listed = operations.iter().map(|operation| {
        let (handle, cfg) = (&operation.handle, operation.cfg());
        quote!(#(#cfg)* all.push(::taskhub::entity::Performer::of::<#handle>());)
    });
    let this = quote_spanned!(ty.span()=> #ty);
    Ok(quote! {
        #(#attrs)*
        impl #ty {
            #(#items)*
        }
        impl ::taskhub::Entity for #this {
            const NAME: &'static str = #name;

            fn operations() -> ::std::vec::Vec<::taskhub::entity::Performer<Self>> {
                let mut all = ::std::vec::Vec::new();
                #(#listed)*
                all
            }
        }
        #(#handles)*
    })
}

/// The name of the type whose block it is.
fn checked(block: &ItemImpl) -> Result<Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        let advice = "#[entity] stands on the `impl` of a type, not on that of a trait for it";
        return Err(Error::new(path.span(), advice));
    }
    let generics = &block.generics;
    if !generics.params.is_empty() {
        let advice = "an entity is stored under one name and cannot be generic: use the types it \
             is for";
        return Err(Error::new(generics.span(), advice));
    }
    match &*block.self_ty {
        Type::Path(path) if path.qself.is_none() => match path.path.segments.last() {
            Some(last) if matches!(last.arguments, PathArguments::None) => Ok(last.ident.clone()),
            _ => Err(Error::new(path.span(), "name the type without parameters here")),
        },
        other => Err(Error::new(other.span(), "an entity is a struct or an enum of your own")),
    }
}

fn name(actor: &Ident, name: Option<&LitStr>) -> Result<String> {
    match name {
        Some(name) if name.value().contains('@') => {
            Err(Error::new(name.span(), "the name of an entity must not contain `@`"))
        }
        Some(name) => Ok(name.value()),
        None => Ok(actor.to_string().trim_start_matches("r#").to_owned()),
    }
}

/// A method that callers can ask for.
struct Operation {
    actor: Ident,
    handle: Ident,
    function: Function,
    changes: bool,
}

impl Operation {
    fn check(actor: &Ident, method: ImplItemFn) -> Result<Self> {
        let ImplItemFn { attrs, vis, sig, block, .. } = method;
        let item = ItemFn { attrs, vis, sig, block: Box::new(block) };
        let function = Function::check(Kind::Operation, item)?;
        let name = function.item.sig.ident.to_string();
        let handle = format_ident!("{actor}_{}", name.trim_start_matches("r#"));
        let changes = function.item.sig.receiver().is_some_and(|this| this.mutability.is_some());
        Ok(Self { actor: actor.clone(), handle, function, changes })
    }

    fn cfg(&self) -> Vec<&Attribute> {
        attributes(&self.function, |name| name == "cfg").collect()
    }

    /// The method itself, whose future travels as an `OperationBody`, and the one with the code.
    fn methods(&self) -> [TokenStream; 2] {
        let (handle, item) = (&self.handle, &self.function.item);
        let (method, vis, block) = (&item.sig.ident, &item.vis, &item.block);
        let inner = format_ident!("__taskhub_{}", method.to_string().trim_start_matches("r#"));
        let (parameters, output, this) = (&item.sig.inputs, &item.sig.output, item.sig.receiver());
        let outer = attributes(&self.function, is_outer);
        let within = attributes(&self.function, is_within);
        let cfg = self.cfg();
        let arguments: Vec<_> = self.function.before.iter().chain(&self.function.input).collect();
        let names: Vec<_> = arguments.iter().map(|(name, _)| name).collect();
        let types = arguments.iter().map(|(_, ty)| ty);
        let body = quote!(::taskhub::handle::OperationBody);
        let outer = quote! {
            #(#outer)*
            #[track_caller]
            #vis fn #method(#this, #(#names: #types),*) -> #body<'_, #handle> {
                #body::new(self.#inner(#(#names),*))
            }
        };
        let inner = quote! {
            #(#cfg)*
            #(#within)*
            #[allow(clippy::unused_async, clippy::needless_pass_by_value, clippy::unused_self)]
            async fn #inner(#parameters) #output #block
        };
        [outer, inner]
    }

    /// The type that stands for it, with all that is known of it.
    fn handle(&self) -> TokenStream {
        let (actor, handle, function) = (&self.actor, &self.handle, &self.function);
        let (method, vis, cfg) = (&function.item.sig.ident, &function.item.vis, self.cfg());
        let name = method.to_string().trim_start_matches("r#").to_owned();
        let input = function.input.as_ref();
        let input_type =
            input.map_or_else(|| quote!(()), |(_, ty)| quote_spanned!(ty.span()=> #ty));
        let output = &function.output;
        let output =
            quote_spanned!(output.span()=> <#output as ::taskhub::handle::Returns>::Output);
        let input = input.map(|_| quote!(input));
        let extract = quote!(::taskhub::activity::Extract<::taskhub::EntityContext>);
        let before = || function.before.iter().map(|(_, ty)| ty);
        let extracted =
            before().map(|ty| quote_spanned!(ty.span()=> <#ty as #extract>::extract(context)?));
        let needed = before().map(|ty| quote_spanned!(ty.span()=> <#ty as #extract>::needs()));
        let changes = self.changes;
        quote! {
            #(#cfg)*
            #[doc(hidden)]
            #[allow(non_camel_case_types, missing_debug_implementations)]
            #vis enum #handle {}
            #(#cfg)*
            impl ::taskhub::handle::OperationSignature for #handle {
                const NAME: &'static str = #name;
                type Entity = #actor;
                type Input = #input_type;
                type Output = #output;
            }
            #(#cfg)*
            impl ::taskhub::handle::OperationCode for #handle {
                const CHANGES: bool = #changes;

                fn begin<'entity>(
                    entity: &'entity mut #actor,
                    context: &::taskhub::EntityContext,
                    input: <Self as ::taskhub::handle::OperationSignature>::Input,
                ) -> ::taskhub::Result<::taskhub::handle::OperationBody<'entity, Self>> {
                    let _ = (context, &input);
                    ::core::result::Result::Ok(#actor::#method(entity, #(#extracted,)* #input))
                }

                fn needs() -> ::std::vec::Vec<::taskhub::activity::Needed> {
                    let needed: [::core::option::Option<::taskhub::activity::Needed>; _] =
                        [#(#needed),*];
                    needed.into_iter().flatten().collect()
                }
            }
        }
    }
}
