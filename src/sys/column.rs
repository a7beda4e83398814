//! Long runs of plain numbers that are appended to in one phase and read in the next: on the heap while all of them together have
//! room there, beyond that in files without names.
//!
//! What has left the heap was appended by `write` in blocks and is read through a read-only map: under a limit of memory writing through
//! a map is a hundred times slower, and pages that were only read can be taken back by the system at any time. Nothing is ever changed in place.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::sync::locked;

/// Bytes that a column may hold without asking, and that are written at a time.
const BLOCK: usize = 64 << 10;

/// Numbers, or arrays of them: any bytes of the right length are one, and none of its bytes is padding.
///
/// # Safety
/// As said; whoever implements it promises it.
#[expect(unsafe_code, reason = "what may be read back from a file as it stands is for each type to promise")]
pub unsafe trait Plain: Copy + std::fmt::Debug + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty)*) => { $(
        #[expect(unsafe_code, reason = "as above")]
        // SAFETY: a primitive number.
        unsafe impl Plain for $number {}
    )* };
}
plain!(u8 u16 u32 u64 i64);
#[expect(unsafe_code, reason = "as above")]
// SAFETY: an array has the bytes of its elements and nothing between them.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

#[expect(unsafe_code, reason = "the standard library has no such conversion")]
fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: plain values have no padding, so that all their bytes are initialized; a byte is aligned everywhere.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// The first `len` values in `bytes`.
#[expect(unsafe_code, reason = "the standard library has no such conversion")]
fn values_of<T: Plain>(bytes: &[u8], len: usize) -> &[T] {
    let fits = len.checked_mul(size_of::<T>()).is_some_and(|size| size <= bytes.len());
    assert!(fits && bytes.as_ptr().addr().is_multiple_of(align_of::<T>()), "values outside of their map");
    // SAFETY: the bytes are there and aligned, and any bytes make plain values.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), len) }
}

/// How much of the heap columns and tables may take together, and where the rest of them goes.
#[derive(Debug)]
pub struct Scratch {
    /// Where files are made; nowhere means that everything stays on the heap.
    folder: Option<PathBuf>,
    /// Bytes on the heap, blocks that are being filled aside.
    limit: u64,
    held: AtomicU64,
    written: AtomicU64,
    closed: AtomicBool,
    maps: Mutex<Vec<Weak<memmap2::Mmap>>>,
    trouble: Mutex<Option<io::Error>>,
}

impl Scratch {
    /// Keeps `limit` bytes on the heap, and the rest in files in `folder` that exist while they are in use.
    #[must_use]
    pub fn new(folder: Option<PathBuf>, limit: u64) -> Arc<Self> {
        Arc::new(Self {
            closed: AtomicBool::new(folder.is_none()),
            folder,
            limit,
            held: AtomicU64::new(0),
            written: AtomicU64::new(0),
            maps: Mutex::default(),
            trouble: Mutex::default(),
        })
    }

    /// Keeps everything on the heap.
    #[must_use]
    pub fn none() -> Arc<Self> {
        Self::new(None, u64::MAX)
    }

    /// Whether so many bytes more may stay on the heap; they then count.
    fn grant(&self, bytes: u64) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        let granted = before.saturating_add(bytes) <= self.limit || self.closed.load(Ordering::Relaxed);
        if !granted {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
        }
        granted
    }

    fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn create(&self) -> io::Result<File> {
        match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => Err(io::Error::other("there is no folder for it")),
        }
    }

    fn map(&self, file: &File) -> io::Result<Arc<memmap2::Mmap>> {
        let map = Arc::new(super::map(file)?);
        super::read_here_and_there(&map);
        let mut maps = locked(&self.maps);
        maps.retain(|map| map.strong_count() > 0);
        maps.push(Arc::downgrade(&map));
        Ok(map)
    }

    fn fail(&self, error: io::Error) {
        self.closed.store(true, Ordering::Relaxed);
        locked(&self.trouble).get_or_insert(error);
    }

    /// Takes pages of the files that were read out of this process.
    pub fn release(&self) {
        let maps: Vec<_> = locked(&self.maps).iter().filter_map(Weak::upgrade).collect();
        maps.iter().for_each(|map| super::release(map));
    }

    /// Bytes in files so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Why values stayed on the heap that should not have, and where the files were or should have been.
    #[must_use]
    pub fn trouble(&self) -> Option<(PathBuf, String)> {
        let trouble = locked(&self.trouble);
        trouble.as_ref().map(|error| (self.folder.clone().unwrap_or_default(), error.to_string()))
    }
}

