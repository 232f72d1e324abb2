"""docs/explorer.html: its numbers are the package's, and everything on it works and is said."""

import cmath
import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from d2l_rmsprop import numpy as d2l

SOURCE = Path(__file__).parents[2] / "docs" / "explorer.html"
PAGE = SOURCE.as_uri()
LANGUAGES = ("en", "zh", "vi")
PRESETS = ("valley", "turned", "cycle", "signs", "eps")
PROBLEMS = ("valley", "rosenbrock", "reddi")
ALL = "gd=1&momentum=1&adagrad=1&adam=1"
NOT_A_NUMBER = re.compile(r"NaN|Infinity|undefined|null|\[object")

pytestmark = pytest.mark.site


@pytest.fixture(scope="module")
def open_explorer(browser):
    """Return ``open_explorer(link, **options)``: the page from the disk, with Playwright's options.

    The tests fail if a page reports an error or asks for anything but itself.
    """
    contexts, errors = [], []

    def open_explorer(link="", **options):
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda m: m.type == "error" and errors.append(m.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: r.url.startswith(PAGE) or errors.append(f"asked for {r.url}"))
        page.goto(PAGE + link)
        return page

    yield open_explorer
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="module")
def page(open_explorer):
    return open_explorer()


def drawn(page):
    """Wait until what has changed is drawn."""
    frame = "requestAnimationFrame"
    page.evaluate(f"new Promise(done => {frame}(() => {frame}(() => {frame}(done))))")


def go(page, link):
    """Follow a link to other settings within the page, and wait until they are drawn."""
    page.evaluate("link => { location.hash = ''; location.hash = link; }", link)
    drawn(page)


def settled(page):
    """Wait until the page has written its state to its address, and its summary with it."""
    page.wait_for_function("""() => {
        const written = new URLSearchParams(location.hash.slice(1));
        return Object.entries(explorer.state).every(
            ([key, v]) => written.get(key) === String(typeof v === "boolean" ? Number(v) : v));
    }""")


def state(page):
    return page.evaluate("explorer.state")


def pictures(page):
    canvases = "[...document.querySelectorAll('canvas')].map(c => c.toDataURL())"
    return page.evaluate(f"explorer.render(); {canvases}")


def empty_pictures(page):
    """The ids of the plots on which everything has one colour."""
    return page.evaluate("""() => [...document.querySelectorAll("canvas")].filter(canvas => {
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(pixels.data.buffer)).size < 3;
    }).map(canvas => canvas.id)""")


# the numbers


def random_settings(rng, steps):
    """Settings of one run, over all that the page's sliders allow, often at an end."""

    def between(low, high):
        return float(rng.choice([low, high, 10 ** rng.uniform(*np.log10([low, high]))], p=RARE))

    problem = str(rng.choice(PROBLEMS, p=[0.6, 0.25, 0.15]))
    low, high = {"valley": [-6, 6], "rosenbrock": [-1, 2], "reddi": [-1, 1]}[problem]
    x1, x2 = rng.uniform(low, high, 2)
    return {
        "problem": problem,
        "condition": between(1, 10000),
        "angle": float(rng.choice([0, 45, 90, -90, rng.uniform(-90, 90)])),
        "x1": x1,
        "x2": 0 if problem == "reddi" else x2,
        "gamma": float(rng.choice([0, 0.9, 0.9999, 1 - 10 ** rng.uniform(-4, 0)])),
        "eps": between(1e-16, 100),
        "place": str(rng.choice(["in", "out"])),
        "decay": bool(rng.integers(2)),
        "steps": int(rng.integers(1, steps)),
        **{key: between(1e-5, 10) for key in LEARNING_RATES.values()},
        **dict.fromkeys(LEARNING_RATES, True),
    }


RARE = [0.05, 0.05, 0.9]
LEARNING_RATES = {
    "rmsprop": "lr",
    "gd": "lr_gd",
    "momentum": "lr_momentum",
    "adagrad": "lr_adagrad",
    "adam": "lr_adam",
}


@pytest.fixture(scope="module")
def runs(page):
    """500 runs of random settings, as the page's own code computes them in the browser."""
    rng = np.random.default_rng(0)
    settings = [random_settings(rng, 80) for _ in range(490)]
    settings += [random_settings(rng, 300) for _ in range(10)]
    run = """settings => JSON.stringify(settings.map(p => ({
        paths: explorer.path(p),
        matrix: [[1, 0], [0, 1]].map(x => explorer.PROBLEMS.valley.gradient(p)(...x)),
    })))"""
    found = json.loads(page.evaluate(run, settings), parse_int=float)
    return list(zip(settings, found, strict=True))


