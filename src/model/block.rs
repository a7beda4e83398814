//! A block: one file's rows, column by column, in one run of bytes that is read in place.
//!
//! A block is the form in which facts and link results exist everywhere outside the code that makes
//! them: on the heap, in a pack (compressed) and in the memory-mapped snapshot. Each column takes 0, 1, 2
//! or 4 bytes a value, whatever its largest value needs, so that a block costs about half a byte a source
//! byte and needs no decoding.
//!
//! Layout (little-endian): row count of each table (u32), width of each column (u8), the columns in
//! order, the string blob. Everything is a function of the values alone: equal rows give equal bytes.
//!
//! This module knows no schema; see [`crate::model::facts`] and [`crate::link::links`].

use crate::sys::{Column, Scratch, Table};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// A schema: which table each column belongs to.
pub trait Schema {
    /// Number of tables.
    const TABLES: usize;
    /// Table of each column, in order; its length is the number of columns.
    const TABLE_OF: &'static [u8];
}

/// The values of one column while they are made: the last ones on the heap, those before where they were spilled to.
#[derive(Debug, Default)]
struct Values {
    tail: Vec<u32>,
    /// Values before `tail`.
    spilled: u32,
    column: Option<Column<u32>>,
    /// Spilled values that were changed since, by row.
    patches: BTreeMap<u32, u32>,
}

impl Values {
    fn len(&self) -> usize {
        self.spilled as usize + self.tail.len()
    }

    fn clear(&mut self) {
        self.tail.clear();
        self.spilled = 0;
        self.column = None;
        self.patches.clear();
    }

    fn spill(&mut self, scratch: &Arc<Scratch>) {
        self.column.get_or_insert_with(|| Column::new(scratch)).extend_from_slice(&self.tail);
        self.spilled += self.tail.len() as u32;
        self.tail.clear();
    }

    #[cold]
    fn spilled(&self, row: u32) -> u32 {
        let changed = self.patches.get(&row).copied();
        changed.unwrap_or_else(|| self.column.as_ref().map_or(0, |column| column.get(row as usize)))
    }
}

/// Rows of one block while it is being made. Reused from file to file.
#[derive(Debug)]
pub struct Builder<S: Schema> {
    columns: Vec<Values>,
    blob: Vec<u8>,
    schema: std::marker::PhantomData<S>,
}

impl<S: Schema> Default for Builder<S> {
    fn default() -> Self {
        Self {
            columns: (0..S::TABLE_OF.len()).map(|_| Values::default()).collect(),
            blob: Vec::new(),
            schema: std::marker::PhantomData,
        }
    }
}

