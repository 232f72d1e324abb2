"""Pictures at the book's size, and the small tools that its training loops call."""

import inspect
import itertools
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from ..backend import Array, as_numpy
from .styles import described

_FMTS = ("-", "m--", "g-.", "r:")
_PATHS = ("C1-o", "k--s", "g:^")


def _in_notebook() -> Any:
    """Return IPython's shell where it shows pictures in the page, else None."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    shell = get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None


def use_svg_display() -> None:
    """Show a notebook's pictures as SVG, which stays sharp; elsewhere nothing changes."""
    if _in_notebook():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", "png")  # JupyterLab shows no SVG of an untrusted notebook


def set_figsize(figsize: tuple[float, float] = (3.5, 2.5)) -> None:
    """Set the size of the pictures to come, in inches."""
    use_svg_display()
    plt.rcParams["figure.figsize"] = figsize


def _axes(figsize: tuple[float, float]) -> Any:
    """Return the axes to draw on, of a figure of this size where there is none yet."""
    with plt.rc_context({"figure.figsize": figsize}):
        return plt.gca()


def set_axes(
    axes: Any,
    xlabel: str | None,
    ylabel: str | None,
    xlim: Any,
    ylim: Any,
    xscale: str,
    yscale: str,
    legend: Sequence[str] | None,
) -> None:
    """Set labels, limits (None leaves them to Matplotlib), scales, legend and grid of an axes."""
    axes.set_xlabel(xlabel), axes.set_ylabel(ylabel)
    axes.set_xscale(xscale), axes.set_yscale(yscale)
    axes.set_xlim(xlim), axes.set_ylim(ylim)
    if legend:
        axes.legend(legend)
    axes.grid()


def plot(
    X: Any,
    Y: Any = None,
    xlabel: str | None = None,
    ylabel: str | None = None,
    legend: Sequence[str] | None = (),
    xlim: Any = None,
    ylim: Any = None,
    xscale: str = "linear",
    yscale: str = "linear",
    fmts: Sequence[str] = _FMTS,
    figsize: tuple[float, float] = (3.5, 2.5),
    axes: Any = None,
) -> None:
    """Draw one or more curves: Y over X, or X over its index where Y is None.

    X and Y are arrays of any framework or lists of numbers, or lists of such for several curves;
    one X serves all Y. Returns nothing, as the book's.
    """
    use_svg_display()
    axes = axes or _axes(figsize)
    curves = [as_numpy(x) for x in _curves(X)]
    if Y is None:
        pairs = [(np.arange(len(y)), y) for y in curves]
    else:
        ys = [as_numpy(y) for y in _curves(Y)]
        if len(curves) not in (1, len(ys)):
            raise ValueError(f"X has {len(curves)} curves and Y has {len(ys)}; give one X or each.")
        pairs = list(zip(curves * len(ys) if len(curves) == 1 else curves, ys, strict=True))
    axes.cla()
    for i, (x, y) in enumerate(pairs):
        axes.plot(x, y, fmts[i % len(fmts)])
    set_axes(axes, xlabel, ylabel, xlim, ylim, xscale, yscale, legend)


def _curves(data: Any) -> list:
    """Return data as a list of curves; a curve is a sequence of numbers."""
    if len(data) and (np.ndim(data[0]) if isinstance(data, (list, tuple)) else data.ndim - 1):
        return list(data)
    return [data]


def annotate(text: str, xy: Sequence, xytext: Sequence) -> None:
    """Write ``text`` at xytext, with an arrow to xy; both are pairs of numbers."""
    to, at = ((_number(x), _number(y)) for x, y in (xy, xytext))
    plt.gca().annotate(text, xy=to, xytext=at, arrowprops={"arrowstyle": "->"})


