"""The verdict on one submission: from its numbers, where its code never ran."""

import io
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np

from ..backend import BACKENDS
from . import trial
from .mistakes import Path, explain
from .problems import Problem, problems
from .sandbox import Sandbox
from .submission import SubmissionError, code_of, language_of
from .words import WORDS

RIGHT, WRONG, NOT_CHECKED = ("right", "wrong", "cannot be checked")
SECONDS = 10.0  # that a trial may take on one framework


class Verdict(NamedTuple):
    """``mistake`` is None where the verdict is "right"."""

    verdict: str
    mistake: str | None


class Report(NamedTuple):
    """The verdict on a submission, and that of each framework."""

    verdict: str
    mistake: str | None
    backends: dict[str, Verdict]

    def as_json(self) -> dict[str, Any]:
        each = {name: verdict._asdict() for name, verdict in self.backends.items()}
        return {"verdict": self.verdict, "mistake": self.mistake, "backends": each}


def judge(
    written: bytes, end: str, tried: Sequence[Problem], language: str, seconds: float = SECONDS
) -> Verdict:
    """Return the verdict on what a trial wrote: the first problem that goes wrong decides."""
    words = WORDS[language]
    finished = 0
    path = Path([], [])
    for kind, content in _messages(written):
        if finished == len(tried):
            break
        problem = tried[finished]
        if kind == b"P":
            if len(path.xs) != len(problem.gradients):
                break
            if mistake := explain(problem, path, language):
                return Verdict(WRONG, mistake)
            finished, path = finished + 1, Path([], [])
        elif kind == b"N":
            arrays = _arrays(content, problem)
            if arrays is None or len(path.xs) == len(problem.gradients):
                break
            path.xs.append(arrays[0::2])
            path.ss.append(arrays[1::2])
        elif kind == b"W":
            key, fields = _word(content)
            if key == "skipped":
                if problem.strict and problem.start[0].dtype != np.float64:
                    break  # no framework has to: it is forged
                finished, path = finished + 1, Path([], [])
                continue
            if (
                path.xs
                and key in ("raises", "reshaped")
                and (m := explain(problem, path, language))
            ):
                return Verdict(WRONG, m)  # it went wrong before it stopped
            return Verdict(
                NOT_CHECKED if key in _NOT_CHECKED else WRONG, words[key].format(**fields)
            )
    if finished == len(tried):
        return Verdict(RIGHT, None)
    if path.xs and (mistake := explain(tried[finished], path, language)):
        return Verdict(WRONG, mistake)
    return Verdict(WRONG, words["stopped" if end == "stopped" else "died"].format(seconds=seconds))


_NOT_CHECKED = ("own", "missing", "not callable", "not python", "not run", "not written")
_FIELDS = {
    "raises": ("error", "shapes", "line"),
    "reshaped": ("where", "found", "expected"),
    "not callable": ("kind",),
    "not python": ("error", "line"),
    "not run": ("error", "line"),
} | dict.fromkeys(("own", "missing", "not written", "skipped"), ())


def _messages(written: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + trial.HEADER.size <= len(written):
        kind, length = trial.HEADER.unpack_from(written, place)
        place += trial.HEADER.size
        if place + length > len(written):
            return
        yield kind, written[place : place + length]
        place += length


def _arrays(content: bytes, problem: Problem) -> list[np.ndarray] | None:
    """Return x and s of each parameter in turn, or None where there are other numbers."""
    shapes = [a.shape for a in problem.start for _ in "xs"]
    sizes = [int(np.prod(shape)) for shape in shapes]
    if len(content) != 8 * sum(sizes):
        return None
    flat = np.split(np.frombuffer(content, np.float64), np.cumsum(sizes)[:-1])
    return [a.reshape(shape) for a, shape in zip(flat, shapes, strict=True)]


def _word(content: bytes) -> tuple[str, dict[str, str]]:
    """Return a word of ours with its fields as short plain text; a forged one is "died"."""
    try:
        message = json.loads(content.decode())
        key = message["key"]
        fields = {name: _plain(message[name]) for name in _FIELDS[key]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return "died", {}
    return key, fields


def _plain(value: Any) -> str:
    return "".join(c if c.isprintable() else " " for c in str(value))[: 2 * trial.LONG]


# on every framework


def check_cells(
    cells: Sequence[str],
    sandbox: Sandbox,
    backends: Sequence[str] = (),
    *,
    language: str = "en",
    seconds: float = SECONDS,
) -> Report:
    """Return the report on a submission's code, on the frameworks asked for or those it is for."""
    rng = np.random.default_rng(int.from_bytes(os.urandom(8), "little"))
    verdicts: dict[str, Verdict] = {}
    for name in backends or meant_for(cells):
        if name in sandbox.broken:
            if backends:
                verdicts[name] = Verdict(NOT_CHECKED, sandbox.broken[name])
            continue
        tried = problems(
            rng, short=bool(verdicts)
        )  # the long one once; it takes as long as the rest
        written, end = sandbox.run(cells, tried, name, seconds)
        verdicts[name] = judge(written, end, tried, language, seconds)
    if not verdicts:
        return Report(NOT_CHECKED, next(iter(sandbox.broken.values())), {})
    return _report(verdicts, language)


def _report(verdicts: dict[str, Verdict], language: str) -> Report:
    """Sum up: right where all are, else the first that is wrong, else what cannot be checked."""
    right = [name for name, v in verdicts.items() if v.verdict == RIGHT]
    if len(right) == len(verdicts):
        return Report(RIGHT, None, verdicts)
    order = [WRONG, NOT_CHECKED]
    name, (verdict, mistake) = min(
        ((n, v) for n, v in verdicts.items() if n not in right),
        key=lambda nv: order.index(nv[1][0]),
    )
    if right and verdict == WRONG:
        only = WORDS[language]["only"]
        mistake = only.format(right=", ".join(right), wrong=name, why=mistake)
    return Report(verdict, mistake, verdicts)


def meant_for(cells: Sequence[str]) -> list[str]:
    """Return the frameworks that a submission names by its imports; all of them if it names none.

    One on the package's own layer is for all of them, whichever it imports.
    """
    lines = re.findall(r"^\s*(?:from|import)\s[^#\n]*", "\n".join(cells), re.M)
    words = {word for line in lines for word in re.findall(r"\w+", line)}
    named = {trial.EDITIONS.get(word, word) for word in words} & set(BACKENDS)
    if len(named) > 1:
        named.discard("numpy")  # every framework's chapters import it
    if "d2l_rmsprop" in words or not named:
        return list(BACKENDS)
    return [name for name in BACKENDS if name in named]


def check_file(
    path: File,
    backends: Sequence[str] = (),
    *,
    language: str | None = None,
    seconds: float = SECONDS,
) -> tuple[Report, list[str]]:
    """Return the report on a file, .py or .ipynb, and what the sandbox could not hold.

    Raises SandboxError where there is none.
    """
    try:
        cells = code_of(path)
    except SubmissionError as error:
        return Report(NOT_CHECKED, str(error), {}), []
    language = language or language_of(path.read_text("utf-8", "replace"))
    with Sandbox(backends or meant_for(cells)) as sandbox:
        report = check_cells(cells, sandbox, backends, language=language, seconds=seconds)
        return report, sandbox.missing


def check_function(rmsprop: Callable, backend: str, language: str = "en") -> Verdict:
    """Return the verdict on a function, tried in this process, on one framework."""
    tried = problems(np.random.default_rng())
    out = io.BytesIO()
    with trial.disowned():
        trial.run(out, lambda: rmsprop, tried, backend)
    return judge(out.getvalue(), "died", tried, language)
