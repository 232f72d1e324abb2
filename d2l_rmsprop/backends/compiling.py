"""compile: an optimizer's update through the framework's own compiler, or in blocks."""

import contextlib
import contextvars
import functools
import sys
import threading
import time
import warnings

from ..backend import check


def compile(trainer_fn):
    """Return the optimizer ``trainer_fn``, such as rmsprop, compiled: same contract, more speed.

    What it hands to ``d2l.apply`` runs without an array of a parameter's size beside the
    parameters, states and gradients, where the framework's compiler can (see its ``COMPILER``).
    Its checks and errors stay. Its results differ by rounding. ``lr`` may change at each step;
    another gamma or eps compiles again, once. A first call that takes longer than a second says
    so on stderr.
    """
    name = getattr(trainer_fn, "__name__", type(trainer_fn).__name__)

    @functools.wraps(trainer_fn)
    def compiled(*args, **kwargs):
        token = _compiling.set(applied := [name])
        try:
            trainer_fn(*args, **kwargs)
        finally:
            _compiling.reset(token)
        if len(applied) == 1:
            warnings.warn(
                f"{name} runs as it is: d2l.compile compiles what an optimizer hands to "
                "d2l.apply(update, params, states, lr), and it hands nothing.",
                stacklevel=2,
            )

    return compiled


_compiling = contextvars.ContextVar("compiling", default=None)
_compiled: set[tuple] = set()  # what has been compiled once in this process


def apply(d2l, update, params, states, *numbers):
    """Take a step with ``update``, compiled inside an optimizer that ``compile`` returned."""
    params, states = check(d2l, params, states)
    applied = _compiling.get()
    if applied is None:
        return d2l.eager_apply(update, params, states, *numbers)
    applied.append(update := Update(update))
    new = d2l.COMPILER and (d2l, update) not in _compiled
    _compiled.add((d2l, update))
    with _progress(f"compiling {applied[0]} with {d2l.COMPILER}") if new else _silence:
        d2l.compiled_apply(update, params, states, *numbers)


class Update:
    """An update that a compiler knows again: equal to one of the same code and closure."""

    def __init__(self, function):
        self.function = function
        cells = getattr(function, "__closure__", None) or ()
        self.key = getattr(function, "__code__", function), *(cell.cell_contents for cell in cells)

    def __call__(self, x, s, g, *numbers):
        return self.function(x, s, g, *numbers)

    def __eq__(self, other):
        return self.key == other.key

    def __hash__(self):
        return hash(self.key)


_silence = contextlib.nullcontext()


@contextlib.contextmanager
def _progress(what):
    """Say on stderr, in one line, what takes longer than a second."""
    started, said = time.perf_counter(), []

    def say(text, end=""):
        said.append(text)
        print(text, end=end, file=sys.stderr, flush=True)

    timer = threading.Timer(1, say, [f"{what} ..."])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said:
            say(f": {time.perf_counter() - started:.1f} s, once", end="\n")
