"""Writes measured tables into README.md: ``python bench/seal.py | python bench/readme.py bench``.

Takes the Markdown table (for ``bench``, ``bench-reveal``, ``bench-custody``) or all lines (for ``demo``) of standard input and puts them between the
markers of that name.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def put(section: str, text: str) -> None:
    """Replace what stands between ``<!-- section -->`` and ``<!-- /section -->``."""
    old = README.read_text("utf-8")
    pattern = rf"(<!-- {section} -->\n).*?(<!-- /{section} -->)"
    README.write_text(re.sub(pattern, lambda m: m[1] + text + m[2], old, flags=re.S), "utf-8")


if __name__ == "__main__":
    section, text = sys.argv[1], sys.stdin.read()
    if section.startswith("bench"):
        tables = re.findall(r"(?:^\|.*\n?)+", text, flags=re.M)  # each stays a table of its own
        put(section, "\n".join(table.rstrip("\n") + "\n" for table in tables))
    else:
        put(section, "```\n" + text.rstrip() + "\n```\n")
