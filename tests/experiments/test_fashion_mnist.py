"""Fashion-MNIST: where its files come from, what is wrong with them, and the perceptron on it."""

import functools
import gzip
import hashlib
import http.server
import math
import os
import shutil
import struct
import threading
import tracemalloc

import numpy as np
import pytest
from conftest import framework

from d2l_rmsprop.experiments import fashion_mnist
from d2l_rmsprop.lesson import data

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
falling = lambda t: 1e-3 * (1 - t)


def idx(array, magic=None):
    magic = 0x0800 + array.ndim if magic is None else magic
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


def drawn(n, seed):
    """Images whose class is the place of a bright square, in noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n, np.uint8)
    images = rng.integers(0, 100, (n, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[14 * (label // 5) :, 5 * (label % 5) :][:5, :5] += 100
    return images, labels


CONTENTS = {
    f"{part}-{kind}": idx(array)
    for part, n in (("train", 1000), ("t10k", 200))
    for kind, array in zip(("images-idx3-ubyte", "labels-idx1-ubyte"), drawn(n, n), strict=True)
}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder with small files in the place of the real ones, in Debian's packing."""
    monkeypatch.setenv("D2L_RMSPROP_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(fashion_mnist, "SYSTEM_FOLDER", str(tmp_path / "system"))
    for name, content in CONTENTS.items():
        monkeypatch.setitem(fashion_mnist.SHA1, name, hashlib.sha1(content).hexdigest())
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content, 1))
    return tmp_path


def test_minibatches_have_the_frameworks_shapes(d2l, folder):
    train_iter, test_iter = d2l.load_data_fashion_mnist(128)
    assert len(train_iter) == 8 and len(test_iter) == 2
    last = d2l.__name__.rpartition(".")[2] in ("tensorflow", "jax")
    X, y = next(iter(test_iter))
    assert tuple(X.shape) == ((128, 28, 28, 1) if last else (128, 1, 28, 28))
    assert "float32" in str(X.dtype) and "int" in str(y.dtype) and tuple(y.shape) == (128,)
    images, labels = drawn(200, 200)
    np.testing.assert_array_equal(d2l.numpy(X).reshape(-1, 28, 28), images[:128] / np.float32(255))
    np.testing.assert_array_equal(d2l.numpy(y), labels[:128])
    (X, _), (again, _) = next(iter(train_iter)), next(iter(train_iter))
    assert not np.array_equal(d2l.numpy(X), d2l.numpy(again))


def test_validation_takes_the_last_training_images(folder):
    train_iter, validation = framework("numpy").load_data_fashion_mnist(10, validation=300)
    images, labels = drawn(1000, 1000)
    np.testing.assert_array_equal(validation.arrays[1], labels[700:])
    np.testing.assert_array_equal(train_iter.arrays[0][:, 0], images[:700] / np.float32(255))
    with pytest.raises(ValueError, match="validation is 1000"):
        framework("numpy").load_data_fashion_mnist(10, validation=1000)


# where the files come from


def load():
    return framework("numpy").load_data_fashion_mnist(100)


def test_unpacked_files_and_the_system_folder_serve_too(folder):
    system = folder / "system"
    system.mkdir()
    for name in CONTENTS:
        os.rename(folder / f"{name}.gz", system / f"{name}.gz")
    (folder / IMAGES).write_bytes(CONTENTS[IMAGES])
    assert len(load()[0]) == 10


