"""Bad and extreme inputs of the commands, one a row, for test_table.py.

A row: its name; a shell line that prepares the folder; the arguments; the exit code; a pattern of
what is said, on stderr where it fails, None where that is nothing; the files that are new or
changed afterwards (-NAME: removed), all others being as they were; and what else it needs:

    env       more environment
    stdin, stdout, stderr
              "unread": a pipe without a reader; a path; None: closed
    limit     the size in bytes that no file may exceed, as on a full disk
    settings  module attributes to set, by their names
    umask     the umask, in octal digits
    gone      the working folder is deleted
    real      a new interpreter, for what counts when one starts
"""
# ruff: noqa: E501

import shlex

from d2l_rmsprop.backend import BACKENDS

SWEEP = "sweep --lrs 0.1,0.2 --gammas 0.9 --epochs 1 --batch-size 500"
COMPARE = "compare --backend numpy --epochs 1 --batch-size 500"
NOTEBOOK = "notebook a.md --backend numpy"
CHAPTER = "printf '# A\\n\\n```{.python .input}\\n1\\n```\\n' > a.md;"
OTHERS = [name for name in BACKENDS if name != "numpy"]
# frameworks that nobody has, so that no real one is imported
NONE = f"mkdir x; for f in {' '.join(OTHERS)}; do echo 'raise ImportError(1)' > x/$f.py; done;"
X = {"PYTHONPATH": "x"}
RESULTS = "cp $KEPT/r.json .;"
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "XDG_CACHE_HOME": "{folder}/cache"}
AIRFOIL = f"{COMPARE} --data airfoil"
LONG = "9" * 400


def edited(change):
    """Return a shell line that changes the results of SWEEP by a line of Python."""
    lines = "import json; c = json.load(open('r.json')); s, k = c['settings'], c['cells']"
    lines += f"\n{change}\nopen('r.json', 'w').write(json.dumps(c))"
    return f"{RESULTS} python3 -c {shlex.quote(lines)}"


def cell(change):
    return edited(f"k[0].update({change})")


# fmt: off
FRAMEWORKS = [
    *((f"{what} while importing", f"{NONE} echo '{code}' > x/torch.py", "backends", 0, rf"torch +- +torch is installed but does not work here \({says}", "", {"env": X})
      for what, code, says in [
        ("OSError", 'raise OSError("libcudart.so.12: cannot open")', "OSError: libcudart"),
        ("AttributeError", 'raise AttributeError("no foo")', "AttributeError: no foo"),
        ("RuntimeError", 'raise RuntimeError("two" + chr(10) + "lines")', "RuntimeError: two lines"),
        ("SyntaxError", "x = = 1", "SyntaxError: invalid syntax"),
        ("KeyError", 'raise KeyError("k")', "KeyError"),
        ("ImportError", 'raise ImportError("undefined symbol")', "ImportError: undefined symbol"),
        ("ModuleNotFoundError", "import no_such_part", "ModuleNotFoundError: No module named .no_such"),
        ("RecursionError", "def f(): f()\nf()", "RecursionError"),
        ("MemoryError", "raise MemoryError", "MemoryError"),
        ("AssertionError", "assert 0, [1]", r"AssertionError: \[1\]"),
        ("UnicodeDecodeError", 'b"\\xff".decode()', "UnicodeDecodeError"),
        ("StopIteration", "next(iter([]))", "StopIteration"),
        ("SystemExit", "raise SystemExit(3)", "SystemExit: 3"),
        ("sys.exit", 'import sys; sys.exit("no licence")', "SystemExit: no licence"),
        ("a warning as an error", 'import warnings; warnings.simplefilter("error"); warnings.warn("old")', "UserWarning: old"),
        ("an error with marks", 'raise OSError("[red]a[/red] [/]")', r"OSError: \[red\]a\[/red\] \[/\]"),
        ("an error of its own", "class E(Exception): pass\nraise E()", "E"),
        ("nothing in it", "", "AttributeError"),
        ("an old module", "__version__ = 1", "AttributeError"),
        ("a null byte", "\\0", "SyntaxError|ValueError"),
    ]),
    *((f"{name} is broken", f"{NONE} echo 'raise OSError(5)' > x/{name}.py", "backends", 0, rf"{name} +- +{name} .*\(OSError: 5\)", "", {"env": X}) for name in OTHERS),
    *((f"compare without {name}", f"{NONE} echo 'raise OSError(5)' > x/{name}.py", "compare --epochs 1 --batch-size 500", 0, rf"{name}: {name} is installed but does not work here \(OSError: 5\)", "", {"env": X}) for name in OTHERS),
    *((f"compare with {name}, which is broken", f"{NONE} echo 'raise RuntimeError(5)' > x/{name}.py", f"{COMPARE} --backend {name} --json c.json", 1, rf"Error: {name} failed", "c.json", {"env": X}) for name in OTHERS),
    ("compare says why", NONE, f"{COMPARE} --backend torch", 1, "Error: torch failed; the lines below the table say why", "", {"env": X}),
    ("Ctrl-C while importing", f"{NONE} echo 'raise KeyboardInterrupt' > x/torch.py", "backends", 130, "Error: interrupted: nothing is kept", "", {"env": X}),
    ("Ctrl-C in compare's import", f"{NONE} echo 'raise KeyboardInterrupt' > x/torch.py", "compare --epochs 1 --json c.json", 130, "Error: interrupted", "", {"env": X}),
    ("an unknown framework", "", "compare --backend theano", 2, "Invalid value for '--backend': 'theano'", ""),
    ("notebook of an unknown one", CHAPTER, "notebook a.md --backend theano", 2, "'theano'", ""),
]

