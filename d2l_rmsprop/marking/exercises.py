"""The functions that the exercises ask for beside rmsprop, judged by what they return."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from ..experiments.sweep import sweep
from ..lesson.data import Minibatches, as_is, linear_problem, split
from ..lesson.trace import trace_linreg
from .exercise_words import WORDS
from .trial import said

Answer = Callable[..., Any]


class Told(Exception):
    """What a check knows of an answer before it compares numbers: a word, with its fields."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.key, self.fields = key, fields


class Graded(NamedTuple):
    """One function that a student writes.

    ``tries`` returns fresh arguments; ``right`` says what it should return for them, ``also`` what
    is as good; ``mistakes`` what each usual mistake returns. ``watched`` turns an answer that
    calls something into one that returns the numbers that matter, of the names ``places``.
    """

    right: Answer
    tries: Callable[[np.random.Generator], list[tuple]]
    mistakes: dict[str, Answer]
    also: tuple[Answer, ...] = ()
    tolerance: float = 1e-5  # it may compute in float32
    watched: Callable[[Answer], Answer] = lambda answer: answer
    places: tuple[str, ...] = ()


def mistake_in(name: str, names: Mapping[str, Any], language: str = "en") -> str | None:
    """Return what is wrong with the function of this name, in one sentence, None if it is right."""
    words = WORDS[language]
    try:
        first = _first_mistake(name, names.get(name), np.random.default_rng())
    except Told as told:
        return words[told.key].format(name=name, **told.fields)
    if first is None:
        return None
    key, what, fields = first
    form = words["shape" if isinstance(fields["found"], tuple) else "first"]
    return words.get(key, "").format(name=name, **fields) + form.format(what=what, **fields)


def _first_mistake(
    name: str, answer: Any, rng: np.random.Generator
) -> tuple[str, str, dict[str, Any]] | None:
    """Return the word for the mistake, and where the first number differs, with both numbers."""
    graded = GRADED[name]
    if answer is None:
        raise Told("not written")
    if not callable(answer):
        raise Told("not callable", kind=type(answer).__name__)
    tries = graded.tries(rng)
    found = [_numbers(graded, answer, name, args) for args in tries]

    def agrees(other: Answer, tolerance: float = graded.tolerance) -> bool:
        return all(
            _differ(a, np.asarray(other(*args), np.float64), tolerance) is None
            for a, args in zip(found, tries, strict=True)
        )

    if any(agrees(right) for right in (graded.right, *graded.also)):
        return None
    key = next((key for key, wrong in graded.mistakes.items() if agrees(wrong)), "")
    fields: dict[str, Any] = {}
    if not key:
        ignored = next(_ignored(graded, answer, name, tries, found), None)
        key, fields = ("ignores", {"argument": ignored}) if ignored else ("", {})
    for a, args in zip(found, tries, strict=True):
        expected = np.asarray(graded.right(*args), np.float64)
        if (index := _differ(a, expected, graded.tolerance)) is not None:
            call = f"{name}({', '.join(map(_short, args))})"
            if a.shape != expected.shape:
                return key, call, fields | {"found": a.shape, "expected": expected.shape}
            what = graded.places[index[0]] if graded.places else call + _place(index)
            return key, what, fields | {"found": a[index], "expected": expected[index]}
    raise AssertionError("an answer that differs nowhere is right")


def _numbers(graded: Graded, answer: Answer, name: str, args: tuple) -> np.ndarray:
    """Return what the answer returns for copies of the arguments, as float64."""
    copies = [list(a) if isinstance(a, list) else a for a in args]
    try:
        with np.errstate(all="ignore"):
            returned = graded.watched(answer)(*copies)
    except NotImplementedError:
        raise Told("not written") from None
    except Told:
        raise
    except Exception as error:
        call = f"{name}({', '.join(map(_short, args))})"
        raise Told("raises", call=call, error=said(error)) from None
    if returned is None:
        raise Told("returns nothing")
    try:
        return np.asarray(returned, np.float64)
    except (TypeError, ValueError):
        raise Told("no numbers", kind=type(returned).__name__) from None