@pytest.fixture
def server(folder, monkeypatch):
    """A server that has the files instead of the folder."""
    served = folder / "served"
    served.mkdir()
    for name in CONTENTS:
        shutil.move(folder / f"{name}.gz", served)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            self.server.requests += self.command == "GET"

    handler = functools.partial(Handler, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(fashion_mnist, "URL", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


def test_a_download_is_verified_and_kept(server, folder):
    assert len(load()[0]) == len(load()[0]) == 10 and server.requests == 4
    in_cache = folder / "cache" / "d2l_rmsprop" / f"{IMAGES}.gz"
    in_cache.write_bytes(in_cache.read_bytes()[:-100])
    with pytest.raises(data.DataError, match="cannot be unpacked"):
        load()
    assert not in_cache.exists()
    assert len(load()[0]) == 10 and server.requests == 5


def test_a_folder_without_the_files_is_said_with_what_was_looked_for_where(folder, monkeypatch):
    (folder / f"{LABELS}.gz").unlink()
    monkeypatch.setattr(fashion_mnist, "URL", "http://127.0.0.1:9/")
    with pytest.raises(data.DataError) as raised:
        load()
    for words in (f"{LABELS}.gz", str(folder), str(folder / "system"), "http://127.0.0.1:9/"):
        assert words in str(raised.value)


# bad files


@pytest.mark.parametrize(
    "name, content, words",
    [
        (IMAGES, gzip.compress(CONTENTS[IMAGES][:-1]), "truncated: its header says 784000 bytes"),
        (LABELS, gzip.compress(CONTENTS[LABELS] + b"?"), "too long: its header says 1000 bytes"),
        (IMAGES, gzip.compress(CONTENTS[IMAGES])[:-20], "cannot be unpacked"),
        (LABELS, CONTENTS[LABELS], "cannot be unpacked"),
        (LABELS, gzip.compress(b"\0\0\x08"), "magic number"),
        (LABELS, b"", "magic number"),
        (IMAGES, gzip.compress(CONTENTS[LABELS]), "magic number 0x0801, not 0x0803"),
        (LABELS, gzip.compress(CONTENTS[IMAGES]), "magic number 0x0803, not 0x0801"),
        (
            LABELS,
            gzip.compress(CONTENTS["t10k-labels-idx1-ubyte"]),
            "1000 images and .* 200 labels",
        ),
        (IMAGES, gzip.compress(CONTENTS[IMAGES][:-1] + b"?"), "is not Fashion-MNIST's"),
    ],
    ids=lambda value: "file" if isinstance(value, bytes) else None,  # packed bytes hold the time
)
def test_a_bad_file_is_refused_and_named(folder, name, content, words):
    (folder / f"{name}.gz").write_bytes(content)
    with pytest.raises(data.DataError, match=words) as raised:
        load()
    assert str(folder / f"{name}.gz") in str(raised.value)
    assert (folder / f"{name}.gz").read_bytes() == content  # the user's own: not for us to delete


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_that_expands_takes_no_more_memory_than_its_data_should(folder, monkeypatch, packed):
    bomb = struct.pack(">4I", 0x0803, 10**9, 28, 28) + bytes(10**8)
    (folder / f"{IMAGES}.gz").write_bytes(gzip.compress(bomb))
    if not packed:
        (folder / f"{IMAGES}.gz").unlink()
        (folder / IMAGES).write_bytes(bomb)
    del bomb
    monkeypatch.setitem(fashion_mnist.BYTES, IMAGES, 10**6)
    tracemalloc.start()
    with pytest.raises(data.DataError, match="holds more than 1000000 bytes"):
        load()
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


# the perceptron


def test_the_gradients_are_the_slopes_of_the_loss(d2l):
    for n, inputs, hidden in (7, 12, 6), (10, 16, 8), (5, 12, 6):  # nets in turn
        check_slopes(d2l, n, inputs, hidden)


def check_slopes(d2l, n, inputs, hidden):
    rng = np.random.default_rng(0)
    X, y = rng.random((n, inputs), np.float32), rng.integers(0, 10, n)
    arrays = [
        rng.normal(0, 0.5, shape) for shape in ((inputs, hidden), (hidden,), (hidden, 10), (10,))
    ]
    params = [d2l.variable(d2l.from_numpy(np.float32(a))) for a in arrays]

    def loss(W1, b1, W2, b2):
        scores = np.maximum(X @ W1 + b1, 0) @ W2 + b2
        return np.mean(np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(n), y])

    found = d2l.mlp_gradients(params, d2l.from_numpy(X), d2l.from_numpy(y))
    assert d2l.numpy(found) == pytest.approx(loss(*arrays), rel=1e-5)
    direction = [rng.normal(size=a.shape) for a in arrays]
    ahead, behind = (
        loss(*(a + h * v for a, v in zip(arrays, direction, strict=True))) for h in (1e-6, -1e-6)
    )
    slope = sum((d2l.numpy(x.grad) * v).sum() for x, v in zip(params, direction, strict=True))
    assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-4)


def test_the_curves_from_scratch_and_built_in_are_together(d2l, folder, capsys):
    iters = d2l.load_data_fashion_mnist(100)
    scratch = d2l.train_mlp(*iters, falling, num_epochs=2, seed=1)
    assert scratch.accuracies[-1] > 0.9 and len(scratch.losses) == 20 and scratch.seconds > 0
    assert f"test accuracy {scratch.accuracies[-1]:.4f}" in capsys.readouterr().out
    numpy = framework("numpy")
    if d2l is numpy:
        with pytest.raises(NotImplementedError, match="no built-in"):
            d2l.train_mlp(*iters, falling, builtin=True)
        return
    builtin = d2l.train_mlp(*iters, falling, num_epochs=2, seed=1, builtin=True)
    np.testing.assert_allclose(scratch.losses, builtin.losses, atol=1e-5)
    if d2l.EPS_IN_SQRT:
        reference = numpy.train_mlp(
            *numpy.load_data_fashion_mnist(100), falling, num_epochs=2, seed=1
        )
        np.testing.assert_allclose(scratch.losses, reference.losses, atol=1e-5)


def test_a_constant_rate_is_a_number(folder):
    iters = framework("numpy").load_data_fashion_mnist(100)
    train = lambda lr: framework("numpy").train_mlp(*iters, lr, num_epochs=1).losses
    assert train(1e-3) == train(lambda t: 1e-3) != train(falling)
    assert train(0)[0] == pytest.approx(math.log(10), abs=0.5)  # He's start knows nothing


@pytest.mark.slow
@pytest.mark.parametrize("builtin", [False, True], ids=["scratch", "builtin"])
def test_the_accuracy_on_all_of_fashion_mnist(d2l, builtin):
    """5 epochs, the mean of three seeds; needs the files, and minutes."""
    if builtin and d2l is framework("numpy"):
        pytest.skip("NumPy has no built-in optimizer")
    iters = d2l.load_data_fashion_mnist(128)
    accuracies = [
        d2l.train_mlp(*iters, falling, builtin=builtin, seed=seed).accuracies[-1]
        for seed in range(3)
    ]
    assert np.mean(accuracies) >= 0.865