/// Values in a file that grows.
#[derive(Debug)]
struct Part {
    file: File,
    /// Values written.
    len: usize,
    /// The file is made larger than what it holds, so that it need not be mapped again after each block.
    map: Arc<memmap2::Mmap>,
}

/// Values that are appended one after the other, and can be read at any time.
#[derive(Debug)]
pub struct Column<T: Plain> {
    scratch: Arc<Scratch>,
    /// The last values; all of them while the heap has room.
    tail: Vec<T>,
    /// Length of `tail` at which room is asked for.
    room: usize,
    granted: u64,
    part: Option<Part>,
}

impl<T: Plain> Default for Column<T> {
    fn default() -> Self {
        Self::new(&Scratch::none())
    }
}

impl<T: Plain> Column<T> {
    const PER_BLOCK: usize = if BLOCK / size_of::<T>() == 0 { 1 } else { BLOCK / size_of::<T>() };

    /// An empty column.
    #[must_use]
    pub fn new(scratch: &Arc<Scratch>) -> Self {
        Self { scratch: Arc::clone(scratch), tail: Vec::new(), room: Self::PER_BLOCK, granted: 0, part: None }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        if self.tail.len() >= self.room {
            self.make_room();
        }
        self.tail.push(value);
    }

    /// Appends values.
    pub fn extend_from_slice(&mut self, mut values: &[T]) {
        while !values.is_empty() {
            if self.tail.len() >= self.room {
                self.make_room();
            }
            let (now, later) = values.split_at(values.len().min(self.room - self.tail.len()));
            self.tail.extend_from_slice(now);
            values = later;
        }
    }

    #[cold]
    fn make_room(&mut self) {
        let more = (self.room * size_of::<T>()) as u64;
        if self.part.is_none() && self.scratch.grant(more) {
            self.granted += more;
            self.room *= 2;
        } else if let Err(error) = self.write() {
            // What is in the file already stays there.
            self.scratch.fail(error);
            self.room *= 2;
        }
    }

    /// Moves the tail to the file.
    fn write(&mut self) -> io::Result<()> {
        let bytes = bytes_of(&self.tail);
        if self.part.is_none() {
            let file = self.scratch.create()?;
            file.set_len((bytes.len() as u64).next_power_of_two().max(16 * BLOCK as u64))?;
            let map = self.scratch.map(&file)?;
            self.part = Some(Part { file, len: 0, map });
        }
        let Some(part) = &mut self.part else { return Ok(()) };
        let start = part.len * size_of::<T>();
        let end = start + bytes.len();
        part.file.write_all_at(bytes, start as u64)?;
        if end > part.map.len() {
            part.file.set_len((end as u64).next_power_of_two())?;
            part.map = self.scratch.map(&part.file)?;
        }
        part.len += self.tail.len();
        self.scratch.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.tail.clear();
        if self.granted > 0 {
            self.tail.shrink_to(Self::PER_BLOCK);
            self.scratch.give_back(std::mem::take(&mut self.granted));
        }
        self.room = Self::PER_BLOCK;
        Ok(())
    }

    fn written(&self) -> &[T] {
        self.part.as_ref().map_or(&[], |part| values_of(&part.map, part.len))
    }

