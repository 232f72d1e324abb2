"""What a reader meets on the pages, in a real browser; explorer.html has tests of its own."""

import re
import unicodedata
from pathlib import Path

import nbformat
import pytest
from browser import SITE
from click.testing import CliRunner

from d2l_rmsprop.commands import main

sync_playwright = pytest.importorskip("playwright.sync_api")
sphinxcontrib_katex = pytest.importorskip("sphinxcontrib.katex")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

pytestmark = pytest.mark.site

FOLDERS = {"en": "", "zh": "zh/", "vi": "vi/"}
PHONE = {"viewport": {"width": 360, "height": 720}, "has_touch": True, "is_mobile": True}
LABEL = ".sd-tab-set > label"


def pytest_generate_tests(metafunc):
    """A test of ``path`` runs for each page that Sphinx wrote."""
    if "path" in metafunc.fixturenames:
        found = (path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
        metafunc.parametrize("path", sorted(path for path in found if path != "explorer.html"))


def shown(page):
    """Return the framework that each tab-set of the page shows."""
    return page.eval_on_selector_all(
        ".sd-tab-set > input:checked + label", "labels => labels.map(l => l.dataset.syncId)"
    )


def choose(page, framework):
    page.locator(f"{LABEL}[data-sync-id={framework}]").first.click()


def follow(page, link):
    with page.expect_event("load"):
        page.locator(link).click()


def top(locator):
    return locator.evaluate("element => element.getBoundingClientRect().top")


def test_a_page_weighs_little_fits_a_phone_and_describes_its_pictures(open_page, path):
    page = open_page(path, **PHONE)
    page.wait_for_load_state("networkidle")
    assert sum(len(response.body()) for response in page.responses) < 3e6
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for picture in page.locator("article img").all():
        assert picture.get_attribute("alt"), picture.get_attribute("src")


ONE_OF_EACH = """() => {
  document.querySelectorAll(".katex").forEach((formula) => formula.remove());
  const seen = new Set();
  for (const word of document.querySelectorAll(".highlight span[class]")) {
    if (word.offsetParent && !seen.has(word.className)) seen.add(word.className);
    else word.replaceWith(...word.childNodes);
  }
}"""


def test_axe_finds_nothing_serious(open_page, path):
    page = open_page(path)
    page.evaluate(ONE_OF_EACH)  # thousands of spans take axe minutes
    found = axe.Axe().run(page).response["violations"]
    page.emulate_media(color_scheme="dark")
    dark = {"runOnly": ["color-contrast"]}
    found += axe.Axe().run(page, options=dark).response["violations"]
    assert [
        (rule["id"], rule["nodes"][0]["target"], rule["nodes"][0]["failureSummary"])
        for rule in found
        if rule["impact"] in ("serious", "critical")
    ] == []


def test_a_tab_holds_for_the_page_the_next_pages_and_the_next_visit(open_page, browser):
    page = open_page("rmsprop.html")
    assert set(shown(page)) == {"numpy"}
    choose(page, "torch")
    assert set(shown(page)) == {"torch"}
    follow(page, ".sidebar-tree a[href*='closer-look']")
    assert "closer-look" in page.url
    assert set(shown(page)) == {"torch"}
    again = open_page("vi/rmsprop.html", storage_state=page.context.storage_state())
    assert set(shown(again)) == {"torch"}


def test_the_address_chooses_a_tab_that_exists(open_page):
    page = open_page("rmsprop.html?tab=torch#sec_rmsprop_memory")
    assert set(shown(page)) == {"torch"}
    kept = page.context.storage_state()
    for nonsense in ("nonsense", "", "torch'%5D%00"):
        page = open_page(f"rmsprop.html?tab={nonsense}", storage_state=kept)
        assert set(shown(page)) == {"torch"}
    page.reload()
    assert set(shown(page)) == {"torch"}
    assert set(shown(open_page("rmsprop.html?tab=nonsense"))) == {"numpy"}
    page = open_page("rmsprop.html?tab=numpy", storage_state=kept)
    assert set(shown(page)) == {"numpy"}
    choose(page, "torch")
    page.reload()
    assert set(shown(page)) == {"torch"}
    page = open_page("index.html?tab=torch")  # a page without tabs
    follow(page, ".sidebar-tree a[href='rmsprop.html']")
    assert set(shown(page)) == {"torch"}
    assert set(shown(open_page("rmsprop.html?tab=torch&tab=numpy"))) == {"torch"}
    for name in ("TORCH", "PyTorch", "torch%20"):
        page = open_page(f"rmsprop.html?tab={name}#what-gamma-remembers")
        assert set(shown(page)) == {"torch"}
        assert page.url.endswith("rmsprop.html?tab=torch#what-gamma-remembers")


@pytest.mark.parametrize(
    "storage",
    [
        "Object.defineProperty(window, 'localStorage', { configurable: true, get: refuse });",
        "Storage.prototype.setItem = refuse;",
    ],
)
def test_the_address_chooses_a_tab_where_nothing_is_stored(open_page, storage):
    page = open_page("index.html")
    page.context.add_init_script(f"const refuse = () => {{ throw new Error('no'); }}; {storage}")
    page.goto(page.url.replace("index.html", "rmsprop.html?tab=torch"))
    assert set(shown(page)) == {"torch"}
    choose(page, "numpy")
    assert set(shown(page)) == {"numpy"}


def test_a_page_that_the_browser_kept_shows_what_was_chosen_since(open_page):
    page = open_page("rmsprop.html")
    page.evaluate("""() => {
        localStorage.setItem("sphinx-design-tab-id-tab", "torch");
        dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    }""")
    assert set(shown(page)) == {"torch"}


@pytest.mark.parametrize("key", [None, "ArrowRight"])
def test_a_tab_stays_in_its_place_when_it_is_chosen(open_page, key):
    page = open_page("rmsprop.html")
    last = page.locator(".sd-tab-set").last
    last.locator("label").first.scroll_into_view_if_needed()
    place = top(last)
    if key:
        last.locator("input").first.focus()
        place = top(last)
        page.keyboard.press(key)
    else:
        last.locator("label[data-sync-id=torch]").click()
    assert set(shown(page)) != {"numpy"}
    page.wait_for_timeout(200)
    assert abs(top(last) - place) < 2


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_without_javascript_everything_is_there(open_page, folder):
    page = open_page(f"{folder}rmsprop.html", java_script_enabled=False)
    for selector in (LABEL, ".sd-tab-content", "article .katex-html", ".languages a"):
        assert all(place.is_visible() for place in page.locator(selector).all()), selector
    tabs = page.locator(".sd-tab-set").first
    places = [top(place) for place in tabs.locator("> label, > .sd-tab-content").all()]
    assert places == sorted(set(places))  # each name stands above its framework's part
    page.emulate_media(media="print")
    assert all(label.is_visible() for label in page.locator(LABEL).all())
    page.emulate_media(media="screen")
    follow(page, ".languages a >> nth=-1")
    assert page.url.endswith("/rmsprop.html")


def test_print_shows_the_chosen_framework_alone(open_page):
    page = open_page("rmsprop.html?tab=torch")
    page.emulate_media(media="print")
    tabs = page.locator(".sd-tab-set").first
    assert tabs.locator("> label:visible").all_inner_texts() == ["PyTorch"]
    assert tabs.locator("> .sd-tab-content:visible").count() == 1


def test_the_language_switch_leads_to_the_section_in_view(open_page):
    page = open_page("rmsprop.html?tab=torch")
    sections = page.eval_on_selector_all("article section[id]", "all => all.map(s => s.id)")
    assert len(sections) > 3
    for language, section in zip(("zh", "vi", "en"), sections[1:], strict=False):
        page.locator(f"[id='{section}']").evaluate("element => element.scrollIntoView()")
        follow(page, f".languages a[hreflang={language}]")
        assert page.url.endswith(f"{FOLDERS[language]}rmsprop.html?tab=torch#{section}")
        assert abs(top(page.locator(f"[id='{section}']"))) < 100
        assert page.locator("html").get_attribute("lang").startswith(language)
        assert page.locator(f".languages [lang={language}]").get_attribute("aria-current")
    page = open_page("zh/exercises/1-write-rmsprop.html")
    follow(page, ".languages a[hreflang=vi]")
    assert page.url.endswith("/vi/exercises/1-write-rmsprop.html")


def test_a_page_in_english_alone_says_that_the_switch_leads_to_the_start(open_page):
    page = open_page("lecturers.html#nowhere")
    assert page.locator(".languages a[hreflang=zh]").inner_text() == "中文 · 首页"
    follow(page, ".languages a[hreflang=zh]")
    assert page.url.endswith("/zh/index.html")


def test_the_other_languages_of_a_page_are_named_to_search_engines(site, path):
    here = next((code for code in ("zh", "vi") if path.startswith(f"{code}/")), "en")
    name = path.removeprefix(FOLDERS[here])
    there = [site / folder / name for folder in FOLDERS.values() if (site / folder / name).exists()]
    links = re.findall(
        '<link rel="alternate" hreflang="(..)" href="(.+)">', (site / path).read_text()
    )
    assert [(site / path).parent.joinpath(link).resolve() for _, link in links] == there


def test_code_is_copied_without_prompts_and_outputs(open_page):
    page = open_page("index.html", permissions=["clipboard-read", "clipboard-write"])
    page.locator("button.copybtn").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "pip install" in copied and not copied.startswith("$")
    page.goto(page.url.replace("index", "rmsprop"))
    assert page.locator(".output button.copybtn").count() == 0
    code = page.locator("div.highlight-python:visible").first
    code.locator("button.copybtn").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == code.locator("pre").inner_text().strip()


def test_the_buttons_that_copy_speak_the_pages_language(open_page):
    words = [
        page.locator("button.copybtn").first.evaluate(
            "button => [button.dataset.tooltip, button.querySelector('title').textContent]"
        )
        for page in (open_page(f"{folder}index.html") for folder in FOLDERS.values())
    ]
    assert words[0] == ["Copy", "Copy to clipboard"]
    assert all(len(set(said)) == len(FOLDERS) for said in zip(*words, strict=True))


def test_what_is_wide_can_be_scrolled_from_the_keyboard(open_page):
    page = open_page("rmsprop.html", **PHONE)
    wide = page.locator("pre:visible").evaluate_all(
        "all => all.filter(pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.tabIndex)"
    )
    assert wide and set(wide) == {0}


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_the_notebooks_to_take_along_are_the_package_s_own(open_page, site, tmp_path, folder):
    language = folder.strip("/") or "en"
    links = {
        (page.parent / link).resolve()
        for page in (site / folder).rglob("*.html")
        if page.relative_to(site / folder).parts[0] not in FOLDERS
        for link in re.findall('href="([^"]+[.]ipynb)"', page.read_text("utf-8"))
    }
    assert links == set((site / folder / "notebooks").glob("*.ipynb"))
    names = sorted({link.name.split(".")[0] for link in links})
    exercises = [name for name in names if name[0].isdigit()]
    for kind, options in (set(names) - set(exercises), []), (exercises, ["--student"]):
        arguments = ["notebook", *kind, *options, "--all", "--lang", language, "-o", str(tmp_path)]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    for link in links:
        nbformat.validate(nbformat.read(link, as_version=4))
        assert link.read_bytes() == (tmp_path / link.name).read_bytes()


def test_a_title_has_its_formulas_as_they_are_shown(site, path):
    title = re.search("<title>(.*?)</title>", (site / path).read_text("utf-8"))[1]
    assert "\\" not in title
    if path.endswith("3-gamma.html"):
        assert title.count("γ") == 1


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_no_line_begins_with_the_full_stop_after_a_formula(open_page, folder):
    page = open_page(f"{folder}rmsprop.html", **PHONE)
    places = page.eval_on_selector_all(
        ".formula",
        """all => all.map(formula => {
          const stop = document.createRange();
          stop.selectNode(formula.lastChild);
          const bases = formula.querySelectorAll(".base");
          const last = bases[bases.length - 1].getBoundingClientRect();
          return last.right <= stop.getBoundingClientRect().left + 1;
        })""",
    )
    assert len(places) > 20 and all(places)


def test_the_fonts_of_formulas_are_those_of_the_katex_that_sets_them():
    css = (Path(__file__).parents[2] / "docs/_static/katex/katex.min.css").read_text("utf-8")
    assert f'content:"{sphinxcontrib_katex.katex_version}"' in css


SEARCHES = [
    ("en", "gradient", "rmsprop"),
    ("en", "init_rmsprop_states", "rmsprop"),
    ("en", "rmsprop_2d", "exercises/2-plane"),
    ("zh", "梯度", "rmsprop"),
    ("zh", "学习率", "rmsprop"),
    ("zh", "衰减", "rmsprop"),
    ("zh", "率", "rmsprop"),
    ("zh", "泄漏平均", "rmsprop"),
    ("zh", "RMSProp 学习率", "rmsprop"),
    ("zh", "init_rmsprop_states", "rmsprop"),
    ("vi", "đạo hàm", "rmsprop"),
    ("vi", "tốc độ học", "rmsprop"),
    ("vi", "Tốc Độ Học", "rmsprop"),
    ("vi", "toc do hoc", "rmsprop"),
    ("vi", "rmsprop_2d", "exercises/2-plane"),
]


# as a keyboard composes the letters, and as another one leaves them in pieces
FORMS = [
    (language, typed, found)
    for language, words, found in SEARCHES
    for typed in sorted({unicodedata.normalize(form, words) for form in ("NFC", "NFD")})
]


@pytest.mark.parametrize("language, typed, found", FORMS)
def test_search_finds(open_page, language, typed, found):
    page = open_page(f"{FOLDERS[language]}index.html")
    box = page.locator("input.sidebar-search")
    box.fill(typed)
    box.press("Enter")
    page.locator(f"ul.search a[href^='{found}.html']").first.wait_for()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("phrase", ["梯度下降", "有效学习率", "RMSProp的", "框架"])
def test_a_chinese_phrase_is_found_on_every_page_that_has_it(open_page, site, phrase):
    having = set()
    for path in (site / "zh").rglob("*.html"):
        article = re.search("<article.*</article>", path.read_text("utf-8"), re.S)
        if article and phrase in re.sub("<[^>]*>", "", article[0]):
            having.add(path.relative_to(site / "zh").as_posix())
    page = open_page(f"zh/search.html?q={phrase}")
    page.wait_for_function("document.querySelector('.search-summary')?.innerText")
    page.wait_for_load_state("networkidle")
    links = page.eval_on_selector_all("ul.search a", "all => all.map(a => a.pathname)")
    assert len(having) > 2
    assert {link.partition("/zh/")[2] for link in links} == having


def test_what_was_searched_for_is_marked_in_the_text_alone(open_page):
    page = open_page("rmsprop.html?highlight=menu+light+loss")  # two are names of icons
    page.locator("article .highlighted").first.wait_for()
    assert page.locator(":not(article *).highlighted").count() == 0


@pytest.mark.parametrize("language, words", [("en", "zebra"), ("zh", "斑马"), ("vi", "ngựa vằn")])
def test_search_does_not_find_what_is_not_there(open_page, language, words):
    page = open_page(f"{FOLDERS[language]}search.html?q={words}")
    page.wait_for_function("document.querySelector('.search-summary')?.innerText")
    assert page.locator("ul.search li").count() == 0


def test_the_site_reads_well_from_a_disk(open_page, site):
    page = open_page((site / "zh" / "rmsprop.html").as_uri() + "?tab=torch")
    assert set(shown(page)) == {"torch"}
    follow(page, ".languages a[hreflang=vi]")
    assert set(shown(page)) == {"torch"}
    page.locator("input.sidebar-search").fill("tốc độ học")
    page.locator("input.sidebar-search").press("Enter")
    page.locator("ul.search a[href^='rmsprop.html']").first.wait_for()
    page.wait_for_load_state("networkidle")
