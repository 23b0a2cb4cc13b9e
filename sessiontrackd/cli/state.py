"""What is and what was: `status`, `usage`, `reports`."""

from __future__ import annotations

import click

from sessiontrackd import history
from sessiontrackd.cli._command import command, existing_store, json_option
from sessiontrackd.cli._screen import local_time, print_json, print_table


@command("reports", example="sessiontrackd reports\nsessiontrackd reports --limit 100 --json")
@click.option("--limit", default=20, show_default=True, help="At most so many.")
@json_option
def reports(limit: int, as_json: bool) -> None:
    """List the newest reports with their paths."""
    with existing_store(history.SCHEMA) as store:
        found = history.History(store).reports(limit) if store else []
    if as_json:
        print_json({"reports": [_document(report) for report in found]})
    elif not found:
        click.echo("No report was written yet.")
    else:
        rows = [(local_time(each.at), each.level, each.title, _shown(each.path)) for each in found]
        print_table(("written", "level", "title", "report"), rows)


def _document(report: history.Report) -> dict[str, object]:
    return {
        "path": _shown(report.path),
        "source": _shown(report.source),
        "session_id": report.session_id,
        "title": report.title,
        "level": report.level,
        "engine": report.engine,
        "at": report.at.isoformat(),
    }


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
