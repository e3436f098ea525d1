"""Models of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from hokusai._records import Listing, Record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Model", "ModelVersion"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelVersion(Record):
    """A version of a model."""

    version: int
    description: str
    source: str | None
    tags: dict[str, str]
    created_at: datetime
    created_by: str

    _times: ClassVar[tuple[str, ...]] = ("created_at",)
    _columns: ClassVar[tuple[str, ...]] = (
        "version",
        "description",
        "source",
        "tags",
        "created_at",
        "created_by",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Model(Record):
    """A model. `versions`, the latest first, is there if the model was asked for by its name."""

    name: str
    model_type: str
    description: str
    tags: dict[str, str]
    latest_version: int | None
    created_at: datetime
    created_by: str
    updated_at: datetime
    versions: list[ModelVersion] | None = None

    _times: ClassVar[tuple[str, ...]] = ("created_at", "updated_at")
    _parts: ClassVar[Mapping[str, type[Record]]] = {"versions": ModelVersion}
    _columns: ClassVar[tuple[str, ...]] = (
        "name",
        "model_type",
        "latest_version",
        "description",
        "tags",
        "updated_at",
    )


Models = Listing[Model]
