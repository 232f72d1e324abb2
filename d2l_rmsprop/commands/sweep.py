"""The command ``d2l-rmsprop sweep``."""

import contextlib
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..files import FIGURES, headless, write_figure
from .options import OutputFile, training_options

if TYPE_CHECKING:
    from ..experiments.sweep import Grid

MAX_CELLS = 10**6  # of a grid; more is a slip of the keyboard


class Axis(click.ParamType):
    """Rising numbers: a list 0.1,0.2 or LOW:HIGH:COUNT, by equal steps or by equal factors."""

    name = "grid"

    def __init__(self, by_factors: bool) -> None:
        self.by_factors = by_factors

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        import numpy as np

        try:
            if ":" not in value:
                return [float(number) for number in value.split(",")]
            low, high, count = value.split(":")
            ends, cells = (float(low), float(high)), int(count)
        except ValueError:
            self.fail(
                f"{_short(value)} is no grid; give rising numbers like 0.1,0.2,0.5 or "
                "LOW:HIGH:COUNT.",
                param,
                ctx,
            )
        if not 1 <= cells <= MAX_CELLS:
            self.fail(f"{_short(value)} has a COUNT that is not 1 to {MAX_CELLS}.", param, ctx)
        if not all(map(math.isfinite, ends)):
            self.fail(f"{_short(value)} does not end; give finite numbers.", param, ctx)
        if self.by_factors and ends[0] <= 0:
            self.fail(f"{_short(value)} rises by equal factors; start it above 0.", param, ctx)
        if ends[0] > ends[1]:
            self.fail(f"{_short(value)} falls; give rising numbers.", param, ctx)
        numbers = (np.geomspace if self.by_factors else np.linspace)(*ends, cells)
        return [float(f"{number:.12g}") for number in numbers]  # 0.01, not 0.010000000000000002


def _short(value: str) -> str:
    return repr(value if len(value) < 80 else f"{value[:60]}...{value[-10:]}")


@click.command()
@click.option(
    "--lrs",
    type=Axis(by_factors=True),
    default="0.0001:1:32",
    show_default=True,
    help="Learning rates: a comma list, or LOW:HIGH:COUNT by equal factors.",
)
@click.option(
    "--gammas",
    type=Axis(by_factors=False),
    default="0:0.99:32",
    show_default=True,
    help="Decays: a comma list, or LOW:HIGH:COUNT by equal steps.",
)
@training_options
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes on this machine.  [default: one for each core; one alone for a small grid]",
)
@click.option(
    "--scheduler", metavar="tcp://HOST:PORT", help="Train on the Dask cluster of this scheduler."
)
@click.option(
    "--results",
    "--json",
    type=OutputFile(),
    help="Keep the cells in this JSON file as they finish; the same command goes on from them.",
)
@click.option("--figure", type=OutputFile(FIGURES), help="Draw the heat map into this file.")
def sweep(
    lrs: list[float],
    gammas: list[float],
    epochs: int,
    jobs: int | None,
    scheduler: str | None,
    results: Path | None,
    figure: Path | None,
    **settings: Any,
) -> None:
    """Train over a grid of learning rates and gammas, and draw the final losses as a heat map.

    NumPy trains the grid, on all cores or on a cluster. Exit code 1: the sweep stopped, or no
    worker survived one of its cells, or a file cannot be written.
    """
    headless()
    from ..experiments.sweep import SweepError  # late: --help needs no NumPy
    from ..experiments.sweep import sweep as train

    if len(lrs) * len(gammas) > MAX_CELLS:
        raise click.UsageError(
            f"the grid has {len(lrs) * len(gammas)} cells; it may have {MAX_CELLS}."
        )
    started, left = time.perf_counter(), "failed"
    with contextlib.ExitStack() as at_last:  # print and draw what there is, though a file failed
        try:
            grid = train(
                lrs, gammas, num_epochs=epochs, jobs=jobs, scheduler=scheduler,
                results=results, draw=False, **settings,
            )  # fmt: skip
        except ValueError as error:
            message = str(error).replace("hyperparams['eps']", "--eps")
            raise click.UsageError(message) from None
        except SweepError as error:
            if error.grid is None:
                raise
            grid, left = error.grid, "not trained"
            at_last.callback(_raise, error)
        except KeyboardInterrupt as stop:
            why = "nothing is kept; name a file with --results to go on from it"
            if results and results.exists():
                why = f"the cells so far are in {results}; the same command goes on from them"
            stop.kept = why  # type: ignore[attr-defined]
            raise
        if figure:
            at_last.callback(write_figure, figure, lambda: grid.draw().figure)
        _report(grid, time.perf_counter() - started, left)
        if not figure:
            click.echo("for a heat map of the losses add --figure sweep.png")
    if grid.failed.any():
        i, j = next(zip(*grid.failed.nonzero(), strict=True))
        more = grid.failed.sum() - 1
        raise click.ClickException(
            f"no worker survived the cell with lr {lrs[j]:.6g} and gamma {gammas[i]:.6g}"
            + (f", nor {more} more." if more else ".")
        )


def _raise(error: Exception) -> None:
    raise error


def _report(grid: "Grid", seconds: float, left: str) -> None:
    diverged, failed = grid.diverged.sum(), grid.failed.sum()
    click.echo(
        f"{grid.losses.size} runs in {seconds:.1f} s: "
        f"{grid.losses.size - diverged - failed} finished, {diverged} diverged, {failed} {left}"
    )
    if grid.best:
        lr, gamma, loss = grid.best
        click.echo(f"lowest loss {loss:.6f} at lr {lr:.6g}, gamma {gamma:.6g}")
