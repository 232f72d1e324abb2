"""What every verb shares: however it ends, one sentence says why, and an exit code."""

import contextlib
import errno
import functools
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import click

_STOPS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# what a stream that cannot be written raises; nothing else that we do meets them without a name
_OF_PRINTING = (errno.ENOSPC, errno.EFBIG, errno.EBADF, errno.EIO, errno.EDQUOT)


class Stopped(KeyboardInterrupt):
    """A signal that ends the program: Ctrl-C, SIGTERM, or SIGHUP of a terminal that is gone."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


class Program(click.Group):
    """A group of verbs whose errors and stops are said in one sentence, never by a traceback.

    Exit code 0: done. 1: it failed. 2: bad usage. 128 and the signal's number: stopped, so 130
    after Ctrl-C and 143 after SIGTERM. A verb that keeps something when it is stopped says so in
    the attribute ``kept`` of the KeyboardInterrupt that it hands on.
    """

    def main(self, *args: Any, **extra: Any) -> Any:
        run = functools.partial(super().main, *args, **extra | {"standalone_mode": False})
        if not extra.get("standalone_mode", True):
            return run()
        _open_streams()
        with _signals_raise(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no one on a command line can act on a library's
            code = _ended(run)
            _mute_what_fails()
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _said(stop) from stop  # click would print an empty line and "Aborted!"
        except EOFError as error:  # which click takes for Ctrl-D; here it is a file cut short
            raise click.ClickException(sentence(error)) from error


def _said(stop: BaseException | None) -> click.ClickException:
    number = getattr(stop, "number", signal.SIGINT)
    what = "interrupted" if number == signal.SIGINT else f"stopped by {signal.Signals(number).name}"
    error = click.ClickException(f"{what}: {getattr(stop, 'kept', 'nothing is kept')}.")
    error.exit_code = 128 + number  # type: ignore[misc]
    return error


def _ended(run: Callable[[], Any]) -> int:
    """Return the exit code of a run, after saying on stderr why it is not 0."""
    try:
        result = run()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except click.ClickException as error:
        said = error
    except (click.Abort, KeyboardInterrupt) as error:  # before or after the verb itself
        said = _said(error.__cause__ if isinstance(error, click.Abort) else error)
    except Exception as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 1  # who reads has enough
        said = click.ClickException(sentence(error))
    with contextlib.suppress(OSError):
        said.show()
    return said.exit_code


def sentence(error: BaseException) -> str:
    """Return what to say of an error: our own are sentences, others say what and where."""
    package = __name__.partition(".")[0]
    if type(error).__module__.partition(".")[0] == package:
        return str(error)
    what = " ".join(str(error).split())
    if isinstance(error, OSError):
        why = error.strerror or what
        if error.filename is None and error.errno in _OF_PRINTING:
            return f"the output cannot be written ({why}); send it elsewhere."
        return f"{error.filename}: {why}." if error.filename else f"{why.rstrip('.')}."
    if isinstance(error, MemoryError):
        return f"the memory does not suffice ({what or 'no more is free'}); ask for less at once."
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if package in frame.filename.split(os.sep)]
    place = f"{os.path.basename(ours[-1].filename)}:{ours[-1].lineno}" if ours else "start"
    what = f"{type(error).__name__}: {what[:200]}".rstrip(": ")
    return f"this is a fault in d2l-rmsprop ({what}, at {place}); please report it."


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn the signals that stop a program into Stopped, in the main thread."""

    def stop(number: int, frame: Any) -> None:
        stopped.append(number)
        raise Stopped(number)

    stopped: list[int] = []
    before = {}
    for number in _STOPS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):  # nohup's, a background job's
            with contextlib.suppress(ValueError):  # not in the main thread
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():  # a second Ctrl-C must not disturb the end
            signal.signal(number, signal.SIG_IGN if stopped else handler)


def _open_streams() -> None:
    """Give the streams that are closed a place to go, and let every character be printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _reader_is_gone() -> bool:
    """Return whether our own output is the pipe that nobody reads any more."""
    import select

    if not hasattr(select, "poll"):
        return True
    watched = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            watched.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in watched.poll(0))


def _mute_what_fails() -> None:
    """Send a stream that cannot be written nowhere, so that Python's own end is quiet."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
