"""A sandbox for students' code: a process that has imported the frameworks forks for each trial.

That process runs in bubblewrap, without a network, with nothing of the disk but Python and its
libraries, read-only. Each trial has user, process, mount, network and IPC namespaces of its own, a
scratch folder in memory, no sight of this package's files, no rights, and limits. When its first
process ends, all that it started ends with it. Sources: bwrap(1), user_namespaces(7).

The forking process imports and never computes: after a first operation, children of PyTorch,
TensorFlow and JAX hang.
"""

import contextlib
import ctypes
import json
import os
import pickle
import re
import resource
import select
import shutil
import signal
import site
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .problems import Problem

MEMORY = 2 * 2**30  # bytes of data beside the frameworks'; MXNet breaks at a quarter of it
SCRATCH = 64 * 2**20  # bytes that a trial may write
PROCESSES = 128  # with threads, of which frameworks start some for each core
OUTPUT = 32 * 2**20  # bytes that are read of a trial
LATE = 30  # seconds after its end that a trial may take to be gone
START = 120  # seconds for the frameworks' imports
NOBODY = 65534
PACKAGE = Path(__file__).parents[1]
LENGTH = struct.Struct(">I")
READY = b"."  # what a trial says when it is shut in, before the student's code runs


class SandboxError(RuntimeError):
    """No process for students' code can be had."""


