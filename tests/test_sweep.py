"""The sweep: every cell is train_ch11, whatever trains it, and no cell stops the others."""

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
from click.testing import CliRunner
from test_training import by_hand, rmsprop_by_hand, table

from d2l_rmsprop import cluster, sweep
from d2l_rmsprop.cli import main
from d2l_rmsprop.sweep import SweepError

LRS, GAMMAS = [0.001, 0.01, 0.1, 1], [0, 0.9, 0.999]


def run(*args):
    return CliRunner().invoke(main, ["sweep", *map(str, args)], catch_exceptions=False)


def train(lrs=LRS, gammas=GAMMAS, **settings):
    return sweep.sweep(lrs, gammas, draw=False, **settings)


def test_a_cell_is_train_ch11_to_rounding_where_the_run_is_not_chaotic(d2l):
    found = d2l.sweep([0.001, 0.01], [0.5, 0.9], batch_size=100, seed=3, draw=False).losses
    for i, gamma in enumerate([0.5, 0.9]):
        for j, lr in enumerate([0.001, 0.01]):
            data_iter, _ = d2l.get_data_ch11(100, data="stand-in")
            states, hyperparams = d2l.init_rmsprop_states(5), {"lr": lr, "gamma": gamma}
            _, losses = d2l.train_ch11(d2l.rmsprop, states, hyperparams, data_iter, 5, seed=3)
            assert found[i, j] == pytest.approx(losses[-1], abs=1e-6)


