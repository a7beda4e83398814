"""Compares the cyclomatic complexity of every function with radon's, and fails below a share of equal ones.

Functions are matched by path, line of the `def` and name; closures and functions in local classes count too (radon's
command line leaves the latter out, its visitor measures them). Line metrics of files are reported beside, not judged.
"""

from __future__ import annotations

import ast
import multiprocessing
import sys
import tempfile
import unicodedata
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from harness import Checks, Pydebug, Trouble, find_binary, parser, python_files

try:
    from radon.raw import analyze as radon_lines
    from radon.visitors import ComplexityVisitor
except ImportError:
    sys.exit("error: no radon for this Python: `pip install radon==6.0.1`, or run scripts/test")

Function = ast.FunctionDef | ast.AsyncFunctionDef
# Radon tokenizes a long string again for each of its lines: larger files take it minutes.
LINES_UP_TO = 100_000
# Our field of a file record, and radon's name for the same.
LINE_METRICS = {"lines": "loc", "source_lines": "sloc", "comment_lines": "comments", "blank_lines": "blank"}


def names(qualname: str) -> set[str]:
    """What may stand after `def`: for `C.size.setter` that is `size` or `setter`, for `size#1` it is `size`."""
    parts = [part.split("#")[0] for part in qualname.split(".")]
    return set(parts[-2:]) if parts[-1] in ("setter", "deleter") else {parts[-1]}


def explain(function: Function) -> str:
    """What in the function is known to be counted in more than one way."""
    classes = {
        "match statement": (ast.Match,),
        "except*": (getattr(ast, "TryStar", ast.Match),),
        "class in function": (ast.ClassDef,),
        "closure": (ast.FunctionDef, ast.AsyncFunctionDef),
        "lambda": (ast.Lambda,),
        "comprehension": (ast.comprehension,),
        "async for or with": (ast.AsyncFor, ast.AsyncWith),
        "assert": (ast.Assert,),
    }
    inside = [node for node in ast.walk(function) if node is not function]
    return next((name for name, kinds in classes.items() if any(isinstance(n, kinds) for n in inside)), "none of these")


def read(job: tuple[Path, str]) -> tuple[str, list[tuple[int, str, int, str]], dict[str, int]]:
    """(path, functions as (line, name, radon's complexity, explanation class), radon's line metrics)."""
    tree, path = job
    warnings.simplefilter("ignore")
    source = (tree / path).read_bytes()
    try:
        parsed = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return path, [], {}
    functions = []
    for node in ast.walk(parsed):
        if isinstance(node, Function):
            visitor = ComplexityVisitor(off=False)
            visitor.visit(node)
            functions.append((node.lineno, node.name, visitor.functions[0].complexity, explain(node)))
    if len(source) > LINES_UP_TO:
        return path, functions, {}
    try:
        raw = radon_lines(source.decode())
        lines = {name: getattr(raw, name) for name in LINE_METRICS.values()}
    except (SyntaxError, ValueError, IndexError):
        lines = {}
    return path, functions, lines


def check_tree(pydebug: Pydebug, tree: Path, pool: Any, checks: Checks, least: float) -> None:
    found: dict[str, dict[tuple[int, str], int]] = defaultdict(dict)
    ours_by_file: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as cache:
        for record in pydebug.records(tree, Path(cache), {"file", "function", "method"}):
            if record["kind"] == "file":
                ours_by_file[record["path"]] = record
            else:
                for name in names(record["qualname"]):
                    found[record["path"]][record["line"], name] = record["complexity"]
    equal, differences, missing = 0, [], []
    lines_equal: Counter[str] = Counter()
    lines_seen: Counter[str] = Counter()
    for path, functions, lines in pool.imap_unordered(read, [(tree, path) for path in python_files(tree)], chunksize=16):
        for line, name, theirs, why in functions:
            ours = found[path].get((line, unicodedata.normalize("NFKC", name)))
            if ours is None:
                missing.append(f"{path}:{line} {name}")
            elif ours == theirs:
                equal += 1
            else:
                differences.append((why, f"{path}:{line} {name}: {ours} here, {theirs} there"))
        for field, theirs_name in LINE_METRICS.items():
            if lines and field in ours_by_file.get(path, {}):
                lines_seen[field] += 1
                lines_equal[field] += ours_by_file[path][field] == lines[theirs_name]
    total = equal + len(differences) + len(missing)
    share = equal / total if total else 0.0
    print(f"{tree}: {equal} of {total} functions have radon's complexity ({share:.3%}), {len(missing)} are missing")
    for why, count in Counter(why for why, _ in differences).most_common():
        examples = [text for reason, text in differences if reason == why]
        print(f"  {count} differ, with: {why}")
        for text in examples[:5]:
            print(f"    {text}")
    for text in missing[:5]:
        print(f"    missing: {text}")
    for field, seen in lines_seen.items():
        print(f"  {field} = radon's {LINE_METRICS[field]} in {lines_equal[field]} of {seen} files (reported only)")
    checks.check(total > 0 and share >= least, f"{tree}: {share:.3%} of functions have radon's complexity, the bar is {least:.1%}")


def main() -> int:
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("trees", nargs="+", type=Path)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--least", type=float, default=0.999, help="the share that must be equal")
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks()
    with multiprocessing.Pool(arguments.processes) as pool:
        for tree in arguments.trees:
            try:
                check_tree(pydebug, tree.resolve(), pool, checks, arguments.least)
            except Trouble as error:
                checks.check(False, str(error))
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
