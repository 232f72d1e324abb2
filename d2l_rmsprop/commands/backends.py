"""The command ``d2l-rmsprop backends``."""

import click

from ..backend import BACKENDS, load
from .console import console


@click.command()
def backends() -> None:
    """List the frameworks: the version, or why it is not there and what installs it."""
    from rich.table import Table
    from rich.text import Text

    table = Table("framework", "version", "remark", box=None, pad_edge=False)
    for name in BACKENDS:
        try:
            table.add_row(name, load(name).version(), "")
        except ImportError as error:
            table.add_row(name, "-", Text(str(error)))
    console().print(table)
