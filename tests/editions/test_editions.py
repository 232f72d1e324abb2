"""The older editions' packages: their names, their loop, and their readers' optimizers."""

import importlib
import inspect
import random
import re
import subprocess
import sys
import warnings

import matplotlib
import numpy as np
import pytest
from conftest import framework
from references import adam_by_hand, by_hand, rmsprop_by_hand, table

from d2l_rmsprop.lesson import data

# edition -> its framework, the name of its concise training, the rows of its table
CH7 = {
    "gluonbook": ("mxnet", "train_gluon_ch7", 1503),
    "d2lzh": ("mxnet", "train_gluon_ch7", 1503),
    "d2lzh_pytorch": ("torch", "train_pytorch_ch7", 1500),
    "d2lzh_tensorflow2": ("tensorflow", "train_tensorflow2_ch7", 1500),
}
MXNET = ("utils", "gluonbook", "d2lzh")


def edition(name):
    framework(CH7.get(name, ["mxnet"])[0])
    return importlib.import_module(f"d2l_rmsprop.editions.{name}")


def array(name, a):
    """Return an array as this edition's chapters have it, of float32."""
    if name in MXNET:
        from mxnet import nd

        return nd.array(a)
    return framework(CH7[name][0]).tensor(np.float32(a))


def zeros(name):
    """Return states for a linear model of five features, as this edition's chapters make them."""
    return [array(name, np.zeros((5, 1))), array(name, np.zeros(1))]


@pytest.fixture(params=CH7)
def name(request):
    edition(request.param)
    return request.param


def arrays(name):
    return [array(name, a) for a in table()]


def drawn():
    """Return the curve in the latest picture."""
    import matplotlib.pyplot as plt

    (line,) = plt.gcf().axes[0].lines
    return line.get_data()


