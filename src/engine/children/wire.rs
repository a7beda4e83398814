//! Frames between parent and child: a length (u64, little-endian), then so many bytes. A request holds several files, each reply
//! is about one, in the order of the files. What is in a file without a name, a large text or large facts, goes over as
//! that file, sent with the first bytes of its frame.

use crate::model::facts::{EXTRACTOR_VERSION, Facts};
use crate::split::{ChunkSize, Measure};
use crate::sys::{self, Bytes, Mapped};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};

/// What a child says before anything else: that both sides are of one build.
pub(super) const HELLO: &[u8; 8] = b"PYDBWRK1";
/// Bytes of a frame's length.
pub(super) const LENGTH: usize = 8;
/// Bytes above which a frame is no frame of ours: a file may have 4 GiB, its facts no more than that.
const MAX_FRAME: u64 = 16 << 30;
/// Bytes of a request before each file's own.
pub(super) const HEAD: usize = 8 + 8 + 1 + 1;

/// Bytes of a file between two words about how far it is.
pub(in crate::engine) const STEP: u64 = 1 << 18;

/// One file to parse.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Task<'a> {
    pub(in crate::engine) bytes: &'a [u8],
    /// The file that they are in, where they are in one.
    pub(in crate::engine) file: Option<&'a File>,
    pub(in crate::engine) stub: bool,
    /// The chunks to parse it in; none means as a whole.
    pub(in crate::engine) chunk: Option<ChunkSize>,
    /// What is kept from chunk to chunk goes to scratch files.
    pub(in crate::engine) spill: bool,
}

/// What became of a file in a child that lived.
#[derive(Debug)]
pub(in crate::engine) struct Reply {
    pub(in crate::engine) answer: Answer,
    pub(in crate::engine) parse_us: u32,
    /// Bytes of the largest piece given to the parser.
    pub(in crate::engine) largest: u64,
}

/// The same without the measures.
#[derive(Debug)]
pub(in crate::engine) enum Answer {
    Facts(Bytes),
    TooDeep,
    /// Why it can't be parsed.
    Unfit(String),
    /// The words of a panic.
    Panic(String),
}

/// What is said of a file besides, in bits.
const STUB: u8 = 1;
const SPILL: u8 = 2;
const BY_FILE: u8 = 4;

/// The frame of these files, in parts: what stands between their bytes, and those bytes. And the files to send with it.
pub(super) fn request<'a>(tasks: &[Task<'a>]) -> (Vec<[u8; HEAD]>, Vec<&'a [u8]>, Vec<&'a File>) {
    let head = |task: &Task<'_>| {
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(&(task.bytes.len() as u64).to_le_bytes());
        let limit = task.chunk.map_or(0, |chunk| chunk.limit);
        head[8..16].copy_from_slice(&(limit as u64).to_le_bytes());
        head[16] = match task.chunk.map(|chunk| chunk.measure) {
            None => 0,
            Some(Measure::Ast) => 1,
            Some(Measure::Bytes) => 2,
            Some(Measure::Lines) => 3,
        };
        let bit = |bit: u8, is: bool| if is { bit } else { 0 };
        head[17] = bit(STUB, task.stub) | bit(SPILL, task.spill) | bit(BY_FILE, task.file.is_some());
        head
    };
    let body = |task: &Task<'a>| if task.file.is_some() { &[][..] } else { task.bytes };
    (
        tasks.iter().map(head).collect(),
        tasks.iter().map(body).collect(),
        tasks.iter().filter_map(|task| task.file).collect(),
    )
}

/// Reads a frame; `None` at the end of the input.
pub(super) fn read_frame(mut input: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = frame_length(length)?;
    let mut frame = Vec::with_capacity(length);
    input.take(length as u64).read_to_end(&mut frame)?;
    if frame.len() < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(frame)) }
}

pub(super) fn frame_length(bytes: [u8; LENGTH]) -> io::Result<usize> {
    let length = u64::from_le_bytes(bytes);
    let fits = usize::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    fits.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a frame of an impossible length"))
}

