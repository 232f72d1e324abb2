"""Fashion-MNIST, and a small multilayer perceptron for it, trained by rmsprop or the built-in.

Source: H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST", 2017 (arXiv:1708.07747), MIT License.
"""

import gzip
import hashlib
import math
import struct
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import as_numpy, check_count
from ..lesson.data import DataError, download, generator, users_folder
from ..lesson.plotting import Animator
from ..rmsprop import rmsprop

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
SYSTEM_FOLDER = "/usr/share/datasets/fashion-mnist"  # of Debian's package dataset-fashion-mnist
#: name -> SHA-1 of the decompressed bytes: Debian packs the same bytes anew
SHA1 = {
    "train-images-idx3-ubyte": "b9bd999c0106c9b8b4b0cefce58c9a6060f27095",
    "train-labels-idx1-ubyte": "4bccf37222e01638381eaa326bf730337a597267",
    "t10k-images-idx3-ubyte": "880056926db704f9f713097915f99da346f5b1d1",
    "t10k-labels-idx1-ubyte": "958122e8b4b97fd4e71eca2d08ef754ed77c3ad9",
}
#: name -> the number of these bytes; packed there are fewer
BYTES = {
    "train-images-idx3-ubyte": 16 + 60_000 * 28 * 28,
    "train-labels-idx1-ubyte": 8 + 60_000,
    "t10k-images-idx3-ubyte": 16 + 10_000 * 28 * 28,
    "t10k-labels-idx1-ubyte": 8 + 10_000,
}


def load_data_fashion_mnist(d2l: Any, batch_size: int, *, validation: int = 0) -> tuple[Any, ...]:
    """Return (train_iter, test_iter) over the 60,000 training and 10,000 test images.

    X is float32 from 0 to 1, of shape (batch_size, 1, 28, 28) or, where the framework has the
    channels last, (batch_size, 28, 28, 1); y holds the classes, 0 to 9, of shape (batch_size,).
    The training images come in a new order at each pass. ``validation`` takes so many of the last
    training images in the place of the test images, to tune on.

    A file is taken from the folder named by D2L_RMSPROP_DATA, else from Debian's
    /usr/share/datasets/fashion-mnist, else from the cache, else it is downloaded. Raises DataError.
    """
    images, labels = _load("train")
    if not 0 <= validation < len(images):
        raise ValueError(f"validation is {validation}; it must be from 0 to {len(images) - 1}.")
    if validation:
        test = images[-validation:], labels[-validation:]
        images, labels = images[:-validation], labels[:-validation]
    else:
        test = _load("t10k")
    return tuple(
        d2l.load_array(
            (np.expand_dims(X / np.float32(255), d2l.CHANNEL_AXIS), y.astype(np.int64)),
            batch_size,
            is_train,
        )
        for (X, y), is_train in (((images, labels), True), (test, False))
    )


