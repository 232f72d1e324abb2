"""compile: an optimizer's update through the framework's own compiler, or in blocks."""

import contextlib
import contextvars
import functools
import sys
import threading
import time
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from numbers import Real
from typing import Any

import numpy as np

from ..backend import Array, Optimizer, Rule, check
from ..lesson.styles import described
from .elementwise import is_elementwise
from .fingerprint import Glance, Unknown, fingerprint

NOT_ELEMENTWISE = (
    "this update is not elementwise: what it makes of an element depends on other elements, and a "
    "compiled step works on pieces of a parameter; run this optimizer without d2l.compile."
)
NOTHING_APPLIED = (
    "d2l.compile compiles what an optimizer hands to d2l.apply(update, params, states, lr), and "
    "it hands nothing"
)
# Let the C library keep what a step frees for the next one: glibc learns what is worth keeping from
# the largest array freed so far, and a step may spend half of its time on pages that it has just
# given back to the system (mallopt(3), M_MMAP_THRESHOLD).
np.empty(2**24, np.uint8)

UPDATES = 64  # that are remembered
VARIANTS = 8  # of one code that are compiled: a number that changes at each step is no constant


def compile(trainer_fn: Optimizer) -> Optimizer:
    """Return the optimizer ``trainer_fn``, such as rmsprop, compiled: same contract, more speed.

    What it hands to ``d2l.apply(update, params, states, lr, ...)`` runs without an array of a
    parameter's size beside the parameters, states and gradients, where the framework's compiler
    can. ``d2l.COMPILER`` names it; None stands for NumPy, block by block. Its checks and errors
    stay. Its results differ by rounding. The numbers after states may change at each step. A first
    call that takes longer than a second says so on stderr.

    An update must be elementwise, since it may be run on pieces of the parameters: each new
    element depends on the same element of x, s and g, and on the numbers, alone. One that is not,
    such as a gradient divided by its norm, raises ValueError, and nothing is changed. This is found
    by trying it on a few elements at the first call, so a branch on a whole array that opens for
    rare values alone, such as a norm above 1e20, is not seen. An update that reads anything that
    may change unseen (a dict, an array, an attribute), looks a number up in a dict or a set, or is
    not taken by the compiler runs as it is, and a warning says so once.

    JAX's arrays are given to the step, and copied first where anyone holds them; an alias that
    ``jax.device_put`` makes on the same device is not seen, so keep ``jnp.copy(x.value)`` instead.
    """
    if not callable(trainer_fn):
        raise TypeError(
            f"trainer_fn is {described(trainer_fn)}; give the optimizer itself, as in "
            "d2l.compile(d2l.rmsprop)."
        )
    name = getattr(trainer_fn, "__name__", type(trainer_fn).__name__)
    said: set[str] = set()

    @functools.wraps(trainer_fn)
    def compiled(*args: Any, **kwargs: Any) -> Any:
        if _compiling.get():  # by an optimizer that calls this one
            return trainer_fn(*args, **kwargs)
        call = _Call(name)
        token = _compiling.set(call)
        try:
            result = trainer_fn(*args, **kwargs)
        finally:
            _compiling.reset(token)
        if not call.applied:
            call.reasons.add(NOTHING_APPLIED)
        for reason in call.reasons:
            if reason not in said:
                said.add(reason)
                warnings.warn(f"{name} runs as it is, uncompiled: {reason}.", stacklevel=2)
        return result

    return compiled


class _Call:
    """A call of an optimizer that compile returned."""

    def __init__(self, name: str) -> None:
        self.name, self.applied = name, False
        self.reasons: set[str] = set()  # why something ran uncompiled


_compiling: contextvars.ContextVar[_Call | None]
_compiling = contextvars.ContextVar("compiling", default=None)


def apply(
    d2l: Any, update: Rule, params: Sequence[Array], states: Sequence[Array], *numbers: Any
) -> None:
    """Take a step with ``update``, compiled inside an optimizer that ``compile`` returned.

    Arguments:
        update: ``update(x, s, g, *numbers) -> new (x, s)``, elementwise, called for each parameter
            x, its state s and its gradient g, all of one shape.
        params: the parameters, each with its gradient in ``x.grad``.
        states: one for each parameter and of its shape.
        numbers: such as the learning rate, handed on to update; they may differ at each step.

    Each new x and s is written back in place, and the gradients are used up. Raises what
    ``rmsprop`` raises for its params and states, and ValueError for an update that returns anything
    else than two arrays of the shape of x; none is written then, though an update that works in
    place has changed its arguments itself.
    """
    params, states = check(d2l, params, states)
    call = _compiling.get()
    if call is None:
        return d2l.eager_apply(update, params, states, numbers)
    call.applied = True
    known = _recognise(d2l, update, numbers)
    if isinstance(known, str):
        d2l.eager_apply(update, params, states, numbers)
        call.reasons.add(f"its update {known}")
        return None
    d2l.compiled_apply(known, params, states, numbers)
    if known.failed:
        call.reasons.update(f"its update {reason}" for reason in known.failed.values())
    return None


