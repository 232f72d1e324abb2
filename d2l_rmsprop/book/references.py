"""The book's references in prose, such as ``:numref:``, as text and links."""

import posixpath
import re
from collections.abc import Iterable

# Roles, their key in one backquote or more, or in none. One that is never closed is text.
_ROLES = "numref|ref|eqref|cite[tp]?|label|eqlabel|width|height"
_KEY = r"[^\s`,]+(?:\s*,\s*[^\s`,]+)*"
_BARE_KEY = r"(?a:\w[\w-]*(?:[.:][\w-]+)*)"


def _role(names: str, prefix: str = "") -> str:
    quoted = rf"(?P<{prefix}quotes>`+)(?P<{prefix}key>{_KEY})(?P={prefix}quotes)(?!`)"
    return rf":(?P<{prefix}role>{names}):(?:{quoted}|(?P<{prefix}bare>{_BARE_KEY}))"


# An image's caption may hold links, its path spaces and brackets in pairs.
_CAPTION = r"(?:\[[^\[\]]*\]\([^()\s]*\)|(?!\]\(|!\[).)*"
_TARGET = r"[^()\n]*(?:\([^()\n]*\)[^()\n]*)*"
_IMAGE = rf"!\[(?P<caption>{_CAPTION})\]\((?P<target>{_TARGET})\)"

# In this order at each place: what is escaped, code and mathematics hide what stands in them.
_CODE = r"(?<!`)(?P<ticks>`+)(?!`) .+? (?<!`)(?P=ticks)(?!`)"
TOKEN = re.compile(
    rf"""
    (?P<dollar>\\\$) | \\.
    | {_CODE}
    | \$\$(?P<display>.+?)\$\$ (?:\s*{_role("eqlabel", "eq")}[ \t]*)?
    | \$(?![\s$]) (?:\\.|[^$\\])*? (?<!\s)\$(?!\d)
    | (?P<money>\$)
    | {_role(_ROLES)} | :(?:{_ROLES}):`+
    """,
    re.X | re.S,
)
ROLE = re.compile(_role("numref|ref|eqref|cite[tp]?"))
OPTION = re.compile(rf"\s*{_role('width|height|label|eqlabel')}\s*")
TABLE_CAPTION = re.compile(r"^:(?!\w+:`)[ \t]*(.+)(?=\n[ \t]*:label:)", re.M)
IMAGE = re.compile(_IMAGE, re.S)
IMAGE_OR_CODE = re.compile(
    rf"(?:{_CODE.replace(' ', '')})|(?P<indent>^[ \t]*)?{_IMAGE}(?P<end>[ \t]*$)?", re.M | re.S
)
TARGET = re.compile(r"""\s*<?(.*?)>?(\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*""")
LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\([^()\s]*\)")
LABEL_KIND = re.compile(r"^(sec|subsec|subsubsec|chap|chapter|fig|img|tab|table|eq)_")

LONGEST_CAPTION = 2_000  # characters, so that many labels in a paragraph take linear time

# Jupyter pairs any two dollars of a paragraph as mathematics, escaped ones too
DOLLAR = "<span>&#36;</span>"


