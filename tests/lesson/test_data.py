"""The airfoil table, its stand-in, and every way in which a download goes wrong."""

import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest
from conftest import SHARED, framework

from d2l_rmsprop.lesson import data

CONTENT = b"1.0\t2.0\r\n" * 5000
SHA1 = hashlib.sha1(CONTENT).hexdigest()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("D2L_RMSPROP_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "TIMEOUT", 1)
    monkeypatch.setattr(data, "_unavailable", {})
    return tmp_path / "cache" / "d2l_rmsprop"


@pytest.fixture
def server(monkeypatch):
    """A server on this machine, which DATA_HUB points to; it answers as ``behaviour`` says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests.append(self.path)
            behaviour = self.server.behaviour
            if behaviour == "missing":
                return self.send_error(404)
            if behaviour == "silent":
                return self.server.stop.wait(10)
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            if behaviour == "cut off":
                self.wfile.write(CONTENT[: len(CONTENT) // 2])
            elif behaviour == "stalls":
                self.wfile.write(CONTENT[: len(CONTENT) // 2])
                self.wfile.flush()
                self.server.stop.wait(10)
            elif behaviour == "wait for two":  # and answer both at once
                self.server.two.wait(60)
                self.wfile.write(CONTENT)
            elif behaviour == "corrupt":
                self.wfile.write(CONTENT[:-1] + b"?")
            else:
                self.wfile.write(CONTENT)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.behaviour, server.stop = [], "", threading.Event()
    server.two = threading.Barrier(2)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/airfoil_self_noise.dat"
    monkeypatch.setitem(data.DATA_HUB, "airfoil", (url, SHA1))
    yield server
    server.stop.set()
    server.shutdown()
    server.server_close()


def files(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


# the stand-in


def test_the_stand_in_has_the_airfoils_loss_surface():
    rows = data.stand_in()
    X1 = np.hstack([rows[:, :-1], np.ones((1500, 1))])
    solution, residuals, *_ = np.linalg.lstsq(X1, rows[:, -1], rcond=None)
    assert residuals[0] / 3000 == pytest.approx(0.24168795509193775, abs=1e-13)
    weight = [-0.5831783406649468, -0.36551183869504156, -0.4843344388149298]
    weight += [0.22386519985338652, -0.27133009065140967, 0.0019637853207292743]
    np.testing.assert_allclose(solution, weight, atol=1e-12)
    assert (rows[:, -1] ** 2).mean() / 2 == pytest.approx(0.4932589719270366, abs=1e-13)


def test_the_stand_in_and_the_real_table_give_one_loss_anywhere(airfoil_folder):
    rng = np.random.default_rng(0)
    real, drawn = data.airfoil()[:1500], data.stand_in()
    for _ in range(20):
        z = np.append(rng.standard_normal(5), -1)
        b = rng.standard_normal()
        losses = [((rows @ z + b) ** 2).mean() / 2 for rows in (real, drawn)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)


def test_the_real_table_is_whitened(airfoil_folder):
    rows = data.airfoil()
    assert rows.shape == (1503, 6)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(rows.std(axis=0), 1, rtol=1e-12)


def test_raw_features_are_the_tables_own_columns(airfoil_folder):
    d2l = framework("numpy")
    table = np.genfromtxt(airfoil_folder / "airfoil_self_noise.dat", delimiter="\t")
    (X, y), scaled = d2l.get_data_ch11(raw=True)[0].arrays, d2l.get_data_ch11()[0].arrays
    np.testing.assert_allclose(X, table[:1500, :5], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y, scaled[1])


def test_get_data_ch11_returns_minibatches_of_five_features(d2l, airfoil_folder):
    data_iter, feature_dim = d2l.get_data_ch11(batch_size=100, n=250)
    shapes = [(tuple(X.shape), tuple(y.shape)) for X, y in data_iter]
    assert feature_dim == 5 and shapes == [((100, 5), (100,))] * 2 + [((50, 5), (50,))]
    X, y = next(iter(data_iter))
    assert "float32" in str(X.dtype) and "float32" in str(y.dtype)


@pytest.mark.parametrize("n", [0, -5, 1504, 10.0])
def test_a_bad_number_of_rows_is_said(n):
    with pytest.raises(ValueError, match="n is"):
        framework("numpy").get_data_ch11(n=n, data="stand-in")


def test_an_unknown_data_set_is_said():
    with pytest.raises(ValueError, match="'airfoil' or 'stand-in'"):
        framework("numpy").get_data_ch11(data="wind")
    with pytest.raises(data.DataError, match="DATA_HUB has: airfoil"):
        data.download("wind")


# downloads


def test_a_download_is_verified_and_kept(server, cache):
    path = data.download("airfoil")
    assert open(path, "rb").read() == CONTENT and files(cache) == ["airfoil_self_noise.dat"]
    assert data.download("airfoil") == path and len(server.requests) == 1


def test_a_url_and_a_folder_may_be_given(server, cache, tmp_path):
    url = data.DATA_HUB["airfoil"][0].replace("airfoil", "other")
    path = data.download(url, folder=tmp_path / "here", sha1_hash=SHA1)
    assert path == str(tmp_path / "here" / "other_self_noise.dat") and os.path.isfile(path)


def test_the_users_folder_comes_first(server, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("D2L_RMSPROP_DATA", str(tmp_path))
    (tmp_path / "airfoil_self_noise.dat").write_bytes(CONTENT)
    assert data.download("airfoil") == str(tmp_path / "airfoil_self_noise.dat")
    assert server.requests == []


@pytest.mark.parametrize("content", [CONTENT[:-9], CONTENT[:-1] + b"?", b""])
def test_a_bad_file_in_the_users_folder_is_refused(server, cache, tmp_path, monkeypatch, content):
    monkeypatch.setenv("D2L_RMSPROP_DATA", str(tmp_path))
    (tmp_path / "airfoil_self_noise.dat").write_bytes(content)
    with pytest.raises(data.DataError, match="is not the file it should be"):
        data.download("airfoil")


def test_a_bad_file_in_the_cache_is_replaced(server, cache):
    cache.mkdir(parents=True)
    (cache / "airfoil_self_noise.dat").write_bytes(CONTENT[:100])
    assert open(data.download("airfoil"), "rb").read() == CONTENT


@pytest.mark.parametrize("behaviour", ["missing", "silent", "stalls", "cut off", "corrupt"])
def test_a_bad_download_is_said_and_leaves_nothing(server, cache, behaviour):
    server.behaviour = behaviour
    cache.mkdir(parents=True)
    (cache / "airfoil_self_noise.dat").write_bytes(b"a bad file from before")
    with pytest.raises(data.DataError) as raised:
        data.download("airfoil")
    assert "cannot be had from http://127.0.0.1" in str(raised.value)
    assert "D2L_RMSPROP_DATA" in str(raised.value)
    assert files(cache) == []


def test_a_refused_connection_is_said(cache, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/airfoil_self_noise.dat"
    monkeypatch.setitem(data.DATA_HUB, "airfoil", (url, SHA1))
    with pytest.raises(data.DataError, match="cannot be had"):
        data.download("airfoil")
    assert files(cache) == []


def test_a_cache_that_cannot_be_written_is_said(server, cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be: no user, not even root, can write in it")
    with pytest.raises(data.DataError, match=r"cannot be had .*d2l_rmsprop"):
        data.download("airfoil")


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs Linux")
def test_a_read_only_cache_is_said(server, cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/sys/kernel")  # where not even root may write
    with pytest.raises(data.DataError, match=r"cannot be had .* /sys/kernel/d2l_rmsprop \("):
        data.download("airfoil")


def test_two_processes_may_download_at_once(server, cache):
    server.behaviour = "wait for two"
    url, sha1 = data.DATA_HUB["airfoil"]
    code = f"""
from d2l_rmsprop.lesson import data
data.TIMEOUT = 60
print(data.download({url!r}, None, {sha1!r}))
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    paths = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert paths[0] == paths[1] and open(paths[0], "rb").read() == CONTENT
    assert len(server.requests) == 2 and files(cache) == ["airfoil_self_noise.dat"]


# the stand-in takes the table's place


def test_without_the_table_the_stand_in_is_said_once(server, cache):
    server.behaviour = "missing"
    d2l = framework("numpy")
    with pytest.warns(UserWarning, match="stand-in") as warned:
        data_iter, _ = d2l.get_data_ch11()
    # a socket that an earlier test left to the garbage collector may be warned of in between
    (said,) = [warning for warning in warned if warning.category is UserWarning]
    assert str(said.message) == (
        "training on a stand-in, 1500 random rows with the airfoil table's moments (no download: "
        "404 Client Error: Not Found); for the table, name its folder in D2L_RMSPROP_DATA."
    )
    assert said.filename == __file__
    np.testing.assert_allclose(
        np.column_stack(data_iter.arrays), data.stand_in().astype(np.float32)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        d2l.get_data_ch11()
    assert len(server.requests) == 1


def test_who_asks_for_the_real_table_gets_an_error(server, cache):
    server.behaviour = "missing"
    with pytest.raises(data.DataError, match="cannot be had"):
        framework("numpy").get_data_ch11(data="airfoil")


def test_the_real_file_has_the_hash_that_is_asked_for():
    path = SHARED / "data" / "airfoil_self_noise.dat"
    if not path.is_file():
        pytest.skip("the real airfoil table is not in ../shared/data")
    assert hashlib.sha1(path.read_bytes()).hexdigest() == data.DATA_HUB["airfoil"][1]


def test_the_linear_problem_has_the_weights_that_it_says():
    X, y = data.linear_problem()
    X1 = np.hstack([X, np.ones((1000, 1))]).astype(np.float64)
    solution, residuals, *_ = np.linalg.lstsq(X1, y, rcond=None)
    np.testing.assert_allclose(solution, [2, -3.4, 4.2], atol=2e-3)
    assert residuals[0] / 1000 == pytest.approx(1e-4, rel=0.15)
