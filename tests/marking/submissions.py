"""Students' rmsprops: right ones in different styles, wrong ones by their mistake, hostile ones."""

# ruff: noqa: E501

LAYER = """
from d2l_rmsprop import numpy as d2l
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    def update(x, s, g, lr):
        s = {s}
        x = {x}
        return x, s
    d2l.apply(update, params, states, lr)
"""
AVERAGE, STEP = "gamma * s + (1 - gamma) * d2l.square(g)", "x - lr * g / d2l.sqrt(s + eps)"


def layer(s=AVERAGE, x=STEP):
    return LAYER.format(s=s, x=x)


def numpy(body, before=""):
    """A solution that loops over parameters with slices, as the book writes it."""
    lines = "\n".join("        " + line for line in body.splitlines())
    return f"""import numpy as np
{before}
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    for p, s in zip(params, states):
{lines}
"""


def torch(body):
    lines = "\n".join("            " + line for line in body.splitlines())
    return f"""import torch
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    for p, s in zip(params, states):
        with torch.no_grad():
{lines}
"""


SLICES = "s[:] = gamma * s + (1 - gamma) * p.grad ** 2\np[:] -= lr * p.grad / np.sqrt(s + eps)"
TORCH = (
    "s[:] = gamma * s + (1 - gamma) * torch.square(p.grad)\n"
    "p[:] -= lr * p.grad / torch.sqrt(s + eps)\np.grad.zero_()"
)

#: name -> (backend, code)
RIGHT = {
    "layer": ("numpy", layer()),
    "layer on torch": ("torch", layer()),
    "layer on jax": ("jax", layer()),
    "powers": (
        "numpy",
        layer("gamma * s + (1 - gamma) * g ** 2", "x - lr * g * (s + eps) ** -0.5"),
    ),
    "incremental": ("numpy", layer("s + (1 - gamma) * (g * g - s)")),
    "ellipsis": ("numpy", numpy(SLICES.replace("[:]", "[...]"))),
    "ufuncs": (
        "numpy",
        numpy(
            "v = s.value if hasattr(s, 'value') else s\nv *= gamma\nv += (1 - gamma) * p.grad**2\n"
            "p[...] = p - lr * p.grad / np.sqrt(s + eps)"
        ),
    ),
    "torch with slices": ("torch", TORCH and torch(TORCH.replace("[:]", "[...]"))),
    "torch in place": (
        "torch",
        torch(
            "s.mul_(gamma).addcmul_(p.grad, p.grad, value=1 - gamma)\n"
            "p.addcdiv_(p.grad, (s + eps).sqrt(), value=-lr)\np.grad = None"
        ),
    ),
    "torch with data": (
        "torch",
        """
import torch
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = (hyperparams[k] for k in ("lr", "gamma", "eps"))
    for p, s in zip(params, states):
        s.data = gamma * s.data + (1 - gamma) * p.grad.data ** 2
        p.data -= lr * p.grad.data / torch.sqrt(s.data + eps)
        p.grad.data.zero_()
""",
    ),
    "returns new params": (
        "numpy",
        """
import numpy as np
def rmsprop(params, grads, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    new = []
    for i, (p, g) in enumerate(zip(params, grads)):
        states[i] = gamma * states[i] + (1 - gamma) * g * g
        new.append(p - lr * g / np.sqrt(states[i] + eps))
    return new
""",
    ),
    "the rewrite's on jax": (
        "jax",
        """
import jax.numpy as jnp
def rmsprop(params, grads, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    for i, g in enumerate(grads):
        states[i] = gamma * states[i] + (1 - gamma) * jnp.square(g)
        params[i] = params[i] - lr * g / jnp.sqrt(states[i] + eps)
    return params
""",
    ),
    "a class": (
        "numpy",
        layer().replace("def rmsprop(", "def step(")
        + "class RMSProp:\n    def __call__(self, params, states, hyperparams):\n"
        "        step(params, states, hyperparams)\nrmsprop = RMSProp()\n",
    ),
    "a helper below": (
        "numpy",
        numpy("s[...] = average(s, p.grad, gamma)\np[...] -= lr * p.grad / np.sqrt(s + eps)")
        + "\ndef average(s, g, gamma):\n    return gamma * s + (1 - gamma) * g * g\n",
    ),
    "eps by default": (
        "numpy",
        layer().replace('hyperparams["eps"]', 'hyperparams.get("eps", 1e-6)'),
    ),
    "the book's on torch": (
        "torch",
        """
import torch
from d2l import torch as d2l
def rmsprop(params, states, hyperparams):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s in zip(params, states):
        with torch.no_grad():
            s[...] = gamma * s + (1 - gamma) * torch.square(p.grad)
            p[...] -= hyperparams['lr'] * p.grad / torch.sqrt(s + eps)
        p.grad.data.zero_()
""",
    ),
    "the book's on tensorflow": (
        "tensorflow",
        """
import tensorflow as tf
def rmsprop(params, grads, states, hyperparams):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s, g in zip(params, states, grads):
        s.assign(gamma * s + (1 - gamma) * tf.math.square(g))
        p.assign(p - hyperparams['lr'] * g / tf.math.sqrt(s + eps))
""",
    ),
    "the first edition's in torch": (
        "torch",
        """
import sys
sys.path.append('..')
import torch
import d2lzh_pytorch as d2l
def rmsprop(params, states, hyperparams):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s in zip(params, states):
        s.data = gamma * s.data + (1 - gamma) * (p.grad.data) ** 2
        p.data -= hyperparams['lr'] * p.grad.data / torch.sqrt(s + eps)
""",
    ),
    "the first edition's in tensorflow": (
        "tensorflow",
        """
import tensorflow as tf
import d2lzh_tensorflow2 as d2l
def rmsprop(params, states, hyperparams, grads):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s, g in zip(params, states, grads):
        s.assign(gamma * s + (1 - gamma) * g ** 2)
        p.assign_sub(hyperparams['lr'] * g / tf.sqrt(s + eps))
""",
    ),
    "the first edition's": (
        "mxnet",
        """
import d2lzh as d2l
from mxnet import nd
def rmsprop(params, states, hyperparams):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s in zip(params, states):
        s[:] = gamma * s + (1 - gamma) * p.grad.square()
        p[:] -= hyperparams['lr'] * p.grad / (s + eps).sqrt()
""",
    ),
    "the second edition's on mxnet": (
        "mxnet",
        """
from mxnet import np, npx
npx.set_np()
def rmsprop(params, states, hyperparams):
    gamma, eps = hyperparams['gamma'], hyperparams['eps']
    for p, s in zip(params, states):
        s[...] = gamma * s + (1 - gamma) * np.square(p.grad)
        p[...] -= hyperparams['lr'] * p.grad / np.sqrt(s + eps)
""",
    ),
    "the second edition's on paddle": (
        "paddle",
        """
import paddle
def rmsprop(params, states, hyperparams):
    gamma, eps, new = hyperparams['gamma'], hyperparams['eps'], []
    for p, s in zip(params, states):
        with paddle.no_grad():
            s.set_value(gamma * s + (1 - gamma) * paddle.square(p.grad))
            p -= hyperparams['lr'] * p.grad / paddle.sqrt(s + eps)
        new.append(p)
    return new
""",
    ),
    "trains afterwards": ("numpy", layer() + "\nwhile True:\n    pass\n"),
}

