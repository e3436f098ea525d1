//! `GET /version`.

use insta::assert_snapshot;

use crate::support::{Service, Setup};

#[tokio::test]
async fn the_version_and_its_commit_are_told() {
    let mut setup = Setup::default();
    setup.app.commit = "0123abc".into();
    let service = Service::with(setup).await;
    assert_snapshot!(service.anyone().get("/version").await.without(env!("CARGO_PKG_VERSION"), "version"), @r#"
    200 OK
    {
      "commit": "0123abc",
      "version": "[version]"
    }
    "#);
}
