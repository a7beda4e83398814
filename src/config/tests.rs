//! Layers, origins and errors of the configuration.

use std::ffi::OsString;

use super::*;

struct Tree(tempfile::TempDir);

impl Tree {
    fn new(pyproject: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir_all(folder.path().join("src/pkg")).expect("folders");
        std::fs::create_dir(folder.path().join(".git")).expect("folders");
        std::fs::write(folder.path().join("pyproject.toml"), pyproject).expect("a file");
        Self(folder)
    }

    fn builder(&self) -> ConfigBuilder {
        Config::builder(self.0.path().join("src")).discover()
    }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn layers_override_in_order() {
    let tree = Tree::new("[tool.pydebug]\npreset = 'minimal'\nmax-workers = 3\nchunk-size-kb = 64\n");
    let config = tree
        .builder()
        .environment(env(&[
            ("PARSER_CHUNK_SIZE_KB", "128"),
            ("PARSER_STRATEGY", "PROCESS_BASED"),
            ("PARSER_CACHE_DIR", ""),
        ]))
        .flag(Key::Strategy, "hybrid", "--strategy")
        .build()
        .expect("a valid configuration");
    let file = tree.0.path().canonicalize().expect("a path").join("pyproject.toml");
    for (key, value, origin) in [
        (Key::Preset, "minimal", Origin::Pyproject(file.clone())),
        (Key::MaxWorkers, "3", Origin::Pyproject(file)),
        (Key::ChunkSize, "128", Origin::Environment("PARSER_CHUNK_SIZE_KB")),
        (Key::Strategy, "hybrid", Origin::Flag("--strategy")),
        (Key::MaxMemory, "64", Origin::Preset("minimal")),
        (Key::GcThreshold, "100", Origin::Preset("minimal")),
        (Key::Project, "unnamed", Origin::Default),
        (Key::CacheEnabled, "true", Origin::Preset("minimal")),
    ] {
        assert_eq!(config.display(key), value, "{key:?}");
        assert_eq!(*config.origin(key), origin, "{key:?}");
    }
    assert_eq!(config.cache_dir(), config.root().join(".cache/parser"));
    assert_eq!(config.chunk_size_bytes(), 128 << 10);
}

#[test]
fn every_variable_sets_its_value() {
    let tree = Tree::new("");
    for (name, given, key, shown) in [
        ("PARSER_CACHE_ENABLED", "off", Key::CacheEnabled, "false"),
        ("PARSER_CACHE_DIR", "/tmp/elsewhere", Key::CacheDir, "/tmp/elsewhere"),
        ("PARSER_CACHE_MAX_SIZE_MB", "7", Key::CacheMaxSize, "7"),
        ("PARSER_MAX_WORKERS", "5", Key::MaxWorkers, "5"),
        ("PARSER_STRATEGY", "adaptive", Key::Strategy, "adaptive"),
        ("PARSER_FILE_TIMEOUT_SECONDS", "0.25", Key::FileTimeout, "0.25"),
        ("PARSER_WORKER_MEMORY_MB", "700", Key::WorkerMemory, "700"),
        ("PARSER_MAX_MEMORY_MB", "2048", Key::MaxMemory, "2048"),
        ("PARSER_CHUNK_SIZE_KB", "512", Key::ChunkSize, "512"),
        ("PARSER_CHUNKING", "line_based", Key::Chunking, "line"),
        ("PARSER_MEMORY_THRESHOLD_MB", "99", Key::MemoryThreshold, "99"),
        ("PARSER_GC_THRESHOLD", "12", Key::GcThreshold, "12"),
    ] {
        let config = tree.builder().environment(env(&[(name, given)])).build().expect(name);
        assert_eq!(config.display(key), shown, "{name}");
        assert_eq!(*config.origin(key), Origin::Environment(name), "{name}");
    }
}

#[test]
fn limits_of_children() {
    let memory = |text: &str| Tree::new(text).builder().build().expect("valid").worker_memory_bytes();
    assert_eq!(memory("[tool.pydebug]\nworker-memory-mb = 99\nmax-memory-mb = 300\n"), Some(99 << 20));
    assert_eq!(memory("[tool.pydebug]\nmax-memory-mb = 300\n"), None);
    for (text, milliseconds) in [("0.001", 1), ("2", 2000), ("1.5", 1500)] {
        let tree = Tree::new(&format!("[tool.pydebug]\nfile-timeout-seconds = {text}\n"));
        let config = tree.builder().build().expect("valid");
        assert_eq!(config.file_timeout(), std::time::Duration::from_millis(milliseconds));
    }
}

#[test]
fn messages() {
    let tree = Tree::new("");
    for (variables, expected) in [
        (
            &[("PARSER_MAX_WORKERS", "0")][..],
            "environment variable `PARSER_MAX_WORKERS`: `max-workers` cannot be `0`; write a whole number from 1 to 1024, or auto",
        ),
        (
            &[("PARSER_STRATEGY", "fast")],
            "environment variable `PARSER_STRATEGY`: `strategy` cannot be `fast`; write thread, process, hybrid or adaptive",
        ),
        (
            &[("PARSER_FILE_TIMEOUT_SECONDS", "-1")],
            "environment variable `PARSER_FILE_TIMEOUT_SECONDS`: `file-timeout-seconds` cannot be `-1`; write seconds from 0.001 to 604800",
        ),
        (
            &[("PARSER_CACHE_ENABLE", "1")],
            "environment variable `PARSER_CACHE_ENABLE`: unknown setting `PARSER_CACHE_ENABLE`; the nearest known one is `PARSER_CACHE_ENABLED`",
        ),
        (
            &[("PARSER_MAX_MEMORY_MB", "128"), ("PARSER_MEMORY_THRESHOLD_MB", "200")],
            "`memory-threshold-mb` is 200 (environment PARSER_MEMORY_THRESHOLD_MB), above `max-memory-mb` = 128 (environment PARSER_MAX_MEMORY_MB); lower the first or raise the second",
        ),
    ] {
        let error = tree.builder().environment(env(variables)).build().expect_err("an error");
        assert_eq!(error.to_string(), expected);
    }
    let other = tree.builder().environment(env(&[("PARSER_OF_ANOTHER_PROGRAM", "x")])).build();
    assert!(other.is_ok());
    let error = tree.builder().flag(Key::Exclude, "[z-a]", "--exclude").build().expect_err("an error");
    assert!(error.to_string().starts_with("flag `--exclude`: `exclude` cannot be `[z-a]`"), "{error}");
    let error = Config::builder("/nowhere/at/all").build().expect_err("an error");
    assert_eq!(error.to_string(), "cannot analyze `/nowhere/at/all`; name an existing folder or Python file");
}

#[test]
fn project_falls_back_to_the_package() {
    for (text, name) in [
        ("[project]\nname = 'shop'\n", "shop"),
        ("[project]\nname = 'shop'\n[tool.pydebug]\nproject = 'other'\n", "other"),
        ("", UNNAMED),
    ] {
        assert_eq!(Tree::new(text).builder().build().expect("valid").project(), name);
    }
}

#[test]
fn patterns_are_relative_to_their_file() {
    let tree = Tree::new("[tool.pydebug]\nexclude = ['/src/pkg']\nsource-roots = ['./src/']\n");
    let config = tree.builder().build().expect("valid");
    let matcher = config.exclude().matcher().expect("a matcher");
    let below = config.root().join("pkg/a.py");
    assert!(matcher.matched_path_or_any_parents(&below, false).is_ignore());
    assert!(!matcher.matched_path_or_any_parents(config.root().join("b.py"), false).is_ignore());
    assert_eq!(config.display(Key::SourceRoots), config.root().to_str().expect("UTF-8"));
    assert!(config.include().matcher().is_none());
}

#[test]
fn search_ends_with_the_repository() {
    let tree = Tree::new("[tool.pydebug]\nproject = 'outer'\n");
    let inner = tree.0.path().join("src/vendored");
    std::fs::create_dir_all(inner.join(".git")).expect("folders");
    let config = Config::builder(&inner).discover().build().expect("valid");
    assert_eq!((config.project(), config.pyproject()), (UNNAMED, None));
}

#[test]
fn common_roots() {
    let tree = Tree::new("");
    let root = tree.0.path().canonicalize().expect("a path");
    let at = |path: &str| root.join(path);
    std::fs::write(at("src/pkg/a.py"), "").expect("a file");
    for (paths, expected) in [
        (vec![at("src")], at("src")),
        (vec![at("src/pkg/a.py")], at("src/pkg")),
        (vec![at("src/pkg"), at("src")], at("src")),
        (vec![at("src/pkg/a.py"), at(".git")], root.clone()),
    ] {
        assert_eq!(common_root(&paths).expect("a root"), expected);
    }
    assert!(matches!(common_root(&["/proc".into(), "/dev".into()]), Err(ConfigError::NoCommonRoot { .. })));
}

#[test]
fn presets_match_their_table() {
    for preset in Preset::ALL {
        let config = Config::builder(".").preset(preset).build().expect("valid");
        let shown: Vec<String> = [
            Key::CacheEnabled,
            Key::CacheMaxSize,
            Key::MaxWorkers,
            Key::Strategy,
            Key::FileTimeout,
            Key::WorkerMemory,
            Key::MaxMemory,
            Key::Chunking,
            Key::ChunkSize,
            Key::MemoryThreshold,
            Key::GcThreshold,
        ]
        .map(|key| config.display(key).split(' ').next().unwrap_or_default().to_owned())
        .to_vec();
        let expected = match preset {
            Preset::Standard => "true 1024 auto adaptive 60 auto auto ast 512 100 1000",
            Preset::Performance => "true 8192 auto adaptive 60 auto auto ast 4096 2048 100000",
            Preset::Minimal => "true 256 1 thread 60 auto 64 ast 128 64 100",
        };
        assert_eq!(shown.join(" "), expected);
    }
}
