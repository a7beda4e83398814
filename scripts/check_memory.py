"""Analyzes many copies of real packages in a memory control group: the run completes, and gives the graph that it gives without one.

Each copy is made distinct by a header comment and by the name of its top package, in its folder and in its imports, so that no two
files share facts and every copy links within itself. After a cold run in the group come, in the same group, a warm one, its JSON
report and two graphs. A group is made where that is allowed, for version 1 or 2 of control groups; else everything is skipped, loudly.

The small version that `scripts/test` runs: `check_memory.py TREE --copies 2 --limit 96`. The bar: `check_memory.py TREE... --copies 92
--limit 128 --keep FOLDER`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import Checks, environment, find_binary, parser, python_files

MB = 1 << 20
V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class Group:
    """A control group with a limit of memory, page cache included."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.one = (folder / "memory.limit_in_bytes").exists()
        (folder / ("memory.limit_in_bytes" if self.one else "memory.max")).write_text(str(limit))
        if not self.one and (folder / "memory.swap.max").exists():
            (folder / "memory.swap.max").write_text("0")

    def enter(self) -> None:
        """To be called in the child: it and what it becomes belong to the group."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def peak(self) -> int | None:
        """The most that the group had, bytes."""
        file = self.folder / ("memory.max_usage_in_bytes" if self.one else "memory.peak")
        return int(file.read_text()) if file.exists() else None


@contextmanager
def group(limit: int) -> Iterator[Group | None]:
    """A group of our own, removed afterwards; none where it can't be made."""
    name = f"pydebug-{os.getpid()}"
    folder = None
    for parent in (V1, V2):
        wanted = "memory.limit_in_bytes" if parent == V1 else "memory.max"
        try:
            (parent / name).mkdir()
        except OSError:
            continue
        if (parent / name / wanted).exists():
            folder = parent / name
            break
        (parent / name).rmdir()
    if folder is None:
        yield None
        return
    try:
        yield Group(folder, limit)
    except OSError as error:
        print(f"the group can't be limited: {error}")
        yield None
    finally:
        folder.rmdir()


def packages(tree: Path) -> set[bytes]:
    """Names at the top of a tree that imports in it may begin with."""
    return {entry.name.encode() for entry in tree.iterdir() if entry.is_dir() and (entry / "__init__.py").exists()}


def renamed(text: bytes, names: set[bytes], suffix: bytes) -> bytes:
    """The text with the packages of these names renamed where they are imported."""
    if not names:
        return text
    either = b"|".join(sorted(names, key=len, reverse=True))
    return re.sub(rb"(?m)^([ \t]*(?:from|import)[ \t]+)(" + either + rb")\b", rb"\g<1>\g<2>" + suffix, text)


def make(sources: list[Path], tree: Path, copies: int) -> tuple[int, int]:
    """Makes so many copies, of one source after the other. Gives the number of files and bytes."""
    files = size = 0
    listed = {source: python_files(source) for source in sources}
    for number in range(copies):
        source = sources[number % len(sources)]
        suffix = f"_{number:03}"
        names = packages(source)
        for name in listed[source]:
            first, slash, rest = name.partition("/")
            if slash and first.encode() in names:
                target = tree / (first + suffix) / rest
            else:
                target = tree / (source.name + suffix) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            text = f"# copy {number}\n".encode() + renamed((source / name).read_bytes(), names, suffix.encode())
            target.write_bytes(text)
            files += 1
            size += len(text)
    return files, size


class Runner:
    """Runs the binary over the tree, in a group or not."""

    def __init__(self, binary: Path, tree: Path, checks: Checks) -> None:
        self.binary, self.tree, self.checks = binary, tree, checks

    def run(self, what: str, arguments: list[str], within: Group | None, output: Path | None = None) -> bool:
        """One run; tells how long it took and what it had at most."""
        command = [str(self.binary), *arguments]
        started = time.monotonic()
        with open(output or os.devnull, "wb") as out, tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                command, cwd=self.tree, env=environment(), stdout=out, stderr=said, preexec_fn=within.enter if within else None
            )
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            words = said.read().decode(errors="replace").strip()[-500:]
        took = time.monotonic() - started
        print(f"{what}: {took:.1f} s, {usage.ru_maxrss / 1024:.0f} MB resident at most, exit {child.returncode}", flush=True)
        return self.checks.check(child.returncode == 0, f"{what} gave {child.returncode}: {words}")


def digest(file: Path) -> str | None:
    """The graph's digest in a JSON report."""
    try:
        return json.loads(file.read_text())["graph_digest"]
    except (OSError, ValueError, KeyError):
        return None


def check(binary: Path, tree: Path, scratch: Path, limit: int, checks: Checks, options: list[str]) -> None:
    free, tight = scratch / "free.json", scratch / "tight.json"
    runner = Runner(binary, tree, checks)
    cold = ["analyze", ".", "-q", "--output-format", "json"]
    runner.run("without a limit", [*cold, "--cache-dir", str(scratch / "free"), *options], None, free)
    expected = digest(free)
    shutil.rmtree(scratch / "free", ignore_errors=True)
    with group(limit) as within:
        if within is None:
            print("\n!!!! SKIPPED: no memory control group can be made here: nothing is checked under a limit")
            return
        kept = ["--cache-dir", str(scratch / "tight"), *options]
        if runner.run(f"in {limit // MB} MB, cold", [*cold, *kept], within, tight):
            checks.check(digest(tight) == expected, f"the digest in the group is {digest(tight)}, without it {expected}")
        for what, arguments in (
            ("warm", ["analyze", ".", "-q"]),
            ("warm, as JSON", cold),
            ("imports", ["graph", "imports", "."]),
            ("calls", ["graph", "calls", ".", "--format", "csv"]),
        ):
            runner.run(f"in {limit // MB} MB, {what}", [*arguments, *kept], within)
        peak = within.peak()
        if peak is not None:
            print(f"the group had {peak / MB:.0f} MB at most, page cache included")


def main() -> int:
    arguments = parser(__doc__)
    arguments.add_argument("sources", type=Path, nargs="+", help="trees to copy, one after the other")
    arguments.add_argument("--copies", type=int, default=2, help="number of copies (default: 2)")
    arguments.add_argument("--limit", type=int, default=96, help="limit of the group, MB (default: 96)")
    arguments.add_argument("--keep", type=Path, help="make the copies here, leave them, and take what is there already")
    arguments.add_argument("--option", action="append", default=[], help="passed on to every run")
    options = arguments.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="pydebug-memory-") as folder:
        scratch = Path(folder)
        tree = options.keep or scratch / "tree"
        if not tree.is_dir():
            files, size = make(options.sources, tree, options.copies)
            print(f"{options.copies} copies: {files} files, {size / 1e6:.0f} MB", flush=True)
        check(find_binary(options.binary), tree, scratch, options.limit * MB, checks, options.option)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