def gradient(p, matrix, x1, x2, t):
    if p["problem"] == "valley":
        (a, b), (_, d) = matrix
        return a * x1 + b * x2, b * x1 + d * x2
    if p["problem"] == "rosenbrock":
        bend = x2 - x1 * x1
        return -2 * (1 - x1) - 400 * x1 * bend, 200 * bend
    return (1010 if t % 101 == 0 else -10), 0


def clip(p, x):
    return min(max(x, -1), 1) if p["problem"] == "reddi" else x


def test_a_valley_is_turned_by_its_angle(runs):
    for p, found in runs:
        turn, flat, steep = cmath.exp(1j * math.radians(p["angle"])), 4 / p["condition"], 4
        for x, column in zip([1, 1j], found["matrix"], strict=True):
            u = x / turn
            assert complex(*column) == pytest.approx(
                complex(flat * u.real, steep * u.imag) * turn, rel=0, abs=5e-15
            )


def test_learning_rates_are_constant_or_fall_along_a_cosine(runs):
    for p, found in runs:
        for method, key in LEARNING_RATES.items():
            rates = found["paths"][method]["lr"]
            t = np.arange(len(rates))
            fall = (1 + np.cos(math.pi * t / p["steps"])) / 2 if p["decay"] else np.ones(len(t))
            np.testing.assert_allclose(rates, p[key] * fall, rtol=1e-15, atol=1e-15 * p[key])


def test_runs_are_whole_unless_they_diverge(runs):
    ended = {"whole": 0, "diverged": 0}
    for p, found in runs:
        for run in found["paths"].values():
            length = p["steps"] if run["diverged"] is None else run["diverged"] - 1
            ended["whole" if run["diverged"] is None else "diverged"] += 1
            assert {len(run[key]) for key in run.keys() - {"diverged", "lr"}} == {length + 1}
            numbers = [run[key] for key in ["x1", "x2", "f", "lr"]]
            assert all(math.isfinite(v) for each in numbers for v in each)
            assert max(map(abs, run["x1"] + run["x2"])) < 1e6
    assert min(ended.values()) > 100


def test_rmsprop_is_the_packages(runs):
    """The whole path, to the last bit: rmsprop_2d goes its own way, from the start alone.

    It squares by C's pow, which is off by a bit once in a thousand; a run is followed up to there.
    """
    steps = 0
    for p, found in runs:
        if p["place"] == "out":
            continue
        run = found["paths"]["rmsprop"]
        x1, x2, s1, s2 = p["x1"], p["x2"], 0.0, 0.0
        for t, lr in enumerate(run["lr"]):
            g = gradient(p, found["matrix"], x1, x2, t)
            if any(each**2 != each * each for each in g):
                break
            x1, x2, s1, s2 = d2l.rmsprop_2d(
                x1, x2, s1, s2, lambda *x, g=g: g, lr=lr, gamma=p["gamma"], eps=p["eps"]
            )
            x1 = clip(p, x1)
            assert [x1, x2, s1, s2] == [run[key][t + 1] for key in ["x1", "x2", "s1", "s2"]]
            steps += 1
    assert steps > 8000


def test_each_step_of_rmsprop_is_the_packages(runs):
    """One step from each of the page's points, with eps in both places, to 1e-12."""
    for p, found in runs:
        run, inside = found["paths"]["rmsprop"], p["place"] == "in"
        for t, lr in enumerate(run["lr"]):
            x, s = np.array([[run[key + i][t] for i in "12"] for key in "xs"], dtype=float)
            g = np.array(gradient(p, found["matrix"], *x, t), dtype=float)
            if inside:
                new = d2l.rmsprop_2d(
                    *x, *s, lambda *x, g=g: g, lr=lr, gamma=p["gamma"], eps=p["eps"]
                )
            else:
                params, states = [d2l.variable(x)], [d2l.variable(s)]
                params[0].grad = g.copy()
                d2l.rmsprop(
                    params, states, {"lr": lr, **{k: p[k] for k in ["gamma", "eps"]}} | OUTSIDE
                )
                new = [*params[0].value, *states[0].value]
            for key, old, value in zip(["x1", "x2", "s1", "s2"], [*x, *s], new, strict=True):
                value = clip(p, value) if key == "x1" else value
                close(run[key][t + 1], value, old)
            for i in (0, 1):
                root = math.sqrt(new[2 + i] + p["eps"] * inside) + p["eps"] * (not inside)
                close(run[f"rate{i + 1}"][t + 1], lr / root)


OUTSIDE = {"eps_in_sqrt": False}


def close(found, expected, before=0.0):
    """To 1e-12 of the number; of the number before, where a step ends close to 0."""
    scale = max(abs(expected), abs(before))
    assert abs(found - expected) <= 1e-12 * scale, (found, expected, before)