def _differ(a: np.ndarray, b: np.ndarray, tolerance: float) -> tuple[int, ...] | None:
    """Return the index of the first number that differs, () where the shapes do."""
    if a.shape != b.shape:
        return ()
    scale = float(np.abs(b[np.isfinite(b)]).max(initial=0))  # float32 rounds to the largest
    equal = np.isclose(a, b, rtol=tolerance, atol=1e-12 + tolerance / 10 * scale)
    return None if equal.all() else tuple(map(int, np.argwhere(~equal)[0]))


def _ignored(
    graded: Graded, answer: Answer, name: str, tries: list[tuple], found: list[np.ndarray]
) -> Iterator[str]:
    """Give the arguments that the right function minds and the answer does not."""
    for place, argument in enumerate(inspect.signature(graded.right).parameters):
        changed = [
            (*args[:place], other[place], *args[place + 1 :])
            for args, other in zip(tries, tries[1:] + tries[:1], strict=True)
        ]
        same = all(
            _differ(_numbers(graded, answer, name, args), a, 1e-12) is None
            for args, a in zip(changed, found, strict=True)
        )
        minded = any(
            _differ(np.asarray(graded.right(*args)), np.asarray(graded.right(*old)), 1e-6)
            is not None
            for args, old in zip(changed, tries, strict=True)
        )
        if same and minded:
            yield argument


def _short(a: Any) -> str:
    if isinstance(a, list):
        shown = [_short(v) for v in a[:3]] + ["..."] * (len(a) > 3)
        return f"[{', '.join(shown)}]"
    return f"{a:.4g}" if isinstance(a, (int, float)) else str(a)


