"""Measures every bar that is a time or a memory figure and prints one Markdown table.

Each ratio is taken within one run: its two sides alternate, and medians of 7 are compared. Wall time is that of the process
from start to end, CPU time is user + system from `wait4`, memory is the peak resident set. A cold run has an empty cache
folder and writes cache and snapshot.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpora import PINNED, fetch, version
from harness import ROOT, Pydebug, environment, find_binary, python_files

NAMES = [*PINNED, "Lib"]
RUFF_BARS = {"django": 1.0, "sympy": 1.0, "transformers": 1.0, "pandas": 1.25, "Lib": 1.5}
EDIT_BARS = {"transformers": 1 / 6, "django": 1 / 2}
COST_SIZES = (500, 1000, 2000, 4000, 8000, 18000)


@dataclass
class Sample:
    """One process: seconds of wall and CPU time, peak resident bytes."""

    wall: float
    cpu: float
    rss: int


@dataclass
class Side:
    """One side of a comparison: what to do before each run (not measured), then what to run."""

    command: Callable[[], list[str | Path]]
    cwd: Path


def measure(command: list[str | Path], cwd: Path) -> Sample:
    started = time.perf_counter()
    child = subprocess.Popen([str(part) for part in command], cwd=cwd, env=environment(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert child.stderr is not None
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"error: `{' '.join(map(str, command))}` gave {child.returncode}: {said.decode(errors='replace')[-1000:]}")
    return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


class Medians:
    """Of each side, the medians of its runs."""

    def __init__(self, samples: dict[str, list[Sample]]) -> None:
        self.wall = {name: statistics.median(s.wall for s in runs) for name, runs in samples.items()}
        self.cpu = {name: statistics.median(s.cpu for s in runs) for name, runs in samples.items()}
        self.rss = {name: max(s.rss for s in runs) for name, runs in samples.items()}


def alternate(sides: dict[str, Side], runs: int) -> Medians:
    """Runs all sides in turn, `runs` times, after one round that warms the file system's cache."""
    samples: dict[str, list[Sample]] = {name: [] for name in sides}
    for turn in range(runs + 1):
        for name, side in sides.items():
            sample = measure(side.command(), side.cwd)
            if turn:
                samples[name].append(sample)
    return Medians(samples)


class Table:
    """The rows, printed as they come."""

    def __init__(self) -> None:
        self.missed = 0
        print("| what | corpus | measured | bar | |\n|---|---|---|---|---|", flush=True)

    def row(self, what: str, corpus: str, measured: str, bar: str = "", holds: bool | None = None) -> None:
        verdict = {True: "ok", False: "MISS", None: ""}[holds]
        self.missed += holds is False
        print(f"| {what} | {corpus} | {measured} | {bar} | {verdict} |", flush=True)

    def ratio(self, what: str, corpus: str, value: float, bar: float | None, detail: str, least: bool = False) -> None:
        """A ratio against a bar that it must not exceed (or, with `least`, must reach)."""
        sign = ">=" if least else "<="
        holds = None if bar is None else (value >= bar if least else value <= bar)
        self.row(what, corpus, f"{value:.3f} ({detail})", "reported" if bar is None else f"{sign} {bar:.3f}", holds)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def mb(count: float) -> str:
    return f"{count / 2**20:.0f} MB"