class Reference:
    """The other methods, for one coordinate, from their papers; g is the gradient, t from 1."""

    def __init__(self, method):
        self.step, self.m, self.s = getattr(self, method), 0.0, 0.0

    def gd(self, g, t):
        return g

    def momentum(self, g, t):
        self.m = g + 0.9 * self.m
        return self.m

    def adagrad(self, g, t):
        self.s += g * g
        return g / math.sqrt(1e-6 + self.s)

    def adam(self, g, t):
        self.m += (g - self.m) / 10
        self.s += (g * g - self.s) / 1000
        return self.m / (1 - 0.9**t) / (math.sqrt(self.s / (1 - 0.999**t)) + 1e-8)


@pytest.mark.parametrize("method", ["gd", "momentum", "adagrad", "adam"])
def test_each_step_of_the_others(runs, method):
    for p, found in runs:
        run = found["paths"][method]
        references = [Reference(method), Reference(method)]
        for t, lr in enumerate(run["lr"]):
            x = run["x1"][t], run["x2"][t]
            for i, g in enumerate(gradient(p, found["matrix"], *x, t)):
                if i == 1 and p["problem"] == "reddi":
                    continue
                step = lr * references[i].step(g, t + 1)
                expected = clip(p, x[i] - step) if i == 0 else x[i] - step
                close(run[f"x{i + 1}"][t + 1], expected, max(abs(x[i]), abs(step)))
                if method in ("adagrad", "adam"):
                    s = references[i].s
                    close(run[f"s{i + 1}"][t + 1], s, 1.0 if s < 1e-300 else 0.0)
                    rate = lr / math.sqrt(s + 1e-6)
                    if method == "adam":
                        rate = lr / (1e-8 + math.sqrt(s / (1 - 0.999 ** (t + 1))))
                    close(run[f"rate{i + 1}"][t + 1], rate)


def test_losses(runs):
    for p, found in runs:
        turn = cmath.exp(-1j * math.radians(p["angle"]))
        for run in found["paths"].values():
            x1, x2 = np.array(run["x1"]), np.array(run["x2"])
            if p["problem"] == "valley":
                u = (x1 + 1j * x2) * turn
                expected = 2 * (u.real**2 / p["condition"] + u.imag**2)
            elif p["problem"] == "rosenbrock":
                expected = (x1 - 1) ** 2 + 100 * (x1**2 - x2) ** 2
            else:
                expected = (1010 - 100 * 10) / 101 * (x1 - -1)
            tolerance = 1e-12 if p["problem"] != "rosenbrock" else 1e-9  # x1^2 - x2 cancels
            np.testing.assert_allclose(run["f"], expected, rtol=tolerance, atol=1e-15)


# the presets say what is so


def paths_of(page, name, **changes):
    return page.evaluate(
        "([name, changes]) => explorer.path({...explorer.PRESETS[name], ...changes})",
        [name, changes],
    )


def test_what_the_presets_say_is_so(page):
    valley, turned = paths_of(page, "valley"), paths_of(page, "turned")
    first = [valley["rmsprop"][x][1] - valley["rmsprop"][x][0] for x in ("x1", "x2")]
    assert first == pytest.approx([0.4 / math.sqrt(0.1)] * 2, rel=1e-4)
    assert valley["rmsprop"]["f"][20] < 1e-3 * valley["gd"]["f"][20]
    assert turned["gd"]["f"] == pytest.approx(valley["gd"]["f"], rel=1e-9)
    assert turned["rmsprop"]["f"][20] > turned["gd"]["f"][20]

    cycle, fallen = (paths_of(page, "cycle", decay=decay)["rmsprop"] for decay in (False, True))
    for x in ("x1", "x2"):
        assert [abs(v) for v in cycle[x][-2:]] == pytest.approx([0.2, 0.2], rel=0.1)
        assert cycle[x][-1] * cycle[x][-2] < 0
    assert fallen["f"][-1] < 1e-25

    signs = paths_of(page, "signs")["rmsprop"]
    for x in ("x1", "x2"):
        assert abs(np.diff(signs[x])) == pytest.approx(np.full(40, 0.3), rel=1e-6)

    eps = paths_of(page, "eps")["rmsprop"]
    for rate in ("rate1", "rate2"):
        assert eps[rate][-1] == pytest.approx(0.4, rel=0.02)
    assert np.diff(np.log(eps["f"][-20:])).max() < 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_presets_and_problems_in_each_language(open_explorer, language):
    page = open_explorer(f"?lang={language}")
    words = page.evaluate("explorer.TEXT")[language]
    assert page.evaluate("document.documentElement.lang") == language
    assert page.title() == words["title"]
    shown = set()
    for name in PRESETS:
        page.get_by_role("button", name=words["preset"][name][0], exact=True).click()
        drawn(page)
        assert page.locator("#sentence").inner_text() == words["preset"][name][1]
        assert page.locator(f"[data-preset={name}]").get_attribute("aria-pressed") == "true"
        assert empty_pictures(page) == []
        shown.add(pictures(page)[0])
    for problem in PROBLEMS[1:]:
        page.locator("#problem").select_option(problem)
        drawn(page)
        assert page.locator("#sentence").inner_text() == words["note"][problem]
        assert empty_pictures(page) == []
        shown.add(pictures(page)[0])
        assert not NOT_A_NUMBER.search(page.locator("body").inner_text())
    assert len(shown) == len(PRESETS) + 2


