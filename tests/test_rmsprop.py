"""The algorithm against references that are not ours: built-ins, float64 NumPy, closed forms."""

import inspect
import logging
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from conftest import FRAMEWORKS, framework, parameter, precision, state
from hypothesis import given, settings
from hypothesis import strategies as st

import d2l_rmsprop

runs = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "shapes": st.lists(
            st.sampled_from([(), (1,), (7,), (3, 2), (2, 1, 3)]), min_size=1, max_size=3
        ),
        "steps": st.integers(1, 25),
        "scale": st.sampled_from([1e-4, 1e-2, 1.0, 100.0]),
        # exact in float32, which some built-ins keep them in whatever the arrays are
        "lr": st.integers(0, 1024).map(lambda k: k / 1024),
        "gamma": st.integers(0, 1023).map(lambda k: k / 1024),
        "eps": st.integers(7, 26).map(lambda k: 2.0**-k),
    }
)


def start_and_gradients(run, dtype):
    rng = np.random.default_rng(run["seed"])
    draw = lambda scale: [np.asarray(scale * rng.standard_normal(s), dtype) for s in run["shapes"]]
    return draw(1), [draw(run["scale"]) for _ in range(run["steps"])]


def ours(d2l, start, gradients, **hyperparams):
    params = [parameter(d2l, x) for x in start]
    states = [state(d2l, np.zeros_like(x)) for x in start]
    for step in gradients:
        for i, g in enumerate(step):
            set_gradient(d2l, params[i], g)
        d2l.rmsprop(params, states, hyperparams)
    return [np.asarray(d2l.numpy(x), np.float64) for x in params]


def set_gradient(d2l, x, g):
    if d2l.__name__.endswith("mxnet"):
        x.attach_grad()
        x.grad[()] = d2l.np.array(g, dtype=g.dtype)
    else:
        x.grad = d2l.from_numpy(g.copy())


def formula(start, gradients, lr, gamma, eps=1e-6, eps_in_sqrt=True):
    """RMSProp in float64, and how far each coordinate travelled."""
    x = [np.asarray(a, np.float64) for a in start]
    s, path = [np.zeros_like(a) for a in x], [np.abs(a) for a in x]
    for step in gradients:
        for i, g in enumerate(np.asarray(g, np.float64) for g in step):
            s[i] = gamma * s[i] + (1 - gamma) * g * g
            root = np.sqrt(s[i] + eps) if eps_in_sqrt else np.sqrt(s[i]) + eps
            x[i] = x[i] - lr * g / root
            path[i] = path[i] + np.abs(lr * g / root)
    return x, path


def assert_close(found, expected, path, tolerance):
    for a, b, length in zip(found, expected, path, strict=True):
        assert a.shape == b.shape
        assert np.all(np.abs(a - b) <= tolerance * np.maximum(length, 1e-30))


def torch_builtin(d2l, start, gradients, lr, gamma, eps):
    params = [d2l.torch.tensor(x, requires_grad=True) for x in start]
    optimizer = d2l.torch.optim.RMSprop(params, lr=lr, alpha=gamma, eps=eps)
    for step in gradients:
        for x, g in zip(params, step, strict=True):
            x.grad = d2l.torch.tensor(g)
        optimizer.step()
    return [x.detach().numpy() for x in params]


def tensorflow_builtin(d2l, start, gradients, lr, gamma, eps):
    params = [d2l.tf.Variable(x) for x in start]
    optimizer = d2l.tf.keras.optimizers.RMSprop(lr, rho=gamma, epsilon=eps)
    for step in gradients:
        optimizer.apply_gradients(zip(map(d2l.tf.constant, step), params, strict=True))
    return [x.numpy() for x in params]


def mxnet_builtin(d2l, start, gradients, lr, gamma, eps):
    # the operator behind mx.optimizer.RMSProp, which itself keeps its state in float32 only
    from mxnet import nd

    params = [nd.array(x, dtype=x.dtype) for x in start]
    moments = [x.zeros_like() for x in params]
    for step in gradients:
        for x, s, g in zip(params, moments, step, strict=True):
            g = nd.array(g, dtype=g.dtype)
            nd.rmsprop_update(x, g, s, lr=lr, gamma1=gamma, epsilon=eps, out=x)
    return [x.asnumpy() for x in params]


def optax_builtin(d2l, start, gradients, lr, gamma, eps, eps_in_sqrt=True):
    import optax

    optimizer = optax.rmsprop(lr, decay=gamma, eps=eps, eps_in_sqrt=eps_in_sqrt)
    params = [d2l.from_numpy(x) for x in start]
    moments = optimizer.init(params)
    for step in gradients:
        updates, moments = optimizer.update([d2l.from_numpy(g) for g in step], moments, params)
        params = optax.apply_updates(params, updates)
    return [np.asarray(x) for x in params]


def paddle_builtin(d2l, start, gradients, lr, gamma, eps):
    params = [d2l.paddle.to_tensor(x, stop_gradient=False) for x in start]
    optimizer = d2l.paddle.optimizer.RMSProp(lr, gamma, eps, parameters=params)
    for step in gradients:
        for x, g in zip(params, step, strict=True):
            x.grad = d2l.paddle.to_tensor(g)
        optimizer.step()
    return [x.numpy() for x in params]


