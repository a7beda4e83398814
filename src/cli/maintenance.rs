//! What `pydebug cache` does, as named values.

use super::host::{Answer, CacheRequest};
use crate::cache::{Cache, FactsCodec, PortableLimits};
use crate::config::Config;
use crate::engine::open_cache;
use crate::model::facts::Facts;
use crate::model::json;
use anyhow::Context as _;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

/// Facts as JSON and back.
struct Codec;

impl FactsCodec for Codec {
    fn check(&self, raw: &[u8]) -> Result<(), String> {
        json::check_form(raw)
    }

    fn write_json(&self, raw: &[u8], out: &mut dyn Write) -> io::Result<()> {
        json::write_json(raw, out)
    }

    fn from_json(&self, text: &str) -> Result<Vec<u8>, String> {
        json::from_json(text)
    }
}

/// Does what was asked.
pub(super) fn answer(config: &Config, request: CacheRequest<'_>) -> anyhow::Result<Answer> {
    anyhow::ensure!(
        config.cache_enabled(),
        "the cache is switched off; drop `--no-cache` or PARSER_CACHE_ENABLED=false"
    );
    let exists = config.cache_dir().join("CACHEDIR.TAG").exists();
    if !exists && !matches!(request, CacheRequest::Import(_)) {
        anyhow::bail!(
            "there is no cache at `{}`; run `pydebug analyze` first or name it with `--cache-dir`",
            config.cache_dir().display()
        );
    }
    let cache = open_cache(config);
    let mut found = false;
    let mut fields = match request {
        CacheRequest::Info => info(&cache),
        CacheRequest::Clean => vec![("removed_bytes", cache.clean().into())],
        CacheRequest::Gc => {
            // Finds the damaged records that gc drops.
            let _ = cache.verify();
            let report = cache.gc();
            vec![
                ("busy", report.busy.into()),
                ("bytes_before", report.bytes_before.into()),
                ("bytes_after", report.bytes_after.into()),
                ("packs_evicted", report.packs_evicted.into()),
                ("packs_compacted", report.packs_compacted.into()),
                ("manifests_removed", report.manifests_removed.into()),
                ("snapshots_removed", report.snapshots_removed.into()),
                ("temporaries_removed", report.temporaries_removed.into()),
                ("packs_mended", report.packs_mended.into()),
            ]
        }
        CacheRequest::Verify => {
            let report = cache.verify();
            let damaged: Vec<String> = report
                .damaged
                .iter()
                .map(|(path, message)| format!("{}: {message}", path.display()))
                .collect();
            found = !damaged.is_empty();
            vec![
                ("packs", report.packs.into()),
                ("records", report.records.into()),
                ("manifests", report.manifests.into()),
                ("raw_bytes", report.raw_bytes.into()),
                ("absent", report.absent.into()),
                ("damaged", damaged.into()),
            ]
        }
        CacheRequest::Export(out) => {
            let report = cache.export(out, &Codec)?;
            vec![
                ("records", report.records.into()),
                ("skipped", report.skipped.into()),
                ("json_bytes", report.json_bytes.into()),
            ]
        }
        CacheRequest::Import(input) => {
            let report = cache.import(input, &Codec, PortableLimits::default())?;
            vec![
                ("records", report.records.into()),
                ("skipped", report.skipped.into()),
                ("json_bytes", report.json_bytes.into()),
            ]
        }
        CacheRequest::Show(file) => show(&cache, file)?,
    };
    let warnings: Vec<String> = cache.take_warnings().iter().map(ToString::to_string).collect();
    if !warnings.is_empty() {
        fields.push(("warnings", warnings.into()));
    }
    Ok(Answer { fields, found, ..Answer::default() })
}

fn info(cache: &Cache) -> Vec<(&'static str, Value)> {
    let info = cache.info();
    vec![
        ("path", cache.root().display().to_string().into()),
        ("packs", info.packs.into()),
        ("records", info.records.into()),
        ("live_records", info.live_records.into()),
        ("stored_bytes", info.stored_bytes.into()),
        ("raw_bytes", info.raw_bytes.into()),
        ("manifests", info.manifests.into()),
        ("files", info.files.into()),
        ("snapshots", info.snapshots.into()),
        ("total_bytes", info.total_bytes.into()),
        ("max_bytes", info.max_bytes.into()),
        ("damaged_packs", info.bad_packs.into()),
    ]
}

fn show(cache: &Cache, file: &Path) -> anyhow::Result<Vec<(&'static str, Value)>> {
    let path = file.canonicalize().with_context(|| format!("cannot find `{}`", file.display()))?;
    let entries = cache.show(&path);
    let entry = entries.first().with_context(|| {
        format!(
            "the cache knows nothing of `{}`; analyze its tree first, or name the root as the last argument",
            file.display()
        )
    })?;
    let facts = entry.record.as_ref().and_then(|record| Facts::open(&record.raw));
    let time = |seconds: u64| {
        jiff::Timestamp::from_second(i64::try_from(seconds).unwrap_or(0))
            .map_or(Value::Null, |time| time.to_string().into())
    };
    let day = time(u64::from(entry.accessed_day) * 86_400);
    Ok(vec![
        ("file_path", entry.path.clone().into()),
        ("root", entry.root.display().to_string().into()),
        ("content_hash", entry.content_hash.to_string().into()),
        ("metadata_hash", format!("{:016x}", entry.metadata_hash).into()),
        ("key", entry.key.to_string().into()),
        ("parsed_module", facts.as_ref().map_or(Value::Null, json::module)),
        ("relationships", facts.as_ref().map_or_else(|| json!([]), json::relationships)),
        ("parse_duration", (f64::from(entry.parse_duration_us) / 1e6).into()),
        ("created_at", time(entry.created)),
        ("last_accessed", day.as_str().map_or(Value::Null, |day| day[..10.min(day.len())].into())),
    ])
}
