"""The report shows what the dataset holds, obeys nothing it says, and stays small."""

from __future__ import annotations

import base64
import json
import random
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import synthetic
from reports import HOSTILE, hostile_page, hostile_rows, written

from longdata.prompt_template import PAPERS_BORDER
from longqa import report
from longqa.charts import Bar, bars, columns
from longqa.llm.taxonomy import MODEL_KINDS
from longqa.pieces import restore
from longqa.questions import KINDS


def unpacked(page: str) -> dict[str, Any]:
    """The data elements of a page: name → what is in it."""
    found = re.findall(r'<script type="text/plain" id="([\w-]+)">([A-Za-z0-9+/=]*)</script>', page)
    return {
        name: json.loads(zlib.decompress(base64.b64decode(text), -zlib.MAX_WBITS))
        for name, text in found
    }


def contexts(data: dict[str, Any]) -> list[str]:
    """The contexts as the page's script puts them together."""
    whole = []
    for group, *runs in data["index"]["contexts"]:
        first, sizes = (data["index"]["groups"][group][key] for key in ("block", "sizes"))
        pieces = [t for b in range(first, first + len(sizes)) for t in data[f"block-{b}"]]
        assert sizes == [len(data[f"block-{first + b}"]) for b in range(len(sizes))]
        whole.append(restore(pieces, runs))
    return whole


