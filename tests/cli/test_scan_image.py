"""``parcelveil scan image``, and pictures among files: labels are told, and what stands on them in clear."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.conftest import Desk
from parcelveil.scan import warm
from parcelveil.simulate.leak_files import leak_folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    warm.prepare()
    folder = tmp_path_factory.mktemp("made")
    files = leak_folder(folder, people=8)
    return folder / "photos", set().union(*(file.planted for file in files if file.name.startswith("photos")))


def test_photographed_labels_are_told(desk: Desk, photos: tuple[Path, set[str]]) -> None:
    ran = desk.run("scan", "image", str(photos[0]), "--json", "-o", "f.jsonl")
    assert ran.code == 0, ran.err
    found = json.loads(ran.text)
    assert [(label["is_label"], label["masked"]) for label in found["labels"]] == [(True, "clear"), (True, "masked")]
    verdicts = {Path(one["source"]).name: one for one in found["verdicts"] if not one["part"]}
    assert verdicts["IMG_0231.jpg"]["code"] == "clear label"
    assert verdicts["IMG_0231.jpg"]["people"] == 2
    assert verdicts["IMG_0232.jpg"]["code"] == "masked label"
    assert any(json.loads(line).get("box") for line in Path("f.jsonl").read_bytes().splitlines())
    written = ran.text + Path("f.jsonl").read_text("utf-8")
    assert not [value for value in photos[1] if value in written]


def test_the_reader_of_text_tells_nobody_and_leaves_nothing(
    desk: Desk, photos: tuple[Path, set[str]], environment: dict[str, str]
) -> None:
    """ONNX Runtime reports to its maker and keeps an id of the machine in the home folder, unless it is kept from that."""
    told = {name: value for name, value in environment.items() if "TELEMETRY" not in name and name != "CI"}
    told |= {"XDG_CACHE_HOME": str(desk.folder / "home"), "XDG_DATA_HOME": str(desk.folder / "home")}
    words = [sys.executable, "-m", "parcelveil", "scan", "image", str(photos[0] / "IMG_0231.jpg"), "--json"]
    done = subprocess.run(words, env=told, capture_output=True, check=True)
    assert json.loads(done.stdout)["values"]["phone.mobile"]["count"] == 2
    left = [path for name in ("home", "tmp") for path in (desk.folder / name).rglob("*")]
    assert not left


def test_without_the_extra_the_summary_says_what_is_missing(
    desk: Desk, photos: tuple[Path, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parcelveil.scan.picture.available", lambda: False)
    ran = desk.run("scan", str(photos[0]), "--ocr")
    assert ran.code == 0
    assert "2 in part: a picture: its codes were read, its text needs the extra ocr" in ran.text
    shown = desk.run("scan", "image", str(photos[0]))
    assert shown.text.splitlines()[0].startswith(("document", "picture"))
    assert "IMG_0232.jpg" in shown.text


def test_no_picture_is_no_error(desk: Desk) -> None:
    desk.run("scan", "image").refused(2, "which pictures?")
    desk.run("scan", "image", "missing.png").refused(3, "missing.png")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 200)
    ran = desk.run("scan", "image", "broken.png", "--json")
    assert ran.code == 0
    (problem,) = json.loads(ran.text)["problems"]
    assert problem["outcome"] == "skipped"