def _load(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return uint8 arrays: images of shape (n, 28, 28) and labels of shape (n,)."""
    names = [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]
    found = [_find(name) for name in names]
    try:
        (images, labels), hashes = zip(
            *(
                _read_idx(path, ndim, BYTES[name])
                for (path, _), name, ndim in zip(found, names, (3, 1), strict=True)
            ),
            strict=True,
        )
        if len(images) != len(labels):
            raise DataError(
                f"{found[0][0]} has {len(images)} images and {found[1][0]} {len(labels)} labels; "
                "take both from one data set."
            )
        for (path, _), name, sha1 in zip(found, names, hashes, strict=True):
            if sha1 != SHA1[name]:
                raise DataError(
                    f"{path} is not Fashion-MNIST's (unpacked, its SHA-1 is not {SHA1[name]}); "
                    "replace it."
                )
    except DataError as error:
        for path, in_cache in found:
            if in_cache and str(path) in str(error):
                path.unlink(missing_ok=True)  # the next call downloads it again
        raise
    return images, labels


def _find(name: str) -> tuple[Path, bool]:
    """Return the path of the file, packed or not, and whether it is in our cache."""
    users = users_folder()
    folders = [str(users), SYSTEM_FOLDER] if users else [SYSTEM_FOLDER]
    for folder in folders:
        for path in (Path(folder, f"{name}.gz"), Path(folder, name)):
            if path.is_file():
                return path, False
    try:
        return Path(download(f"{URL}{name}.gz", max_bytes=BYTES[name])), True
    except DataError as error:
        looked = " nor in ".join(folders)
        raise DataError(
            f"neither {name}.gz nor {name} is in {looked} (Debian's package "
            f"dataset-fashion-mnist), and {error}"
        ) from error


def _read_idx(path: Path, ndim: int, max_bytes: int) -> tuple[np.ndarray, str]:
    """Return the array of an IDX file (a magic number, the sizes, the bytes) and its SHA-1."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(max_bytes + 1)  # a small file may unpack to more than there is room
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be unpacked ({error}); replace it.") from error
    start = 4 * (1 + ndim)
    magic, *shape = struct.unpack_from(f">{1 + ndim}I", content.ljust(start, b"\0"))
    if magic != 0x0800 + ndim:  # 08: unsigned bytes
        what = {3: "images", 1: "labels"}[ndim]
        raise DataError(
            f"{path} has the magic number {magic:#06x}, not {0x0800 + ndim:#06x} of a file of "
            f"{what}; replace it."
        )
    if len(content) > max_bytes:
        raise DataError(f"{path} holds more than {max_bytes} bytes; replace it.")
    expected, found = math.prod(shape), len(content) - start
    if expected != found:
        raise DataError(
            f"{path} is {'truncated' if found < expected else 'too long'}: its header says "
            f"{expected} bytes and {found} follow; replace it."
        )
    array = np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    return array, hashlib.sha1(content).hexdigest()


@dataclass
class MLPHistory:
    """What ``train_mlp`` leaves behind."""

    losses: list[float] = field(default_factory=list)  #: of each minibatch, before its step
    accuracies: list[float] = field(default_factory=list)  #: on test_iter, after each epoch
    seconds: float = 0.0  #: of training, without the accuracies


def train_mlp(
    d2l: Any,
    train_iter: Any,
    test_iter: Any,
    lr: float | Callable[[float], float],
    *,
    gamma: float = 0.99,
    eps: float = 1e-6,
    num_epochs: int = 5,
    builtin: bool = False,
    seed: int = 0,
    accuracy: str = "test accuracy",
) -> MLPHistory:
    """Train the perceptron 784-256-10 on softmax cross-entropy, draw and return its MLPHistory.

    Arguments:
        train_iter: minibatches (X, y) from ``load_data_fashion_mnist``, or of any images and the
            numbers of their ten classes.
        test_iter: the minibatches that the accuracy is taken on.
        lr: the learning rate, or a function that returns it for the part of the training that is
            done, from 0 to 1: ``lambda t: 1e-3 * (1 - t)`` falls linearly to 0.
        gamma: the decay, as in ``rmsprop``.
        eps: as in ``rmsprop``, in the place where the framework's own RMSProp has it.
        builtin: take the steps with the framework's own RMSProp.
        seed: of the start and of the order; the same on every framework.
        accuracy: what the accuracy is called, such as "validation accuracy".

    The start is He's: weights N(0, 2 / fan-in), biases 0. The losses from scratch and built-in are
    together to rounding, about 1e-6, until rounding puts one input of a ReLU on the other side of
    0, after some hundred steps in float32: from there on the gradients differ, and the two go
    slowly apart, to the same accuracy.
    """
    check_count(num_epochs=num_epochs)
    batches, test = (getattr(data, "minibatches", data) for data in (train_iter, test_iter))
    rng = generator(seed)
    inputs = batches.arrays[0][0].size
    start = []
    for shape in ((inputs, 256), (256, 10)):
        start += [rng.normal(0, np.sqrt(2 / shape[0]), shape), np.zeros(shape[1])]
    params = [d2l.variable(d2l.from_numpy(np.float32(a))) for a in start]
    states = [d2l.variable(d2l.zeros(a.shape)) for a in start]
    in_sqrt = d2l.EPS_IN_SQRT is not False

    def from_scratch(lr: float) -> None:
        rmsprop(params, states, {"lr": lr, "gamma": gamma, "eps": eps, "eps_in_sqrt": in_sqrt})

    update = d2l.builtin_update(params, gamma, eps) if builtin else from_scratch
    schedule = lr if callable(lr) else lambda t: lr
    rate = f"lr {schedule(0.0):.4g}" + (" at first" if callable(lr) else "")
    animator = Animator(
        xlabel=f"epoch ({rate})", xlim=[0, num_epochs], legend=["train loss", accuracy]
    )
    history = MLPHistory()
    for epoch in range(num_epochs):
        began, losses = time.perf_counter(), []
        for i, (X, y) in enumerate(batches.epoch(rng)):
            losses.append(d2l.mlp_gradients(params, d2l.reshape(X, (len(X), -1)), y))
            update(schedule((epoch + i / len(batches)) / num_epochs))
        history.losses += [float(as_numpy(loss)) for loss in losses]
        weights = [as_numpy(x) for x in params]  # waits for the steps of a framework
        history.seconds += time.perf_counter() - began
        history.accuracies.append(_accuracy(weights, *test.arrays))
        mean = float(np.mean(history.losses[-len(batches) :]))
        animator.add(epoch + 1, (mean, history.accuracies[-1]))
    animator.flush()
    print(f"{rate}: train loss {mean:.3f}, {accuracy} {history.accuracies[-1]:.4f}")
    return history


def _accuracy(weights: Sequence[np.ndarray], X: np.ndarray, y: np.ndarray) -> float:
    W1, b1, W2, b2 = weights
    scores = np.maximum(X.reshape(len(X), -1) @ W1 + b1, 0) @ W2 + b2
    return float((scores.argmax(axis=1) == y).mean())