BUILTINS = {
    "paddle": paddle_builtin,
    "torch": torch_builtin,
    "tensorflow": tensorflow_builtin,
    "mxnet": mxnet_builtin,
    "jax": optax_builtin,
}
# parts of the way travelled; float32 rounds at 6e-8, and steps add up
TOLERANCE = {"float32": 5e-6, "float64": 1e-11}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", BUILTINS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(run=runs)
def test_equals_the_frameworks_own(name, dtype, run):
    d2l = framework(name)
    with precision(d2l, dtype):
        start, gradients = start_and_gradients(run, dtype)
        lr, gamma, eps = run["lr"], run["gamma"], run["eps"]
        found = ours(
            d2l, start, gradients, lr=lr, gamma=gamma, eps=eps, eps_in_sqrt=d2l.EPS_IN_SQRT
        )
        expected = BUILTINS[name](d2l, start, gradients, lr, gamma, eps)
    _, path = formula(start, gradients, lr, gamma, eps, d2l.EPS_IN_SQRT)
    assert_close(found, expected, path, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("eps_in_sqrt", [True, False])
@pytest.mark.parametrize("name", FRAMEWORKS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(run=runs)
def test_equals_the_formula_in_float64(name, eps_in_sqrt, dtype, run):
    d2l = framework(name)
    hyperparams = {k: run[k] for k in ("lr", "gamma", "eps")} | {"eps_in_sqrt": eps_in_sqrt}
    with precision(d2l, dtype):
        start, gradients = start_and_gradients(run, dtype)
        found = ours(d2l, start, gradients, **hyperparams)
    assert_close(found, *formula(start, gradients, **hyperparams), TOLERANCE[dtype])


def test_optax_agrees_on_epsilon_outside_the_root():
    d2l = framework("jax")
    rng = np.random.default_rng(0)
    start = [np.float32(rng.standard_normal(5))]
    gradients = [[np.float32(1e-5 * rng.standard_normal(5))] for _ in range(10)]
    found = ours(d2l, start, gradients, lr=0.1, gamma=0.9, eps=1e-6, eps_in_sqrt=False)
    expected = optax_builtin(d2l, start, gradients, 0.1, 0.9, 1e-6, eps_in_sqrt=False)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5)


@pytest.mark.parametrize(
    "name, dtype",
    [(name, "float16") for name in FRAMEWORKS]
    + [(name, "bfloat16") for name in ("torch", "paddle", "tensorflow", "jax")],
)
def test_half_precision(name, dtype):
    d2l = framework(name)
    start, g = np.linspace(-1, 1, 5, dtype=np.float32), np.float32([0.5, -1, 2, 0.25, -3])
    expected, _ = formula([start], [[g]], 0.1, 0.9, 1e-3)
    if name == "torch":
        kind = getattr(d2l.torch, dtype)
        x = d2l.torch.tensor(start).to(kind).requires_grad_()
        x.grad, s = d2l.torch.tensor(g).to(kind), d2l.torch.zeros(5, dtype=kind)
    elif name == "paddle":
        x = d2l.paddle.to_tensor(start).astype(dtype).detach()
        x.stop_gradient, x.grad = False, d2l.paddle.to_tensor(g).astype(dtype)
        s = d2l.zeros([5]).astype(dtype)
    elif name == "mxnet":
        x, s = d2l.np.array(start, dtype=dtype), d2l.np.zeros(5, dtype=dtype)
        x.attach_grad()
        x.grad[:] = d2l.np.array(g, dtype=dtype)
    elif name == "numpy":
        x, s = d2l.Variable(start.astype(dtype)), d2l.Variable(np.zeros(5, dtype))
        x.grad = g.astype(dtype)
    else:
        cast = (
            (lambda a: d2l.tf.cast(a, dtype))
            if name == "tensorflow"
            else (lambda a: d2l.jnp.asarray(a, dtype))
        )
        x, s = d2l.variable(cast(start)), d2l.variable(cast(np.zeros(5)))
        x.grad = cast(g)
    d2l.rmsprop([x], [s], {"lr": 0.1, "gamma": 0.9, "eps": 1e-3})
    assert dtype in str(x.dtype) and dtype in str(s.dtype)
    value = d2l.numpy(x.detach().float() if name == "torch" else x)
    if name == "paddle":
        value = x.astype("float32").numpy()
    np.testing.assert_allclose(np.asarray(value, np.float32), expected[0], atol=2e-2)


# closed forms


def test_without_memory_and_epsilon_it_is_sign_descent(d2l):
    (x,) = ours(
        d2l, [np.float32([1, 1, 1])], [[np.float32([5, -0.01, 300])]], lr=0.5, gamma=0, eps=0
    )
    np.testing.assert_allclose(x, [0.5, 1.5, 0.5], rtol=1e-6)


def test_with_gamma_1_it_is_gradient_descent_at_lr_over_root_eps(d2l):
    (x,) = ours(d2l, [np.float32([1, 2])], [[np.float32([1e-3, -2e-3])]] * 3, lr=0.4, gamma=1)
    np.testing.assert_allclose(x, [1 - 3 * 0.4, 2 + 6 * 0.4], rtol=1e-5)


def test_under_a_constant_gradient_the_average_fills_as_1_minus_gamma_to_the_t(d2l):
    lr, gamma, g, steps = 0.01, 0.9, 3.0, 20
    (x,) = ours(d2l, [np.float32([0])], [[np.float32([g])]] * steps, lr=lr, gamma=gamma, eps=0)
    expected = -sum(lr / math.sqrt(1 - gamma**t) for t in range(1, steps + 1))
    np.testing.assert_allclose(x, [expected], rtol=1e-5)


def test_the_plane_reaches_what_the_closed_loop_says():
    x1, x2, s1, s2 = -5.0, -2.0, 0.0, 0.0
    a1, a2, b1, b2 = -5.0, -2.0, 0.0, 0.0
    for _ in range(20):
        x1, x2, s1, s2 = d2l_rmsprop.rmsprop_2d(x1, x2, s1, s2)
        (a1, b1), (a2, b2) = (
            (a - 0.4 * g / math.sqrt((t := 0.9 * b + (1 - 0.9) * g * g) + 1e-6), t)
            for a, b, g in ((a1, b1, 0.2 * a1), (a2, b2, 4 * a2))
        )
    assert (x1, x2) == pytest.approx((a1, a2), rel=1e-9)
    assert 0.1 * x1**2 + 2 * x2**2 == pytest.approx(1.1e-5, rel=0.05)


def test_the_weights_of_the_leaky_average_sum_to_1_minus_gamma_to_the_n():
    weights = d2l_rmsprop.leaky_average_weights(0.9, 40)
    assert weights[:2] == pytest.approx([0.1, 0.09])
    assert sum(weights) == pytest.approx(1 - 0.9**40)


# one function, in place


def test_it_is_one_function_and_names_no_framework():
    source = inspect.getsource(d2l_rmsprop.rmsprop).lower()
    for name in FRAMEWORKS:
        assert name not in source
    for name in FRAMEWORKS:
        try:
            assert framework(name).rmsprop is d2l_rmsprop.rmsprop
        except pytest.skip.Exception:
            continue


def test_it_works_in_place_and_uses_the_gradient_up(d2l):
    g = np.float32([1, -2])
    x, s = parameter(d2l, np.float32([1, 1]), g), state(d2l, np.float32([0, 0]))
    held = x.grad
    d2l.rmsprop([x], [s], {"lr": 0.1, "gamma": 0.9})
    np.testing.assert_allclose(d2l.numpy(s), 0.1 * g**2, rtol=1e-6)
    assert np.all(d2l.numpy(x) != 1)
    if d2l.__name__.endswith("mxnet"):
        assert not d2l.numpy(x.grad).any()  # its buffer stays, so it is emptied
    elif d2l.__name__.endswith("paddle"):
        assert x.grad is None  # and its buffer with it, which belongs to x
    else:
        assert x.grad is None
        np.testing.assert_array_equal(d2l.numpy(held), g)  # a caller may still hold it


def test_the_next_backward_pass_starts_clean():
    torch, mxnet = framework("torch").torch, framework("mxnet")
    x, s = torch.ones(2, requires_grad=True), torch.zeros(2)
    y, t = mxnet.np.ones(2), mxnet.np.zeros(2)
    y.attach_grad(grad_req="add")
    for _ in range(2):
        (3 * x).sum().backward()
        assert x.grad.tolist() == [3, 3]
        d2l_rmsprop.rmsprop([x], [s], {"lr": 0.1, "gamma": 0.9})
        with mxnet.autograd.record():
            loss = (3 * y).sum()
        loss.backward()
        assert y.grad.tolist() == [3, 3]
        d2l_rmsprop.rmsprop([y], [t], {"lr": 0.1, "gamma": 0.9})


def test_a_nan_gradient_follows_ieee_rules(d2l):
    with np.errstate(all="ignore"):
        (x,) = ours(d2l, [np.float32([1, 1])], [[np.float32([np.nan, 1])]], lr=0.1, gamma=0.9)
    assert np.isnan(x[0]) and np.isfinite(x[1])


# bad input, before anything is changed


@pytest.mark.parametrize(
    "change, words",
    [
        ({"lr": None}, ["'lr'", "None"]),
        ({"lr": "0.1"}, ["'lr'", "'0.1'"]),
        ({"lr": math.nan}, ["'lr'", "nan"]),
        ({"lr": -1}, ["'lr'", "-1"]),
        ({"lr": math.inf}, ["'lr'", "inf"]),
        ({"gamma": 1.1}, ["'gamma'", "1.1", "from 0 to 1"]),
        ({"gamma": -0.1}, ["'gamma'", "-0.1"]),
        ({"gamma": [0.9]}, ["'gamma'", "[0.9]"]),
        ({"eps": -1e-6}, ["'eps'", "-1e-06"]),
        ({"eps": math.nan}, ["'eps'", "nan"]),
        ({"eps_in_sqrt": "no"}, ["'eps_in_sqrt'", "'no'"]),
        ({"epsilon": 1e-3}, ["'epsilon'", "calls it 'eps'"]),
        ({"gamma": np.array("0.9")}, ["'gamma'", "'0.9'"]),
    ],
)
def test_a_bad_hyperparameter_is_named_with_its_value(d2l, change, words):
    x, s = parameter(d2l, np.float32([1]), np.float32([1])), state(d2l, np.float32([0]))
    with pytest.raises(ValueError) as raised:
        d2l.rmsprop([x], [s], {"lr": 0.1, "gamma": 0.9} | change)
    assert all(word in str(raised.value) for word in words)
    assert d2l.numpy(x) == 1 and d2l.numpy(s) == 0 and x.grad is not None


@pytest.mark.parametrize("key", ["lr", "gamma"])
def test_a_missing_hyperparameter_is_named(d2l, key):
    x, s = parameter(d2l, np.float32([1]), np.float32([1])), state(d2l, np.float32([0]))
    hyperparams = {"lr": 0.1, "gamma": 0.9}
    del hyperparams[key]
    with pytest.raises(ValueError, match=f"no '{key}'"):
        d2l.rmsprop([x], [s], hyperparams)


def test_states_must_match_in_number_and_shape(d2l):
    x = parameter(d2l, np.float32([1, 2]), np.float32([1, 1]))
    s, hyperparams = state(d2l, np.float32([0, 0, 0])), {"lr": 0.1, "gamma": 0.9}
    with pytest.raises(ValueError, match="1 params and 2 states"):
        d2l.rmsprop([x], [s, s], hyperparams)
    with pytest.raises(ValueError, match="1 params and None states"):
        d2l.rmsprop([x], None, hyperparams)
    with pytest.raises(ValueError, match=r"states\[0\] has shape \(3,\).*\(2,\)"):
        d2l.rmsprop([x], [s], hyperparams)
    with pytest.raises(TypeError, match=r"states\[0\] is a builtins.float"):
        d2l.rmsprop([x], [0.0], hyperparams)
    assert d2l.numpy(x).tolist() == [1, 2]


def test_a_parameter_without_a_gradient_is_named(d2l):
    one = parameter(d2l, np.float32([1]), np.float32([1]))
    other = parameter(d2l, np.float32([2, 2]))
    states = [state(d2l, np.float32([0])), state(d2l, np.float32([0, 0]))]
    with pytest.raises(ValueError, match=r"params\[1\] of shape \(2,\) has no gradient"):
        d2l.rmsprop([one, other], states, {"lr": 0.1, "gamma": 0.9})
    assert d2l.numpy(one) == 1


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name != "numpy"])
def test_params_of_two_frameworks_are_refused(name):
    here, there = framework("numpy"), framework(name)
    params = [parameter(d2l, np.float32([1]), np.float32([1])) for d2l in (here, there)]
    states = [state(d2l, np.float32([0])) for d2l in (here, there)]
    with pytest.raises(TypeError, match=r"params\[1\] is a .*one framework"):
        d2l_rmsprop.rmsprop(params, states, {"lr": 0.1, "gamma": 0.9})
    assert here.numpy(params[0]) == 1