# names


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("utils", "linreg squared_loss data_iter set_fig_size optimize"),
        ("gluonbook", "linreg squared_loss data_iter semilogy optimize plt set_figsize"),
        ("d2lzh", "train_2d show_trace_2d set_figsize plt linreg squared_loss semilogy data_iter"),
        ("d2lzh_pytorch", "train_2d show_trace_2d set_figsize plt linreg squared_loss data_iter"),
        ("d2lzh_tensorflow2", "train_2d show_trace_2d set_figsize plt linreg squared_loss"),
    ],
)
def test_what_the_chapters_call_is_there_and_documented(name, names):
    module = edition(name)
    for function in (*names.split(), *module.__all__):
        assert inspect.getdoc(getattr(module, function)), function
    assert inspect.getdoc(module)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        ("train_ch7", "trainer_fn states hyperparams features labels batch_size num_epochs"),
        ("concise", "trainer hyperparams features labels batch_size num_epochs"),
        ("get_data_ch7", ""),
        ("data_iter", "batch_size features labels"),
        ("semilogy", "x_vals y_vals x_label y_label x2_vals y2_vals legend figsize"),
        ("train_2d", "trainer"),
        ("show_trace_2d", "f results"),
        ("linreg", "X w b"),
        ("squared_loss", "y_hat y"),
    ],
)
def test_arguments_have_the_editions_order_and_defaults(name, function, names):
    found = getattr(edition(name), CH7[name][1] if function == "concise" else function)
    parameters = inspect.signature(found).parameters.values()
    kept = [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    assert found.__name__ == (CH7[name][1] if function == "concise" else function)
    assert [p.name for p in kept] == names.split()
    if "num_epochs" in names:
        assert [p.default for p in kept[-2:]] == [10, 2]


def test_linreg_and_squared_loss_compute_what_numpy_does():
    X, w, b, y = np.arange(6.0).reshape(3, 2), np.float64([[2], [3]]), np.ones(1), np.arange(3.0)
    for name in (*CH7, "utils"):
        d2l = edition(name)
        y_hat = d2l.linreg(*(array(name, a) for a in (X, w, b)))
        loss = d2l.squared_loss(y_hat, array(name, y))
        for found, expected in ((y_hat, X @ w + 1), (loss, (X @ w + 1 - y[:, None]) ** 2 / 2)):
            found = data_of(found)
            assert found.shape == (3, 1)
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def data_of(a):
    return a.asnumpy() if hasattr(a, "asnumpy") else np.asarray(a)


# the table


def test_the_table_has_the_editions_rows(name, airfoil_folder):
    table = np.genfromtxt(airfoil_folder / "airfoil_self_noise.dat", delimiter="\t")
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    rows = CH7[name][2]
    features, labels = edition(name).get_data_ch7()
    assert type(features) is type(labels) is type(array(name, [0.0]))
    for found, expected in ((features, table[:rows, :-1]), (labels, table[:rows, -1])):
        assert "float32" in str(found.dtype)
        np.testing.assert_allclose(data_of(found), expected, atol=1e-6)


def test_the_stand_in_is_announced_once(name, monkeypatch):
    def download(url):
        raise data.DataError("no network.")

    monkeypatch.setattr(data, "download", download)
    monkeypatch.setattr(data, "_unavailable", {})
    with pytest.warns(UserWarning, match=r"1500 random rows .*no network\.") as said:
        features, labels = edition(name).get_data_ch7()
        edition(name).get_data_ch7()
    assert len(said) == 1 and said[0].filename == __file__
    assert tuple(features.shape) == (1500, 5) and tuple(labels.shape) == (1500,)


# training


def mxnet_rmsprop(params, states, hyperparams):
    for p, s in zip(params, states, strict=True):
        s[:] = hyperparams["gamma"] * s + (1 - hyperparams["gamma"]) * p.grad.square()
        p[:] -= hyperparams["lr"] * p.grad / (s + 1e-6).sqrt()


def torch_rmsprop(params, states, hyperparams):
    """It writes .data and clears no gradient."""
    for p, s in zip(params, states, strict=True):
        s.data = hyperparams["gamma"] * s.data + (1 - hyperparams["gamma"]) * p.grad.data**2
        p.data -= hyperparams["lr"] * p.grad.data / (s + 1e-6).sqrt()


def tensorflow_rmsprop(params, states, hyperparams, grads):
    for i, p in enumerate(params):
        states[i] = hyperparams["gamma"] * states[i] + (1 - hyperparams["gamma"]) * grads[i] ** 2
        p.assign_sub(hyperparams["lr"] * grads[i] / (states[i] + 1e-6) ** 0.5)


RMSPROP = {"mxnet": mxnet_rmsprop, "torch": torch_rmsprop, "tensorflow": tensorflow_rmsprop}
HYPERPARAMS = {"lr": 0.01, "gamma": 0.9}


def test_train_ch7_equals_the_training_written_out_and_train_ch11(name, capsys):
    d2l, d2l_11 = edition(name), framework(CH7[name][0])
    trainer_fn = RMSPROP[CH7[name][0]]
    result = d2l.train_ch7(trainer_fn, zeros(name), HYPERPARAMS, *arrays(name), seed=3)
    assert result is None  # or a notebook would print it
    epochs, losses = drawn()
    X, y = table()
    np.testing.assert_allclose(losses[2::2], by_hand(X, y, rmsprop_by_hand(), seed=3), atol=1e-6)
    _, losses_11 = d2l_11.train_ch11(
        d2l_11.rmsprop, d2l_11.init_rmsprop_states(5), HYPERPARAMS, d2l_11.load_array((X, y), 10),
        5, seed=3,
    )  # fmt: skip
    np.testing.assert_allclose(losses[2::2], losses_11, atol=1e-6)
    # before training w is about 0, and the labels have a variance of about 1
    assert losses[0] == pytest.approx((y**2).mean() / 2, abs=0.02)
    np.testing.assert_allclose(epochs, np.linspace(0, 2, 31))
    said = capsys.readouterr().out.splitlines()[0]
    assert re.fullmatch(rf"loss: {losses[-1]:f}, \d+\.\d{{6}} sec per epoch", said)


def concise(name, lr):
    """Return what this edition's concise training takes for RMSProp."""
    if name in MXNET:
        return "rmsprop", {"learning_rate": lr, "gamma1": 0.9}
    d2l = framework(CH7[name][0])
    if name == "d2lzh_pytorch":
        return d2l.torch.optim.RMSprop, {"lr": lr, "alpha": 0.9}
    return d2l.tf.keras.optimizers.RMSprop(learning_rate=lr, rho=0.9), {"lr": lr}


def test_concise_training_equals_train_concise_ch11(name):
    d2l, d2l_11 = edition(name), framework(CH7[name][0])
    trainer, hyperparams = concise(name, 0.02)
    for _ in range(2):  # a Keras instance serves twice
        getattr(d2l, CH7[name][1])(trainer, hyperparams, *arrays(name), 20, 3, seed=4)
        _, losses = drawn()
    if name == "d2lzh_tensorflow2":
        trainer, hyperparams = type(trainer), {"learning_rate": 0.02, "rho": 0.9}
    batches = d2l_11.load_array(table(), 20)
    _, losses_11 = d2l_11.train_concise_ch11(trainer, hyperparams, batches, 3, seed=4)
    assert len(losses) == 46
    # at the end of the third epoch, and every 200 examples before
    np.testing.assert_allclose([*losses[2::2], losses[-1]], losses_11, atol=1e-6)


def adam(xs, pairs, grads, hyperparams, subtract):
    """Adam with states in pairs, which it writes by slices, and a counter in hyperparams."""
    for x, (v, s), g in zip(xs, pairs, grads, strict=True):
        v[:] = 0.9 * v + 0.1 * g
        s[:] = 0.999 * s + 0.001 * g**2
        v_hat = v / (1 - 0.9 ** hyperparams["t"])
        s_hat = s / (1 - 0.999 ** hyperparams["t"])
        subtract(x, hyperparams["lr"] * v_hat / (s_hat**0.5 + 1e-6))
    hyperparams["t"] += 1


def mxnet_adam(params, states, hyperparams):
    def subtract(x, step):
        x[:] -= step

    adam(params, states, [p.grad for p in params], hyperparams, subtract)


def torch_adam(params, states, hyperparams):
    def subtract(x, step):
        x.data -= step

    adam(params, states, [p.grad.data for p in params], hyperparams, subtract)


def tensorflow_adam(params, states, hyperparams, grads):
    """Its states are NumPy's, of float64, as that edition has them."""
    adam(params, states, grads, hyperparams, lambda x, step: x.assign_sub(step))


ADAM = {"mxnet": mxnet_adam, "torch": torch_adam, "tensorflow": tensorflow_adam}


def test_states_in_pairs_and_a_counter(name):
    states = [zeros(name), zeros(name)]
    if name == "d2lzh_tensorflow2":
        states = [[np.zeros((5, 1)), np.zeros(1)] for _ in range(2)]
    pairs = tuple(zip(*states, strict=True))
    hyperparams = {"lr": 0.01, "t": 1}
    edition(name).train_ch7(ADAM[CH7[name][0]], pairs, hyperparams, *arrays(name))
    np.testing.assert_allclose(drawn()[1][2::2], by_hand(*table(), adam_by_hand()), atol=1e-6)
    assert hyperparams["t"] == 301


@pytest.mark.parametrize(("batch_size", "num_epochs", "records"), [(1500, 6, 7), (1, 1, 16)])
def test_gradient_descent_and_one_example_at_a_time(name, batch_size, num_epochs, records):
    def sgd(params, states, hyperparams):
        for p in params:
            if name == "d2lzh_pytorch":
                p.data -= hyperparams["lr"] * p.grad.data
            else:
                p[:] -= hyperparams["lr"] * p.grad

    def tensorflow_sgd(params, states, hyperparams, grads):
        for p, g in zip(params, grads, strict=True):
            p.assign_sub(hyperparams["lr"] * g)

    trainer_fn = tensorflow_sgd if name == "d2lzh_tensorflow2" else sgd
    edition(name).train_ch7(trainer_fn, None, {"lr": 0.005}, *arrays(name), batch_size, num_epochs)
    losses = drawn()[1]
    assert len(losses) == records
    update = lambda x, g: x - 0.005 * g
    expected = by_hand(*table(), update, batch_size, num_epochs)
    assert losses[-1] == pytest.approx(expected[-1], abs=1e-6)


def test_1503_rows_are_recorded_every_100_examples():
    d2l = edition("d2lzh")
    from mxnet import nd

    rows = np.random.default_rng(0).standard_normal((1503, 6))
    features, labels = nd.array(rows[:, :-1]), nd.array(rows[:, -1])
    d2l.train_ch7(mxnet_rmsprop, zeros("d2lzh"), HYPERPARAMS, features, labels)
    assert len(drawn()[0]) == 31


def test_a_mistake_in_training_is_one_sentence(name):
    d2l = edition(name)
    features, labels = arrays(name)
    trainer_fn = RMSPROP[CH7[name][0]]
    for given in ([(features, labels)], [(features, labels), 10], [features]):
        with pytest.raises(TypeError, match="take what get_data_ch7 returns apart first: features"):
            d2l.train_ch7(trainer_fn, zeros(name), HYPERPARAMS, *given)
        with pytest.raises(TypeError, match="take what get_data_ch7 returns apart first: features"):
            getattr(d2l, CH7[name][1])(*concise(name, 0.01), *given)
    for wrong in ("rmsprop", None, type(concise(name, 0.01)[0])):
        with pytest.raises(TypeError, match=r"trainer_fn is .*; it must be a function"):
            d2l.train_ch7(wrong, zeros(name), HYPERPARAMS, features, labels)
        with pytest.raises((TypeError, ValueError), match=r"trainer (str )?(is|makes) .*[;,]"):
            getattr(d2l, CH7[name][1])(wrong and object(), HYPERPARAMS, features, labels)
    with pytest.raises(TypeError, match=r"hyperparams is None; it must be a dict"):
        d2l.train_ch7(trainer_fn, zeros(name), None, features, labels)
    with pytest.warns(UserWarning, match="changed no parameter"):
        d2l.train_ch7(lambda *arguments: None, None, {"lr": 1}, features, labels, 1500)
    with pytest.raises(ValueError, match=r"the arrays have \[1500, 10\] rows"):
        d2l.train_ch7(trainer_fn, zeros(name), HYPERPARAMS, features, labels[:10])
    with pytest.raises(ValueError, match="num_epochs is 0"):
        d2l.train_ch7(trainer_fn, zeros(name), HYPERPARAMS, features, labels, 10, 0)


def test_keras_optimizers_are_instances_with_their_own_hyperparameters():
    d2l = edition("d2lzh_tensorflow2")
    optimizers = framework("tensorflow").tf.keras.optimizers
    for trainer in ("rmsprop", optimizers.RMSprop):
        with pytest.raises(TypeError, match="give an instance of a Keras optimizer"):
            d2l.train_tensorflow2_ch7(trainer, {}, *arrays("d2lzh_tensorflow2"))
    trainer = optimizers.SGD(learning_rate=0.05, momentum=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d2l.train_tensorflow2_ch7(
            trainer, {"lr": 0.05, "momentum": 0.5}, *arrays("d2lzh_tensorflow2")
        )
    with pytest.warns(UserWarning, match=r"lr = 0\.5, but .* that has 0\.05 already"):
        d2l.train_tensorflow2_ch7(trainer, {"lr": 0.5}, *arrays("d2lzh_tensorflow2"))


# pictures and minibatches


def test_the_plane(name, capsys):
    d2l = edition(name)
    path = d2l.train_2d(lambda x1, x2, s1, s2: (0.5 * x1, 0.25 * x2, 0, 0))
    assert path == [(-5 / 2**i, -2 / 4**i) for i in range(21)]
    assert capsys.readouterr().out == "epoch 20, x1 -0.000005, x2 -0.000000\n"
    seen = []
    d2l.show_trace_2d(lambda x1, x2: seen.append(type(x1)) or 0.1 * x1**2 + 2 * x2**2, path)
    assert seen == [np.ndarray]  # as those editions have it
    np.testing.assert_allclose(drawn(), np.transpose(path))


def test_semilogy(name):
    d2l = edition(name)
    one = [np.ones(1) * x for x in (3, 2, 1)]  # as asnumpy() gives them
    d2l.semilogy([0, 1, 2], one, "epoch", "loss", [0, 1], [5, 6], ["train", "test"])
    axes = d2l.plt.gca()
    train, test = axes.lines
    np.testing.assert_array_equal(train.get_data(), [[0, 1, 2], [3, 2, 1]])
    np.testing.assert_array_equal(test.get_data(), [[0, 1], [5, 6]])
    assert (axes.get_yscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "epoch", "loss")
    assert (train.get_linestyle(), test.get_linestyle()) == ("-", ":")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]
    d2l.semilogy([0, 1], [2, 1], "epoch", "loss", figsize=(2, 3))
    assert len(d2l.plt.gca().lines) == 1 and d2l.plt.gca().get_legend() is None
    assert len(axes.lines) == 2 and list(d2l.plt.gcf().get_size_inches()) == [2, 3]


def test_minibatches_are_shuffled_by_pythons_random(name):
    features, labels = array(name, np.arange(14.0).reshape(7, 2)), array(name, np.arange(7.0))
    random.seed(5)
    order = list(range(7))
    random.shuffle(order)
    random.seed(5)
    batches = [tuple(map(data_of, b)) for b in edition(name).data_iter(3, features, labels)]
    assert [len(X) for X, _ in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), order)
    np.testing.assert_array_equal(
        np.concatenate([X for X, _ in batches]), [[2 * i, 2 * i + 1] for i in order]
    )


