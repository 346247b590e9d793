"""Questions about a book's people: who says a line, who is named most, who appears with whom."""

from __future__ import annotations

import random
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from longdata.documents import Span
from longqa.names import SPEECH_VERBS, TITLES, Person
from longqa.phrasings import ask
from longqa.records import Question
from longqa.spreading import spread
from longqa.view import View

_PLAIN_VERBS = SPEECH_VERBS.replace("|called", "").replace("|pursued", "").replace("|sighed", "")
# “…,” said Mr. Hall.   “…!” Mrs. Hall cried.   The name follows at once and is whole: no
# possessive (Hall’s wife), nobody else beside it (Hall and the vicar).
_NAME = (
    r"(?P<name>(?:(?:(?:Mrs?|Ms|Dr|St|Capt|Col|Prof|Rev|Mme|Lieut|[A-Z])\.|[A-Z][\w’'-]*) ){0,3}"
    r"[A-Z][\w’'-]*[\w])(?![’']s|[’'](?=\s)|[\w-]| [A-Z]"
    r"|(?: and|,? or) (?:[A-Z]|(?:the|an?|his|her|my|our|their|both|all|another)\b))"
)
_AFTER = re.compile(
    rf"\s(?:(?P<verb>{_PLAIN_VERBS}) {_NAME}|{_NAME.replace('name', 'name2')} "
    rf"(?P<verb2>{_PLAIN_VERBS})\b)(?P<rest>[^\n]{{0,90}})"
)
_QUOTE = re.compile(r"“(?P<curly>[^“”\n]{25,300})”|\"(?P<straight>[^\"“”\n]{25,300})\"")
_STARTS = re.compile(r"[A-Z](?![A-Z])")
# A clause that waits for another: “If I may,” said Tom, and was silent.
_WAITS = re.compile(r"(?:If|When|Because|Though|Although|Unless|Since|While|As|Until)\b[^,;]*$")
# “Where is he?” Tom said nothing.  “Come!” Tom called a cab.  Only so is it the line’s own speaker:
_OF_THE_LINE = re.compile(
    r"[.,;:!—-]|$| (?:again|at last|to (?:him|her|me|us|them|himself|herself|[A-Z])|\w+ly\b"
    r"|(?:in|with) an? [\w ,]{0,30}(?:voice|tone|whisper|smile|laugh|sigh|nod)\b)"
)
# Verbs that give the answer to a question rather than the question.
_ANSWERS = frozenset("replied answered returned rejoined responded retorted".split())
_GOES_ON = re.compile(r"[^.!?“\"]*[,;:—-]+ ?[“\"]|[^.!?“\"]*$|[^“\"]{0,40}[“\"][a-z]")


def speaker(view: View, rng: random.Random) -> Iterator[Question]:
    """Who says a quoted line: the attribution stands right behind the closing quotation mark."""
    names = {form: person for person in view.everyone if person.vouched for form in person.forms}
    found = []
    for paragraph in view.paragraphs:
        text = view.quote(paragraph)
        if "“" not in text and '"' not in text:
            continue
        for match in _QUOTE.finditer(text):
            if not _opens(text, match):
                continue
            said = _AFTER.match(text, match.end())
            if said is None or not _is_attribution(match[0][-2], said):
                continue
            written = (said["name"] or said["name2"]).replace(". ", " ").replace("Mr.", "Mr")
            person = names.get(_bare(written))
            if person is not None:
                found.append((paragraph.start + match.start(), match, said, person))
    for offset, match, said, person in spread(found, depth=lambda f: view.depth(f[0]), rng=rng):
        quote = (match["curly"] or match["straight"]).strip()
        line = quote.rstrip(",")
        if (
            len(line.split()) < 5
            or _names_in(line, person)
            or view.text.count(line.rstrip(".!?…")) != 1
        ):
            continue
        if not _STARTS.match(line):
            continue
        if line != quote and (_GOES_ON.match(said["rest"]) or _WAITS.match(line)):
            continue  # half a sentence: “If I may,” said Tom, “ask you …”
        end = offset + len(match[0]) + said.end() - said.start() - len(said["rest"])
        yield Question(
            kind="speaker",
            about=line,
            text=ask("speaker", rng, quote=line),
            answer=_full_stop(_called(said["name"] or said["name2"], person)),
            evidence=(Span(start=offset, end=end),),
        )


def _called(written: str, person: Person) -> str:
    """The person's fullest name if it holds all that is written, else what is written."""
    words = set(written.replace(".", "").split())
    return person.name if words <= set(person.name.replace(".", "").split()) else written