impl<S: Schema> Builder<S> {
    /// Forgets all rows, keeps the memory.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Values::clear);
        self.blob.clear();
    }

    /// Appends `value` to `column`.
    #[inline]
    pub fn push(&mut self, column: usize, value: u32) {
        self.columns[column].tail.push(value);
    }

    /// Number of values in `column`.
    #[inline]
    pub fn len(&self, column: usize) -> usize {
        self.columns[column].len()
    }

    /// Number of values in `column` that are on the heap.
    pub fn held(&self, column: usize) -> usize {
        self.columns[column].tail.len()
    }

    /// The values of `column`, of a block that was not spilled.
    #[inline]
    pub fn column(&self, column: usize) -> &[u32] {
        debug_assert_eq!(self.columns[column].spilled, 0);
        &self.columns[column].tail
    }

    /// The values of `column`, to be changed, of a block that was not spilled.
    #[inline]
    pub fn column_mut(&mut self, column: usize) -> &mut Vec<u32> {
        debug_assert_eq!(self.columns[column].spilled, 0);
        &mut self.columns[column].tail
    }

    /// The last value of `column`.
    #[inline]
    pub fn last_mut(&mut self, column: usize) -> Option<&mut u32> {
        self.columns[column].tail.last_mut()
    }

    /// Value of `column` in `row`.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn get(&self, column: usize, row: u32) -> u32 {
        let values = &self.columns[column];
        match row.checked_sub(values.spilled) {
            Some(at) => values.tail[at as usize],
            None => values.spilled(row),
        }
    }

    /// Sets `column` in `row`.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn set(&mut self, column: usize, row: u32, value: u32) {
        let values = &mut self.columns[column];
        match row.checked_sub(values.spilled) {
            Some(at) => values.tail[at as usize] = value,
            None => {
                values.patches.insert(row, value);
            }
        }
    }

    /// Sets bits of `column` in `row`.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline]
    pub fn or(&mut self, column: usize, row: u32, bits: u32) {
        let values = &mut self.columns[column];
        match row.checked_sub(values.spilled) {
            Some(at) => values.tail[at as usize] |= bits,
            None => {
                let value = values.spilled(row);
                if value & bits != bits {
                    values.patches.insert(row, value | bits);
                }
            }
        }
    }

    /// The string blob.
    #[inline]
    pub fn blob_mut(&mut self) -> &mut Vec<u8> {
        &mut self.blob
    }

    /// Moves all values to where `scratch` says. The heap holds those that come after it.
    pub fn spill(&mut self, scratch: &Arc<Scratch>) {
        self.columns.iter_mut().for_each(|column| column.spill(scratch));
    }

    /// The values of `column` that were spilled, in order.
    pub fn spilled(&self, column: usize) -> impl Iterator<Item = u32> + '_ {
        let Values { column, patches, .. } = &self.columns[column];
        let mut patches = patches.iter().peekable();
        let values = column.iter().flat_map(Column::pieces).flatten();
        values.zip(0u32..).map(move |(&value, row)| {
            patches.next_if(|patch| *patch.0 == row).map_or(value, |(_, &changed)| changed)
        })
    }

    /// Writes the block of spilled values: of each column those that `values` gives, `len` in number, and the strings of `blob`.
    ///
    /// # Errors
    /// Those of `to`.
    ///
    /// # Panics
    /// When two columns of one table differ in length: a bug in the code that filled them.
    pub fn write<'v>(
        &self,
        to: &mut dyn Write,
        values: impl Fn(usize) -> Box<dyn Iterator<Item = u32> + 'v>,
        len: impl Fn(usize) -> usize,
        blob: &[u8],
    ) -> io::Result<()> {
        let count = self.columns.len();
        let widths: Vec<u8> =
            (0..count).map(|column| width_of(values(column).fold(0, |bits, value| bits | value))).collect();
        to.write_all(&header::<S>((0..count).map(&len), &widths).0)?;
        let mut some = Vec::with_capacity(PART);
        let mut bytes = Vec::new();
        for (column, &width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
            let mut rest = values(column);
            loop {
                some.clear();
                some.extend(rest.by_ref().take(PART));
                if some.is_empty() {
                    break;
                }
                bytes.clear();
                encode(&mut bytes, &some, width);
                to.write_all(&bytes)?;
            }
        }
        to.write_all(blob)
    }

    /// The finished block.
    ///
    /// # Panics
    /// When two columns of one table differ in length: a bug in the code that filled them.
    pub fn finish(&self) -> Vec<u8> {
        let widths: Vec<u8> = self.columns.iter().map(|column| width_of(all_bits(&column.tail))).collect();
        let (mut bytes, size) = header::<S>(self.columns.iter().map(|column| column.tail.len()), &widths);
        bytes.reserve_exact(size + self.blob.len() - bytes.len());
        for (column, width) in self.columns.iter().zip(&widths) {
            encode(&mut bytes, &column.tail, *width);
        }
        bytes.extend_from_slice(&self.blob);
        bytes
    }
}

/// Rows of one block while it is being made, like [`Builder`], for blocks of any size: columns leave the heap where `Scratch` says so.
#[derive(Debug)]
pub struct Writer<S: Schema> {
    scratch: Arc<Scratch>,
    columns: Vec<Column<u32>>,
    /// All bits of each column's values.
    bits: Vec<u32>,
    blob: Column<u8>,
    schema: std::marker::PhantomData<S>,
}

/// Bytes of a block up to which it is made in one piece.
const PIECE: usize = 4 << 20;