def test_a_cell_is_the_training_written_out_in_float64():
    found = train([0.001, 0.01], [0.9, 0.99], eps=1e-3).losses
    for i, gamma in enumerate([0.9, 0.99]):
        for j, lr in enumerate([0.001, 0.01]):
            expected = by_hand(*table(), rmsprop_by_hand(lr, gamma, 1e-3))[-1]
            assert found[i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("batch_size", [7, 1500])
def test_a_cell_has_the_same_bits_in_any_grid_and_on_any_number_of_cores(batch_size, monkeypatch):
    grid = train(batch_size=batch_size).losses
    assert np.array_equal(train(batch_size=batch_size, jobs=2).losses, grid)
    for i, j in [(0, 0), (1, 3), (2, 2)]:
        assert train([LRS[j]], [GAMMAS[i]], batch_size=batch_size).losses == grid[i, j]
    monkeypatch.setattr(sweep, "BLOCK", 5)
    wide = train(np.union1d(LRS, np.geomspace(1e-3, 2, 20)), GAMMAS, batch_size=batch_size)
    assert np.array_equal(wide.losses[:, np.isin(wide.lrs, LRS)], grid)


def test_the_airfoil_table_and_the_linear_problem_are_swept(airfoil_folder):
    assert train([0.01], [0.9], data="airfoil").losses == pytest.approx(0.2445, abs=0.005)
    assert train([0.03], [0.999], data="linear", num_epochs=3, eps=1e-8).losses < 2e-3


# the picture


def test_the_heat_map_says_where_the_runs_diverged():
    grid = sweep.sweep([0.001, 0.1, 1], [0.9, 1])
    assert grid.diverged.tolist() == [[False] * 3, [False, True, True]]
    axes = grid.draw()
    assert axes.get_legend().get_texts()[0].get_text() == "diverged (2 of 6)"
    assert [patch.get_xy() for patch in axes.patches] == [(1, 1), (2, 1)]
    assert all(patch.get_hatch() for patch in axes.patches)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("lr", "gamma")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["0.9", "1"]
    colours = axes.collections[0]
    assert colours.norm.vmin == grid.losses.min() and colours.norm.vmax < 1e4 * colours.norm.vmin


@pytest.mark.parametrize("lrs, gammas", [([1], [1]), ([0.01], [0.9])])
def test_a_grid_of_one_cell_is_drawn(lrs, gammas):
    grid = sweep.sweep(lrs, gammas)
    assert bool(grid.draw().patches) == grid.diverged.all() == (grid.best is None)


def test_the_command_writes_the_cells_and_the_picture(tmp_path):
    result = run(
        "--lrs", "0.001:1:4", "--gammas", "0,1", "--epochs", 1, "--seed", 2,
        "--results", tmp_path / "r.json", "--figure", tmp_path / "r.png",
    )  # fmt: skip
    assert result.exit_code == 0
    expected = train([0.001, 0.01, 0.1, 1], [0, 1], num_epochs=1, seed=2)
    cells = json.loads((tmp_path / "r.json").read_text())["cells"]
    losses = [np.inf if cell["loss"] is None else cell["loss"] for cell in cells]
    assert np.array_equal(losses, expected.losses.ravel())
    assert [cell["lr"] for cell in cells] == pytest.approx([0.001, 0.01, 0.1, 1] * 2)
    assert [cell["status"] == "diverged" for cell in cells] == expected.diverged.ravel().tolist()
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    diverged = expected.diverged.sum()
    assert f" s: {8 - diverged} finished, {diverged} diverged, 0 failed" in result.stdout
    assert f"lowest loss {expected.losses.min():.6f}" in result.stdout


# bad grids


@pytest.mark.parametrize(
    "lrs, gammas, words",
    [
        ([], [0.9], "no lr"),
        ([0.1], [], "no gamma"),
        ([0.1, 0.01], [0.9], "lr 0.01 follows 0.1 in the grid; give rising numbers"),
        ([0.1], [0.9, 0.9], "gamma 0.9 follows 0.9"),
        ([0.1], [0.9, 1.1], "a gamma is 1.1; it must be a number from 0 to 1"),
        ([-1, 0.1], [0.9], "a lr is -1.0"),
        ([0.1], [float("nan")], "a gamma is nan"),
        (["a"], [0.9], "grid is wrong"),
        (0.1, [0.9], "grid is wrong"),
    ],
)
def test_a_bad_grid_is_said(lrs, gammas, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        train(lrs, gammas)


@pytest.mark.parametrize("setting", ["num_epochs", "batch_size", "jobs"])
def test_a_bad_count_is_said(setting):
    with pytest.raises(ValueError, match=f"{setting} is 0"):
        train(**{setting: 0})


@pytest.mark.parametrize(
    "args, words",
    [
        (("--lrs", ""), "is no grid"),
        (("--lrs", "0:1:5"), "start it above 0"),
        (("--gammas", "0:1"), "is no grid"),
        (("--gammas", "0.9,0.5"), "gamma 0.5 follows 0.9"),
        (("--gammas", "0.9,1.5"), "a gamma is 1.5"),
        (("--eps", "-1"), "--eps is -1.0"),
        (("--figure", "a.txt"), "should end in"),
    ],
)
def test_the_command_refuses_a_bad_grid_as_bad_usage(args, words):
    result = run(*args)
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr


# interrupted, and started again


def test_an_interrupted_sweep_goes_on_from_what_is_done(tmp_path, monkeypatch):
    trained, train_cells = [], sweep.train_cells

    def interrupted(lrs, *args):
        if len(trained) >= 5 and not resumed:
            raise KeyboardInterrupt
        trained.extend(lrs)
        return train_cells(lrs, *args)

    monkeypatch.setattr(sweep, "train_cells", interrupted)
    monkeypatch.setattr(sweep, "BLOCK", 1)
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        train(results=tmp_path / "r.json")
    assert len(trained) == len(json.loads((tmp_path / "r.json").read_text())["cells"]) == 5
    resumed = True
    assert np.array_equal(train(results=tmp_path / "r.json").losses, train().losses)
    assert len(trained) == 12 + 12  # the first sweep in two parts, and the one to compare with
    again = train(results=tmp_path / "r.json")
    assert len(trained) == 24 and np.array_equal(again.losses, train().losses)


def test_ctrl_c_ends_in_one_sentence_and_keeps_the_cells(tmp_path):
    file = tmp_path / "r.json"
    command = [sys.executable, "-m", "d2l_rmsprop", "sweep", "--epochs", "40", "--results", file]
    command += ["--lrs", "0.001:0.01:16", "--gammas", "0:0.99:16", "--jobs", "2"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if json.loads(file.read_text())["cells"]:
                break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the workers too
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1 and stdout == ""
    (line,) = stderr.splitlines()
    assert "interrupted" in line and str(file) in line
    assert 0 < len(json.loads(file.read_text())["cells"]) < 256


@pytest.mark.parametrize(
    "other",
    [
        {"num_epochs": 1},
        {"batch_size": 20},
        {"seed": 1},
        {"eps": 1e-7},
        {"data": "linear"},
        {"gammas": [0, 0.9]},
    ],
)
def test_a_file_of_results_from_other_settings_is_refused(tmp_path, other):
    file = tmp_path / "r.json"
    train(results=file)
    before = file.read_bytes()
    with pytest.raises(SweepError, match=f"another sweep .*{next(iter(other))}"):
        train(results=file, **other)
    assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"no JSON", b"[]", b'{"settings": {}}', b"\xff"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "r.json").write_bytes(content)
    result = run("--results", tmp_path / "r.json")
    assert result.exit_code == 1 and "name another file" in result.stderr
    assert (tmp_path / "r.json").read_bytes() == content


def test_a_file_that_cannot_be_written_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "train_cells", None)
    with pytest.raises(SweepError, match="cannot be written"):
        train(results=tmp_path / "no folder" / "r.json")


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
