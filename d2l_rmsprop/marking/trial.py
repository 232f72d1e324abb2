"""A trial: a student's function on the problems, where the student's code may run.

In a notebook that is its own process, for the command line a sandbox. What a trial writes is read
by ``check``, where no student's code ran, and is taken for numbers and for words of ours alone.
"""

import ast
import contextlib
import importlib
import json
import struct
import sys
import traceback
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

import d2l_rmsprop

from ..backend import BACKENDS, load
from .problems import Problem

HEADER = struct.Struct(">cI")  # of a message: N numbers, P a problem's end, W a word; its length
LONG = 160  # characters of an error that are passed on
FILE = "<submission>"


class Stopped(Exception):
    """The trial ends with a word of ours instead of numbers."""

    def __init__(self, key: str, **fields: Any) -> None:
        super().__init__(key)
        self.message = {"key": key, **fields}


class OursError(BaseException):
    """The package's own function was called, which is not the student's work."""


def run(
    out: BinaryIO, student: Callable[[], Callable], problems: Sequence[Problem], backend: str
) -> None:
    """Write how the function that ``student()`` returns goes on each problem, on one framework."""

    def write(kind: bytes, content: bytes = b"") -> None:
        out.write(HEADER.pack(kind, len(content)) + content)
        out.flush()

    try:
        function = student()
        d2l, clears = _world(backend)
        for problem in problems:
            if not _holds(d2l, problem):
                write(b"W", b'{"key": "skipped"}')
                continue
            try:
                for numbers in _follow(d2l, function, problem, clears):
                    write(b"N", numbers)
            except Stopped as stop:
                if problem.strict or stop.message["key"] != "raises":
                    raise
                write(b"W", b'{"key": "skipped"}')
            else:
                write(b"P")
    except OursError:
        write(b"W", b'{"key": "own"}')
    except Stopped as stop:
        write(b"W", json.dumps(stop.message).encode())


def _holds(d2l: Any, problem: Problem) -> bool:
    """Return whether the framework has such arrays: JAX has no float64, MXNet's nd no scalars."""
    try:
        kept = [d2l.numpy(d2l.from_numpy(a)) for a in problem.start]
    except Exception:
        return False
    return all(
        (a.dtype, a.shape) == (b.dtype, b.shape) for a, b in zip(kept, problem.start, strict=True)
    )


def _world(backend: str) -> tuple[Any, bool]:
    """Return the framework as the submission's edition knows it, and whether its loop clears.

    The first edition has MXNet's older arrays; in PyTorch its training loop clears the gradients.
    """
    module = sys.modules.get("submission")
    used = {getattr(value, "__name__", "") for value in vars(module).values()} if module else set()
    if backend == "mxnet" and used & {"mxnet.ndarray", *_editions("mxnet")}:
        return sys.modules["d2l_rmsprop.editions.mxnet_nd"], False
    return load(backend), bool(used & {*_editions("torch")})


#: what the chapters of older editions import -> its framework
EDITIONS = {
    "utils": "mxnet",
    "gluonbook": "mxnet",
    "d2lzh": "mxnet",
    "d2lzh_pytorch": "torch",
    "d2lzh_tensorflow2": "tensorflow",
}


def _editions(backend: str) -> list[str]:
    return [f"d2l_rmsprop.editions.{name}" for name, of in EDITIONS.items() if of == backend]


def preload(backend: str) -> None:
    """Import a framework and what its older editions import; later the files may be out of sight.

    Raises ImportError.
    """
    load(backend)
    for name in _editions(backend):
        importlib.import_module(name)


def _follow(d2l: Any, function: Callable, problem: Problem, clears: bool) -> Iterator[bytes]:
    """Give x and s of each parameter after each step, as the bytes of float64."""
    params = [d2l.parameter(a) for a in problem.start]
    states = [d2l.variable(d2l.from_numpy(np.zeros_like(a))) for a in problem.start]
    try:
        take = d2l.optimizer_step(function, params, states, problem.hyperparams)
        for gradients in problem.gradients:
            for x, g in zip(params, gradients, strict=True):
                if clears:
                    x.grad = None
                d2l.give_gradient(x, d2l.from_numpy(g))
            take([x.grad for x in params])
            yield b"".join(
                _read(d2l, name, i, a, problem.start[i].shape)
                for i, pair in enumerate(zip(params, states, strict=True))
                for name, a in zip("xs", pair, strict=True)
            )
    except NotImplementedError:
        raise Stopped("not written") from None
    except Stopped:
        raise
    except Exception as error:
        shapes = ", ".join(str(a.shape) for a in problem.start)
        raise Stopped("raises", error=said(error), shapes=shapes, line=line_of(error)) from None


