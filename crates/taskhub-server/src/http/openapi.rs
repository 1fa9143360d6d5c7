//! What can be asked over HTTP, described for tools: one OpenAPI document, and a page that shows
//! it. Both come from this program alone.

use axum::{
    Router,
    http::{HeaderValue, header::CONTENT_TYPE},
    routing::get,
};
use serde_json::{Map, Value};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::management::BASE;

/// The management API and the probes; the tests hold it against a running server.
const MANAGEMENT: &str = include_str!("openapi/management.yaml");

/// The paths in it that are not of the management API.
const PROBES: [&str; 4] = ["/healthz", "/readyz", "/version", "/metrics"];

/// Where the document and the page are.
const JSON_PATH: &str = "/openapi.json";
const YAML_PATH: &str = "/openapi.yaml";
const PAGE_PATH: &str = "/swagger";

const YAML: HeaderValue = HeaderValue::from_static("application/yaml");

/// An OpenAPI 3.1 document, and the routes that serve it.
///
/// ```
/// use taskhub_server::http::OpenApi;
///
/// let document = OpenApi::management().titled("Orders", "1.2.0");
/// let routes: axum::Router = document.routes();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "it is served by its `routes`"]
pub struct OpenApi(Value);

impl OpenApi {
    /// The management API and the probes.
    pub fn management() -> Self {
        let document = yaml_serde::from_str(MANAGEMENT).unwrap_or_default();
        Self(document).titled("Taskhub", env!("CARGO_PKG_VERSION"))
    }

    /// The same without the management API.
    pub fn without_management(self) -> Self {
        self.without(|path| path.starts_with(BASE)).described("")
    }

    /// The same without what those ask for who watch the process.
    pub fn without_probes(self) -> Self {
        self.without(|path| PROBES.contains(&path))
    }

    fn without(mut self, is_meant: impl Fn(&str) -> bool) -> Self {
        let Some(paths) = self.0["paths"].as_object_mut() else { return self };
        paths.retain(|path, _| !is_meant(path));
        let left = Value::Object(paths.clone()).to_string();
        if let Some(tags) = self.0["tags"].as_array_mut() {
            tags.retain(|tag| left.contains(&format!("\"tags\":[{}]", tag["name"])));
        }
        self
    }

    /// What it is called, and in which version.
    pub fn titled(mut self, title: &str, version: &str) -> Self {
        self.0["info"]["title"] = title.into();
        self.0["info"]["version"] = version.into();
        self
    }

    /// What it is, in a few words.
    pub fn described(mut self, description: &str) -> Self {
        self.0["info"]["description"] = description.into();
        self
    }

    /// The same with what stands in another document, given as JSON: its paths, what those refer
    /// to, and its tags.
    pub fn with(mut self, other: &Value) -> Self {
        add(&mut self.0, other, &["paths"]);
        for kind in ["schemas", "responses", "parameters", "requestBodies", "securitySchemes"] {
            add(&mut self.0, other, &["components", kind]);
        }
        if let (Value::Array(tags), Some(others)) = (&mut self.0["tags"], other["tags"].as_array())
        {
            tags.extend(others.iter().cloned());
        }
        self
    }

    /// The document as JSON.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// The document as YAML.
    #[must_use]
    pub fn yaml(&self) -> String {
        yaml_serde::to_string(&self.0).unwrap_or_default()
    }

    /// `/openapi.json`, `/openapi.yaml`, and a page for people at `/swagger`.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let yaml = self.yaml();
        let page = SwaggerUi::new(PAGE_PATH).external_url_unchecked(JSON_PATH, self.0);
        // The page would ask a server elsewhere whether the document is good.
        let page = page.config(Config::new([JSON_PATH]).validator_url("none"));
        let yaml = get(move || async { ([(CONTENT_TYPE, YAML)], yaml) });
        Router::new().route(YAML_PATH, yaml).merge(Router::from(page))
    }
}

/// Whether a path leads to the document, or to the page that shows it.
pub(crate) fn is_document(path: &str) -> bool {
    let below = path.strip_prefix(PAGE_PATH);
    let is_page = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_page || path == JSON_PATH || path == YAML_PATH
}

/// Adds the entries of an object within a document to the same object of another.
fn add(document: &mut Value, other: &Value, at: &[&str]) {
    let found = at.iter().try_fold(other, |value, key| value.get(*key));
    let Some(entries) = found.and_then(Value::as_object) else { return };
    let mut place = document;
    for key in at {
        place = &mut place[*key];
    }
    match place {
        Value::Object(known) => known.extend(entries.clone()),
        nothing => *nothing = Value::Object(Map::clone(entries)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_document_is_the_one_that_stands_in_the_file() {
        let document = OpenApi::management();
        assert_eq!(document.json()["openapi"], "3.1.0");
        assert_eq!(document.json()["info"]["version"], env!("CARGO_PKG_VERSION"));
        let read: Value = yaml_serde::from_str(&document.yaml()).unwrap();
        assert_eq!(&read, document.json());
    }

    #[test]
    fn no_two_paths_have_one_shape_and_no_two_operations_one_name() {
        let document = OpenApi::management();
        let paths = document.json()["paths"].as_object().unwrap().keys();
        let shape = |path: &String| -> Vec<String> {
            let name = |part: &str| if part.starts_with('{') { "{}" } else { part }.to_owned();
            path.split('/').map(name).collect()
        };
        let shapes: Vec<_> = paths.map(shape).collect();
        let operations = document.json()["paths"].as_object().unwrap().values();
        let operations = operations.flat_map(|path| path.as_object().unwrap().values());
        let ids: Vec<_> = operations.filter_map(|it| it["operationId"].as_str()).collect();
        let different_ids: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(different_ids.len(), ids.len(), "{ids:?}");
        let different: std::collections::BTreeSet<_> = shapes.iter().collect();
        assert_eq!(different.len(), shapes.len(), "{shapes:?}");
    }

    #[test]
    fn another_document_is_added_with_all_that_it_refers_to() {
        let other = json!({
            "paths": { "/api/orders": { "get": {} } },
            "components": { "schemas": { "Order": { "type": "object" } } },
            "tags": [{ "name": "orders" }],
        });
        let document = OpenApi::management().with(&other);
        let schemas = &document.json()["components"]["schemas"];
        assert!(schemas["Order"].is_object() && schemas["Error"].is_object());
        assert!(document.json()["paths"]["/api/orders"].is_object());
        let tags = document.json()["tags"].as_array().unwrap();
        assert_eq!(tags.last().unwrap()["name"], "orders");
    }

    #[test]
    fn without_the_management_api_nothing_of_it_is_left() {
        let document = OpenApi::management().without_management();
        let paths = document.json()["paths"].as_object().unwrap().keys();
        assert!(paths.eq(["/healthz", "/metrics", "/readyz", "/version"]));
        assert_eq!(document.json()["tags"].as_array().unwrap().len(), 1);
        let nothing = document.without_probes();
        assert_eq!(nothing.json()["tags"], json!([]));
        assert_eq!(nothing.json()["paths"], json!({}));
    }

    #[test]
    fn the_document_and_its_page_are_known_by_their_paths() {
        for path in ["/openapi.json", "/openapi.yaml", "/swagger", "/swagger/", "/swagger/a.css"] {
            assert!(is_document(path), "{path}");
        }
        for path in ["/openapi", "/swaggers", "/runtime/swagger"] {
            assert!(!is_document(path), "{path}");
        }
    }
}
