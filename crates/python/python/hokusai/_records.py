"""What the service tells, as small objects with types; and lists of them that print as tables."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T", bound="Record")
Item = TypeVar("Item", bound="Record")


def time_of(text: str) -> datetime:
    """Reads a time as the service writes it; it has a zone, UTC."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Record:
    """Something that the service told. What a newer service tells besides is left out."""

    __slots__ = ()
    # Fields that are times, and fields that are records themselves, or lists of them.
    _times: ClassVar[tuple[str, ...]] = ()
    _parts: ClassVar[Mapping[str, type[Record]]] = {}
    # What a table shows.
    _columns: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _read(cls: type[T], told: Mapping[str, Any]) -> T:
        # It is slow to import, and not needed before there is an answer.
        from dataclasses import fields

        values: dict[str, Any] = {}
        for field in fields(cls):  # type: ignore[arg-type]
            if field.name not in told:
                continue
            value = told[field.name]
            if value is None:
                pass
            elif field.name in cls._times:
                value = time_of(value)
            elif field.name in cls._parts:
                part = cls._parts[field.name]
                several = isinstance(value, list)
                value = (
                    [part._read(one) for one in cast("list[Any]", value)] if several else part._read(value)
                )
            values[field.name] = value
        return cls(**values)

    def _cells(self) -> list[str]:
        return [_cell(getattr(self, column)) for column in self._columns]

    def _repr_html_(self) -> str:
        rows = ((column, _cell(getattr(self, column))) for column in self._columns)
        lines = "".join(f"<tr><th>{_escape(name)}</th><td>{_escape(value)}</td></tr>" for name, value in rows)
        return f"<table>{lines}</table>"


class Listing(list[Item]):
    """A list that shows itself as a table: in a notebook, and by `print`."""

    __slots__ = ("_columns",)

    def __init__(self, items: Iterable[Item] = (), columns: tuple[str, ...] = ()) -> None:
        super().__init__(items)
        self._columns = columns

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{_escape(column)}</th>" for column in self._columns)
        rows = ("".join(f"<td>{_escape(cell)}</td>" for cell in item._cells()) for item in self)
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def __str__(self) -> str:
        table = [list(self._columns), *(item._cells() for item in self)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table
        )
        return "\n".join(line.rstrip() for line in lines)


def listing(kind: type[Item], told: Iterable[Mapping[str, Any]]) -> Listing[Item]:
    """What the service told, as a list of these."""
    return Listing((kind._read(one) for one in told), kind._columns)


def _escape(text: str) -> str:
    from html import escape

    return escape(text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, dict):
        return ", ".join(f"{name}={part}" for name, part in cast("dict[str, Any]", value).items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, cast("list[Any]", value)))
    return str(value)