def test_every_text_is_translated(page):
    def leaves(value, name=""):
        if isinstance(value, dict | list):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            return {k: v for key, each in pairs for k, v in leaves(each, f"{name}.{key}").items()}
        return {name: value}

    source = "JSON.stringify(explorer.TEXT, (key, v) => typeof v === 'function' ? String(v) : v)"
    texts = {k: leaves(v) for k, v in json.loads(page.evaluate(source)).items()}
    same = {".eps", ".s", ".limit", ".marks.0", ".marks.1", ".marks.2"}  # symbols
    for language in ("zh", "vi"):
        assert texts[language].keys() == texts["en"].keys()
        for key in texts["en"].keys() - same:
            assert texts[language][key] != texts["en"][key], key
    for key in (".start", ".where", ".diverged", ".faults.number", ".faults.range"):
        names = [re.findall(r"\$\{(\w+)", texts[language][key]) for language in LANGUAGES]
        assert sorted(names[0]) == sorted(names[1]) == sorted(names[2]), key


def test_languages_switch_and_keep_the_settings(open_explorer):
    page = open_explorer("#lr=0.1&gamma=0.5")
    for name, language, chapters in [
        ("中文", "zh", "zh/index.html"),
        ("Tiếng Việt", "vi", "vi/index.html"),
        ("English", "en", "index.html"),
    ]:
        page.get_by_role("link", name=name).click()
        page.wait_for_function("lang => document.documentElement.lang === lang", arg=language)
        drawn(page)
        assert page.locator("#chapters").get_attribute("href") == chapters
        assert state(page)["lr"] == 0.1 and state(page)["gamma"] == 0.5
    for nonsense in ("nonsense", "toString", ""):
        page = open_explorer(f"?lang={nonsense}")
        assert page.evaluate("document.documentElement.lang") == "en"
        assert page.title() == "RMSProp in the plane"


def test_the_site_has_the_page_and_the_way_back(open_page, site):
    assert (site / "explorer.html").read_bytes() == SOURCE.read_bytes()
    for name, language in [("中文", "zh"), ("Tiếng Việt", "vi"), ("English", "en")]:
        page = open_page("explorer.html?lang=nonsense#gamma=0.5")
        page.evaluate("window.same = true")
        page.get_by_role("link", name=name).click()
        page.wait_for_function("lang => document.documentElement.lang === lang", arg=language)
        assert f"explorer.html?lang={language}#" in page.evaluate("location.href")
        assert page.evaluate("window.same") and state(page)["gamma"] == 0.5
        page.locator("#chapters").click()
        page.wait_for_url("**/index.html")
        assert page.evaluate("document.documentElement.lang").startswith(language)


# dragging, and stepping


def centre(page, place):
    box = page.locator(place).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_start_is_dragged_with_the_mouse(page, problem):
    go(page, f"problem={problem}")
    before, picture = state(page), pictures(page)
    x, y = centre(page, "#start")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y - 15)
    page.mouse.move(x + 40, y - 30)
    page.mouse.up()
    drawn(page)
    after = state(page)
    assert centre(page, "#start") == pytest.approx((x + 40 * (problem != "reddi"), y - 30), abs=1)
    assert after["x1"] > before["x1"]
    assert (after["x2"] > before["x2"]) == (problem != "reddi")
    assert pictures(page)[0] != picture[0]
    page.mouse.move(x, y)  # let go
    drawn(page)
    assert state(page) == after


def test_a_click_on_the_plot_moves_the_start(page):
    go(page, "problem=valley")
    x, y = centre(page, "#plane")
    page.mouse.click(x + 100, y + 50)
    drawn(page)
    assert centre(page, "#start") == pytest.approx((x + 100, y + 50), abs=1)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(1, 1)  # beyond the plot: the start stops at its limits
    page.mouse.up()
    drawn(page)
    assert -6 <= state(page)["x1"] < 0 < state(page)["x2"] <= 6


def test_the_start_is_moved_by_the_keyboard(page):
    go(page, "x1=-5&x2=-2")
    page.locator("#start").focus()
    for key in ["ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowDown"]:
        page.keyboard.press(key)
    drawn(page)
    assert [state(page)["x1"], state(page)["x2"]] == [-4.81, -1.91]
    assert "-4.81" in page.locator("#start").get_attribute("aria-label")
    page.locator("#x1").fill("3.25")
    drawn(page)
    assert state(page)["x1"] == 3.25


