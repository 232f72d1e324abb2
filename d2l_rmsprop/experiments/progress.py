"""A bar for what takes long."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress(total: int, unit: str, completed: int = 0) -> Iterator[Callable[[int], None]]:
    """Give a function to call with the number newly done; the bar is on stderr, on a screen."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), unit, TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=total, completed=completed)
        yield lambda count: bar.advance(task, count)
