-- The relational schema, version 1. Keys are Blake2b-128 of stable names. A row belongs to a generation (gen), which the project's head names.
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE projects (
    key BLOB PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE, gen INTEGER NOT NULL, rev INTEGER NOT NULL, state TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, project BLOB NOT NULL, gen INTEGER NOT NULL, rev INTEGER NOT NULL, kind TEXT NOT NULL, rows INTEGER NOT NULL,
    digest TEXT NOT NULL, program TEXT NOT NULL, finished_at TEXT NOT NULL
) STRICT;
CREATE TABLE files (
    gen INTEGER NOT NULL, key BLOB NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, reason TEXT NOT NULL,
    encoding TEXT NOT NULL, bytes INTEGER NOT NULL, lines INTEGER NOT NULL, source_lines INTEGER NOT NULL, comment_lines INTEGER NOT NULL,
    blank_lines INTEGER NOT NULL
) STRICT;
CREATE TABLE modules (
    gen INTEGER NOT NULL, key BLOB NOT NULL, file BLOB NOT NULL, name TEXT NOT NULL, root TEXT NOT NULL, kind TEXT NOT NULL
) STRICT;
CREATE TABLE symbols (
    gen INTEGER NOT NULL, key BLOB NOT NULL, file BLOB NOT NULL, label TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL,
    qualname TEXT NOT NULL, module TEXT NOT NULL, path TEXT NOT NULL, line INTEGER, end_line INTEGER, flags TEXT NOT NULL,
    parameters TEXT NOT NULL, returns TEXT NOT NULL, docstring TEXT NOT NULL, complexity INTEGER, cognitive INTEGER, nesting INTEGER,
    source_lines INTEGER, maintainability INTEGER
) STRICT;
CREATE TABLE edges (
    gen INTEGER NOT NULL, source BLOB NOT NULL, type TEXT NOT NULL, target BLOB NOT NULL, file BLOB NOT NULL, detail TEXT NOT NULL,
    sites INTEGER NOT NULL, line INTEGER
) STRICT;
CREATE TABLE imports (
    gen INTEGER NOT NULL, source BLOB NOT NULL, ordinal INTEGER NOT NULL, file BLOB NOT NULL, written TEXT NOT NULL, bound TEXT NOT NULL,
    kind TEXT NOT NULL, status TEXT NOT NULL, module BLOB, symbol BLOB, line INTEGER NOT NULL
) STRICT;
CREATE TABLE call_sites (
    gen INTEGER NOT NULL, caller BLOB NOT NULL, ordinal INTEGER NOT NULL, file BLOB NOT NULL, written TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, callees INTEGER NOT NULL, positional INTEGER NOT NULL, keywords INTEGER NOT NULL, line INTEGER NOT NULL
) STRICT;
CREATE TABLE parse_errors (
    gen INTEGER NOT NULL, file BLOB NOT NULL, ordinal INTEGER NOT NULL, line INTEGER NOT NULL, "column" INTEGER NOT NULL,
    message TEXT NOT NULL, lost_start INTEGER NOT NULL, lost_length INTEGER NOT NULL
) STRICT;
CREATE TABLE findings (
    gen INTEGER NOT NULL, file BLOB NOT NULL, ordinal INTEGER NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL, symbol BLOB,
    line INTEGER NOT NULL, message TEXT NOT NULL, fingerprint TEXT NOT NULL
) STRICT;
CREATE TABLE owners (gen INTEGER NOT NULL, file BLOB NOT NULL, digest BLOB NOT NULL) STRICT;
-- What readers ask: rows of the generation that the head shows, with the project's name.
CREATE VIEW current_files AS SELECT p.name AS project, t.* FROM projects p JOIN files t ON t.gen = p.gen;
CREATE VIEW current_modules AS SELECT p.name AS project, t.* FROM projects p JOIN modules t ON t.gen = p.gen;
CREATE VIEW current_symbols AS SELECT p.name AS project, t.* FROM projects p JOIN symbols t ON t.gen = p.gen;
CREATE VIEW current_edges AS SELECT p.name AS project, t.* FROM projects p JOIN edges t ON t.gen = p.gen;
CREATE VIEW current_imports AS SELECT p.name AS project, t.* FROM projects p JOIN imports t ON t.gen = p.gen;
CREATE VIEW current_call_sites AS SELECT p.name AS project, t.* FROM projects p JOIN call_sites t ON t.gen = p.gen;
CREATE VIEW current_parse_errors AS SELECT p.name AS project, t.* FROM projects p JOIN parse_errors t ON t.gen = p.gen;
CREATE VIEW current_findings AS SELECT p.name AS project, t.* FROM projects p JOIN findings t ON t.gen = p.gen;
