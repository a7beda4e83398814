"""Runs the binary over each project in `fixtures/` and compares what it prints with `expected.json` beside it.

Keys of `expected.json`, each of them optional:

    calls, imports, inherits   the adjacency form of `graph ... --format json`; `calls` with externals, the others without.
                               In `inherits` a class without bases may be left out.
    symbols                    definitions, exactly, of each file that is named (classes, functions, methods, lambdas by
                               path, kind, qualname, line; a null qualname matches any), and variables, which must be there
    symbols_at_least           definitions that must be there
    call_status                one call site: the status it must have
    import_kinds               one import: the kind it must have
    syntax_errors              the files with syntax errors: these and no others

In every fixture each Python file must be accounted for.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from harness import ROOT, Checks, Pydebug, Trouble, find_binary, import_kinds, parser, python_files, relative

DEFINITIONS = {"class", "function", "method", "lambda"}


def named(record: dict[str, Any], qualname: str | None) -> bool:
    """Whether a record has this name; records may put the module before it."""
    if qualname is None:
        return True
    shown = record.get("qualname", "")
    return shown == qualname or (shown.endswith("." + qualname) and shown[: -len(qualname) - 1] in modules_of(record["path"]))


def modules_of(path: str) -> set[str]:
    """The names that the module of a file can have: `a/b.py` is `a.b`, `b` (below a source root), or `a.b@a/b.py`."""
    parts = path.rsplit(".", 1)[0].split("/")
    if parts[-1] == "__init__":
        parts.pop()
    names = {".".join(parts[start:]) for start in range(len(parts))}
    return names | {f"{name}@{path}" for name in names}


def show(record: dict[str, Any]) -> str:
    return f"{record['path']}:{record.get('line')} {record['kind']} {record.get('qualname')}"


class Fixture:
    """One project, its expectations and the run over it."""

    def __init__(self, folder: Path, pydebug: Pydebug, cache: Path, checks: Checks) -> None:
        self.folder, self.pydebug, self.cache, self.checks = folder, pydebug, cache, checks
        self.expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))

    def check(self, holds: bool, otherwise: str) -> None:
        self.checks.check(holds, f"{self.folder.name}: {otherwise}")

    def run(self) -> None:
        known = {"calls", "imports", "inherits", "symbols", "symbols_at_least", "call_status", "import_kinds", "syntax_errors"}
        if unknown := set(self.expected) - known:
            raise Trouble(f"`{self.folder.name}/expected.json` has unknown keys: {', '.join(sorted(unknown))}")
        self.files()
        for what in ("calls", "imports", "inherits"):
            if what in self.expected:
                self.adjacency(what)
        if self.expected.keys() & {"symbols", "symbols_at_least", "call_status", "import_kinds"}:
            self.records()

    def files(self) -> None:
        report = self.pydebug.analyze(self.folder, self.cache)
        by_path = {relative(entry["path"], self.folder): entry for entry in report["files"]}
        self.check(sorted(by_path) == python_files(self.folder),
                   f"files are not those of the folder: {sorted(set(by_path) ^ set(python_files(self.folder)))}")
        if "syntax_errors" in self.expected:
            wrong = {path for path, entry in by_path.items() if entry.get("parse_errors")}
            self.check(wrong == set(self.expected["syntax_errors"]),
                       f"syntax errors in {sorted(wrong)}, expected in {self.expected['syntax_errors']}")
            for path in sorted(wrong):
                error = by_path[path]["parse_errors"][0]
                self.check(error.keys() >= {"line", "column", "message"} and error["line"] >= 1,
                           f"a syntax error of `{path}` lacks line, column or message: {error}")

    def adjacency(self, what: str) -> None:
        more = [] if what == "calls" else ["--no-external"]
        found, expected = self.pydebug.graph(what, self.folder, self.cache, *more), self.expected[what]
        if what == "inherits":
            found, expected = ({k: v for k, v in graph.items() if v} for graph in (found, expected))
        for name in sorted(found.keys() | expected.keys()):
            if name not in found:
                self.check(False, f"{what} of `{name}` are missing")
            elif name not in expected:
                self.check(False, f"{what} of `{name}`, which should not be there: {found[name]}")
            else:
                extra, lost = set(found[name]) - set(expected[name]), set(expected[name]) - set(found[name])
                self.check(not extra and not lost, f"{what} of `{name}`: extra {sorted(extra)}, missing {sorted(lost)}")
                self.check(len(found[name]) == len(set(found[name])), f"{what} of `{name}` repeat a name: {found[name]}")

    def records(self) -> None:
        by_path: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in self.pydebug.records(self.folder, self.cache, DEFINITIONS | {"variable", "import", "call_site"}):
            by_path[record["path"]].append(record)
        self.symbols(by_path)
        for wanted in self.expected.get("symbols_at_least", []):
            self.present(by_path[wanted["path"]], wanted)
        for wanted in self.expected.get("call_status", []):
            shown = {str(r.get("status")) for r in by_path[wanted["path"]] if r["kind"] == "call_site" and r["line"] == wanted["line"]}
            self.check(wanted["status"] in shown, f"calls at {wanted['path']}:{wanted['line']} are {sorted(shown)}, expected {wanted['status']}")
        for wanted in self.expected.get("import_kinds", []):
            here = [r for r in by_path[wanted["path"]] if r["kind"] == "import" and r["line"] == wanted["line"]]
            shown = set().union(*map(import_kinds, here))
            holds = bool(here) and not shown - {"runtime"} if wanted["kind"] == "runtime" else wanted["kind"] in shown
            self.check(holds, f"imports at {wanted['path']}:{wanted['line']} are {sorted(shown)}, expected {wanted['kind']}")

    def present(self, records: list[dict[str, Any]], wanted: dict[str, Any]) -> None:
        found = any(r["kind"] == wanted["kind"] and r["line"] == wanted["line"] and named(r, wanted["qualname"]) for r in records)
        near = [show(r) for r in records if r["line"] == wanted["line"]]
        self.check(found, f"no {show(wanted)}; that line has {near}")

    def symbols(self, by_path: dict[str, list[dict[str, Any]]]) -> None:
        wanted = self.expected.get("symbols", [])
        for entry in wanted:
            self.present(by_path[entry["path"]], entry)
        for path in sorted({entry["path"] for entry in wanted}):
            def count(entries: list[dict[str, Any]]) -> Counter[tuple[str, int]]:
                return Counter((e["kind"], e["line"]) for e in entries if e["path"] == path and e["kind"] in DEFINITIONS)
            extra = count(by_path[path]) - count(wanted)
            self.check(not extra, f"`{path}` has definitions that are not expected: {sorted(extra)}")


def main() -> int:
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("fixtures", nargs="*", help="names of folders in fixtures/ (all of them unless given)")
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks(shown=60)
    folders = sorted(path.parent for path in (ROOT / "fixtures").glob("*/expected.json"))
    if unknown := set(arguments.fixtures) - {folder.name for folder in folders}:
        sys.exit(f"error: no fixture `{min(unknown)}`: there are {', '.join(folder.name for folder in folders)}")
    for folder in folders:
        if arguments.fixtures and folder.name not in arguments.fixtures:
            continue
        with tempfile.TemporaryDirectory() as cache:
            try:
                Fixture(folder, pydebug, Path(cache), checks).run()
            except (Trouble, KeyError) as error:
                checks.check(False, f"{folder.name}: {error!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
