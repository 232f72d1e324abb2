"""The final loss over a grid of learning rates and gammas, and its heat map."""

import contextlib
import hashlib
import itertools
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Hyperparams, Read, Step, check_count, load, read_hyperparams
from ..files import FileError, write
from ..lesson.training import fit
from ..rmsprop import rmsprop
from .cluster import ClusterError, cluster
from .compare import arrays
from .progress import progress

# what a terminal sends to all of a command's processes; Windows has no SIGHUP
STOPS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
BLOCK = 64  # cells, at most, that a worker trains at once, as columns of one array
WORTH_PROCESSES = 10**7  # examples that all runs see: fewer take less time than starting processes


class SweepError(RuntimeError):
    """A sweep that cannot start, or has to stop; ``grid`` holds what it had computed by then."""

    grid: "Grid | None" = None


@dataclass(frozen=True)
class Settings:
    """What the cells of a grid have in common."""

    data: str = "stand-in"
    num_epochs: int = 2
    batch_size: int = 10
    seed: int = 0
    eps: float = 1e-6


@dataclass
class Grid:
    """The final losses of a sweep; ``losses[i, j]`` belongs to ``gammas[i]`` and ``lrs[j]``.

    A loss is half the mean squared error over all examples, inf where the run diverged (beyond the
    numbers of float32) and NaN where it failed: no worker survived it.
    """

    lrs: list[float]  #: the learning rates
    gammas: list[float]  #: the decays
    losses: np.ndarray  #: float64 of shape (len(gammas), len(lrs))

    @property
    def diverged(self) -> np.ndarray:
        """A boolean array of the shape of losses, true where the run diverged."""
        return np.isinf(self.losses)

    @property
    def failed(self) -> np.ndarray:
        """A boolean array of the shape of losses, true where the run failed."""
        return np.isnan(self.losses)

    @property
    def best(self) -> tuple[float, float, float] | None:
        """The (lr, gamma, loss) of the cell with the lowest loss, or None if all diverged."""
        if not np.isfinite(self.losses).any():
            return None
        i, j = np.unravel_index(np.nanargmin(self.losses), self.losses.shape)
        return self.lrs[j], self.gammas[i], float(self.losses[i, j])

    def draw(self, axes: Any = None) -> Any:
        """Draw the losses as colours on a log scale, with diverged and failed cells hatched.

        Returns Matplotlib's axes: those that are given, or new ones.
        """
        import matplotlib.pyplot as plt
        from matplotlib.colors import LogNorm
        from matplotlib.patches import Patch, Rectangle

        axes = axes or plt.subplots(figsize=(5, 3.7), layout="constrained")[1]
        finite = self.losses[np.isfinite(self.losses)]
        if finite.size:
            # half of the cells share the colours, so that they show the region around the best
            tiny = np.finfo(np.float32).tiny  # stands for a loss of 0, which has no logarithm
            low, middle, high = np.maximum(np.quantile(finite, (0, 0.5, 1)), tiny)
            top = max(middle, 1.01 * low)
            shown = np.ma.masked_invalid(np.maximum(self.losses, tiny))
            image = axes.pcolormesh(shown, norm=LogNorm(low, top), cmap="viridis_r")
            axes.figure.colorbar(
                image, ax=axes, label="final loss", extend="max" if high > top else "neither",
                ticks=np.geomspace(low, top, 6), format="%.3g",
            ).minorticks_off()  # fmt: skip
        marks = []
        for cells, name, hatch in (
            (self.diverged, "diverged", "////"),
            (self.failed, "failed", "xxxx"),
        ):
            style: dict[str, Any] = {
                "facecolor": "white", "edgecolor": "gray", "linewidth": 0, "hatch": hatch
            }  # fmt: skip
            for i, j in np.argwhere(cells):
                axes.add_patch(Rectangle((j, i), 1, 1, **style))
            if cells.any():
                marks.append(Patch(label=f"{name} ({cells.sum()} of {cells.size})", **style))
        if self.best:
            i, j = np.unravel_index(np.nanargmin(self.losses), self.losses.shape)
            style = {"marker": "*", "markersize": 9, "color": "red", "markeredgecolor": "white"}
            lr, gamma, loss = self.best
            label = f"lowest: {loss:.4g} at lr {lr:.3g}, gamma {gamma:.3g}"
            marks += axes.plot([j + 0.5], [i + 0.5], linestyle="", label=label, **style)
        if marks:
            axes.legend(
                handles=marks, loc="lower center", bbox_to_anchor=(0.5, 1), fontsize="small"
            )
        axes.set(xlim=(0, len(self.lrs)), ylim=(0, len(self.gammas)))
        _label(axes.xaxis, self.lrs, "lr", 2)
        axes.tick_params("x", rotation=45)
        _label(axes.yaxis, self.gammas, "gamma", 4)
        return axes


