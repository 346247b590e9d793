"""What the user names becomes the same list of sources on any machine; nothing is left unsaid."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from longdata.errors import UserError
from longdata.sources import Facts, Skip, Source, discover, load_sidecar
from longdata.tex_files import flatten
from longdata.walking import _matches

SHARED = Path(__file__).parents[2] / "shared" / "data"


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text or f"The text of {path.name}.", encoding="utf-8")
    return path


def names(found: list[Source | Skip]) -> list[str]:
    return [item.name for item in found if isinstance(item, Source)]


def skips(found: list[Source | Skip]) -> dict[str, tuple[str, str]]:
    return {item.name: (item.reason, item.detail) for item in found if isinstance(item, Skip)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_is_walked_whole_and_sorted_by_posix_path(here: Path) -> None:
    for name in ("b/z.txt", "b/a.md", "a.txt", "b.epub", "a/c/deep.pdf", "B.txt"):
        write(here / "in" / name)
    found = list(discover(["in"]))
    assert names(found) == [
        "in/B.txt",
        "in/a.txt",
        "in/a/c/deep.pdf",
        "in/b.epub",
        "in/b/a.md",
        "in/b/z.txt",
    ]
    assert names(list(discover(["in/"]))) == names(found)


def test_what_is_no_document_is_said_with_its_reason(here: Path) -> None:
    for name in ("a.txt", "cover.jpg", "README.md", "LICENSE", "LICENSE-MIT.txt", ".git/config"):
        write(here / "in" / name)
    for name in ("refs.bib", ".hidden.txt", "notes", "license-to-travel.txt"):
        write(here / "in" / name)
    found = list(discover(["in"]))
    assert names(found) == ["in/a.txt", "in/license-to-travel.txt"]
    assert {name: reason for name, (reason, _) in skips(found).items()} == {
        "in/cover.jpg": "unknown format",
        "in/README.md": "not a document",
        "in/LICENSE": "not a document",
        "in/LICENSE-MIT.txt": "not a document",
        "in/.git": "hidden",
        "in/.hidden.txt": "hidden",
        "in/refs.bib": "not a document",
        "in/notes": "unknown format",
    }
    assert not any(item.is_loss for item in found if isinstance(item, Skip))


def test_a_dataset_built_inside_the_sources_is_not_read_as_a_source(here: Path) -> None:
    for name in ("a.txt", "out/build.json", "out/data/train.parquet", "out/report.html"):
        write(here / "in" / name)
    write(here / "in" / "data" / "b.txt")  # a folder of that name alone is no dataset
    found = list(discover(["in"]))
    assert names(found) == ["in/a.txt", "in/data/b.txt"]
    assert skips(found) == {"in/out": ("not a document", "a dataset that was built")}


def test_a_file_named_by_the_user_is_tried_whatever_its_name(here: Path) -> None:
    write(here / "README.md")
    write(here / "story")
    assert names(list(discover(["README.md", "story"]))) == ["README.md", "story"]


def test_the_digest_is_that_of_the_bytes(here: Path) -> None:
    content = os.urandom(3_000_000)
    (here / "big.txt").write_bytes(content)
    (source,) = discover(["big.txt"])
    assert isinstance(source, Source)
    assert source.sha256 == hashlib.sha256(content).hexdigest()


def test_the_same_bytes_twice_are_one_source(here: Path) -> None:
    write(here / "in/a.txt", "Same.")
    write(here / "in/b.txt", "Same.")
    found = list(discover(["in", "in/a.txt"]))
    assert names(found) == ["in/a.txt"]
    assert skips(found)["in/b.txt"] == ("duplicate", "same bytes as in/a.txt")
    assert len(found) == 3  # the file named a second time is said as well
    assert all(item.is_loss for item in found if isinstance(item, Skip))


def test_an_empty_file_is_said_and_no_duplicate_of_another(here: Path) -> None:
    for name in ("in/a.txt", "in/b.txt"):
        write(here / name).write_bytes(b"")
    assert {reason for reason, _ in skips(list(discover(["in"]))).values()} == {"empty"}


def test_links_that_loop_end_and_links_that_multiply_do_not(here: Path) -> None:
    write(here / "in/a.txt")
    (here / "in/loop").symlink_to(here / "in")
    (here / "in/self").symlink_to("self")
    for level in range(30):  # 2**30 paths for who follows every link
        (here / f"in/l{level}").mkdir()
        (here / f"in/l{level}/x").symlink_to(here / f"in/l{level + 1}")
        (here / f"in/l{level}/y").symlink_to(here / f"in/l{level + 1}")
    found = list(discover(["in"]))
    assert names(found) == ["in/a.txt"]
    assert skips(found)["in/loop"] == ("symlink loop", "leads back to the folder itself")
    assert "in/self" in skips(found)


def test_a_link_to_a_file_is_read_and_a_broken_one_is_said(here: Path) -> None:
    write(here / "elsewhere/a.txt")
    (here / "in").mkdir()
    (here / "in/good.txt").symlink_to(here / "elsewhere/a.txt")
    (here / "in/bad.txt").symlink_to(here / "nowhere.txt")
    found = list(discover(["in"]))
    assert names(found) == ["in/good.txt"]
    assert skips(found)["in/bad.txt"][0] == "broken link"


def test_pipes_are_not_opened(here: Path) -> None:
    (here / "in").mkdir()
    os.mkfifo(here / "in/pipe.txt")  # opening it would wait for ever
    assert skips(list(discover(["in"]))) == {"in/pipe.txt": ("not a regular file", "")}
    assert skips(list(discover(["in/pipe.txt"]))) == {"in/pipe.txt": ("not a regular file", "")}


def test_a_file_that_vanishes_after_it_was_found_is_one_skip(here: Path) -> None:
    write(here / "in/a.txt")
    write(here / "in/b.txt")
    found = discover(["in"])
    (here / "in/a.txt").unlink()
    rest = list(found)
    assert names(rest) == ["in/b.txt"]
    assert skips(rest)["in/a.txt"][0] == "vanished"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_skip(here: Path) -> None:
    write(here / "in/a.txt").chmod(0)
    assert skips(list(discover(["in"])))["in/a.txt"][0] == "permission denied"


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("nowhere.txt", "there is no file"),
        ("nowhere/*.txt", "there is no file"),
        ("ftp://example.org/a.txt", "fix: download it"),
        ("gutenberg:Emma", "gutenberg:36"),
        ("arxiv:../../etc/passwd", "arxiv:2309.12307"),
        ("http://", "correct the address"),
        ("a\0b", "no path"),
        ("x" * 5000, "no path"),
    ],
)
def test_a_wrong_argument_is_refused_before_any_work(here: Path, argument: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        discover([argument])  # not even the first source was asked for
    assert "\n" not in str(caught.value)


def test_no_argument_at_all_is_refused() -> None:
    with pytest.raises(UserError, match="no source"):
        discover([])


def test_patterns_find_files_in_order_and_folders_whole(here: Path) -> None:
    for name in ("p/b/x.tex", "p/a/y.tex", "p/z.tex", "p/a/n.txt", "p/.h/q.tex", "p/a/cover.png"):
        write(here / name)
    assert names(list(discover(["p/**/*.tex"]))) == ["p/a/y.tex", "p/b/x.tex", "p/z.tex"]
    assert names(list(discover(["p/*.tex"]))) == ["p/z.tex"]
    assert names(list(discover(["p/[ab]"]))) == ["p/a/n.txt", "p/a/y.tex", "p/b/x.tex"]
    assert names(list(discover(["**/n.*"]))) == ["p/a/n.txt"]
    assert names(list(discover([f"{here}/p/**"]))) == [
        f"{here}/p/{name}" for name in ("a/n.txt", "a/y.tex", "b/x.tex", "z.tex")
    ]


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("a/b/c.txt", "**/*.txt", True),
        ("c.txt", "**/*.txt", True),
        ("a/b/c.txt", "**/b/**/*.txt", True),
        ("a/c.txt", "**/b/*.txt", False),
        (".a/c.txt", "**/*.txt", False),
        ("a/.c.txt", "**/*.txt", False),
        ("a/b/c.txt", "**/b", False),
        ("a/a/a/a", "**/a/**/a/**/b", False),
    ],
)
def test_two_stars_stand_for_any_number_of_folders(path: str, pattern: str, fits: bool) -> None:
    assert _matches(tuple(path.split("/")), tuple(pattern.split("/"))) is fits


def test_included_latex_files_are_part_of_their_paper(here: Path) -> None:
    write(here / "p/main.tex", "\\documentclass{article}\\input{sections/one}\n%\\input{loose}")
    write(here / "p/sections/one.tex", "One. \\include{sections/two}")
    write(here / "p/sections/two.tex", "Two.")
    write(here / "p/loose.tex", "Not included.")
    found = list(discover(["p"]))
    assert names(found) == ["p/loose.tex", "p/main.tex"]
    part = ("part of a document", "main.tex includes it")
    assert skips(found) == {"p/sections/one.tex": part, "p/sections/two.tex": part}


def test_two_latex_files_that_include_each_other_are_one_document(here: Path) -> None:
    write(here / "p/a.tex", "A \\input{b}")
    write(here / "p/b.tex", "B \\input{a}")
    assert names(list(discover(["p"]))) == ["p/a.tex"]


def test_a_changed_chapter_or_bibliography_changes_the_digest_of_the_paper(here: Path) -> None:
    write(here / "main.tex", "\\documentclass{article}\\input{one}\\bibliography{refs}")

    def digest() -> str:
        (source,) = discover(["main.tex"])
        assert isinstance(source, Source)
        return source.sha256

    digests = [digest()]
    write(here / "one.tex", "One.")
    digests.append(digest())
    write(here / "one.tex", "Two.")
    digests.append(digest())
    write(here / "refs.bib", "@book{a, title={T}}")
    digests.append(digest())
    assert len(set(digests)) == 4


def test_flattening_never_leaves_the_folder(here: Path) -> None:
    secret = write(here / "secret.tex", "SECRET")
    (here / "p").mkdir()
    (here / "p/link.tex").symlink_to(secret)
    tries = ("../secret", str(secret), "link", "sub/../../secret", "\\jobname", "~/x", "missing")
    lines = "\n".join(f"\\input{{{name}}}" for name in tries)
    write(here / "p/main.tex", f"\\documentclass{{a}} \\input|ls\n{lines}\n\\input{{main}} END")
    flat = flatten(here / "p/main.tex")
    assert "SECRET" not in flat.text
    assert flat.text.rstrip().endswith("END")
    assert [d.text for d in flat.dropped] == [*tries, "main"]
    assert flat.dropped[-1].reason == "include loop"
    assert {d.reason for d in flat.dropped[:2]} == {"include outside the folder"}


def test_flattening_leaves_comments_and_verbatim_text_alone(here: Path) -> None:
    write(here / "x.tex", "INCLUDED")
    text = (
        "a % \\input{x}\n\\begin{verbatim}\\input{x}\\end{verbatim} \\verb|\\input{x}| "
        "100\\% \\input{x} \\\\% \\input{x}\n\\input x\n\\includegraphics{x} \\endinput \\input{x}"
    )
    write(here / "main.tex", text)
    flat = flatten(here / "main.tex")
    assert flat.text.count("INCLUDED") == 2
    assert "100\\% INCLUDED" in flat.text
    assert "\\includegraphics{x}" in flat.text
    assert flat.dropped == ()


def test_a_chapter_that_is_a_document_of_its_own_gives_only_its_body(here: Path) -> None:
    chapter = "\\documentclass[main]{subfiles}\\begin{document}Body.\\end{document} after"
    write(here / "one.tex", chapter)
    write(here / "main.tex", "\\documentclass{book}\\begin{document}\\subfile{one}\\end{document}")
    assert flatten(here / "main.tex").text == (
        "\\documentclass{book}\\begin{document}Body.\n\\end{document}"
    )


def test_includes_that_multiply_are_bounded(here: Path) -> None:
    for level in range(15):
        write(here / f"l{level}.tex", f"\\input{{l{level + 1}}}" * 10)
    write(here / "l15.tex", "x")
    found = list(discover(["l0.tex"]))
    assert skips(found)["l0.tex"][0] == "too large"


CSV = "title,path,year,licence,note\n  A  Book ,a.txt,1898,CC0-1.0,x\n,sub/b.txt,,,\n"


def test_a_metadata_file_in_a_folder_is_used_by_itself_and_said(here: Path) -> None:
    for name in ("in/a.txt", "in/sub/b.txt", "in/sub/a.txt"):
        write(here / name, f"Text of {name}")
    write(here / "in/metadata.csv", CSV + "C,gone.txt,1900-05-01,,\n")
    found = list(discover(["in"]))
    facts = {item.name: item.facts for item in found if isinstance(item, Source)}
    assert facts["in/a.txt"] == Facts(title="A Book", year=1898, license="CC0-1.0")
    assert facts["in/sub/b.txt"] == Facts()
    assert skips(found) == {
        "in/metadata.csv": (
            "not a document",
            "metadata, 2 of 3 rows used; no such source: gone.txt",
        )
    }


def test_a_row_is_found_by_path_then_by_an_unambiguous_file_name(here: Path) -> None:
    for name in ("in/x/a.txt", "in/y/a.txt", "in/z/b.txt"):
        write(here / name, f"Text of {name}")
    rows = {"x/a.txt": {"title": "X"}, "q/a.txt": {"title": "Q"}, "elsewhere/b.txt": {"title": "B"}}
    write(here / "table.json", json.dumps(rows))
    found = list(discover(["in"], sidecar=here / "table.json"))
    titles = {item.name: item.facts.title for item in found if isinstance(item, Source)}
    assert titles == {"in/x/a.txt": "X", "in/y/a.txt": None, "in/z/b.txt": "B"}
    assert "no such source: q/a.txt" in found[-1].detail  # type: ignore[union-attr]


def test_the_chosen_sidecar_wins_over_one_that_was_found(here: Path) -> None:
    write(here / "in/a.txt")
    write(here / "in/metadata.json", '[{"file": "a.txt", "title": "Found", "author": "F"}]')
    write(here / "mine.csv", "source,title\nin/a.txt,Mine\n")
    (source, *_) = discover(["in"], sidecar=here / "mine.csv", license="CC0-1.0")
    assert isinstance(source, Source)
    assert source.facts == Facts(title="Mine", author="F")
    assert source.defaults == Facts(license="CC0-1.0")


def test_another_programs_metadata_file_is_left_alone_and_said(here: Path) -> None:
    write(here / "in/a.txt")
    write(here / "in/metadata.csv", "width,height\n1,2\n")
    reason, detail = skips(list(discover(["in"])))["in/metadata.csv"]
    assert reason == "not a document"
    assert "metadata not used" in detail


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("m.csv", "title,year\nA,1\n", "source, path or file"),
        ("m.csv", "path,year\na.txt,long ago\n", "year 'long ago'"),
        ("m.csv", "path,title\na.txt,A\na.txt,B\n", "second row"),
        ("m.csv", "path,title\n,A\n", "without a source"),
        ("m.csv", "", "(none)"),
        ("m.json", "{", "no JSON"),
        ("m.json", "[1, 2]", "another shape"),
        ("m.json", "[" * 100_000, "no JSON"),
        ("m.csv", "path\nb\xff", "UTF-8"),
    ],
)
def test_an_unusable_sidecar_is_the_users_mistake(
    here: Path, name: str, content: str, said: str
) -> None:
    (here / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError, match=said.replace("(", "\\(").replace(")", "\\)")):
        load_sidecar(here / name)


def test_the_shared_books_get_their_titles_from_their_table() -> None:
    if not (SHARED / "books").is_dir():
        pytest.skip("the shared books are not on this machine")
    found = list(discover([str(SHARED / "books")]))
    sources = [item for item in found if isinstance(item, Source)]
    assert len(sources) == 38
    wells = next(item for item in sources if item.path.name.startswith("36_"))
    assert wells.facts.title == "The War of the Worlds"
    assert wells.facts.year == 1898
    assert [item.reason for item in found if isinstance(item, Skip)] == ["not a document"]


def test_the_shared_multi_file_paper_is_a_paper_a_supplement_and_a_leftover() -> None:
    folder = SHARED / "papers" / "latex" / "sympy_paper"
    if not folder.is_dir():
        pytest.skip("the shared papers are not on this machine")
    found = list(discover([str(folder)]))
    assert [Path(name).name for name in names(found)] == [
        "paper.tex",
        "pprint.tex",
        "supplement.tex",
    ]
    assert {item.reason for item in found if isinstance(item, Skip)} == {"part of a document"}