/// The files of a request, of which `sent` came apart from it.
pub(super) fn tasks<'a>(frame: &'a [u8], sent: &'a [Bytes]) -> Option<Vec<Task<'a>>> {
    let mut sent = sent.iter();
    let mut tasks = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at_checked(HEAD)?;
        let number = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
        let len = usize::try_from(number(0)?).ok()?;
        let (bytes, tail) = if head[17] & BY_FILE == 0 {
            tail.split_at_checked(len)?
        } else {
            (&**sent.next().filter(|bytes| bytes.len() == len)?, tail)
        };
        let measure = match head[16] {
            0 => None,
            1 => Some(Measure::Ast),
            2 => Some(Measure::Bytes),
            3 => Some(Measure::Lines),
            _ => return None,
        };
        let limit = usize::try_from(number(8)?).ok()?;
        let chunk = measure.map(|measure| ChunkSize { measure, limit });
        let (stub, spill) = (head[17] & STUB != 0, head[17] & SPILL != 0);
        tasks.push(Task { bytes, file: None, stub, chunk, spill });
        rest = tail;
    }
    Some(tasks)
}

/// Writes the frame with which a child begins.
pub(super) fn write_hello(mut out: impl Write) -> io::Result<()> {
    out.write_all(&((HELLO.len() + 4) as u64).to_le_bytes())?;
    out.write_all(HELLO)?;
    out.write_all(&EXTRACTOR_VERSION.to_le_bytes())?;
    out.flush()
}

/// Whether a frame is that of a child of this build.
pub(super) fn is_hello(frame: &[u8]) -> bool {
    frame.strip_prefix(HELLO) == Some(&EXTRACTOR_VERSION.to_le_bytes()[..])
}

/// Writes the frame of a reply.
pub(super) fn write_reply(mut out: impl Write, reply: &Reply) -> io::Result<()> {
    let (tag, bytes): (u8, &[u8]) = match &reply.answer {
        Answer::Facts(block) => (FACTS, block),
        Answer::TooDeep => (1, &[]),
        Answer::Panic(text) => (2, text.as_bytes()),
        Answer::Unfit(text) => (4, text.as_bytes()),
    };
    out.write_all(&head_of(reply, tag, bytes.len()))?;
    out.write_all(bytes)?;
    out.flush()
}

/// What stands before `len` bytes of a reply.
fn head_of(reply: &Reply, tag: u8, len: usize) -> [u8; LENGTH + 13] {
    let mut head = [0; LENGTH + 13];
    head[..8].copy_from_slice(&(len as u64 + 13).to_le_bytes());
    head[8] = tag;
    head[9..13].copy_from_slice(&reply.parse_us.to_le_bytes());
    head[13..21].copy_from_slice(&reply.largest.to_le_bytes());
    head
}