class References:
    """The labels of a chapter as one framework sees it, and its prose with references resolved.

    A notebook's; the site's (see pages) writes dollars, links, their ends and equations its way.
    """

    dollar = DOLLAR

    def __init__(self, texts: Iterable[str]):
        self.titles: dict[str, str] = {}
        self.linked: set[str] = set()
        equations = 0
        for paragraph in (p for text in texts for p in _paragraphs(text)):
            for token in TOKEN.finditer(paragraph):
                role, key = token["role"] or token["eqrole"], _key(token)
                if role == "eqlabel":
                    equations += 1
                    self.titles.setdefault(key, f"({equations})")
                elif role == "label":
                    before = paragraph[max(token.start() - LONGEST_CAPTION, 0) : token.start()]
                    title = _title(before) or _in_words(key)
                    self.titles.setdefault(key, title)
                elif role in ("numref", "ref", "eqref"):
                    self.linked.add(key)

    def resolve(self, text: str, folder: str) -> str:
        found = (self._paragraph(paragraph, folder) for paragraph in _paragraphs(text))
        return "\n\n".join(paragraph for paragraph in found if paragraph.strip())

    def _paragraph(self, text: str, folder: str) -> str:
        anchors = []  # before the paragraph, so that a link shows the whole figure or table

        def replace(token: re.Match[str]) -> str:
            role, key = token["role"], _key(token)
            if token["dollar"] or token["money"]:
                return self.dollar
            if not key:
                return token[0]
            if role in (None, "label", "eqlabel") and key in self.linked:
                anchors.extend(self.anchor(key))
            if role is None:
                return self._equation(token)
            if role in ("numref", "ref", "eqref") and key in self.titles:
                return self.link(key)
            return self.titles[key] if role == "eqlabel" else _mention(role, key)

        def show(image: re.Match[str]) -> str:
            if image["ticks"]:
                return image[0]
            caption, indent = image["caption"], image["indent"]
            target = TARGET.fullmatch(image["target"])
            assert target
            path, title = target.groups(default="")
            path = path.replace(" ", "%20")  # a space ends it
            if folder and not re.match(r"\w+:|[/#]", path):
                path = posixpath.normpath(posixpath.join(folder, path))
            link = f"![{caption}]({path}{title})"
            if indent is None or image["end"] is None:
                return (indent or "") + link + (image["end"] or "")
            return f"\n\n{indent}{link}\n\n{indent}{caption}\n\n"

        text = TOKEN.sub(replace, TABLE_CAPTION.sub(r"\n\1", text))
        if "![" in text:
            text = IMAGE_OR_CODE.sub(show, text)
        text = re.sub(r"\n(?:[ \t]*\n)+", "\n\n", text)
        return "\n\n".join([*anchors, text.strip("\n")])

    def anchor(self, key: str) -> list[str]:
        """Return what stands before a paragraph that is linked to."""
        return [f'<a id="{key}"></a>']

    def link(self, key: str) -> str:
        return f"[{self.titles[key]}](#{key})"

    def display(self, body: str, key: str) -> str:
        """Return an equation with its number."""
        end = "\n" if body.endswith("\n") else ""
        return rf"$${body.rstrip()} \tag{{{self.titles[key][1:-1]}}}{end}$$"

    def _equation(self, token: re.Match[str]) -> str:
        """Number an equation, and give it lines of its own: beside text it would turn inline."""
        before = token.string[: token.start()].rpartition("\n")[2].strip()
        after = token.string[token.end() :].partition("\n")[0].strip()
        display = self.display(token["display"], _key(token))
        return "\n\n" * bool(before) + display + "\n\n" * bool(after)


def _key(token: re.Match[str]) -> str:
    """Return what a role refers to, empty where the token is none."""
    return token["key"] or token["bare"] or token["eqkey"] or token["eqbare"] or ""


def _paragraphs(text: str) -> list[str]:
    """Split prose at blank lines; an option or a label goes with what stands above it."""
    found: list[list[str]] = []
    for part in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        if found and OPTION.match(part):
            found[-1].append(part)
        else:
            found.append([part])
    return ["\n".join(parts) for parts in found]


def _title(before: str) -> str | None:
    """Return the heading or caption that a label right after it names."""
    paragraph = OPTION.sub("\n", before).rstrip()
    line = paragraph.rpartition("\n")[2].strip()
    found = (
        re.fullmatch(r"#+\s+(.+?)[\s#]*", line)
        or IMAGE.fullmatch(paragraph, max(paragraph.rfind("!["), 0))
        or re.fullmatch(r":\s*(.+)", line)
    )
    if not found:
        return None
    title = LINK.sub(r"\1", " ".join(found[1].split()).rstrip(".。"))
    return ROLE.sub(lambda role: _mention(role["role"], role["key"] or role["bare"]), title)


def _mention(role: str, key: str) -> str:
    """Return a reference as plain text, empty for what has none."""
    if role.startswith("cite"):
        form = "{} ({})" if role == "citet" else "{}, {}"
        works = "; ".join(_cite(one.strip(), form) for one in key.split(","))
        return works if role == "citet" else f"({works})"
    if role == "eqref":
        return f"({_in_words(key)})"
    return _in_words(key) if role in ("numref", "ref") else ""


def _cite(key: str, form: str) -> str:
    """Return "Tieleman and Hinton, 2012" for Tieleman.Hinton.2012; "ea" stands for et al."""
    *names, year = key.split(".")
    if not names:
        return key
    pair = len(names) == 2 and names[1] != "ea"
    who = " and ".join(names) if pair else names[0] + " et al." * (len(names) > 1)
    return form.format(who, year)


def _in_words(label: str) -> str:
    words = LABEL_KIND.sub("", label).replace("_", " ")
    return words[:1].upper() + words[1:]