def _label(axis: Any, values: Sequence[float], name: str, digits: int) -> None:
    """Write up to 8 of the values at the middle of their cells."""
    places = np.unique(np.linspace(0, len(values) - 1, 8).round().astype(int))
    axis.set_ticks(places + 0.5, [f"{values[i]:.{digits}g}" for i in places])
    axis.set_label_text(name)


def sweep(
    lrs: Iterable[float],
    gammas: Iterable[float],
    *,
    data: str = "stand-in",
    num_epochs: int = 2,
    batch_size: int = 10,
    seed: int = 0,
    eps: float = 1e-6,
    jobs: int | None = None,
    scheduler: str | None = None,
    results: str | Path | None = None,
    draw: bool = True,
) -> Grid:
    """Train ``train_ch11``'s linear model for each lr and gamma; draw and return the final losses.

    Arguments:
        lrs: the learning rates of the grid, rising numbers >= 0.
        gammas: its decays, rising numbers from 0 to 1.
        data: "stand-in", "airfoil" or "linear".
        num_epochs: passes over the data.
        batch_size: examples in a minibatch.
        seed: as in ``train_ch11``; the cells share start and minibatches.
        eps: epsilon, in the root.
        jobs: the number of processes, by default one for each core, or one alone for a sweep of
            about a second.
        scheduler: the address tcp://HOST:PORT of a Dask cluster that trains the cells instead.
        results: a JSON file to keep the cells in as they finish. A sweep that finds some there
            goes on from them.
        draw: False draws nothing; ``Grid.draw`` can do it later.

    NumPy trains the grid on every framework, in float64 and with each sum in one order, so a cell
    has the same bits in any grid, on any number of cores and on a cluster. It is what train_ch11
    gives up to rounding where lr is at most 0.01. At larger steps a run is chaotic, and the order
    of summation alone moves its loss, in float64 too.

    Returns a ``Grid``. Raises ValueError for a bad argument, SweepError for a result file of other
    settings or a cluster that cannot be used.
    """
    lrs, gammas = _axis("lr", lrs), _axis("gamma", gammas)
    read_hyperparams({"lr": 0, "gamma": 0, "eps": eps})
    check_count(num_epochs=num_epochs, batch_size=batch_size, jobs=1 if jobs is None else jobs)
    settings = Settings(data, int(num_epochs), int(batch_size), int(seed), float(eps))
    grid = Grid(lrs, gammas, np.full((len(gammas), len(lrs)), np.nan))
    try:
        # the cluster first: it answers soon or not at all
        with contextlib.nullcontext() if scheduler is None else cluster(scheduler) as backend:
            Xy = arrays(data)
            if jobs is None:
                visits = grid.losses.size * num_epochs * len(Xy[0])
                jobs = sys.maxsize if visits > WORTH_PROCESSES else 1
            with _kept(results, grid, settings, Xy) as keep:
                _train(grid, (Xy, settings), backend, jobs, keep)
    except (ClusterError, FileError) as error:
        failure = SweepError(str(error))
        failure.grid = None if np.isnan(grid.losses).all() else grid
        raise failure from error
    if draw:
        grid.draw()
    return grid


def _axis(name: str, values: Iterable[float]) -> list[float]:
    try:
        values = [float(value) for value in values]
        for value in values:
            read_hyperparams({"lr": 0, "gamma": 0, name: value})
    except (TypeError, ValueError) as error:
        reason = str(error).replace(f"hyperparams['{name}']", f"a {name}")
        raise ValueError(f"the grid is wrong: {reason}") from error
    if not values:
        raise ValueError(f"the grid has no {name}; give at least one.")
    for low, high in itertools.pairwise(values):
        if low >= high:
            raise ValueError(f"{name} {high:g} follows {low:g} in the grid; give rising numbers.")
    return values


# training