def test_a_plain_array_is_not_a_parameter():
    with pytest.raises(TypeError, match=r"params\[0\] is a numpy.ndarray.*Variable"):
        d2l_rmsprop.rmsprop([np.ones(2)], [np.zeros(2)], {"lr": 0.1, "gamma": 0.9})


# all or nothing: a second parameter that cannot be stepped leaves the first as it was


def sound_pair(d2l):
    return parameter(d2l, np.float32([1, 2]), np.float32([3, 4])), state(d2l, np.float32([0, 0]))


def another_gradient(d2l, gradient):
    x, s = sound_pair(d2l)
    x.grad = gradient
    return x, s


def sparse(d2l):
    x, s = sound_pair(d2l)
    if d2l.__name__.endswith("torch"):
        x.grad = d2l.torch.ones(2).to_sparse()
    elif d2l.__name__.endswith("paddle"):
        layer = d2l.paddle.nn.Embedding(4, 3, sparse=True)
        layer(d2l.paddle.to_tensor([0, 1])).sum().backward()
        return layer.weight, d2l.zeros([4, 3])
    else:
        x.grad = d2l.tf.IndexedSlices(d2l.ones(1), d2l.tf.constant([0]), d2l.tf.constant([2]))
    return x, s


def of_another_precision(d2l):
    x, s = sound_pair(d2l)
    if d2l.__name__.endswith("torch"):
        x.data = x.data.double()  # torch itself refuses such a gradient
    else:
        x.grad = d2l.from_numpy(np.float16([1, 1]))
    return x, s


