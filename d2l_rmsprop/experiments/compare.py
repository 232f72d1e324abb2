"""From scratch against built-in on every framework, and both against NumPy."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend
from ..backend import Read, Step
from ..lesson import data
from ..lesson.training import History, fit
from ..rmsprop import rmsprop

#: what a data set is, for the reader of a comparison
DATA = {
    "stand-in": "a stand-in for the airfoil table: 1500 random rows with its moments",
    "airfoil": "the airfoil table: its first 1500 rows",
    "linear": "the linear problem: 1000 random rows",
}
ROUNDING = 1e-6  # of max(1, loss): the bound on a float32 run at the default settings
MORE_THAN_ROUNDING = 1e-5  # the same at other settings, which may be chaotic


@dataclass(frozen=True)
class Settings:
    """The hyperparameters and the schedule of one comparison."""

    lr: float = 0.01  #: the learning rate
    gamma: float = 0.9  #: the decay
    eps: float = 1e-6  #: in the place where the framework's own optimizer has it
    epochs: int = 2  #: passes over the data
    batch_size: int = 10  #: examples in a minibatch
    seed: int = 0  #: of the start and the order

    @property
    def tolerance(self) -> float:
        """What the curves may differ by, as a part of max(1, loss)."""
        return ROUNDING if self == Settings() else MORE_THAN_ROUNDING


@dataclass
class Row:
    """One framework's part of the comparison; ``error`` says why it has no curves."""

    backend: str  #: the framework's name
    version: str | None = None  #: its version
    eps_in_sqrt: bool | None = None  #: where the built-in optimizer has its epsilon
    scratch: History | None = None  #: the run from scratch
    builtin: History | None = None  #: the run of the built-in optimizer, None without one
    reference: History | None = None  #: from scratch on NumPy, with epsilon in the same place
    missing: bool = False  #: whether the framework is not installed
    error: str | None = None  #: why there are no curves

    @property
    def diverged(self) -> list[str]:
        """The names of the curves with a loss that is not finite in float32."""
        # beyond float32 it is chance whether a framework's next number is large, inf or NaN
        limit = float(np.finfo(np.float32).max)
        return [
            name
            for name in ("scratch", "builtin")
            if (curve := getattr(self, name)) and not all(loss <= limit for loss in curve.losses)
        ]

    def difference(self, other: str, relative: bool = False) -> float | None:
        """Return the largest difference of the scratch curve from ``other``, "builtin" or
        "reference"; ``relative`` to max(1, loss). None without the two, NaN if one diverged.
        """
        a, b = self.scratch, getattr(self, other)
        if a is None or b is None:
            return None
        scale = np.maximum(1, np.abs(a.losses)) if relative else 1
        return float(np.max(np.abs(np.subtract(a.losses, b.losses)) / scale))

    def verdict(self, settings: Settings) -> tuple[bool, str]:
        """Return (passed, remark): whether the curves agree as they should, and what to say."""
        if self.error:
            return self.missing, self.error
        both = [name for name in ("scratch", "builtin") if getattr(self, name)]
        if self.diverged:
            what = "diverged" if self.diverged == both else f"only {self.diverged[0]} diverged"
            return self.diverged == both, what
        for other, name in (("builtin", "built-in"), ("reference", "NumPy")):
            difference = self.difference(other, relative=True)
            if difference is not None and difference > settings.tolerance:
                return settings != Settings(), f"differs from {name} by more than rounding"
        return True, ""

    def as_json(self) -> dict[str, Any]:
        """Return the row as a dict that JSON can hold: None for what is missing or not finite."""
        return {
            "backend": self.backend,
            "version": self.version,
            "scratch": _curve_as_json(self.scratch),
            "builtin": _curve_as_json(self.builtin),
            "max_abs_difference": _finite(self.difference("builtin")),
            "max_abs_difference_from_numpy": _finite(self.difference("reference")),
            "eps_in_sqrt": self.eps_in_sqrt,
            "diverged": bool(self.diverged),
            "error": self.error,
        }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _curve_as_json(history: History | None) -> dict[str, Any] | None:
    return (
        None
        if history is None
        else {
            "losses": [_finite(loss) for loss in history.losses],
            "seconds_per_epoch": min(
                history.epoch_seconds
            ),  # without what the first epoch compiles
        }
    )


