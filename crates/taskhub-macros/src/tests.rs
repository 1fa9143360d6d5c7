//! What the attributes accept, and what they say when they do not.

use proc_macro2::TokenStream;

use crate::{combinators, determinism, entity::try_entity, expand::try_durable, function::Kind};

fn tokens(text: &str) -> TokenStream {
    text.parse().unwrap()
}

/// The message and the text it points at.
fn refusal(kind: Kind, arguments: &str, function: &str) -> (String, String) {
    let error = match try_durable(kind, tokens(arguments), tokens(function)) {
        Ok(expanded) => panic!("accepted: {expanded}"),
        Err(error) => error,
    };
    (error.to_string(), error.span().source_text().unwrap_or_default())
}

fn orchestration(function: &str) -> (String, String) {
    refusal(Kind::Orchestration, "", function)
}

fn activity(function: &str) -> (String, String) {
    refusal(Kind::Activity, "", function)
}

fn accepted(kind: Kind, arguments: &str, function: &str) -> String {
    try_durable(kind, tokens(arguments), tokens(function)).unwrap().to_string()
}

#[test]
fn a_function_that_is_not_async_is_refused_at_its_fn() {
    let (message, at) = orchestration("fn f(ctx: Context) -> Result<()> { Ok(()) }");
    assert_eq!(message, "an orchestration is an `async fn`: write `async` before `fn`");
    assert_eq!(at, "fn");
}

#[test]
fn a_generic_function_is_refused_at_its_parameters() {
    let (message, at) = activity("async fn f<T>(it: T) -> Result<()> { Ok(()) }");
    assert!(message.contains("cannot be generic"), "{message}");
    assert_eq!(at, "<T>");
}

#[test]
fn a_method_is_refused_at_its_self() {
    let (message, at) = activity("async fn f(&self) -> Result<()> { Ok(()) }");
    assert_eq!(message, "an activity is a free function: take `self` out");
    assert_eq!(at, "&self");
}

#[test]
fn an_orchestration_without_a_context_is_refused() {
    let (message, at) = orchestration("async fn f() -> Result<()> { Ok(()) }");
    assert_eq!(message, "an orchestration takes its context first: `ctx: Context`");
    assert_eq!(at, "f");
    let (message, at) = orchestration("async fn f(order: Order) -> Result<()> { Ok(()) }");
    assert_eq!(message, "the first argument of an orchestration is its context: `ctx: Context`");
    assert_eq!(at, "Order");
}

#[test]
fn a_second_input_is_refused() {
    let (message, at) =
        orchestration("async fn f(ctx: Context, a: A, b: B) -> Result<()> { Ok(()) }");
    assert!(message.contains("one input"), "{message}");
    assert_eq!(at, "B");
    let (message, at) = activity("async fn f(a: A, b: B) -> Result<()> { Ok(()) }");
    assert!(message.starts_with("only the last argument"), "{message}");
    assert_eq!(at, "A");
}

#[test]
fn an_input_by_reference_is_refused() {
    let (message, at) = activity("async fn f(name: &str) -> Result<()> { Ok(()) }");
    assert!(message.contains("by value"), "{message}");
    assert_eq!(at, "&str");
}

#[test]
fn a_return_type_that_is_no_result_is_refused() {
    let (message, _) = activity("async fn f() {}");
    assert_eq!(message, "an activity returns a `Result`: write `-> Result<()>`");
    let (message, at) = orchestration("async fn f(ctx: Context) -> String { String::new() }");
    assert_eq!(message, "an orchestration returns a `Result`: write `Result<..>` around it");
    assert_eq!(at, "String");
}

