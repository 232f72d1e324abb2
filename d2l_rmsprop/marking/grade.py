"""A class: every submission of a folder checked in parallel, a row and a feedback file for each."""

import contextlib
import csv
import fnmatch
import hashlib
import io
import json
import re
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ..backend import BACKENDS
from ..experiments.cluster import cluster
from ..files import write
from .verdict import NOT_CHECKED, RIGHT, Report, Verdict, check_cells, meant_for
from .sandbox import Sandbox
from .submission import SubmissionError, code_of, language_of
from .words import WORDS

DEFINES = re.compile(
    r"^\s*(?:(?:async\s+)?def\s+rmsprop\b|rmsprop\s*(?::[^=]+)?=)|\bas\s+rmsprop\b", re.M
)


class GradeError(ValueError):
    """A class that cannot be graded, in one sentence."""


class Submission(NamedTuple):
    """A student's code, or why there is none; and the language of what is written around it."""

    student: str
    cells: list[str]
    problem: str | None
    language: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self[1:]).encode()).hexdigest()


def submissions_in(
    folder: Path, pattern: str = "*", language: str | None = None
) -> list[Submission]:
    """Return the submissions of a folder, by student.

    A student is a file ``STUDENT.py`` or ``STUDENT.ipynb`` in the folder, or a folder in it with
    files at any depth, as nbgrader's ``submitted/`` has them; of these, one defines rmsprop.
    ``pattern`` chooses among the names of files. Raises GradeError where there is none at all.
    """
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix not in (".py", ".ipynb") or path.is_dir() or _hidden(parts):
            continue
        student = parts[0] if len(parts) > 1 else path.stem
        if fnmatch.fnmatch(path.name, pattern):
            files.setdefault(unicodedata.normalize("NFC", student), []).append(path)
    if not files:
        raise GradeError(
            f"there is no .py or .ipynb file in {folder}; name the submissions' folder."
        )
    return [_submission(folder, student, paths, language) for student, paths in files.items()]


def _hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in parts)


def _submission(
    folder: Path, student: str, paths: Sequence[Path], language: str | None
) -> Submission:
    def failed(problem: str) -> Submission:
        return Submission(student, [], problem, language or "en")

    found: list[tuple[Path, list[str]]] = []
    problem = None
    for path in paths:
        if not path.resolve().is_relative_to(folder.resolve()):
            problem = (
                problem or f"{path.name} is a link out of the folder; put the file itself there."
            )
            continue
        try:
            cells = code_of(path)
        except SubmissionError as error:
            problem = problem or str(error)
            continue
        if len(paths) == 1 or DEFINES.search("\n".join(cells)):
            found.append((path, cells))
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path, _ in found)
        return failed(f"there are {len(found)} submissions, {names}; keep one.")
    if not found:
        return failed(problem or f"none of {len(paths)} files defines rmsprop.")
    path, cells = found[0]
    return Submission(
        student, cells, None, language or language_of(path.read_text("utf-8", "replace"))
    )


class Grading(NamedTuple):
    """How a class is graded."""

    backends: tuple[str, ...]  # asked for; none: those that each submission is for
    needed: tuple[str, ...]  # by any of them
    seconds: float


def grading_of(
    submissions: Sequence[Submission], backends: Sequence[str], seconds: float
) -> Grading:
    """Return how to grade these submissions; without ``backends`` each on those that it is for."""
    needed = set(backends) or {name for s in submissions for name in meant_for(s.cells)}
    return Grading(tuple(backends), tuple(n for n in BACKENDS if n in needed), seconds)


def grade(
    submissions: Sequence[Submission],
    target: Path,
    grading: Grading,
    *,
    points: float = 1,
    jobs: int = -1,
    scheduler: str | None = None,
    advance: Callable[[int], Any] = lambda count: None,
) -> dict[str, Report]:
    """Check all submissions, write ``target`` and a feedback file for each; return the reports.

    What is done is kept in ``target``.unfinished until all is; started again, it goes on.
    ``advance`` hears of the number of submissions done. Raises GradeError, SandboxError, OSError,
    and ClusterError for a scheduler that does not answer.
    """
    kept = target.with_name(f"{target.name}.unfinished")
    reports = _read(kept, submissions, grading)
    for s in submissions:
        if s.problem:
            reports[s.student] = Report(NOT_CHECKED, s.problem, {})
    advance(len(reports))
    todo = [s for s in submissions if s.student not in reports]
    try:
        with cluster(scheduler) if scheduler else contextlib.nullcontext() as backend:
            for found in _graded(todo, grading, backend, jobs):
                reports |= {student: _report(report) for student, report in found}
                advance(len(found))
    finally:
        write(kept, _as_json(submissions, grading, reports))
    if unfinished := [s.student for s in submissions if s.student not in reports]:
        raise GradeError(
            f"no worker survived {len(unfinished)} submissions, {unfinished[0]} first; "
            "the same command goes on with them."
        )
    _write_feedback(target.with_name(f"{target.stem}-feedback"), submissions, reports)
    write(target, _as_csv(submissions, reports, points))
    kept.unlink(missing_ok=True)
    return reports


