"""``parcelveil init``."""

from __future__ import annotations

from pathlib import Path

from parcelveil.cli.terminal import Where


def init(
    folder: Path,
    /,
    *,
    tenant: str | None = None,
    country: str = "CN",
    utc_offset: str = "+08:00",
    no_keys: bool = False,
    passphrase_file: str | None = None,
) -> None:
    """Make a workspace: settings, keys, state.

    Example: parcelveil init acme

    Parameters
    ----------
    folder
        Where; made if it does not exist.
    tenant
        Whose waybills; bound into every sealed value. Default: the folder's name.
    country
        Where phones without a country code belong (two letters).
    utc_offset
        Where a day of waybills begins and ends.
    no_keys
        Make the keys later, with 'parcelveil keys init'.
    passphrase_file
        File with the passphrase in its first line.
    """
    from parcelveil.workspace import Settings, Workspace

    name = tenant or folder.resolve().name.lower()
    passphrase = None if no_keys else Where(passphrase_file=passphrase_file).new_passphrase()
    Workspace.init(folder, Settings(tenant=name, country=country.upper(), utc_offset=utc_offset), passphrase)
    (folder / "sealed").mkdir(exist_ok=True)
    print(f"made workspace {folder} for tenant {name}")
    if passphrase is not None:
        print(
            f"back up {folder / 'state.db'}; keep {folder / 'kek.key'} apart from it, and the passphrase apart from both"
        )
