"""Writes the clients that wait from those for asyncio: one text, so that the two can't differ.

python unasync.py          writes them
python unasync.py --check  fails if they are not up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent / "python/hokusai"
MADE = ("_admin.py", "_client.py")
WORDS = [
    (re.compile(r"\basync def\b"), "def"),
    (re.compile(r"\bawait "), ""),
    (re.compile(r"\bask_async\b"), "ask"),
]


def waiting(text: str) -> str:
    """The text of a client that waits."""
    for word, instead in WORDS:
        text = word.sub(instead, text)
    first, rest = text.split("\n", 1)
    return f"{first}\n\n# Made from aio by unasync.py: change that.\n{rest.lstrip()}"


def main() -> int:
    """Writes the clients, or says which are not up to date."""
    stale = []
    for name in MADE:
        made = waiting((PACKAGE / "aio" / name).read_text())
        target = PACKAGE / name
        if not target.exists() or target.read_text() != made:
            stale.append(name)
            if "--check" not in sys.argv:
                target.write_text(made)
    if stale and "--check" in sys.argv:
        print(f"not up to date: {', '.join(stale)}; run unasync.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
