//! Finds and reads `[tool.pydebug]`. The file belongs to the analyzed tree, so nothing in it is trusted with more
//! than how that tree is analyzed: no store's address, no folder outside the file's own.

use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};
use super::key::{Key, nearest};
use super::raw::Raw;

/// No real file is larger; one that is, is not read to its end.
const MAX_FILE: u64 = 4 << 20;

/// What a `pyproject.toml` says.
#[derive(Debug, Default)]
pub(super) struct Pyproject {
    pub(super) path: PathBuf,
    /// `[project] name`.
    pub(super) name: Option<String>,
    pub(super) settings: Vec<(Key, Raw, Place)>,
}

/// The nearest `pyproject.toml` at or above `root`. The search ends with the folder that holds `.git`: what lies
/// above a repository is not part of the project.
pub(super) fn find(root: &Path) -> Option<PathBuf> {
    for folder in root.ancestors() {
        let candidate = folder.join("pyproject.toml");
        if candidate.is_file() {
            return Some(candidate);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Pyproject, ConfigError> {
    let text = read_text(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Pyproject, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = |span: Option<Range<usize>>| Place::Pyproject {
        path: path.to_owned(),
        line: span.map(|span| 1 + memchr::memchr_iter(b'\n', &text.as_bytes()[..span.start]).count()),
    };
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().filter(|span| span.start <= text.len())),
        message: error.message().escape_debug().to_string(),
    })?;
    let document = document.get_ref();
    let mut out = Pyproject { path: path.to_owned(), ..Pyproject::default() };
    out.name = document
        .get("project")
        .and_then(|project| project.get_ref().get("name"))
        .and_then(|name| name.get_ref().as_str())
        .filter(|name| Raw::from(*name).text().is_ok())
        .map(str::to_owned);
    let hint = hinted_roots(document).map(|(roots, span)| (Key::SourceRoots, roots, place(Some(span))));
    let Some(section) = document.get("tool").and_then(|tool| tool.get_ref().get("pydebug")) else {
        out.settings.extend(hint);
        return Ok(out);
    };
    let DeValue::Table(table) = section.get_ref() else {
        return Err(ConfigError::Value {
            place: place(Some(section.span())),
            name: "tool.pydebug",
            given: format!("of type {}", section.get_ref().type_str()),
            expected: "write a table `[tool.pydebug]`".to_owned(),
        });
    };
    for (name, value) in table {
        let place = place(Some(name.span()));
        let name = name.get_ref().as_ref();
        if is_store_key(name) || holds_address(value) {
            return Err(ConfigError::StoreAddress { place, name: name.escape_debug().to_string() });
        }
        let Some(key) = Key::from_name(name) else {
            return Err(ConfigError::Unknown {
                place,
                name: name.escape_debug().to_string(),
                nearest: nearest(name, Key::all().map(Key::name)),
            });
        };
        let raw = raw(value);
        confine(key, &raw, &place)?;
        out.settings.push((key, raw, place));
    }
    if !out.settings.iter().any(|(key, ..)| *key == Key::SourceRoots) {
        out.settings.extend(hint);
    }
    // The table is sorted by name; errors should come in the order of the file.
    out.settings.sort_by_key(|(_, _, place)| match place {
        Place::Pyproject { line, .. } => *line,
        _ => None,
    });
    Ok(out)
}

/// Where the build back end is told to look for packages, which is where their names start. Folders outside the
/// file's own are no hint, and no error: the table is another program's.
fn hinted_roots(document: &DeTable<'_>) -> Option<(Raw, Range<usize>)> {
    let find = |path: &[&str]| {
        let (last, tables) = path.split_last()?;
        let mut table = document;
        for name in tables {
            let DeValue::Table(inner) = table.get(*name)?.get_ref() else { return None };
            table = inner;
        }
        table.get(*last)
    };
    let texts = |values: &mut dyn Iterator<Item = &Spanned<DeValue<'_>>>,
                 folder: &dyn Fn(&str) -> Option<String>| {
        let mut roots: Vec<String> =
            values.filter_map(|value| value.get_ref().as_str()).filter_map(folder).collect();
        roots.retain(|root| is_inside(root));
        roots.dedup();
        (!roots.is_empty()).then_some(Raw::List(roots))
    };
    let as_written = |text: &str| Some(text.to_owned());
    let setuptools = find(&["tool", "setuptools", "packages", "find", "where"]).and_then(|found| {
        let DeValue::Array(items) = found.get_ref() else { return None };
        Some((texts(&mut items.iter(), &as_written)?, found.span()))
    });
    let package_dir = || {
        let found = find(&["tool", "setuptools", "package-dir", ""])?;
        Some((texts(&mut std::iter::once(found), &as_written)?, found.span()))
    };
    let poetry = || {
        let found = find(&["tool", "poetry", "packages"])?;
        let DeValue::Array(items) = found.get_ref() else { return None };
        Some((
            texts(&mut items.iter().filter_map(|item| item.get_ref().get("from")), &as_written)?,
            found.span(),
        ))
    };
    let hatch = || {
        let found = find(&["tool", "hatch", "build", "targets", "wheel", "packages"])?;
        let DeValue::Array(items) = found.get_ref() else { return None };
        let parent = |package: &str| {
            package.trim_end_matches('/').rsplit_once('/').map(|(parent, _)| parent.to_owned())
        };
        Some((texts(&mut items.iter(), &parent)?, found.span()))
    };
    setuptools.or_else(package_dir).or_else(poetry).or_else(hatch)
}

fn raw(value: &Spanned<DeValue<'_>>) -> Raw {
    match value.get_ref() {
        DeValue::String(text) => Raw::Text(text.clone().into_owned()),
        DeValue::Boolean(value) => Raw::Bool(*value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Raw::Text(number.as_str().to_owned()), Raw::Integer),
        DeValue::Float(number) => Raw::Text(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
            texts.map_or(Raw::Other("list with other things than texts"), Raw::List)
        }
        other => Raw::Other(other.type_str()),
    }
}

/// Keys under which people write the address of a database.
fn is_store_key(name: &str) -> bool {
    const WORDS: [&str; 8] = ["store", "stores", "database", "db", "dsn", "sqlite", "neo4j", "bolt"];
    let lower = name.to_ascii_lowercase();
    lower.starts_with("postgres") || lower.split(['-', '_', '.']).any(|word| WORDS.contains(&word))
}

/// Whether a text anywhere in the value is the address of a database server.
fn holds_address(value: &Spanned<DeValue<'_>>) -> bool {
    const SCHEMES: [&str; 4] = ["postgres", "neo4j", "bolt", "sqlite"];
    match value.get_ref() {
        DeValue::String(text) => {
            let lower = text.trim_start().to_ascii_lowercase();
            SCHEMES.iter().any(|scheme| {
                lower.strip_prefix(scheme).is_some_and(|rest| {
                    rest.find("://").is_some_and(|at| rest[..at].bytes().all(|byte| byte.is_ascii_graphic()))
                })
            })
        }
        DeValue::Array(items) => items.iter().any(holds_address),
        DeValue::Table(table) => table.values().any(holds_address),
        _ => false,
    }
}

/// Whether a folder, as written, lies at or below the file's own.
fn is_inside(text: &str) -> bool {
    Path::new(text)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir))
}

