//! The portable form: JSON lines in zstd, to share a cache or look into it with other tools.
//!
//! First line: `{"format":"pydebug-cache","version":1}`; then one object a record with `key`, `content` (its file's content hash,
//! `null` where no manifest names it), `created` (seconds since 1970), `parse_duration_us`, `facts`; last line:
//! `{"end":true,"records":N,"blake2b":"..."}` with the hash of all bytes before it. Nothing of a file whose end is missing or wrong is
//! imported. Whether the facts are true to their key can't be checked: import only from whom you trust.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Cache;
use super::codec::{Compressor, DEFAULT_LEVEL};
use super::hash::{ContentHash, FactKey};
use super::pack::{PackError, RecordMeta};

const FORMAT: &str = "pydebug-cache";
const VERSION: u64 = 1;
/// Bytes that are hashed and compressed at a time.
const LINES: usize = 1 << 16;
/// Larger windows than this are refused when reading (2^27 bytes).
const WINDOW_LOG: u32 = 27;

/// Turns a record's bytes into JSON and back. What comes back is checked: it may have been made by anyone.
pub trait FactsCodec {
    /// Whether the bytes can be written.
    ///
    /// # Errors
    /// What is wrong with them.
    fn check(&self, raw: &[u8]) -> Result<(), String>;
    /// Writes the bytes as one JSON value without line ends; a large record is never there as a whole.
    ///
    /// # Errors
    /// Those of `out`.
    fn write_json(&self, raw: &[u8], out: &mut dyn Write) -> io::Result<()>;
    /// # Errors
    /// What is wrong with the text.
    #[expect(clippy::wrong_self_convention, reason = "the codec is the receiver, not the bytes made")]
    fn from_json(&self, json: &str) -> Result<Vec<u8>, String>;
}

/// Bounds on what an import reads, against compression bombs.
#[derive(Clone, Copy, Debug)]
pub struct PortableLimits {
    /// Bytes of one line, decompressed.
    pub line_bytes: u64,
    /// Bytes of the whole, decompressed.
    pub total_bytes: u64,
}

impl Default for PortableLimits {
    fn default() -> Self {
        Self { line_bytes: 256 << 20, total_bytes: 16 << 30 }
    }
}

/// What was exported or imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortableReport {
    /// Records written or added.
    pub records: u64,
    /// Records left out: damaged when exporting, there already when importing.
    pub skipped: u64,
    /// Bytes of JSON.
    pub json_bytes: u64,
}

/// Why an export or import failed; an import that failed changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// Reading or writing failed, or it is not zstd.
    #[error("cannot read or write the portable cache; check that it is a `pydebug cache export` file")]
    Io(#[from] io::Error),
    /// A line that is not what it should be.
    #[error("line {line} of the portable cache {message}; export it again")]
    Line {
        /// From 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// Its end is missing or its hash is wrong.
    #[error("the portable cache {0}; copy or export it again")]
    Damaged(&'static str),
    /// More than the limits allow.
    #[error(
        "the portable cache exceeds the limit of {0} decompressed bytes; raise the limit if you trust it"
    )]
    TooLarge(u64),
    /// There is no cache to import into.
    #[error("the cache is disabled; name a directory that can be written with `--cache-dir`")]
    Disabled,
    /// The new records could not be stored.
    #[error("the records could not be stored in the cache; check its directory and the space left")]
    NotStored,
}

impl Cache {
    /// Writes all records, sorted by key.
    ///
    /// # Errors
    /// When `out` fails. A damaged record is left out and counted.
    pub fn export(
        &self,
        out: &mut dyn Write,
        codec: &dyn FactsCodec,
    ) -> Result<PortableReport, PortableError> {
        let mut report = PortableReport::default();
        let encoder = zstd::stream::write::Encoder::new(BufWriter::new(out), 3)?;
        let hashed = Hashed { out: encoder, hash: ContentHash::state(), bytes: 0 };
        let mut out = BufWriter::with_capacity(LINES, hashed);
        writeln!(out, "{}", json!({ "format": FORMAT, "version": VERSION }))?;
        let index = self.index();
        let contents = self.contents();
        let mut keys: Vec<FactKey> = index.places.iter().map(|&place| index.entry(place).1.key).collect();
        keys.sort_unstable();
        for key in &keys {
            let Some(record) = self.find(key) else {
                report.skipped += 1;
                continue;
            };
            if let Err(message) = codec.check(&record.raw) {
                self.warn_corrupt(self.root(), &PackError::Record(format!("`{key}` {message}")));
                report.skipped += 1;
                continue;
            }
            // An object with sorted keys, as all lines are, whose facts are written where they stand.
            let head = json!({
                "content": contents.get(key).map(ToString::to_string),
                "created": record.meta.created,
            });
            let tail = json!({
                "key": key.to_string(),
                "parse_duration_us": record.meta.parse_duration_us,
            });
            let (head, tail) = (head.to_string(), tail.to_string());
            write!(out, "{},\"facts\":", head.trim_end_matches('}'))?;
            codec.write_json(&record.raw, &mut out)?;
            writeln!(out, ",{}", tail.trim_start_matches('{'))?;
            report.records += 1;
        }
        out.flush()?;
        let blake2b = ContentHash::of_state(&out.get_ref().hash).map(|hash| hash.to_string());
        writeln!(out, "{}", json!({ "end": true, "records": report.records, "blake2b": blake2b }))?;
        let hashed = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        report.json_bytes = hashed.bytes;
        hashed.out.finish()?.flush()?;
        Ok(report)
    }

