"""Compares definitions, imports and explicit calls of every file with what CPython's own `ast` module sees.

For each tree: every Python source must be in the output, and in every file that this CPython compiles the lines of all
classes, functions, lambdas, imports (one for each name) and calls must be equal, as multisets.
A definition's line is that of its `def` or `class`, an import's that of the statement, a call's that of where the call
expression starts. CPython below 3.12 gives wrong lines inside f-strings: there only the number is compared.
"""

from __future__ import annotations

import ast
import multiprocessing
import sys
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from harness import Checks, Pydebug, Trouble, find_binary, import_kinds, parser, python_files

# Kinds of records, by what they are compared as.
KINDS = {"class": "class", "function": "function", "method": "function", "lambda": "lambda", "import": "import", "call_site": "call"}
FSTRING_LINES_ARE_WRONG = sys.version_info < (3, 12)


class Reader:
    """Collects the lines; those inside f-strings apart where they can't be trusted."""

    def __init__(self) -> None:
        self.lines: dict[str, Counter[int]] = defaultdict(Counter)
        self.inside_fstrings: Counter[str] = Counter()

    def read(self, tree: ast.AST) -> None:
        # By hand: the visitor of the standard library recurses, and long chains of operators overflow it.
        waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
        while waiting:
            node, inside = waiting.pop()
            inside = inside or (FSTRING_LINES_ARE_WRONG and isinstance(node, ast.JoinedStr))
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self.lines["function"][node.lineno] += 1
                case ast.ClassDef():
                    self.lines["class"][node.lineno] += 1
                case ast.Import() | ast.ImportFrom():
                    self.lines["import"][node.lineno] += len(node.names)
                case ast.Lambda() | ast.Call():
                    kind = "lambda" if isinstance(node, ast.Lambda) else "call"
                    if inside:
                        self.inside_fstrings[kind] += 1
                    else:
                        self.lines[kind][node.lineno] += 1
            waiting.extend((child, inside) for child in ast.iter_child_nodes(node))


def compiles(source: bytes) -> bool:
    """Whether CPython takes the file to the end: `ast.parse` lets some errors through."""
    try:
        compile(source, "<file>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True


def compare(job: tuple[Path, str, dict[str, list[int]]]) -> tuple[str, str | None, Counter[str]]:
    """(path, what differs or None, totals); the totals are empty where CPython can't read the file."""
    tree, path, found = job
    source = (tree / path).read_bytes()
    warnings.simplefilter("ignore")
    try:
        parsed = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return path, None, Counter()
    reader = Reader()
    reader.read(parsed)
    differences, totals = [], Counter({"files": 1})
    for kind in sorted(set(KINDS.values())):
        ours, theirs = Counter(found.get(kind, [])), reader.lines[kind]
        unplaced = reader.inside_fstrings[kind]
        extra, lost = ours - theirs, theirs - ours
        totals[kind] = theirs.total() + unplaced
        if lost or extra.total() != unplaced:
            differences.append(f"{kind}: {ours.total()} here, {totals[kind]} there; lines only here {few(extra)}, only there {few(lost)}"
                               + (f" ({unplaced} in f-strings)" if unplaced else ""))
    if differences and not compiles(source):
        return path, None, Counter()
    return path, "; ".join(differences) or None, totals


def few(lines: Counter[int]) -> str:
    shown = sorted(lines.elements())
    return str(shown[:6])[:-1] + (", ...]" if len(shown) > 6 else "]")


def check_tree(pydebug: Pydebug, tree: Path, pool: Any, checks: Checks) -> None:
    found: dict[str, dict[str, list[int]]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for record in pydebug.records(tree, Path(cache), {"file", *KINDS}):
            lines = found.setdefault(record["path"], {})
            # `importlib.import_module("literal")` is an import for us and only a call for CPython.
            if record["kind"] in KINDS and "string" not in import_kinds(record):
                lines.setdefault(KINDS[record["kind"]], []).append(record["line"])
    files = python_files(tree)
    checks.check(set(found) == set(files), f"{tree}: files only here {sorted(set(found) - set(files))[:5]}, only there {sorted(set(files) - set(found))[:5]}")
    totals: Counter[str] = Counter()
    for path, difference, counted in pool.imap_unordered(compare, [(tree, path, found.get(path, {})) for path in files], chunksize=16):
        totals += counted
        if counted or difference:
            checks.check(difference is None, f"{tree / path}: {difference}")
    print(f"{tree}: {totals['files']} of {len(files)} files compared: {totals['class']} classes, {totals['function']} functions, "
          f"{totals['lambda']} lambdas, {totals['import']} imports, {totals['call']} calls", flush=True)


def main() -> int:
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("trees", nargs="+", type=Path)
    options.add_argument("--processes", type=int, default=2)
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks()
    with multiprocessing.Pool(arguments.processes) as pool:
        for tree in arguments.trees:
            try:
                check_tree(pydebug, tree.resolve(), pool, checks)
            except Trouble as error:
                checks.check(False, str(error))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
