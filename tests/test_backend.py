"""A framework that is missing or broken is one sentence, and looking one up switches nothing."""

import subprocess
import sys

import pytest
from conftest import FRAMEWORKS, framework, no_mxnet_here

OTHERS = [name for name in FRAMEWORKS if name != "numpy"]
MXNET = "from d2l_rmsprop.backends import mxnet_numpy; import mxnet as mx"


def run(code, folder=None):
    """Return what a process of its own prints, its working folder first on the path."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


# what a framework may be that does not work, such as a file of the reader's of its name
BROKEN = {
    "an error": "raise RuntimeError('two lines')",
    "a missing library": "import no_such_library",
    "an exit": "raise SystemExit(3)",
    "an empty file": "",
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("name", OTHERS)
def test_a_broken_framework_is_an_import_error_of_one_sentence(tmp_path, name, broken):
    if name == "mxnet" and no_mxnet_here():
        pytest.skip("MXNet has no version for this Python or this NumPy, and says that first")
    (tmp_path / f"{name}.py").write_text(BROKEN[broken])
    said = run(
        f"""
from d2l_rmsprop.backend import load
try:
    from d2l_rmsprop import {name} as d2l
except ImportError as error:
    print(error)
try:
    load({name!r})
except ImportError as error:
    print(error)
""",
        tmp_path,
    )
    sentences = said.split("\n")
    assert len(sentences) == 2
    for sentence in sentences:
        assert sentence.startswith(f"{name} is installed but does not work here (")
        assert "install it with: python -m pip install '" in sentence


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_importing_a_framework_by_name_gives_its_module(name):
    framework(name)
    code = f"import d2l_rmsprop; print(d2l_rmsprop.{name}.__name__)"
    assert run(code) == f"d2l_rmsprop.{name}"


def test_another_name_is_an_attribute_error_as_ever():
    import d2l_rmsprop

    with pytest.raises(AttributeError, match="no_such_name"):
        d2l_rmsprop.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    "params", ["[x]", "[mx.gluon.Parameter('w')]", "mx.gluon.nn.Dense(1).collect_params()"]
)
def test_older_arrays_of_mxnet_are_refused_and_nothing_is_switched(params):
    framework("mxnet")
    said = run(f"""
import sys
{MXNET}
from d2l_rmsprop import rmsprop
x = mx.nd.ones(2)
x.attach_grad()
try:
    rmsprop({params}, [mx.nd.zeros(2)], {{"lr": 0.1, "gamma": 0.9}})
except TypeError as error:
    print(str(error).count("\\n"), mx.util.is_np_array(), mx.util.is_np_shape())
print("d2l_rmsprop.mxnet" in sys.modules, x.asnumpy().tolist())
""")
    assert said == "0 False False\nFalse [1.0, 1.0]"


def test_advice_keeps_numpy_below_2_beside_mxnet(monkeypatch):
    from importlib import metadata

    from d2l_rmsprop.backend import install_command

    installed = {"mxnet": "1.9.1"}

    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    assert install_command("jax") == "python -m pip install 'd2l-rmsprop[jax]' 'numpy<2'"
    del installed["mxnet"]
    assert install_command("jax") == "python -m pip install 'd2l-rmsprop[jax]'"


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="MXNet has no version for this Python")
def test_mxnet_beside_a_newer_numpy_advises_an_environment_of_its_own():
    said = run("""
import numpy
numpy.__version__ = "2.1.0"
try:
    import d2l_rmsprop.mxnet
except ImportError as error:
    print(error)
""")
    assert "needs NumPy below 2 and found 2.1.0; make an environment for it" in said
    assert "pip install" not in said  # which would put an older NumPy here
