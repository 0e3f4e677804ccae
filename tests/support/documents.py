"""The documents of the repository, as tests read them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def documents() -> list[Path]:
    """Every Markdown file for people."""
    return [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def marked_block(document: Path, name: str) -> str:
    """The code block below `<!-- test: NAME -->`: what a test runs as it stands."""
    pattern = rf"<!-- test: {re.escape(name)} -->\n```\w+\n(.*?)```"
    (block,) = re.findall(pattern, document.read_text("utf-8"), flags=re.DOTALL)
    return str(block)