impl<S: Schema> Writer<S> {
    /// Without rows.
    #[must_use]
    pub fn new(scratch: &Arc<Scratch>) -> Self {
        Self {
            scratch: Arc::clone(scratch),
            columns: (0..S::TABLE_OF.len()).map(|_| Column::new(scratch)).collect(),
            bits: vec![0; S::TABLE_OF.len()],
            blob: Column::new(scratch),
            schema: std::marker::PhantomData,
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.columns.iter_mut().for_each(Column::clear);
        self.bits.fill(0);
        self.blob.clear();
    }

    /// Appends `value` to `column`.
    #[inline]
    pub fn push(&mut self, column: usize, value: u32) {
        self.bits[column] |= value;
        self.columns[column].push(value);
    }

    /// Number of values of `column` so far.
    #[inline]
    #[must_use]
    pub fn len(&self, column: usize) -> u32 {
        self.columns[column].len() as u32
    }

    /// Value of `column` in `row`.
    #[inline]
    #[must_use]
    pub fn get(&self, column: usize, row: u32) -> u32 {
        self.columns[column].get(row as usize)
    }

    /// Appends to the string blob; gives its length, bytes.
    pub fn text(&mut self, text: &str) -> u32 {
        self.blob.extend_from_slice(text.as_bytes());
        self.blob.len() as u32
    }

    /// The finished block: what [`Builder::finish`] gives for the same rows.
    ///
    /// # Panics
    /// When two columns of one table differ in length: a bug in the code that filled them.
    #[must_use]
    pub fn finish(&self) -> Table<u8> {
        let widths: Vec<u8> = self.bits.iter().map(|&bits| width_of(bits)).collect();
        let (header, size) = header::<S>(self.columns.iter().map(Column::len), &widths);
        let size = size + self.blob.len();
        if size <= PIECE {
            let mut bytes = Vec::with_capacity(size);
            self.assemble(&header, &widths, |part| bytes.extend_from_slice(part));
            return bytes.into();
        }
        let mut bytes = Column::new(&self.scratch);
        self.assemble(&header, &widths, |part| bytes.extend_from_slice(part));
        bytes.finish()
    }

    fn assemble(&self, header: &[u8], widths: &[u8], mut put: impl FnMut(&[u8])) {
        put(header);
        let mut piece = Vec::new();
        for (column, width) in self.columns.iter().zip(widths) {
            for values in column.pieces().flat_map(|values| values.chunks(1 << 14)) {
                piece.clear();
                encode(&mut piece, values, *width);
                put(&piece);
            }
        }
        self.blob.runs().into_iter().for_each(put);
    }
}

/// Values that are written at a time.
const PART: usize = 16 << 10;

fn all_bits(values: &[u32]) -> u32 {
    values.iter().fold(0, |all, &value| all | value)
}

/// Bytes of a value in a column, all of whose values have these bits.
const fn width_of(bits: u32) -> u8 {
    match bits {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// The header of a block with columns of these lengths and widths, and the bytes that header and columns take.
fn header<S: Schema>(lengths: impl Iterator<Item = usize>, widths: &[u8]) -> (Vec<u8>, usize) {
    let mut rows = vec![u32::MAX; S::TABLES];
    let mut size = 4 * S::TABLES + S::TABLE_OF.len();
    for (column, ((len, &table), &width)) in lengths.zip(S::TABLE_OF).zip(widths).enumerate() {
        let count = &mut rows[usize::from(table)];
        assert!(*count == u32::MAX || *count as usize == len, "column {column} is uneven");
        *count = len as u32;
        size += usize::from(width) * len;
    }
    let mut bytes: Vec<u8> = rows.iter().flat_map(|count| count.to_le_bytes()).collect();
    bytes.extend_from_slice(widths);
    (bytes, size)
}

/// Appends `values`, each in so many bytes.
fn encode(bytes: &mut Vec<u8>, values: &[u32], width: u8) {
    match width {
        0 => {}
        1 => fill(bytes, values, |to: &mut [u8; 1], value| to[0] = value as u8),
        2 => fill(bytes, values, |to, value| *to = (value as u16).to_le_bytes()),
        _ => fill(bytes, values, |to, value| *to = value.to_le_bytes()),
    }
}

/// Appends `values`, each as `N` bytes.
fn fill<const N: usize>(bytes: &mut Vec<u8>, values: &[u32], write: impl Fn(&mut [u8; N], u32)) {
    let start = bytes.len();
    bytes.resize(start + N * values.len(), 0);
    let (places, _) = bytes[start..].as_chunks_mut::<N>();
    for (to, &value) in places.iter_mut().zip(values) {
        write(to, value);
    }
}

/// A block in place. `COLUMNS` and `TABLES` are those of the schema.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, const COLUMNS: usize, const TABLES: usize> {
    bytes: &'a [u8],
    starts: [u32; COLUMNS],
    widths: [u8; COLUMNS],
    rows: [u32; TABLES],
    blob: u32,
}

impl<'a, const COLUMNS: usize, const TABLES: usize> View<'a, COLUMNS, TABLES> {
    /// Reads the header; `None` where the bytes are no block of this schema.
    pub fn new(bytes: &'a [u8], table_of: &[u8]) -> Option<Self> {
        let mut rows = [0; TABLES];
        for (index, row) in rows.iter_mut().enumerate() {
            *row = u32::from_le_bytes(bytes.get(4 * index..4 * index + 4)?.try_into().ok()?);
        }
        let mut widths = [0; COLUMNS];
        widths.copy_from_slice(bytes.get(4 * TABLES..4 * TABLES + COLUMNS)?);
        let mut starts = [0; COLUMNS];
        let mut at = 4 * TABLES + COLUMNS;
        for column in 0..COLUMNS {
            if !matches!(widths[column], 0 | 1 | 2 | 4) {
                return None;
            }
            starts[column] = u32::try_from(at).ok()?;
            at += usize::from(widths[column]) * rows[usize::from(*table_of.get(column)?)] as usize;
        }
        (at <= bytes.len()).then_some(Self { bytes, starts, widths, rows, blob: u32::try_from(at).ok()? })
    }

    /// Number of rows of `table`.
    #[inline]
    pub fn rows(&self, table: usize) -> u32 {
        self.rows[table]
    }

    /// Value of `column` in `row`.
    ///
    /// # Panics
    /// When the row lies outside the block.
    #[inline]
    pub fn get(&self, column: usize, row: u32) -> u32 {
        let start = self.starts[column] as usize;
        let row = row as usize;
        match self.widths[column] {
            0 => 0,
            1 => u32::from(self.bytes[start + row]),
            2 => {
                let at = start + 2 * row;
                let pair: &[u8] = &self.bytes[at..at + 2];
                u32::from(u16::from_le_bytes([pair[0], pair[1]]))
            }
            _ => {
                let at = start + 4 * row;
                let four: &[u8] = &self.bytes[at..at + 4];
                u32::from_le_bytes([four[0], four[1], four[2], four[3]])
            }
        }
    }

    /// Whether the values of `column` take no more bytes each than the largest one needs, as a [`Builder`] has it. `table_of`: that of
    /// the schema.
    pub fn is_narrow(&self, column: usize, table_of: &[u8]) -> bool {
        let rows = self.rows[usize::from(table_of[column])];
        let bits = (0..rows).fold(0, |bits, row| bits | self.get(column, row));
        self.widths[column] == width_of(bits)
    }

    /// The string blob.
    #[inline]
    pub fn blob(&self) -> &'a [u8] {
        &self.bytes[self.blob as usize..]
    }

    /// Everything after the values of `column`: further columns and the blob.
    pub fn after(&self, column: usize) -> &'a [u8] {
        let start = self.starts.get(column + 1).map_or(self.blob, |&start| start);
        &self.bytes[start as usize..]
    }

