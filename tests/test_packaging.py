"""The house keeps its promises: light imports, one direction, versions that were really tested."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import longqa

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "longqa": ROOT / "longqa",
    "longdata": ROOT / "data" / "longdata",
    "longtune": ROOT / "finetune" / "longtune",
    "longeval": ROOT / "eval" / "longeval",
}
MAY_IMPORT = {  # longdata <- longqa, longdata <- longtune <- longeval
    "longdata": set[str](),
    "longqa": {"longdata"},
    "longtune": {"longdata"},
    "longeval": {"longdata", "longtune"},
}
HEAVY = {
    "accelerate",
    "datasets",
    "lm_eval",
    "mistral_common",
    "numpy",
    "nupunkt",
    "pandas",
    "peft",
    "pyarrow",
    "pypdfium2",
    "tokenizers",
    "torch",
    "transformers",
}
NOT_CORE = {
    "accelerate",
    "bitsandbytes",
    "datasets",
    "deepspeed",
    "flash_attn",
    "gigatoken",
    "gradio",
    "jinja2",
    "lm_eval",
    "pandas",
    "peft",
    "ray",
    "safetensors",
    "torch",
    "transformers",
}
# Classes of an optional library are subclassed there; what imports it has asked for the library.
SUBCLASSES = {"finetune/longtune/trainer.py"}
# Where a distribution's import name is not its own name in lower case with underscores.
IMPORT_NAMES = {
    "markdown-it-py": "markdown_it",
    "pillow": "PIL",
    "pypandoc-binary": "pypandoc",
    "pyyaml": "yaml",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _modules(package: str) -> Iterator[Path]:
    return FOLDERS[package].rglob("*.py")


def _imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Top names of the modules a file imports, anywhere in it or at its top level only.

    A package whose files are used without importing it counts as well: find_spec("name").
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(tree.body) if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path.name}: imports are absolute in this project"
            names.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("find_spec"):
            names.update(str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))
    return names


def _loaded_by(*arguments: str) -> set[str]:
    """Top names of the modules a fresh Python loads, by its own import log."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    lines = (line for line in answer.stderr.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("package", FOLDERS)
def test_every_package_is_typed_and_imports_nothing_heavy(package: str) -> None:
    assert (FOLDERS[package] / "py.typed").is_file()
    loaded = _loaded_by("-c", f"import {package}")
    assert package in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("package", FOLDERS)
def test_imports_point_one_way(package: str) -> None:
    forbidden = set(FOLDERS) - MAY_IMPORT[package] - {package}
    for path in _modules(package):
        assert _imported(path) & forbidden == set(), path


def test_the_help_text_comes_without_a_heavy_library() -> None:
    script = "import sys; from longqa.cli import main; sys.argv = ['longqa', '--help']; main()"
    loaded = _loaded_by("-c", script)
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_every_command_module_keeps_heavy_imports_inside_its_functions() -> None:
    command_modules = [path for package in FOLDERS for path in _modules(package)]
    command_modules = [path for path in command_modules if path.name == "cli.py"]
    assert command_modules
    for path in command_modules:
        assert _imported(path, top_level_only=True) & HEAVY == set(), path


@pytest.mark.parametrize("package", FOLDERS)
def test_no_package_needs_an_optional_library_to_be_imported(package: str) -> None:
    for path in _modules(package):
        if path.relative_to(ROOT).as_posix() not in SUBCLASSES:
            assert _imported(path, top_level_only=True) & NOT_CORE == set(), path


def test_the_core_depends_on_what_it_imports_and_on_nothing_else() -> None:
    distributions = [Requirement(line).name for line in PROJECT["dependencies"]]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in distributions}
    imported: set[str] = set()
    for package in FOLDERS:
        for path in _modules(package):
            imported |= _imported(path)
    imported -= set(sys.stdlib_module_names) | set(FOLDERS) | NOT_CORE
    assert imported == declared


def test_the_core_brings_no_optional_library() -> None:
    core = {Requirement(line).name.replace("-", "_") for line in PROJECT["dependencies"]}
    assert core & NOT_CORE == set()


def test_every_range_has_a_lower_bound_that_the_pins_meet() -> None:
    pins = _pins()
    extras = PROJECT["optional-dependencies"]
    own = {"longqa[eval,fast,finetune,ray]"}
    assert own <= set(extras["dev"])
    installed = [
        line for name in ("dev", "eval", "fast", "finetune", "ray") for line in extras[name]
    ]
    for line in [*PROJECT["dependencies"], *installed]:
        if line in own:
            continue
        requirement = Requirement(line)
        assert any(part.operator == ">=" for part in requirement.specifier), line
        assert requirement.specifier.contains(pins[requirement.name]), line


def test_constraints_hold_versions_and_nothing_of_the_machine_they_were_made_on() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][A-Za-z0-9.]*", line) for line in pins)
    assert len(pins) == len(_pins())
    assert "longqa" not in _pins()


def test_the_version_is_the_same_everywhere() -> None:
    assert longqa.__version__ == PROJECT["version"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_all_is_every_extra_that_needs_no_gpu_toolchain() -> None:
    extras = PROJECT["optional-dependencies"]
    (line,) = extras["all"]
    assert Requirement(line).extras == set(extras) - {"all", "dev", "flash", "qlora"}


def test_every_command_points_at_a_module_that_is_there() -> None:
    assert PROJECT["scripts"]
    for target in PROJECT["scripts"].values():
        module, _, function = target.partition(":")
        package, _, rest = module.partition(".")
        path = FOLDERS[package] / f"{rest.replace('.', '/')}.py"
        defined = {
            node.name
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef)
        }
        assert function in defined


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    home = re.compile(r"(?<![\w.:/-])/(?:root|work|workspace|Users)/\w")
    found = []
    for name in _text_files():
        text = (ROOT / name).read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {match.group()}" for match in home.finditer(text)]
    assert found == []


def _text_files() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: no list of the project's own files")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    binary = {".epub", ".gz", ".jpg", ".parquet", ".pdf", ".png", ".webp", ".zip", ".zst"}
    names = [name for name in listed.stdout.split("\0") if name]
    return [name for name in names if Path(name).suffix not in binary and (ROOT / name).is_file()]
