"""LaTeX as authors write it → LaTeX that pandoc reads without losing anything.

    prepare("… \\begin{wrapfigure}{r}{2cm} … \\appendix … \\bibitem{k} D. Knuth. …")
    -> Prepared(text="… \\begin{figure} … \\begin{longqaappendix} … ", keys=("k",), …)

Pandoc drops the captions of floats it does not know, the abstract before \\begin{document}, the
line structure of algorithms, the border between two \\bibitem and the place of \\appendix. Each
is rewritten here into something it keeps: a float it knows, or an environment named longqa…, which
arrives in its tree as a Div of that class. Verbatim text is shielded and comes back untouched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from longdata.documents import Dropped

MARK_OPEN, MARK_CLOSE = "\ue000", "\ue001"  # private characters, taken out of the input first
_LONGEST_GROUP = 20_000  # characters of one {…}: an unbalanced brace must not cost the whole file


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """`keys` and `labels` (natbib's "Lamport(1986)", or "") of the \\bibitems, in order."""

    text: str
    keys: tuple[str, ...]
    labels: tuple[str, ...]
    dropped: tuple[Dropped, ...]


_VERBATIM = "verbatim|Verbatim|lstlisting|minted|alltt"
_SHIELDED = re.compile(
    rf"""
    (?P<comment>%[^\n]*)
  | \\begin\{{(?P<name>(?:{_VERBATIM}|comment)\*?)\}}
  | \\(?:verb|lstinline(?:\[[^\]\n]*\])?|mintinline\{{[^}}\n]*\}})\*?(?P<bar>[^A-Za-z\s*{{\[])
  | \\(?:[A-Za-z]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PICTURES = "tikzpicture|pspicture|pgfpicture|tikzcd|picture|circuitikz|filecontents"
_FIGURES = "sidewaysfigure|wrapfigure|SCfigure|marginfigure|floatingfigure|teaserfigure|figwindow"
_TABLES = "sidewaystable|wraptable|SCtable|margintable"
_TABULARS = "tabu|longtabu|tabulary|supertabular|xtabular|NiceTabular"
_STATEMENTS = (
    r"(?i:state|statex|if|elsif|elseif|else|for|forall|while|repeat|until|function|procedure|"
    r"require|ensure|end(?:if|for|while|function|procedure))\b"
)
_ALGORITHMIC = (
    (r"\\(?:State|Statex|STATE)\b[ \t]*", ""),
    (r"\\(?:If|IF)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"if \1 then"),
    (r"\\(?:ElsIf|ELSIF|ElseIf)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"else if \1 then"),
    (r"\\(?:Else|ELSE)\b", "else"),
    (r"\\(?:ForAll|FORALL)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"for all \1 do"),
    (r"\\(?:For|FOR)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"for \1 do"),
    (r"\\(?:While|WHILE)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"while \1 do"),
    (r"\\(?:Repeat|REPEAT)\b", "repeat"),
    (r"\\(?:Until|UNTIL)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"until \1"),
    (r"\\(?:Function|Procedure)\s*\{([^{}]*)\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"function \1(\2)"),
    (r"\\(?:Return|RETURN)\b", "return"),
    (r"\\(?:Require|REQUIRE|KwIn|Input)\b", "Require:"),
    (r"\\(?:Ensure|ENSURE|KwOut|Output)\b", "Ensure:"),
    (r"\\(?:Comment|COMMENT)\s*\{((?:[^{}]|\{[^{}]*\})*)\}", r"// \1"),
    (r"\\(?:End|END)(If|IF|For|FOR|While|WHILE|Function|Procedure)\b", r"end \1"),
)


def prepare(text: str) -> Prepared:
    """Every rewriting, in the order in which they build on each other. Linear in the text."""
    text = re.sub("[\ue000-\uf8ff]", "", text)
    shield = _Shield()
    dropped: list[Dropped] = []
    text = shield.up(text)
    text = _without_pictures(text, dropped)
    text = _abstract_into_the_body(text)
    text = re.sub(r"\\(?:citen|onlinecite|supercite|citenum|cites)\b(?!\s*\})", r"\\cite", text)
    text = re.sub(
        r"\\appendix(?![A-Za-z])",
        lambda m: "\n\n\\begin{longqaappendix}x\\end{longqaappendix}\n\n",
        text,
    )
    text = _known_floats(text)
    text = _inside(text, r"algorithmic\*?", lambda body: shield.code(_algorithm(body)))
    text = _inside(text, r"algorithm\*?|listing\*?", _caption_as_environment, keep=True)
    text = _known_tabulars(text)
    text, keys, labels = _references(text)
    text = re.sub(
        r"\\(?:bibliography\s*\{[^{}]*\}|printbibliography(?:\s*\[[^\]]*\])?)",
        "" if keys else r"\n\n\\begin{longqabibliography}x\\end{longqabibliography}\n\n",
        text,
    )
    return Prepared(
        text=shield.down(text),
        keys=tuple(keys),
        labels=tuple(labels),
        dropped=tuple(dropped),
    )


def plain_words(text: str) -> int:
    """About how many words of prose a LaTeX body has: what a check for lost text compares with."""
    body = text.split("\\begin{document}", 1)[-1].split("\\end{document}", 1)[0]
    body = re.sub(r"(?<!\\)%[^\n]*", " ", body)
    body = re.sub(r"\\[A-Za-z]+\*?(\[[^\]\n]{0,200}\])?|\$[^$]{0,500}\$", " ", body)
    return len(re.findall(r"[A-Za-z]{3,}", body))


def group_end(text: str, at: int) -> int:
    """The index after the "}" that closes the "{" at `at`; -1 when it does not close soon."""
    depth = 0
    for match in re.finditer(r"\\.|[{}]", text[at : at + _LONGEST_GROUP], re.DOTALL):
        if match[0] == "{":
            depth += 1
        elif match[0] == "}":
            depth -= 1
            if depth == 0:
                return at + match.end()
    return -1


def _group_ends(text: str) -> dict[int, int]:
    """`group_end` for every "{" of a text in one pass: for who asks often."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            ends[opened.pop()] = match.end()
    return ends


class _Shield:
    """Verbatim text, put away while the rest is rewritten. Comments go for good."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    def up(self, text: str) -> str:
        pieces: list[str] = []
        copied = at = 0
        while (match := _SHIELDED.search(text, at)) is not None:
            start, at = match.span()
            if match["comment"]:
                pieces.append(text[copied : start + 1])  # the "%" itself eats the line end
                copied = at
            elif match["name"] or match["bar"]:
                close = f"\\end{{{match['name']}}}" if match["name"] else match["bar"]
                end = text.find(close, at)
                if end < 0 or (match["bar"] and "\n" in text[at:end]):
                    if match["name"]:
                        break  # never closed: the rest is verbatim
                    continue
                at = end + len(close)
                pieces.append(text[copied:start])
                if not (match["name"] or "").startswith("comment"):
                    pieces.append(self._put(text[start:at]))
                copied = at
        pieces.append(text[copied:])
        return "".join(pieces)

    def code(self, text: str) -> str:
        """Lines that pandoc shall take as they are."""
        return self._put(f"\n\\begin{{verbatim}}\n{text}\n\\end{{verbatim}}\n")

    def down(self, text: str) -> str:
        return re.sub("\ue004(\\d+)\ue005", lambda match: self.kept[int(match[1])], text)

    def _put(self, text: str) -> str:
        self.kept.append(self.down(text))
        return f"\ue004{len(self.kept) - 1}\ue005"


def _inside(text: str, names: str, change: Callable[[str], str], *, keep: bool = False) -> str:
    """Apply `change` to the body of each environment; `keep` leaves its \\begin and \\end."""
    pieces: list[str] = []
    copied = 0
    for match in re.finditer(rf"\\begin\{{({names})\}}", text):
        if match.start() < copied:
            continue  # inside the one before
        close = f"\\end{{{match[1]}}}"
        end = text.find(close, match.end())
        if end < 0:
            break
        pieces.append(text[copied : match.end() if keep else match.start()])
        pieces.append(change(text[match.end() : end]))
        copied = end if keep else end + len(close)
    pieces.append(text[copied:])
    return "".join(pieces)


def _without_pictures(text: str, dropped: list[Dropped]) -> str:
    def drop(body: str) -> str:
        dropped.append(Dropped(reason="picture code", text=" ".join(body.split())[:500]))
        return ""

    return _inside(text, rf"(?:{_PICTURES})\*?", drop)


def _abstract_into_the_body(text: str) -> str:
    preamble, begin, body = text.partition("\\begin{document}")
    start = preamble.find("\\begin{abstract}")
    end = preamble.find("\\end{abstract}", start)
    if not begin or start < 0 or end < 0:
        return text
    end += len("\\end{abstract}")
    return f"{preamble[:start]}{preamble[end:]}{begin}\n{preamble[start:end]}\n{body}"


def _known_floats(text: str) -> str:
    sizes = r"(?:\s*\[[^\]\n]*\])?\s*\{[^{}\n]*\}(?:\s*\[[^\]\n]*\])?\s*\{[^{}\n]*\}"
    text = re.sub(rf"(\\begin\{{(?:wrapfigure|wraptable)\}}){sizes}", r"\1", text)
    for names, known in ((_FIGURES, "figure"), (_TABLES, "table")):
        text = re.sub(rf"\\(begin|end)\{{(?:{names})\*?\}}", rf"\\\1{{{known}}}", text)
    text = _subfigures(text)
    pieces: list[str] = []
    copied = 0
    ends = _group_ends(text) if "\\captionof" in text else {}
    for match in re.finditer(r"\\captionof\*?\s*\{(figure|table)\}\s*(?=\{)", text):
        end = ends.get(match.end(), -1)
        if end < 0 or match.start() < copied:
            continue
        caption = text[match.end() : end]
        pieces.append(text[copied : match.start()])
        pieces.append(f"\n\n\\begin{{{match[1]}}}\\caption{caption}\\end{{{match[1]}}}\n\n")
        copied = end
    return "".join((*pieces, text[copied:]))


def _subfigures(text: str) -> str:
    """\\subfloat[A dog]{…} → a subfigure with that caption."""
    pieces: list[str] = []
    copied = 0
    command = r"\\(?:subfloat|subfigure|subtable)\s*\[([^\[\]]*)\]\s*(?=\{)"
    ends = _group_ends(text) if re.search(command, text) else {}
    for match in re.finditer(command, text):
        end = ends.get(match.end(), -1)
        if end < 0 or match.start() < copied:
            continue
        body = text[match.end() + 1 : end - 1] + f"\\caption{{{match[1]}}}"
        pieces.append(text[copied : match.start()])
        pieces.append(f"\\begin{{subfigure}}{{1cm}}{body}\\end{{subfigure}}")
        copied = end
    return "".join((*pieces, text[copied:]))


def _algorithm(body: str) -> str:
    body = re.sub(r"^\s*\[\d*\]", "", body)
    body = re.sub(rf"\\(?={_STATEMENTS})", r"\n\\", body)
    for pattern, replacement in _ALGORITHMIC:
        body = re.sub(pattern, replacement, body)
    body = re.sub(r"\bend (\w+)", lambda match: f"end {match[1].lower()}", body)
    return "\n".join(line.rstrip("%") for line in body.splitlines() if line.strip("% \t"))


def _caption_as_environment(body: str) -> str:
    match = re.search(r"\\caption\s*(?:\[[^\]]*\])?\s*(?=\{)", body)
    end = group_end(body, match.end()) if match else -1
    if match is None or end < 0:
        return body
    caption = body[match.end() + 1 : end - 1]
    wrapped = f"\n\n\\begin{{longqacaption}}{caption}\\end{{longqacaption}}\n\n"
    return body[: match.start()] + wrapped + body[end:]


def _known_tabulars(text: str) -> str:
    def tabular(body: str) -> str:
        body = re.sub(r"^\s*(?:\[[^\]]*\])?\s*(?:(?:to|spread)\s*[^{]*)?", "", body)
        end = group_end(body, 0) if body.startswith("{") else 0
        rows = body[max(end, 0) :]
        columns = max(len(re.findall(r"(?<!\\)&", row)) for row in rows.split("\\\\")) + 1
        return f"\\begin{{tabular}}{{{'l' * columns}}}{rows}\\end{{tabular}}"

    text = re.sub(r"\\(begin|end)\{tabulary\}(?:\{[^{}]*\})?(?=\{|)", r"\\\1{tabulary}", text)
    return _inside(text, rf"(?:{_TABULARS})\*?", tabular)


def _references(text: str) -> tuple[str, list[str], list[str]]:
    """Each \\bibitem in an environment of its own, under a heading."""
    keys: list[str] = []
    labels: list[str] = []

    def entries(body: str) -> str:
        pieces: list[str] = []
        starts = [match.start() for match in re.finditer(r"\\bibitem(?![A-Za-z])", body)]
        for start, end in zip(starts, [*starts[1:], len(body)], strict=True):
            label, key, entry = _bibitem(body[start + len("\\bibitem") : end])
            if key:
                keys.append(key)
                labels.append(label)
                entry = re.sub(r"\\newblock(?![A-Za-z])", " ", entry)
                pieces.append(f"\\begin{{longqareference}}{entry}\\end{{longqareference}}")
        heading = "\n\n\\section*{References}\n\n" if pieces else ""
        return heading + "\n\n".join(pieces) + "\n\n"

    return _inside(text, "thebibliography", entries), keys, labels


def _bibitem(text: str) -> tuple[str, str, str]:
    """ "[Lamport(1986)]{lam} L. Lamport. …" → label, key, entry."""
    label = ""
    text = text.lstrip("% \t\n")
    if text.startswith("["):
        depth = 0
        for at, character in enumerate(text[:2000]):
            depth += (character == "{") - (character == "}")
            if character == "]" and depth == 0:
                label, text = text[1:at], text[at + 1 :].lstrip("% \t\n")
                break
    end = group_end(text, 0) if text.startswith("{") else -1
    if end < 0:
        return label, "", text
    return re.sub(r"\\[A-Za-z]+|[{}]", "", label), text[1 : end - 1].strip(), text[end:]
