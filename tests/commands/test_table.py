"""Bad and extreme inputs of the commands, a row each in rows.py; and stops, and a full disk."""

import contextlib
import http.server
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import SHARED
from rows import COMPARE, SWEEP, TABLE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its commands")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def name_of(row):
    return re.sub(r"\W+", " ", row[0]).strip()


def test_the_table_has_no_row_twice():
    assert len(TABLE) >= 300 and len({row[1:4] + row[5:] for row in map(str_row, TABLE)}) > 290


def str_row(row):
    return tuple(map(str, row))


@pytest.fixture(scope="session")
def starter():
    """The process that forks the commands; see starter.py."""
    process = subprocess.Popen(
        [sys.executable, HERE / "starter.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment() | {"OPENBLAS_NUM_THREADS": "1"},
    )
    yield process
    process.stdin.close()
    process.wait(timeout=60)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """A folder with the results of SWEEP."""
    folder = tmp_path_factory.mktemp("kept")
    command = [sys.executable, "-m", "d2l_rmsprop", *shlex.split(SWEEP), "--results", "r.json"]
    subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def proxies():
    """Servers on this machine, one for each behaviour; a row names one as its proxy."""
    stop, servers = threading.Event(), {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def head(self, code=200, length=59_984, **headers):
            self.send_response(code)
            self.send_header("Content-Length", str(length))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()

        def do_GET(self):
            with contextlib.suppress(OSError):
                getattr(self, self.server.behaviour)()
            self.close_connection = True

        def good(self):
            self.head()
            self.wfile.write((SHARED / "data" / "airfoil_self_noise.dat").read_bytes())

        def missing(self):
            self.send_error(404)

        def broken(self):
            self.send_error(500)

        def silent(self):
            stop.wait(5)

        def drip(self):
            self.head()
            while not stop.wait(0.2):
                self.wfile.write(b"1")

        def heads(self):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not stop.wait(0.2):
                self.wfile.write(b"A: b\r\n")

        def endless(self):
            self.send_response(200)
            self.end_headers()
            while not stop.is_set():
                self.wfile.write(b"1" * 10_000)

        def short(self):
            self.head()
            self.wfile.write(b"1" * 10_000)

        def other(self):
            self.head()
            self.wfile.write(b"1" * 59_984)

        def empty(self):
            self.head(length=0)

        def circle(self):
            self.head(302, 0, Location=self.path)

        def elsewhere(self):
            self.head(302, 0, Location="file:///etc/hostname")

        def bomb(self):
            import gzip

            content = gzip.compress(bytes(10**7))
            self.head(length=len(content), Content_Encoding="gzip")
            self.wfile.write(content)

        def nonsense(self):
            self.wfile.write(b"\0\1\2\3 nonsense\r\n\r\n")

        def hangup(self):
            pass

        def log_message(self, *args):
            pass

    for behaviour in set(vars(Handler)) - {"head", "do_GET", "log_message"}:
        if not behaviour.startswith("__"):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.behaviour = behaviour
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers[behaviour] = server
    yield {name: f"http://127.0.0.1:{server.server_port}" for name, server in servers.items()}
    stop.set()
    for server in servers.values():
        server.shutdown(), server.server_close()


def environment():
    """Return the environment of a command: this one, without what a user may have set in it."""
    keep = {k: v for k, v in os.environ.items() if not re.match("D2L_|MPL|PYTHON|.*proxy|LC_", k)}
    ours = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "TERM": "dumb"}
    return keep | ours


def files(folder):
    """Return what is in a folder: by name a link's target, a file's mode and content, or a kind."""
    found = {}
    for path in Path(folder).rglob("*"):
        status = path.lstat()
        name = os.fsencode(path.relative_to(folder))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            content = path.read_bytes() if status.st_size < 10**8 else status.st_size
            found[name] = stat.S_IMODE(status.st_mode), content
        elif not path.is_dir():
            found[name] = stat.S_IFMT(status.st_mode)
    return found


def is_whole(name, content):
    """Return whether a file that a command wrote is one of its kind from beginning to end."""
    kind = os.fsdecode(name).lower().rpartition(".")[2]
    if kind in ("json", "ipynb"):
        return content.endswith(b"\n") and b"\r" not in content and bool(json.loads(content))
    begin, end = {
        "png": (b"\x89PNG", b"IEND\xaeB`\x82"),
        "svg": (b"<?xml", b"</svg>\n"),
        "pdf": (b"%PDF", b"%%EOF\n"),
    }[kind]
    return content.startswith(begin) and content.endswith(end)


def run(starter, kept, folder, outputs, setup, args, more):
    """Return (exit code, stdout, stderr) of a row's command."""
    env = environment() | {"KEPT": str(kept)}
    subprocess.run(["sh", "-ec", setup], cwd=folder, env=env, check=True)
    before = files(folder)
    request = {"folder": str(folder), "args": shlex.split(args), "env": more.get("env", {})}
    request |= {key: more[key] for key in ("limit", "settings", "gone", "umask") if key in more}
    places = {"stdin": os.devnull, "stdout": str(outputs / "out"), "stderr": str(outputs / "err")}
    request |= places | {name: more[name] for name in places if name in more}
    if more.get("real"):
        code = start(request)
    else:
        starter.stdin.write(json.dumps(request) + "\n")
        starter.stdin.flush()
        code = int(starter.stdout.readline())
    encoding = request["env"].get("PYTHONIOENCODING", "utf-8").replace("ascii", "utf-8")  # click's
    said = []
    for name in ("out", "err"):
        place = outputs / name
        said.append(place.read_bytes().decode(encoding) if place.exists() else "")
    return code, *said, before


def start(request):
    """Run a request in a new interpreter, its streams as the shell gives them."""
    line = shlex.join([sys.executable, "-m", "d2l_rmsprop", *request["args"]])
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        place = request[name]
        if place is None:
            line += f" {fd}>&-"
        elif place == "unread":
            line = f"exec 9>&1; {{ {line}; echo $? >&9; }} | true"
        else:
            line += f" {fd}{'>>' if fd else '<'}{shlex.quote(place)}"
    if request.get("gone"):
        line = f"rmdir {shlex.quote(request['folder'])}; {line}"
    env = environment() | request["env"]
    paths = [request["env"].get("PYTHONPATH"), str(ROOT)]
    env["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    done = subprocess.run(
        ["sh", "-c", line], cwd=request["folder"], env=env, timeout=100, capture_output=True
    )
    return int(done.stdout) if "unread" in request.values() else done.returncode


@pytest.mark.parametrize("row", TABLE, ids=name_of)
def test_a_row(row, starter, kept, proxies, tmp_path):
    _, setup, args, code, says, writes, *more = row
    more = dict(*more)
    folder, outputs = tmp_path / "f", tmp_path / "o"
    folder.mkdir(), outputs.mkdir()
    if "{" in str(more.get("env", "")):
        more["env"] = {k: v.format(**proxies, folder=folder) for k, v in more["env"].items()}
    found, stdout, stderr, before = run(starter, kept, folder, outputs, setup, args, more)
    told = f"exit code {found}\n{stdout}\n{stderr}"
    assert "Traceback" not in told and "this is a fault" not in told, told
    assert found == code, told
    if says is None:
        assert stderr in ("", "numpy ...\n"), told
    else:
        assert re.search(says, " ".join((stderr if code else stdout).split())), told
    if code and says is not None:
        lines = [
            line
            for line in stderr.split("Error: ")[-1].split("\n")
            if line and not re.match(r"\w+ \.\.\.$|.*: skipped ", line)
        ]
        assert len(lines) == 1 or says == "Usage:", told
    after = files(folder) if folder.exists() else {}
    names = {os.fsencode(name) for name in shlex.split(writes)}
    removed = {name[1:] for name in names if name.startswith(b"-cache/")}
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed == names - {b"-" + name for name in removed} | removed, told
    for name in changed - removed:
        mode, content = after[name]
        assert is_whole(name, content), name
        umask = int(more.get("umask", "022"), 8)
        assert mode == (before[name][0] if name in before else 0o666 & ~umask), oct(mode)


# stops


def living(pid):
    """Return the processes that descend from one, itself included, by /proc."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            text = place.read_text()
            state, parent = text.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(place.parent.name)] = int(parent)
    found = {pid} & parents.keys()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


STOPPED = {"SIGINT": "interrupted", "SIGTERM": "stopped by SIGTERM", "SIGHUP": "stopped by SIGHUP"}
COMPARING = "compare --backend numpy --epochs 1000000 --json r.json"
SWEEPING = "sweep --epochs 1000 --results r.json --jobs 2"


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
@pytest.mark.parametrize(
    "line, name, group",
    [
        *((COMPARING, name, False) for name in STOPPED),
        *((SWEEPING, name, group) for name in (*STOPPED, "SIGKILL") for group in (False, True)),
    ],
)
def test_a_stop_is_one_sentence_and_leaves_no_process(line, name, group, tmp_path):
    results = line is SWEEPING
    process = subprocess.Popen(
        [sys.executable, "-m", "d2l_rmsprop", *line.split()],
        cwd=tmp_path, env=environment(), text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # a shell that runs the tests in the background has Ctrl-C ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    progress = "" if results else process.stderr.readline()
    while results and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if json.loads((tmp_path / "r.json").read_text("utf-8"))["cells"]:
                break
        time.sleep(0.1)
    family = living(process.pid)
    assert len(family) > (2 if results else 0)
    number = getattr(signal, name)
    (os.killpg if group else os.kill)(process.pid, number)
    stdout, stderr = process.communicate(timeout=60)  # until nobody holds the pipes
    for _ in range(300):  # a process lets go of its pipes a moment before it is gone
        left = {pid for pid in family if pid in living(pid)}
        if not left:
            break
        time.sleep(0.1)
    assert not left
    assert stdout == "" and progress in ("", "numpy ...\n")
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"] * results
    if name == "SIGKILL":
        assert process.returncode == -number
        return
    kept = "the cells so far are in r.json; the same command goes on from them"
    assert stderr == f"Error: {STOPPED[name]}: {kept if results else 'nothing is kept'}.\n"
    assert process.returncode == 128 + number


def test_nohup_is_heeded(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "d2l_rmsprop", *shlex.split(SWEEP), "--epochs", "2000"],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )  # fmt: skip
    time.sleep(2)
    process.send_signal(signal.SIGHUP)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 0 and "2 runs" in stdout and stderr == ""


@pytest.mark.parametrize("verb", [f"{COMPARE} --json d/r.json", f"{SWEEP} --results d/r.json"])
def test_a_disk_that_is_full(verb, tmp_path):
    (tmp_path / "d").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", tmp_path / "d"]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        (tmp_path / "d" / "old").write_bytes(bytes(4096))
        command = [sys.executable, "-m", "d2l_rmsprop", *shlex.split(verb)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.returncode == 1 and os.listdir(tmp_path / "d") == ["old"]
        said = "Error: 'd/r.json' cannot be written (No space left on device); name another file.\n"
        assert done.stderr.removeprefix("numpy ...\n") == said
        assert "numpy" in done.stdout or verb.startswith("sweep")
    finally:
        subprocess.run(["umount", tmp_path / "d"], check=True)