WRITES = [
    ("compare writes", "", f"{COMPARE} --json c.json --figure c.png", 0, "trained on a stand-in", "c.json c.png"),
    ("compare says its data: linear", "", f"{COMPARE} --data linear", 0, "trained on the linear problem", ""),
    ("sweep writes", "", f"{SWEEP} --results r.json --figure r.svg", 0, "2 runs in", "r.json r.svg"),
    ("sweep says how to get a picture", "", SWEEP, 0, "add --figure sweep.png", ""),
    ("a pdf", "", f"{SWEEP} --figure r.PDF", 0, "lowest loss", "r.PDF"),
    *((f"{verb} {option}: {what}", setup, f"{line} {option} {name}", 2, f"cannot be written \\({why}", "")
      for verb, line, option, end in [
        ("compare", COMPARE, "--json", "json"), ("compare", COMPARE, "--figure", "png"),
        ("sweep", SWEEP, "--results", "json"), ("sweep", SWEEP, "--figure", "svg"), ("sweep", SWEEP, "--json", "json"),
      ]
      for what, setup, name, why in [
        ("no folder", "", f"no/a.{end}", "No such file"),
        ("a file as folder", "echo 1 > no", f"no/a.{end}", "Not a directory"),
        ("a folder", f"mkdir a.{end}", f"a.{end}", "it is a folder"),
        ("a pipe", f"mkfifo a.{end}", f"a.{end}", "it is a device, a pipe"),
        ("a device", f"ln -s /dev/full a.{end}", f"a.{end}", "it is a device"),
        ("/dev/null by a link", f"ln -s /dev/null a.{end}", f"a.{end}", "it is a device"),
        ("a socket", f"python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('a.{end}')\"", f"a.{end}", "it is a device, a pipe or a socket"),
        ("read-only", f"echo old > a.{end}; chmod 444 a.{end}", f"a.{end}", "it is read-only"),
        ("read-only by a link", f"echo old > b; chmod 444 b; ln -s b a.{end}", f"a.{end}", "it is read-only"),
        ("a hard link", f"echo old > b; ln b a.{end}", f"a.{end}", "it has a second name"),
        ("links in a circle", f"ln -s b a.{end}; ln -s a.{end} b", f"a.{end}", ".*(circle|symbolic link|[Ll]oop)"),
        ("a link to no folder", f"ln -s no/b a.{end}", f"a.{end}", "No such file"),
        ("a name too long", "", f"{'n' * 260}.{end}", "File name too long"),
        ("bytes too many", "", f"{'é' * 130}.{end}", "File name too long"),
        ("a path too long", "", f"{'n/' * 3000}a.{end}", "File name too long"),
      ]),
    ("a device itself", "", f"{SWEEP} --results /dev/full", 2, "it is a device", ""),
    ("the output itself", "", f"{COMPARE} --json /dev/stdout", 2, "what is printed goes there", ""),
    ("the output by its name", "", f"{SWEEP} --results ../o/out", 2, "what is printed goes there", ""),
    ("the errors", "", f"{COMPARE} --json ../o/err", 2, "what is printed goes there", ""),
    ("no name", "", f"{COMPARE} --json ''", 2, "it is a folder", ""),
    *((f"{verb}: a name of 250 characters", "", f"{line} {option} {'n' * (250 - len(end))}{end}", 0, "", f"{'n' * (250 - len(end))}{end}")
      for verb, line, option, end in [("compare", COMPARE, "--json", ".json"), ("figure", COMPARE, "--figure", ".png"), ("sweep", SWEEP, "--results", ".json"), ("heat map", SWEEP, "--figure", ".png")]),
    ("250 bytes of Chinese", "", f"{SWEEP} --results {'中' * 81}.json", 0, "", f"{'中' * 81}.json"),
    ("a name of spaces", "", f"{COMPARE} --json ' .json'", 0, "", "' .json'"),
    ("a name of marks", "", f"{COMPARE} --json '[red].json'", 0, "", "'[red].json'"),
    ("a name that is no text", "", f"{SWEEP} --results '\udcff.json'", 0, "", "'\udcff.json'"),
    ("a name that begins with a dash", "", f"{COMPARE} --json=-a.json", 0, "", "-a.json"),
    ("a link is written through", "mkdir d; echo old > d/b.json; ln -s d/b.json a.json", f"{COMPARE} --json a.json", 0, "", "d/b.json"),
    ("a link to a link", "echo old > c.json; ln -s c.json b; ln -s b a.json", f"{COMPARE} --json a.json", 0, "", "c.json"),
    ("a link to a new file", "ln -s b.json a.json", f"{COMPARE} --json a.json", 0, "", "b.json"),
    ("a link to a folder above", "mkdir d; ln -s d e", f"{SWEEP} --results e/r.json", 0, "", "d/r.json"),
    ("an empty file", ": > r.json", f"{SWEEP} --results r.json", 0, "", "r.json"),
    ("mode is kept", "echo old > c.json; chmod 640 c.json", f"{COMPARE} --json c.json", 0, "", "c.json"),
    ("a secret stays one", "echo old > c.json; chmod 600 c.json", f"{COMPARE} --json c.json", 0, "", "c.json"),
    ("a wide mode is kept", f"{RESULTS} chmod 666 r.json", f"{SWEEP} --results r.json --figure r.png", 0, "", "r.png"),
    *((f"the umask {mask}", "", f"{COMPARE} --json c.json", 0, "", "c.json", {"umask": mask}) for mask in ("022", "077", "002")),
    *((f"compare: one file for two, {how}", setup, f"{COMPARE} --json {one} --figure {two}", 2, "is the file of --json too", "")
      for how, setup, one, two in [
        ("as it is", "", "a.png", "a.png"), ("by ./", "", "a.png", "./a.png"), ("by its folder", "mkdir d", "d/../a.png", "a.png"),
        ("by a link", "ln -s a.png b.png", "a.png", "b.png"), ("by a link to the folder", "mkdir d; ln -s d e", "d/a.png", "e/a.png"),
        ("in other letters", "", "a.png", "A.png"), ("in another end", "", "a.PNG", "a.png"), ("there already", "echo old > a.png", "a.png", "a.png"),
        ("by composed letters", "", "'\u00e9.png'", "'e\u0301.png'"), ("by two links", "ln -s c.png a.png; ln -s c.png b.png", "a.png", "b.png"),
      ]),
    ("sweep: one file for two", "", f"{SWEEP} --results r.png --figure r.png", 2, "is the file of --results too", ""),
    ("sweep: one file by a link", "ln -s r.png s.png", f"{SWEEP} --results r.png --figure s.png", 2, "is the file of --results too", ""),
    ("compare: a full disk", "", f"{COMPARE} --json c.json", 1, r"'c.json' cannot be written \(File too large\)", "", {"limit": 100}),
    ("compare: a full disk, the old file stays", "echo old > c.json", f"{COMPARE} --json c.json", 1, r"'c.json' cannot be written \(File too large\)", "", {"limit": 100}),
    ("compare: room for one file", "", f"{COMPARE} --json c.json --figure c.png", 1, r"'c.png' cannot be written \(File too large\)", "c.json", {"limit": 10_000}),
    ("sweep: a full disk", "", f"{SWEEP} --results r.json", 1, r"'r.json' cannot be written \(File too large\)", "", {"limit": 100}),
    ("sweep: a full disk later", "", f"{SWEEP} --results r.json", 1, r"'r.json' cannot be written \(File too large\)", "r.json", {"limit": 400}),
    ("sweep: a full disk for the picture", "", f"{SWEEP} --results r.json --figure r.png", 1, r"'r.png' cannot be written", "r.json", {"limit": 3000}),
    ("notebook: a full disk", CHAPTER, f"{NOTEBOOK} -o a.ipynb", 1, "a.ipynb: cannot be written: File too large", "", {"limit": 100}),
    *((f"{verb} into a reader that is gone", CHAPTER, line, 1, None, files, {"stdout": "unread"})
      for verb, line, files in [("compare", COMPARE, ""), ("sweep", SWEEP, ""), ("--help", "--help", ""), ("--version", "--version", ""),
        ("compare --help", "compare --help", ""), ("compare with files", f"{COMPARE} --json c.json --figure c.png", "c.json c.png"), ("sweep with files", f"{SWEEP} --results r.json --figure r.png", "r.json r.png")]),
    *((f"{verb} onto a full disk", "", line, 1, "output cannot be written .No space left", files, {"stdout": "/dev/full"})
      for verb, line, files in [("compare", COMPARE, ""), ("sweep", SWEEP, ""), ("--help", "--help", ""), ("compare with files", f"{COMPARE} --json c.json", "c.json")]),
    *((f"{verb} without stdout", "", line, 0, "", files, {"stdout": None})
      for verb, line, files in [("compare", COMPARE, ""), ("sweep", SWEEP, ""), ("files", f"{COMPARE} --json c.json --figure c.png", "c.json c.png"), ("--help", "--help", "")]),
    *((f"{verb} without stderr", "", line, code, None, "", {"stderr": None})
      for verb, line, code in [("compare", COMPARE, 0), ("sweep", SWEEP, 0), ("an error", f"{COMPARE} --json no/a", 2), ("bad usage", "nonsense", 2)]),
    *((f"{verb} with stderr unread", "", line, code, None, "", {"stderr": "unread"})
      for verb, line, code in [("an error", f"{COMPARE} --json no/a", 2), ("sweep", SWEEP, 0), ("a refused file", f"{SWEEP} --scheduler x", 1)]),
    ("no stream at all", "", f"{COMPARE} --json c.json", 0, None, "c.json", {"stdin": None, "stdout": None, "stderr": None}),
    ("stderr on a full disk", "", f"{COMPARE} --json no/a", 2, None, "", {"stderr": "/dev/full"}),
    *((f"the end {end!r}", "", f"{COMPARE} --figure a{end}", 2, "should end in one of", "") for end in ("", ".", ".txt", ".png.gz", ".jpg", ". png")),
]