/// Refuses folders outside the file's own: a stranger's tree must not choose where this program writes or reads.
fn confine(key: Key, raw: &Raw, place: &Place) -> Result<(), ConfigError> {
    if !matches!(key, Key::CacheDir | Key::SourceRoots) {
        return Ok(());
    }
    let fine = match raw {
        Raw::Text(text) => is_inside(text),
        Raw::List(items) => items.iter().all(|item| is_inside(item)),
        _ => true,
    };
    if fine {
        return Ok(());
    }
    Err(ConfigError::Value {
        place: place.clone(),
        name: key.name(),
        given: raw.to_string(),
        expected: match key {
            Key::CacheDir => {
                "a folder outside that of `pyproject.toml` is taken from `--cache-dir` or `PARSER_CACHE_DIR` only"
            }
            _ => "name folders below that of `pyproject.toml`",
        }
        .to_owned(),
    })
}

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        match parse(Path::new("pyproject.toml"), text) {
            Ok(read) => {
                format!("{:?} {:?}", read.name, read.settings.iter().map(|s| &s.1).collect::<Vec<_>>())
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn messages() {
        for (text, expected) in [
            ("", "None []"),
            (
                "[project]\nname = 'p'\n[tool.pydebug]\nrespect-gitignore = false\n",
                "Some(\"p\") [Bool(false)]",
            ),
            ("[project]\nname = \"a\\u0007\"\n", "None []"),
            (
                "[tool.pydebug]\n\nmax_workers = 3\n",
                "`pyproject.toml` line 3: unknown setting `max_workers`; the nearest known one is `max-workers`",
            ),
            (
                "[tool.pydebug]\nzzz = 3\n",
                "`pyproject.toml` line 2: unknown setting `zzz`; `pydebug config` lists the known ones",
            ),
            (
                "a = 1\n[tool\n",
                "`pyproject.toml` line 2: invalid TOML: unclosed table, expected `]`; correct it or pass `--isolated` to ignore the file",
            ),
            (
                "[tool]\npydebug = 3\n",
                "`pyproject.toml` line 2: `tool.pydebug` cannot be of type integer; write a table `[tool.pydebug]`",
            ),
            (
                "[tool.pydebug]\ncache-dir = '../x'\n",
                "`pyproject.toml` line 2: `cache-dir` cannot be `../x`; a folder outside that of `pyproject.toml` is taken from `--cache-dir` or `PARSER_CACHE_DIR` only",
            ),
            (
                "[tool.pydebug]\nsource-roots = ['/etc']\n",
                "`pyproject.toml` line 2: `source-roots` cannot be a list of 1; name folders below that of `pyproject.toml`",
            ),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn build_back_ends_hint_at_source_roots() {
        for (text, expected) in [
            ("[tool.setuptools.packages.find]\nwhere = ['src', 'lib']\n", "None [List([\"src\", \"lib\"])]"),
            ("[tool.setuptools.packages.find]\nwhere = ['../x']\n", "None []"),
            ("[tool.setuptools]\npackages = ['a']\n", "None []"),
            ("[tool.setuptools.package-dir]\n'' = 'lib'\n", "None [List([\"lib\"])]"),
            ("[[tool.poetry.packages]]\ninclude = 'p'\nfrom = 'py'\n", "None [List([\"py\"])]"),
            ("[tool.hatch.build.targets.wheel]\npackages = ['py/a', 'py/b', 'c']\n", "None [List([\"py\"])]"),
            (
                "[tool.setuptools.package-dir]\n'' = 'lib'\n[tool.pydebug]\nsource-roots = ['x']\n",
                "None [List([\"x\"])]",
            ),
        ] {
            assert_eq!(message(text), expected, "{text}");
        }
    }

    #[test]
    fn store_addresses_are_refused() {
        for line in [
            "store = 'x'",
            "postgres-url = 'x'",
            "neo4j_uri = 'x'",
            "[tool.pydebug.store]\nurl = 'x'",
            "project = 'postgresql://evil/db'",
            "exclude = ['a', 'bolt+s://evil']",
            "[tool.pydebug.extra]\ndeep = { x = ['neo4j+ssc://evil'] }",
        ] {
            let message = message(&format!("[tool.pydebug]\n{line}\n"));
            assert!(message.contains("gives a store's address"), "{line}: {message}");
        }
        assert!(!message("[tool.pydebug]\nproject = 'bolt'\n").contains("address"));
    }
}