def test_utils_numbers_its_minibatches_and_sets_the_size():
    utils = edition("utils")
    X, y = array("utils", np.arange(14.0).reshape(7, 2)), array("utils", np.arange(7.0))
    batches = list(utils.data_iter(3, 7, random, X, y))
    assert [number for number, _, _ in batches] == [0, 1, 2]
    assert sorted(np.concatenate([y.asnumpy() for _, _, y in batches])) == list(range(7))
    utils.set_fig_size(matplotlib, (1, 2))
    assert list(matplotlib.rcParams["figure.figsize"]) == [1, 2]


@pytest.mark.parametrize("name", ["utils", "gluonbook"])
def test_optimize_trains_a_gluon_network(name, capsys):
    d2l = edition(name)
    import mxnet as mx
    from mxnet import gluon, nd

    X, y = data.linear_problem()
    with mx.util.np_array(False), mx.util.np_shape(False):
        net = gluon.nn.Sequential()
        net.add(gluon.nn.Dense(1))
        net.initialize(mx.init.Normal(sigma=1))
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.2})
        arrays = {"X": nd.array(X), "y": nd.array(y)}
        if name == "gluonbook":
            arrays = {"features": arrays["X"], "labels": arrays["y"]}
        d2l.optimize(
            batch_size=10, trainer=trainer, num_epochs=4, decay_epoch=2, log_interval=20,
            net=net, **arrays,
        )  # fmt: skip
        found = [*net[0].weight.data().asnumpy()[0], net[0].bias.data().asnumpy()[0]]
    np.testing.assert_allclose(found, [2, -3.4, 4.2], atol=0.01)
    assert trainer.learning_rate == pytest.approx(0.2 * 0.1**2)
    epochs, losses = drawn()
    np.testing.assert_allclose(epochs, np.linspace(0, 4, 201))
    w, b = np.float64(found[:2]), found[2]
    assert losses[-1] == pytest.approx(((X @ w + b - y) ** 2).mean() / 2, rel=1e-4)
    assert f"loss: {losses[-1]:.4e}" in capsys.readouterr().out


