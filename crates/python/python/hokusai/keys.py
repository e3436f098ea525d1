"""API keys, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from hokusai._records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "CreatedKey",
    "Effective",
    "HourOfValidations",
    "HourlyUsage",
    "Key",
    "KeyValidations",
    "PreviousKey",
    "RevokedKey",
    "ValidatedKey",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class HourlyUsage(Record):
    """How much of an hour's limit is used."""

    requests_this_hour: int
    remaining_this_hour: int
    resets_at: datetime

    _times: ClassVar[tuple[str, ...]] = ("resets_at",)
    _columns: ClassVar[tuple[str, ...]] = ("requests_this_hour", "remaining_this_hour", "resets_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key(Record):
    """A key's settings. The key itself is shown once, by whoever makes it."""

    key_id: str
    name: str
    key_prefix: str
    user_id: str
    service_id: str
    scopes: list[str]
    environment: str
    is_active: bool
    status: str
    rate_limit_per_hour: int
    monthly_prediction_limit: int | None
    allowed_ips: list[str]
    billing_plan: str
    metadata: dict[str, str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    rotated_from: str | None
    rotated_to: str | None
    usage: HourlyUsage

    _times: ClassVar[tuple[str, ...]] = ("created_at", "expires_at", "last_used_at", "revoked_at")
    _parts: ClassVar[Mapping[str, type[Record]]] = {"usage": HourlyUsage}
    _columns: ClassVar[tuple[str, ...]] = (
        "key_id", "name", "key_prefix", "status", "service_id", "scopes", "rate_limit_per_hour", "expires_at",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviousKey(Record):
    """A key that was rotated, and until when it works."""

    key_id: str
    valid_until: datetime

    _times: ClassVar[tuple[str, ...]] = ("valid_until",)
    _columns: ClassVar[tuple[str, ...]] = ("key_id", "valid_until")


@dataclass(frozen=True, kw_only=True, slots=True)
class Effective(Record):
    """Who knows of a change: everybody, or from when on at the latest it holds everywhere."""

    everywhere: bool
    at: datetime | None = None
    pending: list[str] | None = None
    at_latest: datetime | None = None

    _times: ClassVar[tuple[str, ...]] = ("at", "at_latest")
    _columns: ClassVar[tuple[str, ...]] = ("everywhere", "at", "at_latest")


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedKey(Record):
    """A new key. `api_key` is the key itself, shown this once; printing the object does not show it."""

    api_key: str = field(repr=False)
    key_id: str
    key_info: Key
    previous_key: PreviousKey | None = None
    effective: Effective | None = None

    _parts: ClassVar[Mapping[str, type[Record]]] = {
        "key_info": Key, "previous_key": PreviousKey, "effective": Effective,
    }  # fmt: skip
    _columns: ClassVar[tuple[str, ...]] = ("key_id",)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevokedKey(Record):
    """A key that was revoked."""

    message: str
    key_id: str
    effective: Effective | None = None

    _parts: ClassVar[Mapping[str, type[Record]]] = {"effective": Effective}
    _columns: ClassVar[tuple[str, ...]] = ("key_id", "message")


@dataclass(frozen=True, kw_only=True, slots=True)
class ValidatedKey(Record):
    """A key that is good, and how its hour stands after this validation."""

    key_id: str
    user_id: str
    service_id: str
    scopes: list[str]
    environment: str
    rate_limit_per_hour: int
    billing_plan: str
    monthly_prediction_limit: int | None
    expires_at: datetime | None
    remaining: int
    resets_at: datetime

    _times: ClassVar[tuple[str, ...]] = ("expires_at",)
    _columns: ClassVar[tuple[str, ...]] = (
        "key_id",
        "user_id",
        "service_id",
        "scopes",
        "remaining",
        "resets_at",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class HourOfValidations(Record):
    """What became of a key's validations in one hour."""

    hour: datetime
    last_used_at: datetime | None
    valid: int
    limited: int
    expired: int
    revoked: int
    service_mismatch: int
    insufficient_scope: int
    ip_not_allowed: int

    _times: ClassVar[tuple[str, ...]] = ("hour", "last_used_at")
    _columns: ClassVar[tuple[str, ...]] = ("hour", "valid", "limited", "expired", "revoked")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyValidations(Record):
    """What became of a key's validations, the latest hour first."""

    key_id: str
    hours: list[HourOfValidations]

    _parts: ClassVar[Mapping[str, type[Record]]] = {"hours": HourOfValidations}
    _columns: ClassVar[tuple[str, ...]] = ("key_id",)
