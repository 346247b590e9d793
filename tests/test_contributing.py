"""The worked examples of CONTRIBUTING.md do what they say: they are written out, added and run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Which dict of which file the lines of an example belong to, by the sentence before them.
_DICTS = {
    "READERS": "data/longdata/readers/__init__.py",
    "MAKERS": "longqa/kinds/__init__.py",
    "KINDS": "longqa/questions.py",
    "PHRASINGS": "longqa/phrasings.py",
}
_BLOCK = re.compile(
    r"(?P<before>[^\n]*(?:\n[^\n`][^\n]*)*)\n\n```python\n(?P<code>.*?)```", re.DOTALL
)
_FILE = re.compile(r"`([\w/]+\.py)`")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the four packages with the three examples added, as a contributor would."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in ("longqa", "data/longdata", "finetune/longtune", "eval/longeval"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "tests").mkdir()
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        before, code = match["before"], match["code"]
        if whole := _FILE.fullmatch(before):
            (root / whole[1]).write_text(code, encoding="utf-8")
        for name, file in _DICTS.items():
            if f"`{name}`" in before:
                _add(root / file, name, code)
    makers = root / "longqa/kinds/__init__.py"
    imported = "from longqa.kinds.openings import opening\n\nMaker ="
    makers.write_text(
        makers.read_text(encoding="utf-8").replace("\nMaker =", imported, 1), encoding="utf-8"
    )
    return root


def _add(file: Path, name: str, lines: str) -> None:
    """Puts lines at the head of the dict literal that is called `name`."""
    text, count = re.subn(
        rf"(?m)^({name}\b[^=]*= \{{\n)", lambda m: m[1] + lines, file.read_text(encoding="utf-8")
    )
    assert count == 1, f"{file.name} defines {name} {count} times"
    file.write_text(text, encoding="utf-8")


def _run(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=checkout, capture_output=True, text=True
    )


def test_the_examples_pass_their_own_tests(checkout: Path) -> None:
    answer = _run(checkout, "pytest", "-p", "no:cacheprovider", "tests")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert (
        "6 passed" in answer.stdout
    )  # two of the reader, one of the kind, three of the evaluation


def test_the_examples_keep_the_rules_of_style(checkout: Path) -> None:
    examples = [
        "data/longdata/readers/subtitles.py",
        "longqa/kinds/openings.py",
        "eval/longeval/needles.py",
    ]
    answer = _run(checkout, "ruff", "check", "--no-cache", *examples, "tests")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    answer = _run(checkout, "ruff", "format", "--no-cache", "--check", *examples)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_new_kind_is_known_everywhere(checkout: Path) -> None:
    script = (
        "from longqa.kinds import MAKERS; from longqa.questions import KINDS; "
        "print(set(MAKERS) == set(KINDS), 'opening' in MAKERS)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = ['.', 'data']; {script}"],
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split() == ["True", "True"], answer.stderr
