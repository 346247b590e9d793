"""Who is in a book: names that are names of people, and every place where each is mentioned.

    people = find_people(text)
    people[0]   -> Person(name="Phileas Fogg", forms=("Fogg", "Mr. Fogg", "Phileas Fogg"), …)
    people[0].mentions   -> character offsets, sorted

Precision before recall. A capitalised word is a name when it is hardly ever written small and
stands in mid sentence; a name is a person's when titles (Mrs. Hall) and verbs of speech and
bearing (said Hall, Hall nodded) vouch for it more often than places' prepositions do (in Iping).
Forms are joined over the surname when that can mean one person only: a “Mr. Hall” and a
“Mrs. Hall” stay two people, and a bare “Hall” then counts for neither (`doubtful`).
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

_MALE = "Mr Sir Lord Monsieur Herr Don Father Brother Uncle King Prince Count Baron Duke Signor"
_FEMALE = (
    "Mrs Miss Ms Lady Madame Mme Mademoiselle Frau Fräulein Sister Aunt Queen Princess Countess "
    "Baroness Duchess Signora Donna Mistress Dame"
)
_RANK = (
    "Dr Doctor Captain Capt Colonel Col Major General Lieutenant Sergeant Corporal Professor Prof "
    "Inspector Judge Admiral Commander Master Squire Reverend Rev Deacon Bishop Constable"
)
TITLES = frozenset(f"{_MALE} {_FEMALE} {_RANK}".split())
_GENDER = (
    dict.fromkeys(_MALE.split(), "male")
    | dict.fromkeys(_FEMALE.split(), "female")
    | dict.fromkeys(_RANK.split(), "rank")
)
# Titles that also stand before names of places and things ("Lord", "King" are safe before a name).
_TITLE = "(?:" + "|".join(sorted(_GENDER, key=len, reverse=True)) + r")\b\.?"
_WORD = (
    rf"(?!{_TITLE})" r"(?:[A-ZÀ-Þ][’'])?[A-ZÀ-Þ][a-zà-ÿ]+(?:[A-Z][a-zà-ÿ]+)?(?:-[A-ZÀ-Þ][a-zà-ÿ]+)*"
)
_NAME = re.compile(
    rf"(?<![\w’'-])(?:({_TITLE}) )?"
    rf"({_WORD}(?: (?:[A-Z]\. ?|(?:de|du|van|von|della|le|la) )*{_WORD}){{0,2}})"
)
SPEECH_VERBS = (
    "said|says|replied|cried|asked|answered|exclaimed|remarked|whispered|shouted|muttered|returned|"
    "continued|added|observed|inquired|enquired|murmured|repeated|resumed|growled|demanded|declared|"
    "suggested|rejoined|interrupted|responded|pursued|interposed|retorted|ejaculated|called|sighed"
)
_BEARING = (
    "nodded|smiled|laughed|thought|looked|turned|walked|sat|shook|stared|glanced|rose|paused|felt|"
    "knew|saw|heard|spoke|told|wished|hoped|hurried|stepped|frowned|blushed|bowed|hesitated|listened|"
    "believed|wondered|sprang|leaped|sighed|coughed|knelt|wept|himself|herself"
)
_BODY_AFTER = re.compile(
    r"[’']s? (?:eyes?|face|hands?|voice|head|arms?|heart|lips|mind|wife|husband|father|mother|"
    r"brother|sister|son|daughter|hair|mouth|shoulders?|feet|fingers|brow|countenance)\b"
)
# Sets, not patterns: they are asked about every capitalised word of a book.
_SPEAKS = frozenset(SPEECH_VERBS.split("|"))
_BEARS = frozenset(_BEARING.split("|"))
_AT_PLACES = frozenset(
    "in at near into through throughout across via reached left within around".split()
)
_ARTICLES = frozenset("the a an this these those some every no".split())
_ENDS = frozenset(".!?…:;—–-“\"‘'([")
_CLOSES = frozenset("”\"’')")
_LOWER = re.compile(r"(?<![\w’'-])[a-zà-ÿ]{2,}")
# Written with a capital, but hardly ever a name of a person: pronouns, days, peoples, places.
_NEVER = frozenset(
    "I The A An And But He She It They We You His Her Its Their My Your Our This That These "
    "Those There Then When Where What Who Why How If Oh Ah Yes No Not Now So As At In On Of For "
    "From With By To God Heaven Heavens Lord Providence Nature Christ Jesus Satan Devil Sir "
    "Madam Miss Mister January February March April May June July August September October "
    "November December Monday Tuesday Wednesday Thursday Friday Saturday Sunday Christmas "
    "Easter Chapter Book Part English French German Russian American Indian Italian Spanish "
    "Latin Greek Chinese Dutch Scotch Irish European African Christian Jewish Jew Turk Roman "
    "Englishman Frenchman Frenchmen Englishmen Mr Mrs Dr St Missis Princess Prince Queen King "
    "Duke Count Countess Captain Doctor Professor Colonel Major Uncle Aunt Father Mother Papa "
    "Mamma Mama Majesty Highness Excellency Honour Honor Majesties Lordship Ladyship Monsieur "
    "Madame Mademoiselle Messieurs Gentlemen Ladies Street Road Lane Square Sea Ocean Island "
    "Mount River Lake Bay Cape Hill House Park Inn Hotel Club Station Bridge Church Abbey Court "
    "Castle North South East West Northern Southern Eastern Western Government Parliament State "
    "Empire Gutenberg Illustration Note Footnote Well Good Dear Poor Little Young Old Great "
    "Come Here Martian Martians Mars Earth Jupiter Venus Saturn Moon Sun World England France "
    "Germany Russia America India Europe London Paris".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person: `name` is the fullest common form; offsets are characters of the text, sorted.

    `doubtful` holds mentions that may mean this person or another of the same surname. Without
    `vouched` the name is not known to be a person's: no answer, but a rival in every count.
    """

    name: str
    forms: tuple[str, ...]
    mentions: tuple[int, ...]
    doubtful: tuple[int, ...]
    vouched: bool = True

    def count(self, start: int, end: int) -> tuple[int, int]:
        """(least, most) number of mentions in text[start:end]."""
        least = bisect_left(self.mentions, end) - bisect_left(self.mentions, start)
        extra = bisect_left(self.doubtful, end) - bisect_left(self.doubtful, start)
        return least, least + extra