def _place(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""


# exercise 2: the plane


def _grad(x1: float, x2: float) -> tuple[float, float]:
    along, across = 0.2 * (x1 + x2), 4 * (x1 - x2)
    return along + across, along - across


def _points(rng: np.random.Generator) -> list[tuple]:
    return [(1.0, 0.0), (0.0, 1.0), *(tuple(x) for x in rng.normal(size=(3, 2)).tolist())]


_HESSIAN = np.array([[4.2, -3.8], [-3.8, 4.2]])


# exercise 3: gamma


def _leaky(values: list, gamma: float, new: float | None = None, first: float = 0.0) -> list:
    new, s, averages = 1 - gamma if new is None else new, first, []
    for v in values:
        s = gamma * s + new * v
        averages.append(s)
    return averages


def _lists(rng: np.random.Generator) -> list[tuple]:
    gammas = rng.choice([0.6, 0.7, 0.8, 0.95], 2, replace=False).tolist()
    return [([4, 0, 0], 0.9), *((rng.normal(size=int(rng.integers(5, 9))).tolist(), gamma)
                                for gamma in gammas)]  # fmt: skip


def _grids(rng: np.random.Generator) -> list[tuple]:
    return [
        (
            [float(f"{lr:.2g}") for lr in np.sort(10 ** rng.uniform([-3, -2], [-2.1, -1.1]))],
            [round(float(g), 2) for g in np.sort(rng.uniform([0.3, 0.6, 0.91], [0.5, 0.9, 0.98]))],
            rng.choice(np.arange(6, 50), 2, replace=False).tolist(),
        )
        for _ in range(2)
    ]


@functools.lru_cache
def _table(lrs: tuple, gammas: tuple, seed: int) -> np.ndarray:
    return sweep(lrs, gammas, seed=seed, draw=False).losses


def _tables(lrs: list, gammas: list, seeds: Any) -> np.ndarray:
    return np.array([_table(tuple(lrs), tuple(gammas), seed) for seed in seeds])


def _progress(rng: np.random.Generator) -> list[tuple]:
    early, late = rng.uniform(0.05, 0.45, 2), rng.uniform(0.55, 0.95, 2)
    return [(0.0,), *((round(t, 2),) for t in np.sort([*early, *late]).tolist())]


def _falls(rng: np.random.Generator) -> list[tuple]:
    starts = [float(f"{start:.2g}") for start in rng.uniform(0.001, 0.1, 4)]
    return list(zip([0.0, 0.25, 0.5, 1.0], starts, strict=True))


def _up(t: float) -> float:
    return 0.9 if t < 0.5 else 0.99


def _down(t: float) -> float:
    return 0.99 if t < 0.5 else 0.9


# exercise 4: smoothness


def _late(losses: list) -> np.ndarray:
    return np.log10(np.asarray(losses)[-100:])


def _losses(rng: np.random.Generator) -> list[tuple]:
    fresh = [10 ** np.cumsum(rng.normal(-0.1, 0.3, n)) for n in rng.integers(150, 300, 2)]
    return [([1e9] * 50 + [1.0, 10.0] * 50,), *((losses.tolist(),) for losses in fresh)]


class _Run:
    """The notebook's ``run``, which keeps what it was asked for and gave."""

    def __init__(self) -> None:
        self.calls: list[tuple] = []
        self.given: list[Any] = []

    def __repr__(self) -> str:
        return "run"

    def __call__(self, lr: Any, gamma: Any, num_epochs: Any = 3, seed: Any = 0) -> Any:
        def update(x: Any, s: Any, g: Any, lr: Any) -> Any:
            s = gamma * s + (1 - gamma) * g**2
            return x - lr * g / np.sqrt(s + 1e-8), s

        start = np.append(np.random.default_rng(seed).normal(size=2), 0)
        batches = Minibatches(linear_problem(), 10, True, split, as_is)
        trace = trace_linreg(update, lr, batches, num_epochs, start=start, seed=seed)
        self.calls.append((lr, gamma, num_epochs))
        self.given.append((trace.losses[1:], lr / np.sqrt(trace.s[1:] + 1e-8)))
        return self.given[-1]


def _asked(experiment: Answer, run: _Run) -> tuple:
    """Return the arguments of the one call of run, whose result the experiment returns."""
    run.calls.clear()
    run.given.clear()
    returned = experiment(run)
    if len(run.calls) != 1:
        raise Told("calls", function="run", count=len(run.calls))
    if returned is not run.given[0]:
        raise Told("returns another")
    return run.calls[0]


def _asked_for_a_high_rate(experiment: Answer) -> Answer:
    def numbers(run: _Run) -> tuple:
        lr, *others = _asked(experiment, run)
        rate = float(run.given[0][1][-100:].mean())
        if others == [0.999, 3] and not rate > 1:
            raise Told("low rate", lr=lr, rate=rate)
        return tuple(others)

    return numbers


# exercise 5: Fashion-MNIST


class _TrainMLP:
    """``d2l.train_mlp`` in its place: accuracies that tell on what, how, and how long it ran."""

    def __init__(self) -> None:
        self.count = 0

    def __repr__(self) -> str:
        return "train_mlp"

    def __call__(
        self, train_iter: Any, test_iter: Any, lr: Any, *, num_epochs: int = 5, **others: Any
    ) -> Any:
        self.count += 1
        seed = [ord(str(train_iter)[0]), ord(str(test_iter)[0]), int(lr * 1e9), num_epochs]
        rng = np.random.default_rng(seed)
        accuracies = rng.uniform(0.5, 0.9, num_epochs).round(3).tolist()
        return SimpleNamespace(accuracies=accuracies, losses=[], seconds=0.0)


def _last(train_mlp: Any, train_iter: Any, valid_iter: Any, lrs: list, num_epochs: int = 2) -> list:
    runs = [train_mlp(train_iter, valid_iter, lr, num_epochs=num_epochs) for lr in lrs]
    return [run.accuracies[-1] for run in runs]


def _trained(answer: Answer) -> Answer:
    def numbers(train_mlp: _TrainMLP, *others: Any) -> Any:
        before = train_mlp.count
        returned = answer(train_mlp, *others)
        if train_mlp.count == before:
            raise Told("calls", function="train_mlp", count=0)
        return returned

    return numbers


def _rates(rng: np.random.Generator) -> list[tuple]:
    return [
        (_TrainMLP(), "train_iter", "valid_iter", [float(f"{lr:.2g}") for lr in lrs.tolist()])
        for lrs in 10 ** rng.uniform(-5, -1, (2, 3))
    ]


def _choices(rng: np.random.Generator) -> list[tuple]:
    choices = []
    for best in (1, 3, 2):
        accuracies = rng.uniform(0.3, 0.7, 5).round(3)
        accuracies[best] = round(float(rng.uniform(0.8, 0.9)), 3)
        lrs = np.sort(10 ** rng.uniform(-5, -1, 5))
        choices.append(([float(f"{lr:.2g}") for lr in lrs], accuracies.tolist()))
    return choices


GRADED: dict[str, Graded] = {
    "largest_lr": Graded(
        lambda eps: np.sqrt(eps) / 2,
        lambda rng: [(1e-6,), (1e-4,), (float(f"{rng.uniform(0.1, 1):.2g}"),)],
        {
            "eps outside": lambda eps: eps / 2,
            "rate": lambda eps: 0.5,
            "flat direction": lambda eps: 10 * np.sqrt(eps),
            "factor 0": lambda eps: np.sqrt(eps) / 4,
            "curvature 2": lambda eps: np.sqrt(eps),
        },
        tolerance=0.01,  # it may be found by trying
    ),
    "turned_grad": Graded(
        _grad,
        _points,
        {
            "straight": lambda x1, x2: (0.2 * x1, 4 * x2),
            "half": lambda x1, x2: np.array(_grad(x1, x2)) / 2,
            "inner": lambda x1, x2: np.repeat(_grad(x1, x2)[0], 2),
            "order": lambda x1, x2: _grad(x1, x2)[::-1],
            "descent": lambda x1, x2: -np.array(_grad(x1, x2)),
        },
    ),
    "hessian": Graded(
        lambda: _HESSIAN,
        lambda rng: [()],
        {
            "half the hessian": lambda: _HESSIAN / 2,
            "straight hessian": lambda: np.diag([0.2, 4]),
            "eigenvalues": lambda: np.diag([0.4, 8]),
            "mixed sign": lambda: abs(_HESSIAN),
            "no mixed": lambda: np.diag([4.2, 4.2]),
        },
    ),
    "leaky_average": Graded(
        _leaky,
        _lists,
        {
            "swapped": lambda values, gamma: _leaky(values, 1 - gamma),
            "forgot 1 - gamma": lambda values, gamma: _leaky(values, gamma, 1),
            "first value": lambda values, gamma: _leaky(values, gamma, first=values[0]),
            "corrected": lambda values, gamma: (
                _leaky(values, gamma) / (1 - gamma ** np.arange(1, len(values) + 1))
            ),
            "squared": lambda values, gamma: _leaky([v * v for v in values], gamma),
            "plain mean": lambda values, gamma: np.cumsum(values) / np.arange(1, len(values) + 1),
            "with s_0": lambda values, gamma: [0, *_leaky(values, gamma)],
            "without the last": lambda values, gamma: [0, *_leaky(values, gamma)[:-1]],
            "only the last": lambda values, gamma: _leaky(values, gamma)[-1],
            "forgot the old": lambda values, gamma: [(1 - gamma) * v for v in values],
        },
    ),
    "plain_count": Graded(
        lambda gamma: (1 + gamma) / (1 - gamma),
        lambda rng: [((n - 1) / (n + 1),) for n in (19, *rng.integers(5, 60, 2).tolist())],
        {
            "newest": lambda gamma: 1 / (1 - gamma),
            "mean age": lambda gamma: gamma / (1 - gamma),
            "half-life": lambda gamma: np.log(0.5) / np.log(gamma),
            "upside down": lambda gamma: (1 - gamma) / (1 + gamma),
            "sum of squares": lambda gamma: 1 / (1 - gamma**2),
            "only the newest weight": lambda gamma: 1 / (1 - gamma) ** 2,
        },
    ),
    "sensitivity": Graded(
        lambda lrs, gammas, seeds: _tables(lrs, gammas, seeds).mean(axis=0),
        _grids,
        {
            "axes": lambda lrs, gammas, seeds: _tables(lrs, gammas, seeds).mean(axis=0).T,
            "grid": lambda lrs, gammas, seeds: _tables(gammas, lrs, seeds).mean(axis=0),
            "grid, axes": lambda lrs, gammas, seeds: _tables(gammas, lrs, seeds).mean(axis=0).T,
            "no mean": _tables,
            "sum": lambda lrs, gammas, seeds: _tables(lrs, gammas, seeds).sum(axis=0),
            "one seed": lambda lrs, gammas, seeds: _tables(lrs, gammas, seeds[:1])[0],
            "last seed": lambda lrs, gammas, seeds: _tables(lrs, gammas, seeds[-1:])[0],
        },
    ),
    "falling_lr": Graded(
        lambda t, start: start * (1 - t),
        _falls,
        {
            "rises": lambda t, start: start * t,
            "stays above": lambda t, start: start * (1 - t / 2),
            "cosine": lambda t, start: start * (1 + np.cos(np.pi * t)) / 2,
            "exponential": lambda t, start: start * np.exp(-t),
        },
    ),
    "gamma_up": Graded(
        _up,
        _progress,
        {"other way": _down, "ramp": lambda t: 0.9 + 0.09 * t},
    ),
    "gamma_down": Graded(
        _down,
        _progress,
        {"other way": _up, "ramp": lambda t: 0.99 - 0.09 * t},
    ),
    "roughness": Graded(
        lambda losses: np.std(np.diff(_late(losses))),
        _losses,
        {
            "no log": lambda losses: np.std(np.diff(losses[-100:])),
            "natural log": lambda losses: np.std(np.diff(np.log(losses[-100:]))),
            "no difference": lambda losses: np.std(_late(losses)),
            "all losses": lambda losses: np.std(np.diff(np.log10(losses))),
            "first losses": lambda losses: np.std(np.diff(np.log10(losses[:100]))),
            "variance": lambda losses: np.var(np.diff(_late(losses))),
            "mean size": lambda losses: np.mean(np.abs(np.diff(_late(losses)))),
        },
        also=(
            lambda losses: np.std(np.diff(_late(losses)), ddof=1),
            lambda losses: np.std(np.diff(np.log10(losses))[-100:]),
            lambda losses: np.std(np.diff(np.log10(losses))[-100:], ddof=1),
        ),
    ),
    "ten_times_as_long": Graded(
        lambda run: (0.03, 0.999, 30),
        lambda rng: [(_Run(),)],
        {},
        watched=lambda answer: lambda run: _asked(answer, run),
        places=("lr", "gamma", "num_epochs"),
    ),
    "larger_lr": Graded(
        lambda run: (0.999, 3),
        lambda rng: [(_Run(),)],
        {},
        watched=_asked_for_a_high_rate,
        places=("gamma", "num_epochs"),
    ),
    "validation_accuracies": Graded(
        _last,
        _rates,
        {
            "first entry": lambda train, *others: [
                train(*others[:2], lr, num_epochs=2).accuracies[0] for lr in others[2]
            ],
            "best entry": lambda train, *others: [
                max(train(*others[:2], lr, num_epochs=2).accuracies) for lr in others[2]
            ],
            "five epochs": lambda train, a, b, lrs: _last(train, a, b, lrs, 5),
            "one epoch": lambda train, a, b, lrs: _last(train, a, b, lrs, 1),
            "on the training images": lambda train, a, b, lrs: _last(train, a, a, lrs),
            "images swapped": lambda train, a, b, lrs: _last(train, b, a, lrs),
        },
        watched=_trained,
    ),
    "choose_lr": Graded(
        lambda lrs, accuracies: lrs[int(np.argmax(accuracies))],
        _choices,
        {
            "index": lambda lrs, accuracies: np.argmax(accuracies),
            "accuracy": lambda lrs, accuracies: max(accuracies),
            "worst": lambda lrs, accuracies: lrs[int(np.argmin(accuracies))],
        },
    ),
}
