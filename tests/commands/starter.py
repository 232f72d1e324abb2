"""Starts the commands of the table: forks a process for each that has NumPy and Matplotlib already.

It reads a JSON request a line, and answers with the exit code. It imports no framework before a
fork, so that a row may bring a broken one, and the parent trains nothing.
"""

import contextlib
import json
import os
import resource
import signal
import sys
import warnings

import matplotlib

matplotlib.use("agg")

import joblib  # noqa: F401
import matplotlib.figure
import matplotlib.pyplot
import numpy as np  # noqa: F401
import rich.progress
import rich.table  # noqa: F401

import d2l_rmsprop.book.notebook
import d2l_rmsprop.numpy  # noqa: F401
from d2l_rmsprop.commands import main


def child(request):
    """Become the command of a request, as if it had been started from a shell."""
    os.chdir(request["folder"])
    os.environ.update(request["env"])
    sys.path[:0] = [path for path in request["env"].get("PYTHONPATH", "").split(os.pathsep) if path]
    for fd, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        place = request[name]
        if place is None:
            os.close(fd)
            continue
        if place == "unread":
            read, write = os.pipe()
            os.close(read)
        else:
            write = os.open(place, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(write, fd)
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8")
    for fd, name in ((1, "stdout"), (2, "stderr")):
        stream = request[name] and open(fd, "w", encoding=encoding, closefd=False)
        setattr(sys, name, stream)
    if "limit" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == 2 else signal.SIG_DFL)
    signal.alarm(60)
    for name, value in request.get("settings", {}).items():
        module, _, attribute = name.rpartition(".")
        setattr(sys.modules[module], attribute, value)
    os.umask(int(request.get("umask", "022"), 8))
    sys.argv = ["d2l-rmsprop", *request["args"]]
    if "gone" in request:
        os.rmdir(request["folder"])
    code = 70
    try:
        main(prog_name="d2l-rmsprop")
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            code = 120  # as Python does
    os._exit(code)


warnings.simplefilter("ignore")
sys.dont_write_bytecode = True  # with a limit on its size Python leaves it cut short
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            child(json.loads(line))
        os._exit(71)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
