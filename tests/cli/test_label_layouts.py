"""``parcelveil label layouts``: a list, and a copy."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Desk
from parcelveil.label.layout import FOLDER


def test_layouts_are_listed_and_copied(desk: Desk) -> None:
    ran = desk.run("label", "layouts")
    assert all(name in ran.text for name in ("100x180", "100x150", "76x130"))
    assert "to_road" in desk.run("label", "layouts", "--fields").text
    assert desk.run("label", "layouts", "--copy", "76x130", "-o", "ours.toml").code == 0
    assert Path("ours.toml").read_bytes() == (FOLDER / "76x130.toml").read_bytes()
    desk.run("label", "layouts", "--copy", "76x130", "-o", "ours.toml").refused(6, "exists already")
    desk.run("label", "layouts", "--copy", "76x999", "-o", "x.toml").refused(2, "no layout")
    desk.run("label", "layouts", "--copy", "76x130").refused(2, "where shall the copy go?")


def test_only_layouts_of_the_package_are_copied(desk: Desk) -> None:
    Path("ours.toml").write_bytes((FOLDER / "76x130.toml").read_bytes())
    desk.run("label", "layouts", "--copy", "ours.toml", "-o", "x.toml").refused(
        2, "there is no layout ours.toml to copy", "76x130"
    )
    desk.run("label", "layouts", "-o", "x.toml").refused(2, "which layout shall be copied?", "--copy NAME")
    assert desk.names() == {"ours.toml"}