#[test]
fn an_unknown_or_empty_argument_is_refused() {
    let function = "async fn f(ctx: Context) -> Result<()> { Ok(()) }";
    let (message, at) = refusal(Kind::Orchestration, "nmae = \"x\"", function);
    assert_eq!(message, "`nmae` is not known here; there are `name`, `version` and `unchecked`");
    assert_eq!(at, "nmae");
    let (message, _) = refusal(Kind::Orchestration, "name = \"\"", function);
    assert_eq!(message, "this text must not be empty");
    let (message, _) = refusal(Kind::Orchestration, "name = \"a\", name = \"b\"", function);
    assert_eq!(message, "`name` is given twice");
    let (message, _) = refusal(Kind::Orchestration, "retry = Retry::exponential(3)", function);
    assert!(message.contains("ctx.call(..).retry(..)"), "{message}");
    let (message, _) = refusal(Kind::Orchestration, "limit = 3", function);
    assert_eq!(message, "`limit` is for activities");
    let (message, at) = refusal(Kind::Activity, "timeout = T", "async fn f() -> Result<()> {}");
    assert!(message.contains("`attempt_timeout`, `heartbeat`, `limit`"), "{message}");
    assert_eq!(at, "timeout");
    let (message, _) = refusal(Kind::Orchestration, "unchecked", function);
    assert_eq!(message, "`unchecked` needs a value: `unchecked = ..`");
}

fn errors(body: &str) -> Vec<(String, String)> {
    let Some(error) = determinism::scan(tokens(body)) else { return Vec::new() };
    let parts = error.into_iter();
    parts.map(|it| (it.span().source_text().unwrap_or_default(), it.to_string())).collect()
}

#[test]
fn what_cannot_be_replayed_is_refused_where_it_stands() {
    for (body, at, advice) in [
        ("let t = Instant::now();", "Instant::now", "ctx.now()"),
        ("std::time::SystemTime::now()", "SystemTime::now", "ctx.now()"),
        ("chrono::Utc::now()", "Utc::now", "ctx.now()"),
        ("jiff::Timestamp::now()", "Timestamp::now", "ctx.now()"),
        ("reqwest::get(url).await?", "reqwest", "an activity"),
        ("let n: u8 = rand::random();", "rand", "ctx.random()"),
        ("::rand::rng()", "rand", "ctx.random()"),
        ("f(Uuid::new_v4())", "Uuid::new_v4", "ctx.uuid()"),
        ("tokio::spawn(async {})", "tokio::spawn", "ctx.call(..)"),
        ("x! { a => { tokio::time::sleep(d).await } }", "tokio::time", "ctx.sleep(..)"),
        ("std::fs::read(p)?", "std::fs", "an activity"),
        ("std::env::var(\"HOME\")", "std::env", "an activity"),
        ("std::thread::sleep(d)", "std::thread", "an activity"),
    ] {
        let errors = errors(body);
        assert_eq!(errors.len(), 1, "{body}: {errors:?}");
        assert_eq!(errors[0].0, at, "{body}");
        assert!(errors[0].1.contains(advice) && errors[0].1.contains("unchecked"), "{errors:?}");
    }
    assert_eq!(errors("a(Utc::now()); b(rand::random())").len(), 2);
}

#[test]
fn what_only_looks_alike_is_accepted() {
    for body in [
        "let rand = 3; f(rand)",
        "ctx.now(); order.now()",
        "let text = \"Instant::now()\";",
        "tokio::select! { a = x => a }",
        "my::rand::thing()",
        "std::time::Duration::from_secs(1)",
        "let x: rand = y;",
        "match a { std => b }",
    ] {
        assert_eq!(errors(body), [], "{body}");
    }
}

#[test]
fn the_hatch_silences_the_scan() {
    let function = "async fn f(ctx: Context) -> Result<()> { rand::x(); Ok(()) }";
    let checked = accepted(Kind::Orchestration, "", function);
    assert!(checked.contains("compile_error"));
    let unchecked = accepted(Kind::Orchestration, "unchecked = \"a module of mine\"", function);
    assert!(!unchecked.contains("compile_error"));
}

#[test]
fn select_asks_its_branches_in_order() {
    let same = |body: &str, expected: &str| {
        assert_eq!(combinators::in_order(tokens(body)).to_string(), tokens(expected).to_string());
    };
    same("{ tokio::select! { a = b => c } }", "{ tokio::select! { biased; a = b => c } }");
    same("tokio::select! { biased; a = b => c }", "tokio::select! { biased; a = b => c }");
    same("f(futures::select! { a = b => c })", "f(futures::select_biased! { a = b => c })");
    same("select! { a = b => c }", "select! { a = b => c }");
    same("tokio::join! { a, b }", "tokio::join! { a, b }");
}

