"""Hours and days that really pass for the service, by a clock that is set ahead."""

from __future__ import annotations

import time

import requests
from conftest import Service, Start, clock_at

DAY = "2031-05-06"
KEYS = "/api/v1/keys"
VALIDATE = "/api/v1/keys/validate"
LIMIT = 10


def serve_at(start: Start, library: str, moment: str) -> Service:
    return start("serve", **clock_at(library, moment))


def test_the_full_hour_brings_back_the_whole_limit(start: Start, faketime_library: str) -> None:
    service = serve_at(start, faketime_library, f"{DAY} 10:59:50")
    key = create(service, rate_limit_per_hour=LIMIT)["api_key"]
    assert count_admitted(service, key) == LIMIT
    refused = validate(service, key)
    assert refused.status_code == 429
    assert refused.json() == {"detail": "Rate limit exceeded"}
    left = int(refused.headers["Retry-After"])
    assert 1 <= left <= 10

    time.sleep(left + 0.2)
    first = validate(service, key)
    assert first.status_code == 200
    assert int(first.headers["X-RateLimit-Reset"]) - int(refused.headers["X-RateLimit-Reset"]) == 3600
    assert count_admitted(service, key) == LIMIT - 1


def test_a_rotated_key_works_for_24_hours_and_no_longer(start: Start, faketime_library: str) -> None:
    service = serve_at(start, faketime_library, f"{DAY} 10:30:00")
    old = create(service)
    rotated = service.request("POST", f"{KEYS}/{old['key_id']}/rotate").json()
    assert rotated["previous_key"]["valid_until"].startswith("2031-05-07T10:30:")
    assert service.stop() == 0

    service = serve_at(start, faketime_library, "2031-05-07 10:29:00")
    assert validate(service, old["api_key"]).status_code == 200
    assert service.stop() == 0

    service = serve_at(start, faketime_library, "2031-05-07 10:31:00")
    refused = validate(service, old["api_key"])
    assert (refused.status_code, refused.json()["code"]) == (401, "revoked")
    assert validate(service, rotated["api_key"]).status_code == 200
    info = service.request("GET", f"{KEYS}/{old['key_id']}").json()
    assert (info["status"], info["is_active"], info["revoked_at"]) == (
        "revoked",
        False,
        rotated["previous_key"]["valid_until"],
    )


def test_grace_ends_while_the_service_runs(start: Start, faketime_library: str) -> None:
    service = serve_at(start, faketime_library, f"{DAY} 10:30:00")
    old = create(service)
    service.request("POST", f"{KEYS}/{old['key_id']}/rotate", json={"grace_period_hours": 1})
    assert service.stop() == 0

    service = serve_at(start, faketime_library, f"{DAY} 11:29:56")
    assert validate(service, old["api_key"]).status_code == 200
    ends = time.monotonic() + 15
    while validate(service, old["api_key"]).status_code == 200:
        assert time.monotonic() < ends, "the grace does not end"
        time.sleep(0.1)
    assert validate(service, old["api_key"]).json()["code"] == "revoked"


def test_a_key_expires_on_its_day(start: Start, faketime_library: str) -> None:
    service = serve_at(start, faketime_library, f"{DAY} 10:30:00")
    key = create(service, expires_in_days=1)
    assert key["key_info"]["expires_at"].startswith("2031-05-07T10:30:")
    assert service.stop() == 0
    service = serve_at(start, faketime_library, "2031-05-07 10:31:00")
    refused = validate(service, key["api_key"])
    assert (refused.status_code, refused.json()["code"]) == (401, "expired")


def test_a_clock_set_back_does_not_bring_an_hour_back(start: Start, faketime_library: str) -> None:
    service = serve_at(start, faketime_library, f"{DAY} 11:30:00")
    key = create(service, rate_limit_per_hour=LIMIT)["api_key"]
    assert count_admitted(service, key) == LIMIT
    assert service.stop() == 0
    service = serve_at(start, faketime_library, f"{DAY} 10:30:00")
    assert validate(service, key).status_code == 429


def create(service: Service, **wish: object) -> dict:
    response = service.request("POST", KEYS, json={"name": "a key"} | wish)
    assert response.status_code == 201, response.text
    return response.json()


def validate(service: Service, key: str) -> requests.Response:
    return service.request("POST", VALIDATE, bearer=key)


def count_admitted(service: Service, key: str) -> int:
    """How many requests pass until one is refused."""
    for count in range(2 * LIMIT):
        if validate(service, key).status_code == 429:
            return count
    raise AssertionError("the limit does not hold")
