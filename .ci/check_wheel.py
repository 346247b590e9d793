"""Is what we publish what we wrote? Compares a wheel and an sdist with the files in the repository.

    python .ci/check_wheel.py dist

A wheel holds exactly the four packages, each with all its files and nothing else. (Packaging tools
obey .gitignore: one line `data/` there would drop longdata from the wheel without a word.)
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from configparser import ConfigParser
from email.parser import HeaderParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {  # import name -> where it lies in the repository
    "longqa": "longqa",
    "longdata": "data/longdata",
    "longtune": "finetune/longtune",
    "longeval": "eval/longeval",
}
COMMANDS = {
    "longdata": "longdata.cli:main",
    "longeval": "longeval.cli:main",
    "longqa": "longqa.cli:main",
    "longtune": "longtune.cli:main",
}
MUST_HAVE = ("longqa/report_page/",)  # data files without which a command fails
NEVER_CORE = ("torch", "transformers", "nvidia", "flash-attn", "ray", "gradio", "datasets")


def repository_files() -> set[str]:
    """Files of the repository, committed or about to be, that .gitignore does not name."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).is_file()}


def difference(what: str, expected: set[str], found: set[str]) -> list[str]:
    """One line for each file that is missing or too many."""
    missing = [f"{what} lacks {name}" for name in sorted(expected - found)]
    return missing + [f"{what} should not hold {name}" for name in sorted(found - expected)]


def wheel_faults(path: Path, files: set[str], version: str) -> list[str]:
    """What is wrong with a wheel, one line each."""
    info = f"longqa-{version}.dist-info"
    expected = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    expected.add(f"{info}/licenses/LICENSE")
    for package, folder in PACKAGES.items():
        expected |= {
            f"{package}/{name.removeprefix(folder + '/')}"
            for name in files
            if name.startswith(folder + "/")
        }
        expected.add(f"{package}/py.typed")
    with zipfile.ZipFile(path) as wheel:
        found = set(wheel.namelist())
        faults = difference(path.name, expected, found)
        faults += [
            f"{path.name} has nothing under {folder}"
            for folder in MUST_HAVE
            if not any(name.startswith(folder) for name in found)
        ]
        if faults:
            return faults
        if wheel.read(f"{info}/licenses/LICENSE") != (ROOT / "LICENSE").read_bytes():
            faults.append("the wheel's LICENSE is not the repository's")
        scripts = ConfigParser()
        scripts.read_string(wheel.read(f"{info}/entry_points.txt").decode())
        if {name: dict(scripts[name]) for name in scripts.sections()} != {
            "console_scripts": COMMANDS
        }:
            faults.append(f"the wheel's commands are not {COMMANDS}")
        metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())
    core = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    faults += [f"the core needs {line}" for line in core if line.startswith(NEVER_CORE)]
    if metadata["License-Expression"] != "Apache-2.0":
        faults.append(f"the wheel's licence is {metadata['License-Expression']}")
    return faults


def sdist_faults(path: Path, files: set[str], version: str) -> list[str]:
    """What is wrong with a source distribution, one line each."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["only-include"]
    always = {"pyproject.toml", "README.md", "LICENSE", ".gitignore"}
    expected = {
        name
        for name in files
        if name in always or any(name == i or name.startswith(i + "/") for i in included)
    }
    expected.add("PKG-INFO")
    with tarfile.open(path) as archive:
        found = {
            member.name.removeprefix(f"longqa-{version}/")
            for member in archive.getmembers()
            if member.isfile()
        }
    return difference(path.name, expected, found)


def main(folder: str) -> int:
    """Check the one wheel and the one sdist in `folder`; 1 when anything is wrong."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    names = sorted(path.name for path in Path(folder).iterdir())
    expected = [f"longqa-{version}-py3-none-any.whl", f"longqa-{version}.tar.gz"]
    if names != expected:
        print(f"{folder} holds {names}, not {expected}", file=sys.stderr)
        return 1
    files = repository_files()
    faults = wheel_faults(Path(folder, expected[0]), files, version)
    faults += sdist_faults(Path(folder, expected[1]), files, version)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{expected[0]} holds {', '.join(PACKAGES)} and nothing else; the sdist is complete")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python .ci/check_wheel.py DIST_FOLDER")
    sys.exit(main(sys.argv[1]))