    /// Number of values.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.part.as_ref().map_or(0, |part| part.len) + self.tail.len()
    }

    /// True without values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Value number `at`.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> T {
        match &self.part {
            None => self.tail[at],
            Some(part) if at < part.len => self.written()[at],
            Some(part) => self.tail[at - part.len],
        }
    }

    /// Appends the values in `range` to `out`.
    ///
    /// # Panics
    /// When there are not as many.
    pub fn copy_into(&self, range: Range<usize>, out: &mut Vec<T>) {
        let written = self.part.as_ref().map_or(0, |part| part.len);
        let middle = written.clamp(range.start, range.end);
        out.extend_from_slice(if range.start < middle { &self.written()[range.start..middle] } else { &[] });
        out.extend_from_slice(&self.tail[middle - written.min(middle)..][..range.end - middle]);
    }

    /// All values in order, some at a time; for whoever goes through them once.
    pub fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let map = self.part.as_ref().map(|part| &*part.map);
        pieces(self.written(), map).chain(self.tail.chunks(PIECE / size_of::<T>()))
    }

    /// All values in order, in two runs: those in the file, and the rest.
    #[must_use]
    pub fn runs(&self) -> [&[T]; 2] {
        [self.written(), &self.tail]
    }

    /// Forgets all values, keeps what memory a column may hold without asking.
    pub fn clear(&mut self) {
        self.tail.clear();
        if self.part.take().is_some() || self.granted > 0 {
            self.tail.shrink_to(Self::PER_BLOCK);
            self.scratch.give_back(std::mem::take(&mut self.granted));
        }
        self.room = Self::PER_BLOCK;
    }

    /// The values, to be read from now on.
    #[must_use]
    pub fn finish(mut self) -> Table<T> {
        if self.part.is_some()
            && let Err(error) = self.write()
        {
            self.scratch.fail(error);
            return self.runs().concat().into();
        }
        let values = match self.part.take() {
            Some(part) => Values::Mapped(part.map, part.len),
            None => Values::Heap(std::mem::take(&mut self.tail)),
        };
        let bytes = std::mem::take(&mut self.granted);
        Table { values, _grant: Grant { scratch: Arc::clone(&self.scratch), bytes }.into() }
    }
}

impl<T: Plain> Extend<T> for Column<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl<T: Plain> Drop for Column<T> {
    fn drop(&mut self) {
        self.scratch.give_back(self.granted);
    }
}

impl<T: Plain + Ord> Column<T> {
    /// The values in ascending order. Those of a file are sorted in runs, which are then merged.
    #[must_use]
    pub fn sorted(self) -> Table<T> {
        if self.part.is_none() {
            let mut table = self.finish();
            if let Values::Heap(values) = &mut table.values {
                values.sort_unstable();
            }
            return table;
        }
        let scratch = Arc::clone(&self.scratch);
        let all = self.finish();
        let mut runs = Self::new(&scratch);
        let mut run = Vec::with_capacity(RUN / size_of::<T>());
        let mut lengths = Vec::new();
        for piece in all.pieces() {
            run.extend_from_slice(piece);
            if run.len() + PIECE / size_of::<T>() > RUN / size_of::<T>() {
                run.sort_unstable();
                lengths.push(run.len());
                runs.extend_from_slice(&run);
                run.clear();
            }
        }
        run.sort_unstable();
        lengths.push(run.len());
        runs.extend_from_slice(&run);
        drop((all, run));
        let runs = runs.finish();
        let mut rest = &*runs;
        let mut next = |length: usize| rest.split_off(..length);
        let mut heads: std::collections::BinaryHeap<_> = lengths
            .into_iter()
            .filter_map(|length| next(length)?.split_first())
            .map(|(&first, rest)| std::cmp::Reverse((first, rest)))
            .collect();
        let mut merged = Self::new(&scratch);
        while let Some(mut head) = heads.peek_mut() {
            merged.push(head.0.0);
            match head.0.1.split_first() {
                Some((&next, rest)) => head.0 = (next, rest),
                None => drop(std::collections::binary_heap::PeekMut::pop(head)),
            }
        }
        merged.finish()
    }
}

/// Bytes of a file that are asked for at a time.
const PIECE: usize = 1 << 20;

/// `values`, some at a time; those of a `map` are asked for before they are read.
fn pieces<'v, T: Plain>(
    values: &'v [T],
    map: Option<&'v memmap2::Mmap>,
) -> impl Iterator<Item = &'v [T]> + use<'v, T> {
    let step = PIECE / size_of::<T>();
    values
        .chunks(step)
        .enumerate()
        .inspect(move |(at, piece)| {
            if let Some(map) = map {
                let start = at * step * size_of::<T>();
                super::read_next(map, start..start + size_of_val(*piece));
            }
        })
        .map(|(_, piece)| piece)
}

/// Bytes that are sorted at a time.
const RUN: usize = 4 << 20;

#[derive(Debug)]
enum Values<T> {
    Heap(Vec<T>),
    Mapped(Arc<memmap2::Mmap>, usize),
}

/// Bytes that count as held until it is dropped.
#[derive(Debug)]
struct Grant {
    scratch: Arc<Scratch>,
    bytes: u64,
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.scratch.give_back(self.bytes);
    }
}