def train_cells(
    lrs: Sequence[float],
    gammas: Sequence[float],
    Xy: Sequence[np.ndarray],
    settings: Settings,
) -> np.ndarray:
    """Return the final losses of as many runs as there are lrs and gammas, one of each for a run.

    The runs are columns: w has shape (d, runs), b (1, runs), lr and gamma (runs,).
    """
    X, y = Xy
    d2l = load("numpy")
    hyperparams = Hyperparams(np.array(lrs), np.array(gammas), settings.eps)

    def error(X: np.ndarray, y: np.ndarray, w: Any, b: Any) -> Any:  # (n, runs)
        return _sum(X.T[:, :, None] * w[:, None, :]) + b - y[:, None]

    def make_step(*start: np.ndarray) -> tuple[Step, Read]:
        params = w, b = [
            d2l.Variable(np.repeat(np.asarray(a, np.float64).reshape(-1, 1), len(lrs), axis=1))
            for a in start
        ]
        states = [np.zeros(x.shape) for x in params]

        def step(X: np.ndarray, y: np.ndarray) -> None:
            errors = error(X, y, w.value, b.value)
            w.grad = _sum(X[:, :, None] * errors[:, None, :]) / len(X)
            b.grad = _sum(errors[:, None, :]) / len(X)
            rmsprop(params, states, hyperparams)

        return step, lambda: (w.value, b.value)

    batches = d2l.load_array(Xy, settings.batch_size)
    with np.errstate(all="ignore"):  # a run that diverges is marked as such
        end = fit(
            make_step, batches, settings.num_epochs, seed=settings.seed, record_every=len(X) ** 9
        )
        losses = _sum(np.square(error(X, y, end.w, end.b))) / (2 * len(X))
    return np.where(losses <= np.finfo(np.float32).max, losses, np.inf)


# Python's own sum adds in order. The order of NumPy's and of BLAS depends on shapes and processor,
# and a cell must have the same bits in any grid and on any worker.
_sum = sum


def _train_block(
    train: Callable, cells: list[int], lrs: list[float], gammas: list[float], constants: tuple
) -> tuple[list[int], np.ndarray]:
    return cells, train(lrs, gammas, *constants)