#[test]
fn the_last_argument_is_the_input_unless_it_is_an_extractor() {
    let input = |function: &str| {
        let expanded = accepted(Kind::Activity, "", function);
        let from = expanded.find("type Input =").unwrap() + "type Input =".len();
        expanded[from..].split(';').next().unwrap().trim().to_owned()
    };
    assert_eq!(input("async fn f() -> Result<()> {}"), "()");
    assert_eq!(input("async fn f(a: State<A>) -> Result<()> {}"), "()");
    assert_eq!(input("async fn f(c: ActivityContext) -> Result<()> {}"), "()");
    assert_eq!(input("async fn f(a: taskhub::State<A>, b: B) -> Result<()> {}"), "B");
    assert_eq!(input("async fn f((a, b): (u8, u8)) -> Result<()> {}"), "(u8 , u8)");
}

/// What is refused of an entity, and the text it points at.
fn entity(arguments: &str, block: &str) -> (String, String) {
    let error = match try_entity(tokens(arguments), tokens(block)) {
        Ok(expanded) => panic!("accepted: {expanded}"),
        Err(error) => error,
    };
    (error.to_string(), error.span().source_text().unwrap_or_default())
}

const ADD: &str = "async fn add(&mut self, amount: i64) -> Result<i64> { Ok(amount) }";

#[test]
fn an_entity_stands_on_the_block_of_a_plain_type() {
    for (block, advice, at) in [
        ("impl Default for A { }", "not on that of a trait", "Default"),
        ("impl<T> A<T> { }", "cannot be generic", "<T>"),
        ("impl A<u8> { }", "without parameters", "A<u8>"),
        ("impl [u8] { }", "a struct or an enum of your own", "[u8]"),
        ("impl A { fn helper(&self) {} }", "add an `async fn`", "A"),
        ("struct A;", "stands on the `impl`", "struct"),
    ] {
        let (message, span) = entity("", block);
        assert!(message.contains(advice), "{block}: {message}");
        assert_eq!(span, at, "{block}");
    }
    let (message, _) = entity("name = \"a@b\"", &format!("impl A {{ {ADD} }}"));
    assert!(message.contains("must not contain `@`"), "{message}");
    let (message, _) = entity("version = \"2\"", &format!("impl A {{ {ADD} }}"));
    assert_eq!(message, "`version` is not known here; there is `name`");
}

#[test]
fn an_operation_takes_itself_by_reference_and_one_input() {
    for (operation, advice, at) in [
        ("async fn f(self) -> Result<()> {}", "`&mut self`, or `&self`", "self"),
        ("async fn f(self: Box<Self>) -> Result<()> {}", "`&mut self`", "self: Box<Self>"),
        ("async fn f(&'a mut self) -> Result<()> {}", "`&mut self`", "&'a mut self"),
        ("async fn f(amount: i64) -> Result<()> {}", "is not `async`", "f"),
        ("async fn f(&mut self, a: A, b: B) -> Result<()> {}", "`EntityContext`", "A"),
        ("async fn f(&mut self, a: &str) -> Result<()> {}", "by value", "&str"),
        ("async fn f(&mut self) -> u8 {}", "an operation returns a `Result`", "u8"),
        ("async fn f<T>(&mut self, a: T) -> Result<()> {}", "cannot be generic", "<T>"),
    ] {
        let (message, span) = entity("", &format!("impl A {{ {operation} }}"));
        assert!(message.contains(advice), "{operation}: {message}");
        assert_eq!(span, at, "{operation}");
    }
}

#[test]
fn what_is_not_async_is_left_alone() {
    let block =
        format!("impl A {{ const B: u8 = 1; fn helper(&self, a: &str) -> u8 {{ 1 }} {ADD} }}");
    let expanded = try_entity(tokens(""), tokens(&block)).unwrap().to_string();
    assert!(expanded.contains("const B : u8 = 1 ; fn helper (& self , a : & str) -> u8 { 1 }"));
    assert!(expanded.contains("const NAME : & 'static str = \"A\""));
    assert_eq!(expanded.matches("all . push").count(), 1);
}
