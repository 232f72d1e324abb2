"""A Sphinx extension: the switch between the site's languages, and search in each of them."""

import re
import unicodedata
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.search import SearchLanguage

from d2l_rmsprop.book.pages import WORDS


class SearchChinese(SearchLanguage):
    """Sphinx's search looks inside of words from three characters on, so that a clause may be one
    word, unless just what is sought is one, which the mark at its end prevents. Shorter ones it
    must find in the index, so each character and each pair stands there.
    """

    lang = "zh"
    language_name = "Chinese"

    def split(self, input: str) -> list[str]:
        words = re.findall(r"\w+", input)
        latin = [part for word in words for part in re.findall(r"[a-zA-Z0-9_]+", word)]
        pairs = [word[i : i + n] for word in words for n in (1, 2) for i in range(len(word))]
        return [f"{word}。" for word in words] + latin + [p for p in pairs if not p.isascii()]


class SearchVietnamese(SearchLanguage):
    """Words are found with their marks, composed or not, and without any."""

    lang = "vi"
    language_name = "Vietnamese"
    js_splitter_code = r"""
var splitQuery = (query) => query.normalize("NFC").match(/[\p{Letter}\p{Number}_]+/gu) ?? [];
"""

    def split(self, input: str) -> list[str]:
        words = re.findall(r"\w+", unicodedata.normalize("NFC", input))
        return words + [plain(word) for word in words if not word.isascii()]


def plain(word: str) -> str:
    """A Vietnamese word as it is typed without marks."""
    letters = unicodedata.normalize("NFD", word).translate({ord("đ"): "d", ord("Đ"): "D"})
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def add_switch(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Give the template each language's link to the same page, or to its start if it has none."""
    here = Path(app.srcdir)
    depth = page.count("/") + (here.name != "en")
    context["languages"] = []
    for code, words in WORDS.items():
        # a page without a source, such as the search, is in each language
        same = page not in app.env.all_docs or any(here.parent.glob(f"{code}/{page}.*"))
        folder = "../" * depth + ("" if code == "en" else f"{code}/")
        context["languages"].append(
            {
                **words,
                "code": code,
                "current": code == here.name,
                "same": same,
                "link": folder + (page if same else "index") + ".html",
            }
        )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_search_language(SearchChinese)
    app.add_search_language(SearchVietnamese)
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
