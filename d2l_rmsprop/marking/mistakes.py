"""Which mistake leads where a student's function went, in one sentence."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .problems import Arrays, Problem
from .words import WORDS

#: rule(x, s, g, lr, gamma, eps, t) -> new (x, s), in float64; t counts the steps from 1
Rule: TypeAlias = Callable[..., tuple[np.ndarray, np.ndarray]]

# a step in float32 rounds at 6e-8, and several hundred add up; float64 tells float32 inside apart
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}


class Path(NamedTuple):
    """Parameters and states after each step."""

    xs: list[Arrays]
    ss: list[Arrays]


def formula(
    x: np.ndarray, s: np.ndarray, g: np.ndarray, lr: float, gamma: float, eps: float, t: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the new (x, s) of RMSProp; written out here, so that it shares nothing with ours."""
    s = gamma * s + (1 - gamma) * g * g
    return x - lr * g / np.sqrt(s + eps), s


def follow(problem: Problem, rule: Rule = formula, steps: int | None = None) -> Path:
    """Return where ``rule`` leads, in float64, without a word of what overflows."""
    x = [a.astype(np.float64) for a in problem.start]
    s = [np.zeros(a.shape) for a in problem.start]
    path = Path([], [])
    with np.errstate(all="ignore"):
        for t, gradients in enumerate(problem.gradients[:steps], 1):
            for i, g in enumerate(gradients):
                g = g.astype(np.float64)
                x[i], s[i] = rule(x[i], s[i], g, problem.lr, problem.gamma, problem.eps, t)
            path.xs.append(list(x))
            path.ss.append(list(s))
    return path


class First(NamedTuple):
    """The first number that differs: where it stands, what it is, what it should be."""

    where: str
    step: int
    found: float | tuple[int, ...]
    expected: float | tuple[int, ...]


def explain(problem: Problem, found: Path, language: str = "en") -> str | None:
    """Return what is wrong with the way ``found`` went, or None where it is the formula's.

    ``found`` may end early, where the function raised an error.
    """
    right = follow(problem, steps=len(found.xs))
    if _first_difference(problem, found, right, "x") is None:
        return None
    first = _first_difference(problem, found, right)
    assert first
    words = WORDS[language]
    name, value = next(
        (
            (way.name, way.value)
            for way in _wrong_ways(problem, found)
            if _same(problem, found, way)
        ),
        ("unknown", None),
    )
    form = words["shape" if isinstance(first.found, tuple) else "first"]
    return words[name].format(value=value) + form.format(**first._asdict())


class Way(NamedTuple):
    """A known mistake, where it leads, and the number that it is about."""

    name: str
    path: Path
    value: float | None = None


def _same(problem: Problem, found: Path, way: Way) -> bool:
    return bool(way.path.xs) and _first_difference(problem, found, way.path) is None


def _first_difference(
    problem: Problem, found: Path, right: Path, names: str = "sx"
) -> First | None:
    """Return the first number that differs by more than rounding: the average's, then x's."""
    dtype = str(problem.start[0].dtype)
    eps = np.finfo(dtype).eps
    before, length = problem.start, [np.zeros(a.shape) for a in problem.start]  # of x's way so far
    for t, xs in enumerate(right.xs):
        for i, x in enumerate(xs):
            with np.errstate(all="ignore"):
                length[i] = length[i] + np.abs(x - before[i])
                bounds = {
                    "s": TOLERANCE[dtype] * np.abs(right.ss[t][i]),
                    "x": TOLERANCE[dtype] * length[i] + 8 * eps * np.abs(x),
                }
            for name in names:
                a, b = (found.ss, right.ss) if name == "s" else (found.xs, right.xs)
                place = f"{name}{i + 1}" if len(xs) > 1 else name
                if first := _differ(a[t][i], b[t][i], bounds[name]):
                    where, *values = first
                    return First(place + where, t + 1, *values)
        before = xs
    return None


def _differ(a: np.ndarray, b: np.ndarray, bound: np.ndarray) -> tuple | None:
    """Return the index of the first entry that differs, as text, and the two values."""
    if a.shape != b.shape:
        return "", a.shape, b.shape
    with np.errstate(all="ignore"):
        equal = (np.abs(a - b) <= bound) | (a == b) | (np.isnan(a) & np.isnan(b))
    if equal.all():
        return None
    index = tuple(map(int, np.argwhere(~equal)[0]))
    return str(list(index)) if index else "", float(a[index]), float(b[index])