EDITED = [
    ("they go on", RESULTS, f"{SWEEP} --results r.json", 0, "2 finished", ""),
    ("they are written again", edited("del k[0]"), f"{SWEEP} --results r.json", 0, "2 finished", "r.json"),
    ("a loss of 0", cell("loss=0"), f"{SWEEP} --results r.json --figure r.png", 0, r"2 finished, 0 diverged[^$]*lowest loss 0\.000000", "r.json r.png"),
    ("a loss of 0.0", cell("loss=0.0"), f"{SWEEP} --results r.json --figure r.png", 0, "lowest loss 0.000000", "r.json r.png"),
    ("all losses 0", edited("for c1 in k: c1['loss'] = 0"), f"{SWEEP} --results r.json --figure r.png", 0, "2 finished", "r.json r.png"),
    ("diverged cells stay so", cell("loss=None, status='diverged'"), f"{SWEEP} --results r.json", 0, "1 finished, 1 diverged", "r.json"),
    ("failed cells are trained", cell("loss=None, status='failed'"), f"{SWEEP} --results r.json", 0, "2 finished, 0 diverged, 0 failed", "r.json"),
    *((f"a loss {value}", cell(f"loss={value}"), f"{SWEEP} --results r.json", 1, "is not a sweep's file of results", "")
      for value in ("-1", "-1e-9", "float('-inf')", "float('inf')", "float('nan')", "1e39", "'0.3'", "[]", "{}", "True", "None", "10**400", "-10**400", "''", "[[0.3]]")),
    *((f"a cell with {change}", cell(change), f"{SWEEP} --results r.json", 1, "is not a sweep's file of results", "")
      for change in ("status='done'", "status=None", "status=[]", "status='diverged'", "status='failed'", "lr=0.3", "lr='0.1'", "lr=None", "lr=[0.1]", "lr={}", "lr=10**400", "gamma=0.8", "gamma=-0.9", "gamma='0.9'", "lr=float('nan')")),
    *((f"cells: {change}", edited(change), f"{SWEEP} --results r.json", 1, "is not a sweep's file of results", "")
      for change in ("k.append(k[0])", "k.append(dict(k[0], loss=0.1))", "k[0] = None", "k[0] = []", "k[0] = 1", "k[0] = 'cell'", "del k[0]['loss']", "del k[0]['lr']", "del k[0]['gamma']", "del k[0]['status']",
        "c['cells'] = None", "c['cells'] = 1", "c['cells'] = {'a': 1}", "c['cells'] = 'cells'", "del c['cells']")),
    *((f"settings: {change}", edited(change), f"{SWEEP} --results r.json", 1, "is not a sweep's file of results", "")
      for change in ("c['settings'] = []", "c['settings'] = None", "c['settings'] = 'all'", "c['settings'] = 1", "del c['settings']", "del s['seed']", "del s['lrs']")),
    *((f"another {name}: {value}", edited(f"s['{name}'] = {value}"), f"{SWEEP} --results r.json", 1, rf"has the results of another sweep \(it differs in {name}\)", "")
      for name, value in [("seed", "1"), ("seed", "False"), ("seed", "'0'"), ("seed", "None"), ("seed", "10**400"), ("num_epochs", "2"), ("num_epochs", "True"), ("num_epochs", "'1'"), ("num_epochs", "1.0"),
        ("batch_size", "{}"), ("batch_size", "[500]"), ("eps", "0"), ("eps", "'1e-6'"), ("data", "'airfoil'"), ("data", "None"), ("lrs", "[0.1]"), ("lrs", "0.1"), ("lrs", "{'a': 1}"), ("lrs", "[0.1, '0.2']"),
        ("gammas", "None"), ("gammas", "[[0.9]]"), ("data_sha256", "''"), ("data_sha256", "0")]),
    *((f"a file of {what}", write, f"{SWEEP} --results r.json", 1, "is not a sweep's file of results", "")
      for what, write in [
        ("no JSON", "echo nonsense > r.json"), ("a list", "echo [] > r.json"), ("null", "echo null > r.json"), ("a number", "echo 1 > r.json"), ("a long number", f"echo {'9' * 5000} > r.json"),
        ("deep lists", "python3 -c \"print('[' * 100000 + ']' * 100000)\" > r.json"), ("deep dicts", "python3 -c \"print('{\\\"a\\\":' * 100000 + '1' + '}' * 100000)\" > r.json"),
        ("deep settings", "python3 -c \"print('{\\\"settings\\\":' + '[' * 100000 + ']' * 100000 + '}')\" > r.json"),
        ("no UTF-8", "printf '\\377\\376\\001' > r.json"), ("null bytes", "printf '\\0\\0\\0\\0' > r.json"), ("a part", f"{RESULTS} head -c 300 r.json > s; mv s r.json"),
        ("two documents", f"{RESULTS} cat $KEPT/r.json >> r.json"), ("a picture", "head -c 5000 /dev/urandom > r.json"), ("white space", "echo ' ' > r.json"), ("a lone surrogate", "echo '{\"settings\": \"\\ud800\"}' > r.json"),
        ("-1e400", f"{RESULTS} sed -i 's/\"loss\": .*/\"loss\": -1e400,/' r.json"), ("1e400", f"{RESULTS} sed -i 's/\"loss\": .*/\"loss\": 1e400,/' r.json"),
        ("400 digits", f"{RESULTS} sed -i 's/\"loss\": .*/\"loss\": {LONG},/' r.json"), ("NaN", f"{RESULTS} sed -i 's/\"loss\": .*/\"loss\": NaN,/' r.json"), ("-Infinity", f"{RESULTS} sed -i 's/\"loss\": .*/\"loss\": -Infinity,/' r.json"),
      ]),
    ("the byte order mark of Windows", "printf '\\357\\273\\277' > r.json; cat $KEPT/r.json >> r.json", f"{SWEEP} --results r.json", 0, "2 finished", "r.json"),
    ("the lines of Windows", f"{RESULTS} sed -i 's/$/\\r/' r.json", f"{SWEEP} --results r.json", 0, "2 finished", "r.json"),
]

