"""What keys were used for, and what that costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hokusai._records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

__all__ = [
    "BilledUsage",
    "Billing",
    "EndpointCount",
    "UsageDay",
    "UsageGroup",
    "UsageRecord",
    "UsageRecorded",
    "UsageStats",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageRecord:
    """One request, as a service reports it. With an `idempotency_key` it counts once, however often it is sent."""

    key_id: str
    service_id: str
    endpoint: str
    status_code: int
    response_time_ms: float
    predictions_count: int = 0
    compute_ms: float = 0
    idempotency_key: str | None = None
    occurred_at: datetime | str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageRecorded(Record):
    """What was taken, and is durable."""

    message: str
    recorded: int
    duplicates: int

    _columns: ClassVar[tuple[str, ...]] = ("message", "recorded", "duplicates")


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointCount(Record):
    """How often an endpoint was used."""

    endpoint: str
    count: int

    _columns: ClassVar[tuple[str, ...]] = ("endpoint", "count")


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageGroup(Record):
    """What was used in one day, of one endpoint or of one service."""

    name: str
    requests: int
    errors: int
    predictions: int
    compute_ms: int
    average_response_time_ms: float

    _columns: ClassVar[tuple[str, ...]] = (
        "name", "requests", "errors", "predictions", "compute_ms", "average_response_time_ms",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageStats(Record):
    """What one key used in a month."""

    key_id: str
    period: str
    total_requests: int
    total_predictions: int
    total_compute_ms: int
    average_response_time_ms: float
    error_rate: float
    top_endpoints: list[EndpointCount]
    groups: list[UsageGroup] | None = None

    _parts: ClassVar[Mapping[str, type[Record]]] = {"top_endpoints": EndpointCount, "groups": UsageGroup}
    _columns: ClassVar[tuple[str, ...]] = (
        "key_id",
        "period",
        "total_requests",
        "total_predictions",
        "error_rate",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BilledUsage(Record):
    """What was used in a month."""

    requests: int
    predictions: int
    compute_ms: int

    _columns: ClassVar[tuple[str, ...]] = ("requests", "predictions", "compute_ms")


@dataclass(frozen=True, kw_only=True, slots=True)
class Billing(Record):
    """The bill of a key's account for a month. `overage_charges` are dollars, exact to a millionth."""

    key_id: str
    period: str
    billing_plan: str
    current_usage: BilledUsage
    monthly_limit: int | None
    overage_charges: Decimal
    next_billing_date: str

    _parts: ClassVar[Mapping[str, type[Record]]] = {"current_usage": BilledUsage}
    _columns: ClassVar[tuple[str, ...]] = ("key_id", "period", "billing_plan", "overage_charges")


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageDay(Record):
    """What was used of one service in one day (UTC)."""

    date: str
    service_id: str
    requests: int
    predictions: int
    compute_ms: int
    avg_response_time_ms: float

    _columns: ClassVar[tuple[str, ...]] = (
        "date", "service_id", "requests", "predictions", "compute_ms", "avg_response_time_ms",
    )  # fmt: skip
