"""How many headings the PDF reader finds, against headings marked by hand in five papers.

    python benchmarks/pdf_headings.py [folder with the PDFs]

A heading is found when it stands in the outline with the same letters and digits, in the same
order as on the pages; every other heading in the outline is a wrong one.
"""

from __future__ import annotations

import json
import sys
import time
from difflib import SequenceMatcher
from pathlib import Path

from longdata.readers.pdf import read_pdf
from longdata.sources import Source

MARKED = Path(__file__).with_name("pdf_headings.json")
USUAL = Path(__file__).parents[1] / ".." / "shared" / "data" / "papers" / "pdf"


def letters(heading: str) -> str:
    return "".join(char for char in heading.casefold() if char.isalnum())


def compare(marked: list[str], outline: list[str]) -> tuple[list[str], list[str]]:
    """The marked headings that are missing, and the outline's headings nobody marked."""
    a, b = [letters(x) for x in marked], [letters(x) for x in outline]
    same = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    found = {i for block in same for i in range(block.a, block.a + block.size)}
    right = {i for block in same for i in range(block.b, block.b + block.size)}
    missing = [x for i, x in enumerate(marked) if i not in found]
    return missing, [x for i, x in enumerate(outline) if i not in right]


def main(folder: Path) -> int:
    if not folder.is_dir():
        print(f"nothing measured: no folder {folder.name} here; give the one that holds the PDFs")
        return 0 if folder == USUAL else 1  # without the real papers `make bench` goes on
    marked: dict[str, list[str]] = json.loads(MARKED.read_text(encoding="utf-8"))
    print(f"{'paper':28}{'marked':>8}{'found':>8}{'share':>8}{'wrong':>8}")
    totals = [0, 0, 0]
    for name, headings in marked.items():
        path = folder / name
        if not path.is_file():
            print(f"{name:28}  not in {folder}")
            continue
        document = next(read_pdf(Source(path=path, name=name, sha256="")))
        outline = [document.heading(section) for section in document.sections]
        missing, wrong = compare(headings, outline)
        found = len(headings) - len(missing)
        print(f"{name:28}{len(headings):8}{found:8}{found / len(headings):8.1%}{len(wrong):8}")
        for text in missing:
            print(f"    missing: {text}")
        for text in wrong:
            print(f"    wrong:   {text}")
        totals = [totals[0] + len(headings), totals[1] + found, totals[2] + len(wrong)]
    if totals[0]:
        count, found, bad = totals
        print(f"{'all':28}{count:8}{found:8}{found / count:8.1%}{bad:8}")
        print(f"wrong among the headings given: {bad / max(found + bad, 1):.1%}")
    papers = sorted(folder.glob("*.pdf"))
    pages = _pages(papers)
    start = time.process_time()
    for path in papers:
        list(read_pdf(Source(path=path, name=path.name, sha256="")))
    seconds = time.process_time() - start
    each = seconds / max(pages, 1)
    print(f"speed: {len(papers)} files, {pages} pages, CPU {seconds:.2f} s, {each:.4f} s a page")
    return 0


def _pages(papers: list[Path]) -> int:
    from longdata.readers.pdf_chars import open_pdf

    count = 0
    for path in papers:
        with open_pdf(path) as pages:
            count += len(pages)
    return count


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else USUAL))