class Structure(HTMLParser):
    """The elements of a page, and the text that is not in a script or style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within not in ("script", "style"):
            self.text += data


def test_every_example_is_in_the_page_with_its_context_and_evidence(tmp_path: Path) -> None:
    rows = list(synthetic.rows(8))
    data = unpacked(written(tmp_path, rows).read_text(encoding="utf-8"))
    whole = contexts(data)
    examples = data["index"]["examples"]
    number_of = {id: number for number, id in enumerate(examples["id"])}
    assert len(number_of) == len(rows) == 48
    for row in rows:
        i = number_of[row["id"]]
        assert whole[examples["context"][i]] == row["context"]
        for column in ("question", "answer", "split", "ctx"):
            assert examples[column][i] == row[column]
        title = data["index"]["documents"][examples["document"][i]]["title"]
        assert title == row["sources"][0]["title"]


def test_offsets_are_those_of_javascript(tmp_path: Path) -> None:
    rows = [*synthetic.rows(4), *hostile_rows()]
    data = unpacked(written(tmp_path, rows).read_text(encoding="utf-8"))
    whole = contexts(data)
    examples = data["index"]["examples"]
    wide = 0
    passages = {row["id"]: [e["text"] for e in row["evidence"]] for row in rows}
    for i, id in enumerate(examples["id"]):
        units = whole[examples["context"][i]].encode("utf-16-le")
        offsets = examples["evidence"][i]
        found = [
            units[2 * start : 2 * end].decode("utf-16-le")
            for start, end in zip(offsets[::2], offsets[1::2], strict=True)
        ]
        assert found == passages[id]
        wide += offsets != [o for e in rows[0]["evidence"] for o in (e["start"], e["end"])]
    assert wide


def test_a_context_that_rows_share_is_in_the_page_once(tmp_path: Path) -> None:
    rows = list(synthetic.rows(2, windows=3, per_window=10, paragraphs=60))
    data = unpacked(written(tmp_path, rows).read_text(encoding="utf-8"))
    pieces = [text for name, texts in data.items() if name != "index" for text in texts]
    assert len(pieces) == len(set(pieces))
    assert len(data["index"]["contexts"]) == 6
    unique = sum(len(synthetic.prose(random.Random(n), 60)) for n in range(2))
    assert sum(map(len, pieces)) < 1.1 * unique


def test_the_page_allows_its_own_script_and_no_connection(tmp_path: Path) -> None:
    page = written(tmp_path, synthetic.rows(4)).read_text(encoding="utf-8")
    structure = Structure(page)
    policy = next(
        attrs["content"]
        for tag, attrs in structure.elements
        if tag == "meta" and attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules.keys() == {"default-src", "style-src", "script-src", "base-uri", "form-action"}
    assert not re.search("unsafe|http|data:|[*]", policy)
    loading = ("src", "srcset", "style", "action", "ping")
    for tag, attrs in structure.elements:
        assert not [name for name in attrs if name in loading or name.startswith("on")], tag
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")


def test_nothing_a_document_says_is_markup(tmp_path: Path) -> None:
    calm = Structure(written(tmp_path / "calm", synthetic.rows(1)).read_text(encoding="utf-8"))
    page = hostile_page(tmp_path / "hostile").read_text(encoding="utf-8")
    hostile = Structure(page)
    scripts = [attrs.get("type") for tag, attrs in hostile.elements if tag == "script"]
    assert scripts == ["text/plain", "text/plain", "module"]
    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in calm.elements}
    assert "alert(1)</script>" not in page
    assert "\u2028" not in re.sub(r"(?s)<main.*?</main>|<title>.*?</title>|<a .*?</a>", "", page)
    assert hostile.text.count(HOSTILE) >= 6  # shown as it is where the overview names it
    links = [attrs.get("href") for tag, attrs in hostile.elements if tag == "a"]
    assert all(link is not None and link.startswith("#") for link in links)


def test_an_address_of_the_web_is_a_link_that_tells_nothing(tmp_path: Path) -> None:
    rows = list(synthetic.rows(1))
    for row in rows:
        row["sources"][0]["url"] = 'https://example.org/"><b>'
    page = written(tmp_path, rows).read_text(encoding="utf-8")
    assert 'href="https://example.org/&quot;&gt;&lt;b&gt;" rel="noopener noreferrer"' in page


def test_the_overview_needs_no_script(tmp_path: Path) -> None:
    text = Structure(written(tmp_path, synthetic.rows(8)).read_text(encoding="utf-8")).text
    for expected in ("48", "examples", "Book 3", "too few events", "validation", "16,384"):
        assert expected in text


def test_charts_say_their_numbers_as_text_and_escape_their_labels() -> None:
    shown = bars([Bar(label="<b>", value=3, filters=('"k"', "<v>")), Bar(label="none", value=0)])
    assert "&lt;b&gt;" in shown and 'data-filter="&quot;k&quot;" data-value="&lt;v&gt;"' in shown
    assert 'width="100.00%"' in shown and 'width="0.00%"' in shown and "100.0 %" in shown
    assert "<b>" not in shown and "<v>" not in shown
    assert bars([]) == '<ul class="bars"></ul>'
    drawn = columns([1.0, 0.0, 3.0], caption='a "caption"')
    assert 'aria-label="a &quot;caption&quot;: 1, 0, 3"' in drawn
    assert drawn.count("<rect") == 3


def test_a_dataset_too_large_for_a_page_is_shown_in_part_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_EXAMPLES", 20)
    page = written(tmp_path, synthetic.rows(8)).read_text(encoding="utf-8")
    assert len(unpacked(page)["index"]["examples"]["id"]) == 18
    assert "This page holds 18 of the 48 examples" in page
    assert re.search(r"<dd>48</dd><dt>examples</dt>", page)


def test_the_page_is_hardly_larger_than_the_text_it_shows_compressed(tmp_path: Path) -> None:
    rows = list(synthetic.rows(4, windows=3, per_window=6, paragraphs=400))
    size = written(tmp_path, rows).stat().st_size
    text = "".join({row["context"]: "" for row in rows})
    own = sum(len(report._page_file(name)) for name in ("report.css", "report.js", "template.html"))
    assert size - own < 1.5 * len(zlib.compress(text.encode(), 9)) + 30_000


def test_the_same_dataset_gives_the_same_page(tmp_path: Path) -> None:
    one = written(tmp_path / "one", synthetic.rows(4)).read_bytes()
    assert one == written(tmp_path / "other", synthetic.rows(4)).read_bytes()


def with_everything() -> list[dict[str, Any]]:
    """Rows on books, on two papers, and short ones."""
    return [*synthetic.rows(4), *synthetic.pair_rows(), *synthetic.short_rows(5)]


def test_two_papers_are_shown_together_with_both_titles_and_their_border(tmp_path: Path) -> None:
    pairs = synthetic.pair_rows()
    data = unpacked(written(tmp_path, with_everything()).read_text(encoding="utf-8"))
    index, whole = data["index"], contexts(data)
    for row in pairs:
        i = index["examples"]["id"].index(row["id"])
        text = whole[index["examples"]["context"][i]]
        assert text == row["context"]
        assert text.count(index["border"]) == 1 and index["border"] in PAPERS_BORDER
        document = index["documents"][index["examples"]["document"][i]]
        assert document["title"] == "On Groups / On Rivers"
        assert document["papers"] == [
            {name: source[name] for name in ("title", "author", "year", "license")}
            for source in row["sources"]
        ]
    others = [document for document in index["documents"] if "papers" not in document]
    assert [document["title"] for document in others] == ["Book 0", "Book 1", "Book 2", "Book 3"]


def test_rows_on_a_paper_and_on_a_pair_with_it_are_two_groups(tmp_path: Path) -> None:
    pairs = synthetic.pair_rows()
    source = pairs[0]["sources"][0]
    alone = synthetic.example(
        context="One. Two.", question="?", passages=[(0, 4)], title=source["title"]
    ).row()
    rows = [{**alone, "split": "train"}, *pairs]
    data = unpacked(written(tmp_path, rows).read_text(encoding="utf-8"))
    assert data["index"]["examples"]["document"] == [0, 1, 1]
    assert len(data["index"]["groups"]) == 2
    assert sorted(contexts(data)) == sorted({row["context"] for row in rows})


def test_short_rows_are_not_shown_and_counted_where_it_says_so(tmp_path: Path) -> None:
    page = written(tmp_path, with_everything()).read_text(encoding="utf-8")
    examples = unpacked(page)["index"]["examples"]
    assert len(examples["id"]) == 26 and "short" not in examples["kind"]
    text = Structure(page).text
    assert "5 short instructions are mixed into the training split, 26.3 % of it" in text
    assert "are not shown on this page" in text
    assert "This page holds" not in text  # nothing is left out for its size
    assert "26 of the 28 questions asked for were kept." in text
    tiles = {name: value for value, name in re.findall(r"<dd>([^<]*)</dd><dt>([^<]*)</dt>", page)}
    assert (tiles["examples with a text"], tiles["documents"]) == ("26", "6")
    assert tiles["kinds of questions"] == "6"
    assert 'data-value="short"' not in page
    assert "<title>LongQA: 6 documents</title>" in page
    assert re.search(r"<td>train</td><td class=number>4</td>(<td class=number>19</td>).*>5<", page)
    assert "short.jsonl (short instructions)</td>" in page


def test_a_short_row_is_not_shown_although_its_file_is_a_document_too(tmp_path: Path) -> None:
    rows = list(synthetic.rows(1))
    short = [{**row, "sources": rows[0]["sources"]} for row in synthetic.short_rows(2)]
    synthetic.write(tmp_path, [*rows, *short])
    page = report.write_report(tmp_path, synthetic.facts_of(rows)).read_text(encoding="utf-8")
    assert unpacked(page)["index"]["examples"]["id"] == [row["id"] for row in rows]


def test_a_page_that_shows_a_part_names_the_long_examples_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_EXAMPLES", 15)
    rows = [*synthetic.rows(8), *synthetic.short_rows(30)]
    page = written(tmp_path, rows).read_text(encoding="utf-8")
    assert "This page holds 12 of the 48 examples" in page


def test_kinds_of_a_model_can_be_filtered_and_say_what_they_ask(tmp_path: Path) -> None:
    page = written(tmp_path, with_everything()).read_text(encoding="utf-8")
    assert 'data-filter="kind" data-value="comparison"' in page
    kinds = unpacked(page)["index"]["kinds"]
    assert kinds["comparison"] == ["written by a model", "how two papers compare"]
    assert kinds["unanswerable"][1] == MODEL_KINDS["unanswerable"].asks
    assert "judge" not in Structure(written(tmp_path / "off", synthetic.rows(4)).read_text()).text
    offline = unpacked((tmp_path / "off" / "report.html").read_text(encoding="utf-8"))
    assert offline["index"]["kinds"]["unanswerable"][1] == KINDS["unanswerable"].asks


def test_how_a_model_was_asked_is_in_the_overview(tmp_path: Path) -> None:
    rows = synthetic.pair_rows()
    synthetic.write(tmp_path, rows)
    facts = synthetic.facts_of(rows)
    facts["model"] = {
        "model": "writer",
        "judge": "critic",
        "temperature": 0.25,
        "language": "de",
        "notes": ["no seed", "<b>bold</b>"],
    }
    page = report.write_report(tmp_path, facts).read_text(encoding="utf-8")
    for name, value in (("Judge", "critic"), ("Temperature", "0.25"), ("Language", "de")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert "<dt>Server</dt><dd>no seed<br>&lt;b&gt;bold&lt;/b&gt;</dd>" in page