    /// The whole block.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// Declares a schema: a module of column numbers, one of table numbers, and the table of each column.
macro_rules! schema {
    ($(#[$meta:meta])* $name:ident { $($(#[$tmeta:meta])* $table:ident { $($(#[$cmeta:meta])* $column:ident),* $(,)? })* }) => {
        /// Table numbers.
        pub mod table {
            #[repr(u8)]
            enum Number { $($table),* , Count }
            $($(#[$tmeta])* #[expect(non_upper_case_globals, reason = "named as the table")] pub const $table: usize = Number::$table as usize;)*
            /// Number of tables.
            pub const COUNT: usize = Number::Count as usize;
        }
        /// Column numbers.
        pub mod col {
            #[repr(u8)]
            #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the column")]
            enum Number { $($($column,)*)* COUNT }
            $($($(#[$cmeta])* pub const $column: usize = Number::$column as usize;)*)*
            /// Number of columns.
            pub const COUNT: usize = Number::COUNT as usize;
        }
        $(#[$meta])*
        #[derive(Debug)]
        pub enum $name {}
        impl $crate::model::block::Schema for $name {
            const TABLES: usize = table::COUNT;
            const TABLE_OF: &'static [u8] = &[$($({ let _ = col::$column; table::$table as u8 },)*)*];
        }
        impl $name {
            /// Names of tables with the names of their columns, in order.
            pub const NAMES: &'static [(&'static str, &'static [&'static str])] = &[$((stringify!($table), &[$(stringify!($column)),*])),*];
        }
    };
}
pub(crate) use schema;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[expect(unreachable_pub, dead_code, reason = "the macro declares what a schema of the crate needs")]
    mod sample {
        super::schema! {
            /// Two tables.
            Sample {
                /// First.
                Ones { /// x
                    ONE_X, /// y
                    ONE_Y }
                /// Second.
                Twos { /// z
                    TWO_Z }
            }
        }
    }
    use sample::{Sample, col, table};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn values_come_back(a in prop::collection::vec((any::<u32>(), 0u32..300), 0..50), b in prop::collection::vec(0u32..70_000, 0..50), blob: Vec<u8>) {
            let mut builder = Builder::<Sample>::default();
            for &(x, y) in &a {
                builder.push(col::ONE_X, x);
                builder.push(col::ONE_Y, y);
            }
            b.iter().for_each(|&z| builder.push(col::TWO_Z, z));
            builder.blob_mut().extend_from_slice(&blob);
            let bytes = builder.finish();
            let view = View::<{ col::COUNT }, { table::COUNT }>::new(&bytes, Sample::TABLE_OF).unwrap();
            prop_assert_eq!(view.rows(table::Ones) as usize, a.len());
            for (row, &(x, y)) in a.iter().enumerate() {
                prop_assert_eq!(view.get(col::ONE_X, row as u32), x);
                prop_assert_eq!(view.get(col::ONE_Y, row as u32), y);
            }
            for (row, &z) in b.iter().enumerate() {
                prop_assert_eq!(view.get(col::TWO_Z, row as u32), z);
            }
            prop_assert_eq!(view.blob(), &blob[..]);
            let mut writer = Writer::<Sample>::new(&Scratch::none());
            for &(x, y) in &a {
                writer.push(col::ONE_X, x);
                writer.push(col::ONE_Y, y);
            }
            b.iter().for_each(|&z| writer.push(col::TWO_Z, z));
            writer.blob.extend_from_slice(&blob);
            prop_assert_eq!(&writer.finish()[..], &bytes[..]);
        }

        #[test]
        fn large_blocks_are_small_ones_in_pieces(values in prop::collection::vec(any::<u32>(), 1..20)) {
            let folder = tempfile::tempdir().unwrap();
            let mut writer = Writer::<Sample>::new(&Scratch::new(Some(folder.path().to_owned()), 0));
            let mut builder = Builder::<Sample>::default();
            for row in 0..300_000 {
                let value = values[row % values.len()];
                for (column, value) in [(col::ONE_X, value), (col::ONE_Y, value % 300), (col::TWO_Z, value)] {
                    writer.push(column, value);
                    builder.push(column, value);
                }
            }
            prop_assert!(writer.finish()[..] == builder.finish()[..]);
        }

        #[test]
        fn any_bytes_are_refused_or_read(bytes: Vec<u8>) {
            if let Some(view) = View::<{ col::COUNT }, { table::COUNT }>::new(&bytes, Sample::TABLE_OF) {
                for row in 0..view.rows(table::Ones).min(10) {
                    view.get(col::ONE_X, row);
                }
                view.blob();
            }
        }
    }
}