def integer_parameter(d2l):
    x, s = parameter(d2l, np.float32([1, 2]), np.float32([3, 4])), state(d2l, np.float32([0, 0]))
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        x = d2l.torch.tensor([1, 2])
        x.grad = d2l.torch.tensor([1, 1])
    elif name == "paddle":
        x = d2l.paddle.to_tensor([1, 2])
    elif name == "mxnet":
        x = d2l.np.array([1, 2], dtype="int32")
        x.attach_grad()
    else:
        x = d2l.variable(d2l.from_numpy(np.int32([1, 2])))
        x.grad = d2l.from_numpy(np.int32([1, 1]))
    return x, s


def made_in_inference_mode(d2l):
    with d2l.torch.inference_mode():
        return sound_pair(d2l)[0], d2l.torch.zeros(2)


def expanded(d2l):
    if d2l.__name__.endswith("torch"):
        return d2l.torch.zeros(1).expand(2)
    return d2l.paddle.as_strided(d2l.zeros([1]), [2], [0])


def expanded_parameter(d2l):
    x, s = expanded(d2l).detach(), sound_pair(d2l)[1]
    if d2l.__name__.endswith("torch"):
        x.grad = d2l.torch.ones(2)
    else:
        x.stop_gradient, x.grad = False, d2l.ones([2])
    return x, s


def of_8_bits(d2l):
    x, s = sound_pair(d2l)
    name = d2l.__name__.rpartition(".")[2]
    if name == "torch":
        x = x.detach().to(d2l.torch.float8_e5m2)
    elif name == "paddle":
        x = x.detach().astype("float8_e5m2")
    elif name == "tensorflow":
        x = d2l.tf.Variable(d2l.tf.cast(x, d2l.tf.dtypes.experimental.float8_e5m2))
    else:
        x = d2l.Variable(x.value.astype("float8_e5m2"))
    return x, s


def of_an_unknown_shape(d2l):
    x, s = d2l.tf.Variable([1.0, 2.0], shape=d2l.tf.TensorShape(None)), sound_pair(d2l)[1]
    x.grad = d2l.ones(2)
    return x, s


def of_a_shape_known_in_part(d2l):
    x, s = d2l.tf.Variable([1.0, 2.0], shape=d2l.tf.TensorShape([None])), sound_pair(d2l)[1]
    x.grad = d2l.ones(2)
    return x, s


def not_a_leaf(d2l):
    x, s = sound_pair(d2l)
    return 2 * x, s


def frozen(d2l):
    x, s = sound_pair(d2l)
    if d2l.__name__.endswith("torch"):
        return x.detach().clone(), s
    y = d2l.paddle.to_tensor([1.0, 2.0])
    return y, s


def read_only(d2l):
    x, s = sound_pair(d2l)
    s.value.flags.writeable = False
    return x, s


