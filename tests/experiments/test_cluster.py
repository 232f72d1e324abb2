"""A sweep on workers that die, and on clusters that are none. Run alone: `tox -e cluster`."""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from test_sweep import run, train

from d2l_rmsprop.experiments import cluster, sweep
from d2l_rmsprop.experiments.sweep import SweepError

# they wait for other processes, a bounded time, so a loaded machine may fail them
pytestmark = pytest.mark.cluster


# workers that die


def killer(deaths):
    """Train, but kill the worker of the cell with lr 0.1 and gamma 0.9, as often as asked."""
    train_cells, folder = sweep.train_cells, deaths

    def train(lrs, gammas, *args):
        if (0.1, 0.9) in zip(lrs, gammas, strict=True):
            for place in folder:
                with contextlib.suppress(FileExistsError):
                    os.close(os.open(place, os.O_CREAT | os.O_EXCL))
                    os.kill(os.getpid(), signal.SIGKILL)
        return train_cells(lrs, gammas, *args)

    return train


@pytest.fixture(scope="module")
def dask_cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as found:
        yield found


@pytest.fixture(params=["cores", "cluster"])
def workers(request):
    if request.param == "cores":
        return {"jobs": 2}
    return {"scheduler": request.getfixturevalue("dask_cluster").scheduler_address}


def test_a_cluster_gives_the_same_bits(dask_cluster):
    found = train(scheduler=dask_cluster.scheduler_address)
    assert np.array_equal(found.losses, train().losses)


def test_a_worker_that_is_killed_costs_no_cell(workers, tmp_path, monkeypatch):
    expected = train()
    monkeypatch.setattr(sweep, "train_cells", killer([tmp_path / "once"]))
    assert np.array_equal(train(**workers).losses, expected.losses)
    assert (tmp_path / "once").exists()


def test_a_cell_that_kills_every_worker_is_marked_failed(workers, tmp_path, monkeypatch):
    expected = train().losses
    expected[1, 2] = np.nan
    monkeypatch.setattr(sweep, "BLOCK", 3)
    deadly = killer([tmp_path / str(i) for i in range(1000)])
    with monkeypatch.context() as patch:
        patch.setattr(sweep, "train_cells", deadly)
        grid = train(**workers, results=tmp_path / "r.json")
    assert np.array_equal(grid.losses, expected, equal_nan=True) and grid.failed.sum() == 1
    assert grid.draw().get_legend().get_texts()[0].get_text() == "failed (1 of 12)"
    cells = json.loads((tmp_path / "r.json").read_text())["cells"]
    assert [(c["lr"], c["gamma"]) for c in cells if c["status"] == "failed"] == [(0.1, 0.9)]
    assert not train(results=tmp_path / "r.json").failed.any()  # tried again


def test_a_failed_cell_is_exit_code_1(monkeypatch):
    grid = sweep.Grid([0.1, 0.2], [0.9], np.array([[0.3, np.nan]]))
    monkeypatch.setattr(sweep, "sweep", lambda *args, **kwargs: grid)
    result = run("--lrs", "0.1,0.2", "--gammas", "0.9")
    assert result.exit_code == 1 and "1 finished, 0 diverged, 1 failed" in result.stdout
    assert result.stderr == "Error: no worker survived the cell with lr 0.2 and gamma 0.9.\n"


def test_a_worker_that_cannot_train_is_said(dask_cluster, monkeypatch):
    class Unknown:  # to a worker without this package
        def __reduce__(self):
            return __import__, ("no_such_package",)

    monkeypatch.setattr(sweep, "train_cells", Unknown())
    with pytest.raises(SweepError, match=r"no_such_package.*install the same d2l-rmsprop"):
        train(scheduler=dask_cluster.scheduler_address)


# clusters that are none


@contextlib.contextmanager
def listener(answer):
    """A server that says ``answer`` to who connects, and then nothing."""
    connections = []

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connections.append(server.accept()[0])
                connections[-1].sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    for connection in connections:
        connection.close()