class Animator:
    """A picture of curves that grow while training runs: one update in place in a notebook, at
    most four a second; in a script, a figure of pyplot's that is drawn when it is shown or saved.

    ``X`` and ``Y`` are lists of one list for each curve. A ``ylim`` that does not hold the latest
    value of a curve gives way to one that does.
    """

    def __init__(
        self,
        xlabel: str | None = None,
        ylabel: str | None = None,
        legend: Sequence[str] | None = None,
        xlim: Any = None,
        ylim: Any = None,
        xscale: str = "linear",
        yscale: str = "linear",
        fmts: Sequence[str] = _FMTS,
        nrows: int = 1,
        ncols: int = 1,
        figsize: tuple[float, float] = (3.5, 2.5),
    ) -> None:
        use_svg_display()
        self.fig, axes = plt.subplots(nrows, ncols, figsize=figsize)
        self.axes = list(np.ravel(axes))
        self.X: list[list] = []
        self.Y: list[list] = []
        self._fmts, self._legend, self._ylim = fmts, legend, ylim
        set_axes(self.axes[0], xlabel, ylabel, xlim, ylim, xscale, yscale, None)
        self._shell, self._handle = _in_notebook(), None  # type: Any, Any
        self._shown, self._waiting = 0.0, False
        if self._shell:
            plt.close(self.fig)  # shown by us, so not a second time at the end of the cell

    def add(self, x: Any, y: Any) -> None:
        """Add a point to each curve: x a number or one for each, y the same; None skips one."""
        y = list(y) if hasattr(y, "__len__") else [y]
        x = list(x) if hasattr(x, "__len__") else [x] * len(y)
        axes = self.axes[0]
        if not self.X:
            self.X, self.Y = [[] for _ in y], [[] for _ in y]
            self._lines = [axes.plot([], [], fmt)[0] for _, fmt in zip(y, self._fmts)]  # noqa: B905
            if self._legend:
                axes.legend(self._lines, self._legend)
        for xs, ys, line, a, b in zip(self.X, self.Y, self._lines, x, y, strict=True):
            if a is not None and b is not None:
                xs.append(a)
                ys.append(b)
                line.set_data(xs, ys)
        axes.relim()
        latest = [ys[-1] for ys in self.Y if ys and np.isfinite(ys[-1])]
        if self._ylim and all(self._ylim[0] <= value <= self._ylim[1] for value in latest):
            axes.set_ylim(self._ylim)
        else:
            axes.set_autoscaley_on(True)
        axes.autoscale_view()
        if self._shell and not self._waiting:
            self._shell.events.register("post_execute", self.flush)
            self._waiting = True
        if self._shell and time.perf_counter() - self._shown > 0.25:
            self._show()

    def flush(self) -> None:
        """Show the curves as they are now, in a notebook; the cell's end does it by itself."""
        if self._waiting:
            self._show()
            self._shell.events.unregister("post_execute", self.flush)
            self._waiting = False

    def _show(self) -> None:
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self.fig, display_id=True)
        else:
            self._handle.update(self.fig)
        self._shown = time.perf_counter()