@pytest.fixture
def phone(open_explorer):
    page = open_explorer(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    drawn(page)
    return page


def swipe(page, x, y, dx, dy):
    client = page.context.new_cdp_session(page)
    ways = [("touchStart", 0), *[("touchMove", i / 8) for i in range(1, 9)], ("touchEnd", None)]
    for kind, way in ways:
        points = [] if way is None else [{"x": x + way * dx, "y": y + way * dy}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def arrives(page, x, y):
    """Wait until the start lies there."""
    page.wait_for_function(
        """([x, y]) => {
            const box = document.getElementById("start").getBoundingClientRect();
            return Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y) < 3;
        }""",
        arg=[x, y],
    )


def test_a_finger_drags_the_start_and_not_the_page(phone):
    x, y = centre(phone, "#start")
    swipe(phone, x, y, 40, -80)
    arrives(phone, x + 40, y - 80)
    assert phone.evaluate("scrollY") == 0


def test_a_finger_beside_the_start_scrolls_the_page(phone):
    before, (x, y) = state(phone), centre(phone, "#plane")
    swipe(phone, x + 60, y + 60, 0, -160)
    phone.wait_for_function("scrollY > 50")
    assert state(phone) == before


def test_a_tap_moves_the_start(phone):
    x, y = centre(phone, "#plane")
    phone.touchscreen.tap(x + 50, y + 40)
    arrives(phone, x + 50, y + 40)


def test_steps_go_on_and_back(page):
    go(page, f"steps=30&{ALL}")
    assert state(page)["step"] == 30
    whole = pictures(page)
    for button, step in [
        ("#last", 30), ("#forward", 30), ("#back", 29), ("#back", 28), ("#forward", 29),
        ("#first", 0), ("#back", 0), ("#forward", 1), ("#last", 30),
    ]:  # fmt: skip
        page.locator(button).click()
        drawn(page)
        assert state(page)["step"] == step
        cells = page.locator("tbody tr").first.locator("td").all_inner_texts()
        path = page.evaluate("explorer.path(explorer.state).rmsprop")
        assert float(cells[0]) == pytest.approx(path["x1"][step], rel=1e-3)
        assert float(cells[2]) == pytest.approx(path["f"][step], rel=1e-3)
        assert cells[5] == "–" if step == 0 else float(cells[5]) > 0
    assert pictures(page) == whole
    page.locator("#step").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert state(page)["step"] == 2
    assert pictures(page) != whole


def test_run_and_pause(open_explorer):
    page = open_explorer("#steps=100&step=40")
    page.locator("#run").click()
    page.wait_for_function("explorer.state.step > 42")
    assert page.locator("#run").inner_text() == "Pause"
    page.locator("#run").click()
    drawn(page)
    paused = state(page)["step"]
    assert page.locator("#run").inner_text() == "Run"
    page.wait_for_timeout(300)
    assert 42 < state(page)["step"] == paused < 100
    go(page, "steps=10&step=8")
    page.locator("#run").click()
    page.wait_for_function("explorer.state.step === 10")
    drawn(page)
    assert page.locator("#run").inner_text() == "Run"
    page.locator("#run").click()  # from the end, it starts again
    page.wait_for_function("explorer.state.step < 5")
    go(page, "steps=1000&step=0")
    page.evaluate("for (let i = 0; i < 3; i++) document.getElementById('run').click()")
    page.wait_for_function("explorer.state.step > 20")
    assert page.locator("#run").inner_text() == "Pause"
    page.locator("#back").click()
    drawn(page)
    stopped = state(page)["step"]
    page.wait_for_timeout(200)
    assert state(page)["step"] == stopped
    assert page.locator("#run").inner_text() == "Run"


def test_no_motion_for_who_wants_none(open_explorer):
    page = open_explorer("#steps=300&step=0", reduced_motion="reduce")
    page.locator("#run").click()
    drawn(page)
    assert state(page)["step"] == 300
    assert page.locator("#run").inner_text() == "Run"


# the link


def test_a_link_restores_the_settings_and_the_picture(open_explorer):
    rng = np.random.default_rng(1)
    page, other = open_explorer(), open_explorer()
    for _ in range(6):
        settings = random_settings(rng, 200)
        settings["step"] = int(rng.integers(settings["steps"] + 1))
        settings["zoom"] = float(10 ** rng.uniform(-0.3, 3))
        settings |= {method: bool(rng.integers(2)) for method in LEARNING_RATES}
        page.evaluate("settings => { explorer.change(settings); explorer.render(); }", settings)
        settled(page)
        link = page.evaluate("location.href")
        assert link == page.locator("#link").input_value()
        assert state(page).items() >= settings.items()
        other.goto("about:blank")
        other.goto(link)
        drawn(other)
        assert state(other) == state(page)
        assert not other.locator("#faults").is_visible()
        assert pictures(other) == pictures(page)


@pytest.mark.parametrize(
    "link, expected, said",
    [
        ("lr=0.25&gamma=0.99", {"lr": 0.25, "gamma": 0.99}, []),
        ("lr=abc", {"lr": 0.4}, ["lr is not a number; 0.4 is used instead."]),
        ("lr=", {"lr": 0.4}, ["lr is not a number"]),
        ("lr=NaN&eps=Infinity&x1=1e999", {"lr": 0.4, "eps": 1e-6, "x1": -5}, ["x1", "lr", "eps"]),
        ("lr=1e9", {"lr": 10}, ["lr lies outside 1e-5 to 10; 10 is used instead."]),
        ("lr=-1&eps=0", {"lr": 1e-5, "eps": 1e-16}, ["lr lies outside", "eps lies outside"]),
        ("gamma=1", {"gamma": 0.9999}, ["gamma lies outside 0 to 0.9999"]),
        ("steps=7.4", {"steps": 7, "step": 7}, ["steps is not a whole number; 7"]),
        ("steps=0", {"steps": 1, "step": 1}, ["steps lies outside"]),
        ("steps=20&step=21", {"step": 20}, ["step lies outside 0 to 20"]),
        ("problem=banana", {"problem": "valley"}, ["problem is none of valley, rosenbrock"]),
        ("place=<b>x</b>", {"place": "in"}, ["place is none of in, out; in"]),
        ("adam=yes", {"adam": False}, ["adam is none of 1, 0; 0"]),
        ("problem=reddi&x1=-5", {"problem": "reddi", "x1": -1}, ["x1 lies outside -1 to 1"]),
        ("problem=rosenbrock", {"lr": 0.02, "x1": -1.5, "steps": 500, "step": 500}, []),
        ("LR=1&__proto__=2&toString=3", {"lr": 0.4}, ["LR”.", "“__proto__”", "“toString”"]),
        ("lr%3D0.1%26eps%3D1", {"lr": 0.4}, ["There is no setting “lr=0.1&eps=1”."]),
        ("%E0%A4%A&&lr", {"lr": 0.4}, ["There is no setting", "lr is not a number"]),
        ("lr=0.2&lr=0.3", {"lr": 0.2}, []),
    ],
)
def test_a_bad_link_is_put_right_and_said(open_explorer, page, link, expected, said):
    go(page, link)
    assert state(page).items() >= expected.items()
    found = page.locator("#faults li").all_inner_texts()
    assert len(found) == len(said)
    for line, start in zip(found, said, strict=True):
        assert start in line
    assert page.locator("#faults").is_visible() == bool(said)
    text = page.locator("body").inner_text()
    assert not NOT_A_NUMBER.search(text) and "banana" not in text and "<b>" not in text


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_what_is_wrong_with_a_link_is_said_in_each_language(open_explorer, language):
    page = open_explorer(f"?lang={language}#lr=x&eps=9e9&steps=1.5&place=x&no=1")
    words = page.evaluate(
        "explorer.TEXT[document.documentElement.lang].faults.range('a', 1, [2, 3])"
    )
    found = page.locator("#faults li").all_inner_texts()
    assert len(found) == 5 and not any(re.search("is|lies", line) for line in found)
    assert re.sub("[0-9a-z-]", "", words) == re.sub("[0-9a-z-]", "", found[2].replace("eps", "a"))


def test_what_is_typed_is_put_right_and_said(page):
    go(page, "")
    page.locator("#lr").fill("50")
    drawn(page)
    assert state(page)["lr"] == 0.4  # still typing
    page.keyboard.press("Tab")
    drawn(page)
    assert state(page)["lr"] == 10 and page.locator("#lr").input_value() == "10"
    assert "lr" in page.locator("#faults").inner_text()
    page.locator("#lr").fill("1e-9")
    page.keyboard.press("Enter")
    drawn(page)
    assert state(page)["lr"] == 1e-5 and page.locator("#lr").input_value() == "1e-5"
    page.locator("#lr").fill("70")
    page.locator("#lr").fill("")
    page.keyboard.press("Tab")
    drawn(page)
    assert state(page)["lr"] == 1e-5 and page.locator("#lr").input_value() == "1e-5"
    page.locator("#lr").fill("0.3")
    drawn(page)
    assert state(page)["lr"] == 0.3
    assert not page.locator("#faults").is_visible()


def test_what_is_being_typed_stays_while_it_runs(open_explorer):
    page = open_explorer("#steps=1000&step=0")
    page.locator("#run").click()
    page.locator("#lr").focus()
    page.keyboard.press("Control+A")
    for typed in ["0", "0.", "0.0", "0.05"]:  # 0 is out of range
        page.keyboard.type(typed[-1])
        drawn(page)
    assert state(page)["lr"] == 0.05 and page.locator("#lr").input_value() == "0.05"
    page.evaluate("explorer.change({ lr: 0.2 })")  # as a slider does
    drawn(page)
    assert page.locator("#lr").input_value() == "0.2"
    assert state(page)["step"] > 0


def test_copy_and_reset(open_explorer):
    page = open_explorer("?lang=zh#lr=0.3")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy").click()
    drawn(page)
    assert "lr=0.3&" in page.evaluate("navigator.clipboard.readText()")
    page.locator("#reset").click()
    drawn(page)
    assert state(page) == page.evaluate(
        "Object.fromEntries(Object.entries(explorer.SETTINGS).map(([k, { start }]) => [k, start]))"
    )


# the ends of all sliders


@pytest.mark.parametrize("problem, language", list(zip(PROBLEMS, LANGUAGES, strict=True)))
def test_sliders_at_both_ends_show_words_and_no_nan(open_explorer, problem, language):
    page = open_explorer(f"?lang={language}#problem={problem}&{ALL}")
    sliders = page.evaluate(
        "[...document.querySelectorAll('input[type=range]')].filter(s => s.offsetParent)"
        ".map(s => s.id).filter(id => id !== 'step')"
    )
    assert len(sliders) >= 8
    move = """([ids, end]) => {
        for (const id of ids) {
            const slider = document.getElementById(id);
            slider.value = slider[end];
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }
        explorer.render();
    }"""
    ends = [([slider], end) for slider in sliders for end in ("min", "max")]
    ends += [(sliders, "min"), (sliders, "max")]
    ends += [([s for s in sliders if s.startswith("lr")], "max"), (["steps-slider"], "max")]
    for ids, end in ends:
        page.evaluate(move, [ids, end])
        for place in ("in", "out"):
            page.evaluate("place => { explorer.change({ place }); explorer.render(); }", place)
            text = page.evaluate("document.body.innerText")
            assert not NOT_A_NUMBER.search(text), (ids, end)
            values = page.evaluate("[...document.querySelectorAll('input')].map(i => i.value)")
            assert not NOT_A_NUMBER.search(" ".join(values))
        assert empty_pictures(page) == []
        reached = state(page)
        for slider in ids:
            key = slider.removesuffix("-slider")
            limits = page.evaluate("key => limitsOf(key, explorer.state)", key)
            assert reached[key] == limits[end == "max"], key
    labels = page.evaluate("[...document.querySelectorAll('*')].map(e => e.ariaLabel).join(' ')")
    assert not re.search("NaN|Infinity", labels)


def test_an_arrow_key_takes_a_step_more_or_less(page):
    go(page, "steps=20")
    page.locator("#steps-slider").focus()
    found = []
    for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"]:
        page.keyboard.press(key)
        drawn(page)
        found.append(state(page)["steps"])
    assert found == [21, 22, 21, 20, 19]


def test_divergence_is_said(page):
    go(page, "gd=1&lr_gd=10&steps=50")
    at = page.evaluate("explorer.path(explorer.state).gd.diverged")
    assert 1 < at < 50
    assert page.locator("#word-gd").inner_text() == f"diverged at step {at}"
    assert page.locator("tbody").inner_text().count(f"diverged at step {at}") == 1
    settled(page)
    assert f"gradient descent: diverged at step {at}" in page.locator("#summary").inner_text()
    page.locator("#first").click()
    drawn(page)
    assert "diverged" not in page.locator("tbody").inner_text()


# for every reader


@pytest.mark.parametrize(
    "language, width, scheme",
    [("en", 1300, "light"), ("en", 1300, "dark"), ("zh", 360, "light"), ("vi", 360, "dark")],
)
def test_axe_finds_nothing(open_explorer, language, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    page = open_explorer(f"?lang={language}#lr_gd=9&lr=bad&{ALL}", **options)
    settled(page)
    violations = axe.run(page).response["violations"]
    assert [(v["id"], [n["html"][:90] for n in v["nodes"]]) for v in violations] == []


# what protanopes, deuteranopes and tritanopes see: Machado, Oliveira and Fernandes (2009)
SIGHT = {
    "all": np.eye(3),
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def cielab(light):
    to_xyz = [[0.4124, 0.3576, 0.1805], LUMINANCE, [0.0193, 0.1192, 0.9505]]
    ratios = to_xyz @ np.clip(light, 0, 1) / [0.9505, 1, 1.089]
    x, y, z = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_hold_for_colour_blind_readers(open_explorer, scheme):
    page = open_explorer(color_scheme=scheme)
    names = ["paper", *LEARNING_RATES]
    texts = page.evaluate(
        "names => names.map(n => getComputedStyle(document.body).getPropertyValue('--' + n))", names
    )
    digits = [re.sub("(.)", r"\1\1", v[1:]) if len(v) == 4 else v[1:] for v in texts]
    srgb = np.array([list(bytes.fromhex(v)) for v in digits]) / 255
    paper, *lights = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    for light in lights:
        dim, bright = sorted([paper @ LUMINANCE, light @ LUMINANCE])
        assert (bright + 0.05) / (dim + 0.05) >= 3
    for matrix in SIGHT.values():
        seen = [cielab(matrix @ light) for light in lights]
        for a, b in itertools.combinations(seen, 2):
            assert np.linalg.norm(a - b) > 15


def test_pictures_say_what_they_show(page):
    go(page, "step=5")
    settled(page)
    path = page.evaluate("explorer.path(explorer.state).rmsprop")
    summary = page.locator("#summary").inner_text()
    assert page.locator("#summary").get_attribute("aria-live") == "polite"
    assert summary.startswith("step 5 of 20; RMSProp: x = (")
    assert f"f = {path['f'][5]:.4g}" in summary
    for canvas in page.locator("canvas").all():
        assert canvas.get_attribute("role") == "img"
        assert summary in canvas.get_attribute("aria-label")


def test_the_summary_is_not_read_out_at_every_move(page):
    go(page, "")
    settled(page)
    page.evaluate("""() => {
        window.changes = 0;
        new MutationObserver(all => { changes += all.length; })
            .observe(document.getElementById("summary"), { childList: true });
    }""")
    page.locator("#lr-slider").focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    settled(page)
    assert page.evaluate("changes") == 1


def test_the_keyboard_reaches_every_control(page):
    go(page, "")
    page.evaluate("document.activeElement.blur()")
    reachable = page.evaluate(
        "[...document.querySelectorAll('a, button, input, select')].filter(e => e.offsetParent)"
        ".map(e => e.id || e.lang || e.dataset.preset)"
    )
    reached = []
    for _ in range(len(reachable) + 2):  # and the two boxes that scroll
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("(e => e.id || e.lang || e.dataset.preset)(document.activeElement)")
        )
    assert [name for name in reached if name in reachable] == reachable


@pytest.mark.parametrize("language", LANGUAGES)
def test_narrow_screens_scroll_only_down(open_explorer, language):
    page = open_explorer(f"?lang={language}#{ALL}", viewport={"width": 360, "height": 740})
    for problem in PROBLEMS:
        page.locator("#problem").select_option(problem)
        drawn(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_paper_is_white_and_holds_the_whole_page(open_explorer):
    paper = {"viewport": {"width": 720, "height": 1000}}
    light, dark = (
        open_explorer(f"#{ALL}", color_scheme=scheme, **paper) for scheme in ("light", "dark")
    )
    screen = pictures(dark)
    for page in (light, dark):
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        drawn(page)
    assert pictures(dark) == pictures(light) != screen
    numbers = light.locator(".scroll")
    assert numbers.evaluate("e => e.scrollWidth <= e.clientWidth")
    dark.emulate_media(media="screen")
    dark.evaluate("dispatchEvent(new Event('afterprint'))")
    assert pictures(dark) == screen


def test_the_start_lies_on_its_point_where_a_plot_is_stretched(page):
    go(page, "x1=-3&x2=1")
    shares = page.evaluate("""() => ["100%", "50%"].map(width => {
        $("plot").style.width = width;  // as paper does; it is not drawn anew before this ends
        const start = $("start").getBoundingClientRect(), box = $("plane").getBoundingClientRect();
        return (start.x + start.width / 2 - box.x) / box.width;
    })""")
    page.evaluate("$('plot').style.width = ''")
    assert shares[1] == pytest.approx(shares[0], abs=0.01)


def test_plots_are_as_sharp_as_the_screen(open_explorer):
    page = open_explorer(device_scale_factor=2, viewport={"width": 1280, "height": 700})
    for problem in ("reddi", "valley", "rosenbrock"):  # the layout changes with the controls
        page.locator("#problem").select_option(problem)
        drawn(page)
        blurred = page.evaluate(
            "[...document.querySelectorAll('canvas')].filter(c => c.width !== 2 * c.clientWidth"
            " || c.height !== 2 * c.clientHeight).map(c => c.id)"
        )
        assert blurred == []


def test_without_javascript_it_says_so(browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(PAGE)
    assert "turn on JavaScript" in page.locator("body").inner_text()
    context.close()


def test_the_code_beside_the_formula_is_the_code_that_runs(page):
    code = page.locator("#code").inner_text()
    assert code == page.evaluate("String(explorer.METHODS.rmsprop.rule)")
    go(page, "place=out")
    assert page.locator("#rule .out").is_visible() and not page.locator("#rule .in").is_visible()
    go(page, "place=in")
    assert page.locator("#rule .in").is_visible() and not page.locator("#rule .out").is_visible()
