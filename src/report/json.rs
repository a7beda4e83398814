//! The report and the metrics as JSON, for machines that read a whole document.

use std::io::{self, Write};

use serde::Serialize;

use super::escape::SafeJson;

/// Writes one indented document and a line end.
///
/// # Errors
///
/// Those of the writer.
pub fn write(value: &impl Serialize, mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(SafeJson(&mut out), value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::progress::Phase;
    use crate::report::text::tests::sample;

    #[test]
    fn report_has_the_promised_keys() {
        let mut data = sample();
        data.phases.add(Phase::Link, 0.1);
        let mut out = Vec::new();
        write(&data, &mut out).expect("a vector takes everything");
        let read: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        for key in ["schema_version", "graph_digest", "metrics", "phases", "call_sites", "files", "warnings"]
        {
            assert!(!read[key].is_null(), "{key}");
        }
        assert_eq!(read["phases"]["link"], 0.25);
        assert!(Phase::ALL.iter().all(|phase| read["phases"][phase.name()].is_number()));
        assert_eq!(read["call_sites"]["resolved"], 120_000);
        assert_eq!(read["files"][1]["parse_errors"][0]["line"], 3);
        assert_eq!(read["files"][1]["cached"], false);
        assert_eq!(read["files"][2]["status"], "skipped");
    }
}
