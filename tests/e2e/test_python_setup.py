"""Which key counts, what `setup` does, and what is told when something is wrong with either."""

from __future__ import annotations

import pickle
import socket
import warnings
from pathlib import Path

import hokusai
import hokusai.aio
import pytest
from hokusai import HokusaiAuth, HokusaiClient, ModelRegistry
from wheel import Platform, tell

NOBODYS = "hk_live_00000000000000000000000000000000"


def write_file(person: Platform, text: str) -> None:
    (person.home / ".hokusai").mkdir()
    file = person.home / ".hokusai/config"
    file.touch(0o600)
    file.write_text(text)


def test_arguments_go_before_setup_and_that_before_variables_and_file(
    person: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(person, "[default]\napi_key = of-the-file\n[other]\napi_key = of-another-profile\n")
    hokusai.setup(api_key="of-setup")
    assert HokusaiAuth(api_key="of-here").api_key == "of-here"
    assert ModelRegistry(api_key="of-here").auth.sources["api_key"] == "api_key="
    assert HokusaiAuth().api_key == "of-setup"
    hokusai.configure()
    assert HokusaiAuth().api_key == person.key
    monkeypatch.delenv("HOKUSAI_API_KEY")
    assert HokusaiAuth().api_key == "of-the-file"
    assert HokusaiAuth(profile="other").api_key == "of-another-profile"
    monkeypatch.setenv("HOKUSAI_PROFILE", "other")
    assert HokusaiAuth().api_key == "of-another-profile"


def test_urls_come_from_where_keys_come_from(person: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    assert HokusaiAuth().api_endpoint == person.gateway
    hokusai.setup(api_endpoint="https://api.of-setup.example/", auth_service_url="https://auth.of-setup.example")
    auth = HokusaiAuth()
    assert (auth.api_endpoint, auth.auth_service_url) == (
        "https://api.of-setup.example",
        "https://auth.of-setup.example",
    )
    hokusai.setup()
    monkeypatch.delenv("HOKUSAI_API_ENDPOINT")
    monkeypatch.delenv("HOKUSAI_AUTH_SERVICE_URL")
    assert HokusaiAuth().api_endpoint == "https://api.hokus.ai"
    assert HokusaiAuth().auth_service_url == "https://auth.hokus.ai"


def test_a_missing_key_is_told_with_every_place_that_was_looked_at(
    person: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOKUSAI_API_KEY")
    for make in (HokusaiClient, ModelRegistry, HokusaiAuth, hokusai.aio.HokusaiClient):
        with pytest.raises(hokusai.AuthenticationError) as caught:
            make()
        assert caught.value.code == "missing_credential"
        for place in ("api_key=", "setup(", "HOKUSAI_API_KEY", "default", "~/.hokusai/config"):
            assert place in str(caught.value)


def test_a_missing_admin_token_is_told_likewise(person: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOKUSAI_ADMIN_TOKEN")
    with pytest.raises(hokusai.AuthenticationError, match="HOKUSAI_ADMIN_TOKEN is not set"):
        hokusai.AuthAdmin()


@pytest.mark.parametrize("around", [" {}", "{}\n", "\t{} \r\n"])
def test_white_space_around_a_key_is_taken_off(person: Platform, around: str) -> None:
    client = HokusaiClient(api_key=around.format(person.key))
    assert client.auth.api_key == person.key
    assert client.validate().user_id == "admin"


@pytest.mark.parametrize("key", ["", "   ", "hk_live_a\nb", "hk_live_é", "hk_live_\udcff"])
def test_what_can_be_no_key_is_refused_before_it_is_sent(person: Platform, key: str) -> None:
    with pytest.raises(hokusai.HokusaiAuthError) as caught:
        HokusaiClient(api_key=key)
    assert caught.value.status is None


@pytest.mark.parametrize("key", [b"hk_live_x", Path("hk_live_x"), 7])
def test_a_key_is_a_text(person: Platform, key: object) -> None:
    with pytest.raises(TypeError, match="api_key must be a str"):
        HokusaiClient(api_key=key)
    with pytest.raises(TypeError, match="api_key must be a str"):
        hokusai.setup(api_key=key)


def test_none_is_as_good_as_nothing(person: Platform) -> None:
    assert HokusaiClient(api_key=None, api_endpoint=None).auth.api_key == person.key


@pytest.mark.parametrize("url", ["not a url", "ftp://127.0.0.1", "http://", "127.0.0.1:80", "http://u:p@127.0.0.1"])
def test_a_wrong_url_is_told_at_once(person: Platform, url: str) -> None:
    with pytest.raises(hokusai.ConfigurationError) as caught:
        HokusaiClient(api_endpoint=url)
    assert caught.value.code == "configuration"


def test_a_key_is_not_sent_in_plain_text_over_a_network(person: Platform) -> None:
    with pytest.raises(hokusai.ConfigurationError, match="allow_plain_http=True"):
        HokusaiClient(api_endpoint="http://192.0.2.1")
    HokusaiClient(api_endpoint="http://192.0.2.1", allow_plain_http=True)


def test_setup_raises_for_a_refused_key_and_sets_nothing_up(person: Platform) -> None:
    hokusai.setup(api_key=person.key)
    with pytest.raises(hokusai.AuthenticationError) as caught:
        hokusai.setup(api_key=NOBODYS, validate_with_auth_service=True)
    assert (caught.value.code, caught.value.status) == ("invalid_key", 401)
    assert HokusaiAuth().api_key == person.key


def test_setup_takes_a_good_key_silently(person: Platform) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hokusai.setup(api_key=person.key, validate_with_auth_service=True)
        auth = HokusaiAuth(validate_with_auth_service=True)
    assert auth.user_id == "admin"


def test_a_service_that_cannot_be_reached_warns_and_goes_on(person: Platform) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.warns(hokusai.HokusaiWarning, match="was not validated"):
            hokusai.setup(api_key="hk_live_x", auth_service_url=url, validate_with_auth_service=True)
    assert HokusaiAuth().api_key == "hk_live_x"


def test_a_service_that_is_none_warns_too(person: Platform, somebody) -> None:
    url = somebody(lambda asked: tell(asked, 200, b"<html>hello</html>", content_type="text/html"))
    with pytest.warns(hokusai.HokusaiWarning):
        hokusai.setup(api_key=person.key, auth_service_url=url, validate_with_auth_service=True)


def test_a_profile_that_is_not_there_is_told(person: Platform) -> None:
    with pytest.raises(hokusai.ConfigurationError, match="nowhere"):
        HokusaiClient(profile="nowhere")


def test_a_file_that_others_can_read_draws_a_warning(person: Platform) -> None:
    write_file(person, "[default]\napi_key = mine\n")
    (person.home / ".hokusai/config").chmod(0o644)
    with pytest.warns(hokusai.HokusaiWarning):
        HokusaiAuth()


def test_nothing_that_is_printed_shows_a_key(person: Platform) -> None:
    client, admin = HokusaiClient(), hokusai.AuthAdmin()
    created = admin.create_key("Not shown")
    for shown in (client, client.auth, admin, created, created.key_info):
        assert person.key not in repr(shown) and person.token not in repr(shown)
        assert created.api_key not in repr(shown)


def test_an_error_keeps_what_it_says_on_its_way_to_another_process() -> None:
    error = hokusai.RateLimitError("Rate limit exceeded", 7, status=429, request_id="abc")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.retry_after, copy.status, copy.request_id, str(copy)) == (7, 429, "abc", str(error))
    assert isinstance(copy, hokusai.HokusaiAuthError)
