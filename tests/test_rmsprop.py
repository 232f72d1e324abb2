"""The algorithm against references that are not ours: built-ins, float64 NumPy, closed forms."""

import inspect
import math

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
    # Paddle has no 16-bit arithmetic on the CPU
    [(name, "float16") for name in FRAMEWORKS if name != "paddle"]
    + [(name, "bfloat16") for name in ("torch", "tensorflow", "jax")],
)
def test_half_precision(name, dtype):
    d2l = framework(name)
    start, g = np.linspace(-1, 1, 5, dtype=np.float32), np.float32([0.5, -1, 2, 0.25, -3])
    expected, _ = formula([start], [[g]], 0.1, 0.9, 1e-3)
    if name == "torch":
        kind = getattr(d2l.torch, dtype)
        x = d2l.torch.tensor(start).to(kind).requires_grad_()
        x.grad, s = d2l.torch.tensor(g).to(kind), d2l.torch.zeros(5, dtype=kind)
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
    value = x.detach().float() if name == "torch" else d2l.numpy(x)
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
