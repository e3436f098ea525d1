"""What operators look at: admin tokens, alerts and the audit log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from hokusai._records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["AdminToken", "Alert", "AuditEntry", "CreatedToken", "RefusedCalls", "RevokedToken", "Version"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdminToken(Record):
    """An admin token's settings. The token itself is shown once, by whoever makes it."""

    token_id: str
    name: str
    user_id: str
    role: str
    token_prefix: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    _times: ClassVar[tuple[str, ...]] = ("created_at", "expires_at", "revoked_at")
    _columns: ClassVar[tuple[str, ...]] = (
        "token_id",
        "name",
        "user_id",
        "role",
        "token_prefix",
        "expires_at",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class CreatedToken(Record):
    """A new admin token. `token` is the token itself, shown this once; printing the object does not show it."""

    token: str = field(repr=False)
    token_id: str
    token_info: AdminToken

    _parts: ClassVar[Mapping[str, type[Record]]] = {"token_info": AdminToken}
    _columns: ClassVar[tuple[str, ...]] = ("token_id",)


@dataclass(frozen=True, kw_only=True, slots=True)
class RevokedToken(Record):
    """An admin token that was revoked."""

    message: str
    token_id: str

    _columns: ClassVar[tuple[str, ...]] = ("token_id", "message")


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert(Record):
    """A key that somebody should look at. `kind` says why, for programs, and `message` for people."""

    kind: str
    key_id: str
    name: str
    user_id: str
    at: datetime
    count: int
    message: str

    _times: ClassVar[tuple[str, ...]] = ("at",)
    _columns: ClassVar[tuple[str, ...]] = ("kind", "key_id", "name", "at", "count", "message")


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry(Record):
    """One thing that was done: who, what, to which key or token, from where, when."""

    number: int
    at: datetime
    user_id: str
    token_id: str | None
    action: str
    target: str
    address: str | None
    request_id: str | None
    detail: dict[str, Any]
    result: str
    seal: str

    _times: ClassVar[tuple[str, ...]] = ("at",)
    _columns: ClassVar[tuple[str, ...]] = ("number", "at", "user_id", "action", "target", "address")


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedCalls(Record):
    """How many admin calls were refused, of one kind in one minute."""

    minute: datetime
    address: str
    code: str
    count: int

    _times: ClassVar[tuple[str, ...]] = ("minute",)
    _columns: ClassVar[tuple[str, ...]] = ("minute", "address", "code", "count")


@dataclass(frozen=True, kw_only=True, slots=True)
class Version(Record):
    """Which program the service is."""

    version: str
    commit: str

    _columns: ClassVar[tuple[str, ...]] = ("version", "commit")
