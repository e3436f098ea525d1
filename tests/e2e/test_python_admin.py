"""Key management: every endpoint, waiting and with asyncio."""

from __future__ import annotations

import asyncio
import inspect
import re
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import hokusai
import hokusai.aio
import pytest
from conftest import ROOT
from hokusai import UNSET, AuthAdmin
from hokusai.usage import UsageRecord
from wheel import Platform

# Every operation of the service, and the method that asks for it.
ASKED_BY = {
    "POST /api/v1/keys": "create_key",
    "GET /api/v1/keys": "list_keys",
    "GET /api/v1/keys/{key_id}": "get_key",
    "PATCH /api/v1/keys/{key_id}": "update_key",
    "DELETE /api/v1/keys/{key_id}": "revoke_key",
    "POST /api/v1/keys/{key_id}/rotate": "rotate_key",
    "GET /api/v1/keys/{key_id}/validations": "key_validations",
    "POST /api/v1/keys/validate": "validate_key",
    "POST /api/v1/usage/{key_id}": "record_usage",
    "POST /api/v1/usage/batch": "record_usages",
    "POST /api/v1/usage/{key_id}/debit": "debit",
    "GET /api/v1/usage/{key_id}/stats": "usage_stats",
    "GET /api/v1/usage/{key_id}/billing": "billing",
    "GET /api/v1/usage/aggregate": "usage_by_date",
    "GET /api/v1/alerts": "list_alerts",
    "POST /api/v1/admin-tokens": "create_admin_token",
    "GET /api/v1/admin-tokens": "list_admin_tokens",
    "GET /api/v1/admin-tokens/current": "current_admin_token",
    "DELETE /api/v1/admin-tokens/{token_id}": "revoke_admin_token",
    "GET /api/v1/audit": "list_audit",
    "GET /api/v1/audit/refused": "list_refused_calls",
    "GET /api/v1/models": "list_models",
    "POST /api/v1/models": "create_model",
    "GET /api/v1/models/{name}": "get_model",
    "POST /api/v1/models/{name}/versions": "create_model_version",
    "GET /ready": "ready",
    "GET /version": "version",
}
# What a verifier does by itself, and what is for machines and browsers.
NOT_ASKED = {"POST /api/v1/allotments", "GET /api/v1/changes", "GET /metrics", "GET /health", "GET /live"}


def test_every_endpoint_of_the_service_has_its_method() -> None:
    import json

    document = json.loads((ROOT / "crates/server/openapi.json").read_text())
    api = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if re.match("get|post|patch|delete", method) and (path.startswith("/api/") or path in ("/ready", "/version"))
    }
    assert api - NOT_ASKED == set(ASKED_BY)
    for kind in (AuthAdmin, hokusai.aio.AuthAdmin):
        assert all(inspect.isfunction(getattr(kind, method)) for method in ASKED_BY.values())


def test_a_key_is_made_changed_rotated_and_revoked(person: Platform) -> None:
    admin = AuthAdmin()
    expires = datetime.now(timezone.utc) + timedelta(days=30)
    made = admin.create_key(
        "Mine", service_id="platform", scopes=["model:read"], environment="test", rate_limit_per_hour=100,
        expires_at=expires, allowed_ips=["127.0.0.1"], metadata={"team": "growth"}, monthly_prediction_limit=5,
    )  # fmt: skip
    key = made.key_info
    assert made.api_key.startswith("hk_test_") and key.key_id == made.key_id
    assert (key.scopes, key.allowed_ips, key.metadata) == (["model:read"], ["127.0.0.1"], {"team": "growth"})
    assert key.expires_at is not None and abs(key.expires_at - expires) < timedelta(seconds=1)
    assert admin.get_key(key.key_id) == key
    assert admin.list_keys(environment="test", limit=1)[0].key_id == key.key_id

    changed = admin.update_key(key.key_id, name="Yours", expires_at=None, monthly_prediction_limit=UNSET)
    assert (changed.name, changed.expires_at, changed.monthly_prediction_limit) == ("Yours", None, 5)
    assert admin.update_key(key.key_id, monthly_prediction_limit=None).monthly_prediction_limit is None

    rotated = admin.rotate_key(key.key_id, grace_period_hours=1)
    assert rotated.previous_key is not None and rotated.previous_key.key_id == key.key_id
    revoked = admin.revoke_key(rotated.key_id)
    assert revoked.key_id == rotated.key_id
    with pytest.raises(hokusai.AuthenticationError) as caught:
        admin.validate_key(rotated.api_key)
    assert caught.value.code == "revoked"
    assert rotated.key_id not in [key.key_id for key in admin.list_keys(active_only=True)]