class Sandbox:
    """Trials of students' code with these frameworks, one at a time.

    ``broken`` says why a framework does not import, ``missing`` what the system does not hold.
    """

    def __init__(self, backends: Sequence[str]) -> None:
        if not hasattr(os, "fork"):
            raise SandboxError("students' code is run on Linux and macOS only; check it there.")
        self.backends, self.broken, self.missing = list(backends), dict[str, str](), list[str]()
        self._home = tempfile.TemporaryDirectory(prefix="d2l-rmsprop-")
        self._control: socket.socket | None = None
        self._start()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._home.cleanup()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        me = [
            sys.executable,
            "-m",
            "d2l_rmsprop.marking.sandbox",
            str(theirs.fileno()),
            *self.backends,
        ]
        command = [*_bubblewrap(), *me] if _bubblewrap_works() else me
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], cwd=self._home.name, start_new_session=True,
            env=_environment(self._home.name), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        theirs.close()
        self._control = ours
        ours.settimeout(START)
        try:
            self.broken, self.missing = json.loads(_receive(ours))
        except (OSError, ValueError, EOFError) as error:
            self._process.kill()
            said = (self._process.communicate()[1] or b"").decode(errors="replace").strip()
            reason = said.splitlines()[-1][:200] if said else "it said nothing"
            raise SandboxError(
                f"no process for students' code can be started ({reason})."
            ) from error
        if command is me:
            self.missing.insert(0, "the files of this machine (bubblewrap is missing)")

    def _stop(self) -> None:
        if self._control:
            self._control.close()
        self._process.kill()
        self._process.communicate()

    def run(
        self, cells: Sequence[str], problems: Sequence[Problem], backend: str, seconds: float
    ) -> tuple[bytes, str]:
        """Return what the trial wrote, and how it ended: "done", "stopped" (too long) or "died"."""
        job = pickle.dumps((list(cells), list(problems), backend, seconds))
        try:
            return self._run(job, seconds)
        except TimeoutError:  # the machine is so busy that even the end is late
            self._restart()
            return b"", "stopped"
        except (OSError, EOFError):  # killed from outside, or no room: not the student's doing
            self._restart()
        try:
            return self._run(job, seconds)
        except (OSError, EOFError) as error:
            raise SandboxError(
                f"students' code cannot be run here now ({error}); try again when less runs."
            ) from error

    def _restart(self) -> None:
        self._stop()
        self._start()

    def _run(self, job: bytes, seconds: float) -> tuple[bytes, str]:
        assert self._control
        reading, writing = os.pipe()
        try:
            try:
                _send(self._control, job)
                socket.send_fds(self._control, [b"f"], [writing])
            finally:
                os.close(writing)
            return self._read(reading, seconds)
        finally:
            os.close(reading)

    def _read(self, reading: int, seconds: float) -> tuple[bytes, str]:
        assert self._control
        content, end, deadline = bytearray(), "", time.monotonic() + seconds + LATE
        waiting: list[Any] = [reading, self._control]
        while waiting:
            ready, _, _ = select.select(waiting, [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("it does not answer")
            if reading in ready:
                part = os.read(reading, 2**16)
                if len(content) <= OUTPUT:  # what comes beyond is thrown away
                    content += part
                if not part:
                    waiting.remove(reading)
            if self._control in ready:
                end = _receive(self._control).decode()
                waiting.remove(self._control)
        if end == "unready":
            raise OSError("a trial's namespaces could not be made")
        return bytes(content), "died" if len(content) > OUTPUT else end


def _environment(home: str) -> dict[str, str]:
    kept = {
        key: os.environ[key] for key in ("PATH", "LANG", "LD_LIBRARY_PATH") if key in os.environ
    }
    fixed = {
        "HOME": home, "MPLCONFIGDIR": home, "MPLBACKEND": "agg", "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(PACKAGE.parent), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1",
        "MXNET_ENGINE_TYPE": "NaiveEngine", "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_ENABLE_ONEDNN_OPTS": "0", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    return kept | fixed


def _bubblewrap() -> list[str]:
    """Return the command that shows Python, its libraries and this package, and nothing else."""
    shown = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives", "/opt"}
    shown |= {sys.prefix, sys.base_prefix, sys.exec_prefix, str(PACKAGE), *site.getsitepackages()}
    private = {"/", "/tmp", os.getcwd(), str(PACKAGE.parent)}  # what a .pth file adds is shown
    added = {os.path.normpath(folder) for folder in sys.path if os.path.isabs(folder)}
    shown |= {folder for folder in added - private if os.path.isdir(folder)}
    command = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net"]
    command += ["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if os.getuid() == 0:  # to become nobody inside
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]
    command += ["--perms", "1777", "--tmpfs", "/tmp"]  # first: Python may lie below it
    above = {str(folder) for path in shown for folder in Path(path).parents} - {"/"} - shown
    for folder in sorted(above):  # by itself bubblewrap makes them for root alone
        command += ["--perms", "0755", "--dir", folder]
    for path in sorted(shown):
        if os.path.islink(path):
            command += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            command += ["--ro-bind", path, path]
    command += ["--setenv", "D2L_RMSPROP_BWRAP", "1"]
    command += ["--setenv", "HOME", "/tmp", "--setenv", "MPLCONFIGDIR", "/tmp"]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--chdir", "/tmp"]


def _bubblewrap_works() -> bool:
    if not shutil.which("bwrap"):
        return False
    done = subprocess.run([*_bubblewrap(), "true"], capture_output=True, timeout=START)
    return done.returncode == 0


def _send(connection: socket.socket, content: bytes) -> None:
    connection.sendall(LENGTH.pack(len(content)) + content)


def _receive(connection: socket.socket) -> bytes:
    def exactly(count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            part = connection.recv(count - len(found))
            if not part:
                raise EOFError("it ended")
            found += part
        return bytes(found)

    return exactly(LENGTH.unpack(exactly(LENGTH.size))[0])


# inside: the process that forks


def serve(control: socket.socket, backends: Sequence[str]) -> None:
    """Import the frameworks, then fork for each trial that is asked for."""
    if os.getuid() == 0 and "D2L_RMSPROP_BWRAP" in os.environ:
        os.setgroups([])  # the limit of processes does not bind root
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    from ..backend import BACKENDS
    from . import trial

    broken = {}
    for name in (name for name in BACKENDS if name in backends):  # in the order that they bear
        try:
            trial.preload(name)
        except ImportError as error:
            broken[name] = str(error)
    trial.disown()
    held = any(_held_by_namespaces() for _ in range(3))  # a busy system may refuse once
    lack = [] if held else ["the network and other processes (no user namespaces)"]
    _send(control, json.dumps([broken, lack]).encode())
    while True:
        try:
            cells, problems, backend, seconds = pickle.loads(_receive(control))
            _, (writing,), _, _ = socket.recv_fds(control, 1, 1)
        except (EOFError, OSError):
            return  # whom we serve is gone
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            control.close()
            os.close(theirs)
            _in_a_child(_trial, ours, writing, cells, problems, backend, seconds, held)
        os.close(writing)
        os.close(ours)
        with open(theirs, "rb") as told:
            said = told.read()
        first = int(said.replace(READY, b"") or pid)  # all others of the trial end with it
        end = _wait(pid, first, seconds if READY in said else 0)
        _send(control, end.encode() if READY in said else b"unready")


def _wait(pid: int, first: int, seconds: float) -> str:
    """Wait for a child, for so many seconds at most; return how it ended.

    To end it, kill ``first``: it is the child, or the first process of the child's namespace.
    """
    watched = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    try:
        if watched is not None:
            ended = bool(select.select([watched], [], [], seconds)[0])
        else:
            deadline, ended = time.monotonic() + seconds, False
            while not ended and time.monotonic() < deadline:
                info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                ended = info is not None
                time.sleep(0.01)
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return "stopped" if not ended else "done" if status == 0 else "died"
    finally:
        if watched is not None:
            os.close(watched)


def _in_a_child(run: Any, *arguments: Any) -> None:
    """Run in a forked process and end it, whatever happens, without a word."""
    code = 1
    try:
        run(*arguments)
        code = 0
    except BaseException:
        pass
    finally:
        os._exit(code)


def _trial(
    first: int,
    writing: int,
    cells: Sequence[str],
    problems: Sequence[Problem],
    backend: str,
    seconds: float,
    held: bool,
) -> None:
    data = _data()
    if held:
        _unshare()
        pid = os.fork()  # its child is the first process of the new namespace
        if pid:
            os.write(first, str(pid).encode())
            os.close(first)
            os.close(writing)
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os._exit(0 if status == 0 else 1)
        _hide()
        _libc().prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    _limit(seconds, data)
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    os.write(first, READY)
    os.close(first)
    _in_a_child(_run, writing, cells, problems, backend)


def _run(writing: int, cells: Sequence[str], problems: Sequence[Problem], backend: str) -> None:
    from . import trial

    with open(writing, "wb") as out:
        trial.run(out, lambda: trial.function_in(cells, backend), problems, backend)


def _data() -> int:
    """Return the bytes of data that this process has, with the frameworks."""
    status = Path("/proc/self/status").read_text() if sys.platform == "linux" else ""
    found = re.search(r"VmData:\s+(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0


def _limit(seconds: float, data: int) -> None:
    limits = {
        resource.RLIMIT_DATA: data + MEMORY,
        resource.RLIMIT_CPU: int(4 * seconds) + 1,  # of all threads
        resource.RLIMIT_FSIZE: SCRATCH,
        resource.RLIMIT_NPROC: PROCESSES,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))


NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _unshare() -> None:
    """Enter namespaces of our own; an OSError where the system has none for us."""
    uid, gid, libc = os.getuid(), os.getgid(), _libc()
    if sys.platform != "linux":
        raise OSError("no namespaces")
    libc.prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, or the maps cannot be written
    if libc.unshare(NEWUSER | NEWPID | NEWNS | NEWNET | NEWIPC):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, content in (
        ("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1"),
    ):  # fmt: skip
        Path("/proc/self", name).write_text(content)


def _hide() -> None:
    """Put new folders over /proc, /tmp and this package, and give up all rights."""
    libc = _libc()
    nosuid_nodev, recursive_private = 2 | 4, 0x4000 | 0x40000
    read_only = nosuid_nodev | 1

    def mount(folder: str, flags: int, options: str) -> None:
        if libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()):
            raise OSError(ctypes.get_errno(), folder)

    if libc.mount(b"none", b"/", None, recursive_private, None):
        raise OSError(ctypes.get_errno(), "/")
    names = "cpuinfo", "meminfo", "self/cmdline"  # TensorFlow reads them, and dies without
    kept = {name: Path("/proc", name).read_bytes() for name in names}
    mount("/proc", nosuid_nodev, "size=1m")
    Path("/proc/self").mkdir()
    for name, content in kept.items():
        Path("/proc", name).write_bytes(content)
    Path("/proc/self/exe").symlink_to(os.path.realpath(sys.executable))
    mount(str(PACKAGE), read_only, "size=4k")
    scratch = "/tmp"
    if any(Path(p).is_relative_to(scratch) for p in (sys.prefix, sys.base_prefix, PACKAGE)):
        if libc.mount(None, b"/tmp", None, 0x1000 | 0x20 | read_only, None):  # remount it, bound
            raise OSError(ctypes.get_errno(), scratch)
        scratch = "/dev/shm"
    mount(scratch, nosuid_nodev, f"size={SCRATCH}")
    os.chdir(scratch)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capset")


def _held_by_namespaces() -> bool:
    """Try in a child whether a trial can have namespaces and what stands in them."""

    def unshare() -> None:
        _unshare()
        if not _succeeds(_hide):
            raise OSError

    return _succeeds(unshare)


def _succeeds(run: Callable[[], None]) -> bool:
    pid = os.fork()
    if pid == 0:
        _in_a_child(run)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
