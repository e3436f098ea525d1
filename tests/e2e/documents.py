"""Cutting fenced blocks out of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(document: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return [text for found, text in FENCED.findall(document.read_text()) if found == language]