def _graded(
    submissions: Sequence[Submission], grading: Grading, backend: Any, jobs: int
) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Give the reports as they come; what a dying worker had is tried once more."""
    from joblib import Parallel, delayed, parallel_config

    workers = {"backend": backend} if backend else {"backend": "threading", "n_jobs": jobs}
    done: set[str] = set()
    for _ in range(2):
        todo = [s for s in submissions if s.student not in done]
        blocks = [todo[i : i + BLOCK] for i in range(0, len(todo), BLOCK)]
        with contextlib.suppress(BrokenExecutor), parallel_config(**workers):
            parallel = Parallel(return_as="generator_unordered", batch_size=1)
            for found in parallel(delayed(_grade)(block, grading) for block in blocks):
                done |= {student for student, _ in found}
                yield found


BLOCK = 4  # submissions in one task

_here = threading.local()


def _grade(submissions: Sequence[Submission], grading: Grading) -> list[tuple[str, dict[str, Any]]]:
    """Check some submissions where this runs, in a sandbox that is kept for the next ones."""
    if getattr(_here, "grading", None) != grading:
        _here.sandbox, _here.grading = Sandbox(grading.needed), grading
    return [
        (
            s.student,
            check_cells(
                s.cells, _here.sandbox, grading.backends,
                language=s.language, seconds=grading.seconds,
            ).as_json(),
        )
        for s in submissions
    ]  # fmt: skip


# the files


def _report(content: dict[str, Any]) -> Report:
    each = {name: Verdict(v["verdict"], v["mistake"]) for name, v in content["backends"].items()}
    return Report(content["verdict"], content["mistake"], each)


def _as_json(
    submissions: Sequence[Submission], grading: Grading, reports: dict[str, Report]
) -> bytes:
    done = {
        s.student: {"sha256": s.sha256, "report": reports[s.student].as_json()}
        for s in submissions
        if s.student in reports and not s.problem
    }
    content = {"grading": [list(grading.backends), grading.seconds], "done": done}
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"


def _read(path: Path, submissions: Sequence[Submission], grading: Grading) -> dict[str, Report]:
    """Return the reports that an interrupted run kept, of submissions that are still the same."""
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["grading"] != [list(grading.backends), grading.seconds]:
            raise GradeError(
                f"{path} is of a run with other options; delete it, or use the same options."
            )
        done = {
            student: (each["sha256"], _report(each["report"]))
            for student, each in content["done"].items()
        }
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, RecursionError) as error:
        raise GradeError(f"{path} is not what an interrupted run leaves; delete it.") from error
    hashes = {s.student: s.sha256 for s in submissions}
    return {student: r for student, (sha256, r) in done.items() if hashes.get(student) == sha256}


def _as_csv(submissions: Sequence[Submission], reports: dict[str, Report], points: float) -> bytes:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["student", "score", "verdict", "mistake"])
    for s in submissions:
        report = reports[s.student]
        score = points if report.verdict == RIGHT else 0
        table.writerow(
            [_cell(s.student), f"{score:g}", report.verdict, _cell(report.mistake or "")]
        )
    return out.getvalue().encode()


def _cell(text: str) -> str:
    """Keep a spreadsheet from taking a student's words for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def _write_feedback(
    folder: Path, submissions: Sequence[Submission], reports: dict[str, Report]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for s in submissions:
        words, report = WORDS[s.language], reports[s.student]
        lines = [f"rmsprop: {words[report.verdict]}", "", report.mistake or ""]
        if len(report.backends) > 1:
            lines += [
                "",
                *(f"{n}: {v.mistake or words[v.verdict]}" for n, v in report.backends.items()),
            ]
        write(folder / f"{s.student}.txt", "\n".join(lines).strip().encode() + b"\n")
