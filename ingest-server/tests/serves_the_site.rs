//! The web site is served without a token, under a strict policy, and nothing outside of it by its addresses.
#![allow(clippy::unwrap_used)]

mod harness;

use harness::{Answer, TestServer};

const PAGES: &[&str] = &["/", "/watch/studio", "/publish", "/recording/01890a5d-ac96-7b7c-8f4e-000000000001"];

/// Whether the site was built when the server was: without Node.js it is not, and then it says so.
fn is_built(answer: &Answer) -> bool {
    answer.status == 200
}

fn assert_is_guarded(answer: &Answer) {
    let policy = answer.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"] {
        assert!(policy.contains(rule), "{rule}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
}

/// The asset that the page names, by what its address ends with.
fn asset(page: &str, ending: &str) -> String {
    let end = page.find(ending).unwrap() + ending.len();
    let begin = page[..end].rfind("/assets/").unwrap();
    page[begin..end].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_there_without_a_token_and_guarded() {
    let server = TestServer::start(&["--streaming-access-token", "secret"]).await;
    for path in PAGES {
        let page = server.get(path).await;
        assert_is_guarded(&page);
        if is_built(&page) {
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(page.header("cache-control"), Some("no-cache"));
        } else {
            let text = String::from_utf8(page.body).unwrap();
            assert_eq!(page.status, 404);
            assert!(text.contains("npm run build:site"), "{text}");
        }
    }
    // What the page asks for is not open for that.
    assert_eq!(server.get("/api/sessions").await.status, 401);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_keep_for_ever_and_the_page_is_asked_for_anew() {
    let server = TestServer::start(&[]).await;
    let page = server.get("/").await;
    if !is_built(&page) {
        return;
    }
    let etag = page.header("etag").unwrap().to_owned();
    let again = server.request("GET", "/", &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let text = String::from_utf8(page.body).unwrap();
    for (ending, media_type) in
        [(".js", "text/javascript; charset=utf-8"), (".css", "text/css; charset=utf-8")]
    {
        let asset = server.get(&asset(&text, ending)).await;
        assert_eq!(asset.status, 200);
        assert_eq!(asset.header("content-type"), Some(media_type));
        assert_eq!(asset.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_is_guarded(&asset);
    }
    let head = server.request("HEAD", "/", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_elsewhere_find_nothing() {
    let server = TestServer::start(&[]).await;
    for path in [
        "/assets/../site.html",
        "/assets/%2e%2e/site.html",
        "/assets/..%2fsite.html",
        "/assets/../../Cargo.toml",
        "/assets/..%2f..%2f..%2fCargo.toml",
        "/assets//etc/passwd",
        "/assets/%2fetc%2fpasswd",
        "/assets/%00",
        "/assets/nothing.js",
        "/watch",
        "/watch/a/b",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let wrong = server.request("POST", "/", &[("content-length", "0")]).await;
    assert_eq!(wrong.status, 405);
    server.stop().await;
}
