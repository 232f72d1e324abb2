"""A Dask cluster for joblib, with a bound on every wait that could have no end."""

import asyncio
import contextlib
import logging
import re
import socket
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

from ..lesson.data import within

WAIT = 3  # seconds for a scheduler to greet, to answer, and to have a worker
ADDRESS = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/@?#\[\]]+):(?P<port>[0-9]{1,5})")
OTHER = "what is there speaks another protocol"
GRACE = 60  # seconds that a running sweep may be without a scheduler or a worker


class ClusterError(RuntimeError):
    """A cluster that cannot be used, or is lost."""


@contextlib.contextmanager
def cluster(scheduler: str) -> Iterator[Any]:
    """Give a joblib backend on the Dask cluster whose scheduler is at ``tcp://HOST:PORT``.

    Raises ClusterError for a scheduler that does not answer or has no worker, within 10 seconds.
    """
    _answers(scheduler)
    from distributed import Client

    try:
        client = within(WAIT, lambda: Client(scheduler, timeout=WAIT, set_as_default=False))
    except Exception as error:  # whatever becomes of a scheduler that is lost meanwhile
        raise _no_scheduler(scheduler, OTHER) from error
    stopped = threading.Event()
    try:
        with contextlib.suppress(asyncio.TimeoutError, OSError):
            client.wait_for_workers(1, timeout=WAIT)
        if not client.nthreads():
            raise ClusterError(
                f"the cluster at {scheduler} has no workers; start one with: "
                f"dask worker {scheduler}"
            )
        backend = _backend(client)
        threading.Thread(target=_watch, args=(client, backend, stopped), daemon=True).start()
        yield backend
    finally:
        stopped.set()
        client.close(timeout=WAIT)


def _no_scheduler(scheduler: str, why: object) -> ClusterError:
    return ClusterError(
        f"no Dask scheduler answers at {scheduler} ({why}); start one with `dask scheduler`, or "
        "give the address that it prints, tcp://HOST:PORT."
    )


def _answers(scheduler: str) -> None:
    """Look whether a scheduler greets and then answers, each of which Dask awaits without end."""
    address = ADDRESS.fullmatch(scheduler)
    if not address or not 1 <= int(address["port"]) <= 65535:
        raise ClusterError(
            f"scheduler is {textwrap.shorten(repr(scheduler), 200)}; it must be an address "
            "tcp://HOST:PORT."
        )
    host, port = address["host"].strip("[]"), int(address["port"])
    try:
        from distributed import rpc
    except ImportError as error:
        raise ClusterError(
            "Dask is not installed; install it with: python -m pip install 'd2l-rmsprop[cluster]'"
        ) from error
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # we say it ourselves, once

    async def identity() -> Any:
        async with rpc(scheduler, timeout=WAIT) as there:
            return await there.identity()

    def ask() -> None:
        _greets(host, port)
        silent[:] = ["it greets and then stays silent"]
        if asyncio.run(identity())["type"] != "Scheduler":
            raise ValueError(OTHER)

    silent = [f"silent for {WAIT} seconds"]
    try:
        within(WAIT, ask)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise _no_scheduler(scheduler, silent[0]) from error
    except UnicodeError as error:
        raise _no_scheduler(scheduler, "no host can have this name") from error
    except OSError as error:
        raise _no_scheduler(scheduler, error.strerror or OTHER) from error
    except Exception as error:  # whatever Dask makes of garbage
        raise _no_scheduler(scheduler, OTHER) from error


def _greets(host: str, port: int) -> None:
    """Raise ValueError for a greeting that is no frame, which begins with its short length."""
    with socket.create_connection((host, port), timeout=WAIT) as connection:
        length = connection.makefile("rb").read(8)
        # HTTP and others begin with letters
        if len(length) < 8 or int.from_bytes(length, "little") > 2**16:
            raise ValueError(OTHER)


def _backend(client: Any) -> Any:
    from distributed.scheduler import KilledWorker
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        """joblib's, which by itself waits for ever for a task that no worker survives."""

        def submit(self, func: Callable, callback: Any = None) -> Any:
            future = super().submit(func, callback)
            pending.add(future)

            def finished(future: Any) -> None:
                pending.discard(future)
                if error := future.exception():
                    callback(error)  # joblib calls back for a result only

            future.add_done_callback(finished)
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, ClusterError):
                raise out
            if isinstance(out, KilledWorker):
                raise futures.BrokenExecutor(str(out)) from out
            if isinstance(out, (asyncio.CancelledError, futures.CancelledError)):
                raise ClusterError(
                    "the cluster's scheduler is lost; mend it and start again."
                ) from out
            if isinstance(out, BaseException):
                why = out.__cause__ or out
                reason = " ".join(f"{type(why).__name__}: {why}".split())
                raise ClusterError(
                    f"the cluster cannot train ({reason}); install the same d2l-rmsprop on its "
                    "scheduler and its workers."
                ) from out
            return super().retrieve_result_callback(out)

        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, super().effective_n_jobs(n_jobs))  # with 1 joblib trains here, not there

        def fail(self, error: Exception) -> None:
            for future in list(pending):
                future.set_exception(error)

    pending: set[Any] = set()
    return Backend(client=client)


def _watch(client: Any, backend: Any, stopped: threading.Event) -> None:
    """Fail what is pending once the cluster has been without scheduler or workers for long."""
    missing = 0
    while not stopped.wait(1):
        try:
            found = client.sync(client.scheduler.ncores, callback_timeout=WAIT)
        except Exception:  # whatever Dask raises for a scheduler that is gone
            found = None
        missing = 0 if found else missing + 1
        if missing >= GRACE:
            what = "scheduler does not answer" if found is None else "workers are all gone"
            backend.fail(ClusterError(f"the cluster's {what}; mend it and start again."))
            return
