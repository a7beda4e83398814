"""What the check and bench scripts share: finding the binary, running it, reading what it prints, reporting.

Every check script ends with one line `checks: N passed, N failed`, which `scripts/test` adds up.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = (".py", ".pyi", ".pyw")
# Folders that the walk leaves out.
SKIPPED_FOLDERS = {".venv", "node_modules", "__pycache__", ".git", "site-packages", ".cache"}

# Finer kinds of records, by the kind that the checks know them as.
COARSE = {"property": "method", "constant": "variable", "attribute": "variable", "class_variable": "variable",
          "instance_variable": "variable"}


class Trouble(Exception):
    """The binary did not do what it was asked; the text says which command and what it said."""


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the options that every script has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--binary", type=Path, default=None, help="the pydebug to run (else PYDEBUG_BINARY, else the newest in target/)")
    return made


def find_binary(given: Path | None) -> Path:
    """The binary that was asked for, else the one built last."""
    if given is None and os.environ.get("PYDEBUG_BINARY"):
        given = Path(os.environ["PYDEBUG_BINARY"])
    if given is not None:
        if not given.is_file():
            sys.exit(f"error: no binary at `{given}`: build it first, with `cargo build --profile fast`")
        return given.resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for profile in ("release", "fast", "debug") if (path := target / profile / "pydebug").is_file()]
    if not built:
        sys.exit("error: no pydebug below `target/`: build it first, with `cargo build --profile fast`")
    return max(built, key=lambda path: path.stat().st_mtime)


def environment() -> dict[str, str]:
    """This environment without what would configure the binary."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PARSER_", "PYDEBUG_"))} | {"NO_COLOR": "1"}


@dataclass
class Pydebug:
    """One binary and how to run it."""

    path: Path

    def run(self, *arguments: str | Path, cwd: Path, expected: int = 0, more: dict[str, str] | None = None) -> str:
        """Its standard output; `Trouble` where the exit code is not the expected one."""
        command = [str(self.path), *map(str, arguments)]
        done = subprocess.run(command, cwd=cwd, env=environment() | (more or {}), capture_output=True)
        if done.returncode != expected:
            said = done.stderr.decode(errors="replace").strip()[-2000:]
            raise Trouble(f"`{' '.join(command[1:])}` in `{cwd}` gave {done.returncode}, not {expected}: {said}")
        return done.stdout.decode(errors="surrogateescape")

    def analyze(self, tree: Path, cache: Path | None, *more: str) -> dict[str, Any]:
        """The JSON report of one run over `tree`; without a cache folder it runs with `--no-cache`."""
        where = ["--no-cache"] if cache is None else ["--cache-dir", str(cache)]
        text = self.run("analyze", ".", "--output-format", "json", *where, *more, cwd=tree)
        return self.decode(text, "analyze --output-format json")

    def records(self, tree: Path, cache: Path, kinds: set[str]) -> Iterator[dict[str, Any]]:
        """The JSON-lines records of one run over `tree`, of these kinds only."""
        command = [str(self.path), "analyze", ".", "--output-format", "jsonl", "--cache-dir", str(cache)]
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(command, cwd=tree, env=environment(), stdout=subprocess.PIPE, stderr=said)
            assert child.stdout is not None
            for number, line in enumerate(child.stdout, 1):
                try:
                    record = json.loads(line)
                    kind = record["kind"]
                except (ValueError, KeyError, TypeError) as error:
                    child.kill()
                    raise Trouble(f"line {number} of the jsonl of `{tree}` is no record with a kind: {error}") from error
                kind = COARSE.get(kind, kind)
                if kind in kinds:
                    record["kind"] = kind
                    record["path"] = relative(record.get("path"), tree)
                    yield record
            if child.wait() != 0:
                said.seek(0)
                raise Trouble(f"analyze of `{tree}` gave {child.returncode}: {said.read().decode(errors='replace')[-2000:]}")

    def graph(self, what: str, tree: Path, cache: Path, *more: str) -> dict[str, list[str]]:
        """The adjacency form of `graph calls|imports|inherits`."""
        text = self.run("graph", what, ".", "--format", "json", "--cache-dir", cache, *more, cwd=tree)
        return self.decode(text, f"graph {what} --format json")

    @staticmethod
    def decode(text: str, what: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except ValueError as error:
            raise Trouble(f"`{what}` printed no JSON: {error}; it begins {text[:200]!r}") from error
        if not isinstance(found, dict):
            raise Trouble(f"`{what}` printed no JSON object: it begins {text[:200]!r}")
        return found


def relative(path: str | None, tree: Path) -> str:
    """A path of a record, relative to the tree and with forward slashes."""
    if path is None:
        return ""
    if os.path.isabs(path):
        path = os.path.relpath(path, tree.resolve())
    return os.path.normpath(path).replace(os.sep, "/")


def import_kinds(record: dict[str, Any]) -> set[str]:
    """How an import record says that it is imported: `import_kind` is one of the names or a list of them."""
    said = record.get("import_kind") or []
    names = [said] if isinstance(said, str) else said
    return {{"local": "function_local", "function": "function_local"}.get(name, name) for name in (n.replace("-", "_") for n in names)}


def python_files(tree: Path) -> list[str]:
    """Every Python source below `tree` that the walk should find, relative to it, sorted."""
    found = []
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
        found += [os.path.join(folder, name) for name in files if name.endswith(SUFFIXES)]
    return sorted(os.path.relpath(name, tree).replace(os.sep, "/") for name in found)


@dataclass
class Checks:
    """Counts what held and what did not, and shows the first of what did not."""

    shown: int = 20
    passed: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, holds: bool, otherwise: str) -> bool:
        """Counts one; a failure is shown at once."""
        if holds:
            self.passed += 1
        else:
            self.failures.append(otherwise)
            if len(self.failures) <= self.shown:
                print(f"FAILED {otherwise}", flush=True)
            elif len(self.failures) == self.shown + 1:
                print("FAILED ... (further failures are only counted)", flush=True)
        return holds

    def finish(self) -> int:
        """Prints the count; the exit code."""
        print(f"checks: {self.passed} passed, {len(self.failures)} failed", flush=True)
        return 1 if self.failures else 0
