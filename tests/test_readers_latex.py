"""LaTeX papers come out whole, numbered as LaTeX prints them, and never reach outside."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import pytest

from longdata.documents import Document
from longdata.errors import SourceError
from longdata.readers import latex as latex_reader
from longdata.readers import read_source
from longdata.readers.latex import read_latex
from longdata.readers.tex_references import entry_of, of_label
from longdata.readers.tex_rewrite import group_end, prepare
from longdata.sources import Source

SHARED = Path(__file__).parents[2] / "shared" / "data" / "papers" / "latex"

PAPER = r"""
\documentclass{article}
\newcommand{\name}[1]{\textbf{#1}}
\title{A Title\thanks{For you}}
\author{Ann B\'e\thanks{MIT} \and Carl D\\Some University}
\date{3 May 2021}
\begin{document}
\maketitle
\begin{abstract}
The \name{abstract}.
\end{abstract}
\section{Intro}\label{sec:intro}
See Figure~\ref{fig:dog}, \autoref{tab:b}, \cref{sec:sub}, \eqref{eq:one} and \ref{app:x}.
Says~\cite{knuth,lam}, \citet{lam}, \citep[see][p.~3]{lam}.
A note.\footnote{A \emph{foot} note.} Inline $x^2$, ``quoted'', \verb|co%de|, 100\%. % gone
We define
\begin{equation}\label{eq:one}
a = b
\end{equation}, where $a$ is known.
\begin{figure}
\includegraphics{dog.png}
\caption{A \name{dog}.}\label{fig:dog}
\end{figure}
\begin{wrapfigure}{r}{2cm}\includegraphics{cat}\caption{A cat.}\label{fig:cat}\end{wrapfigure}
\begin{table}
\begin{tabular}{ll} a & b\\ 1 & 2\\ \end{tabular}
\caption{Numbers.}\label{tab:b}
\end{table}
\subsection{Sub}\label{sec:sub}
\begin{itemize}\item one \item two\end{itemize}
\begin{enumerate}\item first\end{enumerate}
\begin{lstlisting}[caption=The \texttt{code}]
x = 1  # \section{not a section}

y = 2
\end{lstlisting}
\begin{algorithm}\caption{Doing}\begin{algorithmic}
\State $x \gets 1$
\If{$x > 0$} \State stop \EndIf
\end{algorithmic}\end{algorithm}
\begin{tikzpicture}\draw (0,0) -- (1,1);\end{tikzpicture}
\section*{Thanks} To all.
\appendix
\section{More}\label{app:x}
The end.
\begin{thebibliography}{9}
\bibitem{knuth} D. Knuth. \newblock \emph{The \name{TeXbook}}. 1984.
\bibitem[Lamport and Co(1986)]{lam} L. Lamport. LaTeX. 1986.
\end{thebibliography}
\end{document}
"""


def source_of(path: Path) -> Source:
    return Source(path=path, name=path.name, sha256="0" * 64)


def read(folder: Path, text: str, **files: str) -> Document:
    (folder / "main.tex").write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    (document,) = read_latex(source_of(folder / "main.tex"))
    return document


def article(body: str, preamble: str = "") -> str:
    return f"\\documentclass{{article}}{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def dropped(document: Document) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for item in document.dropped:
        reasons.setdefault(item.reason, []).append(item.text)
    return reasons


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Document:
    return read(tmp_path_factory.mktemp("paper"), PAPER)


def test_the_whole_paper_is_as_it_is_printed(paper: Document) -> None:
    assert paper.text == (
        "Abstract\n\nThe abstract.\n\n"
        "1 Intro\n\n"
        "See Figure 1, Table 1, Section 1.1, (1) and A. Says [1, 2], Lamport and Co [2], "
        "[see 2, p. 3]. A note. (A foot note.) Inline $x^2$, “quoted”, co%de, 100%. We define\n\n"
        "\\begin{equation}\na = b\n\\end{equation} (1),\n\n"
        "where $a$ is known.\n\n"
        "Figure 1: A dog.\n\nFigure 2: A cat.\n\n"
        "Table 1: Numbers.\n\na | b\n1 | 2\n\n"
        "1.1 Sub\n\n• one\n\n• two\n\n1. first\n\n"
        "Listing 1: The code\n\nx = 1  # \\section{not a section}\ny = 2\n\n"
        "Algorithm 1: Doing\n\n$x \\gets 1$\nif $x > 0$ then\nstop\nend if\n\n"
        "Thanks\n\nTo all.\n\nA More\n\nThe end.\n\n"
        "References\n\n[1] D. Knuth. The TeXbook. 1984.\n\n[2] L. Lamport. LaTeX. 1986."
    )


def test_title_authors_and_year_come_without_notes_and_affiliations(paper: Document) -> None:
    assert (paper.title, paper.author, paper.year) == ("A Title", "Ann Bé, Carl D", 2021)
    assert paper.kind == "paper"


def test_sections_have_numbers_levels_and_kinds(paper: Document) -> None:
    assert [(s.number, s.title, s.level, s.kind) for s in paper.sections] == [
        ("", "Abstract", 1, "abstract"),
        ("1", "Intro", 1, "section"),
        ("1.1", "Sub", 2, "section"),
        ("", "Thanks", 1, "section"),
        ("A", "More", 1, "appendix"),
        ("", "References", 1, "references"),
    ]


def test_captions_references_and_code_are_marked(paper: Document) -> None:
    assert [caption.label for caption in paper.captions] == [
        "Figure 1",
        "Figure 2",
        "Table 1",
        "Listing 1",
        "Algorithm 1",
    ]
    assert len(paper.references) == 2
    verbatim = [paper.text[span.start : span.end] for span in paper.verbatim]
    assert "x = 1  # \\section{not a section}\ny = 2" in verbatim
    assert "a | b\n1 | 2" in verbatim


def test_what_was_left_out_is_listed(paper: Document) -> None:
    reasons = dropped(paper)
    assert reasons["picture code"] == [r"\draw (0,0) -- (1,1);"]
    assert reasons["note to the title"] == ["For you"]


def test_an_abstract_before_the_document_begins_is_kept(tmp_path: Path) -> None:
    text = article("\\section{A} Body.", "\\begin{abstract}Early.\\end{abstract}")
    document = read(tmp_path, text)
    assert document.text == "Abstract\n\nEarly.\n\n1 A\n\nBody."


def test_without_a_reference_list_the_keys_stay(tmp_path: Path) -> None:
    document = read(tmp_path, article("So \\cite{key1,key2} and \\citet{key3}.\\bibliography{x}"))
    assert document.text == "So [key1; key2] and [key3]."


BIB = """
@article{late, author={Zoe Last and Amy First and X Y}, title={On {LaTeX}}, journal={J. Tex},
  volume=3, number=1, pages={1--9}, year=2001, doi={10.1/x}}
@book{early, author={Knuth, Donald E.}, title={The Art}, publisher={AW}, year={1968}}
@misc{unused, title={Never cited}}
"""


def test_a_bib_file_gives_the_list_of_what_is_cited_in_that_order(tmp_path: Path) -> None:
    body = (
        "See \\cite{late}, \\citet{early}, \\citet{late}, \\citeauthor{early} (\\citeyear{early})."
    )
    document = read(tmp_path, article(body + "\n\\bibliography{refs}"), refs_bib=BIB)
    assert document.text == (
        "See [1], Knuth [2], Last et al. [1], Knuth (1968).\n\nReferences\n\n"
        "[1] Zoe Last, Amy First and X Y. On LaTeX. J. Tex, 3(1), 1-9, 2001. "
        "https://doi.org/10.1/x\n\n"
        "[2] Donald E. Knuth. The Art. AW, 1968."
    )
    assert len(document.references) == 2


def test_a_bbl_file_beside_the_paper_is_its_reference_list(tmp_path: Path) -> None:
    bbl = "\\begin{thebibliography}{1}\n\\bibitem{k}\nD. Knuth. TeX.\n\\end{thebibliography}\n"
    document = read(tmp_path, article("See \\cite{k}.\n\\bibliography{none}"), main_bbl=bbl)
    assert document.text == "See [1].\n\nReferences\n\n[1] D. Knuth. TeX."


def test_a_damaged_bib_file_is_counted_and_the_paper_is_read(tmp_path: Path) -> None:
    document = read(tmp_path, article("So \\cite{k}.\\bibliography{r}"), r_bib="@book{k, title = {")
    assert document.text == "So [k]."
    assert "unreadable bibliography" in dropped(document)


def test_included_files_are_read_and_missing_ones_counted(tmp_path: Path) -> None:
    text = article("\\input{authors}\\input{one}\\include{../outside}")
    document = read(tmp_path, text, one_tex="One.")
    assert document.text == "One."
    assert dropped(document)["include not found"] == ["authors"]
    assert dropped(document)["include outside the folder"] == ["../outside"]


def test_pandoc_reads_no_file_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("SECRET")
    body = (
        "Seen. \\InputIfFileExists{/etc/passwd}{}{} \\lstinputlisting{secret.txt} "
        f"\\verbatiminput{{{tmp_path}/secret.txt}} \\immediate\\write18{{touch {tmp_path}/pwned}}"
    )
    document = read(tmp_path, article(body))
    assert "SECRET" not in document.text
    assert "root:" not in document.text
    assert not (tmp_path / "pwned").exists()


def test_an_environment_pandoc_cannot_read_is_left_out_and_counted(tmp_path: Path) -> None:
    body = "Before.\n\n\\begin{center}\nbad } brace\n\\end{center}\n\nAfter."
    document = read(tmp_path, article(body))
    assert document.text == "Before.\n\nAfter."
    (fault,) = dropped(document)["LaTeX that pandoc cannot read"]
    assert "bad } brace" in fault


def test_a_paper_whose_text_would_vanish_is_damaged_not_short(tmp_path: Path) -> None:
    words = " ".join(f"word{chr(97 + n % 26)}" for n in range(200))
    with pytest.raises(SourceError, match="damaged"):
        read(tmp_path, article(f"Short.\n\n\\begin{{itemize}}\n\\item {words}"))


def test_macros_that_double_themselves_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latex_reader, "MEMORY", "60m")
    macros = "\\def\\a{lol}"
    for old, new in itertools.pairwise("abcdefghij"):
        macros += f"\\def\\{new}{{" + f"\\{old}" * 10 + "}"
    with pytest.raises(SourceError, match="memory"):
        read(tmp_path, article(macros + "\\j"))


def test_a_run_that_takes_too_long_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latex_reader, "SECONDS", 0.0001)
    with pytest.raises(SourceError, match="does not finish"):
        read(tmp_path, article("Text."))


def test_chapters_number_their_figures_and_parts_do_not_restart_them(tmp_path: Path) -> None:
    figure = "\\begin{figure}\\caption{F}\\end{figure}"
    body = f"\\part{{One}}\\chapter{{A}}{figure}{figure}\\section{{S}}T\\part{{Two}}\\chapter{{B}}"
    document = read(
        tmp_path, f"\\documentclass{{book}}\\begin{{document}}{body}{figure}\\end{{document}}"
    )
    assert document.kind == "book"
    assert [document.heading(s) for s in document.sections] == [
        "Part I: One",
        "Chapter 1: A",
        "1.1 S",
        "Part II: Two",
        "Chapter 2: B",
    ]
    assert [s.kind for s in document.sections] == ["part", "chapter", "section", "part", "chapter"]
    assert [c.label for c in document.captions] == ["Figure 1.1", "Figure 1.2", "Figure 2.1"]


def test_a_changed_section_number_and_subfigures_are_followed(tmp_path: Path) -> None:
    preamble = "\\renewcommand\\thesection{S\\arabic{section}}"
    body = (
        "\\section{A}\\subsection{B} See \\ref{b} and \\ref{nowhere}.\n"
        "\\begin{figure}\\subfloat[Left]{\\includegraphics{x}}"
        "\\begin{subfigure}{1cm}\\caption{Right}\\label{b}\\end{subfigure}\\caption{Both}\\end{figure}"
    )
    document = read(tmp_path, article(body, preamble))
    assert [s.number for s in document.sections] == ["S1", "S1.1"]
    assert "See 1b and [nowhere]." in document.text
    assert [c.label for c in document.captions] == ["Figure 1a", "Figure 1b", "Figure 1"]
    assert dropped(document)["reference to nothing"] == ["nowhere"]


def test_old_encodings_and_private_characters_are_read(tmp_path: Path) -> None:
    (tmp_path / "main.tex").write_bytes(article("Caf\xe9 cr\xe8me.").encode("latin-1"))
    (document,) = read_latex(source_of(tmp_path / "main.tex"))
    assert document.text == "Café crème."
    assert read(tmp_path, article("A\ue0000\ue001B")).text == "A0B"


def test_a_licence_address_is_taken_when_there_is_one(tmp_path: Path) -> None:
    url = "\\url{https://creativecommons.org/licenses/by/4.0/}"
    assert read(tmp_path, article(url)).license == "CC-BY-4.0"
    other = "\\url{https://creativecommons.org/licenses/by-nc/4.0/}"
    assert read(tmp_path, article(url + other)).license is None


def test_a_latex_file_with_nothing_to_print_is_empty(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="empty"):
        read(tmp_path, "\\newcommand{\\x}{y}")


def test_rewriting_a_hostile_text_takes_linear_time() -> None:
    for piece in (
        "\\begin{figure}",
        "\\caption{",
        "\\subfloat[x]{",
        "\\bibitem[{",
        "\\begin{verbatim}",
        "{",
        "\\verb|",
        "\\begin{algorithm}\\caption{",
        "\\begin{tabu}{",
        "[",
        "\\If{{",
    ):
        prepare(piece * (400_000 // len(piece)))


def test_braces_are_matched_as_tex_does() -> None:
    assert group_end("{a{b}\\}c}d", 0) == 9
    assert group_end("{never", 0) == -1


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Lamport(1986)", ("Lamport", "1986")),
        ("Lamport et~al.(1986a)Lamport, Knuth", ("Lamport et al.", "1986")),
        ("KP81", ("", "")),
        ("", ("", "")),
    ],
)
def test_natbib_labels_give_authors_and_year(label: str, said: tuple[str, str]) -> None:
    assert of_label(label) == said


def test_a_work_without_anything_is_no_entry() -> None:
    assert entry_of({"id": "x"}).text == ""
    assert entry_of({"id": "x", "title": "<i>Only</i> a title"}).text == "Only a title."


def shared(name: str) -> Document:
    if not SHARED.is_dir():
        pytest.skip("the shared papers are not on this machine")
    (document,) = read_source(source_of(SHARED / name))
    return document


def test_the_yellow_paper_comes_out_whole() -> None:
    document = shared("ethereum_yellowpaper.tex")
    assert document.author == "Dr. Gavin Wood"
    numbered = [s.number for s in document.sections if s.level == 1]
    assert numbered == ["", *map(str, range(1, 18)), *"ABCDEFGHIJKL"]
    words = re.findall(r"[A-Za-z]{4,}", (SHARED / "ethereum_yellowpaper.tex").read_text())
    assert len(document.text.split()) > 0.7 * len(words)
    assert "0x39 | CODECOPY | 3 | 0 | Copy code running in current environment" in document.text
    assert "\ue000" not in document.text


def test_the_scipy_paper_keeps_its_abstract_its_captions_and_its_keys() -> None:
    document = shared("scipy_1.0_paper.tex")
    abstract = document.section_of("abstract")
    assert abstract is not None
    assert document.text[abstract.body :].startswith("SciPy is an open source scientific")
    assert [c.label for c in document.captions] == [f"Figure {n}" for n in range(1, 5)] + [
        "Table 1"
    ]
    assert dropped(document)["include not found"][0] == "core-dev"


def test_the_sympy_paper_is_one_document_out_of_its_parts(tmp_path: Path) -> None:
    document = shared("sympy_paper/paper.tex")
    top = [s.title for s in document.sections if s.level == 1]
    assert top == [
        "Abstract",
        "Introduction",
        "Overview of Capabilities",
        "Numerics",
        "Physics Submodule",
        "Architecture",
        "Projects that Depend on SymPy",
        "Conclusion and Future Work",
    ]
    shutil.copy(SHARED / "sympy_paper" / "paper.tex", tmp_path)  # without its parts
    (alone,) = read_latex(source_of(tmp_path / "paper.tex"))
    assert [s.title for s in alone.sections if s.level == 1] == top
    assert len(dropped(alone)["include not found"]) == 8