# the usual mistakes: the average with a step, each wrong in one way


def _leaky(s: np.ndarray, g: np.ndarray, gamma: float, t: int) -> np.ndarray:
    return gamma * s + (1 - gamma) * g * g


AVERAGES: dict[str, Callable[..., np.ndarray]] = {
    "forgot 1 - gamma": lambda s, g, gamma, t: gamma * s + g * g,
    "swapped": lambda s, g, gamma, t: (1 - gamma) * s + gamma * g * g,
    "not squared": lambda s, g, gamma, t: gamma * s + (1 - gamma) * g,
    "absolute": lambda s, g, gamma, t: gamma * s + (1 - gamma) * np.abs(g),
    "sum": lambda s, g, gamma, t: s + g * g,
    "mean": lambda s, g, gamma, t: gamma * s + (1 - gamma) * np.mean(g * g),
    "first average": lambda s, g, gamma, t: g * g if t == 1 else _leaky(s, g, gamma, t),
    "forgot the old average": lambda s, g, gamma, t: (1 - gamma) * g * g,
}
STEPS: dict[str, Callable[..., np.ndarray]] = {
    "eps outside": lambda g, s, old, lr, gamma, eps, t: lr * g / (np.sqrt(s) + eps),
    "no eps": lambda g, s, old, lr, gamma, eps, t: lr * g / np.sqrt(s),
    "old average": lambda g, s, old, lr, gamma, eps, t: lr * g / np.sqrt(old + eps),
    "no root": lambda g, s, old, lr, gamma, eps, t: lr * g / (s + eps),
    "sign": lambda g, s, old, lr, gamma, eps, t: -lr * g / np.sqrt(s + eps),
    "lr in root": lambda g, s, old, lr, gamma, eps, t: g * np.sqrt(lr / (s + eps)),
    "times root": lambda g, s, old, lr, gamma, eps, t: lr * g * np.sqrt(s + eps),
    "no gradient": lambda g, s, old, lr, gamma, eps, t: lr / np.sqrt(s + eps),
    "no scale": lambda g, s, old, lr, gamma, eps, t: lr * g,
    "correction": lambda g, s, old, lr, gamma, eps, t: lr * g / np.sqrt(s / (1 - gamma**t) + eps),
}


def _rule(average: Callable[..., np.ndarray], step: Callable[..., np.ndarray] | None) -> Rule:
    def rule(
        x: np.ndarray, s: np.ndarray, g: np.ndarray, lr: float, gamma: float, eps: float, t: int
    ) -> tuple[np.ndarray, np.ndarray]:
        new = average(s, g, gamma, t)
        if step is None:
            return x - lr * g / np.sqrt(new + eps), new
        return x - step(g, new, s, lr, gamma, eps, t), new

    return rule


def _wrong_ways(problem: Problem, found: Path) -> Iterator[Way]:
    """Give each known mistake with where it leads, the plain ones first."""
    steps = len(found.xs)
    still = [[a.astype(np.float64) for a in problem.start]] * steps
    empty = [[np.zeros(a.shape) for a in problem.start]] * steps
    yield Way("nothing changes", Path(still, empty))
    yield Way("x rebound", Path(still, follow(problem, steps=steps).ss))
    for name, average in AVERAGES.items():
        yield Way(name, follow(problem, _rule(average, None), steps))
    for name, step in STEPS.items():
        yield Way(name, follow(problem, _rule(_leaky, step), steps))
    forgetful = follow(problem, _rule(AVERAGES["forgot the old average"], None), steps)
    yield Way("s rebound", Path(forgetful.xs, empty))
    corrected = _rule(
        _leaky, lambda g, s, old, lr, gamma, eps, t: lr * g / (np.sqrt(s / (1 - gamma**t)) + eps)
    )
    yield Way("correction", follow(problem, corrected, steps))  # as Adam has it
    for name, average in AVERAGES.items():  # two mistakes at once
        yield Way(name, follow(problem, _rule(average, STEPS["eps outside"]), steps))
    yield Way("shared", _shared(problem, steps))
    summed = [list(np.cumsum(g, axis=0)) for g in zip(*problem.gradients, strict=True)]
    yield Way("not cleared", _with_gradients(problem, list(zip(*summed, strict=True)), steps))
    if steps:
        yield from _clipped(problem, found)
        yield from _written_in(problem, found)