@contextlib.contextmanager
def http_server():
    handler = http.server.SimpleHTTPRequestHandler
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextlib.contextmanager
def unused_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.mark.parametrize(
    "server, words",
    [
        (unused_port, "Connection refused"),
        (lambda: listener(b""), "silent"),
        (http_server, "silent"),
        (lambda: listener(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "another protocol"),
    ],
    ids=["refuses", "silent", "HTTP", "says HTTP"],
)
def test_what_is_no_scheduler_is_said_before_any_training(server, words, tmp_path):
    with server() as port:
        address = f"tcp://127.0.0.1:{port}"
        result = run("--scheduler", address, "--results", tmp_path / "r.json")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert f"no Dask scheduler answers at {address} (" in result.stderr and words in result.stderr
    assert not (tmp_path / "r.json").exists()


SHORT = (100).to_bytes(8, "little")


@pytest.mark.parametrize(
    "greeting, words",
    [
        (SHORT, "greets and then stays silent"),
        (SHORT + bytes(100), "another protocol"),
        (SHORT + bytes(range(100)), "another protocol"),
        (bytes(8), "another protocol"),
        (bytes(8) + bytes(100), "another protocol"),
        (b"\xff" * 108, "another protocol"),
    ],
    ids=["8 bytes", "zeros", "garbage", "nothing", "nothing but zeros", "a huge length"],
)
def test_a_greeting_that_is_none_is_said(greeting, words):
    began = time.monotonic()
    with listener(greeting) as port:
        result = run("--lrs", 0.1, "--gammas", 0.9, "--scheduler", f"tcp://127.0.0.1:{port}")
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and words in result.stderr
    assert time.monotonic() - began < 60  # it promises 10 on a machine with nothing else to do


@pytest.mark.parametrize("name", ["a..b", "a" * 64 + ".org", "\udcff", "nosuch.invalid"])
def test_a_name_that_no_host_has_is_said(name):
    with pytest.raises(SweepError, match="no Dask scheduler answers at tcp://"):
        train(scheduler=f"tcp://{name}:8786")


def test_what_greets_like_a_scheduler_and_then_stays_silent_is_said(dask_cluster):
    host, port = dask_cluster.scheduler_address.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        greeting = connection.recv(1000)
    with listener(greeting) as port, pytest.raises(SweepError, match="greets and then"):
        train(scheduler=f"tcp://127.0.0.1:{port}")


def test_every_wait_for_a_cluster_ends_within_10_seconds_together():
    assert 3 * cluster.WAIT < 10  # to greet, to answer, to have a worker


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "tcp://127.0.0.1", "http://a:1", "tcp://a:b"]
)
def test_an_address_of_another_form_is_said(address):
    with pytest.raises(SweepError, match="it must be an address tcp://HOST:PORT"):
        train(scheduler=address)


def test_a_cluster_without_workers_is_said():
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=":0") as empty:
        result = run("--scheduler", empty.scheduler_address)
    assert result.exit_code == 1 and "has no workers; start one with: dask worker" in result.stderr


def test_a_cluster_that_loses_its_workers_is_said(monkeypatch, tmp_path):
    from distributed import LocalCluster

    monkeypatch.setattr(cluster, "GRACE", 2)
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as found:

        def lose_workers(*args):
            (tmp_path / "started").touch()
            time.sleep(60)

        def lose():
            while not (tmp_path / "started").exists():
                time.sleep(0.1)
            found.scale(0)

        monkeypatch.setattr(sweep, "train_cells", lose_workers)
        threading.Thread(target=lose, daemon=True).start()
        with pytest.raises(SweepError, match="workers are all gone"):
            train(scheduler=found.scheduler_address)


def test_a_scheduler_that_is_lost_is_said(tmp_path):
    from distributed import Client

    with unused_port() as port:
        pass
    address, file = f"tcp://127.0.0.1:{port}", tmp_path / "r.json"
    dask = [sys.executable, "-m", "dask"]
    start = lambda *args: subprocess.Popen([*dask, *args], stderr=subprocess.DEVNULL)
    scheduler = start("scheduler", "--port", str(port), "--dashboard-address", ":0")
    worker = start("worker", address, "--nthreads", "1", "--no-dashboard")
    command = [sys.executable, "-m", "d2l_rmsprop", "sweep", "--epochs", "200"]
    command += ["--scheduler", address, "--results", file]
    try:
        with Client(address, timeout=60, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if json.loads(file.read_text())["cells"]:
                    break
            time.sleep(0.1)
        scheduler.kill()
        _, stderr = process.communicate(timeout=120)
    finally:
        scheduler.kill(), worker.terminate()
        scheduler.wait(), worker.wait()
    assert process.returncode == 1
    assert stderr == "Error: the cluster's scheduler is lost; mend it and start again.\n"
    assert json.loads(file.read_text())["cells"]


def test_dask_missing_is_said(monkeypatch, dask_cluster):
    address = dask_cluster.scheduler_address
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SweepError, match=re.escape("pip install 'd2l-rmsprop[cluster]'")):
        train(scheduler=address)