#: name -> (backend, code, what the sentence says)
WRONG = {
    "eps outside": ("numpy", layer(x="x - lr * g / (d2l.sqrt(s) + eps)"), "outside the root"),
    "eps outside on torch": (
        "torch",
        torch(
            TORCH.replace("[:]", "[...]").replace("torch.sqrt(s + eps)", "(torch.sqrt(s) + eps)")
        ),
        "outside the root",
    ),
    "old s": (
        "numpy",
        numpy(
            "p[...] -= lr * p.grad / np.sqrt(s + eps)\ns[...] = gamma * s + (1 - gamma) * p.grad ** 2"
        ),
        "before its update",
    ),
    "no 1 - gamma": ("numpy", layer("gamma * s + d2l.square(g)"), "1 - gamma in front"),
    "swapped": ("numpy", layer("(1 - gamma) * s + gamma * d2l.square(g)"), "swapped"),
    "swapped on torch": ("torch", layer("(1 - gamma) * s + gamma * d2l.square(g)"), "swapped"),
    "not squared": ("numpy", layer("gamma * s + (1 - gamma) * g"), "takes g;"),
    "no root": ("numpy", layer(x="x - lr * g / (s + eps)"), "square root is missing"),
    "sign": ("numpy", layer(x="x + lr * g / d2l.sqrt(s + eps)"), "sign"),
    "lr in root": ("numpy", layer(x="x - g * d2l.sqrt(lr / (s + eps))"), "inside the root"),
    "adagrad": ("numpy", layer("s + d2l.square(g)"), "Adagrad"),
    "adagrad on torch": ("torch", layer("s + d2l.square(g)"), "Adagrad"),
    "mean": ("numpy", layer("gamma * s + (1 - gamma) * (g * g).mean()"), "each entry"),
    "first": (
        "numpy",
        numpy(
            "s[...] = p.grad**2 if not np.any(s) else gamma * s + (1 - gamma) * p.grad ** 2\np[...] -= lr * p.grad / np.sqrt(s + eps)"
        ),
        "first s",
    ),
    "s rebound": (
        "numpy",
        numpy(
            "s = gamma * s + (1 - gamma) * p.grad ** 2\np[...] -= lr * p.grad / np.sqrt(s + eps)"
        ),
        "state does not change",
    ),
    "x rebound": (
        "numpy",
        numpy(
            "s[...] = gamma * s + (1 - gamma) * p.grad ** 2\np = p - lr * p.grad / np.sqrt(s + eps)"
        ),
        "parameter does not change",
    ),
    "nothing": ("numpy", numpy("pass"), "neither"),
    "no hyphen": ("numpy", layer(x="x - lr / d2l.sqrt(s + eps)"), "lacks the gradient"),
    "no scale": ("numpy", layer(x="x - lr * g"), "divide it"),
    "shared": ("numpy", numpy("s = states[0]\n" + SLICES.replace("[:]", "[...]")), "one state"),
    "not cleared": (
        "torch",
        torch(TORCH.replace("[:]", "[...]").replace("\np.grad.zero_()", "")),
        "clear",
    ),
    "lr written in": (
        "numpy",
        layer(x="x - 0.01 * g / d2l.sqrt(s + eps)"),
        "learning rate is 0.01",
    ),
    "gamma written in": ("numpy", layer("0.9 * s + 0.1 * d2l.square(g)"), "gamma is 0.9"),
    "eps written in": ("numpy", layer(x="x - lr * g / d2l.sqrt(s + 1e-8)"), "hyperparams['eps']"),
    "clipped": (
        "numpy",
        numpy(
            "g = np.clip(p.grad, -1, 1)\ns[...] = gamma * s + (1 - gamma) * g ** 2\np[...] -= lr * g / np.sqrt(s + eps)"
        ),
        "clipped at 1;",
    ),
    "clipped high": (
        "numpy",
        numpy(
            "g = np.clip(p.grad, -1000, 1000)\ns[...] = gamma * s + (1 - gamma) * g ** 2\np[...] -= lr * g / np.sqrt(s + eps)"
        ),
        "clipped at 1000;",
    ),
    "a shape written in": (
        "numpy",
        numpy(
            "s[...] = gamma * s + (1 - gamma) * p.grad ** 2\np[...] -= (lr * p.grad / np.sqrt(s + eps)).reshape(3)"
        ),
        "raises ValueError",
    ),
    "correction": (
        "numpy",
        """
import numpy as np
t = 0
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    hyperparams["t"] = hyperparams.get("t", 0) + 1
    for p, s in zip(params, states):
        s[...] = gamma * s + (1 - gamma) * p.grad ** 2
        p[...] -= lr * p.grad / np.sqrt(s / (1 - gamma ** hyperparams["t"]) + eps)
""",
        "Adam",
    ),
    "wrong after 100 steps": (
        "numpy",
        """
import numpy as np
calls = [0]
def rmsprop(params, states, hyperparams):
    lr, gamma, eps = hyperparams["lr"], hyperparams["gamma"], hyperparams["eps"]
    calls[0] += 1
    for p, s in zip(params, states):
        s[...] = gamma * s + (1 - gamma) * p.grad ** 2
        p[...] -= (lr if calls[0] < 150 else 2 * lr) * p.grad / np.sqrt(s + eps)
""",
        "should be",
    ),
    "float32 inside": (
        "numpy",
        numpy(
            "g = np.float32(p.grad)\ns[...] = gamma * np.float32(s) + np.float32(1 - gamma) * g ** 2\np[...] -= np.float32(lr * g / np.sqrt(np.float32(s) + np.float32(eps)))"
        ),
        "should be",
    ),
    "a typing error": ("numpy", layer(x="x - lr * g / d2l.sqrtt(s + eps)"), "sqrtt"),
    "returns nothing": ("numpy", layer().replace("return x, s", "pass"), ""),
    "numpy only": (
        "",
        layer()
        .replace("d2l.square(g)", "np.multiply(g, g)")
        .replace("from d2l", "import numpy as np\nfrom d2l"),
        "right on numpy",
    ),
}

