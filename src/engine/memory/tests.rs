//! Admission, pressure and what they lead to, without memory being short.

use super::*;
use crate::config::Key;
use crate::engine::Analyzer;
use std::sync::mpsc;

const MB: u64 = 1 << 20;

/// The memory of a run with a budget of so many MB and two workers.
fn memory(megabytes: u64) -> Memory {
    let config = Config::builder(".").set(Key::MaxMemory, megabytes).set(Key::MemoryThreshold, 50u64);
    let config = config.build().expect("valid");
    Memory::within(Budget::of(&config), &config, 2, Meter::default(), 0)
}

fn source(text: &str) -> Bytes {
    text.as_bytes().to_vec().into()
}

fn press(memory: &Memory, resident: u64) -> Pressure {
    memory.take(&mut locked(&memory.watch), resident, || true);
    memory.level()
}

#[test]
fn a_file_waits_until_its_cost_fits() {
    let memory = memory(256);
    let part = memory.room / 3 * 2;
    let first = memory.enter(part);
    let (sender, entered) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let second = memory.enter(part);
            sender.send(get(&memory.tallies.waited)).expect("somebody listens");
            drop(second);
        });
        // It says that it waits under the lock under which it begins to.
        while get(&memory.tallies.waited) == 0 {
            std::thread::yield_now();
        }
        assert!(entered.try_recv().is_err(), "there is no room");
        assert_eq!(locked(&memory.gate).running, 1);
        drop(first);
        assert_eq!(entered.recv(), Ok(1));
    });
    let gate = locked(&memory.gate);
    assert_eq!((gate.running, gate.reserved), (0, 0));
}

#[test]
fn files_that_fit_run_at_once_and_one_may_always() {
    let memory = memory(256);
    let both = (memory.enter(memory.room / 2), memory.enter(memory.room / 2));
    assert_eq!(locked(&memory.gate).running, 2);
    drop(both);
    drop(memory.enter(memory.room * 100));
    assert_eq!((get(&memory.tallies.waited), get(&memory.tallies.alone)), (0, 1));
}

#[test]
fn pressure_rises_and_falls_with_a_margin() {
    let memory = memory(256);
    for (megabytes, level) in [
        (10, Pressure::None),
        (50, Pressure::Low),
        (192, Pressure::High),
        (185, Pressure::High),
        (240, Pressure::Critical),
        (225, Pressure::Critical),
        (200, Pressure::High),
        (100, Pressure::Low),
        (49, Pressure::Low),
        (40, Pressure::None),
        (250, Pressure::Critical),
    ] {
        assert_eq!(press(&memory, megabytes * MB), level, "{megabytes}");
    }
    let metrics = memory.metrics(Parsed::default());
    assert_eq!(metrics.pressure, MemoryPressure { low: 2, high: 2, critical: 2 });
    assert_eq!(metrics.decisions.packs_flushed, 2);
    assert!(metrics.peak_private_mb >= 250.0);
}

#[test]
fn pressure_asks_workers_for_their_scratch_once_each() {
    let memory = memory(256);
    let cache = crate::cache::Cache::disabled();
    let packs = cache.pack_writer();
    let mut paces = [Pace::default(), Pace::default()];
    let mut asked = |memory: &Memory| paces.each_mut().map(|pace| memory.pace(pace, 0, &packs));
    assert_eq!(asked(&memory), [false; 2]);
    press(&memory, 60 * MB);
    assert_eq!(asked(&memory), [true; 2]);
    assert_eq!(asked(&memory), [false; 2]);
    press(&memory, 70 * MB);
    assert_eq!(asked(&memory), [false; 2], "low pressure asks when it begins");
    press(&memory, 200 * MB);
    assert_eq!(asked(&memory), [true; 2]);
    press(&memory, 210 * MB);
    assert_eq!(asked(&memory), [false; 2]);
    press(&memory, 220 * MB);
    assert_eq!(asked(&memory), [true; 2], "high pressure asks again when there is more");
    // A worker looks after so many bytes, and what it then sees is this process.
    let mut pace = Pace::default();
    memory.pace(&mut pace, LOOK - 1, &packs);
    assert_eq!(get(&memory.tallies.looks), 0);
    memory.pace(&mut pace, 1, &packs);
    assert_eq!(get(&memory.tallies.looks), 1);
}

