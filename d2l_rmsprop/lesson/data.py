"""The data that a chapter trains on: the airfoil table, its stand-in, the linear problem."""

import hashlib
import io
import os
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array, as_numpy, check_count
from ..files import write
from .styles import described, items

DATA_URL = "http://d2l-data.s3-accelerate.amazonaws.com/"
#: name -> (URL, SHA-1 of the file), as ``download`` takes them
DATA_HUB = {
    "airfoil": (
        DATA_URL + "airfoil_self_noise.dat",
        "76e5be1548fd8222e5074cf0faae75edff8cf93f",
    )
}
AIRFOIL_BYTES = 59_984
MOST_BYTES = 2**30  # of a file whose size is not known
TIMEOUT = 10  # seconds that a server may stay silent
RATE = 100_000  # bytes that it sends in a second at least, after 3 TIMEOUT

# Moments of the first 1500 rows of the whitened airfoil table: E[z] and E[z z^T] by rows of its
# lower triangle. For a linear model under squared loss they are the whole loss surface. Columns:
# frequency, angle of attack, chord, velocity, thickness, sound pressure.
_ROWS = 1500
# fmt: off
_MEAN = [
    -0.0014047929101988939, -0.0029808860442912797, 0.000747479080679715,
    0.001446689667067548, -0.006345545011489464, 0.005556150171647614,
]
_SECOND_MOMENT = [
    1.0008347328676066,
    -0.2754038290154855, 0.9975571591954422,
    -0.0031429334935943938, -0.5047638110837881, 1.0017206375119942,
    0.1349473080792121, 0.06103329276738339, 0.0032535168937600657, 1.0009535445035738,
    -0.2350246561186683, 0.7454428989397678, -0.2189125347003535, 0.0006080559900943084,
    0.9818670292535705,
    -0.3875030393054906, -0.14813861914950802, -0.23871038840006467, 0.12133399384249825,
    -0.2956664447867554, 0.9865179438540734,
]
# fmt: on
# The table's own mean and standard deviation in each of the five feature columns.
_FEATURE_MEAN = [2886.38057219, 6.78230206, 0.136548237, 50.8607451763, 0.011139880391]
_FEATURE_STD = [3151.5242022, 5.91615902547, 0.093509605189, 15.56760299640, 0.013145858877]


class DataError(OSError):
    """A data file cannot be had, or is not the file that it should be; ``why`` in a few words."""

    def __init__(self, sentence: str, why: str = "") -> None:
        super().__init__(sentence)
        self.why = why or sentence


_unavailable: dict[tuple, DataError] = {}  # sources of the airfoil table that failed: said once


class Minibatches:
    """Minibatches (X, y) of native arrays, in a new order at each pass where ``shuffle`` is true.

    ``arrays`` are NumPy arrays of the same length; ``split`` makes a list of minibatches of one,
    and ``native`` makes such a minibatch the framework's own.
    A pass of its own draws its order from a generator seeded with 0; the training functions draw
    it from theirs.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        batch_size: int,
        shuffle: bool,
        split: Callable[[np.ndarray, int], Sequence],
        native: Callable[[Any], Array],
    ) -> None:
        lengths = [len(a) for a in arrays]
        if not lengths:
            raise ValueError("there are no arrays; give at least one, such as (X, y).")
        if len(set(lengths)) != 1:
            raise ValueError(f"the arrays have {lengths} rows; give arrays of the same length.")
        check_count(batch_size=batch_size)
        self.arrays, self.shuffle = arrays, shuffle
        self.batch_size = min(int(batch_size), max(lengths[0], 1))
        self._split, self._native, self._rng = split, native, np.random.default_rng(0)

    def __len__(self) -> int:
        return -(-len(self.arrays[0]) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, ...]]:
        return (tuple(map(self._native, minibatch)) for minibatch in self.epoch(self._rng))

    def of(self, arrays: Sequence[np.ndarray]) -> "Minibatches":
        """Return the same minibatches of other arrays."""
        return Minibatches(arrays, self.batch_size, self.shuffle, self._split, self._native)

    def epoch(self, rng: np.random.Generator) -> Iterator[tuple]:
        """Return an iterator of one pass, in an order drawn from ``rng``, for a training step."""
        rows = len(self.arrays[0])
        order = rng.permutation(rows) if self.shuffle else np.arange(rows)
        # all in one go: to make 150 small arrays one by one takes as long as to train on them
        return zip(*(self._split(a[order], self.batch_size) for a in self.arrays), strict=True)


def generator(seed: Any) -> np.random.Generator:
    """Return NumPy's generator with this seed; ValueError for what is none."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is {seed!r}; it must be a whole number >= 0.") from None


def split(a: Any, batch_size: int) -> Sequence:
    """Return the minibatches of an array, views where its framework has them, as a list."""
    return [a[start : start + batch_size] for start in range(0, len(a), batch_size)]


def as_is(a: Array) -> Array:
    """Return a minibatch that is the framework's own already."""
    return a


