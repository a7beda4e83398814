"""Runs every query of `docs/queries.md` against SQLite, PostgreSQL and Neo4j that hold a fixture and a real package.

    scripts/check_queries.py [PACKAGE]

A query must run on both; those in `MAY_BE_EMPTY` may find nothing in the package.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import tempfile
from pathlib import Path

import services
from check_stores import Stores, bolt, obtain
from harness import ROOT, Checks, find_binary, parser

# Titles of questions that a sound package may answer with nothing.
MAY_BE_EMPTY = ("Files that are not wholly", "Imports that lead nowhere", "Imports across a border", "Cycles of three")
# A function, a class and a method that have what is asked for, by the beginning of the title.
NAMES = {
    "django": {"": "django.utils.encoding.force_str", "Everything that inherits": "django.forms.widgets.Widget",
               "Methods that override": "django.core.management.base.BaseCommand.handle"},
    "calls": {"": "nothing.of.this.name"},
}


def blocks(language: str) -> list[tuple[str, str]]:
    """The title and the text of each query."""
    text = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    found = re.findall(r"([^\n]+(?:\n[^\n]+)*)\n\n```" + language + r"\n(.*?)```", text, re.S)
    return [(title.strip(), query.strip().rstrip(";")) for title, query in found]


def main() -> int:
    options = parser(__doc__)
    options.add_argument("package", type=Path, nargs="?", help="such as `.cache/corpora/django/django`")
    given = options.parse_args()
    checks, folder = Checks(), services.make_folder()
    servers: dict[str, services.Server] = {}
    try:
        servers = obtain(["postgres", "neo4j"], folder, checks)
        stores = Stores(find_binary(given.binary), folder, servers)
        sql, cypher = blocks("sql"), blocks("cypher")
        checks.check(len(sql) >= 15 and len(cypher) >= 15, f"{len(sql)} SQL and {len(cypher)} Cypher queries")
        trees = {"calls": ROOT / "fixtures" / "calls"} | ({"django": given.package.resolve().parent} if given.package else {})
        with tempfile.TemporaryDirectory(prefix="pydebug-queries-") as made:
            for project, tree in trees.items():
                code, _, said = stores.analyze(tree, Path(made) / project, project=project)
                checks.check(code == 0, f"{project}: gave {code}: {said[-800:]}")
        for project in trees:
            for title, query in sql:
                name = next(name for start, name in sorted(NAMES[project].items(), reverse=True) if title.startswith(start))
                wanted = project == "django" and not title.startswith(MAY_BE_EMPTY)
                counts = {}
                try:
                    with sqlite3.connect(folder / "graph.db") as connection:
                        connection.execute("PRAGMA automatic_index = ON")
                        counts["sqlite"] = len(connection.execute(query, {"project": project, "name": name}).fetchall())
                    for server in (server for kind, server in servers.items() if kind != "neo4j"):
                        bound = re.sub(r":(project|name)\b", lambda match: "'" + {"project": project, "name": name}[match[1]] + "'", query)
                        out = server.psql("SET search_path TO pydebug; " + bound)
                        counts["postgres"] = len([line for line in out.splitlines() if line != "SET"])
                except Exception as error:  # noqa: BLE001: each query counts by itself
                    checks.check(False, f"{project}: {title}: {error}")
                    continue
                checks.check(len(set(counts.values())) == 1 and (not wanted or counts["sqlite"] > 0), f"{project}: {title}: {counts} rows")
            if "neo4j" not in servers or bolt is None:
                print("!!!! SKIPPED: no Neo4j or no driver for it: Cypher is not checked", flush=True)
                continue
            with bolt.GraphDatabase.driver(servers["neo4j"].url, auth=("neo4j", servers["neo4j"].password)) as driver, driver.session() as session:
                for title, query in cypher:
                    name = next(name for start, name in sorted(NAMES[project].items(), reverse=True) if title.startswith(start))
                    wanted = project == "django" and not title.startswith(MAY_BE_EMPTY)
                    try:
                        count = len(list(session.run(query, project=project, name=name)))
                    except Exception as error:  # noqa: BLE001: each query counts by itself
                        checks.check(False, f"{project}: {title}: {error}")
                        continue
                    checks.check(not wanted or count > 0, f"{project}: {title}: no rows")
    finally:
        services.end(servers, folder)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
