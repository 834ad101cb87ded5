"""The structure of the package: which folder may import which, how long files are, where SQL and optional packages stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "parcelveil"
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the nouns up; a module imports only from its own entry or from earlier ones.
ORDER = [
    ["errors", "waybill", "event", "ports"],
    ["intake"],
    ["seal"],
    ["audit"],
    ["reveal"],
    ["label", "simulate"],
    ["scan"],
    ["watch"],
    ["trace", "screen"],
    ["assess"],
    ["case"],
    ["adapt"],
    ["workspace"],
    ["serve"],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
#: Optional (or heavy) packages and the only modules that may import them.
OWNERS = {
    "python_calamine": {"adapt/read_xlsx.py"},
    "xlsxwriter": {"adapt/write_xlsx.py", "simulate/leak_files.py"},
    "phonenumbers": {"intake/phone.py", "intake/cells.py", "scan/contact_checks.py"},
    "numba": {"seal/passes.py"},
    "sqlite3": {
        "adapt/store_sqlite.py",
        "adapt/store_desk.py",
        "adapt/store_numbers.py",
        "adapt/store_watch.py",
        "adapt/sql_sqlite.py",
        "adapt/virtual_simulator.py",
        "adapt/tables_sqlite.py",
    },
    "adbc_driver_postgresql": {"adapt/tables_postgres.py"},
    "pymysql": {"adapt/tables_mysql.py"},
    "duckdb": {"adapt/sql_duckdb.py"},
    "cedarpy": {"reveal/policy.py"},
    "rich": {"cli/terminal.py"},
    "typst": {"label/typeset.py"},
    "zxingcpp": {"label/codes.py", "simulate/leak_label.py"},
    "pypdfium2": {"label/raster.py", "label/pages.py", "scan/read/pdf.py"},
    "PIL": {"label/raster.py", "label/pages.py", "simulate/leak_label.py"},
    "fontTools": {"label/font.py", "label/typeface/subset.py"},
    "rapidocr": {"label/ocr.py"},
}
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "models", "services", "misc"}
LONGEST = 400
#: A little over, each one subject that would not read better in two places.
SLIGHTLY_LONGER = {
    "intake/rows.py": 460,
    "intake/headers.py": 430,
    "intake/address.py": 420,
    "adapt/sink.py": 410,
    "ports.py": 500,  # all that is needed of the outside world, in one place
}


def place(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def verb(file: Path) -> str:
    return place(file).split("/")[0].removesuffix(".py")


def imports(file: Path) -> list[str]:
    """Every module that a file imports, wherever in the file."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place(file)} imports relatively"
            found.append(str(node.module))
    return found


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_run_one_way(file: Path) -> None:
    own = RANK.get(verb(file), len(ORDER))
    for module in imports(file):
        parts = module.split(".")
        if parts[0] == "parcelveil" and len(parts) > 1 and own < len(ORDER):
            other = parts[1]
            assert RANK[other] < own or other == verb(file) or (own == 0 and RANK[other] == 0), (
                f"{place(file)} -> {module}"
            )
            if verb(file) == "adapt":
                assert RANK[other] == 0 or other == "adapt", "adapt imports ports and nouns only"


@pytest.mark.parametrize("file", FILES, ids=place)
def test_optional_packages_stay_with_their_owner(file: Path) -> None:
    for module in imports(file):
        owners = OWNERS.get(module.split(".")[0])
        assert owners is None or place(file) in owners, f"{place(file)} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=place)
def test_files_are_short_and_say_what_they_are(file: Path) -> None:
    text = file.read_text("utf-8")
    assert text.count("\n") <= SLIGHTLY_LONGER.get(place(file), LONGEST)
    assert ast.get_docstring(ast.parse(text)), "a module begins with a docstring"
    assert not FORBIDDEN_NAMES & set(place(file).removesuffix(".py").split("/"))


def test_sql_stands_only_in_adapters_and_sql_files() -> None:
    statement = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+(OR\s+\w+\s+)?INTO|CREATE TABLE|DELETE FROM)\b")
    for file in FILES:
        if verb(file) != "adapt":
            assert not statement.search(file.read_text("utf-8")), place(file)


def test_no_tracked_file_names_a_registry_host_or_this_machine() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    bad = re.compile(rb"https?://[^\s)\"']*/simple\b|files\.python" + rb"hosted|registry = \"http|pypi\." + rb"org")
    for name in tracked:
        path = ROOT / name
        if path.is_file() and name != ".ci/run":
            assert not bad.search(path.read_bytes()), name


def test_help_starts_without_the_heavy_packages() -> None:
    script = (
        "import sys; from parcelveil.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'pyarrow', 'numba', 'phonenumbers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "seal" in done.stdout