def _with_gradients(problem: Problem, gradients: Any, steps: int) -> Path:
    return follow(problem._replace(gradients=gradients), steps=steps)


def _shared(problem: Problem, steps: int) -> Path:
    """Return where one state for all parameters leads; it needs them to be of one shape."""
    path = Path([], [])
    if len(problem.start) == 1 or len({a.shape for a in problem.start}) > 1:
        return path
    s, xs = np.zeros(problem.start[0].shape), [a.astype(np.float64) for a in problem.start]
    with np.errstate(all="ignore"):
        for t, gradients in enumerate(problem.gradients[:steps], 1):
            for i, g in enumerate(gradients):
                xs[i], s = formula(
                    xs[i], s, g.astype(np.float64), problem.lr, problem.gamma, problem.eps, t
                )
            path.xs.append(list(xs))
            path.ss.append([s] + [np.zeros(s.shape) for _ in xs[1:]])
    return path


def _clipped(problem: Problem, found: Path) -> Iterator[Way]:
    """Give the clipping that the averages tell: of entries, of each norm, of the norm of all."""
    steps, gamma = len(found.xs), problem.gamma
    given = [[g.astype(np.float64) for g in step] for step in problem.gradients]
    averages = [[np.zeros(g.shape) for g in given[0]], *found.ss]
    if any(a.shape != g.shape for s in averages for a, g in zip(s, given[0], strict=True)):
        return

    def norm(arrays: Arrays) -> float:
        return float(np.sqrt(sum(np.sum(a * a) for a in arrays)))

    def shortened(arrays: Arrays, longest: float) -> Arrays:
        return [a * min(1, longest / max(norm(arrays), 1e-300)) for a in arrays]

    with np.errstate(all="ignore"):
        taken = [
            [np.sqrt((s - gamma * old) / (1 - gamma)) for old, s in zip(before, after, strict=True)]
            for before, after in itertools.pairwise(averages)
        ]
        limit = max((float(a.max()) for step in taken for a in step if a.size), default=np.nan)
        each = max(norm([a]) for step in taken for a in step)
        whole = max(norm(step) for step in taken)
    entries = [[np.clip(g, -limit, limit) for g in step] for step in given]
    yield Way("clipped", _with_gradients(problem, entries, steps), limit)
    norms = [[shortened([g], each)[0] for g in step] for step in given]
    yield Way("clipped", _with_gradients(problem, norms, steps), each)
    together = [shortened(step, whole) for step in given]
    yield Way("clipped", _with_gradients(problem, together, steps), whole)


def _written_in(problem: Problem, found: Path) -> Iterator[Way]:
    """Give what follows from a number that stands in the code instead of in hyperparams."""
    steps = len(found.xs)
    x, g, s = problem.start[0], problem.gradients[0][0].astype(np.float64), found.ss[0][0]
    if s.shape != x.shape or not x.size:
        return
    with np.errstate(all="ignore"):
        gamma = float(np.median(1 - s / g**2))
        lr = float(np.median((x - found.xs[0][0]) * np.sqrt(s + problem.eps) / g))
    gamma, lr = (float(f"{number:.4g}") for number in (gamma, lr))
    for name, value in [("gamma", gamma), ("lr", lr)] + [("eps", eps) for eps in EPSILONS]:
        changed: Any = problem._replace(**{name: value})  # type: ignore[arg-type]
        if np.isfinite(value):
            yield Way(f"{name} written in", follow(changed, steps=steps), value)
            if name == "eps":
                outside = follow(changed, _rule(_leaky, STEPS["eps outside"]), steps)
                yield Way("eps written in", outside, value)


EPSILONS = (1e-6, 1e-8, 1e-7, 1e-5, 1e-4, 1e-3, 1e-10, 1e-12, 0.0, 1.0)