    fn contents(&self) -> HashMap<FactKey, ContentHash> {
        let mut contents = HashMap::new();
        for path in self.files("manifests", "manifest") {
            if let Ok(manifest) = super::manifest::Manifest::read(&path) {
                contents.extend(manifest.rows().map(|row| (row.key, row.content_hash)));
            }
        }
        contents
    }

    /// Adds the records of a portable cache that are not there yet.
    ///
    /// # Errors
    /// See [`PortableError`]; nothing was added then.
    pub fn import(
        &self,
        input: &mut dyn Read,
        codec: &dyn FactsCodec,
        limits: PortableLimits,
    ) -> Result<PortableReport, PortableError> {
        if !self.is_enabled() {
            return Err(PortableError::Disabled);
        }
        let mut decoder = zstd::stream::read::Decoder::new(input)?;
        decoder.window_log_max(WINDOW_LOG)?;
        let mut lines =
            Lines { input: BufReader::new(decoder), limits, number: 0, total: 0, text: Vec::new() };
        let mut hash = ContentHash::state();
        let mut report = PortableReport::default();
        let mut compressor = Compressor::new(DEFAULT_LEVEL)?;
        let writer = self.pack_writer();
        let index = self.index();
        let (mut seen, mut header, mut ended) = (HashSet::new(), false, false);
        while lines.next()? {
            let wrong =
                |message: &str| PortableError::Line { line: lines.number, message: message.to_owned() };
            let line: Line<'_> = serde_json::from_slice(&lines.text)
                .map_err(|error| wrong(&format!("is no line of one ({error})")))?;
            if ended {
                return Err(wrong("follows the end"));
            }
            if !header {
                if line.format.as_deref() != Some(FORMAT) || line.version != Some(VERSION) {
                    return Err(wrong("is not the header of version 1"));
                }
                header = true;
            } else if line.end == Some(true) {
                let expected = ContentHash::of_state(&hash).map(|hash| hash.to_string());
                if line.records != Some(seen.len() as u64) || line.blake2b != expected {
                    return Err(PortableError::Damaged("has a wrong hash at its end"));
                }
                ended = true;
            } else {
                let (key, meta, facts) = record(&line).map_err(wrong)?;
                if !seen.insert(key) {
                    return Err(wrong("repeats a key"));
                }
                let raw = codec.from_json(facts).map_err(|message| wrong(&message))?;
                if index.place(&key).is_some() {
                    report.skipped += 1;
                } else if writer.append(&key, &compressor.compress(&raw), meta) {
                    report.records += 1;
                } else {
                    return Err(PortableError::NotStored);
                }
            }
            hash.update(&lines.text);
        }
        if !ended {
            return Err(PortableError::Damaged("ends too early"));
        }
        report.json_bytes = lines.total;
        if report.records > 0 && writer.finish() == 0 {
            return Err(PortableError::NotStored);
        }
        Ok(report)
    }
}

/// Hashes and counts what goes through it.
struct Hashed<W> {
    out: W,
    hash: blake2b_simd::State,
    bytes: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Any line. Facts stay text, for as values they would take many times their size.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    format: Option<String>,
    version: Option<u64>,
    key: Option<String>,
    #[expect(dead_code, reason = "for other readers; the key says all that is needed here")]
    content: Option<String>,
    created: Option<u64>,
    parse_duration_us: Option<u32>,
    #[serde(borrow)]
    facts: Option<&'a RawValue>,
    end: Option<bool>,
    records: Option<u64>,
    blake2b: Option<String>,
}

fn record<'a>(line: &Line<'a>) -> Result<(FactKey, RecordMeta, &'a str), &'static str> {
    let key = line.key.as_deref().and_then(|key| key.parse().ok()).ok_or("has no valid `key`")?;
    let created = line.created.ok_or("has no `created`")?;
    let parse_duration_us = line.parse_duration_us.ok_or("has no `parse_duration_us`")?;
    let facts = line.facts.ok_or("has no `facts`")?;
    Ok((key, RecordMeta { parse_duration_us, created }, facts.get()))
}

/// Lines of bounded length.
struct Lines<R> {
    input: R,
    limits: PortableLimits,
    number: u64,
    total: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line into `text`; false where there is none.
    fn next(&mut self) -> Result<bool, PortableError> {
        self.text.clear();
        let left = self.limits.total_bytes - self.total;
        let limit = self.limits.line_bytes.min(left);
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            let end = memchr::memchr(b'\n', available).map(|at| at + 1);
            let part = &available[..end.unwrap_or(available.len())];
            let length = (self.text.len() + part.len()) as u64;
            if length > limit {
                let line = self.limits.line_bytes < left;
                let limit = if line { self.limits.line_bytes } else { self.limits.total_bytes };
                return Err(PortableError::TooLarge(limit));
            }
            if length > self.text.capacity() as u64 {
                // Doubled, but not beyond what may come; and no memory is an error, not the end of the process.
                let wanted = (2 * length).min(limit) as usize - self.text.len();
                self.text.try_reserve_exact(wanted).map_err(io::Error::from)?;
            }
            self.text.extend_from_slice(part);
            let used = part.len();
            self.input.consume(used);
            if end.is_some() || used == 0 {
                break;
            }
        }
        let read = self.text.len() as u64;
        if read == 0 {
            return Ok(false);
        }
        self.total += read;
        self.number += 1;
        Ok(true)
    }
}
