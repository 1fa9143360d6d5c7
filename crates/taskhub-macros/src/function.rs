//! The function under an attribute: checked, and taken apart into what the expansion needs.

use syn::{
    Error, FnArg, Ident, ItemFn, Pat, Receiver, Result, ReturnType, Signature, Type,
    spanned::Spanned as _,
};

/// Which attribute it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Orchestration,
    Activity,
    /// An operation of an entity.
    Operation,
}

impl Kind {
    /// With its article, for messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Orchestration => "an orchestration",
            Self::Activity => "an activity",
            Self::Operation => "an operation",
        }
    }

    /// The types that stand for themselves among the arguments.
    fn extractors(self) -> &'static [&'static str] {
        match self {
            Self::Orchestration => &[],
            Self::Activity => &["State", "ActivityContext", "Client"],
            Self::Operation => &["State", "EntityContext", "Client"],
        }
    }
}

/// More than an activity or an operation needs; the library implements its handles up to here.
const ARGUMENTS_MAX: usize = 8;

/// Types that surely are no alias of `Result`.
const PLAIN: [&str; 16] = [
    "String", "bool", "char", "u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "f64",
    "Vec", "Option", "Box",
];

/// A function that can be durable.
pub(crate) struct Function {
    pub item: ItemFn,
    /// Names and types of the arguments before the input.
    pub before: Vec<Argument>,
    pub input: Option<Argument>,
    pub output: Type,
}

pub(crate) type Argument = (Ident, Type);

impl Function {
    pub(crate) fn check(kind: Kind, item: ItemFn) -> Result<Self> {
        check_signature(kind, &item.sig)?;
        let arguments = arguments(kind, &item.sig)?;
        let (before, input) = match kind {
            Kind::Orchestration => of_orchestration(&item.sig, arguments)?,
            Kind::Activity | Kind::Operation => with_extractors(kind, &item.sig, arguments)?,
        };
        let output = output(kind, &item.sig)?;
        Ok(Self { item, before, input, output })
    }
}

fn check_signature(kind: Kind, signature: &Signature) -> Result<()> {
    let noun = kind.noun();
    if signature.asyncness.is_none() {
        let advice = format!("{noun} is an `async fn`: write `async` before `fn`");
        return Err(Error::new(signature.fn_token.span, advice));
    }
    let odd = signature.constness.map(|it| it.span);
    let odd = odd.or(signature.unsafety.map(|it| it.span));
    if let Some(span) = odd.or(signature.abi.as_ref().map(|it| it.extern_token.span)) {
        return Err(Error::new(span, format!("{noun} is a plain `async fn`")));
    }
    let generics = &signature.generics;
    let clause = generics.where_clause.as_ref().map(syn::spanned::Spanned::span);
    let generic = if generics.params.is_empty() { clause } else { Some(generics.span()) };
    match generic {
        Some(span) => {
            let advice = format!(
                "{noun} is stored under one name and cannot be generic: use the types it is for"
            );
            Err(Error::new(span, advice))
        }
        None => Ok(()),
    }
}

fn arguments(kind: Kind, signature: &Signature) -> Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    for (index, argument) in signature.inputs.iter().enumerate() {
        match argument {
            FnArg::Receiver(this) if kind == Kind::Operation => check_receiver(this)?,
            FnArg::Receiver(this) => {
                let advice = format!("{} is a free function: take `self` out", kind.noun());
                return Err(Error::new(this.span(), advice));
            }
            FnArg::Typed(typed) => {
                let name = match &*typed.pat {
                    Pat::Ident(name) => shown(&name.ident),
                    other => Ident::new(&format!("argument_{index}"), other.span()),
                };
                check_type(&typed.ty)?;
                arguments.push((name, (*typed.ty).clone()));
            }
        }
    }
    if kind == Kind::Operation && signature.receiver().is_none() {
        let advice = "an operation takes `&mut self`, or `&self` if it only reads; what is no \
             operation is not `async`";
        return Err(Error::new(signature.ident.span(), advice));
    }
    Ok(arguments)
}

