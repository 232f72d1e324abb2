"""The command ``d2l-rmsprop grade``."""

from collections import Counter
from pathlib import Path

import click

from .check import backend_option, say_missing, timeout_option
from .options import OutputFile


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=OutputFile((".csv",)), required=True, help="The grades, CSV.")
@click.option("--force", is_flag=True, help="Overwrite grades that are there.")
@backend_option
@timeout_option
@click.option("--points", type=click.FloatRange(min=0), default=1, show_default=True,
              help="What a right submission scores.")  # fmt: skip
@click.option("--pattern", default="*", show_default=True, help="Which files: '1-write-rmsprop*'.")
@click.option("--lang", type=click.Choice(["en", "zh", "vi"]),
              help="Language of the feedback.  [default: each submission's own]")  # fmt: skip
@click.option("--jobs", type=click.IntRange(min=1), help="Sandboxes.  [default: one for each core]")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Grade on this Dask cluster.")
def grade(
    folder: Path,
    output: Path,
    force: bool,
    backends: tuple[str, ...],
    timeout: float,
    points: float,
    pattern: str,
    lang: str | None,
    jobs: int | None,
    scheduler: str | None,
) -> None:
    """Check every submission in a folder: a row for each student, and a feedback file.

    A submission is FOLDER/STUDENT.py or .ipynb, or a file in FOLDER/STUDENT/, as in nbgrader's
    submitted/. Feedback goes to a folder beside the grades. Interrupted, the same command goes on.
    """
    from ..experiments.cluster import ClusterError
    from ..marking.grade import GradeError, grading_of, submissions_in
    from ..marking.grade import grade as grade_all
    from ..marking.sandbox import Sandbox, SandboxError
    from ..experiments.progress import progress

    if output.exists() and not force:
        raise click.UsageError(f"{output} exists; name another file, or overwrite it with --force.")
    try:
        with Sandbox([]) as sandbox:
            say_missing(sandbox.missing)
        submissions = submissions_in(folder, pattern, lang)
        with progress(len(submissions), "submissions") as advance:
            reports = grade_all(
                submissions, output, grading_of(submissions, backends, timeout),
                points=points, jobs=jobs or -1, scheduler=scheduler, advance=advance,
            )  # fmt: skip
    except (GradeError, SandboxError, ClusterError) as error:
        raise click.ClickException(str(error)) from None
    counts = Counter(report.verdict for report in reports.values())
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    click.echo(f"{len(reports)} submissions: {said}; grades in {output}")
