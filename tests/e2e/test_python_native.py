"""The native half is handed what it does not expect: it raises, and never panics."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hokusai import _native

REMOTE = _native.Remote("http://127.0.0.1:9", "hk_live_x", 1.0, False)
VERIFIER = _native.Verifier(["http://127.0.0.1:9"], "hka_x", None, 1.0, 1, 1, True, False)
DEMAND = _native.Demand(None, None)


class Odd:
    """Variables that can't be asked for."""

    def get(self, _name: str) -> str:
        raise RuntimeError("as it was asked to")


ODD: dict[str, Callable[[], object]] = {
    "a question without a dot": lambda: REMOTE.ask("models", "{}"),
    "a question that nobody knows": lambda: REMOTE.ask("service.unknown", "{}"),
    "fields that are no JSON": lambda: REMOTE.ask("service.ready", "{"),
    "fields of other types": lambda: REMOTE.ask("service.keys", '{"active_only": 7}'),
    "deep JSON": lambda: REMOTE.ask("service.ready", "[" * 100_000),
    "a future without a loop": lambda: REMOTE.ask_async("service.ready", "{}"),
    "no URL": lambda: _native.Remote("", None, 1.0, False),
    "a URL of control characters": lambda: _native.Remote("http://\0\n", None, 1.0, False),
    "an endless time-out": lambda: _native.Remote("http://127.0.0.1", None, float("inf"), False),
    "no nodes": lambda: _native.Verifier([], "t", None, 1.0, 1, 1, True, False),
    "a negative time to live": lambda: _native.Verifier(["http://127.0.0.1"], "t", None, -1.0, 1, 1, True, False),
    "a negative count": lambda: _native.Verifier(["http://127.0.0.1"], "t", None, 1.0, -1, 1, True, False),
    "headers that are texts": lambda: VERIFIER.check([("x-api-key", "a")], None, DEMAND),
    "headers that are none": lambda: VERIFIER.check(7, None, DEMAND),
    "half a header": lambda: VERIFIER.check([(b"x-api-key",)], None, DEMAND),
    "headers to be cleaned that are none": lambda: _native.without_keys([7]),
    "a setting that nobody knows": lambda: _native.settle([("unknown", False, "x")], None, {}),
    "a profile of control characters": lambda: _native.settle([], "\n", {}),
}


@pytest.mark.parametrize("odd", ODD)
def test_what_nobody_expects_raises(odd: str) -> None:
    # A panic would be no Exception.
    with pytest.raises(Exception):  # noqa: B017, PT011
        ODD[odd]()


def test_variables_that_fail_are_as_good_as_none() -> None:
    assert "default" in _native.settle([], None, Odd())


def test_headers_of_bytes_that_are_no_text_are_a_refused_key() -> None:
    for value in (b"\xff\xfe", b"", b"\0", b"a\r\nb", "é🚀".encode(), b"x" * 100_000):
        for name in (b"x-api-key", b"authorization"):
            refused = VERIFIER.check([(name, value)], "no address", DEMAND)
            assert isinstance(refused, _native.Denied) and refused.status == 401, (name, value)
    assert VERIFIER.check([(b"\xff", b"\xff")], None, DEMAND).code == "missing_key"


def test_only_what_bears_a_key_is_taken_off() -> None:
    others = [(b"authorization", b"Basic YTpi"), (b"x-other", b"1"), (b"cookie", b"x-api-key=1")]
    keys = [(b"x-api-key", b"k"), (b"authorization", b"Bearer k"), (b"authorization", b"apikey k")]
    assert _native.without_keys([*keys, *others]) == others