fn check_receiver(this: &Receiver) -> Result<()> {
    let is_plain = this.colon_token.is_none()
        && this.reference.as_ref().is_some_and(|(_, lifetime)| lifetime.is_none());
    if is_plain {
        return Ok(());
    }
    let advice = "an operation takes `&mut self`, or `&self` if it only reads";
    Err(Error::new(this.span(), advice))
}

/// The name as others see it: an underscore in front only matters within the function.
fn shown(name: &Ident) -> Ident {
    let text = name.to_string();
    // What is left may be a keyword, or nothing.
    let plain = syn::parse_str::<Ident>(text.trim_start_matches('_'));
    plain.map_or_else(|_| name.clone(), |plain| Ident::new(&plain.to_string(), name.span()))
}

fn check_type(ty: &Type) -> Result<()> {
    match ty {
        Type::Reference(_) => {
            let advice = "the argument outlives the call: take it by value, not by reference";
            Err(Error::new(ty.span(), advice))
        }
        Type::ImplTrait(_) => Err(Error::new(ty.span(), "name the type: no `impl` here")),
        _ => Ok(()),
    }
}

fn of_orchestration(
    signature: &Signature,
    arguments: Vec<Argument>,
) -> Result<(Vec<Argument>, Option<Argument>)> {
    let mut arguments = arguments.into_iter();
    let Some(context) = arguments.next() else {
        let advice = "an orchestration takes its context first: `ctx: Context`";
        return Err(Error::new(signature.ident.span(), advice));
    };
    if last_name(&context.1).is_none_or(|name| name != "Context") {
        let advice = "the first argument of an orchestration is its context: `ctx: Context`";
        return Err(Error::new(context.1.span(), advice));
    }
    let input = arguments.next();
    if let Some((_, more)) = arguments.next() {
        let advice = "an orchestration takes one input: put several into a struct or a tuple";
        return Err(Error::new(more.span(), advice));
    }
    Ok((vec![context], input))
}

fn with_extractors(
    kind: Kind,
    signature: &Signature,
    mut arguments: Vec<Argument>,
) -> Result<(Vec<Argument>, Option<Argument>)> {
    let noun = kind.noun();
    if arguments.len() > ARGUMENTS_MAX {
        let advice = format!("{noun} takes at most {ARGUMENTS_MAX} arguments");
        return Err(Error::new(signature.inputs.span(), advice));
    }
    let extractors = kind.extractors();
    let is_extractor =
        |ty: &Type| last_name(ty).is_some_and(|name| extractors.iter().any(|known| name == known));
    let input = match arguments.last() {
        Some((_, ty)) if !is_extractor(ty) => arguments.pop(),
        _ => None,
    };
    if let Some((_, ty)) = arguments.iter().find(|(_, ty)| !is_extractor(ty)) {
        let context = extractors.get(1).unwrap_or(&"");
        let advice = format!(
            "only the last argument of {noun} can be its input; those before it are `State<T>`, \
             `Client` or `{context}`"
        );
        return Err(Error::new(ty.span(), advice));
    }
    Ok((arguments, input))
}

fn last_name(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

fn output(kind: Kind, signature: &Signature) -> Result<Type> {
    let noun = kind.noun();
    let ReturnType::Type(_, ty) = &signature.output else {
        let advice = format!("{noun} returns a `Result`: write `-> Result<()>`");
        return Err(Error::new(signature.ident.span(), advice));
    };
    let is_plain = |name: &Ident| PLAIN.iter().any(|plain| name == plain);
    if last_name(ty).is_none_or(is_plain) {
        let advice = format!("{noun} returns a `Result`: write `Result<..>` around it");
        return Err(Error::new(ty.span(), advice));
    }
    Ok((**ty).clone())
}