#: name -> (backend, code, the verdict, what the sentence says)
HOSTILE = {
    "endless": ("numpy", "def rmsprop(p, s, h):\n    while True: pass", "wrong", "did not end"),
    "ignores signals": (
        "numpy",
        "import signal\nfor n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\ndef rmsprop(p, s, h):\n    while True: pass",
        "wrong",
        "did not end",
    ),
    "stops itself": (
        "numpy",
        "import os, signal\ndef rmsprop(p, s, h):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    while True: pass",
        "wrong",
        "did not end",
    ),
    "exits": ("numpy", "import os\ndef rmsprop(p, s, h):\n    os._exit(0)", "wrong", "ended early"),
    "sys.exit": (
        "numpy",
        "import sys\ndef rmsprop(p, s, h):\n    sys.exit(0)",
        "wrong",
        "ended early",
    ),
    "fork bomb": (
        "numpy",
        "import os\ndef rmsprop(p, s, h):\n    while True:\n        try: os.fork()\n        except OSError: pass",
        "wrong",
        "",
    ),
    "memory": (
        "numpy",
        "def rmsprop(p, s, h):\n    a = bytearray(100 * 2**30)",
        "wrong",
        "MemoryError",
    ),
    "memory by and by": (
        "numpy",
        "def rmsprop(p, s, h):\n    a = []\n    while True: a.append(bytearray(2**26))",
        "wrong",
        "",
    ),
    "prints PASS": (
        "numpy",
        "print('PASS')\nprint('right')\ndef rmsprop(p, s, h):\n    print('right')",
        "wrong",
        "neither",
    ),
    "prints for ever": (
        "numpy",
        "def rmsprop(p, s, h):\n    while True: print('x' * 10**6)",
        "wrong",
        "did not end",
    ),
    "writes numbers for ever": (
        "numpy",
        "import os\ndef rmsprop(p, s, h):\n    while True:\n        for fd in range(3, 20):\n            try: os.write(fd, b'x' * 10**6)\n            except OSError: pass",
        "wrong",
        "",
    ),
    "ours": ("numpy", "from d2l_rmsprop import rmsprop", "cannot be checked", "own"),
    "ours by d2l": (
        "torch",
        "from d2l_rmsprop import torch as d2l\nrmsprop = d2l.rmsprop",
        "cannot be checked",
        "own",
    ),
    "ours in a wrapper": (
        "numpy",
        "import d2l_rmsprop\ndef rmsprop(params, states, hyperparams):\n    return d2l_rmsprop.rmsprop(params, states, hyperparams)",
        "cannot be checked",
        "own",
    ),
    "ours in a partial": (
        "numpy",
        "import functools, d2l_rmsprop.rmsprop\nimport sys\nrmsprop = functools.partial(sys.modules['d2l_rmsprop.rmsprop'].rmsprop)",
        "cannot be checked",
        "own",
    ),
    "ours by its code": (
        "numpy",
        "import types, sys\nm = sys.modules['d2l_rmsprop.rmsprop']\nrmsprop = types.FunctionType(m.rmsprop.__code__, m.__dict__)",
        "cannot be checked",
        "own",
    ),
    "ours reloaded": (
        "numpy",
        "import importlib, sys\nm = importlib.reload(sys.modules['d2l_rmsprop.rmsprop'])\nrmsprop = m.rmsprop",
        "cannot be checked",
        "",
    ),
    "ours by its source": (
        "numpy",
        "import inspect, d2l_rmsprop\nexec(inspect.getsource(d2l_rmsprop.rmsprop))",
        "cannot be checked",
        "",
    ),
    "ours out of the collector": (
        "numpy",
        "import gc, types\nfound = [c for c in gc.get_objects() if isinstance(c, types.CodeType) and c.co_name == 'rmsprop' and len(c.co_cellvars) > 2]\ndef rmsprop(p, s, h):\n    raise RuntimeError(str(len(found)))",
        "wrong",
        "RuntimeError: 0",
    ),
    "the answers' module": (
        "numpy",
        "from d2l_rmsprop.marking.mistakes import formula\ndef rmsprop(p, s, h): formula",
        "wrong",
        "NameError",
    ),
    "patched numpy": (
        "numpy",
        "import numpy as np\nnp.allclose = np.array_equal = lambda *a, **k: True\nnp.abs = lambda a: a * 0\ndef rmsprop(p, s, h): pass",
        "wrong",
        "neither",
    ),
    "patched package": (
        "numpy",
        "import d2l_rmsprop.marking.trial as t\nt._read = lambda *a: b''\ndef rmsprop(p, s, h): pass",
        "wrong",
        "",
    ),
    "forged right": (
        "numpy",
        "import os, json, struct\nw = json.dumps({'key': 'right'}).encode()\nfor fd in range(3, 20):\n    try: os.write(fd, struct.pack('>cI', b'W', len(w)) + w)\n    except OSError: pass\ndef rmsprop(p, s, h): pass",
        "wrong",
        "",
    ),
    "forged skips": (
        "numpy",
        "import os, json, struct\nw = json.dumps({'key': 'skipped'}).encode()\nfor fd in range(3, 20):\n    try: os.write(fd, (struct.pack('>cI', b'W', len(w)) + w) * 20)\n    except OSError: pass\ndef rmsprop(p, s, h): pass",
        "wrong",
        "",
    ),
    "an AST transformer": (
        "numpy",
        "import ast\nast.parse = None\nimport builtins\nbuiltins.compile = None\ndef rmsprop(p, s, h): pass",
        "cannot be checked",
        "",
    ),
    "threads": (
        "numpy",
        "import threading\ndef spin():\n    while True: pass\nfor _ in range(1): threading.Thread(target=spin).start()\n"
        + layer(),
        "right",
        "",
    ),
    "a child that stays": (
        "numpy",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    while True: time.sleep(1)\n"
        + layer(),
        "right",
        "",
    ),
    "looks around": (
        "numpy",
        "import os\nfound = [d for d in ('/work', '/root', '/home', '/etc/passwd', '/etc/shadow') if os.path.isdir(d) and len(os.listdir(d)) > 3 or os.path.isfile(d)]\ndef rmsprop(p, s, h):\n    raise RuntimeError(str(found))",
        "wrong",
        "RuntimeError: []",
    ),
    "network": (
        "numpy",
        "import socket\ndef rmsprop(p, s, h):\n    socket.create_connection(('127.0.0.1', 22), 1)",
        "wrong",
        "Error",
    ),
    "writes files": (
        "numpy",
        "def rmsprop(p, s, h):\n    with open('/tmp/big', 'wb') as f:\n        while True: f.write(b'x' * 2**20)",
        "wrong",
        "",
    ),
    "writes elsewhere": (
        "numpy",
        "def rmsprop(p, s, h):\n    open('/usr/evil', 'w')",
        "wrong",
        "OSError",
    ),
    "kills its parents": (
        "numpy",
        "import os, signal\ndef rmsprop(p, s, h):\n    for pid in range(1, 100):\n        try: os.kill(pid, signal.SIGKILL)\n        except OSError: pass\n    os.kill(-1, signal.SIGKILL)",
        "wrong",
        "",
    ),
    "not Python": ("numpy", "def rmsprop(params states):\n  pass", "cannot be checked", "line 1"),
    "nested for ever": (
        "numpy",
        "x = " + "(" * 10000 + ")" * 10000 + "\ndef rmsprop(p, s, h): pass",
        "",
        "",
    ),
    "empty": ("numpy", "", "cannot be checked", "no function named rmsprop"),
    "a number": ("numpy", "rmsprop = 3", "cannot be checked", "int"),
    "not written": (
        "numpy",
        "def rmsprop(params, states, hyperparams):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        "cannot be checked",
        "not written",
    ),
    "fails at the start": (
        "numpy",
        "import no_such_module\nrmsprop = no_such_module.rmsprop",
        "cannot be checked",
        "no_such_module",
    ),
    "reads the problem's frames": (
        "numpy",
        "import sys\ndef rmsprop(p, s, h):\n    f = sys._getframe()\n    while f: f = f.f_back\n    h.clear()",
        "wrong",
        "",
    ),
    "changes the gradient": (
        "numpy",
        layer().replace("def update", "for p in params: p.grad = p.grad * 0\n    def update"),
        "wrong",
        "",
    ),
    "hyperparams of its own": (
        "numpy",
        layer().replace(
            "lr, gamma, eps = ",
            "hyperparams = {'lr': .1, 'gamma': .9, 'eps': 1e-6}; lr, gamma, eps = ",
        ),
        "wrong",
        "",
    ),
}
