"""Chinese or English: what the commands say. English is in the code; ``zh.toml`` has the Chinese of each text.

The language is that of ``PARCELVEIL_LANG``, else of ``LC_ALL``, ``LC_MESSAGES`` or ``LANG``. A text without a
translation is said in English.
"""

from __future__ import annotations

import functools
import os
import tomllib
from importlib import resources


@functools.cache
def _catalogue(language: str) -> dict[str, str]:
    if not language.startswith("zh"):
        return {}
    text = resources.files(__package__).joinpath("zh.toml").read_text("utf-8")
    entries: list[dict[str, str]] = tomllib.loads(text)["say"]
    return {entry["en"]: entry["zh"] for entry in entries}


def language() -> str:
    """``"zh"`` or ``"en"``."""
    names = ("PARCELVEIL_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
    chosen = next((os.environ[name] for name in names if os.environ.get(name)), "en")
    return "zh" if chosen.startswith("zh") else "en"


def say(text: str) -> str:
    """``text`` (a template, placeholders and all) in the person's language."""
    return _catalogue(language()).get(text, text)