/// Values of a finished [`Column`].
#[derive(Debug)]
pub struct Table<T: Plain> {
    values: Values<T>,
    _grant: Option<Grant>,
}

impl<T: Plain> Default for Table<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Plain> From<Vec<T>> for Table<T> {
    fn from(values: Vec<T>) -> Self {
        Self { values: Values::Heap(values), _grant: None }
    }
}

impl<T: Plain> Table<T> {
    /// These values, on the heap where `scratch` has room for them there.
    #[must_use]
    pub fn of(values: &[T], scratch: &Arc<Scratch>) -> Self {
        let mut column = Column::new(scratch);
        column.extend_from_slice(values);
        column.finish()
    }

    /// All values in order, some at a time; for whoever goes through them once.
    pub fn pieces(&self) -> impl Iterator<Item = &[T]> {
        let map = match &self.values {
            Values::Heap(_) => None,
            Values::Mapped(map, _) => Some(&**map),
        };
        pieces(self, map)
    }

    /// Says that the values are read in order from now on, by whoever does not ask for [`Self::pieces`].
    pub fn go_in_order(&self) {
        if let Values::Mapped(map, _) = &self.values {
            super::read_in_order(map);
        }
    }

    /// The same, said of a new table.
    #[must_use]
    pub fn in_order(self) -> Self {
        self.go_in_order();
        self
    }

    /// The values, where they are on the heap.
    ///
    /// # Errors
    /// The table as it is, where they are not.
    pub fn into_heap(mut self) -> Result<Vec<T>, Self> {
        match &mut self.values {
            Values::Heap(values) => Ok(std::mem::take(values)),
            Values::Mapped(..) => Err(self),
        }
    }
}

impl<T: Plain> Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.values {
            Values::Heap(values) => values,
            Values::Mapped(map, len) => values_of(map, *len),
        }
    }
}

/// Texts one after the other, by number.
#[derive(Debug, Default)]
pub struct Texts {
    blob: Table<u8>,
    ends: Table<u64>,
}

impl Texts {
    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn range(&self, at: usize) -> Range<usize> {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        start as usize..self.ends[at] as usize
    }

    /// Text number `at`.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    #[must_use]
    pub fn get(&self, at: usize) -> &str {
        // What was written was text; where the system can't read it back it is empty.
        std::str::from_utf8(&self.blob[self.range(at)]).unwrap_or_default()
    }

    /// All texts in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl Texts {
    /// Numbers of the texts in ascending order, equal ones by number. Many are sorted in runs, which are then merged.
    #[must_use]
    pub fn order(&self, scratch: &Arc<Scratch>) -> Table<u32> {
        let mut numbers = Column::new(scratch);
        let mut sorted = TextColumn::new(scratch);
        let mut ends = Vec::new();
        let mut first = 0;
        while first < self.len() {
            let start = self.range(first).start;
            let count = self.ends[first..].partition_point(|&end| end as usize - start <= RUN).max(1);
            let mut run: Vec<u32> = (first as u32..(first + count) as u32).collect();
            run.sort_unstable_by_key(|&number| (self.get(number as usize), number));
            if count == self.len() {
                return run.into();
            }
            numbers.extend_from_slice(&run);
            run.iter().for_each(|&number| sorted.push(&[self.get(number as usize)]));
            first += count;
            ends.push(first);
        }
        merged(&numbers.finish(), &sorted.finish(), &ends, scratch)
    }
}

/// `texts`: runs of sorted texts that end at `ends`; `numbers`: those of the texts.
fn merged(numbers: &[u32], texts: &Texts, ends: &[usize], scratch: &Arc<Scratch>) -> Table<u32> {
    let head = |at: usize, end: usize| std::cmp::Reverse((texts.get(at), numbers[at], at, end));
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let mut heads: std::collections::BinaryHeap<_> =
        starts.zip(ends).map(|(at, &end)| head(at, end)).collect();
    let mut order = Column::new(scratch);
    while let Some(mut first) = heads.peek_mut() {
        let std::cmp::Reverse((_, number, at, end)) = *first;
        order.push(number);
        if at + 1 < end {
            *first = head(at + 1, end);
        } else {
            std::collections::binary_heap::PeekMut::pop(first);
        }
    }
    order.finish()
}

/// Texts while they are appended.
#[derive(Debug)]
pub struct TextColumn {
    blob: Column<u8>,
    ends: Column<u64>,
}

