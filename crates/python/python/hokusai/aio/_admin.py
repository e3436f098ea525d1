"""The authentication service: keys, usage, models, admin tokens, alerts and the audit log."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from hokusai import _native
from hokusai._asking import UNSET, Unset, ask_async, given, text, time_text
from hokusai._records import Listing, listing
from hokusai.auth import TIMEOUT, Connection, validated, validation
from hokusai.keys import CreatedKey, Key, KeyValidations, RevokedKey, ValidatedKey
from hokusai.models import Model, ModelVersion
from hokusai.operation import AdminToken, Alert, AuditEntry, CreatedToken, RefusedCalls, RevokedToken, Version
from hokusai.usage import Billing, UsageDay, UsageRecord, UsageRecorded, UsageStats

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime


class AuthAdmin:
    """The authentication service, asked with an admin token.

    What is not given is taken from HOKUSAI_ADMIN_TOKEN and HOKUSAI_AUTH_SERVICE_URL, from the profile in
    `~/.hokusai/config`, and from the defaults. `timeout` is in seconds and for one attempt. What reads, changes
    or revokes is tried up to three times; what creates or rotates, only if it was never sent.
    """

    def __init__(
        self,
        admin_token: str | None = None,
        auth_service_url: str | None = None,
        *,
        profile: str | None = None,
        timeout: float = TIMEOUT,
        allow_plain_http: bool = False,
    ) -> None:
        told = {"admin_token": admin_token, "auth_service_url": auth_service_url}
        connection = Connection(told, profile)
        self._url = connection.url("auth_service_url")
        token = connection.credential("admin_token")
        self._service = _native.Remote(self._url, token, timeout, allow_plain_http)

    # --- the service itself -----------------------------------------------------------------------------

    async def ready(self) -> bool:
        """Says whether the service reaches its database."""
        return bool(await ask_async(self._service, "service.ready", {}))

    async def version(self) -> Version:
        """Which program the service is."""
        return Version._read(await ask_async(self._service, "service.version", {}))

    # --- keys -------------------------------------------------------------------------------------------

    async def create_key(
        self,
        name: str,
        *,
        service_id: str | None = None,
        scopes: Sequence[str] | None = None,
        environment: Literal["production", "test", "development"] | None = None,
        rate_limit_per_hour: int | None = None,
        expires_in_days: int | None = None,
        expires_at: datetime | str | None = None,
        allowed_ips: Sequence[str] | None = None,
        monthly_prediction_limit: int | None = None,
        billing_plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> CreatedKey:
        """Makes a key; `api_key` of the answer is the key itself, shown this once.

        What is left out takes the service's default.
        """
        fields = given(
            name=text("name", name),
            service_id=service_id,
            scopes=_list("scopes", scopes),
            environment=environment,
            rate_limit_per_hour=rate_limit_per_hour,
            expires_in_days=expires_in_days,
            expires_at=time_text("expires_at", expires_at),
            allowed_ips=_list("allowed_ips", allowed_ips),
            monthly_prediction_limit=monthly_prediction_limit,
            billing_plan=billing_plan,
            metadata=None if metadata is None else dict(metadata),
            user_id=user_id,
        )
        return CreatedKey._read(await ask_async(self._service, "service.create_key", fields))

    async def list_keys(
        self,
        *,
        service_id: str | None = None,
        environment: Literal["production", "test", "development"] | None = None,
        active_only: bool = False,
        user_id: str | None = None,
        limit: int | None = None,
    ) -> Listing[Key]:
        """Keys, newest first: all that the token may see, or the first `limit`."""
        fields = {
            "service_id": service_id,
            "environment": environment,
            "active_only": active_only,
            "user_id": user_id,
            "limit": limit,
        }
        return listing(Key, await ask_async(self._service, "service.keys", fields))

    async def get_key(self, key_id: str) -> Key:
        """One key."""
        return Key._read(await ask_async(self._service, "service.key", {"key_id": text("key_id", key_id)}))

    async def update_key(
        self,
        key_id: str,
        *,
        name: str | None = None,
        scopes: Sequence[str] | None = None,
        rate_limit_per_hour: int | None = None,
        expires_in_days: int | None = None,
        expires_at: datetime | str | Unset | None = UNSET,
        allowed_ips: Sequence[str] | None = None,
        monthly_prediction_limit: int | Unset | None = UNSET,
        billing_plan: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Key:
        """Changes a key, at once. What is left out stays.

        `expires_at=None` lets the key live for ever, and `monthly_prediction_limit=None` takes its limit away.
        """
        change = given(
            name=name,
            scopes=_list("scopes", scopes),
            rate_limit_per_hour=rate_limit_per_hour,
            expires_in_days=expires_in_days,
            allowed_ips=_list("allowed_ips", allowed_ips),
            billing_plan=billing_plan,
            metadata=None if metadata is None else dict(metadata),
        )
        if not isinstance(expires_at, Unset):
            change["expires_at"] = time_text("expires_at", expires_at)
        if not isinstance(monthly_prediction_limit, Unset):
            change["monthly_prediction_limit"] = monthly_prediction_limit
        fields = {"key_id": text("key_id", key_id), "change": change}
        return Key._read(await ask_async(self._service, "service.update_key", fields))

    async def revoke_key(self, key_id: str) -> RevokedKey:
        """Revokes a key, at once and for good. Revoking it again does nothing."""
        fields = {"key_id": text("key_id", key_id)}
        return RevokedKey._read(await ask_async(self._service, "service.revoke_key", fields))

    async def rotate_key(self, key_id: str, *, grace_period_hours: int | None = None) -> CreatedKey:
        """Makes a successor with the same settings; the old key works for another 24 hours, or 0 to 168."""
        fields = {"key_id": text("key_id", key_id), "grace_period_hours": grace_period_hours}
        return CreatedKey._read(await ask_async(self._service, "service.rotate_key", fields))

    async def validate_key(
        self,
        api_key: str,
        *,
        service_id: str | None = None,
        required_scope: str | None = None,
        client_ip: str | None = None,
        dry_run: bool = False,
    ) -> ValidatedKey:
        """Asks whether a key is good. It costs one request of the key's hour, unless it is a `dry_run`.

        A refused key is an AuthenticationError; one whose hour is used up, a RateLimitError.
        """
        what, fields = validation(api_key, service_id, required_scope, client_ip)
        if dry_run:
            fields["question"]["dry_run"] = True
        return validated(await ask_async(self._service, what, fields))

    async def key_validations(self, key_id: str, *, hours: int | None = None) -> KeyValidations:
        """What became of a key's validations in the last hours, 24 unless said otherwise."""
        fields = {"key_id": text("key_id", key_id), "hours": hours}
        return KeyValidations._read(await ask_async(self._service, "service.validations", fields))

    # --- usage ------------------------------------------------------------------------------------------

    async def record_usage(self, record: UsageRecord) -> UsageRecorded:
        """Reports one request of a key. Once this returns, the report is durable."""
        fields = {"key_id": text("key_id", record.key_id), "record": _report(record)}
        return UsageRecorded._read(await ask_async(self._service, "records.record_usage", fields))

    async def record_usages(self, records: Iterable[UsageRecord]) -> UsageRecorded:
        """Reports up to 10,000 requests at once: all are taken, or none."""
        fields = {"records": [_report(record) for record in records]}
        return UsageRecorded._read(await ask_async(self._service, "records.record_usages", fields))

    async def debit(
        self,
        key_id: str,
        model_id: str,
        predictions_count: int,
        *,
        idempotency_key: str,
        compute_ms: float = 0,
        service_id: str | None = None,
        endpoint: str | None = None,
        status_code: int | None = None,
        response_time_ms: float | None = None,
        occurred_at: datetime | str | None = None,
    ) -> UsageRecorded:
        """Takes predictions off a key's month; a MonthlyLimitError if its plan does not allow so many."""
        debit = given(
            model_id=text("model_id", model_id),
            predictions_count=predictions_count,
            idempotency_key=text("idempotency_key", idempotency_key),
            compute_ms=compute_ms,
            service_id=service_id,
            endpoint=endpoint,
            status_code=status_code,
            response_time_ms=response_time_ms,
            occurred_at=time_text("occurred_at", occurred_at),
        )
        fields = {"key_id": text("key_id", key_id), "debit": debit}
        return UsageRecorded._read(await ask_async(self._service, "records.debit", fields))

    async def usage_stats(
        self,
        key_id: str,
        *,
        period: str | None = None,
        by: Literal["day", "endpoint", "service"] | None = None,
    ) -> UsageStats:
        """What a key used in a month, such as `2025-01`; this month unless said otherwise."""
        fields = {"key_id": text("key_id", key_id), "period": period, "by": by}
        return UsageStats._read(await ask_async(self._service, "records.usage_stats", fields))

    async def billing(self, key_id: str, *, period: str | None = None) -> Billing:
        """The bill of a key's account for a month, such as `2025-01`; this month unless said otherwise."""
        fields = {"key_id": text("key_id", key_id), "period": period}
        told = await ask_async(self._service, "records.billing", fields)
        overage = Decimal(told["overage_micro_dollars"]) / 1_000_000
        return Billing._read({**told["billing"], "overage_charges": overage})

    async def usage_by_date(
        self,
        *,
        start_date: str | None = None,
        end_date: str | None = None,
        service_id: str | None = None,
        user_id: str | None = None,
    ) -> Listing[UsageDay]:
        """What was used from day to day, by service; in the last thirty days unless said otherwise."""
        fields = {"first": start_date, "last": end_date, "user_id": user_id, "service_id": service_id}
        told = await ask_async(self._service, "records.usage_by_date", fields)
        days = told["usage_by_date"].items()
        rows = [
            {"date": date, "service_id": service, **used}
            for date, services in days
            for service, used in services.items()
        ]
        return listing(UsageDay, rows)

    # --- models -----------------------------------------------------------------------------------------

    async def list_models(
        self, model_type: str | None = None, *, tag: str | None = None, limit: int | None = None
    ) -> Listing[Model]:
        """Models by name: all of them, or the first `limit`; of one type, or with one tag, `key:value`."""
        fields = {"model_type": model_type, "tag": tag, "limit": limit}
        return listing(Model, await ask_async(self._service, "models.models", fields))

    async def get_model(self, name: str) -> Model:
        """A model with all of its versions, the latest first."""
        return Model._read(await ask_async(self._service, "models.model", {"name": text("name", name)}))

    async def create_model(
        self,
        name: str,
        model_type: str,
        *,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> Model:
        """Adds a model to the catalogue. A taken name is a ConflictError."""
        fields = given(
            name=text("name", name),
            model_type=text("model_type", model_type),
            description=description,
            tags=None if tags is None else dict(tags),
            user_id=user_id,
        )
        return Model._read(await ask_async(self._service, "models.create_model", fields))

    async def create_model_version(
        self,
        name: str,
        *,
        source: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> ModelVersion:
        """Adds the next version to a model; `source` says where it lies."""
        version = given(
            source=source,
            description=description,
            tags=None if tags is None else dict(tags),
            user_id=user_id,
        )
        fields = {"name": text("name", name), "version": version}
        return ModelVersion._read(await ask_async(self._service, "models.create_model_version", fields))

    # --- operation --------------------------------------------------------------------------------------

    async def list_alerts(self) -> Listing[Alert]:
        """Keys that somebody should look at, at most a thousand of each kind."""
        told = await ask_async(self._service, "service.alerts", {})
        return listing(Alert, told["alerts"])

    async def create_admin_token(
        self,
        user_id: str,
        name: str,
        role: Literal["operator", "member", "verifier"],
        *,
        expires_in_days: int | None = None,
    ) -> CreatedToken:
        """Makes an admin token; `token` of the answer is the token itself, shown this once."""
        fields = given(
            user_id=text("user_id", user_id),
            name=text("name", name),
            role=text("role", role),
            expires_in_days=expires_in_days,
        )
        return CreatedToken._read(await ask_async(self._service, "service.create_token", fields))

    async def list_admin_tokens(self, *, limit: int | None = None) -> Listing[AdminToken]:
        """Admin tokens, newest first: all of them, or the first `limit`."""
        return listing(AdminToken, await ask_async(self._service, "service.tokens", {"limit": limit}))

    async def current_admin_token(self) -> AdminToken:
        """The token that asks."""
        return AdminToken._read(await ask_async(self._service, "service.current_token", {}))

    async def revoke_admin_token(self, token_id: str) -> RevokedToken:
        """Revokes an admin token for good. Revoking it again does nothing."""
        fields = {"token_id": text("token_id", token_id)}
        return RevokedToken._read(await ask_async(self._service, "service.revoke_token", fields))

    async def list_audit(
        self,
        *,
        user_id: str | None = None,
        action: str | None = None,
        target: str | None = None,
        address: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = 100,
    ) -> Listing[AuditEntry]:
        """The audit log, the latest entry first: the first `limit` entries, or, with None, all of them."""
        fields = {
            "user_id": user_id,
            "action": action,
            "target": target,
            "address": address,
            "since": time_text("since", since),
            "until": time_text("until", until),
            "limit": limit,
        }
        return listing(AuditEntry, await ask_async(self._service, "records.audit", fields))

    async def list_refused_calls(
        self,
        *,
        address: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int | None = 100,
    ) -> Listing[RefusedCalls]:
        """How many admin calls were refused, by minute, address and code."""
        fields = {
            "address": address,
            "since": time_text("since", since),
            "until": time_text("until", until),
            "limit": limit,
        }
        return listing(RefusedCalls, await ask_async(self._service, "records.refused_calls", fields))

    def __repr__(self) -> str:
        return f"<AuthAdmin at {self._url}>"


def _list(name: str, texts: Sequence[str] | None) -> list[str] | None:
    if texts is None:
        return None
    if isinstance(texts, str):
        raise TypeError(f"{name} must be a list of texts, not one text")
    return [text(name, one) for one in texts]


def _report(record: UsageRecord) -> dict[str, object]:
    fields = asdict(record)
    return given(**{**fields, "occurred_at": time_text("occurred_at", record.occurred_at)})
