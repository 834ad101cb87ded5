"""The options that running, following and tuning have in common, and what is made of them."""

from __future__ import annotations

import secrets
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from parcelveil.errors import InputError, UsageError

if TYPE_CHECKING:
    from parcelveil.cli.terminal import Where
    from parcelveil.watch.batch import Batch
    from parcelveil.watch.coded import Accounts, Coder
    from parcelveil.watch.mapping import Mapping
    from parcelveil.watch.reading import Reading
    from parcelveil.watch.weblog import PathRule
    from parcelveil.waybill import Reject
    from parcelveil.workspace import Workspace

LEAST_BUDGET, MOST_BUDGET = 0.01, 10_000.0
_MOST_TOML = 1 << 20


@Parameter(name="*")
@dataclass(frozen=True)
class From:
    """What is read besides the looks."""

    work: list[str] | None = None
    "Files or folders of work events: routes, scans, calls, tickets (may be repeated)."
    accounts: list[str] | None = None
    "The register of accounts: roles, outlets, shifts, changes (may be repeated)."
    mapping: Path | None = None
    "A TOML file that says what the columns of another system mean (docs/watch-inputs.md)."
    rules: Path | None = None
    "A TOML file with which work explains which look, instead of the one that comes with parcelveil."
    web_log: list[str] | None = None
    "Web logs of the public tracking page and of logins, in the combined format (may be repeated)."
    web_paths: Path | None = None
    "A TOML file that says which paths of the web log are what."
    known_network: list[str] | None = None
    "A network of a partner that may query as much as it likes, like 203.0.113.0/24 (may be repeated)."
    key_use: list[str] | None = None
    "Counters of the key service: hour, system, values, logged (may be repeated)."
    audit: bool = False
    "Also judge the looks that the workspace's own desk has logged; opening their salts is logged."
    rejects: Annotated[str | None, Parameter(name="--rejects")] = None
    "A file for the rows that are no event, with the reason."
    memory: str | None = None
    "What the calculation may take, like 2GB. Default: most of the machine's."

    def read_mapping(self) -> Mapping | None:
        """The mapping. Raises InputError, HeaderError."""
        from parcelveil.watch.mapping import mapping_of

        return mapping_of(_toml(self.mapping)) if self.mapping is not None else None

    def path_rules(self) -> tuple[PathRule, ...] | None:
        """The rules of paths. Raises InputError."""
        from parcelveil.watch.weblog import path_rules

        return path_rules(_toml(self.web_paths)) if self.web_paths is not None else None


class Keys(NamedTuple):
    """Who may write, and under which keys."""

    workspace: Workspace | None
    secret: bytes
    offset_minutes: int
    decoy: Callable[[Any], Any] | None


@contextmanager
def keys(where: Where | None, *, store: bool) -> Iterator[Keys]:
    """The workspace's keys; without ``store`` no workspace is opened, and pseudonyms are good for this run only."""
    if not store:
        yield Keys(None, secrets.token_bytes(32), 480, None)
        return
    from parcelveil.cli.decoy import decoy_key
    from parcelveil.cli.terminal import Where as Anywhere

    with (where or Anywhere()).open() as workspace:
        decoys = decoy_key(workspace)
        yield Keys(
            workspace,
            workspace.ring.secret("watch"),
            workspace.settings.utc_offset_minutes,
            decoys.hits if decoys.blocks else None,
        )


def reading_of(
    given: From, found: Keys, rejects: Callable[[list[Reject]], None], *, moving: bool = False
) -> tuple[Reading, Accounts | None]:
    """What reads the files, with the register of accounts read already. ``moving``: time goes on while it reads."""
    from parcelveil.adapt.event_files import EventFiles
    from parcelveil.watch.coded import Coder
    from parcelveil.watch.reading import Reading

    coder = Coder(found.secret, offset_minutes=found.offset_minutes, decoy=found.decoy)
    reading = Reading(
        EventFiles(),
        coder,
        mapping=given.read_mapping(),
        now=None if moving else time.time_ns() // 1000,
        rejects=rejects,
    )
    return reading, reading.accounts(given.accounts) if given.accounts else None


def regions_of(register: Accounts | None) -> Callable[[], Any] | None:
    """What gives the region of each outlet by its code; None where no register tells any: then nothing is near or far."""
    from parcelveil.watch.coded import outlet_regions

    regions = None if register is None else outlet_regions(register)
    return None if regions is None or not (regions >= 0).any() else lambda: regions


def batch_of(given: From, coder: Coder, offset_minutes: int, register: Accounts | None) -> Batch:
    """The database that explains. Raises InputError for rules that are none."""
    from parcelveil.adapt.sql_duckdb import DuckdbSql
    from parcelveil.watch.batch import Batch
    from parcelveil.watch.explaining import read_rules, rule_table

    rules = read_rules(given.rules)
    return Batch(
        lambda: DuckdbSql(memory=given.memory),
        lambda: rule_table(rules, coder.names["role"].code),
        offset_minutes,
        regions=regions_of(register),
    )


def checked_budget(budget: float) -> float:
    """Raises UsageError for a budget that makes no sense."""
    if not LEAST_BUDGET <= budget <= MOST_BUDGET:
        raise UsageError(
            "{option} has to be from {least} to {most}",
            hint="10 is a good beginning: ten a day for 100,000 accounts",
            option="--false-cases-per-day",
            least=LEAST_BUDGET,
            most=f"{MOST_BUDGET:,.0f}",
        )
    return budget


def _toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_TOML + 1)
        if len(data) > _MOST_TOML:
            raise InputError("{file} is too long", hint="check the path", file=str(path))
        return tomllib.loads(data.decode("utf-8"))
    except OSError:
        raise InputError("{file} cannot be read", hint="check the path", file=str(path)) from None
    except UnicodeDecodeError:
        raise InputError("{file} is no UTF-8 text", hint="save it as UTF-8", file=str(path)) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError("{file} is no TOML: {why}", hint="correct that line", file=str(path), why=str(error)) from None