class Update:
    """An update that a compiler knows again: there is one for all that do the same."""

    def __init__(self, function: Rule, compiler: str | None) -> None:
        self.function, self.compiler = function, compiler
        self.worked: set[Hashable] = set()  # kinds of arrays that it has run on, compiled
        self.failed: dict[Hashable, str] = {}  # and what the compiler said to the others

    def attempt(self, kind: Hashable, compiled: Callable, plain: Callable) -> None:
        """Call ``compiled`` or, where the compiler fails before it changes anything, ``plain``."""
        if kind not in self.failed or kind in self.worked:  # what has worked may work again
            try:
                with _silence if kind in self.worked else self._progress():
                    compiled()
            except Exception as error:
                self.failed[kind] = f"does not compile here ({_text(error)})"
            else:
                self.worked.add(kind)
                self.failed.pop(kind, None)
                return
        plain()

    def _progress(self) -> contextlib.AbstractContextManager:
        call = _compiling.get()
        return _progress(f"compiling {call.name} with {self.compiler}") if call else _silence


_updates: dict[Hashable, Update | str] = {}  # or why there is none; the oldest first
_latest: dict[Hashable, tuple[Glance, Update]] = {}  # of a code: the function that was read last


def _recognise(d2l: Any, function: Rule, numbers: Sequence) -> Update | str:
    """Return the Update that does what ``function`` does, after trying a new one; or why not.

    Raises ValueError for one that is not elementwise.
    """
    for number in numbers:
        if type(number) is not float and not isinstance(number, Real):
            return f"is handed a {type(number).__name__}, not a number"
    place = d2l.__name__, len(numbers), id(getattr(function, "__code__", None))
    glance, update = _latest.get(place, (None, None))
    if glance and update and glance.shows(function):
        return update
    found = _examine(d2l, function, len(numbers))
    glance = Glance.at(function)
    if glance and isinstance(found, Update):
        if len(_latest) >= UPDATES:
            _latest.clear()
        _latest[place] = glance, found
    return found


def _examine(d2l: Any, function: Rule, count: int) -> Update | str:
    try:
        key = d2l.__name__, count, fingerprint(function)
    except Unknown as why:
        return str(why)
    found = _updates.get(key)
    if found is None:
        variants = [other for other in _updates if _code(other) == _code(key)]
        if len(variants) >= VARIANTS:
            return "reads numbers that change; hand them to d2l.apply beside lr"
        found = _tried(d2l, function, count) or Update(function, d2l.COMPILER)
        _updates[key] = found
        if len(_updates) > UPDATES:
            del _updates[next(iter(_updates))]
    if found == NOT_ELEMENTWISE:
        raise ValueError(found)
    return found


def _code(key: Any) -> tuple[str, Any]:
    framework, _, code = key
    while isinstance(code, tuple):
        code = code[0]
    return framework, code


def _tried(d2l: Any, function: Rule, count: int) -> str:
    """Return what speaks against compiling an update, found on a few elements."""
    update, plain = d2l.trial(function), d2l.from_numpy
    where = "on a few elements", ""
    try:
        if not is_elementwise(update, count, (plain, plain), d2l.numpy):
            return NOT_ELEMENTWISE
        if not d2l.COMPILER:
            where = "on NumPy's blocks", "; use d2l's functions, such as d2l.sqrt, or NumPy's"
            if not is_elementwise(update, count, (plain, np.array), d2l.numpy):
                return "is another one on NumPy's blocks"
    except Exception as error:
        return f"does not run {where[0]} ({_text(error)}){where[1]}"
    return ""


def _text(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    first = lines[-1] if lines[0].startswith("Traceback") else lines[0]
    return f"{type(error).__name__}: {first}"


_silence = contextlib.nullcontext()


@contextlib.contextmanager
def _progress(what: str) -> Iterator[None]:
    """Say on stderr, in one line, what takes longer than a second."""
    started, said = time.perf_counter(), list[str]()

    def say(text: str, end: str = "") -> None:
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
