-- The relational schema, version 1. Keys are Blake2b-128 of stable names. A row belongs to a generation (gen), a partition of its own; the project's head names
-- the one that readers see.
CREATE SCHEMA IF NOT EXISTS pydebug;
CREATE TABLE pydebug.schema_version (version bigint NOT NULL);
CREATE SEQUENCE pydebug.generation AS bigint;
CREATE TABLE pydebug.projects (
    key uuid PRIMARY KEY, name text NOT NULL, gen bigint NOT NULL, rev bigint NOT NULL, state text NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE pydebug.generations (gen bigint PRIMARY KEY, project uuid NOT NULL);
CREATE TABLE pydebug.runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, project uuid NOT NULL, gen bigint NOT NULL, rev bigint NOT NULL, kind text NOT NULL,
    rows bigint NOT NULL, digest text NOT NULL, program text NOT NULL, finished_at timestamptz NOT NULL
);
CREATE TABLE pydebug.files (
    gen bigint NOT NULL, key uuid NOT NULL, path text NOT NULL, kind text NOT NULL, status text NOT NULL, reason text NOT NULL,
    encoding text NOT NULL, bytes bigint NOT NULL, lines bigint NOT NULL, source_lines bigint NOT NULL, comment_lines bigint NOT NULL,
    blank_lines bigint NOT NULL
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.modules (
    gen bigint NOT NULL, key uuid NOT NULL, file uuid NOT NULL, name text NOT NULL, root text NOT NULL, kind text NOT NULL
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.symbols (
    gen bigint NOT NULL, key uuid NOT NULL, file uuid NOT NULL, label text NOT NULL, kind text NOT NULL, name text NOT NULL,
    qualname text NOT NULL, module text NOT NULL, path text NOT NULL, line bigint, end_line bigint, flags text NOT NULL,
    parameters text NOT NULL, returns text NOT NULL, docstring text NOT NULL, complexity bigint, cognitive bigint, nesting bigint,
    source_lines bigint, maintainability bigint
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.edges (
    gen bigint NOT NULL, source uuid NOT NULL, type text NOT NULL, target uuid NOT NULL, file uuid NOT NULL, detail text NOT NULL,
    sites bigint NOT NULL, line bigint
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.imports (
    gen bigint NOT NULL, source uuid NOT NULL, ordinal bigint NOT NULL, file uuid NOT NULL, written text NOT NULL, bound text NOT NULL,
    kind text NOT NULL, status text NOT NULL, module uuid, symbol uuid, line bigint NOT NULL
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.call_sites (
    gen bigint NOT NULL, caller uuid NOT NULL, ordinal bigint NOT NULL, file uuid NOT NULL, written text NOT NULL, status text NOT NULL,
    reason text NOT NULL, callees bigint NOT NULL, positional bigint NOT NULL, keywords bigint NOT NULL, line bigint NOT NULL
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.parse_errors (
    gen bigint NOT NULL, file uuid NOT NULL, ordinal bigint NOT NULL, line bigint NOT NULL, "column" bigint NOT NULL,
    message text NOT NULL, lost_start bigint NOT NULL, lost_length bigint NOT NULL
) PARTITION BY LIST (gen);
CREATE TABLE pydebug.owners (gen bigint NOT NULL, file uuid NOT NULL, digest uuid NOT NULL) PARTITION BY LIST (gen);
CREATE TABLE pydebug.findings (
    gen bigint NOT NULL, file uuid NOT NULL, ordinal bigint NOT NULL, code text NOT NULL, severity text NOT NULL, symbol uuid,
    line bigint NOT NULL, message text NOT NULL, fingerprint text NOT NULL
);
-- What readers ask: rows of the generation that the head shows, with the project's name.
CREATE VIEW pydebug.current_files AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.files t ON t.gen = p.gen;
CREATE VIEW pydebug.current_modules AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.modules t ON t.gen = p.gen;
CREATE VIEW pydebug.current_symbols AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.symbols t ON t.gen = p.gen;
CREATE VIEW pydebug.current_edges AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.edges t ON t.gen = p.gen;
CREATE VIEW pydebug.current_imports AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.imports t ON t.gen = p.gen;
CREATE VIEW pydebug.current_call_sites AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.call_sites t ON t.gen = p.gen;
CREATE VIEW pydebug.current_parse_errors AS
    SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.parse_errors t ON t.gen = p.gen;
CREATE VIEW pydebug.current_findings AS SELECT p.name AS project, t.* FROM pydebug.projects p JOIN pydebug.findings t ON t.gen = p.gen;