def _is_attribution(end: str, said: re.Match[str]) -> bool:
    """Whether what follows a quotation names its speaker, given the quotation's last character."""
    if end not in ",.!?…":
        return False  # a name of a thing, or a line broken off
    if said["verb"]:
        return True
    if end == "." or (end == "?" and said["verb2"] in _ANSWERS):
        return False  # “So be it.” Tom said no more.
    return end == "," or _OF_THE_LINE.match(said["rest"]) is not None


def _opens(text: str, match: re.Match[str]) -> bool:
    """Whether a quotation begins here: straight marks pair up from the paragraph's start."""
    if match["curly"] is not None:
        return True
    return text.count('"', 0, match.start()) % 2 == 0


def _bare(name: str) -> str:
    return " ".join(word.rstrip(".") if len(word) > 2 else word for word in name.split(" "))


def _names_in(line: str, person: Person) -> bool:
    return any(part in line for part in person.name.replace(".", "").split(" ") if len(part) > 2)


def _full_stop(name: str) -> str:
    return name if name.endswith(".") else name + "."


def characters(view: View, rng: random.Random) -> Iterator[Question]:
    """Who is named most, where the lead of each over the next is beyond doubt."""
    rows = view.people
    for count in (3, 4, 2):
        if len(rows) < count + 1:
            continue
        top = rows[:count]
        others = [row for row in view.rivals if all(row[0] is not person for person, _, _ in top)]
        rivals = [most for _, _, most in others]
        clear = all(
            low >= 1.2 * high + 1
            for (_, low, _), high in zip(
                top, [m for _, _, m in top[1:]] + [max(rivals)], strict=True
            )
        )
        if not clear or top[-1][1] < 4:
            continue
        names = [person.name for person, _, _ in top]
        yield Question(
            kind="characters",
            about=" ".join(names),
            text=ask("characters", rng, count={2: "two", 3: "three", 4: "four"}[count]),
            answer=_full_stop(", then ".join(names)),
            evidence=_mentions(view, [person for person, _, _ in top], rng),
        )
        return


def _mentions(view: View, people: list[Person], rng: random.Random) -> tuple[Span, ...]:
    """For each person two sentences that name them, from different parts of the text."""
    spans = set()
    for person in people:
        inside = person.mentions[
            bisect_left(person.mentions, view.start) : bisect_right(person.mentions, view.end)
        ]
        for part in (inside[: len(inside) // 2], inside[len(inside) // 2 :]):
            sentence = view.reading.sentence_at(rng.choice(part)) if part else None
            if sentence is not None and view.start <= sentence.start and sentence.end <= view.end:
                spans.add((sentence.start, sentence.end))
    return tuple(Span(start=start, end=end) for start, end in sorted(spans))


def companions(view: View, rng: random.Random) -> Iterator[Question]:
    """With whom someone is most often named in one paragraph."""
    starts = [p.start for p in view.paragraphs]
    where: dict[int, set[int]] = {}  # index of the person -> paragraphs
    doubt: dict[int, set[int]] = {}
    people = [person for person, _, _ in view.people]
    people += [person for person, _, _ in view.rivals if not person.vouched]
    for index, person in enumerate(people):
        where[index] = _paragraphs(view, starts, person.mentions)
        doubt[index] = where[index] | _paragraphs(view, starts, person.doubtful)
    subjects = [i for i in range(min(12, len(view.people))) if len(where[i]) >= 6]
    rng.shuffle(subjects)
    for subject in subjects:
        sure = {i: len(where[subject] & where[i]) for i in where if i != subject}
        most = {i: len(doubt[subject] & doubt[i]) for i in where if i != subject}
        if not sure:
            continue
        best = max(sure, key=lambda i: (sure[i], people[i].name))
        if not people[best].vouched:
            continue
        others = [most[i] for i in most if i != best]
        if sure[best] < 4 or (others and sure[best] < 1.4 * max(others) + 1):
            continue
        if _share_a_name(people[subject], people[best]):
            continue
        together = sorted(where[subject] & where[best])
        chosen = sorted(rng.sample(together, min(4, len(together))))
        yield Question(
            kind="companions",
            about=people[subject].name,
            text=ask("companions", rng, name=people[subject].name),
            answer=_full_stop(people[best].name),
            evidence=tuple(view.paragraphs[i] for i in chosen),
        )


def _paragraphs(view: View, starts: list[int], offsets: tuple[int, ...]) -> set[int]:
    found = set()
    for offset in offsets[bisect_left(offsets, view.start) : bisect_right(offsets, view.end)]:
        index = bisect_right(starts, offset) - 1
        if index >= 0 and offset < view.paragraphs[index].end:
            found.add(index)
    return found


def _share_a_name(one: Person, other: Person) -> bool:
    words = (set(person.name.replace(".", "").split()) - TITLES for person in (one, other))
    return not set.isdisjoint(*words)
