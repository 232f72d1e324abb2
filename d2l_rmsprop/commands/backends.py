"""The command ``d2l-rmsprop backends``."""

import click

from ..backend import BACKENDS, load
from ..files import headless
from .console import show


@click.command()
def backends() -> None:
    """List the frameworks: the version, or why it is not there and what installs it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for header in ("framework", "version", "remark"):
        table.add_column(header, no_wrap=header != "remark")
    for name in BACKENDS:
        version, remark = "-", ""
        try:
            headless()
            version = str(load(name).version())
        except (Exception, SystemExit) as error:  # whatever a broken one does
            remark = " ".join(str(error).split())
            if not isinstance(error, ImportError):
                remark = f"fails: {type(error).__name__}: {remark}"
        table.add_row(name, Text(version), Text(remark))
    show(table)