EVERY = FRAMEWORKS
LISTS = ("numpy", "tensorflow", "jax")  # the others refuse such a gradient themselves
# what is wrong with the second parameter, where it can be, and what the sentence says
FAULTS = {
    "a list as gradient": (LISTS, lambda d2l: another_gradient(d2l, [1.0, 1.0]), "builtins.list"),
    "a number as gradient": (LISTS, lambda d2l: another_gradient(d2l, 1.0), "builtins.float"),
    "another shape of gradient": (
        LISTS,
        lambda d2l: another_gradient(d2l, d2l.zeros((2, 1))),
        r"shape \(2,\), but its gradient \(2, 1\)",
    ),
    "a sparse gradient": (
        ("torch", "tensorflow", "paddle"),
        sparse,
        "sparse_coo|IndexedSlices.*dense|layout dense, but its gradient sparse",
    ),
    "a sparse state": (
        ("torch", "paddle"),
        lambda d2l: (
            sound_pair(d2l)[0],
            d2l.torch.zeros(2).to_sparse()
            if d2l.__name__.endswith("torch")
            else d2l.zeros([2]).to_sparse_coo(1),
        ),
        "layout .*, but its state .*sparse",
    ),
    "8 bits": (
        ("torch", "paddle", "tensorflow", "jax"),
        of_8_bits,
        r"params\[1\] is of float8_e5m2.*make it of floats of 16 bits or more",
    ),
    "an unknown shape": (("tensorflow",), of_an_unknown_shape, "without a shape.*a fixed shape"),
    "a shape known in part": (
        ("tensorflow",),
        of_a_shape_known_in_part,
        r"without a shape .*\(a part of it is not known\); give it a fixed shape",
    ),
    "another precision of gradient": (
        (*LISTS, "torch"),
        of_another_precision,
        "of float.., but its gradient of float..",
    ),
    "an integer parameter": (EVERY, integer_parameter, r"params\[1\] is of int.*make it of floats"),
    "an integer state": (
        EVERY,
        lambda d2l: (sound_pair(d2l)[0], state(d2l, np.int32([0, 0]))),
        r"states\[1\] is of int32.*make it of floats",
    ),
    "a complex state": (
        ("numpy", "torch", "paddle", "tensorflow", "jax"),
        lambda d2l: (sound_pair(d2l)[0], state(d2l, np.complex64([0, 0]))),
        "complex64.*real and imaginary parts",
    ),
    "a read-only state": (("numpy",), read_only, r"states\[1\] is read-only; make a copy"),
    "a state that shares its memory": (
        ("numpy",),
        lambda d2l: (
            sound_pair(d2l)[0],
            np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2,), (0,)),
        ),
        r"states\[1\] has elements that share their memory; make a copy",
    ),
    "a masked gradient": (
        ("numpy",),
        lambda d2l: another_gradient(d2l, np.ma.array(np.float32([1, 1]), mask=[0, 1])),
        r"type ndarray, but its gradient MaskedArray; bring both to the same type",
    ),
    "a matrix as gradient": (
        ("numpy",),
        lambda d2l: another_gradient(d2l, np.float32([1, 1]).view(np.matrix)),
        r"type ndarray, but its gradient matrix",
    ),
    "a state of inference mode": (("torch",), made_in_inference_mode, "inference mode.*clone"),
    "an expanded state": (
        ("torch", "paddle"),
        lambda d2l: (sound_pair(d2l)[0], expanded(d2l)),
        r"states\[1\] has elements that share their memory.*clone",
    ),
    "an expanded parameter": (
        ("torch", "paddle"),
        expanded_parameter,
        r"params\[1\] has elements that share their memory.*clone",
    ),
    "a state on another device": (
        ("torch",),
        lambda d2l: (sound_pair(d2l)[0], d2l.torch.zeros(2, device="meta")),
        "device cpu, but its state meta",
    ),
    "a parameter that is not a leaf": (("torch", "paddle"), not_a_leaf, "not a leaf"),
    "a frozen parameter": (
        ("torch", "paddle"),
        frozen,
        "no gradient; its (requires_grad is False|stop_gradient is True)",
    ),
}


def listed_twice(d2l, x, s):
    return [x, x], [s, state(d2l, np.float32([0, 0]))]


def a_shared_state(d2l, x, s):
    return [x, sound_pair(d2l)[0]], [s, s]


def the_parameter_as_state(d2l, x, s):
    return [x], [x]


def assert_refused(d2l, compiled, x, s, params, states, words):
    optimizer = d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said beside the one sentence
        with pytest.raises((TypeError, ValueError), match=words) as raised:
            optimizer(params, states, {"lr": 0.1, "gamma": 0.9})
    sentence = str(raised.value)
    assert sentence.endswith(".") and "\n" not in sentence
    plain = x.detach() if hasattr(x, "detach") else x
    assert d2l.numpy(plain).tolist() == [1, 2] and d2l.numpy(s).tolist() == [0, 0]
    assert d2l.numpy(x.grad).tolist() == [3, 4]


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault) for fault, (names, *_) in FAULTS.items() for name in names]
)
def test_a_fault_in_one_parameter_changes_none(name, fault, compiled):
    d2l = framework(name)
    _, second, words = FAULTS[fault]
    (x, s), (y, t) = sound_pair(d2l), second(d2l)
    assert_refused(d2l, compiled, x, s, [x, y], [s, t], words)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("arrange", [listed_twice, a_shared_state, the_parameter_as_state])
def test_an_array_has_one_place(d2l, arrange, compiled):
    x, s = sound_pair(d2l)
    assert_refused(d2l, compiled, x, s, *arrange(d2l, x, s), "are one array; list each .* once")