NUMBERS = [
    *((f"--lrs {value[:30]}", "", f"sweep --gammas 0.9 --lrs '{value}'", 2, says, "")
      for value, says in [
        ("0.1:1:999999999999", "a COUNT that is not 1 to"), ("0.1:1:1000001", "COUNT"), (f"0.1:1:{LONG}", "COUNT"), ("0.1:1:0", "COUNT"), ("0.1:1:-3", "COUNT"), ("0.1:inf:5", "does not end"), ("nan:1:5", "does not end"), ("0.1:nan:5", "does not end"),
        ("-inf:1:5", "does not end"), (f"0.1:{LONG}:5", "does not end"), ("0.1:1e400:5", "does not end"), ("1e-400:1:5", "start it above 0"), ("0:1:5", "start it above 0"), ("-1:1:5", "start it above 0"), ("1:0.1:5", "falls; give rising"),
        ("0.1:1:2.0", "is no grid"), ("0.1:1:1e3", "is no grid"), ("0.1:1", "is no grid"), ("0.1:1:2:3", "is no grid"), ("::", "is no grid"), (":", "is no grid"), ("", "is no grid"), (",", "is no grid"), ("0.1,,0.2", "is no grid"), ("a", "is no grid"),
        ("0.1;0.2", "is no grid"), ("0x10", "is no grid"), (f"0.1:1:{'9' * 5000}", "is no grid|COUNT"), ("a" * 5000, "is no grid"), ("nan", "a lr is nan"), ("inf", "a lr is inf"), ("-0.1", "a lr is -0.1"), (LONG, "a lr is inf"), ("0.2,0.1", "give rising numbers"),
        ("0.1,0.1", "give rising numbers"), ("0.5:0.5:3", "give rising numbers"), ("1:1.0000000000001:9", "give rising numbers"), ("0.1,nan,0.2", "a lr is nan"),
      ]),
    *((f"--gammas {value[:30]}", "", f"sweep --lrs 0.1 --gammas '{value}'", 2, says, "")
      for value, says in [("0:1:999999999999", "COUNT"), ("0:2:3", "from 0 to 1"), ("-1:1:3", "from 0 to 1"), ("0:inf:3", "does not end"), ("-1e308:1e308:3", "a gamma is"), ("1.0001", "from 0 to 1"), ("0.9,0.5", "rising"), ("1:0:3", "falls")]),
    ("a grid of a billion cells", "", "sweep --lrs 0.1:1:100000 --gammas 0:1:10000", 2, "has 1000000000 cells", ""),
    ("tiny rates", "", "sweep --lrs 1e-308,1e-300 --gammas 0.9 --epochs 1 --batch-size 500", 0, "2 finished", ""),
    ("huge rates", "", "sweep --lrs 1e300,1.7e308 --gammas 0.9 --epochs 1 --batch-size 500 --figure a.png", 0, "2 diverged", "a.png"),
    ("rates over all of float64", "", "sweep --lrs 1e-307:1e308:3 --gammas 0.9 --epochs 1 --batch-size 500", 0, "3 runs", ""),
    ("a rate and a decay of 0", "", "sweep --lrs 0 --gammas 0 --epochs 1 --batch-size 500 --figure a.png", 0, "1 finished", "a.png"),
    *((f"compare {option} {value[:20]}", "", f"{COMPARE} {option} {value}", 2, says, "")
      for option, value, says in [
        ("--lr", "nan", "--lr is nan"), ("--lr", "inf", "--lr is inf"), ("--lr", "1e400", "--lr is inf"), ("--lr", LONG, "--lr is inf"), ("--lr", "-1", "--lr is -1"), ("--lr", "x", "'x' is not a valid float"), ("--lr", "''", "not a valid float"),
        ("--gamma", "1.1", "--gamma is 1.1"), ("--gamma", "-0.1", "--gamma is -0.1"), ("--gamma", "nan", "--gamma is nan"), ("--gamma", "inf", "--gamma is inf"), ("--eps", "-1", "--eps is -1"), ("--eps", "nan", "--eps is nan"), ("--eps", "inf", "--eps is inf"),
        ("--epochs", "0", "not in the range"), ("--epochs", LONG, "not in the range"), ("--epochs", "1000001", "not in the range"), ("--epochs", "1.5", "not a valid integer"), ("--epochs", "9" * 5000, "not a valid integer"),
        ("--batch-size", "0", "not in the range"), ("--batch-size", "-5", "not in the range"), ("--seed", "-1", "not in the range"), ("--seed", "x", "not a valid integer"), ("--data", "wind", "is not one of"), ("--json", "", "requires an argument"),
      ]),
    *((f"compare {option} {value[:20]} is no fault", "", f"{COMPARE} {option} {value} --json c.json", 0, "numpy", "c.json")
      for option, value in [("--batch-size", LONG), ("--batch-size", "1501"), ("--seed", LONG), ("--seed", str(2**64)), ("--lr", "0"), ("--lr", "1e308"), ("--eps", "0"), ("--eps", "1e308"), ("--gamma", "0"), ("--gamma", "1"), ("--lr", "5e-324")]),
    *((f"sweep {option} {value[:20]}", "", f"{SWEEP} {option} {value}", 2, says, "")
      for option, value, says in [("--eps", "-1", "--eps is -1"), ("--eps", "nan", "--eps is nan"), ("--epochs", "0", "not in the range"), ("--epochs", LONG, "not in the range"), ("--jobs", "0", "not in the range"), ("--jobs", "-1", "not in the range"), ("--seed", "1.5", "not a valid integer")]),
    *((f"sweep {option} {value[:20]} is no fault", "", f"{SWEEP} {option} {value} --results r.json", 0, "2 finished", "r.json")
      for option, value in [("--batch-size", LONG), ("--seed", LONG), ("--jobs", "1")]),
    ("an unknown verb", "", "nonsense", 2, "No such command 'nonsense'", ""),
    ("an unknown option", "", "compare --nonsense", 2, "No such option", ""),
    ("an argument too many", "", "backends x", 2, "unexpected extra argument", ""),
    ("no verb", "", "", 2, "Usage:", ""),
    ("help", "", "--help", 0, "130: stopped by Ctrl-C", ""),
    ("version", "", "--version", 0, r"\d+\.\d+", ""),
]

