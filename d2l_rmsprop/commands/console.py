"""Where the commands print their tables and bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(stderr: bool = False) -> Console:
    """Return a console that wraps at a screen's edge and leaves a pipe's lines whole."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal:
        made.width = 250
    return made


def show(table: Table) -> None:
    """Print a table; where a screen is narrower than its words, they stay whole all the same."""
    stdout = console()
    unbounded = stdout.options.update(max_width=10**6)
    size = stdout.measure(table, options=unbounded)
    whole = all(column.no_wrap for column in table.columns)
    stdout.width = max(stdout.width, size.maximum if whole else size.minimum)
    stdout.print(table)