#[test]
fn pressure_chunks_earlier_and_lets_fewer_run() {
    let memory = memory(256);
    let of = |memory: &Memory| [600, 500, 200, 100, 64].map(|kb| memory.chunk_now(kb << 10));
    assert_eq!(of(&memory), [true, false, false, false, false]);
    press(&memory, 60 * MB);
    assert_eq!(of(&memory), [true, true, false, false, false]);
    assert_eq!(memory.chunk_at(memory.level()).limit, 256 << 10);
    press(&memory, 200 * MB);
    assert_eq!(of(&memory), [true, true, true, false, false]);
    // Small files ask too, and of two workers one waits.
    let plan = memory.plan(&source("x = 1\n"));
    assert!(plan.cost > 0 && plan.chunk.is_none());
    let permit = memory.enter(plan.cost);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(memory.enter(memory.plan(&source("y = 1\n")).cost)));
        while get(&memory.tallies.held_back) == 0 {
            std::thread::yield_now();
        }
        press(&memory, 10 * MB);
    });
    drop(permit);
    press(&memory, 250 * MB);
    assert_eq!(of(&memory), [true, true, true, true, false]);
}

#[test]
fn what_no_chunk_holds_is_chunked_for_its_cost() {
    let memory = memory(64);
    let text = "a\n".repeat(240 << 10);
    let plan = memory.plan(&source(&text));
    assert!(plan.chunk.is_some(), "{} {}", memory.room, estimate::whole(text.as_bytes()));
    let prose = format!("'''{}'''", "word ".repeat(80 << 10));
    assert!(memory.plan(&source(&prose)).chunk.is_none());
}

#[test]
fn a_large_budget_asks_for_large_files_alone() {
    let memory = memory(2048);
    assert_eq!(memory.asks_above, 512 << 10);
    let text = "a\n".repeat(200 << 10);
    let plan = memory.plan(&source(&text));
    assert!(plan.cost == 0 && plan.chunk.is_none());
    assert_eq!(get(&memory.tallies.counted), 0);
}

/// A tree whose graph has links between files.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..40 {
        let text = format!(
            "from m{} import f{} as g\n\ndef f{number}(x):\n    return g(x) + h{number}()\n\ndef h{number}():\n    pass\n",
            (number + 1) % 40,
            (number + 1) % 40
        );
        std::fs::write(folder.path().join(format!("m{number}.py")), text).expect("a file");
    }
    std::fs::write(folder.path().join("broken.py"), "def f(:\n").expect("a file");
    folder
}

#[test]
fn a_graph_is_the_same_wherever_facts_were() {
    let folder = tree();
    let run = |cached: bool, heap: Option<u64>, scratch: Option<PathBuf>| {
        let cache = folder.path().join(".cache");
        let config = Config::builder(folder.path()).cache_enabled(cached);
        let config = config.cache_dir(cache.to_str().expect("UTF-8")).build().expect("valid");
        let mut analyzer = Analyzer::new(config);
        analyzer.heap = heap;
        analyzer.scratch = scratch;
        analyzer.run().expect("a run")
    };
    let plain = run(false, None, None);
    assert_eq!(plain.metrics().memory.decisions.facts_spilled, 0);
    let digest = plain.graph().digest();
    for heap in [0, 1000, 5000] {
        let spilled = run(false, Some(heap), None);
        assert_eq!(spilled.graph().digest(), digest, "{heap}");
        let decisions = &spilled.metrics().memory.decisions;
        let expected = if heap == 0 { 41..=41 } else { 1..=40 };
        assert!(expected.contains(&decisions.facts_spilled), "{decisions:?}");
        assert!(heap == 5000 || expected.contains(&decisions.links_spilled), "{decisions:?}");
        assert!(spilled.warnings().is_empty());
        let errors: usize = spilled.graph().files().map(|file| file.errors().len()).sum();
        assert!(errors > 0, "the graph is read back from its file");
    }
    // With a cache: facts made, facts from packs, and a snapshot that comes from facts in a file.
    assert_eq!(run(true, Some(0), None).graph().digest(), digest);
    std::fs::remove_dir_all(folder.path().join(".cache/v1/snapshots")).expect("snapshots");
    let packs = run(true, Some(0), None);
    assert_eq!((packs.graph().digest(), packs.metrics().hits), (digest, 41));
    assert_eq!(packs.metrics().memory.decisions.facts_spilled, 41);
    // Nowhere to write: everything stays on the heap, and somebody hears of it.
    let nowhere = run(false, Some(0), Some("/nowhere/at/all".into()));
    assert_eq!(nowhere.graph().digest(), digest);
    assert!(nowhere.warnings()[0].contains("scratch file in `/nowhere/at/all`"), "{:?}", nowhere.warnings());
}