/// Sends the file with the facts of a reply instead of them; false, and nothing sent, where they are in none or `out` is a pipe.
pub(super) fn send_reply(out: &mut File, reply: &Reply) -> io::Result<bool> {
    let Answer::Facts(block) = &reply.answer else { return Ok(false) };
    let Some(file) = block.mapped().map(Mapped::file) else { return Ok(false) };
    let head = head_of(reply, FACTS_BY_FILE, 0);
    match sys::send_files(out, &[IoSlice::new(&head)], &[file]) {
        Ok(sent) => out.write_all(&head[sent..]).map(|()| true),
        Err(error) if sys::is_no_socket(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The tags of replies with facts.
const FACTS: u8 = 0;
const FACTS_BY_FILE: u8 = 5;

/// The tag of a frame that says how far the next reply is.
const PART: u8 = 3;

/// Writes a frame that says how many bytes of a file are behind.
pub(super) fn write_part(mut out: impl Write, done: u64) -> io::Result<()> {
    let mut frame = [0; LENGTH + 9];
    frame[..8].copy_from_slice(&9u64.to_le_bytes());
    frame[8] = PART;
    frame[9..].copy_from_slice(&done.to_le_bytes());
    out.write_all(&frame)?;
    out.flush()
}

/// What [`write_part`] wrote; `None` where the frame is something else.
pub(super) fn part(frame: &[u8]) -> Option<u64> {
    match frame {
        [PART, done @ ..] => Some(u64::from_le_bytes(done.try_into().ok()?)),
        _ => None,
    }
}

/// The reply in a frame, with the next of the files that were `sent` if it wants one; `None` where it is none of ours.
pub(super) fn reply(frame: &[u8], sent: &mut VecDeque<File>) -> Option<Reply> {
    let (head, bytes) = frame.split_at_checked(13)?;
    let answer = match head[0] {
        FACTS => {
            Facts::open(bytes)?;
            Answer::Facts(bytes.to_vec().into())
        }
        FACTS_BY_FILE => {
            let bytes = Bytes::of_file(sent.pop_front()?).ok()?;
            Facts::open(&bytes)?;
            Answer::Facts(bytes)
        }
        1 => Answer::TooDeep,
        2 => Answer::Panic(String::from_utf8_lossy(bytes).into_owned()),
        4 => Answer::Unfit(String::from_utf8_lossy(bytes).into_owned()),
        _ => return None,
    };
    let parse_us = u32::from_le_bytes(head[1..5].try_into().ok()?);
    Some(Reply { answer, parse_us, largest: u64::from_le_bytes(head[5..13].try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back() {
        let given = [
            (&b"x = 1\n"[..], false, None),
            (b"x = 2\n", false, Some(Measure::Ast)),
            (b"", true, Some(Measure::Bytes)),
            (b"def f(): pass\n", false, Some(Measure::Lines)),
        ];
        let given = given.map(|(bytes, stub, measure)| {
            let chunk = measure.map(|measure| ChunkSize { measure, limit: 512 << 10 });
            Task { bytes, file: None, stub, chunk, spill: stub }
        });
        let (heads, bodies, files) = request(&given);
        assert!(files.is_empty());
        let mut frame = Vec::new();
        for (head, body) in heads.iter().zip(bodies) {
            frame.extend_from_slice(head);
            frame.extend_from_slice(body);
        }
        let read = tasks(&frame, &[]).expect("a request");
        assert_eq!(format!("{read:?}"), format!("{given:?}"));
        for cut in 1..frame.len() {
            // Cut between two files it is a shorter request, cut elsewhere none.
            let whole = tasks(&frame[..cut], &[]).map(|tasks| tasks.len());
            assert!(whole.is_none_or(|count| count < 4), "{cut}");
        }
    }

    #[test]
    fn replies_come_back() {
        for answer in [Answer::TooDeep, Answer::Panic("oh".to_owned()), Answer::Unfit("no".to_owned())] {
            let mut bytes = Vec::new();
            let given = Reply { answer, parse_us: 3, largest: 1 << 40 };
            write_reply(&mut bytes, &given).expect("a vector takes everything");
            let frame = read_frame(&bytes[..]).expect("a frame").expect("no end");
            assert_eq!(
                format!("{:?}", reply(&frame, &mut VecDeque::new()).expect("a reply")),
                format!("{given:?}")
            );
            assert!(read_frame(&bytes[..bytes.len() - 1]).map_or(true, |frame| frame.is_none()));
        }
        let reply = |frame: &[u8]| reply(frame, &mut VecDeque::new());
        assert!(reply(b"\0short").is_none());
        assert!(reply(&[&[0][..], &[7; 40]].concat()).is_none(), "facts that are none");
        assert!(reply(&[&[5][..], &[0; 12]].concat()).is_none(), "a file that did not come");
        assert!(read_frame(&b""[..]).expect("an end").is_none());
        assert!(read_frame(&[255; 9][..]).is_err(), "an impossible length");
    }

    #[test]
    fn a_text_in_a_file_is_sent_as_that_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut out = sys::BytesWriter::new(Some(folder.path()), 0);
        out.write_all(b"x = 1\n").expect("room");
        let bytes = out.finish().expect("bytes");
        let file = bytes.mapped().map(Mapped::file);
        let small = Task { bytes: b"y = 2\n", file: None, stub: true, chunk: None, spill: false };
        let large = Task { bytes: &bytes, file, stub: false, chunk: None, spill: true };
        let (heads, bodies, files) = request(&[small, large]);
        assert_eq!((bodies[1].len(), files.len()), (0, 1));
        let frame = [&heads[0][..], bodies[0], &heads[1][..]].concat();
        let sent = [Bytes::of_file(files[0].try_clone().expect("a file")).expect("bytes")];
        let read = tasks(&frame, &sent).expect("a request");
        assert_eq!((read[0].bytes, read[1].bytes), (&b"y = 2\n"[..], &b"x = 1\n"[..]));
        assert_eq!((read[1].stub, read[1].spill), (false, true));
        assert!(tasks(&frame, &[]).is_none() && tasks(&frame, &[b"x".to_vec().into()]).is_none());
    }

    #[test]
    fn a_child_of_another_build_is_told() {
        let mut bytes = Vec::new();
        write_hello(&mut bytes).expect("a vector takes everything");
        let frame = read_frame(&bytes[..]).expect("a frame").expect("no end");
        assert!(is_hello(&frame));
        assert!(!is_hello(b"PYDBWRK1\xff\xff\xff\xff") && !is_hello(b""));
    }
}
