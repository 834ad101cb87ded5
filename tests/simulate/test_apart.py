"""What simulates knows nothing of what detects, so a detector cannot be tuned to it from the inside."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import parcelveil

PACKAGE = Path(parcelveil.__file__).parent


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def test_simulate_imports_nothing_of_watch_and_watch_nothing_of_the_carrier() -> None:
    files = {verb: sorted((PACKAGE / verb).rglob("*.py")) for verb in ("simulate", "watch")}
    assert min(map(len, files.values())) > 5
    forbidden = {
        "simulate": ("parcelveil.watch", "parcelveil.trace"),
        "watch": ("parcelveil.simulate.carrier", "parcelveil.simulate.attack"),  # decoys are parcels as any others
    }
    for own, others in forbidden.items():
        for path in files[own]:
            assert not [name for name in imported(path) if name.startswith(others)], path


def test_nothing_of_watch_is_loaded_by_a_run() -> None:
    script = (
        "import sys\n"
        "from parcelveil.simulate.attack.attackers import Attackers\n"
        "from parcelveil.simulate.attack.plan import load_plan\n"
        "from parcelveil.simulate.carrier import files\n"
        "from parcelveil.simulate.carrier.run import Carrier\n"
        "crew = Attackers(load_plan('demo', seed=1, days=2), seed=1)\n"
        "for day in Carrier(1, 60, 2, attackers=[crew]): crew.note(day)\n"
        "print([name for name in sys.modules if name.startswith('parcelveil.watch')])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
