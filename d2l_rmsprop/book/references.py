"""The book's references in prose, such as ``:numref:``, as text and links."""

import posixpath
import re
from collections.abc import Iterable

# In this order at each place: what is escaped, code and mathematics hide what stands in them.
TOKEN = re.compile(
    r"""
    (?P<dollar>\\\$) | \\.
    | (?P<ticks>`+)(?!`) .+? (?<!`)(?P=ticks)(?!`)
    | \$\$(?P<display>.+?)\$\$ (?:\s*:eqlabel:`(?P<eqlabel>[^`]+)`[ \t]*)?
    | \$(?![\s$]) (?:\\.|[^$\\])*? (?<!\s)\$(?!\d)
    | (?P<money>\$)
    | :(?P<role>numref|ref|eqref|cite[tp]?|label|eqlabel|width|height):`(?P<key>[^`]+)`
    """,
    re.X | re.S,
)
ROLE = re.compile(r":(numref|ref|eqref|cite[tp]?):`([^`]+)`")
OPTION = re.compile(r"\s*:(?:width|height|label|eqlabel):`[^`]+`\s*")
TABLE_CAPTION = re.compile(r"^:(?!\w+:`)[ \t]*(.+)(?=\n[ \t]*:label:`)", re.M)
FIGURE = re.compile(r"^([ \t]*)!\[(.*?)\]\((\S+)\)[ \t]*$", re.M | re.S)
LABEL_KIND = re.compile(r"^(sec|subsec|subsubsec|chap|chapter|fig|img|tab|table|eq)_")

# Jupyter pairs any two dollars of a paragraph as mathematics, escaped ones too
DOLLAR = "<span>&#36;</span>"


class References:
    """The labels of a chapter as one framework sees it, and its prose with references resolved."""

    def __init__(self, texts: Iterable[str]):
        self.titles: dict[str, str] = {}
        self.linked: set[str] = set()
        equations = 0
        for paragraph in (p for text in texts for p in _paragraphs(text)):
            for token in TOKEN.finditer(paragraph):
                role, key = token["role"], token["eqlabel"] or token["key"]
                if token["eqlabel"] or role == "eqlabel":
                    equations += 1
                    self.titles.setdefault(key, f"({equations})")
                elif role == "label":
                    title = _title(paragraph[: token.start()]) or _in_words(key)
                    self.titles.setdefault(key, title)
                elif role in ("numref", "ref", "eqref"):
                    self.linked.add(key)

    def resolve(self, text: str, folder: str) -> str:
        found = (self._paragraph(paragraph, folder) for paragraph in _paragraphs(text))
        return "\n\n".join(paragraph for paragraph in found if paragraph.strip())

    def _paragraph(self, text: str, folder: str) -> str:
        anchors = []  # before the paragraph, so that a link shows the whole figure or table

        def replace(token: re.Match[str]) -> str:
            role, key = token["role"], token["eqlabel"] or token["key"]
            if token["dollar"] or token["money"]:
                return DOLLAR
            if key is None:
                return token[0]
            if (token["eqlabel"] or role in ("label", "eqlabel")) and key in self.linked:
                anchors.append(f'<a id="{key}"></a>')
            if token["eqlabel"]:
                return self._equation(token)
            if role in ("numref", "ref", "eqref") and key in self.titles:
                return f"[{self.titles[key]}](#{key})"
            return self.titles[key] if role == "eqlabel" else _mention(role, key)

        def show(figure: re.Match[str]) -> str:
            indent, caption, path = figure.groups()
            if folder and not re.match(r"\w+:|[/#]", path):
                path = posixpath.normpath(posixpath.join(folder, path))
            return f"{indent}![{caption}]({path})\n\n{indent}{caption}"

        text = TOKEN.sub(replace, TABLE_CAPTION.sub(r"\n\1", text))
        return "\n\n".join([*anchors, FIGURE.sub(show, text).strip("\n")])

    def _equation(self, token: re.Match[str]) -> str:
        """Number an equation, and give it lines of its own: beside text it would turn inline."""
        body, number = token["display"], self.titles[token["eqlabel"]][1:-1]
        before = token.string[: token.start()].rpartition("\n")[2].strip()
        after = token.string[token.end() :].partition("\n")[0].strip()
        end = "\n" if body.endswith("\n") else ""
        display = rf"$${body.rstrip()} \tag{{{number}}}{end}$$"
        return "\n\n" * bool(before) + display + "\n\n" * bool(after)


def _paragraphs(text: str) -> list[str]:
    """Split prose at blank lines; an option or a label goes with what stands above it."""
    found: list[str] = []
    for part in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")):
        if found and OPTION.match(part):
            found[-1] += "\n" + part
        else:
            found.append(part)
    return found


def _title(before: str) -> str | None:
    """Return the heading or caption that a label right after it names."""
    paragraph = OPTION.sub("\n", before).rstrip()
    line = paragraph.rpartition("\n")[2].strip()
    found = (
        re.fullmatch(r"#+\s+(.+?)[\s#]*", line)
        or re.search(r"!\[((?:(?!!\[).)*)\]\(\S+\)$", paragraph, re.S)
        or re.fullmatch(r":\s*(.+)", line)
    )
    if not found:
        return None
    title = " ".join(found[1].split()).rstrip(".。")
    return ROLE.sub(lambda role: _mention(*role.groups()), title)


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
