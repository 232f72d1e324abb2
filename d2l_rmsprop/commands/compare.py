"""The command ``d2l-rmsprop compare``."""

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..backend import BACKENDS
from ..files import FIGURES, headless, write, write_figure
from .console import console, show
from .options import OutputFile, training_options

if TYPE_CHECKING:
    from ..experiments.compare import Row, Settings


@click.command()
@click.option(
    "--backend",
    "names",
    multiple=True,
    type=click.Choice(BACKENDS),
    help="A framework to compare; repeatable. Default: every installed one.",
)
@training_options
@click.option("--lr", default=0.01, show_default=True, help="Learning rate, at least 0.")
@click.option("--gamma", default=0.9, show_default=True, help="Decay of the average, 0 to 1.")
@click.option("--json", "json_file", type=OutputFile(), help="Write all curves to this file.")
@click.option(
    "--figure",
    "figure_file",
    type=OutputFile(FIGURES),
    help="Draw the curves and their difference into this file.",
)
def compare(
    names: tuple[str, ...],
    data: str,
    json_file: Path | None,
    figure_file: Path | None,
    **options: Any,
) -> None:
    """Train from scratch and with each framework's own RMSProp, and compare the two.

    Both versions start from the same weights and see the same minibatches, so at the default
    settings their curves differ by rounding alone. The table gives the loss at the end, half the
    mean squared error over all examples; the seconds that the fastest epoch took; the largest
    difference of the two curves, and of the one from scratch from NumPy's; and the place of
    epsilon in the built-in optimizer. Exit code 1: a framework failed, or the two differ by more
    than rounding at the default settings, or a file cannot be written.
    """
    headless()
    from ..backend import read_hyperparams
    from ..experiments import compare as comparison  # late: --help needs no NumPy

    settings = comparison.Settings(**options)
    try:
        read_hyperparams(vars(settings))
    except ValueError as error:
        raise click.UsageError(re.sub(r"hyperparams\['(\w+)'\]", r"--\1", str(error))) from None
    rows = _train_all(names or list(BACKENDS), comparison.arrays(data), settings)
    verdicts = [row.verdict(settings) for row in rows]
    with contextlib.ExitStack() as at_last:  # each of the three, whatever becomes of the others
        if figure_file:
            at_last.callback(write_figure, figure_file, lambda: comparison.draw(rows, settings))
        if json_file:
            content = json.dumps([row.as_json() for row in rows], indent=1, allow_nan=False)
            at_last.callback(write, json_file, content.encode() + b"\n")
        _print_table(rows, verdicts)
        console().print(f"trained on {comparison.DATA[data]}")
    failed = [
        row.backend
        for row, (passed, _) in zip(rows, verdicts, strict=True)
        if not passed or (row.missing and names)
    ]
    if failed:
        raise click.ClickException(
            f"{', '.join(failed)} failed; the lines below the table say why."
        )


def _train_all(names: Sequence[str], Xy: Sequence, settings: "Settings") -> list["Row"]:
    """Return the Row of each framework; progress goes to stderr, as a bar where it is a screen."""
    from rich.progress import Progress

    from ..experiments.compare import compare

    rows = []
    stderr = console(stderr=True)
    with Progress(console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        for name in (name for name in BACKENDS if name in names):  # in the order that they bear
            if not stderr.is_terminal:
                click.echo(f"{name} ...", err=True)
            task = progress.add_task(name, total=2 * settings.epochs)

            def on_record(curve: str, epoch: float, task: Any = task) -> None:
                done = epoch + (settings.epochs if curve == "builtin" else 0)
                progress.update(task, completed=done)

            rows.append(compare(name, Xy, settings, on_record))
            progress.update(task, completed=2 * settings.epochs)
    return rows


def _print_table(rows: Sequence["Row"], verdicts: Sequence[tuple[bool, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))
    headers = ["\nframework", "loss\nscratch", "loss\nbuilt-in", "s/epoch\nscratch"]
    headers += ["s/epoch\nbuilt-in", "differs\nbuilt-in", "differs\nNumPy", "built-in\nepsilon"]
    for header in headers:
        words = header in (headers[0], headers[-1])
        table.add_column(header, justify="left" if words else "right", no_wrap=True)

    def number(value: Any, form: str) -> str:
        return "-" if value is None else format(value, form)

    def loss(curve: Any) -> str:
        last = curve and curve.losses[-1]
        return number(last, ".6f" if curve and last < 10 else ".3g")

    for row in rows:
        curves = (row.scratch, row.builtin)
        table.add_row(
            Text(f"{row.backend} {row.version or '-'}"),
            *(loss(curve) for curve in curves),
            *(number(curve and min(curve.epoch_seconds), ".3f") for curve in curves),
            *(number(row.difference(other), ".1e") for other in ("builtin", "reference")),
            {True: "inside", False: "outside", None: "-"}[row.eps_in_sqrt],
        )
    show(table)
    for row, (_, remark) in zip(rows, verdicts, strict=True):
        if remark:
            console().print(f"{row.backend}: {remark}", markup=False)