def _train(grid: Grid, constants: tuple, backend: Any, jobs: int, keep: Callable) -> None:
    """Fill the grid's losses, block by block; a cell that no worker survives stays NaN."""
    from joblib import Parallel, cpu_count, delayed, parallel_config

    losses = grid.losses.reshape(-1)  # a view
    gammas, lrs = (a.reshape(-1) for a in np.meshgrid(grid.gammas, grid.lrs, indexing="ij"))
    todo = np.flatnonzero(np.isnan(losses))
    blocks = np.array_split(todo, max(-(-len(todo) // BLOCK), min(len(todo), 32), 1))
    # all at once; the unfinished once more, since a worker may die by chance (a cluster does so by
    # itself); then what may kill workers alone, to spare the others: each block, each cell
    together = [blocks] * (1 if backend else 2)
    cells_alone = ([[cell]] for block in blocks if len(block) > 1 for cell in block)
    waves: Iterable[Any] = itertools.chain(together, ([block] for block in blocks), cells_alone)
    environment: Any = contextlib.nullcontext()
    if backend:
        workers = {"backend": backend}
    else:  # more than there are cores or tasks would only take longer to start
        jobs = min(jobs, len(blocks), max(2, cpu_count()))
        begin = {"initializer": follow, "initargs": (os.getpid(),)}
        workers = {"backend": "loky", "n_jobs": jobs, **begin}
        if jobs > 1:
            environment = workers_environment()
    with environment, progress(losses.size, "runs", losses.size - todo.size) as advance:
        for wave in waves:
            tasks = [
                delayed(_train_block)(
                    train_cells, list(cells), list(lrs[cells]), list(gammas[cells]), constants
                )
                for cells in wave
                if np.isnan(losses[cells]).any()
            ]
            if not tasks:
                continue
            with contextlib.suppress(BrokenExecutor), parallel_config(**workers):
                parallel = Parallel(return_as="generator_unordered", batch_size=1)
                for cells, found in parallel(tasks):
                    losses[cells] = found
                    advance(len(cells))
                    keep()


def _start_trackers() -> None:
    """Start the processes that tidy up after workers deaf to a terminal that closes, as to Ctrl-C.

    They die of SIGHUP otherwise, before the workers, and their successors complain.
    """
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as lokys

    if STOPS[1:] and threading.current_thread() is threading.main_thread():
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            lokys.ensure_running(), resource_tracker.ensure_running()
        finally:
            signal.signal(signal.SIGHUP, before)


def follow(parent: int) -> None:
    """Let a worker end with its parent, whatever ended that, but not by the terminal's signals."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    if hasattr(os, "fork"):  # elsewhere getppid names a parent that is gone, too
        threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def workers_environment() -> Iterator[None]:
    """Keep from the workers what would stop or hang them: a screen, warnings as errors."""
    ours = {"MPLBACKEND": "agg", "PYTHONWARNINGS": "ignore"}
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        _start_trackers()
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


# the file of results


@contextlib.contextmanager
def _kept(
    path: str | Path | None, grid: Grid, settings: Settings, Xy: Sequence[np.ndarray]
) -> Iterator[Callable[..., None]]:
    """Fill the grid from the file, and give a function that keeps its cells there.

    It writes at most once a second; at the end, or when interrupted, the file is written anyway.
    """
    if path is None:
        yield lambda: None
        return
    path, written = Path(path), time.monotonic()
    data_sha256 = hashlib.sha256(b"".join(a.tobytes() for a in Xy)).hexdigest()
    ours = {**asdict(settings), "data_sha256": data_sha256, "lrs": grid.lrs, "gammas": grid.gammas}
    _read(path, grid, ours)

    def keep(even_now: bool = False, unfinished: str | None = None) -> None:
        nonlocal written
        if even_now or time.monotonic() - written > 1:
            content = {"settings": ours, "cells": _cells(grid, unfinished)}
            write(path, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")
            written = time.monotonic()

    keep(even_now=True)  # before any training
    try:
        yield keep
    except BaseException:
        keep(even_now=True)
        raise
    keep(even_now=True, unfinished="failed")


def _cells(grid: Grid, unfinished: str | None) -> list[dict[str, Any]]:
    cells = []
    for i, gamma in enumerate(grid.gammas):
        for j, lr in enumerate(grid.lrs):
            loss = float(grid.losses[i, j])
            status = unfinished if np.isnan(loss) else "diverged" if np.isinf(loss) else "finished"
            if status:
                value = loss if status == "finished" else None
                cells.append({"lr": lr, "gamma": gamma, "loss": value, "status": status})
    return cells


def _read(path: Path, grid: Grid, ours: dict[str, Any]) -> None:
    """Fill the grid with the finished and diverged cells of the file, if there is one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SweepError(f"{path} cannot be read ({error.strerror}); name another file.") from error
    if not data:
        return
    try:
        content = json.loads(data)
        theirs, cells = content["settings"], content["cells"]
        other = [name for name in ours if json.dumps(theirs[name]) != json.dumps(ours[name])]
        if not other:
            losses = _losses(cells, set(itertools.product(grid.lrs, grid.gammas)))
    except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
        why = f": {error}" if isinstance(error, _CellError) else ""
        raise SweepError(
            f"{path} is not a sweep's file of results{why}; name another file."
        ) from error
    if other:
        raise SweepError(
            f"{path} has the results of another sweep (it differs in {', '.join(other)}); "
            "name another file."
        )
    for i, gamma in enumerate(grid.gammas):
        for j, lr in enumerate(grid.lrs):
            grid.losses[i, j] = losses.get((lr, gamma), np.nan)


class _CellError(ValueError):
    """A cell that no sweep writes."""


def _losses(cells: list[dict[str, Any]], expected: set[tuple[float, float]]) -> dict:
    """Return the losses of the cells by (lr, gamma), inf where a run diverged."""
    losses = {}
    for cell in cells:
        place, loss, status = (cell["lr"], cell["gamma"]), cell["loss"], cell["status"]
        if place not in expected:
            raise _CellError("a cell is twice there, or not in the grid")
        expected.remove(place)
        if status == "finished":
            loss = float(loss) if type(loss) in (int, float) else math.nan
            if not 0 <= loss <= np.finfo(np.float32).max:
                raise _CellError("a finished cell has no loss from 0 to the end of float32")
            losses[place] = loss
        elif loss is not None or status not in ("diverged", "failed"):
            raise _CellError("a cell has a loss without being finished, or no status")
        elif status == "diverged":
            losses[place] = math.inf
    return losses