def test_a_key_is_validated_for_something(person: Platform) -> None:
    admin = AuthAdmin()
    made = admin.create_key("For validation", service_id="prediction", scopes=["predict"])
    valid = admin.validate_key(made.api_key, service_id="prediction", required_scope="predict", dry_run=True)
    assert (valid.key_id, valid.remaining, valid.scopes) == (made.key_id, 1000, ["predict"])
    assert admin.validate_key(made.api_key).remaining == 999
    for wrong, code in [
        ({"service_id": "platform"}, "service_mismatch"),
        ({"required_scope": "other"}, "insufficient_scope"),
    ]:
        with pytest.raises(hokusai.AuthenticationError) as caught:
            admin.validate_key(made.api_key, **wrong)
        assert (caught.value.code, caught.value.status) == (code, 401)
    assert admin.key_validations(made.key_id, hours=1).key_id == made.key_id


def test_usage_is_reported_and_billed(person: Platform) -> None:
    admin = AuthAdmin()
    made = admin.create_key("Used", monthly_prediction_limit=10)
    report = UsageRecord(
        key_id=made.key_id, service_id="platform", endpoint="/p", status_code=200, response_time_ms=1.5,
        predictions_count=4, idempotency_key="one",
    )  # fmt: skip
    assert admin.record_usage(report).recorded == 1
    assert admin.record_usages([report]).duplicates == 1
    taken = admin.debit(made.key_id, "model", 8, idempotency_key="two")
    assert taken.recorded == 1
    stats = admin.usage_stats(made.key_id, by="endpoint")
    assert stats.total_predictions == 12 and stats.groups
    bill = admin.billing(made.key_id)
    assert bill.overage_charges == Decimal("0.002")
    assert any(day.predictions >= 12 for day in admin.usage_by_date())


def test_tokens_alerts_and_the_audit_log(person: Platform) -> None:
    admin = AuthAdmin()
    made = admin.create_admin_token("somebody", "a token", "member", expires_in_days=1)
    assert made.token.startswith("hka_") and made.token not in repr(made)
    member = AuthAdmin(admin_token=made.token)
    assert member.current_admin_token().token_id == made.token_id
    with pytest.raises(hokusai.AuthorizationError):
        member.list_admin_tokens()
    assert made.token_id in [token.token_id for token in admin.list_admin_tokens()]
    admin.revoke_admin_token(made.token_id)
    with pytest.raises(hokusai.AuthenticationError):
        member.current_admin_token()
    entries = admin.list_audit(target=made.token_id)
    assert [entry.action for entry in entries][-1].startswith("token.") and len(entries) == 2
    assert isinstance(admin.list_refused_calls(), list) and isinstance(admin.list_alerts(), list)
    assert admin.ready() and admin.version().version == hokusai.__version__


def test_wrong_fields_are_named(person: Platform) -> None:
    admin = AuthAdmin()
    with pytest.raises(hokusai.InvalidRequestError) as caught:
        admin.create_key("x", rate_limit_per_hour=1)
    assert [name for name, _ in caught.value.errors] == ["rate_limit_per_hour"]
    with pytest.raises(hokusai.InvalidRequestError, match="key_id"):
        admin.get_key("no id")
    with pytest.raises(hokusai.InvalidRequestError, match="time zone"):
        admin.create_key("x", expires_at=datetime(2100, 1, 1))
    with pytest.raises(TypeError, match="scopes must be a list"):
        admin.create_key("x", scopes="model:read")
    with pytest.raises(hokusai.NotFoundError):
        admin.get_key("550e8400-e29b-41d4-a716-446655440000")


def test_the_same_is_asked_with_asyncio(person: Platform) -> None:
    async def manage() -> None:
        admin = hokusai.aio.AuthAdmin()
        made = await admin.create_key("Of asyncio")
        assert (await admin.get_key(made.key_id)).name == "Of asyncio"
        assert (await hokusai.aio.HokusaiClient(api_key=made.api_key).validate()).key_id == made.key_id
        await admin.revoke_key(made.key_id)
        with pytest.raises(hokusai.AuthenticationError):
            await admin.validate_key(made.api_key)

    asyncio.run(manage())


def test_both_clients_have_the_same_methods() -> None:
    for waiting, awaited in [
        (AuthAdmin, hokusai.aio.AuthAdmin),
        (hokusai.ModelRegistry, hokusai.aio.ModelRegistry),
    ]:
        methods = {name for name in dir(waiting) if not name.startswith("_")}
        assert methods == {name for name in dir(awaited) if not name.startswith("_")}
        for name in methods - {"auth"}:
            ours, theirs = getattr(waiting, name), getattr(awaited, name)
            assert inspect.signature(ours) == inspect.signature(theirs)
            assert inspect.iscoroutinefunction(theirs) and not inspect.iscoroutinefunction(ours)