def array_of_numbers(name: str, a: Any) -> np.ndarray:
    """Return an array of any framework, or lists, as NumPy's; ValueError calls it by ``name``."""
    try:
        array = as_numpy(a)
        if array.dtype.kind != "c":
            np.asarray(array.reshape(-1)[:1], np.float32)
    except Exception as error:  # whatever the framework that it is of raises
        reason = textwrap.shorten(str(error), 200)
        raise ValueError(f"{name} is not an array of numbers ({reason}).") from error
    if array.dtype.kind in "cOSUmM":
        raise ValueError(f"{name} has elements of type {array.dtype}; give real numbers.")
    return array


def load_array(
    d2l: Any, data_arrays: Sequence[Array], batch_size: int, is_train: bool = True
) -> Minibatches:
    """Return an iterable of minibatches over arrays of the same length, shuffled for training.

    A minibatch is a tuple with batch_size rows of each array, as the framework's own arrays; the
    last one may be smaller. Where the first is a list, floats become float32, as the framework
    makes them of lists. Raises TypeError or ValueError for what is no tuple of arrays of numbers,
    for other lengths, and for a batch_size below 1.
    """
    listed = items(data_arrays)
    if listed is None:
        raise TypeError(
            f"data_arrays is {described(data_arrays)}; it must be a tuple of arrays, as in "
            "d2l.load_array((X, y), batch_size)."
        )
    arrays = [array_of_numbers(f"data_arrays[{i}]", a) for i, a in enumerate(listed)]
    if listed and isinstance(listed[0], (list, tuple)):
        arrays = [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]
    for i, a in enumerate(arrays):
        if not a.ndim:
            raise ValueError(f"data_arrays[{i}] is one number, {a}; give an array of rows.")
    return Minibatches(arrays, batch_size, is_train, d2l.split, d2l.native)


def get_data_ch11(
    d2l: Any, batch_size: int = 10, n: int = 1500, *, data: str | None = None, raw: bool = False
) -> tuple[Any, int]:
    """Return (data_iter, feature_dim): minibatches of the airfoil table's first n rows, whitened.

    X has shape (batch_size, 5), y (batch_size,), both float32 without units: each column of the
    table less its mean, over its standard deviation. Source: NASA airfoil self-noise (Brooks, Pope
    and Marcolini, NASA RP-1218, 1989; UCI Machine Learning Repository, CC BY 4.0).

    Where the table cannot be had, a warning says so once and its stand-in of 1500 rows takes its
    place. ``data="airfoil"`` raises DataError instead; ``data="stand-in"`` asks for the stand-in.

    ``raw=True`` leaves X in the table's units: the frequency in hertz, the angle of attack in
    degrees, the chord in metres, the velocity in metres a second, the thickness in metres.
    """
    table = {"airfoil": airfoil, "stand-in": stand_in, None: airfoil_or_stand_in}.get(data)
    if table is None:
        raise ValueError(f"data is {data!r}; choose 'airfoil' or 'stand-in'.")
    rows = table()
    if not isinstance(n, (int, np.integer)) or not 1 <= n <= 1503:
        raise ValueError(f"n is {n!r}; the airfoil table has rows 1 to 1503.")
    X, y = rows[:n, :-1], rows[:n, -1]
    if raw:
        X = X * _FEATURE_STD + _FEATURE_MEAN
    arrays = X.astype(np.float32), y.astype(np.float32)
    return d2l.load_array(arrays, batch_size), X.shape[1]


def airfoil() -> np.ndarray:
    """Return the airfoil table, whitened: float64 of shape (1503, 6), the last column the label."""
    table = np.genfromtxt(download("airfoil"), delimiter="\t")
    return (table - table.mean(axis=0)) / table.std(axis=0)


def stand_in() -> np.ndarray:
    """Return a random table of shape (1500, 6) with exactly the airfoil table's moments.

    A linear model has the same loss surface, optimum and floor on it as on the real rows.
    """
    lower = np.zeros((6, 6))
    lower[np.tril_indices(6)] = _SECOND_MOMENT
    second_moment = lower + np.tril(lower, -1).T
    noise = np.random.default_rng(11).standard_normal((_ROWS, 6))
    noise -= noise.mean(axis=0)
    white = np.linalg.solve(np.linalg.cholesky(noise.T @ noise / _ROWS), noise.T)
    covariance = second_moment - np.outer(_MEAN, _MEAN)
    return (np.linalg.cholesky(covariance) @ white).T + _MEAN


def linear_problem() -> tuple[np.ndarray, np.ndarray]:
    """Return (X, y) of the first edition's experiment, float32 of shapes (1000, 2) and (1000,).

    y = 2 x1 - 3.4 x2 + 4.2 + noise, x standard normal, the noise of standard deviation 0.01.
    """
    rng = np.random.default_rng(1)
    X = rng.standard_normal((1000, 2))
    y = X @ [2, -3.4] + 4.2 + 0.01 * rng.standard_normal(1000)
    return X.astype(np.float32), y.astype(np.float32)