class Bench:
    """The corpora, the binaries and the sections."""

    def __init__(self, options: argparse.Namespace, scratch: Path, table: Table) -> None:
        self.pydebug = find_binary(options.binary or ROOT / "target/release/pydebug")
        self.parse_loop = options.parse_loop.resolve()
        self.bin = Path(sys.executable).parent if options.tools is None else options.tools
        self.corpora, self.runs, self.scratch, self.table = options.corpora, options.runs, scratch, table
        self.names: list[str] = options.corpus or NAMES
        self.number = 0

    # Sides.

    def fresh(self) -> Path:
        """A new empty cache folder; the one before is removed."""
        shutil.rmtree(self.scratch / f"cold{self.number}", ignore_errors=True)
        self.number += 1
        return self.scratch / f"cold{self.number}"

    def cold(self, tree: Path, *more: str) -> Side:
        return Side(lambda: [self.pydebug, "analyze", ".", "-q", "--cache-dir", self.fresh(), *more], tree)

    def warm(self, tree: Path, cache: Path, before: Callable[[], None] = lambda: None) -> Side:
        def command() -> list[str | Path]:
            before()
            return [self.pydebug, "analyze", ".", "-q", "--cache-dir", cache]
        return Side(command, tree)

    def plain(self, tree: Path, *command: str | Path) -> Side:
        return Side(lambda: list(command), tree)

    def floor(self, tree: Path, *more: str) -> Side:
        return self.plain(tree, self.pydebug, "bench-floor", ".", *more)

    def trees(self) -> Iterator[tuple[str, Path]]:
        for name in self.names:
            try:
                yield name, fetch(name, self.corpora).resolve()
            except (subprocess.CalledProcessError, OSError) as error:
                sys.exit(f"error: no {name} {version(name)}: {error}")

    # Sections; each prints its rows.

    def section_floor(self) -> None:
        for name, tree in self.trees():
            m = alternate({"cold": self.cold(tree), "floor": self.floor(tree)}, self.runs)
            for what, times in (("wall", m.wall), ("CPU", m.cpu)):
                self.table.ratio(f"cold / parse floor, {what}", name, times["cold"] / times["floor"], 2.0,
                                 f"{ms(times['cold'])} / {ms(times['floor'])}")

    def section_rss(self) -> None:
        for name, tree in self.trees():
            m = alternate({"cold": self.cold(tree)}, min(3, self.runs))
            source = sum((tree / path).stat().st_size for path in python_files(tree))
            self.table.row("peak RSS cold", name, f"{mb(m.rss['cold'])} ({mb(source)} of source + {mb(m.rss['cold'] - source)})",
                           "<= source + 64 MB", m.rss["cold"] <= source + (64 << 20))

    def section_ruff(self) -> None:
        for name, tree in self.trees():
            ruff = self.plain(tree, self.bin / "ruff", "analyze", "graph", "--quiet", "--isolated")
            m = alternate({"cold": self.cold(tree), "ruff": ruff}, self.runs)
            self.table.ratio("cold / `ruff analyze graph`", name, m.wall["cold"] / m.wall["ruff"], RUFF_BARS[name],
                             f"{ms(m.wall['cold'])} / {ms(m.wall['ruff'])}")

    def section_warm(self) -> None:
        for name, tree in self.trees():
            cache = self.scratch / f"warm-{name}"
            walk = self.plain(tree, self.pydebug, "bench-walk", ".")
            m = alternate({"cold": self.cold(tree), "warm": self.warm(tree, cache), "walk": walk}, self.runs)
            self.table.ratio("warm, nothing changed / cold", name, m.wall["warm"] / m.wall["cold"],
                             1 / 20 if name == "transformers" else 1 / 12, f"{ms(m.wall['warm'])} / {ms(m.wall['cold'])}")
            self.table.ratio("warm, nothing changed / walk + stat", name, m.wall["warm"] / m.wall["walk"],
                             1.5 if name == "transformers" else None, f"{ms(m.wall['warm'])} / {ms(m.wall['walk'])}")
            shutil.rmtree(cache, ignore_errors=True)

    def section_edit(self) -> None:
        for name, source in self.trees():
            tree, cache = self.scratch / f"edit-{name}", self.scratch / f"edit-cache-{name}"
            shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            sizes = sorted((path.stat().st_size, path) for path in map(tree.__truediv__, python_files(tree)) if path.suffix == ".py")
            # In the middle by bytes, not by files: half of the source lies in larger ones.
            chosen = next(path for size, path in sizes if size >= statistics.mean(s for s, _ in sizes))
            turns = iter(range(1_000_000))

            def change() -> None:
                turn = next(turns)
                with chosen.open("a", encoding="utf-8") as file:
                    file.write(f"\n\ndef added_by_bench_{turn}(value):\n    return len(value)\n\n\nadded_by_bench_{turn}([{turn}])\n")
            measure(self.warm(tree, cache).command(), tree)
            m = alternate({"cold": self.cold(tree), "edited": self.warm(tree, cache, change)}, self.runs)
            self.table.ratio("warm, one file changed / cold", name, m.wall["edited"] / m.wall["cold"], EDIT_BARS.get(name),
                             f"{ms(m.wall['edited'])} / {ms(m.wall['cold'])}")
            shutil.rmtree(tree)
            shutil.rmtree(cache, ignore_errors=True)

    def section_small(self) -> None:
        tree, cache = self.scratch / "small", self.scratch / "small-cache"
        source = fetch("django", self.corpora) / "django"
        for path in python_files(source / "db")[:50]:
            (tree / "db" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / "db" / path, tree / "db" / path)
        version_side = self.plain(tree, self.pydebug, "--version")
        m = alternate({"cold": self.cold(tree), "warm": self.warm(tree, cache), "version": version_side}, max(self.runs, 15))
        for what in ("cold", "warm"):
            self.table.ratio(f"50 files, {what} / `--version`", "django/db", m.wall[what] / m.wall["version"], None,
                             f"{ms(m.wall[what])} / {ms(m.wall['version'])}")
        self.table.row("50 files, cold / warm", "django/db", f"{m.wall['cold'] / m.wall['warm']:.1f}x", "reported")

    def section_loop(self) -> None:
        for name, tree in self.trees():
            m = alternate({"floor": self.floor(tree), "loop": self.plain(tree, self.parse_loop, ".")}, self.runs)
            self.table.ratio("floor / standalone parse loop", name, m.wall["floor"] / m.wall["loop"], 1.05,
                             f"{ms(m.wall['floor'])} / {ms(m.wall['loop'])}; CPU {m.cpu['floor'] / m.cpu['loop']:.3f}")

    def section_threads(self) -> None:
        for name, tree in self.trees():
            sides = {f"{what}{j}": side(tree, f"-j{j}") for j in (1, 2) for what, side in (("cold", self.cold), ("floor", self.floor))}
            m = alternate(sides, self.runs)
            ours, floors = m.wall["cold1"] / m.wall["cold2"], m.wall["floor1"] / m.wall["floor2"]
            self.table.ratio("speed-up cold, 1 to 2 threads / the floor's own", name, ours / floors, 0.95, f"{ours:.2f}x / {floors:.2f}x", least=True)

    def section_cost(self) -> None:
        """Cost of a cold run against the floor's, so that a set of larger files is not taken for a worse program."""
        trees = [(name, fetch(name, self.corpora)) for name in NAMES]
        # In turn from every corpus, and under new names when they run out, so that each size has the same mixture.
        queues = [[(name, tree, path) for path in python_files(tree)] for name, tree in trees]
        most = sum(map(len, queues))
        spread = sorted(((place / len(queue), number, entry) for number, queue in enumerate(queues) for place, entry in enumerate(queue)))
        per_file: dict[int, tuple[float, float]] = {}
        for size in COST_SIZES:
            whole = self.scratch / f"cost{size}"
            bytes_taken = 0
            rounds, rest = divmod(size, most)
            step = most / rest if rest else 0
            chosen = [(turn, entry) for turn in range(rounds) for _, _, entry in spread]
            chosen += [(rounds, spread[int(place * step)][2]) for place in range(rest)]
            for turn, (name, tree, path) in chosen:
                target = whole / f"{name.lower()}_{turn}" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(tree / path, target)
                bytes_taken += target.stat().st_size
            m = alternate({"cold": self.cold(whole), "floor": self.floor(whole)}, min(5, self.runs))
            per_file[size] = (m.wall["cold"] / size, m.wall["cold"] / bytes_taken)
            self.table.row("cost per file, cold", f"{size} files, {mb(bytes_taken)}",
                           f"{per_file[size][0] * 1e6:.0f} us a file, {per_file[size][1] * 1e9:.1f} ns a byte, "
                           f"{m.wall['cold'] / m.wall['floor']:.2f} of the floor", "reported")
            shutil.rmtree(whole)
        costs = [cost for cost, _ in per_file.values()]
        self.table.ratio("cost per file, largest / smallest", "together", max(costs) / min(costs), 1.3, "500 to 18,000 files")

    def section_grimp(self) -> None:
        code = "import grimp, sys; sys.path.insert(0, '.'); grimp.build_graph(sys.argv[1], cache_dir=None)"
        for name, tree in self.trees():
            if name == "Lib":
                continue
            grimp = self.plain(tree, self.bin / "python", "-c", code, name)
            m = alternate({"cold": self.cold(tree), "grimp": grimp}, min(3, self.runs))
            self.table.ratio("cold / `grimp.build_graph`", name, m.wall["cold"] / m.wall["grimp"], None,
                             f"{ms(m.wall['cold'])} / {ms(m.wall['grimp'])}")

    def section_hits(self) -> None:
        pydebug = Pydebug(self.pydebug)
        for name, source in self.trees():
            cache, tree, moved = (self.scratch / f"hits-{what}" for what in ("cache", "tree", "moved"))
            shutil.copytree(source, tree, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            pydebug.analyze(tree, cache)

            def rate(where: Path) -> float:
                return float(pydebug.analyze(where, cache)["metrics"]["cache_stats"]["hit_rate_percent"])
            rates = {"unchanged": rate(tree)}
            for path in python_files(tree):
                os.utime(tree / path)
            rates["touched"] = rate(tree)
            shutil.copytree(tree, self.scratch / "hits-copy", symlinks=True)
            rates["copied"] = rate(self.scratch / "hits-copy")
            tree.rename(moved)
            rates["moved"] = rate(moved)
            self.table.row("hit rate", name, ", ".join(f"{what} {value:g}%" for what, value in rates.items()), "100%",
                           all(value == 100 for value in rates.values()))
            for folder in (cache, moved, self.scratch / "hits-copy"):
                shutil.rmtree(folder)


SECTIONS = ["floor", "ruff", "warm", "edit", "small", "loop", "threads", "cost", "rss", "grimp", "hits"]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pydebug-bench-") as made:
        yield Path(made)


def machine() -> str:
    models = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{len(os.sched_getaffinity(0))} processors ({models[0] if models else platform.machine()}), Python {platform.python_version()}"


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--section", action="append", choices=SECTIONS, help="only this section (repeatable)")
    options.add_argument("--corpus", action="append", choices=NAMES, help="only this corpus (repeatable)")
    options.add_argument("--runs", type=int, default=7, help="runs of each side (7, as the bars ask)")
    options.add_argument("--corpora", type=Path, default=ROOT / ".cache/bench/corpora", help="where the corpora are or go")
    options.add_argument("--binary", type=Path, help="the pydebug to measure (else the release build)")
    options.add_argument("--parse-loop", type=Path, default=ROOT / "target/release/examples/parse_loop")
    options.add_argument("--tools", type=Path, help="the folder of ruff and of a python with grimp (else that of this Python)")
    arguments = options.parse_args()
    arguments.corpora.mkdir(parents=True, exist_ok=True)
    print(f"{machine()}; {arguments.runs} runs a side, medians; "
          + ", ".join(f"{name} {version(name)}" for name in arguments.corpus or NAMES) + "\n")
    table = Table()
    with scratch_folder() as scratch:
        bench = Bench(arguments, scratch, table)
        for section in arguments.section or SECTIONS:
            getattr(bench, f"section_{section}")()
    if table.missed:
        print(f"\n{table.missed} bars are missed", flush=True)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