TERMINALS = [
    *((f"{what} {name}={value}", setup, line, 0, says, "", {"env": {name: value, **X}})
      for what, setup, line, says in [("compare", "", COMPARE, r"numpy [\d.]+ 0\.\d{6} "), ("backends", NONE, "backends", "numpy +[\\d.]+")]
      for name, value in [("COLUMNS", "20"), ("COLUMNS", "1"), ("COLUMNS", "0"), ("COLUMNS", "-5"), ("COLUMNS", "x"), ("COLUMNS", "99999999"), ("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "nonsense"), ("PYTHONIOENCODING", "ascii"), ("PYTHONIOENCODING", "latin-1"), ("PYTHONIOENCODING", "utf-16")]),
    *((f"a screen of {columns} columns: {what}", setup, line, 0, says, "", {"env": {"COLUMNS": columns, "FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", **X}})
      for columns in ("10", "20", "40")
      for what, setup, line, says in [("compare", "", COMPARE, r"numpy [\d.]+ 0\.\d{6} .* \d\.\d{3} .*0\.0e\+00"), ("backends", NONE, "backends", "numpy +\\d+\\.\\d+\\.\\d+")]),
    *((f"{encoding}: a name beyond it", CHAPTER, f"{NOTEBOOK} -o {name}.ipynb", 0, "", f"{name}.ipynb", {"env": {"PYTHONIOENCODING": encoding}}) for encoding in ("ascii", "latin-1", "utf-8") for name in ("中文", "é")),
    *((f"{encoding}: an error beyond it", "", f"{COMPARE} --json 中文/é.json", 2, "cannot be written", "", {"env": {"PYTHONIOENCODING": encoding}}) for encoding in ("ascii", "latin-1", "cp1252")),
    ("a working folder that is gone", "", COMPARE, 1, "Error: the working folder is gone; change into another.", "", {"gone": True}),
    ("sweep where the folder is gone", "", SWEEP, 1, "Error: the working folder is gone", "", {"gone": True}),
    ("backends where the folder is gone", "", "backends", 1, "Error: the working folder is gone", "", {"gone": True}),
    ("notebook where the folder is gone", "", NOTEBOOK, 1, "Error: the working folder is gone", "", {"gone": True}),
]

STARTS = [
    *((f"{what}: {' '.join(f'{k}={v}' for k, v in env.items())}", CHAPTER, line, 0, says, files, {"env": env, "real": True})
      for env in [{"PYTHONWARNINGS": "error"}, {"PYTHONOPTIMIZE": "2"}, {"MPLBACKEND": "nonsense"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}, {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "LANG": "C"}, {"HOME": "/nonexistent", "MPLCONFIGDIR": "/dev/null/x"}, {"PYTHONIOENCODING": "ascii"}]
      for what, line, says, files in [("compare", f"{COMPARE} --json c.json --figure c.png", "numpy", "c.json c.png"), ("sweep", "sweep --lrs 0.1:1:8 --gammas 0.9,0.99 --jobs 2 --epochs 1 --batch-size 500 --results 中.json --figure r.png", "16 runs", "中.json r.png")]),
    *((f"help: {name}={value}", "", "sweep --help", 0, "--lrs", "", {"env": {name: value}, "real": True}) for name, value in [("PYTHONOPTIMIZE", "2"), ("MPLBACKEND", "nonsense"), ("PYTHONWARNINGS", "error")]),
    *((f"closed: {name}", "", f"{COMPARE} --json c.json", 0, "", "c.json", {name: None, "real": True}) for name in ("stdin", "stdout", "stderr")),
    ("unread", "", COMPARE, 1, None, "", {"stdout": "unread", "real": True}),
    ("full", "", COMPARE, 1, "output cannot be written", "", {"stdout": "/dev/full", "real": True}),
    ("gone", "", COMPARE, 1, "the working folder is gone", "", {"gone": True, "real": True}),
    ("NumPy is broken", "mkdir x; echo 'raise OSError(\"libblas\")' > x/numpy.py", "backends", 0, "numpy +- .*libblas", "", {"env": X, "real": True}),
    ("NumPy is broken: compare", "mkdir x; echo 'raise OSError(\"libblas\")' > x/numpy.py", COMPARE, 1, "libblas", "", {"env": X, "real": True}),
]

HUB = "http://d2l-data.s3-accelerate.amazonaws.com/airfoil_self_noise.dat"
QUICK = {"d2l_rmsprop.lesson.data.TIMEOUT": 0.5}
DATA = [
    *((f"the variable names {what}", setup, AIRFOIL, 1, rf"D2L_RMSPROP_DATA.*{says}|{says}.*D2L_RMSPROP_DATA", files, {"env": {**OFFLINE, "D2L_RMSPROP_DATA": name}})
      for what, setup, name, says, files in [
        ("no folder", "", "no", "No such file", ""), ("a file", "echo 1 > f", "f", "Not a directory", ""), ("a device", "", "/dev/null", "Not a directory", ""), ("a pipe", "mkfifo p", "p", "Not a directory", ""),
        ("a link to nothing", "ln -s no l", "l", "No such file", ""), ("links in a circle", "ln -s a b; ln -s b a", "a", "symbolic links", ""), ("a long name", "", "n" * 300, "too long", ""),
        ("a folder without it", "mkdir d", "d", "is not in d .D2L_RMSPROP_DATA., and cannot be had from http.*Connection refused", ""), ("a folder with a folder of that name", "mkdir -p d/airfoil_self_noise.dat", "d", "is not in d", ""),
        ("a folder with a pipe of that name", "mkdir d; mkfifo d/airfoil_self_noise.dat", "d", "is not in d", ""), ("a folder with a link to nothing", "mkdir d; ln -s no d/airfoil_self_noise.dat", "d", "is not in d", ""),
        ("a folder with another file", "mkdir d; echo 1 > d/airfoil_self_noise.dat", "d", "is not the file it should be", ""), ("a folder with an empty file", "mkdir d; : > d/airfoil_self_noise.dat", "d", "is not the file it should be", ""),
        ("a folder with a file of 10 GB", "mkdir d; truncate -s 10G d/airfoil_self_noise.dat", "d", "is not the file it should be", ""),
      ]),
    ("no variable, no network", "", AIRFOIL, 1, f"cannot be had from {HUB} into .*Connection refused.*D2L_RMSPROP_DATA", "", {"env": OFFLINE}),
    ("an empty variable", "", AIRFOIL, 1, "cannot be had from", "", {"env": {**OFFLINE, "D2L_RMSPROP_DATA": ""}}),
    ("sweep of data that are not there", "", f"{SWEEP} --data airfoil --results r.json", 1, "cannot be had from", "", {"env": OFFLINE}),
    ("a proxy that is none", "", AIRFOIL, 1, "cannot be had from", "", {"env": {**OFFLINE, "http_proxy": "nonsense://x:y"}}),
    ("a cache that is a file", "mkdir cache; echo 1 > cache/d2l_rmsprop", AIRFOIL, 1, "cannot be had from", "", {"env": OFFLINE}),
    ("a cache that cannot be", "", AIRFOIL, 1, "cannot be had from", "", {"env": {**OFFLINE, "XDG_CACHE_HOME": "/proc/no"}}),
    ("a cache with a folder of that name", "mkdir -p cache/d2l_rmsprop/airfoil_self_noise.dat", AIRFOIL, 1, "cannot be had from", "", {"env": {**OFFLINE, "http_proxy": "{good}"}}),
    *((f"a server that {what}", "", AIRFOIL, 1, f"cannot be had from.*{says}", "", {"env": {**OFFLINE, "http_proxy": f"{{{behaviour}}}"}, "settings": QUICK})
      for what, behaviour, says in [("knows nothing", "missing", "404"), ("fails", "broken", "500"), ("is silent", "silent", "timed out|not done within"), ("drips", "drip", "not done within"), ("drips its headers", "heads", "not done within"),
        ("never ends", "endless", "sends more than 59984 bytes"), ("says a length and sends less", "short", "IncompleteRead|broken"), ("sends another file", "other", "another file"), ("sends nothing", "empty", "another file"),
        ("sends in circles", "circle", "redirects"), ("sends elsewhere", "elsewhere", "No connection adapters"), ("sends a bomb", "bomb", "sends more than"), ("speaks nonsense", "nonsense", "nonsense|BadStatusLine|Connection"), ("hangs up", "hangup", "closed|aborted|reset")]),
    ("what a killed run left", "mkdir -p cache/d2l_rmsprop; touch -d '1 hour ago' cache/d2l_rmsprop/tmpabcdefgh", AIRFOIL, 1, "404", "-cache/d2l_rmsprop/tmpabcdefgh", {"env": {**OFFLINE, "http_proxy": "{missing}"}}),
    ("a bad file in the cache", "mkdir -p cache/d2l_rmsprop; echo 1 > cache/d2l_rmsprop/airfoil_self_noise.dat", AIRFOIL, 1, "404", "-cache/d2l_rmsprop/airfoil_self_noise.dat", {"env": {**OFFLINE, "http_proxy": "{missing}"}}),
]

SCHEDULERS = [
    *((f"--scheduler {address[:40]!r}", "", f"{SWEEP} --results r.json --scheduler '{address}'", 1, "it must be an address tcp://HOST:PORT", "")
      for address in ["", " ", "tcp://", "tcp://h", "tcp://h:", "tcp://:1", "tcp://h:0", "tcp://h:65536", "tcp://h:99999", "tcp://h:-1", "tcp://h:x", "tcp://h:1e3", "h:1", "127.0.0.1:8786", "http://h:1", "tls://h:1", "TCP://h:1", "tcp:/h:1", "tcp://h:1/", "tcp://h:1/x", "tcp://h:1?x", "tcp://u@h:1",
        "tcp://u:p@h:1", "tcp://::1:8786", "tcp://[::1", "tcp://[::1]", "tcp://[]:1", "tcp://h h:1", "tcp://h:1 ", "tcp://h:١", "tcp://" + "9" * 5000, "inproc://x"]),
]

NOTEBOOKS = [
    ("notebook writes", CHAPTER, f"{NOTEBOOK}", 0, "a.numpy.ipynb", "a.numpy.ipynb"),
    ("a student's notebook is not run", CHAPTER, f"{NOTEBOOK} --student --execute", 2, "drop --execute", ""),
    ("no chapter", "", "notebook --backend numpy", 2, "name a chapter", ""),
    ("a chapter that is not there", "", NOTEBOOK, 2, "there is no file 'a.md'", ""),
    ("no framework", CHAPTER, "notebook a.md", 2, "choose a framework", ""),
    ("a language that is none", CHAPTER, f"{NOTEBOOK} --lang xx", 2, "--lang", ""),
    ("no time", CHAPTER, f"{NOTEBOOK} --timeout 0", 2, "not in the range", ""),
    ("a chapter that is no UTF-8", "printf '\\377\\376' > a.md", NOTEBOOK, 1, "a.md:1: this is not UTF-8", ""),
    ("a folder without chapters", "mkdir d", "notebook d --backend numpy", 1, "no .md file", ""),
    ("a pipe as chapter", "mkfifo a.md", NOTEBOOK, 1, "this is no chapter", ""),
    ("a picture as chapter", "echo 1 > a.png", "notebook a.png --backend numpy", 1, "this is no chapter", ""),
    ("a folder for the notebook that is a file", f"{CHAPTER} echo 1 > d", f"{NOTEBOOK} -o d", 1, "d/a.numpy.ipynb: cannot be written|Not a directory|File exists", ""),
    ("a notebook that is read-only", f"{CHAPTER} echo 1 > b.ipynb; chmod 444 b.ipynb", f"{NOTEBOOK} -o b.ipynb", 1, "b.ipynb: cannot be written: it is read-only", ""),
    ("a notebook that is a pipe", f"{CHAPTER} mkfifo b.ipynb", f"{NOTEBOOK} -o b.ipynb", 1, "b.ipynb: cannot be written", ""),
    ("a notebook that is a folder", f"{CHAPTER} mkdir b.ipynb", f"{NOTEBOOK} -o b.ipynb", 1, "b.ipynb: cannot be written", ""),
    ("a notebook that is a hard link", f"{CHAPTER} echo 1 > c; ln c b.ipynb", f"{NOTEBOOK} -o b.ipynb", 1, "b.ipynb: cannot be written", ""),
    ("a notebook's mode is kept", f"{CHAPTER} echo 1 > b.ipynb; chmod 600 b.ipynb", f"{NOTEBOOK} -o b.ipynb", 0, "", "b.ipynb"),
    ("a notebook through a link", f"{CHAPTER} ln -s c.ipynb b.ipynb", f"{NOTEBOOK} -o b.ipynb", 0, "", "c.ipynb"),
    ("a notebook's name of 250 characters", CHAPTER, f"{NOTEBOOK} -o {'n' * 244}.ipynb", 0, "", f"{'n' * 244}.ipynb"),
    ("a notebook's name too long", CHAPTER, f"{NOTEBOOK} -o {'n' * 260}.ipynb", 1, "File name too long", ""),
    ("one file for two notebooks", CHAPTER, "notebook a.md --backend numpy --backend torch -o b.ipynb", 2, "-o names a file", ""),
    ("the lines of Windows", f"{CHAPTER} sed -i 's/$/\\r/' a.md", NOTEBOOK, 0, "", "a.numpy.ipynb"),
    ("the byte order mark of Windows", "printf '\\357\\273\\277# A\\n' > a.md", NOTEBOOK, 0, "", "a.numpy.ipynb"),
]
TABLE = [
    *FRAMEWORKS,
    *WRITES,
    *EDITED,
    *NUMBERS,
    *TERMINALS,
    *STARTS,
    *DATA,
    *SCHEDULERS,
    *NOTEBOOKS,
]  # fmt: skip
# fmt: on
