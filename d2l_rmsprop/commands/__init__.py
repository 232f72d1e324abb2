"""The command line: d2l-rmsprop, a file for each of its verbs."""

import os

import click

from .. import __version__
from . import backends, check, compare, grade, notebook, sweep
from .program import Program


@click.group(
    cls=Program,
    commands=[
        backends.backends,
        check.check,
        compare.compare,
        grade.grade,
        notebook.notebook,
        sweep.sweep,
    ],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def main() -> None:
    """RMSProp from Dive into Deep Learning, one implementation for every framework.

    Exit code 0: done; 1: it failed; 2: bad usage; 130: stopped by Ctrl-C, 143 by SIGTERM, 129 by
    SIGHUP.
    """
    try:
        os.getcwd()
    except OSError:
        raise click.ClickException("the working folder is gone; change into another.") from None
    # TensorFlow's notices, which no one on a command line can act on
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
