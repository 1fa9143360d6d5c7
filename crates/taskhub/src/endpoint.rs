//! Endpoints: routes below the prefix that ask for a key, and describe themselves.

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use serde_json::{Map, Value, json};
use taskhub_server::{
    AuthLevel,
    http::{Gate, guard},
};
use utoipa::{IntoParams, ToSchema, openapi::path::ParameterIn};

use crate::Client;

/// A route of [`HostBuilder::endpoint`](crate::HostBuilder::endpoint), as functions have them:
/// below the prefix, `/api` unless the host says otherwise, for whoever has a key.
///
/// Its key is one of its own, a host key or the master key, in the header `x-functions-key` or as
/// `?code=`; its name is the first word of its path. While a host that listens at a loopback
/// address has no keys at all, everybody on this machine is let in.
///
/// What it takes and gives stands in the host's OpenAPI document.
///
/// ```
/// use taskhub::{Endpoint, prelude::*};
/// use utoipa::{IntoParams, ToSchema};
///
/// #[derive(serde::Serialize, serde::Deserialize, IntoParams, ToSchema)]
/// struct Question {
///     /// The city that is asked about.
///     city: String,
/// }
///
/// #[orchestration]
/// async fn weather(ctx: Context, question: Question) -> Result<String> {
///     # let _ = (ctx, question);
///     Ok("rain".to_owned())
/// }
///
/// # fn app() -> HostBuilder {
/// Host::builder().orchestration(weather).openapi("The weather", "1.0.0").endpoint(
///     Endpoint::get("weather", sync_over_async(weather))
///         .anonymous()
///         .summary("The weather of a city, as soon as somebody knows it")
///         .query::<Question>()
///         .gives::<String>("The weather"),
/// )
/// # }
/// ```
#[derive(Debug)]
#[must_use = "it is served by a host"]
pub struct Endpoint {
    path: String,
    method: &'static str,
    handler: MethodRouter<Client>,
    function: String,
    level: Level,
    operation: Map<String, Value>,
    schemas: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Anonymous,
    Function,
    Admin,
}

impl Endpoint {
    /// Answers GET with an axum handler, such as a [`Gateway`](crate::Gateway).
    pub fn get<T: 'static>(path: &str, handler: impl Handler<T, Client>) -> Self {
        Self::on(path, "get", MethodFilter::GET, handler)
    }

    /// Answers POST.
    pub fn post<T: 'static>(path: &str, handler: impl Handler<T, Client>) -> Self {
        Self::on(path, "post", MethodFilter::POST, handler)
    }

    /// Answers PUT.
    pub fn put<T: 'static>(path: &str, handler: impl Handler<T, Client>) -> Self {
        Self::on(path, "put", MethodFilter::PUT, handler)
    }

    /// Answers PATCH.
    pub fn patch<T: 'static>(path: &str, handler: impl Handler<T, Client>) -> Self {
        Self::on(path, "patch", MethodFilter::PATCH, handler)
    }

    /// Answers DELETE.
    pub fn delete<T: 'static>(path: &str, handler: impl Handler<T, Client>) -> Self {
        Self::on(path, "delete", MethodFilter::DELETE, handler)
    }

    fn on<T: 'static>(
        path: &str,
        method: &'static str,
        filter: MethodFilter,
        handler: impl Handler<T, Client>,
    ) -> Self {
        let path = path.trim_start_matches('/').to_owned();
        let function = path.split('/').next().unwrap_or_default().to_owned();
        let answers = json!({
            "200": { "description": "It is done." },
            "default": { "description": "It could not be done; the text says why." },
        });
        let operation = Map::from_iter([("responses".to_owned(), answers)]);
        Self {
            path,
            method,
            handler: on(filter, handler),
            function,
            level: Level::Function,
            operation,
            schemas: Map::new(),
        }
    }

    /// Nobody is asked for a key.
    pub fn anonymous(mut self) -> Self {
        self.level = Level::Anonymous;
        self
    }

    /// Only the master key is good enough.
    pub fn admin(mut self) -> Self {
        self.level = Level::Admin;
        self
    }

    /// The function whose keys are good, if not the first word of the path.
    pub fn named(mut self, function: &str) -> Self {
        function.clone_into(&mut self.function);
        self
    }

    /// What it does, in a few words.
    pub fn summary(mut self, summary: &str) -> Self {
        self.operation.insert("summary".to_owned(), summary.into());
        self
    }

    /// The fields of its query.
    pub fn query<T: IntoParams>(mut self) -> Self {
        let parameters = T::into_params(|| Some(ParameterIn::Query));
        self.operation.insert("parameters".to_owned(), json!(parameters));
        self
    }

    /// The JSON body that it takes.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let schema = self.schema::<T>();
        let content = json!({ "application/json": { "schema": schema } });
        let body = json!({ "required": true, "content": content });
        self.operation.insert("requestBody".to_owned(), body);
        self
    }

    /// What it answers when all went well: a text as it is, anything else as JSON.
    pub fn gives<T: ToSchema>(mut self, description: &str) -> Self {
        let schema = self.schema::<T>();
        let kind = if schema["type"] == "string" { "text/plain" } else { "application/json" };
        let answer =
            json!({ "description": description, "content": { kind: { "schema": schema } } });
        self.operation["responses"]["200"] = answer;
        self
    }

    /// The shape of a type; those that it refers to are kept.
    fn schema<T: ToSchema>(&mut self) -> Value {
        let mut others = Vec::new();
        T::schemas(&mut others);
        let schema = json!(T::schema());
        others.push((T::name().into_owned(), T::schema()));
        for (name, other) in others {
            self.schemas.insert(name, json!(other));
        }
        schema
    }

    /// The route, below a prefix and behind the gate.
    pub(crate) fn route(&self, prefix: &str, gate: &Gate) -> Router<Client> {
        let level = match self.level {
            Level::Anonymous => AuthLevel::Anonymous,
            Level::Function => AuthLevel::Function(self.function.clone()),
            Level::Admin => AuthLevel::Admin,
        };
        let guard = from_fn_with_state((gate.clone(), level), guard);
        Router::new().route(&self.at(prefix), self.handler.clone().route_layer(guard))
    }

    /// What stands in the document about it.
    pub(crate) fn document(&self, prefix: &str) -> Value {
        let mut operation = self.operation.clone();
        let security = match self.level {
            Level::Anonymous => json!([]),
            Level::Function | Level::Admin => json!([{ "key": [] }, { "code": [] }]),
        };
        operation.insert("security".to_owned(), security);
        if self.level != Level::Anonymous {
            let refused = json!({ "description": "No good key came with it." });
            operation["responses"]["401"] = refused;
        }
        operation.insert("tags".to_owned(), json!([self.function]));
        // A wildcard is a parameter like any other here.
        let path = self.at(prefix).replace("{*", "{");
        let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        let of_path = names.map(|(name, _)| {
            let schema = json!({ "type": "string" });
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        });
        let of_query = operation.get("parameters").and_then(Value::as_array).cloned();
        let parameters: Vec<_> = of_path.chain(of_query.unwrap_or_default()).collect();
        operation.insert("parameters".to_owned(), parameters.into());
        json!({
            "paths": { path: { self.method: operation } },
            "components": { "schemas": self.schemas },
        })
    }

    fn at(&self, prefix: &str) -> String {
        format!("{}/{}", prefix.trim_end_matches('/'), self.path)
    }
}