impl TextColumn {
    /// Without texts.
    #[must_use]
    pub fn new(scratch: &Arc<Scratch>) -> Self {
        Self { blob: Column::new(scratch), ends: Column::new(scratch) }
    }

    /// Appends the text that these parts make together.
    pub fn push(&mut self, parts: &[&str]) {
        parts.iter().for_each(|part| self.blob.extend_from_slice(part.as_bytes()));
        self.ends.push(self.blob.len() as u64);
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True without texts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The texts, to be read from now on.
    #[must_use]
    pub fn finish(self) -> Texts {
        Texts { blob: self.blob.finish(), ends: self.ends.finish() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratches() -> (tempfile::TempDir, [Arc<Scratch>; 4]) {
        let folder = tempfile::tempdir().expect("a folder");
        let new = |limit| Scratch::new(Some(folder.path().to_owned()), limit);
        let scratches = [Scratch::none(), new(u64::MAX), new(200_000), new(0)];
        (folder, scratches)
    }

    #[test]
    fn values_come_back_from_heap_and_file() {
        let (folder, scratches) = scratches();
        for scratch in &scratches {
            for count in [0, 1, BLOCK / 8, BLOCK / 8 + 1, 100_000] {
                let mut column = Column::<u64>::new(scratch);
                for round in 0..2 {
                    let value = |at: usize| (at * 7 + round) as u64;
                    (0..count).for_each(|at| column.push(value(at)));
                    assert_eq!(column.len(), count);
                    assert!((0..count).step_by(991).all(|at| column.get(at) == value(at)));
                    assert_eq!(column.runs().concat().len(), count);
                    let mut copied = Vec::new();
                    column.copy_into(count / 3..count, &mut copied);
                    assert!(copied.iter().zip(count / 3..).all(|(&copied, at)| copied == value(at)));
                    assert_eq!(copied.len(), count - count / 3);
                    if round == 0 {
                        column.clear();
                    }
                }
                let table = column.finish();
                assert!(
                    table.iter().zip(0..).all(|(&value, at)| value == at * 7 + 1) && table.len() == count
                );
            }
            assert_eq!(scratch.held.load(Ordering::Relaxed), 0, "what was granted is given back");
        }
        assert!(scratches[1].written() == 0 && scratches[3].written() > 0);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "the files have no names");
    }

    #[test]
    fn long_columns_are_sorted_in_runs() {
        let (_folder, scratches) = scratches();
        for scratch in &scratches {
            let mut column = Column::<u64>::new(scratch);
            column.extend((0..1_300_000u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40));
            let sorted = column.sorted();
            assert!(sorted.len() == 1_300_000 && sorted.is_sorted());
        }
    }

    #[test]
    fn texts_come_back() {
        let (_folder, scratches) = scratches();
        for scratch in &scratches {
            let mut column = TextColumn::new(scratch);
            (0..40_000)
                .for_each(|at| column.push(&["n", &at.to_string(), if at % 3 == 0 { "\u{e4}" } else { "" }]));
            let texts = column.finish();
            assert_eq!((texts.len(), texts.get(3), texts.get(39_998)), (40_000, "n3\u{e4}", "n39998"));
            assert_eq!(texts.iter().filter(|text| text.ends_with('\u{e4}')).count(), 13_334);
        }
    }

    #[test]
    fn texts_are_sorted() {
        let (_folder, scratches) = scratches();
        for count in [0, 1, 400_000] {
            let text = |at: u32| format!("{:x} and so on", at.wrapping_mul(0x9e37_79b9) >> 12);
            let mut column = TextColumn::new(&scratches[3]);
            (0..count).for_each(|at| column.push(&[&text(at)]));
            let order = column.finish().order(&scratches[3]);
            assert_eq!(order.len(), count as usize);
            assert!(order.windows(2).all(|two| (text(two[0]), two[0]) < (text(two[1]), two[1])));
        }
    }

    #[test]
    fn without_a_folder_values_stay_on_the_heap() {
        let nowhere = Scratch::new(Some("/nowhere/at/all".into()), 0);
        let mut column = Column::<u32>::new(&nowhere);
        column.extend(0..100_000);
        assert!(column.finish().iter().copied().eq(0..100_000));
        assert!(nowhere.trouble().is_some());
    }
}