def _read(d2l: Any, name: str, i: int, a: Any, shape: tuple[int, ...]) -> bytes:
    numbers = np.asarray(d2l.numpy(a), np.float64)
    if numbers.shape != shape:
        raise Stopped(
            "reshaped", where=f"{name}{i + 1}", found=str(numbers.shape), expected=str(shape)
        )
    return numbers.tobytes()


def said(error: BaseException) -> str:
    """Return an error in one short line."""
    text = " ".join(str(error).split())[:LONG]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def line_of(error: BaseException) -> int:
    """Return the line of the student's code that an error comes from, 0 where it is elsewhere."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno or 0 for f in reversed(frames) if f.filename.startswith(FILE)), 0)


# the student's code


def function_in(cells: Sequence[str], backend: str) -> Callable:
    """Run a submission up to where it defines rmsprop, and the definitions after it; return it.

    What a cell does otherwise, training or drawing, is not run, nor is a cell that is not Python.
    A statement that fails is passed over, and said only if there is no rmsprop in the end.
    """
    _stand_in(backend)
    statements: list[ast.stmt] = []
    broken: dict[str, Any] | None = None
    for number, cell in enumerate(cells, 1):
        try:
            body = ast.parse(cell).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            broken = broken or {"key": "not python", "line": line, "error": said(error)}
            continue
        for statement in body:
            statement.cell = number  # type: ignore[attr-defined]
        statements += body
    last = max((i for i, s in enumerate(statements) if "rmsprop" in _bound(s)), default=-1)
    definitions = ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom
    module = types.ModuleType("submission")
    sys.modules["submission"] = module
    for i, statement in enumerate(statements):
        if i <= last or isinstance(statement, definitions):
            try:
                code = compile(ast.Module([statement], []), FILE, "exec")
                exec(code, vars(module))
            except Exception as error:
                line = line_of(error) or statement.lineno
                broken = broken or {"key": "not run", "line": line, "error": said(error)}
    function = vars(module).get("rmsprop")
    if function is None:
        raise Stopped(**(broken or {"key": "missing"}))
    if not callable(function):
        raise Stopped("not callable", kind=type(function).__name__)
    return function


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds where it stands, not in the functions it defines."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {alias.asname or alias.name for alias in statement.names}
    names = {
        n.id
        for n in ast.walk(statement)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    return names.union(
        *(_bound(s) for s in ast.iter_child_nodes(statement) if isinstance(s, ast.stmt))
    )


def _stand_in(backend: str) -> None:
    """Let every import of the chapters' d2l find the framework that is tried."""
    preload(backend)
    module = load(backend)
    sys.modules["d2l"] = d2l_rmsprop
    for name, framework in EDITIONS.items():
        if framework == backend:
            sys.modules[name] = sys.modules[f"d2l_rmsprop.editions.{name}"]
    for name in BACKENDS:
        sys.modules[f"d2l.{name}"] = sys.modules[f"d2l_rmsprop.{name}"] = module
        setattr(d2l_rmsprop, name, module)


# the package's own functions are not a student's work

_OWN: tuple[Any, ...] = (d2l_rmsprop.rmsprop, d2l_rmsprop.rmsprop_2d)


def _ours(*args: Any, **kwargs: Any) -> Any:
    from d2l_rmsprop.marking.trial import OursError

    raise OursError


def disown() -> None:
    """Let our own functions, whatever road leads to them, say that they are ours, from now on."""
    for function in _OWN:
        function.__code__, function.__defaults__ = _ours.__code__, None


@contextlib.contextmanager
def disowned() -> Iterator[None]:
    """The same for a while, in a process that needs them again."""
    kept = [(function, function.__code__, function.__defaults__) for function in _OWN]
    disown()
    try:
        yield
    finally:
        for function, code, defaults in kept:
            function.__code__, function.__defaults__ = code, defaults
