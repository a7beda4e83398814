"""Checks on a real tree that the cache always hits where it must, and that no way of running changes the graph.

All files must be hits: on an unchanged tree, after `touch` of every file, in a fresh copy and in a moved tree with the same
cache folder. One graph digest must come out of 1, 2 and 8 threads, of cached, fresh and cacheless runs, and one of each number of threads wherever sets of
values are cut off.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import Checks, Pydebug, Trouble, find_binary, parser, python_files


def check_tree(pydebug: Pydebug, source: Path, checks: Checks) -> None:
    with tempfile.TemporaryDirectory() as made:
        scratch, cache = Path(made), Path(made) / "cache"
        tree = scratch / "one" / "tree"
        shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".cache", ".git"))
        count = len(python_files(tree))
        first = pydebug.analyze(tree, cache)
        digest = first["graph_digest"]

        def compare(report: dict[str, Any], what: str) -> None:
            found = report["graph_digest"]
            checks.check(found == digest, f"{source}: digest {what} is {found}, that of the first run was {digest}")

        def all_hit(report: dict[str, Any], what: str) -> None:
            rate = report["metrics"]["cache_stats"]["hit_rate_percent"]
            missed = [entry["path"] for entry in report["files"] if not entry["cached"]]
            checks.check(rate == 100 and not missed, f"{source}: {what} hits {rate}%, missed {missed[:5]}")
            compare(report, what)

        accounted = len(first["files"])
        checks.check(accounted == count, f"{source}: {accounted} files in the report, {count} in the tree")
        checks.check(not any(entry["cached"] for entry in first["files"]), f"{source}: hits in an empty cache")
        all_hit(pydebug.analyze(tree, cache), "an unchanged tree")
        for path in python_files(tree):
            os.utime(tree / path)
        all_hit(pydebug.analyze(tree, cache), "a tree whose every file was touched")
        all_hit(pydebug.analyze(tree, cache), "the run after that")
        copied = scratch / "two" / "tree"
        shutil.copytree(tree, copied, symlinks=True)
        all_hit(pydebug.analyze(copied, cache), "a fresh copy")
        moved = scratch / "three" / "tree"
        moved.parent.mkdir()
        tree.rename(moved)
        all_hit(pydebug.analyze(moved, cache), "a moved tree")
        for threads in (1, 2, 8):
            compare(pydebug.analyze(moved, scratch / f"fresh{threads}", f"-j{threads}"), f"of a fresh run with -j{threads}")
            compare(pydebug.analyze(moved, cache, f"-j{threads}"), f"of a cached run with -j{threads}")
        compare(pydebug.analyze(moved, None), "with --no-cache")
        check_order(pydebug, moved, checks)
        print(f"{source}: {count} files, digest {digest[:16]}...", flush=True)


def check_order(pydebug: Pydebug, tree: Path, checks: Checks) -> None:
    """Neither the number of threads nor the order in which values arrive may change anything, wherever sets of values are cut off: the tree gets
    a configuration that says where."""
    command = ("analyze", ".", "--output-format", "json", "--no-cache")
    seen = set()
    for values in (8, 32, 64, 200):
        (tree / "pyproject.toml").write_text(f"[tool.pydebug]\ncalls-max-values = {values}\n")
        found = set()
        for threads, order in ((1, {}), (2, {}), (8, {}), (2, {"PYDEBUG_REVERSED": "1"})):
            text = pydebug.run(*command, f"-j{threads}", cwd=tree, more=order)
            found.add(pydebug.decode(text, "analyze --output-format json")["graph_digest"])
        checks.check(len(found) == 1, f"{tree}: 1, 2 and 8 threads and a reversed order give digests {found} with at most {values} values")
        seen |= found
    if len(python_files(tree)) > 500:
        checks.check(len(seen) == 4, f"{tree}: 8, 32, 64 and 200 values give digests {seen}, so that nothing is cut off")


def main() -> int:
    options = parser(__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("trees", nargs="+", type=Path)
    options.add_argument("--order", action="append", default=[], type=Path, help="a tree for which the order of work alone is checked (repeatable)")
    arguments = options.parse_args()
    pydebug, checks = Pydebug(find_binary(arguments.binary)), Checks()
    for tree in arguments.trees:
        try:
            check_tree(pydebug, tree.resolve(), checks)
        except (Trouble, KeyError) as error:
            checks.check(False, f"{tree}: {error!r}")
    for source in arguments.order:
        with tempfile.TemporaryDirectory() as made:
            tree = Path(made) / source.name
            shutil.copytree(source, tree, symlinks=True)
            check_order(pydebug, tree, checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
