//! Entities: read, listed, and asked for operations.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;
use serde_json::value::RawValue;
use taskhub_core::{InstanceId, Operation, Requested, Text, Verb, store::Filter};
use uuid::Uuid;

use crate::traces::caller;

use super::{
    answer::{self, shown},
    call::{Answered, Call, Refused, absent, json},
    list::{including, page_count, token_in, with_token},
    query::exact,
    start::NAME_BYTES_MAX,
};

/// What stands for an empty key in a path.
const EMPTY_KEY: &str = "$";

/// An entity as lists show it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    entity_id: EntityId<'a>,
    last_operation_time: String,
    state: Box<RawValue>,
}

#[derive(Serialize)]
struct EntityId<'a> {
    name: &'a str,
    key: &'a str,
}

impl Call {
    /// `GET entities/{name}/{key}`
    pub(super) async fn entity(self, name: &str, key: &[&str]) -> Answered<Response> {
        let id = id(name, key)?;
        let _turn = self.read().await?;
        let entity = self.hub.entity(id).await.map_err(answer::unreadable)?.ok_or_else(absent)?;
        let state = entity.state.ok_or_else(absent)?;
        Ok(answer::raw(StatusCode::OK, shown(Some(&state)).get().to_owned()))
    }

    /// `GET entities[/{name}]`
    pub(super) async fn entities(self, name: Option<&str>) -> Answered<Response> {
        let query = &self.query;
        let filter = Filter {
            prefix: name.map(|name| format!("@{}@", name.to_lowercase()).into()),
            updated_from: query.time("lastOperationTimeFrom"),
            updated_to: query.time("lastOperationTimeTo").map(including),
            after: token_in(&self.parts.headers)?,
            limit: page_count(query),
            ..Filter::default()
        };
        let with_state = query.flag("fetchState").unwrap_or(false);
        let _turn = self.read().await?;
        let page = self.hub.entities(filter).await.map_err(answer::unreadable)?;
        // Those without a state are deleted, or have yet to begin.
        let with_states = page.entities.iter().filter(|entity| entity.state.is_some());
        let shown: Vec<_> = with_states
            .filter_map(|entity| {
                let (name, key) = entity.id.as_entity()?;
                Some(Shown {
                    entity_id: EntityId { name, key },
                    last_operation_time: exact(entity.modified),
                    state: shown(entity.state.as_deref().filter(|_| with_state)),
                })
            })
            .collect();
        Ok(with_token(answer::json(StatusCode::OK, &shown), page.next.as_ref()))
    }

    /// `POST entities/{name}/{key}`
    pub(super) async fn signal(self, body: Body, name: &str, key: &[&str]) -> Answered<Response> {
        let id = id(name, key)?;
        let operation = self.query.text("op").unwrap_or_default();
        let body = self.bytes(body).await?;
        let input = if body.is_empty() {
            None
        } else if self.sends_json() {
            Some(json(&body).map_err(|error| wrong(&no_json(&error)))?)
        } else {
            Some(quoted(&body))
        };
        self.request(id, operation, input).await
    }

    /// `DELETE entities/{name}/{key}`
    pub(super) async fn delete_entity(self, name: &str, key: &[&str]) -> Answered<Response> {
        self.request(id(name, key)?, "delete".to_owned(), None).await
    }

    async fn request(
        &self,
        id: InstanceId,
        name: String,
        input: Option<Text>,
    ) -> Answered<Response> {
        if name.len() > NAME_BYTES_MAX {
            let why = format!("the name of an operation has at most {NAME_BYTES_MAX} bytes");
            return Err(answer::bad_argument(&why).into());
        }
        let within = caller(&self.parts.headers);
        let span = self.traces.as_ref().map(|it| it.signal(&name, &id, within.as_ref()));
        let request = Uuid::now_v7().to_string();
        let operation = Operation::new(request, name, input);
        let operation = Operation { trace: span.or(within), ..operation };
        let requested = Requested { operation, caller: None, due: None };
        self.ask(&id, Verb::Signal(Box::new(requested))).await?;
        Ok(answer::empty(StatusCode::ACCEPTED))
    }
}

/// The entity that a path names: its key may contain slashes, and is empty when there is none.
fn id(name: &str, key: &[&str]) -> Answered<InstanceId> {
    let key = key.join("/");
    let key = if key == EMPTY_KEY { "" } else { &key };
    InstanceId::entity(name, key).map_err(|error| wrong(&error))
}

/// What was asked for makes no sense.
fn wrong(why: &dyn std::fmt::Display) -> Refused {
    answer::wrong(StatusCode::BAD_REQUEST, &why.to_string()).into()
}

/// What is told of a body that is no JSON.
fn no_json(error: &serde_json::Error) -> String {
    format!("Could not parse JSON content: {error}")
}

/// A body that is no JSON is a text.
fn quoted(body: &[u8]) -> Text {
    answer::quoted(Some(&String::from_utf8_lossy(body))).get().into()
}
