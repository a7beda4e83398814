-- Made for each partition after its rows, and for the partitioned tables once. Texts may be longer than what a tree can index: they are hashed.
files_key UNIQUE files (gen, key);
files_path files USING hash (path);
modules_key UNIQUE modules (gen, key);
modules_name modules USING hash (name);
symbols_key UNIQUE symbols (gen, key);
symbols_qualname symbols USING hash (qualname);
symbols_name symbols USING hash (name);
edges_key UNIQUE edges (gen, source, type, target);
edges_target edges (gen, target, type);
imports_key UNIQUE imports (gen, source, ordinal);
imports_module imports (gen, module);
call_sites_key UNIQUE call_sites (gen, caller, ordinal);
parse_errors_key UNIQUE parse_errors (gen, file, ordinal);
owners_key UNIQUE owners (gen, file)