@pytest.mark.parametrize("name", ["torch", "paddle", "mxnet"])
def test_two_names_of_one_tensor_are_one_parameter(name):
    d2l = framework(name)
    x, s = sound_pair(d2l)
    y = x.detach()
    if name == "mxnet":
        y.attach_grad()
    else:
        y.grad = d2l.ones([2])
    assert_refused(d2l, False, x, s, [x, y], [s, d2l.zeros([2])], "are one array")
    assert_refused(d2l, False, x, s, [x], [x.detach()], "are one array")


# what NumPy's views are cut from, and whether two of them share numbers
VIEWS = {
    "one array": (lambda b: (b[:2], b[:2]), True),
    "neighbours that overlap": (lambda b: (b[:2], b[1:3]), True),
    "halves": (lambda b: (b[:2], b[2:4]), False),
    "columns": (lambda b: tuple(b.reshape(3, 2)[:2].T), False),
    "backwards": (lambda b: (b[1::-1], b[5:3:-1]), False),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("kind", VIEWS)
def test_numpy_steps_views_that_share_nothing(kind, compiled):
    d2l = framework("numpy")
    cut, share = VIEWS[kind]
    (x, s), (y, _), buffer = sound_pair(d2l), sound_pair(d2l), np.zeros(6, np.float32)
    first, second = cut(buffer)
    if share:
        assert_refused(d2l, compiled, x, s, [x, y], [first, second], "share their memory.*copy")
    else:
        (d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop)(
            [x, y], [first, second], {"lr": 0.1, "gamma": 0.75}
        )
        expected = 0.25 * np.float32([9, 16])
        np.testing.assert_allclose([first, second], [expected, expected])


def test_numpy_takes_no_view_of_a_parameter_for_a_state():
    d2l = framework("numpy")
    x, s = sound_pair(d2l)
    y, _ = sound_pair(d2l)
    assert_refused(
        d2l, False, x, s, [x, y], [s, y.value[::-1]], r"params\[1\] and states\[1\] share"
    )


def test_a_parameters_own_array_is_no_state():
    d2l = framework("numpy")
    x, s = sound_pair(d2l)
    assert_refused(d2l, False, x, s, [x], [x.value], "a state of its own")


# what was sound at one step is looked at again at the next


def another_type(d2l, x, s):
    x.data = x.data.double()


def made_to_share(d2l, x, s):
    s.data = d2l.torch.zeros(1).expand(2)


def resized(d2l, x, s):
    s.data = d2l.torch.zeros(3)


def one_memory(d2l, x, s):
    s.data = x.data


def locked(d2l, x, s):
    s.value.flags.writeable = False


def reshaped(d2l, x, s):
    x.value.shape = 2, 1


def another_array(d2l, x, s):
    s.value = d2l.zeros(3)


CHANGED = {
    "another type": ("torch", another_type, "of float64, but its gradient of float32"),
    "made to share": ("torch", made_to_share, "share their memory"),
    "resized": ("torch", resized, r"states\[1\] has shape \(3,\)"),
    "one memory": ("torch", one_memory, "are one array"),
    "locked": ("numpy", locked, "read-only"),
    "reshaped": ("numpy", reshaped, r"params\[1\] has shape \(2, 1\)"),
    "another array of numpy": ("numpy", another_array, r"states\[1\] has shape \(3,\)"),
    "another array of jax": ("jax", another_array, r"states\[1\] has shape \(3,\)"),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("change", CHANGED)
def test_what_changes_between_steps_is_seen(change, compiled):
    name, change, words = CHANGED[change]
    d2l = framework(name)
    (x, s), (y, t) = sound_pair(d2l), sound_pair(d2l)
    gradients = x.grad, y.grad
    d2l.rmsprop([x, y], [s, t], {"lr": 0, "gamma": 1})  # changes nothing
    x.grad, y.grad = gradients
    assert d2l.sound([x, y], [s, t])
    change(d2l, y, t)
    assert_refused(d2l, compiled, x, s, [x, y], [s, t], words)


def test_steps_after_the_first_are_known_to_be_sound(d2l):
    (x, s), (y, t) = sound_pair(d2l), sound_pair(d2l)
    params, states = [x, y], [s, t]
    d2l.rmsprop(params, states, {"lr": 0.1, "gamma": 0.9})
    if not d2l.__name__.endswith("mxnet"):  # where it stays
        x.grad, y.grad = (sound_pair(d2l)[0].grad for _ in range(2))
    assert d2l.sound(params, states)  # or each step would be looked at in full


def test_an_error_of_ones_own_update_changes_nothing(d2l):
    x, s = sound_pair(d2l)
    y, t = parameter(d2l, np.float32([7]), np.float32([1])), state(d2l, np.float32([0]))

    def update(x, s, g, lr):
        if tuple(x.shape) == (1,):
            raise ZeroDivisionError
        return x - lr * g, s

    with pytest.raises(ZeroDivisionError):
        d2l.apply(update, [x, y], [s, t], 0.1)
    plain = x.detach() if hasattr(x, "detach") else x
    assert d2l.numpy(plain).tolist() == [1, 2] and d2l.numpy(x.grad).tolist() == [3, 4]


def test_the_check_guards_optimizers_of_ones_own_too(d2l):
    x, s = sound_pair(d2l)
    with pytest.raises(ValueError, match="are one array"):
        d2l.apply(lambda x, s, g, lr: (x - lr * g, s), [x, x], [s, sound_pair(d2l)[1]], 0.1)


# what readers really pass


CONTAINERS = {
    "a list": list,
    "a tuple": tuple,
    "a generator": lambda arrays: (a for a in arrays),
    "a dict's view": lambda arrays: dict(enumerate(arrays)).values(),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("container", CONTAINERS)
def test_params_and_states_come_in_any_container(d2l, container, compiled):
    put = CONTAINERS[container]
    pairs = [sound_pair(d2l) for _ in range(3)]
    optimizer = d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop
    optimizer(put([x for x, _ in pairs]), put([s for _, s in pairs]), {"lr": 0.1, "gamma": 0.75})
    for x, s in pairs:
        np.testing.assert_allclose(d2l.numpy(s), [0.25 * 9, 0.25 * 16], rtol=1e-6)
        plain = x.detach() if hasattr(x, "detach") else x
        np.testing.assert_allclose(d2l.numpy(plain), [0.8, 1.8], rtol=1e-5)


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (lambda x, s: ({"w": x}, {"w": s}), r"params is a builtins.dict; pass a list"),
        (lambda x, s: (x, s), "params is a .*; pass a list"),
        (lambda x, s: ([x], s), "states is a .*; pass a list"),
        (lambda x, s: (None, None), "params is a builtins.NoneType; pass a list"),
        (lambda x, s: ([{"w": x}], [{"w": s}]), r"params\[0\] is a builtins.dict.*d2l.Variable"),
    ],
)
def test_another_container_is_told_the_way(d2l, arrange, words):
    x, s = sound_pair(d2l)
    assert_refused(d2l, False, x, s, *arrange(x, s), words)


@pytest.mark.parametrize("name", ["numpy", "torch", "paddle", "jax"])  # others have no hash
def test_a_set_has_no_order_to_pair_states_by(name):
    d2l = framework(name)
    x, s = sound_pair(d2l)
    assert_refused(d2l, False, x, s, {x}, [s], "params is a builtins.set; pass a list")


def test_a_generator_that_was_read_before_is_said(d2l):
    x, s = sound_pair(d2l)
    generator = (a for a in [x])
    d2l.rmsprop(generator, [s], {"lr": 0.1, "gamma": 0.9})
    with pytest.raises(ValueError, match="nothing to give any more; make a list of it once"):
        d2l.rmsprop(generator, [], {"lr": 0.1, "gamma": 0.9})


def test_a_networks_parameters_are_stepped_as_torch_steps_them():
    d2l = framework("torch")
    torch = d2l.torch
    ours_net, theirs = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    theirs.load_state_dict(ours_net.state_dict())
    optimizer = torch.optim.RMSprop(theirs.parameters(), lr=0.1, alpha=0.9, eps=1e-6)
    states = [torch.zeros_like(x) for x in ours_net.parameters()]
    hyperparams = {"lr": 0.1, "gamma": 0.9, "eps_in_sqrt": False}
    for _ in range(3):
        for net in (ours_net, theirs):
            net(torch.ones(1, 3)).square().sum().backward()
        d2l.rmsprop(ours_net.parameters(), states, hyperparams)
        optimizer.step()
        optimizer.zero_grad()
    for x, y in zip(ours_net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(x, y)


def test_keras_variables_are_told_the_way_and_it_works():
    tf = framework("tensorflow").tf
    layer = tf.keras.layers.Dense(1)
    layer.build((None, 2))
    states = [tf.Variable(tf.zeros(x.shape)) for x in layer.trainable_variables]
    with pytest.raises(TypeError, match=r"keras.*pass what it holds, x.value"):
        d2l_rmsprop.rmsprop(layer.trainable_variables, states, {"lr": 0.1, "gamma": 0.9})
    params = [x.value for x in layer.trainable_variables]
    for x in params:
        x.grad = tf.ones(x.shape)
    d2l_rmsprop.rmsprop(params, states, {"lr": 0.1, "gamma": 0, "eps": 0})
    np.testing.assert_allclose(layer.get_weights()[1], [-0.1], rtol=1e-6)


def test_gluons_parameters_are_told_the_way_and_it_works():
    d2l = framework("mxnet")
    net = d2l.gluon.nn.Dense(1, in_units=2)
    net.initialize()
    states = [d2l.zeros((1, 2)), d2l.zeros(1)]
    params = net.collect_params().values()
    with pytest.raises(TypeError, match=r"Parameter.*pass its array, x.data\(\)"):
        d2l.rmsprop(params, states, {"lr": 0.1, "gamma": 0.9})
    with d2l.autograd.record():
        loss = net(d2l.ones((1, 2))).sum()
    loss.backward()
    d2l.rmsprop([x.data() for x in params], states, {"lr": 0.1, "gamma": 0, "eps": 0})
    np.testing.assert_allclose(net.bias.data().asnumpy(), [-0.1], rtol=1e-6)


def test_plain_arrays_of_jax_are_told_the_way():
    jnp = framework("jax").jnp
    with pytest.raises(TypeError, match=r"params\[0\] is a jaxlib.*put it into a d2l.Variable"):
        d2l_rmsprop.rmsprop([jnp.ones(2)], [jnp.zeros(2)], {"lr": 0.1, "gamma": 0.9})


NUMBERS = [np.float32(0.5), np.float64(0.5), np.array(0.5), np.array([0.5]), Fraction(1, 2)]


@pytest.mark.parametrize("number", [*NUMBERS, "tensor"])
def test_a_number_of_any_kind_is_a_learning_rate(d2l, number):
    lr = d2l.tensor(0.5) if isinstance(number, str) else number
    x, s = sound_pair(d2l)
    d2l.rmsprop([x], [s], {"lr": lr, "gamma": 0.75, "eps": 0})
    plain = x.detach() if hasattr(x, "detach") else x
    np.testing.assert_allclose(d2l.numpy(plain), [0, 1], atol=1e-6)


def test_traced_numbers_are_hyperparameters():
    d2l, tf = framework("jax"), framework("tensorflow").tf

    def step(lr, gamma):
        x, s = d2l.Variable([1.0, 2.0]), d2l.Variable([0.0, 0.0])
        x.grad = d2l.tensor([3.0, 4.0])
        d2l.rmsprop([x], [s], {"lr": lr, "gamma": gamma, "eps": 0})
        return x.value

    np.testing.assert_allclose(d2l.jax.jit(step)(0.5, 0.75), [0, 1], atol=1e-6)
    x, s = tf.Variable([1.0, 2.0]), tf.Variable([0.0, 0.0])

    @tf.function
    def traced(lr):
        x.grad = tf.constant([3.0, 4.0])
        d2l_rmsprop.rmsprop([x], [s], {"lr": lr, "gamma": 0.75, "eps": 0})

    traced(tf.constant(0.5))
    np.testing.assert_allclose(x.numpy(), [0, 1], atol=1e-6)
    for lr in (tf.constant(0.5, tf.float64), tf.constant(1), tf.constant(0.5, tf.float16)):
        x.assign([1.0, 2.0]), s.assign([0.0, 0.0])
        traced(lr)
        np.testing.assert_allclose(x.numpy(), [1 - 2 * lr, 2 - 2 * lr], atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*runs as it is")  # AutoGraph has made another update of it
@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_tensorflow_logs_nothing_of_a_step_in_a_readers_function(compiled):
    d2l = framework("tensorflow")
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    d2l.tf.get_logger().addHandler(handler)
    optimizer = d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop
    x, s = sound_pair(d2l)

    @d2l.tf.function
    def step():
        x.grad = d2l.tf.constant([3.0, 4.0])
        optimizer([x], [s], {"lr": 0.1, "gamma": 0.75})

    try:
        step(), step()
    finally:
        d2l.tf.get_logger().removeHandler(handler)
    assert [record.getMessage() for record in said] == []
    expected, _ = formula([[1, 2]], [[[3, 4]]] * 2, 0.1, 0.75)
    np.testing.assert_allclose(x.numpy(), expected[0], rtol=1e-6)


def test_two_kinds_of_16_bits_meet_in_float32():
    d2l = framework("tensorflow")
    x, s = (
        d2l.tf.Variable(d2l.ones(2, d2l.tf.bfloat16)),
        d2l.tf.Variable(d2l.zeros(2, d2l.tf.float16)),
    )
    x.grad = d2l.ones(2, d2l.tf.bfloat16)
    d2l.rmsprop([x], [s], {"lr": 0.5, "gamma": 0.75, "eps": 0})
    assert d2l.reduce_sum(d2l.abs(x)) == 0 and (x.dtype, s.dtype) == ("bfloat16", "float16")


# 16 bits


def half(d2l, values, dtype):
    name = d2l.__name__.rpartition(".")[2]
    a = np.asarray(values, dtype)
    return d2l.np.array(a, dtype=dtype) if name == "mxnet" else d2l.from_numpy(a)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_state_of_float32_keeps_its_precision_under_float16(name, compiled):
    d2l = framework(name)
    g = np.resize(np.float32([300, 3, 1e-3, -200]), 20_000)
    x, s = d2l.variable(half(d2l, np.ones_like(g), "float16")), state(d2l, np.zeros_like(g))
    optimizer = d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop
    for _ in range(3):
        if name == "mxnet":
            x.attach_grad()
            x.grad[...] = half(d2l, g, "float16")
        else:
            x.grad = half(d2l, g, "float16")
        optimizer([x], [s], {"lr": 0.01, "gamma": 0.9})
    assert "float16" in str(x.dtype) and "float32" in str(s.dtype)
    rounded = np.float64(np.float16(g))
    np.testing.assert_allclose(d2l.numpy(s), rounded**2 * (1 - 0.9**3), rtol=1e-5)
    expected, _ = formula([np.ones(g.shape)], [[rounded]] * 3, 0.01, 0.9)
    np.testing.assert_allclose(d2l.numpy(x), expected[0], atol=2e-3)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_gradient_of_300_does_not_overflow_in_float16_as_it_does_not_in_torch(name):
    d2l, torch = framework(name), framework("torch").torch
    g = np.float16([300, -250, 20])
    x, s = d2l.variable(half(d2l, [1, 1, 1], "float16")), d2l.variable(half(d2l, 0 * g, "float16"))
    if name == "mxnet":
        x.attach_grad()
        x.grad[...] = half(d2l, g, "float16")
    else:
        x.grad = half(d2l, g, "float16")
    d2l.rmsprop([x], [s], {"lr": 0.01, "gamma": 0.9, "eps_in_sqrt": False})
    y = torch.ones(3, dtype=torch.float16, requires_grad=True)
    optimizer = torch.optim.RMSprop([y], lr=0.01, alpha=0.9, eps=1e-6)
    y.grad = torch.tensor(g)
    optimizer.step()
    np.testing.assert_allclose(d2l.numpy(x), y.detach().numpy(), rtol=2e-3)
    np.testing.assert_allclose(d2l.numpy(s), optimizer.state[y]["square_avg"].numpy(), rtol=2e-3)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_a_retained_gradient_is_stepped_as_torch_does(compiled):
    d2l = framework("torch")

    def computed():
        x = 2 * d2l.torch.tensor([1.0, -2.0], requires_grad=True)
        x.retain_grad()
        (x**2).sum().backward()
        return x

    x, expected = computed(), computed()
    optimizer = d2l.compile(d2l.rmsprop) if compiled else d2l.rmsprop
    hyperparams = {"lr": 0.1, "gamma": 0.9, "eps": 1e-8, "eps_in_sqrt": False}
    optimizer([x], [d2l.zeros((2,))], hyperparams)
    d2l.torch.optim.RMSprop([expected], lr=0.1, alpha=0.9, eps=1e-8).step()
    np.testing.assert_allclose(x.detach(), expected.detach(), rtol=1e-6)
