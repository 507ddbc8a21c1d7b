//! The description of the HTTP API: as OpenAPI, as a page, and as the text in `docs/http-api.md`.

mod page;
mod schemas;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::header;
use serde_json::{Map, Value, json};

use super::routes;

/// What an operation asks of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// No token.
    Nothing,
    /// Any token that is right.
    Token,
    /// To view the room concerned.
    View,
    /// To publish to it.
    Publish,
    /// To administer it.
    Administer,
}

impl Needs {
    const fn words(self) -> &'static str {
        match self {
            Self::Nothing => "no token",
            Self::Token => "any token",
            Self::View => "view",
            Self::Publish => "publish",
            Self::Administer => "administer",
        }
    }
}

/// An answer that is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// A JSON body of this schema.
    Json(u16, &'static str),
    /// A body of this media type.
    Media(u16, &'static str),
    /// No body; what the status means.
    Empty(u16, &'static str),
}

/// One address and method.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    method: &'static str,
    pub(super) path: &'static str,
    needs: Needs,
    what: &'static str,
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) header: &'static [(&'static str, &'static str)],
    pub(super) body: Option<&'static str>,
    pub(super) answers: Vec<Answer>,
}

impl Operation {
    pub(super) const fn new(
        method: &'static str,
        path: &'static str,
        needs: Needs,
        what: &'static str,
    ) -> Self {
        Self { method, path, needs, what, query: &[], header: &[], body: None, answers: Vec::new() }
    }

    /// Whether it is behind the guard.
    pub(super) fn is_guarded(&self) -> bool {
        self.needs != Needs::Nothing
    }

    /// The names in the path's places.
    fn places(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
            .map(|name| name.trim_start_matches('*'))
    }

    /// The part of the API that it belongs to.
    fn chapter(&self) -> &'static str {
        let mut parts = self.path.split('/').filter(|part| !part.is_empty());
        match (parts.next(), parts.next()) {
            (Some("api"), Some("sessions")) => "Sessions",
            (Some("api"), Some("rooms")) => "Rooms",
            (Some("api"), Some("tokens" | "audit")) => "Tokens and audit",
            (Some("ws"), _) => "Sockets",
            (Some("hls"), _) => "LL-HLS",
            (Some("whep" | "whip"), _) => "WebRTC",
            (Some("api" | "health" | "ready"), _) => "Server",
            _ => "Web site",
        }
    }

    fn to_json(&self) -> Value {
        let place = |name: &'static str| json!({"name": name, "in": "path", "required": true, "description": place(name), "schema": {"type": "string"}});
        let given = |within: &'static str| move |(name, what): &(&str, &str)| json!({"name": name, "in": within, "description": what, "schema": {"type": "string"}});
        let (query, header) =
            (self.query.iter().map(given("query")), self.header.iter().map(given("header")));
        let parameters: Vec<Value> = self.places().map(place).chain(query).chain(header).collect();
        let mut responses = Map::new();
        for answer in &self.answers {
            let (status, response) = match answer {
                Answer::Json(status, schema) => (
                    status,
                    json!({
                        "description": schema, "content": {"application/json": {"schema": reference(schema)}}
                    }),
                ),
                Answer::Media(status, media) => {
                    (status, json!({"description": media, "content": {*media: {}}}))
                }
                Answer::Empty(status, what) => (status, json!({"description": what})),
            };
            responses.insert(status.to_string(), response);
        }
        let refusal = json!({
            "description": "Refused or failed", "content": {"application/json": {"schema": reference("ErrorBody")}}
        });
        responses.insert("default".to_owned(), refusal);
        let mut operation = json!({
            "operationId": self.id(), "summary": self.what, "tags": [self.chapter()],
            "description": format!("Needs: {}.", self.needs.words()),
            "parameters": parameters, "responses": responses,
        });
        if self.is_guarded() {
            operation["security"] = json!([{"bearer": []}, {"query": []}]);
        }
        if let Some(schema) = self.body {
            operation["requestBody"] =
                json!({"content": {"application/json": {"schema": reference(schema)}}});
        }
        operation
    }

    fn id(&self) -> String {
        let path: String =
            self.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        format!("{}{path}", self.method.to_lowercase())
    }
}

/// What stands in a path's place.
fn place(name: &str) -> &'static str {
    match name {
        "room" => "a room's name",
        "viewer" => "a viewer's id",
        "number" => "a chat message's number",
        "token" => "a token's id, which is no secret",
        "target" => "a session's id, or a room's name",
        "track" => "video or audio",
        "name" => "a file's name",
        "path" => "a file's path",
        _ => "a session's id",
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// The operations by chapter, in the order of the list.
fn chapters() -> Vec<(&'static str, Vec<Operation>)> {
    let mut chapters: Vec<(&'static str, Vec<Operation>)> = Vec::new();
    for operation in routes::all().into_iter().map(|route| route.operation) {
        let chapter = operation.chapter();
        match chapters.iter_mut().find(|(name, _)| *name == chapter) {
            Some((_, operations)) => operations.push(operation),
            None => chapters.push((chapter, vec![operation])),
        }
    }
    chapters
}

/// The API as an OpenAPI 3.1 document.
fn openapi() -> Value {
    let mut paths = Map::new();
    for operation in routes::all().into_iter().map(|route| route.operation) {
        let path = operation.path.replace("{*", "{");
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[operation.method.to_lowercase()] = operation.to_json();
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Longtake ingest server", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "MIT OR Apache-2.0"}},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    })
}

/// `GET /api/openapi.json`.
pub(super) async fn json() -> Json<Value> {
    Json(openapi())
}

/// `GET /api/docs`.
pub(super) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, page::html(&chapters())).into_response()
}

/// The text of `docs/http-api.md`.
#[must_use]
pub fn http_api_markdown() -> String {
    page::markdown(&chapters())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_in_the_document_once_and_every_reference_leads_somewhere() {
        let document = openapi();
        let mut ids = BTreeSet::new();
        let routes = routes::all();
        for route in &routes {
            let Operation { method, path, .. } = &route.operation;
            let found = &document["paths"][path.replace("{*", "{")][method.to_lowercase()];
            assert_eq!(found["summary"], route.operation.what, "{method} {path}");
            assert!(ids.insert(found["operationId"].to_string()), "{found}");
            assert!(!route.operation.answers.is_empty(), "{method} {path}");
        }
        let count =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len());
        assert_eq!(count.sum::<usize>(), routes.len());
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn the_page_holds_no_script_and_shows_every_address() {
        let html = page::html(&chapters());
        assert!(!html.contains("<script") && !html.contains(" style=") && !html.contains("http://"));
        for route in routes::all() {
            assert!(html.contains(route.operation.path), "{}", route.operation.path);
        }
        assert!(page::POLICY.contains("default-src 'none'"));
    }
}
