"""The card opens as a dataset, tells the truth about licence and numbers, and trusts no title."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import synthetic
import yaml
from markdown_it import MarkdownIt

from longdata.markdown import plain
from longqa.card import write_card
from longqa.dataset import FEATURES
from longqa.facts import BuildFacts
from longqa.overview import gather

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b ` c",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "**bold** _and_ ~~struck~~ $math$ \\",
    "# heading\n\n---\nlicense: mit",
    "see https://evil.example or www.evil.example",
    "&lt;b&gt; &amp; <!-- gone -->",
]


def card(folder: Path, rows: Iterable[dict[str, Any]], facts: BuildFacts | None = None) -> str:
    """The text of the card of a dataset with these rows."""
    held = list(rows)
    files = synthetic.write(folder, held)
    write_card(folder, facts or synthetic.facts_of(held), files, gather(held))
    return (folder / "README.md").read_text(encoding="utf-8")


def header(text: str) -> dict[str, Any]:
    """The YAML between the first two lines of dashes."""
    assert text.startswith("---\n")
    found: dict[str, Any] = yaml.safe_load(text.split("\n---\n")[0])
    return found


def licensed(*licenses: str | None) -> list[dict[str, Any]]:
    """One row for each licence."""
    return [
        {
            **synthetic.example(
                context=f"{index} some text", question="?", passages=[(0, 1)],
                title=f"Book {index}", license=license,
            ).row(),
            "split": "train",
        }
        for index, license in enumerate(licenses)
    ]  # fmt: skip


def test_the_datasets_library_opens_a_folder_with_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    said = header(card(tmp_path / "set", synthetic.rows(8)))
    found = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in found.items()} == {
        split["name"]: split["num_examples"] for split in said["dataset_info"]["splits"]
    }
    assert found["train"].features == datasets.Features.from_dict(FEATURES)
    assert found["train"].features == datasets.Features._from_yaml_list(
        said["dataset_info"]["features"]
    )


def test_a_split_without_rows_is_not_in_the_card_and_the_folder_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    said = header(card(tmp_path / "set", synthetic.rows(1)))
    assert [entry["split"] for entry in said["configs"][0]["data_files"]] == ["train"]
    found = datasets.load_dataset(str(tmp_path / "set"), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]


def test_the_header_says_size_language_and_tasks(tmp_path: Path) -> None:
    said = header(card(tmp_path, synthetic.rows(4)))
    assert said["language"] == ["en"]
    assert said["size_categories"] == ["n<1K"]
    assert said["task_categories"] == ["question-answering", "text-generation"]
    sizes = said["dataset_info"]
    assert sizes["dataset_size"] == sum(split["num_bytes"] for split in sizes["splits"])
    on_disk = sum(path.stat().st_size for path in (tmp_path / "data").iterdir())
    assert sizes["download_size"] == on_disk


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (("CC-BY-4.0", "CC0-1.0"), {"license": "cc-by-4.0"}),
        (("MIT",), {"license": "mit"}),
        (("public domain",), {"license": "other", "license_name": "public-domain"}),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), {"license": "other"}),
        (("CC0-1.0", None), {"license": "unknown"}),
        (("CC0-1.0", "my own words"), {"license": "unknown"}),
    ],
)
def test_the_licence_is_that_of_the_sources_together(
    licenses: tuple[str | None, ...], expected: dict[str, str], tmp_path: Path
) -> None:
    said = header(card(tmp_path, licensed(*licenses)))
    found = {key: value for key, value in said.items() if key in ("license", "license_name")}
    assert found == expected


@pytest.mark.parametrize(
    ("licenses", "notice"),
    [
        (("CC0-1.0", None), "> **Do not publish this dataset yet.**"),
        (("arXiv-1.0",), "> **Do not publish this dataset.**"),
        (("CC-BY-SA-4.0", "CC-BY-NC-4.0"), "> **Settle the licence before"),
    ],
)
def test_a_dataset_that_may_not_be_published_says_so_first(
    licenses: tuple[str | None, ...], notice: str, tmp_path: Path
) -> None:
    body = card(tmp_path, licensed(*licenses)).split("\n---\n", 1)[1]
    assert body.split("\n\n")[1].startswith(notice)
    assert "publish" not in card(tmp_path / "free", licensed("CC0-1.0")).split("\n---\n", 1)[1]


def rendered_cells(text: str) -> list[str]:
    """What a reader of the card sees in table cells, with links that make themselves."""
    markdown = MarkdownIt("gfm-like", {"html": True}).disable("linkify")
    tokens = markdown.parse(text)
    inline = [token for token in tokens if token.type == "inline"]
    for token in inline:
        kinds = {child.type for child in token.children or []}
        assert not kinds & {"html_inline", "image"}, token.content
    assert not [token for token in tokens if token.type == "html_block"]
    return ["".join(child.content for child in token.children or []) for token in inline]


def test_titles_are_shown_as_they_are_and_are_never_markup(tmp_path: Path) -> None:
    rows = [
        {
            **synthetic.example(
                context=f"{title} and more text", question=f"What is {title}?", passages=[(0, 5)],
                title=title, license=title,
            ).row(),
            "split": "train",
        }
        for title in HOSTILE
    ]  # fmt: skip
    facts = synthetic.facts_of(rows)
    for document in facts["documents"]:
        document["author"] = document["title"]
        document["url"] = "javascript:alert(1)//" + document["title"]
    facts["missing"] = [{"kind": "order", "reason": title, "count": 1} for title in HOSTILE]
    facts["dropped"] = dict.fromkeys(HOSTILE, 1)
    facts["command"] = "longqa build '```' \n# not a heading"
    facts["version"] = facts["tokenizer"]["name"] = facts["tokenizer"]["fingerprint"] = HOSTILE[0]
    text = card(tmp_path, rows, facts)
    assert header(text)["license"] == "unknown"
    cells = rendered_cells(text.split("\n---\n", 1)[1])
    for title in HOSTILE:
        assert cells.count(" ".join(title.split())) >= 3  # title, author, licence
    assert "](<javascript" not in text
    headings = re.findall("^#+ .*", re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.M | re.S), re.M)
    assert headings == [
        "# LongQA: questions on 8 documents",
        "## Loading",
        "## What a row looks like",
        "## Numbers",
        "## Kinds of questions",
        "## How it was made",
        "## Sources",
        "## Licence",
        "## Use and limits",
    ]


def test_an_address_of_the_web_is_linked_and_cannot_leave_its_link(tmp_path: Path) -> None:
    facts = synthetic.facts_of(rows := licensed("CC0-1.0", "CC0-1.0"))
    facts["documents"][0]["url"] = "https://example.org/a|b>(c)"
    facts["documents"][1]["url"] = "https://example.org/> <script>"
    text = card(tmp_path, rows, facts)
    assert "| [Book 0](<https://example.org/a%7Cb%3E(c)>) |" in text
    assert "| Book 1 |" in text


def test_an_address_in_a_text_does_not_become_a_link_by_itself() -> None:
    markdown = MarkdownIt("commonmark").enable("table")
    shown = markdown.render(plain("see https://evil.example or www.evil.example"))
    assert shown == "<p>see https://evil.example or www.evil.example</p>\n"
    assert "https://" not in plain("https://a")
    assert "www." not in plain("www.a")


def test_asked_kept_and_missing_are_told_for_every_kind(tmp_path: Path) -> None:
    facts = copy.deepcopy(synthetic.facts_of(synthetic.rows(4)))
    facts["requested"]["citation"] = 3
    facts["missing"].append({"kind": "citation", "reason": "no reference list", "count": 3})
    text = card(tmp_path, synthetic.rows(4), facts)
    order, kept = facts["requested"]["order"], facts["kept"]["order"]
    assert re.search(rf"\| `order` \|[^|]*\| {order} \| {kept} \|.*too few events \(2\)", text)
    assert re.search(r"\| `citation` \|[^|]*\| 3 \| 0 \| *\| no reference list \(3\)", text)
    assert "| answer in question | 5 |" in text


def test_the_example_is_a_real_row_with_its_context_visibly_shortened(tmp_path: Path) -> None:
    rows = list(synthetic.rows(4))
    text = card(tmp_path, rows)
    first = rows[0]["evidence"][0]
    assert f'"text": "{first["text"]}"' in text
    assert f"[… {first['start'] - 160:,} characters …]" in text
    assert len(text) < 20_000


def test_the_card_is_the_same_for_the_same_build(tmp_path: Path) -> None:
    assert card(tmp_path / "a", synthetic.rows(4)) == card(tmp_path / "b", synthetic.rows(4))


def with_everything() -> list[dict[str, Any]]:
    """Rows on books, on two papers, and short ones."""
    return [*synthetic.rows(4), *synthetic.pair_rows(), *synthetic.short_rows(3)]


def test_the_snippets_of_the_card_run_for_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    text = card(tmp_path / "set", with_everything())
    first, second = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(first.replace("path/to/this/folder", str(tmp_path / "set")), names)
    rows = list(names["rows"])
    assert {row["material_kind"] for row in rows} == {"book", "papers", "short"}
    for row in rows:
        names["rows"] = [row]
        exec(second, names)
        assert row["question"] in names["text"] and row["context"] in names["text"]
        assert names["text"].endswith("\nAnswer:")
        assert names["answer"] == f" {row['answer']}"


def test_the_file_of_short_rows_is_part_of_the_licence_and_the_sources(tmp_path: Path) -> None:
    rows = [*licensed("CC0-1.0"), *synthetic.short_rows(3)]
    unknown = card(tmp_path / "unknown", rows)
    assert header(unknown)["license"] == "unknown"
    assert "> **Do not publish this dataset yet.**" in unknown
    assert "short instructions is said in a `--metadata` file alone" in unknown
    assert "| short.jsonl (short instructions) | – | – | not stated | train | 3 |" in unknown
    rows = [*licensed("CC0-1.0"), *synthetic.short_rows(3, license="CC-BY-NC-4.0")]
    known = card(tmp_path / "known", rows)
    assert header(known)["license"] == "cc-by-nc-4.0"
    assert "do not use it commercially" in known and "not known" not in known


def test_short_rows_and_pairs_are_told_apart_in_every_number(tmp_path: Path) -> None:
    text = card(tmp_path, with_everything())
    assert "# LongQA: questions on 6 documents" in text
    assert "26 questions on 6 long documents" in text
    assert "17.6 % (3 of 17 rows) are short instructions" in text
    assert "| train | 4 | 17 | 3 |" in text and "| test | 1 | 6 | 0 |" in text
    assert "| 8,192 | 14 |" in text  # budgets are those of the long rows
    assert "| `short` | a short instruction, with no text to read; mixed in | 3 | 3 |" in text
    assert "| `comparison` | how two papers compare; written by a model | 2 | 2 |" in text
    assert "| On Groups | B. Author | 2020 | CC-BY-4.0 | train | 2 |" in text
    assert "An example that compares two papers counts for both." in text
    assert "” and “" not in text.split("## Sources")[1]
    last = text.index("| `short` |")
    assert last > text.index("| `comparison` |") > text.index("| `order` |")


def test_nothing_is_said_of_models_short_rows_and_pairs_where_there_are_none(
    tmp_path: Path,
) -> None:
    text = card(tmp_path, synthetic.rows(4))
    body = text.split("\n---\n", 1)[1]
    prose = (body.split("## What a row")[0] + body.split("## Numbers")[1]).lower()
    for word in ("judge", "short instruction", "long row", "both", "written by a language model"):
        assert word not in prose, word
    assert "annotations_creators" not in header(text)


def test_the_header_says_that_a_model_wrote_and_in_which_language(tmp_path: Path) -> None:
    rows = with_everything()
    facts = synthetic.facts_of(rows)
    assert facts["model"] is not None
    facts["model"]["language"] = "de"
    said = header(card(tmp_path, rows, facts))
    assert said["language"] == ["de", "en"]
    assert said["annotations_creators"] == ["machine-generated"]
    assert "synthetic" in said["tags"]


def test_a_model_is_named_and_its_terms_are_the_readers_to_read(tmp_path: Path) -> None:
    rows = with_everything()
    facts = synthetic.facts_of(rows)
    assert facts["model"] is not None
    facts["model"]["model"] = HOSTILE[1]
    text = card(tmp_path, rows, facts)
    assert f"A language model, {plain(HOSTILE[1])}, wrote the questions" in text
    licence = text.split("## Licence")[1].split("## Use")[0]
    assert "A model's licence, or the terms of the service" in licence
    assert "What a language model wrote can be wrong" in text