def download(
    url: str,
    folder: str | Path | None = None,
    sha1_hash: str | None = None,
    *,
    max_bytes: int = MOST_BYTES,
) -> str:
    """Return the path of a data file, downloaded at need: a name in DATA_HUB, or a URL.

    A file of that name in the folder named by D2L_RMSPROP_DATA comes first, then ``folder``, by
    default the user's cache. The SHA-1 is verified where it is known; a file that fails it, or an
    unfinished one, is never left there, nor one of more than ``max_bytes``. Raises DataError.
    """
    if not url.startswith("http"):
        if url not in DATA_HUB:
            raise DataError(f"no data set is called {url!r}; DATA_HUB has: {', '.join(DATA_HUB)}.")
        (url, sha1_hash), max_bytes = DATA_HUB[url], AIRFOIL_BYTES
    name = url.rpartition("/")[2]
    users = users_folder()
    if users and (users / name).is_file():
        if not _is(users / name, sha1_hash, max_bytes):
            raise DataError(
                f"{users / name} is not the file it should be (its SHA-1 is not {sha1_hash}); "
                "replace it or unset D2L_RMSPROP_DATA.",
                f"{users / name} is another file",
            )
        return str(users / name)
    import pooch  # late: who has the data needs no downloader

    cache = Path(folder or pooch.os_cache("d2l_rmsprop"))
    try:
        if (cache / name).is_file():
            if _is(cache / name, sha1_hash, max_bytes):
                return str(cache / name)
            (cache / name).unlink()
        if folder is None:
            _tidy(cache)
        content = _received(url, max_bytes)
        if sha1_hash and hashlib.sha1(content).hexdigest() != sha1_hash:
            raise ValueError("what came is another file")
        cache.mkdir(parents=True, exist_ok=True)
        write(cache / name, content)
        return str(cache / name)
    except Exception as error:  # whatever requests and its parts raise for a server, or the cache
        where = f"is not in {users} (D2L_RMSPROP_DATA), and " if users else ""
        raise DataError(
            f"{name} {where}cannot be had from {url} into {cache} ({_why(error)}); put the file "
            "into a folder and name that folder in D2L_RMSPROP_DATA.",
            f"no download: {_why(error)}",
        ) from error


def users_folder() -> Path | None:
    """Return the folder that D2L_RMSPROP_DATA names; DataError if that is none to read from."""
    named = os.environ.get("D2L_RMSPROP_DATA")
    if not named:
        return None
    try:
        os.listdir(named)
    except OSError as error:
        raise DataError(
            f"D2L_RMSPROP_DATA names {named!r}, which is no folder to read from "
            f"({error.strerror}); name the folder that has the data, or unset it.",
            f"{named}: {error.strerror}",
        ) from error
    return Path(named)


def _is(path: Path, sha1_hash: str | None, max_bytes: int) -> bool:
    if sha1_hash is None:
        return True
    try:
        if path.stat().st_size > max_bytes:
            return False
        return hashlib.sha1(path.read_bytes()).hexdigest() == sha1_hash
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); replace it, or name another folder in "
            "D2L_RMSPROP_DATA."
        ) from error


def _tidy(cache: Path) -> None:
    """Remove from our own cache what runs that were killed a while ago left unfinished there."""
    for part in [*cache.glob("tmp????????"), *cache.glob(".*.part")]:
        if time.time() - part.stat().st_mtime > 60:
            part.unlink()


def _received(url: str, max_bytes: int) -> bytes:
    """Return what a URL sends; nothing is on disk before it is whole, nor after a kill."""
    import pooch

    class Bounded(io.BytesIO):
        def write(self, chunk: Any) -> int:
            if self.tell() + len(chunk) > max_bytes:
                raise ValueError(f"it sends more than {max_bytes} bytes")
            return super().write(chunk)

    content = Bounded()
    fetch = pooch.HTTPDownloader(timeout=TIMEOUT, chunk_size=2**16)
    within(3 * TIMEOUT + max_bytes / RATE, lambda: fetch(url, content, None))
    return content.getvalue()


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Return ``function()``, or raise TimeoutError: a thread that waits for ever is left behind."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome[:] = [function(), None]
        except BaseException as error:
            outcome[:] = [None, error]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"not done within {seconds:.0f} seconds")
    if outcome[1]:
        raise outcome[1]
    return outcome[0]


def _why(error: BaseException) -> str:
    """Return what is at the bottom of a downloader's error, in a few words."""
    chain = [error]
    while below := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(below)
    for each in reversed(chain):
        if isinstance(each, OSError) and each.strerror:
            return str(each.strerror)
    words = str(chain[-1]).partition(" for url")[0]  # which is said already
    return textwrap.shorten(words or type(chain[-1]).__name__, 100)


def airfoil_or_stand_in() -> np.ndarray:
    source = (os.environ.get("D2L_RMSPROP_DATA"), DATA_HUB["airfoil"])
    if source not in _unavailable:
        try:
            return airfoil()
        except DataError as error:
            _unavailable[source] = error
            warnings.warn(
                f"training on a stand-in, {_ROWS} random rows with the airfoil table's moments "
                f"({error.why}); for the table, name its folder in D2L_RMSPROP_DATA.",
                stacklevel=4,
            )
    return stand_in()