class Timer:
    """Record running times in seconds, in ``times``."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.start()

    def start(self) -> None:
        """Start, or start again."""
        self._started = time.perf_counter()

    def stop(self) -> float:
        """Stop and return the seconds since the start."""
        self.times.append(time.perf_counter() - self._started)
        return self.times[-1]

    def avg(self) -> float:
        """Return the mean of the times."""
        return sum(self.times) / len(self.times)

    def sum(self) -> float:
        """Return the sum of the times."""
        return sum(self.times)

    def cumsum(self) -> list[float]:
        """Return the running sums of the times, as a list."""
        return np.cumsum(self.times).tolist()


class Accumulator:
    """Keep n running sums: ``add(a, b)`` adds to the first two, ``self[0]`` reads the first."""

    def __init__(self, n: int) -> None:
        self.data = [0.0] * n

    def add(self, *args: Any) -> None:
        """Add n numbers, or arrays of one number, to the n sums."""
        self.data = [total + float(value) for total, value in zip(self.data, args, strict=True)]

    def reset(self) -> None:
        """Set all sums to 0."""
        self.data = [0.0] * len(self.data)

    def __getitem__(self, index: int) -> float:
        return self.data[index]


def train_2d(trainer: Callable, steps: int = 20, f_grad: Callable | None = None) -> list[tuple]:
    """Run ``trainer(x1, x2, s1, s2)`` from (-5, -2) with s1 = s2 = 0; return the steps + 1 places.

    ``f_grad``, where given, is handed on as a fifth argument. The trainer returns the new four.
    """
    results = trace_2d(trainer, steps, f_grad)
    x1, x2 = results[-1]
    print(f"epoch {steps}, x1: {_number(x1):f}, x2: {_number(x2):f}")
    return results


def trace_2d(trainer: Callable, steps: int = 20, f_grad: Callable | None = None) -> list[tuple]:
    """Do as ``train_2d`` and print nothing."""

    def slopes(x1: float, x2: float) -> Any:
        returned: Any = f_grad(x1, x2) if f_grad else None
        try:
            g1, g2 = returned
        except (TypeError, ValueError):
            raise _unlike(returned, "f_grad returned", "the two slopes g1, g2") from None
        _number(g1), _number(g2)
        return g1, g2

    x1, x2, s1, s2 = -5, -2, 0, 0
    if f_grad is not None:
        _check_function("f_grad", f_grad, "x1", "x2")
    _check_function("trainer", trainer, "x1", "x2", "s1", "s2", *(["f_grad"] if f_grad else []))
    if not isinstance(steps, (int, np.integer)) or steps < 0:
        raise ValueError(f"steps is {steps!r}; it must be a whole number >= 0.")
    results = [(x1, x2)]
    for _ in range(steps):
        returned = trainer(x1, x2, s1, s2, *([slopes] if f_grad else []))
        try:
            x1, x2, s1, s2 = returned
        except (TypeError, ValueError):
            raise _unlike(returned, "trainer returned", "the four numbers x1, x2, s1, s2") from None
        _number(x1), _number(x2)
        results.append((x1, x2))
    return results


def _check_function(what: str, function: Any, *arguments: str) -> None:
    """Raise TypeError for what cannot be called with these arguments."""
    call = f"{what}({', '.join(arguments)})"
    if not callable(function):
        raise TypeError(f"{what} is {described(function)}; it must be a function {call}.")
    try:
        signature = inspect.signature(function)
    except ValueError:  # written in C
        return
    try:
        signature.bind(*arguments)
    except TypeError:
        takes = ", ".join(signature.parameters)
        raise TypeError(f"{what} takes ({takes}); it must be a function {call}.") from None


def _unlike(value: Any, what: str, wanted: str) -> Exception:
    """Return the error that says what a function returned or was given, and what it should be."""
    if value is None:
        return TypeError(f"{what} None, not {wanted}; is a return missing?")
    return ValueError(f"{what} {textwrap.shorten(repr(value), 100)}, not {wanted}.")


def show_trace_2d(
    d2l: Any,
    f: Callable[[Array, Array], Array],
    results: Sequence,
    *,
    legend: Sequence[str] | None = None,
    figsize: tuple[float, float] = (3.5, 2.5),
) -> None:
    """Draw the places of ``train_2d`` over the contours of f(x1, x2), on axes of one scale.

    ``f`` takes two of the framework's arrays of one shape and returns a third. With a ``legend``,
    ``results`` holds one path for each of its names. The contours cover the book's part of the
    plane and more where a path leaves it, up to 20 from the middle.
    """
    paths = [
        np.array([_place(each) for each in _listed(places)])
        for places in (_listed(results) if legend else [results])
    ]
    path = np.concatenate(paths)
    seen = path[np.isfinite(path).all(axis=1) & (np.abs(path) < 20).all(axis=1)]
    low = np.minimum(seen.min(axis=0, initial=np.inf) - 0.5, [-5.5, -3.0])
    high = np.maximum(seen.max(axis=0, initial=-np.inf) + 0.5, [1.0, 1.0])
    grid = np.meshgrid(
        *(np.linspace(a, b, 70, dtype=np.float32) for a, b in zip(low, high, strict=True))
    )
    heights = f(*(d2l.tensor(x) for x in grid))
    if np.shape(heights) != grid[0].shape:
        raise _unlike(heights, "f returned", f"the heights at {grid[0].shape} places")
    heights = as_numpy(heights)
    use_svg_display()
    _axes(figsize)
    plt.contour(*grid, heights, colors="#1f77b4", linewidths=0.8)
    styles = itertools.cycle(_PATHS)
    lines = [plt.plot(*path.T, next(styles), markersize=4)[0] for path in paths]
    if legend:
        plt.legend(lines, legend)
    plt.xlim(low[0], high[0]), plt.ylim(low[1], high[1])
    plt.xlabel("x1"), plt.ylabel("x2")
    plt.gca().set_aspect("equal")


def _listed(results: Any) -> list:
    if not np.iterable(results) or not (listed := list(results)):
        raise _unlike(results, "results is", "the places that train_2d returns")
    return listed


def _place(place: Any) -> tuple[float, float]:
    try:
        x1, x2 = place
    except (TypeError, ValueError):
        raise _unlike(place, "a place in results is", "a pair (x1, x2)") from None
    return _number(x1), _number(x2)


def _number(value: Any) -> float:
    """Return a float, an int or an array of one number as a float."""
    try:
        if (array := as_numpy(value)).dtype.kind in "biuf":
            return float(array.reshape(()))
        raise TypeError
    except (TypeError, ValueError):
        raise _unlike(value, "there is", "a number") from None
