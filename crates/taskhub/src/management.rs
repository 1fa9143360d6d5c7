//! The management API of Durable Functions over HTTP: for clients and scripts that know it.
//!
//! [`HostBuilder::management_api`](crate::HostBuilder::management_api) serves it beside the routes
//! of the application; `docs/http.md` shows what it can do. The functions here answer requests of
//! the application itself in the same forms:
//!
//! ```
//! use axum::{extract::{Request, State}, response::Response};
//! use taskhub::{management::{Links, create_check_status_response}, prelude::*};
//!
//! #[orchestration]
//! async fn greet(ctx: Context, name: String) -> Result<String> {
//!     Ok(format!("Hello, {name}"))
//! }
//!
//! /// Starts the orchestration, and answers with 202 and where to look for its result. Whoever
//! /// looks needs a key: `Links::code` puts one into the addresses, see `Links::of`.
//! async fn start(State(hub): State<Client>, request: Request) -> Response {
//!     let (parts, _) = request.into_parts();
//!     let run = hub.start(greet, "you".to_owned()).id("greeting-1").await.expect("it can start");
//!     create_check_status_response(&Links::of(&parts), run.id().expect("it has one").as_str())
//! }
//!
//! # fn app() -> Result<HostBuilder, taskhub::management::KeysError> {
//! let keys = taskhub::management::Keys::open("greetings.hub")?;
//! # Ok(
//! Host::builder().orchestration(greet).route("/start", post(start)).management_api(keys)
//! # )
//! # }
//! ```

pub use taskhub_server::{
    Age, AuthLevel, Key, KeyKind, Keys, KeysError, LimitsConfig, RetentionConfig, TlsConfig,
    TracesConfig,
    http::{
        HttpManagementPayload, Links, Reached, authorize, create_check_status_response,
        create_http_management_payload, wait_for_completion_or_create_check_status_response,
    },
};
