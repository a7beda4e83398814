//! The child's side: reads files from standard input, writes what became of each to standard output, and ends with its input.

use super::wire::{self, Answer, Reply, STEP, Task};
use crate::extract;
use crate::parse::{Outcome, Scratch};
use crate::sys::{self, Bytes, BytesWriter};
use anyhow::Context as _;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

/// Bytes of facts that go back as a file.
const LARGE: usize = 4 << 20;

/// What a child is told when it is started.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The process that started it; the child ends where that is another one already.
    pub parent: u32,
    /// Bytes that it may allocate; 0 for no limit.
    pub memory: u64,
    /// Whether it takes nesting that an ordinary stack does not hold.
    pub deep: bool,
    /// Files after which scratch memory is dropped.
    pub gc_threshold: u64,
    /// Where it makes scratch files; nowhere means that all is in memory.
    pub scratch: Option<PathBuf>,
}

/// Works until the input ends.
///
/// # Errors
/// Where this process can't be set up or its pipes break. A file's trouble is in the replies.
pub fn serve(options: WorkerOptions) -> anyhow::Result<()> {
    sys::end_with_parent();
    if sys::parent_id() != options.parent {
        return Ok(());
    }
    sys::refuse_core_files();
    sys::die_by_own_signals();
    sys::exit_without_memory();
    // What panics is told in a reply.
    std::panic::set_hook(Box::new(|_| {}));
    let (send, requests) = channel();
    let (ready, started) = channel();
    let memory = options.memory;
    std::thread::Builder::new()
        .name("parser".to_owned())
        // The parser has in it what it would have to ask for, against the limit of memory, on a smaller one.
        .stack_size(extract::DEEP_STACK)
        .spawn(move || {
            let _ = ready.send(());
            // Where it ends without an error the other thread is at its end, whose exit code counts.
            if work(&options, &requests).is_err() {
                std::process::exit(1);
            }
        })
        .context("cannot start the thread that parses")?;
    // The stack is mapped before the limit is set, which counts what is mapped after it.
    started.recv().context("the thread that parses did not start")?;
    if memory > 0 {
        sys::limit_memory(memory).context("cannot limit memory")?;
    }
    wire::write_hello(output()?)?;
    // Read ahead here, so that the parent is not kept from writing, and its end is seen while a file is parsed.
    let mut input =
        Input { socket: io::stdin().as_fd().try_clone_to_owned()?.into(), files: VecDeque::new() };
    while let Some(frame) = wire::read_frame(&mut input)? {
        // They came with its first bytes.
        let files = input.files.drain(..).map(Bytes::of_file).collect::<io::Result<_>>()?;
        if send.send((frame, files)).is_err() {
            break;
        }
    }
    Ok(())
}

/// A request, and the files that came with it.
type Request = (Vec<u8>, Vec<Bytes>);

/// Standard input, and the files that came over it.
struct Input {
    socket: File,
    files: VecDeque<File>,
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        sys::receive_files(&self.socket, into, &mut self.files)
    }
}

fn work(options: &WorkerOptions, requests: &Receiver<Request>) -> io::Result<()> {
    extract::allow_large();
    if options.deep {
        extract::allow_deep();
    }
    let mut scratch = Scratch::default();
    let mut files = 0u64;
    let out = RefCell::new(BufWriter::with_capacity(1 << 16, output()?));
    let folder = options.scratch.as_deref();
    while let Ok((frame, sent)) = requests.recv() {
        let tasks = wire::tasks(&frame, &sent).ok_or(io::ErrorKind::InvalidData)?;
        for task in tasks {
            let reply = parse(&mut scratch, task, folder, &out);
            answer(&mut out.borrow_mut(), &reply)?;
            files += 1;
            if files.is_multiple_of(options.gc_threshold.max(1)) || matches!(reply.answer, Answer::Panic(_)) {
                scratch = Scratch::default();
            }
        }
        out.borrow_mut().flush()?;
    }
    Ok(())
}

/// Standard output without the standard library's buffer, which is for lines.
fn output() -> io::Result<std::fs::File> {
    Ok(io::stdout().as_fd().try_clone_to_owned()?.into())
}

/// Writes a reply; of facts that are in a file only which one.
fn answer(out: &mut BufWriter<File>, reply: &Reply) -> io::Result<()> {
    out.flush()?;
    if wire::send_reply(out.get_mut(), reply)? { Ok(()) } else { wire::write_reply(out, reply) }
}

/// Large facts in a file, where there can be one.
fn apart(block: Bytes, folder: Option<&Path>) -> Bytes {
    if folder.is_none() || block.heap_bytes() <= LARGE as u64 {
        return block;
    }
    let mut out = BytesWriter::new(folder, 0);
    let written = out.write_all(&block).and_then(|()| out.finish());
    written.unwrap_or(block)
}

fn parse(
    scratch: &mut Scratch,
    task: Task<'_>,
    folder: Option<&Path>,
    out: &RefCell<BufWriter<File>>,
) -> Reply {
    let started = Instant::now();
    let told = Cell::new(0);
    let watch = |done: usize| {
        let done = done as u64;
        if done >= told.get() + STEP {
            told.set(done);
            // A parent that is gone shows at the reply.
            let _ = wire::write_part(&mut *out.borrow_mut(), done);
        }
        true
    };
    let mut largest = task.bytes.len();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let made =
            scratch.parse_watched(task.bytes, task.stub, task.chunk, folder.filter(|_| task.spill), &watch);
        made.map_or(Outcome::TooDeep, |(outcome, piece)| {
            largest = piece;
            outcome
        })
    }));
    let answer = match outcome {
        Ok(Outcome::Facts(block)) => Answer::Facts(apart(block, folder)),
        // What is too large here is told by running out of memory.
        Ok(Outcome::TooDeep | Outcome::TooLarge) => Answer::TooDeep,
        Ok(Outcome::Unfit(why)) => Answer::Unfit(why),
        // The parser's own growth of the stack panics where it is refused.
        Err(panic) if words(&*panic).contains("mmap") => std::process::exit(sys::OUT_OF_MEMORY.into()),
        Err(panic) => Answer::Panic(words(&*panic).to_owned()),
    };
    let parse_us = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
    Reply { answer, parse_us, largest: largest as u64 }
}

/// What a panic said.
pub(in crate::engine) fn words(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panic")
}
