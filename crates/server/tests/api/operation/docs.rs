//! `GET /docs`: the page for people.

use crate::support::{Contract, Service};

#[tokio::test]
async fn the_page_lists_every_path() {
    let service = Service::start().await;
    let page = service.anyone().get("/docs").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for (path, methods) in Contract::served().routes() {
        assert!(page.body.contains(&format!("<code>{path}</code>")), "{path}");
        for method in methods {
            assert!(page.body.contains(&format!(">{method}</b>")), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn the_pages_load_nothing_from_elsewhere_and_run_no_script() {
    let service = Service::start().await;
    for path in ["/docs", "/status"] {
        let page = service.anyone().get(path).await.body.to_lowercase();
        for loading in [
            "<script",
            "<link",
            "<img",
            "<iframe",
            "<object",
            "@import",
            "url(",
            "src=",
            "javascript:",
            "onclick",
        ] {
            assert!(!page.contains(loading), "{loading} in {path}");
        }
        for target in page.split("href=\"").skip(1) {
            assert!(target.starts_with('/') && !target.starts_with("//"), "{path} leads to {target:.40}");
        }
    }
}