# MXNet's switches


@pytest.mark.parametrize("name", MXNET)
def test_nothing_in_mxnet_is_switched(name):
    edition(name)
    code = f"""
import matplotlib
matplotlib.use("agg")
from d2l_rmsprop.editions import {name} as d2l
import mxnet as mx, sys
from mxnet import nd
X, y = nd.ones((20, 2)), nd.ones(20)
if hasattr(d2l, "train_ch7"):
    d2l.train_ch7(lambda *arguments: None, None, dict(), X, y)
    d2l.train_gluon_ch7("sgd", dict(learning_rate=0.1), X, y)
assert not mx.util.is_np_array() and not mx.util.is_np_shape()
assert "d2l_rmsprop.mxnet" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_nor_is_it_switched_off_where_a_reader_has_switched_it_on():
    edition("d2lzh")  # its test suite has d2l_rmsprop.mxnet already
    import mxnet as mx

    assert mx.util.is_np_array()
    edition("d2lzh").train_gluon_ch7("sgd", {"learning_rate": 0.1}, *arrays("d2lzh"), 1500, 1)
    assert mx.util.is_np_array() and mx.util.is_np_shape()


@pytest.mark.parametrize("name", [*CH7, "utils"])
def test_a_missing_framework_names_the_command_that_installs_it(name):
    missing = CH7.get(name, ["mxnet"])[0]
    edition(name)
    code = f"""
import sys
sys.modules[{missing!r}] = None
try:
    import d2l_rmsprop.editions.{name}
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"install it with: python -m pip install 'd2l-rmsprop[{missing}]'" in run.stdout
