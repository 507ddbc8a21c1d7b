//! The committed description of the HTTP API is the server's own. `UPDATE_GENERATED=1` writes it anew.
#![allow(clippy::unwrap_used)]

mod harness;

use std::path::PathBuf;

use harness::TestServer;

#[test]
fn the_committed_description_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/http-api.md");
    let generated = ingest_server::http_api_markdown();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "docs/http-api.md is stale; run `cargo xtask codegen`");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_there_and_nothing_else() {
    // With a token nobody shows: what is there asks for it, and nothing happens.
    let server = TestServer::start(&["--streaming-access-token", "correct-horse"]).await;
    let answer = server.get("/api/openapi.json").await;
    assert_eq!(answer.status, 200);
    let document: serde_json::Value = answer.json();
    let page = server.get("/api/docs").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    for (path, item) in document["paths"].as_object().unwrap() {
        let asked: String = path
            .split('/')
            .map(|part| if part.starts_with('{') { "studio" } else { part })
            .collect::<Vec<_>>()
            .join("/");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let headers = [("authorization", "Bearer correct-horse")];
            let is_open = item["get"]["security"].is_null() && item["get"].is_object();
            let operation = &item[method.to_lowercase()];
            if operation.is_null() {
                let answer = server.request(method, &asked, &headers).await;
                assert_eq!(answer.status, 405, "{method} {asked}: {answer:?}");
            } else if !is_open {
                let answer = server.request(method, &asked, &[]).await;
                assert_eq!(answer.status, 401, "{method} {asked}: {answer:?}");
            }
        }
    }
    server.stop().await;
}