def arrays(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (X, y), float32 NumPy arrays, of the data set stand-in, airfoil or linear."""
    if name == "linear":
        return data.linear_problem()
    minibatches, _ = backend.load("numpy").get_data_ch11(data=name)
    return minibatches.arrays


def compare(
    name: str,
    Xy: Sequence[np.ndarray],
    settings: Settings,
    on_record: Callable[[str, float], None] = lambda curve, epoch: None,
) -> Row:
    """Train one framework both ways on Xy, as ``arrays`` returns it, and return its Row.

    ``on_record(curve, epoch)`` hears of the progress: the curve's name and the epochs done.
    A framework that is missing or fails is a Row with an error.
    """
    row = Row(name)
    try:
        d2l = backend.load(name)
    except ImportError as error:
        row.missing, row.error = True, " ".join(str(error).split())
        return row
    except (Exception, SystemExit) as error:  # whatever a broken one does
        row.error = _says(error)
        return row
    try:
        row.version, row.eps_in_sqrt = str(d2l.version()), d2l.EPS_IN_SQRT
        in_sqrt = row.eps_in_sqrt is not False
        row.scratch = _from_scratch(d2l, Xy, settings, in_sqrt, on_record)
        numpy = backend.load("numpy")
        row.reference = row.scratch
        if d2l is not numpy:
            row.reference = _from_scratch(numpy, Xy, settings, in_sqrt, lambda *_: None)
        if builtin := d2l.builtin_rmsprop(settings.lr, settings.gamma, settings.eps):
            row.builtin = _fit(
                lambda w, b: d2l.builtin_step(*builtin, w, b), d2l, Xy, settings,
                lambda epoch, loss: on_record("builtin", epoch),
            )  # fmt: skip
    except (Exception, SystemExit) as error:  # no framework must stop the others
        row.error = _says(error)
    return row


def _says(error: BaseException) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 500)


def _from_scratch(
    d2l: Any,
    Xy: Sequence[np.ndarray],
    settings: Settings,
    eps_in_sqrt: bool,
    on_record: Callable[[str, float], None],
) -> History:
    hyperparams = {
        "lr": settings.lr, "gamma": settings.gamma, "eps": settings.eps, "eps_in_sqrt": eps_in_sqrt,
    }  # fmt: skip
    states = d2l.init_rmsprop_states(Xy[0].shape[1])
    return _fit(
        lambda w, b: d2l.linreg_step(rmsprop, states, hyperparams, w, b), d2l, Xy, settings,
        lambda epoch, loss: on_record("scratch", epoch),
    )  # fmt: skip


def _fit(
    make_step: Callable[[Any, Any], tuple[Step, Read]],
    d2l: Any,
    Xy: Sequence[np.ndarray],
    settings: Settings,
    on_record: Callable[[float, float], None],
) -> History:
    with np.errstate(all="ignore"):  # a run that diverges is reported as such
        return fit(
            make_step, d2l.load_array(Xy, settings.batch_size), settings.epochs,
            seed=settings.seed, on_record=on_record,
        )  # fmt: skip


def draw(rows: Sequence[Row], settings: Settings) -> Any:
    """Return a Matplotlib figure: the loss curves, and how far each framework's two differ.

    ``rows`` are what ``compare`` returned, one for each framework, with the same settings.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    floor = 1e-10  # stands for zero, which a logarithmic axis cannot show
    trained = [(row, row.scratch) for row in rows if row.scratch]
    for i, (row, scratch) in enumerate(trained):
        style: dict[str, Any] = {"color": f"C{i}", "marker": "os^vD"[i % 5], "mfc": "none"}
        label = row.backend
        if row.diverged:
            left.plot([], [], label=f"{label} (diverged)", **style)
            continue
        left.plot(scratch.epochs, scratch.losses, color=f"C{i}", lw=1)
        curve = row.builtin or scratch
        left.plot(curve.epochs, curve.losses, ls="", ms=5 + 2 * i, label=label, **style)
        if row.builtin:
            difference = np.abs(np.subtract(scratch.losses, row.builtin.losses))
            difference = np.maximum(difference, floor)
            right.plot(scratch.epochs, difference, ms=4, label=label, **style)
    left.set(xlabel="epoch", ylabel="loss (half the mean squared error)")
    left.set_title("lines: from scratch; markers: built-in", fontsize="medium")
    left.legend()
    right.axhline(settings.tolerance, color="gray", ls="--", label="more than rounding")
    right.set(xlabel="epoch", ylabel="|from scratch - built-in|", yscale="log")
    right.set_ylim(floor / 2, None)
    right.set_title("how far the two differ (lowest line: not at all)", fontsize="medium")
    right.legend()
    left.grid(), right.grid()
    return figure
