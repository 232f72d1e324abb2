"""The command ``d2l-rmsprop sweep``."""

import time
from pathlib import Path
from typing import Any

import click

from ..files import FIGURES, write_figure
from .options import OutputFile, training_options


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
            space = np.geomspace if self.by_factors else np.linspace
            if self.by_factors and float(low) <= 0:
                self.fail(f"{value!r} rises by equal factors; start it above 0.", param, ctx)
            numbers = space(float(low), float(high), int(count))
            return [float(f"{number:.12g}") for number in numbers]  # 0.01, not 0.010000000000000002
        except ValueError:
            self.fail(
                f"{value!r} is no grid; give rising numbers like 0.1,0.2,0.5 or LOW:HIGH:COUNT.",
                param,
                ctx,
            )


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
    worker survived one of its cells.
    """
    from ..experiments.sweep import SweepError  # late: --help needs no NumPy
    from ..experiments.sweep import sweep as train
    from ..lesson.data import DataError

    started = time.perf_counter()
    try:
        grid = train(
            lrs, gammas, num_epochs=epochs, jobs=jobs, scheduler=scheduler,
            results=results, draw=False, **settings,
        )  # fmt: skip
    except ValueError as error:
        message = str(error).replace("hyperparams['eps']", "--eps")
        raise click.UsageError(message) from None
    except (DataError, SweepError) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        kept = f"the cells so far are in {results}; the same command goes on from them"
        why = kept if results else "nothing is kept; name a file with --results to go on from it"
        raise click.ClickException(f"interrupted: {why}.") from None
    if figure:
        write_figure(figure, lambda: grid.draw().figure)
    diverged, failed = grid.diverged.sum(), grid.failed.sum()
    click.echo(
        f"{grid.losses.size} runs in {time.perf_counter() - started:.1f} s: "
        f"{grid.losses.size - diverged - failed} finished, {diverged} diverged, {failed} failed"
    )
    if grid.best:
        lr, gamma, loss = grid.best
        click.echo(f"lowest loss {loss:.6f} at lr {lr:.6g}, gamma {gamma:.6g}")
    if failed:
        i, j = next(zip(*grid.failed.nonzero(), strict=True))
        raise click.ClickException(
            f"no worker survived the cell with lr {lrs[j]:.6g} and gamma {gammas[i]:.6g}"
            + (f", nor {failed - 1} more." if failed > 1 else ".")
        )
