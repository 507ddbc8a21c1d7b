//! The description for people, without a script and without anything from elsewhere.

use super::{Answer, Operation, schemas};

/// Nothing but the text: the page has no style of its own, so that it needs no leave for one.
pub(super) const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PREFACE: &[&str] = &[
    "Errors are JSON, {\"code\", \"message\", \"retryable\"}; protocol.md lists the codes. A token goes into Authorization: Bearer or \
     into ?token=. It is the server's shared token, which may do everything, or one with a role (view, publish, administer), \
     maybe for one room only; a request that the token does not allow is answered with 403 and forbidden.",
    "Bodies and answers below are examples. A field that may be null is missing from no answer and may be left out of a body.",
];

type Chapters = [(&'static str, Vec<Operation>)];

/// The text of `docs/http-api.md`.
pub(super) fn markdown(chapters: &Chapters) -> String {
    let mut text = String::from(
        "# The HTTP API\n\nGenerated from the server's routes by `cargo xtask codegen`. Do not edit.\n",
    );
    text += "A running server gives the same as OpenAPI 3.1 at `/api/openapi.json` and as a page at `/api/docs`.\n";
    for paragraph in PREFACE {
        text += &format!("\n{paragraph}\n");
    }
    for (chapter, operations) in chapters {
        text +=
            &format!("\n## {chapter}\n\n| request | needs | what | answers |\n| --- | --- | --- | --- |\n");
        for operation in operations {
            let given = |what, list| {
                if let Some(named) = named(list) { format!(" ({what}: {named})") } else { String::new() }
            };
            let (query, header) = (given("query", operation.query), given("header", operation.header));
            let takes = operation.body.map_or_else(String::new, |body| format!(" (body: {body})"));
            text += &format!(
                "| `{} {}` | {} | {}{query}{header}{takes} | {} |\n",
                operation.method,
                operation.path,
                operation.needs.words(),
                operation.what,
                answers(operation),
            );
        }
    }
    text += "\n## Bodies\n";
    for (name, example) in schemas::examples() {
        text += &format!("\n### {name}\n\n```json\n{example}\n```\n");
    }
    text
}

/// The page at `/api/docs`.
pub(super) fn html(chapters: &Chapters) -> String {
    let mut text = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The HTTP API of this server</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light dark\"></head>\
         <body><main><h1>The HTTP API of this server</h1>\
         <p>For programs: <a href=\"/api/openapi.json\">OpenAPI 3.1</a>.</p>",
    );
    for paragraph in PREFACE {
        text += &format!("<p>{}</p>", escaped(paragraph));
    }
    for (chapter, operations) in chapters {
        text += &format!("<h2>{}</h2><dl>", escaped(chapter));
        for operation in operations {
            let Operation { method, path, needs, what, body, .. } = operation;
            text += &format!("<dt><code>{method} {}</code> ({})</dt>", escaped(path), needs.words());
            text += &format!("<dd>{}", escaped(what));
            for (what, list) in [("Query", operation.query), ("Header", operation.header)] {
                if let Some(named) = named(list) {
                    text += &format!("<br>{what}: {}", escaped(&named));
                }
            }
            if let Some(body) = body {
                text += &format!("<br>Body: <a href=\"#{body}\">{body}</a>");
            }
            text += &format!("<br>Answers: {}</dd>", escaped(&answers(operation)));
        }
        text += "</dl>";
    }
    text += "<h2>Bodies</h2>";
    for (name, example) in schemas::examples() {
        text += &format!("<h3 id=\"{name}\">{name}</h3><pre>{}</pre>", escaped(&example));
    }
    text + "</main></body></html>"
}

/// What may be given with a request, if anything.
fn named(list: &[(&str, &str)]) -> Option<String> {
    let named: Vec<String> = list.iter().map(|(name, what)| format!("{name}: {what}")).collect();
    (!named.is_empty()).then(|| named.join("; "))
}

fn answers(operation: &Operation) -> String {
    let answers = operation.answers.iter().map(|answer| match answer {
        Answer::Json(status, what) | Answer::Media(status, what) | Answer::Empty(status, what) => {
            format!("{status} {what}")
        }
    });
    answers.collect::<Vec<_>>().join("; ")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
