"""``parcelveil watch``: who looks at what no work explains."""

from __future__ import annotations

from cyclopts import App

from parcelveil.cli import watch_cases, watch_follow, watch_run, watch_tune
from parcelveil.cli.asking import refuse_words

app = App(
    name="watch",
    help="Find accounts whose looks no work explains.\n\n"
    "Example: parcelveil watch run access/ --work work/ --accounts accounts.parquet -o cases.jsonl\n\n"
    "Every look is held against the carrier's own work: routes, scans, calls, tickets. What stays without a reason is compared "
    "with the account's own days and its peers', and told as one case an account, in words, with the looks behind it, under a "
    "budget of false ones. Cases hold pseudonyms only. Photographs of labels leave no look: no watch sees them.",
    error_formatter=refuse_words,
)
app.command(watch_run.run)
app.command(watch_follow.follow)
app.command(watch_tune.tune)
app.command(watch_cases.cases)
app.command(watch_cases.explain)
app.command(watch_cases.decide)
