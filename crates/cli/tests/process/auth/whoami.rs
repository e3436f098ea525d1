//! `hokusai auth whoami`.

use insta::assert_snapshot;

use super::Desk;

#[test]
fn a_token_says_whose_it_is_and_where_it_comes_from() {
    let desk = Desk::new();
    assert_snapshot!(desk.auth(&["whoami"]), @"
    --- stdout
    service  http://127.0.0.1:PORT (from HOKUSAI_AUTH_SERVICE_URL)
    user     admin
    role     operator
    token    the operator hka_ABC***, from HOKUSAI_ADMIN_TOKEN
    id       00000000-0000-7000-8000-000000000001
    expires  never
    --- exit 0
    ");
    assert_snapshot!(desk.somebody("bob", "member").auth(&["whoami", "--format", "json"]), @r#"
    --- stdout
    {
      "token_id": "00000000-0000-7000-8000-000000000001",
      "name": "the member",
      "user_id": "bob",
      "role": "member",
      "token_prefix": "hka_ABC***",
      "created_at": "TIME",
      "expires_at": null,
      "revoked_at": null
    }
    --- exit 0
    "#);
}
