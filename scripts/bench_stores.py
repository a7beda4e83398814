"""Measures what writing the stores takes, against plain ways to do the same, and prints one Markdown table.

Servers are started for it, on loopback, with fsync. Ratios are of medians of runs within this one. Times are those of whole processes with a warm cache, start
and connection included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import services
from bench import Table, machine
from check_stores import Stores
from corpora import fetch, version
from harness import ROOT, find_binary

SINGLE = 2000
INSERTS = 20_000


def timed(command: list[str], environment: dict[str, str], cwd: Path, text: str | None = None) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=cwd, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: `{' '.join(command)}` gave {done.returncode}: {done.stderr[-1500:]}")
    return time.perf_counter() - started


class Bench:
    def __init__(self, options: argparse.Namespace, folder: Path, servers: dict[str, services.Server]) -> None:
        self.stores = Stores(find_binary(options.binary or ROOT / "target/release/pydebug"), folder, servers)
        self.loop = options.loop.resolve()
        self.folder, self.runs = folder, options.runs
        self.table: Table  # set when there is something to show
        self.tree, self.cache = folder / "tree", folder / "cache"
        shutil.copytree(options.corpora / "transformers", self.tree)
        self.number = 0
        code, report, said = self.stores.analyze(self.tree, self.cache, "sqlite", project="warm")
        if code != 0:
            sys.exit(f"error: {said}")
        self.rows = report["stores"][0]["rows"]

    def analyze(self, names: list[str], project: str) -> float:
        command = [str(self.stores.binary), "analyze", ".", "-q", "--project", project, "--cache-dir", str(self.cache), *self.stores.flags(*names)]
        return timed(command, self.stores.variables(), self.tree)

    def full(self, names: list[str]) -> float:
        """A full load into empty stores, or at least of a project that they do not have."""
        (self.folder / "graph.db").unlink(missing_ok=True)
        for name in names:
            if name.startswith("postgres"):
                self.stores.servers[name].psql("DROP SCHEMA IF EXISTS pydebug CASCADE")
        self.number += 1
        project = f"full{self.number}"
        # The graph of a project with another name is linked first, and kept.
        timed([str(self.stores.binary), "analyze", ".", "-q", "--project", project, "--cache-dir", str(self.cache)], self.stores.variables(), self.tree)
        seconds = self.analyze(names, project)
        if "neo4j" in names:
            self.stores.run("store", "gc", ".", "--project", project, "--cache-dir", self.cache, *self.stores.flags("neo4j"), cwd=self.tree)
            self.empty_neo4j()
        return seconds

    def empty_neo4j(self) -> None:
        import neo4j
        server = self.stores.servers["neo4j"]
        with neo4j.GraphDatabase.driver(server.url, auth=("neo4j", server.password)) as driver, driver.session() as session:
            for label in ("PyDebug", "Loop"):
                session.run(f"MATCH (n:{label}) CALL (n) {{ DETACH DELETE n }} IN TRANSACTIONS OF 5000 ROWS").consume()

    def delta(self, name: str, number: int) -> float:
        """Of one changed file: the run that writes it less one that has nothing to write but parsed and linked the same change."""
        path = self.tree / "transformers" / "models" / "bert" / "modeling_bert.py"
        with open(path, "a", encoding="utf-8") as out:
            out.write(f"\n\ndef added_{number}(value):\n    return BertModel(value)\n")
        code, report, said = self.stores.analyze(self.tree, self.cache, name, project="delta")
        if code != 0 or report["stores"][0]["kind"] != "delta":
            sys.exit(f"error: {code} {said} {report.get('stores')}")
        return float(report["stores"][0]["seconds"])

    def deltas(self, name: str, full: float, least: float) -> None:
        self.analyze([name], "delta")
        seconds = [self.delta(name, number) for number in range(self.runs + 2)]
        self.table.row(f"{name}: one changed file, difference to commit, connection included", "transformers",
                       f"{statistics.median(seconds[1:]) * 1000:.0f} ms (cold {seconds[0] * 1000:.0f}, worst {max(seconds[1:]) * 1000:.0f})",
                       f"<= {max(0.02 * full, least) * 1000:.0f} ms", statistics.median(seconds[1:]) <= max(0.02 * full, least))

    def postgres(self) -> float:
        server = self.stores.servers["postgres"]
        ours, theirs = [], []
        for _ in range(self.runs):
            ours.append(self.full(["postgres"]))
            theirs.append(self.copy(server))
        full = statistics.median(ours)
        self.table.ratio("postgres: full load with indexes / COPY by psql of the same rows with the same indexes", "transformers", full / statistics.median(theirs), 1.5,
                         f"{full:.2f} s, {statistics.median(theirs):.2f} s", )
        rate = self.inserts(server)
        self.table.ratio("postgres: rows/s / one prepared INSERT per row in one transaction", "transformers", self.rows / full / rate, 15, f"{self.rows / full:,.0f}, {rate:,.0f}", least=True)
        self.deltas("postgres", full, 0.05)
        return full

    def copy(self, server: services.Server) -> float:
        """The rows that are there, out to files; then into new tables with the same columns and indexes."""
        tables = ["files", "modules", "symbols", "edges", "imports", "call_sites", "parse_errors", "owners"]
        out = self.folder / "copies"
        if not out.exists():
            out.mkdir()
            for table in tables:
                subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", server.database, "-qc",
                                f"\\copy (SELECT * FROM pydebug.{table}) TO '{out / table}' (FORMAT binary)"], env=self.stores.variables(), check=True)
        indexes = (ROOT / "src" / "store" / "postgres" / "indexes.sql").read_text().splitlines()[1:]
        script = ["DROP SCHEMA IF EXISTS plain CASCADE; CREATE SCHEMA plain;"]
        script += [f"CREATE TABLE plain.{table} (LIKE pydebug.{table});" for table in tables]
        server.psql(" ".join(script))
        lines = ["BEGIN;", "SET LOCAL maintenance_work_mem = '256MB';"] + [f"\\copy plain.{table} FROM '{out / table}' (FORMAT binary)" for table in tables]
        for line in indexes:
            name, rest = line.rstrip(";").split(" ", 1)
            unique = "UNIQUE " if rest.startswith("UNIQUE ") else ""
            lines.append(f"CREATE {unique}INDEX {name} ON plain.{rest.removeprefix('UNIQUE ')};")
        lines.append("COMMIT;")
        command = ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", server.database, "-q", "-v", "ON_ERROR_STOP=1"]
        return timed(command, self.stores.variables(), self.folder, "\n".join(lines) + "\n")

    def inserts(self, server: services.Server) -> float:
        """Rows a second."""
        server.psql("DROP TABLE IF EXISTS plain.single; CREATE TABLE plain.single (LIKE pydebug.edges)")
        server.psql("CREATE UNIQUE INDEX ON plain.single (gen, source, type, target); CREATE INDEX ON plain.single (gen, target, type)")
        rows = server.psql(f"SELECT format('EXECUTE ins(%L,%L,%L,%L,%L,%L,%s,%s);', gen, source, type, target, file, detail, sites, coalesce(line::text, 'NULL')) FROM plain.edges LIMIT {INSERTS}")
        script = "PREPARE ins(bigint, uuid, text, uuid, uuid, text, bigint, bigint) AS INSERT INTO plain.single VALUES ($1,$2,$3,$4,$5,$6,$7,$8);\nBEGIN;\n" + rows + "\nCOMMIT;\n"
        command = ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", server.database, "-q", "-v", "ON_ERROR_STOP=1"]
        return INSERTS / timed(command, self.stores.variables(), self.folder, script)

    def sqlite(self) -> float:
        ours, theirs = [], []
        for _ in range(self.runs):
            ours.append(self.full(["sqlite"]))
            theirs.append(self.shell())
        full = statistics.median(ours)
        self.table.ratio("sqlite: full load with indexes / `.import` of the same rows with the same indexes", "transformers", full / statistics.median(theirs), 1.5,
                         f"{full:.2f} s, {statistics.median(theirs):.2f} s")
        self.deltas("sqlite", full, 0.05)
        return full

    def shell(self) -> float:
        database, out = self.folder / "graph.db", self.folder / "csv"
        schema = [statement for statement in (ROOT / "src" / "store" / "sqlite" / "0001.sql").read_text().replace("STRICT", "").split(";") if "CREATE TABLE" in statement]
        tables = ["files", "modules", "symbols", "edges", "imports", "call_sites", "parse_errors", "owners"]
        if not out.exists():
            out.mkdir()
            for table in tables:
                # A CSV can't hold the bytes of keys: the shell's side has them as text.
                columns = [(name, kind) for _, name, kind, *_ in sqlite3.connect(database).execute(f"PRAGMA table_info({table})")]
                chosen = ", ".join(f'hex("{name}")' if kind == "BLOB" else f'"{name}"' for name, kind in columns)
                subprocess.run(["sqlite3", "-csv", str(database), f".once {out / table}", f"SELECT {chosen} FROM {table}"], check=True)
        plain = self.folder / "plain.db"
        plain.unlink(missing_ok=True)
        lines = ["PRAGMA journal_mode = WAL;", "PRAGMA synchronous = NORMAL;", *(statement + ";" for statement in schema), ".mode csv"]
        lines += [f".import {out / table} {table}" for table in tables]
        lines.append((ROOT / "src" / "store" / "sqlite" / "indexes.sql").read_text())
        return timed(["sqlite3", str(plain)], dict(os.environ), self.folder, "\n".join(lines))

    def neo4j(self) -> float:
        server = self.stores.servers["neo4j"]
        ours, keyed = [], []
        rows = 0
        self.full(["neo4j"])
        for _ in range(max(1, self.runs // 2)):
            ours.append(self.full(["neo4j"]))
            count, seconds = self.plain(server, "keyed")
            rows = count
            keyed.append(seconds)
            self.empty_neo4j()
        count, seconds = self.plain(server, "single", str(SINGLE))
        self.empty_neo4j()
        full = statistics.median(ours)
        self.table.ratio("neo4j: entities/s / one query per item", "transformers", rows / full / (count / seconds), 30, f"{rows / full:,.0f}, {count / seconds:,.0f}", least=True)
        self.table.ratio("neo4j: entities/s / a loop of UNWIND batches of 10,000 by key", "transformers", statistics.median(keyed) / full, 1.2,
                         f"{rows / full:,.0f}, {rows / statistics.median(keyed):,.0f}", least=True)
        self.deltas("neo4j", full, 0.2)
        self.empty_neo4j()
        return full

    def plain(self, server: services.Server, *mode: str) -> tuple[int, float]:
        command = [str(self.loop), str(self.tree), str(self.cache), f"full{self.number}", server.url, *mode]
        done = subprocess.run(command, env=self.stores.variables(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"error: {done.stderr}")
        count, seconds = done.stdout.split()
        return int(count), float(seconds)

    def together(self, alone: list[float]) -> None:
        seconds = [self.full(["sqlite", "postgres", "neo4j"]) for _ in range(max(1, self.runs // 2))]
        self.table.ratio("all three stores / the slowest alone", "transformers", statistics.median(seconds) / max(alone), 1.2, f"{statistics.median(seconds):.2f} s, {max(alone):.2f} s")


def main() -> int:
    options = argparse.ArgumentParser(prog="scripts/bench --stores", description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--corpora", type=Path, default=ROOT / ".cache/bench/corpora")
    options.add_argument("--binary", type=Path)
    options.add_argument("--loop", type=Path, default=ROOT / "target/release/examples/neo4j_loop")
    given = options.parse_args()
    fetch("transformers", given.corpora)
    folder = services.make_folder()
    servers: dict[str, services.Server] = {}
    try:
        for name in ("postgres", "neo4j"):
            servers[name] = services.start(folder, name)
        print(f"{machine()}; {given.runs} runs a side, medians; " + "; ".join(f"{server.name} {server.version} {json.dumps(server.memory)}" for server in servers.values()), flush=True)
        bench = Bench(given, folder, servers)
        print(f"transformers {version('transformers')}: {bench.rows:,} rows\n", flush=True)
        bench.table = table = Table()
        alone = [bench.sqlite(), bench.postgres(), bench.neo4j()]
        bench.together(alone)
    finally:
        services.end(servers, folder)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