@dataclass(frozen=True, slots=True)
class _Form:
    """A name as written: title ("" if none), given names, surname or only name."""

    title: str
    given: str
    last: str

    @property
    def written(self) -> str:
        return " ".join(part for part in (self.title, self.given, self.last) if part)

    @property
    def gender(self) -> str:
        return _GENDER.get(self.title.rstrip("."), "")


def find_people(text: str, *, least_mentions: int = 4) -> tuple[Person, ...]:
    """All who are mentioned at least `least_mentions` times and may be people, most first."""
    small = Counter(_LOWER.findall(text))
    seen = _collect(text, small)
    mentions = seen.mentions
    words_mid: Counter[str] = Counter()
    for form, count in seen.mid_sentence.items():
        for word in (*form.given.split(), form.last):
            words_mid[word] += count
    titled_names = {form.last for form in mentions if form.title}
    people_forms = [
        form
        for form, offsets in mentions.items()
        if _is_name(form, small, words_mid, titled_names)
        and seen.after_the[form] <= 0.25 * len(offsets)
    ]
    persons = _join(people_forms, mentions, text)
    kept: list[Person] = []
    for name, forms, sure, doubtful in persons:
        total = len(sure)
        evidence = sum(seen.vouched[f] + len(mentions[f]) * bool(f.title) for f in forms)
        places = sum(seen.in_places[f] for f in forms)
        owned = sum(seen.after_of[f] for f in forms)
        if total + len(doubtful) < least_mentions:
            continue
        if places > 0.08 * total and places > 0.5 * evidence:
            continue
        if places + owned > 0.3 * total and places + owned > evidence:
            continue
        kept.append(
            Person(
                name=name,
                forms=tuple(sorted({form.written for form in forms})),
                mentions=tuple(sorted(sure)),
                doubtful=tuple(sorted(doubtful)),
                vouched=total >= least_mentions and evidence >= max(3, 0.04 * total),
            )
        )
    return tuple(sorted(kept, key=lambda p: (-len(p.mentions), p.name)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """Where each form stands, and how often what stands around it speaks for what it names."""

    mentions: dict[_Form, list[int]] = field(default_factory=lambda: defaultdict(list))
    vouched: Counter[_Form] = field(default_factory=Counter)  # a person: speaks, nods, has a face
    in_places: Counter[_Form] = field(default_factory=Counter)
    after_of: Counter[_Form] = field(default_factory=Counter)
    after_the: Counter[_Form] = field(default_factory=Counter)
    mid_sentence: Counter[_Form] = field(default_factory=Counter)


def _collect(text: str, small: Counter[str]) -> _Seen:
    """One pass over the text; `small` counts its words written without a capital."""
    seen = _Seen()
    for match in _NAME.finditer(text):
        start, end = match.span()
        title = (match[1] or "").rstrip(" .")
        words = match[2].split(" ")
        # "Then Watson", "Suddenly Watson": a sentence's first word is no part of a name
        while words and not title and (words[0] in _NEVER or small[words[0].lower()] > 2):
            start += len(words[0]) + 1
            words.pop(0)
        if not words or any(word in _NEVER for word in words):
            continue
        form = _Form(title, " ".join(words[:-1]), words[-1])
        before = text[max(0, start - 14) : start]
        seen.mentions[form].append(start)
        if not _opens_sentence(before):
            seen.mid_sentence[form] += 1
        word = before[:-1].rpartition(" ")[2].lstrip('“"‘(—') if before[-1:] == " " else ""
        folded = word.lower()
        if folded in _ARTICLES:
            seen.after_the[form] += 1
        elif word in _SPEAKS:
            seen.vouched[form] += 2
        elif folded in _AT_PLACES:
            seen.in_places[form] += 1
        elif word == "of":
            seen.after_of[form] += 1
        after = text[end : end + 18]
        word = after[1:].partition(" ")[0].rstrip(".,;:!?—") if after[:1] == " " else ""
        if word in _SPEAKS:
            seen.vouched[form] += 2
        elif word in _BEARS or (after[:1] in ("’", "'") and _BODY_AFTER.match(after)):
            seen.vouched[form] += 1
    return seen


def _opens_sentence(before: str) -> bool:
    """Whether a word with `before` in front of it begins a sentence, a quotation or a clause."""
    bare = before.rstrip()
    if not bare or "\n" in before[len(bare) :] or bare[-1] in _ENDS:
        return True
    return bare[-1] in _CLOSES and bare[-2:-1] in (".", "!", "?")


def _is_name(form: _Form, small: Counter[str], mid: Counter[str], titled: set[str]) -> bool:
    """Whether the words of a form are written with a capital because they are names.

    `titled` are surnames seen with a title: “Hall” is a name in a book with a Mrs. Hall and halls.
    """
    for word in (*form.given.replace(".", " ").split(), form.last):
        if len(word) == 1:
            continue
        if mid[word] < 2 and not form.title:
            return False
        if small[word.lower()] > (0.6 if word in titled else 0.2) * max(mid[word], 1):
            return False
    return True


def _join(
    forms: Iterable[_Form], mentions: dict[_Form, list[int]], text: str
) -> list[tuple[str, list[_Form], list[int], list[int]]]:
    """Forms → people: (name, forms, sure offsets, doubtful offsets)."""
    by_last: dict[str, list[_Form]] = defaultdict(list)
    given_of: dict[str, set[str]] = defaultdict(set)  # given name -> surnames it is seen with
    for form in forms:
        by_last[form.last].append(form)
        if form.given and len(mentions[form]) >= 2:
            given_of[form.given.split(" ")[0]].add(form.last)
    loose: dict[str, list[int]] = defaultdict(list)  # surname -> doubtful mentions
    for given in sorted(set(by_last) & set(given_of)):
        # a lone given name belongs to the one surname it is ever seen with; with several
        # (Edith Leete, Edith Bartlett) it may mean any of them
        surnames = sorted(s for s in given_of[given] if s != given and s in by_last)
        if not surnames or any(f.given for f in by_last[given]):
            continue
        group = by_last.pop(given)
        if len(surnames) == 1:
            by_last[surnames[0]].extend(group)
        else:
            for surname in surnames:
                loose[surname].extend(offset for f in group for offset in mentions[f])
    people = []
    for last, group in sorted(by_last.items()):
        for name, own, sure, doubtful in _split(last, sorted(group, key=_by_text), mentions, text):
            people.append((name, own, sure, doubtful + loose[last]))
    return people


def _by_text(form: _Form) -> str:
    return form.written


def _split(
    last: str, group: list[_Form], mentions: dict[_Form, list[int]], text: str
) -> list[tuple[str, list[_Form], list[int], list[int]]]:
    """The forms of one surname → one person, or several with the shared forms in doubt."""
    own, men, misses, bare = _by_kind(last, group, mentions)
    givens = [key for key in own if key not in _MARRIED]
    shared: list[_Form] = []
    if len(givens) > 1:
        named = sum(len(mentions[form]) for given in givens for form in own[given])
        if sum(len(mentions[form]) for form in bare) > 3 * named:
            own["bare"] = bare  # a name that is hardly ever explained is one person's
            shared = men + misses
        else:
            shared = men + misses + bare
    elif men and misses:
        own["he"], own["she"] = men, misses
        # “Mr. Hall”, “Miss Hall”, “Hall”: the bare surname is the man's, if nobody has a given name
        own["he"] += [] if givens else bare
        shared = bare if givens else []
    elif givens:
        titled = men or misses
        known = _gender(own[givens[0]], mentions, text)
        other = _gender(titled, mentions, text) or ("male" if men else "female")
        if titled and known and known != other:  # “Dr. Leete” is not “Edith Leete”
            own["other"] = titled
            shared = bare
        else:
            own[givens[0]] += titled + bare
    else:
        own["one"] = men + misses + bare
    doubtful = [offset for form in shared for offset in mentions[form]]
    people = [forms for forms in own.values() if forms]
    return [
        (
            _display({f: len(mentions[f]) for f in forms}, titled=len(people) > 1),
            forms,
            [offset for form in forms for offset in mentions[form]],
            doubtful,
        )
        for forms in people
    ]


def _by_kind(
    last: str, group: list[_Form], mentions: dict[_Form, list[int]]
) -> tuple[dict[str, list[_Form]], list[_Form], list[_Form], list[_Form]]:
    """Forms with a given name or a wife's title, by that; then men's, misses' and bare forms."""
    own: dict[str, list[_Form]] = defaultdict(list)
    men: list[_Form] = []
    misses: list[_Form] = []
    bare: list[_Form] = []
    counts: Counter[str] = Counter()
    for form in group:
        counts[_given(form, last)] += len(mentions[form])
    full = [given for given in counts if len(given) > 2]
    for form in group:
        given = _given(form, last)
        if len(given) == 2 and given.endswith("."):
            # “J. Corrigan” is “Jabez Corrigan” when no other given name begins so
            meant = [name for name in full if name[0] == given[0]]
            given = meant[0] if len(meant) == 1 else given
        if given:
            # a rare full form (a mother's, once) casts no doubt on the many bare ones
            if counts[given] > 0.03 * counts[""]:
                own[given].append(form)
        elif form.title in _MARRIED:
            own[form.title].append(form)  # a wife bears her husband's name: never the bare one
        elif form.gender == "female":
            misses.append(form)
        else:
            (men if form.title else bare).append(form)
    return own, men, misses, bare


def _gender(forms: list[_Form], mentions: dict[_Form, list[int]], text: str) -> str:
    """ "male", "female" or "": by the titles, else by the pronouns that follow the mentions."""
    titles = {form.gender for form in forms} & {"male", "female"}
    if len(titles) == 1:
        return next(iter(titles))
    return _pronouns(text, [offset for form in forms for offset in mentions[form]])


_PRONOUN = re.compile(r"\b(?:(?P<he>he|him|his|himself)|she|her|hers|herself)\b")
_MENTIONS_READ = 24  # enough to tell a man from a woman


def _pronouns(text: str, offsets: list[int]) -> str:
    """ "male" or "female" by what follows the mentions in the text; "" when it does not tell."""
    step = max(1, len(offsets) // _MENTIONS_READ)
    found = [m["he"] for at in offsets[::step] for m in _PRONOUN.finditer(text, at, at + 90)]
    she = found.count(None)
    he = len(found) - she
    if max(he, she) < 3:
        return ""
    return "male" if he > 2 * she else "female" if she > 2 * he else ""


_MARRIED = frozenset("Mrs Lady Madame Mme Frau Countess Baroness Duchess Queen".split())


def _given(form: _Form, last: str) -> str:
    return form.given.split(" ")[0] or (form.last if form.last != last else "")


def _display(counts: dict[_Form, int], *, titled: bool) -> str:
    """The fullest form that is common: given name and surname, else what the text says most.

    `titled` prefers the form with a title: another person bears the same surname.
    """
    total = sum(counts.values())
    full = [f for f, n in counts.items() if f.given and not f.title and n >= max(2, 0.02 * total)]
    with_title = [f for f, n in counts.items() if titled and f.title and n >= 0.1 * total]
    best = max(full or with_title or counts, key=lambda f: (counts[f], f.written))
    short = best.title in ("Mr", "Mrs", "Ms", "Dr", "Capt", "Col", "Prof", "Rev", "Mme")
    return best.written.replace(best.title, best.title + ".", 1) if short else best.written
