//! Writes the table that [`crate::layout`] describes.

use std::collections::{BTreeMap, HashMap};

use crate::layout::{Column, Kind, NAME_SHIFT, RENAMED};
use crate::resolve::Library;
use crate::scopes::Source;

/// How many modules may import all names from the next.
const DEPTH: u32 = 8;
/// Modules that are one by another name, depending on the platform.
const STANDINS: [(&str, &str); 3] =
    [("genericpath", "os.path"), ("ntpath", "os.path"), ("posixpath", "os.path")];

/// The columns but for the texts, and these, while they are written.
#[derive(Default)]
struct Table<'a> {
    columns: [Vec<u32>; Column::Texts as usize],
    texts: Vec<u8>,
    places: HashMap<&'a str, u32>,
    blocks: HashMap<Vec<u32>, u32>,
}

/// The table.
pub(crate) fn write(library: &Library<'_>) -> Vec<u8> {
    let things = &library.all.things;
    let shown = shown(library);
    let mut table = Table::default();
    // The block of things that have none, and of nothing.
    table.block(vec![0, 0]);
    let nothing = table.text("");
    debug_assert_eq!(nothing, 0);
    for (at, thing) in things.iter().enumerate() {
        let (parent, name) = shown.get(&(at as u32)).copied().unwrap_or((thing.parent, thing.name));
        let head = if at == 0 { 0 } else { thing.kind as u32 };
        let block = match (&thing.source, thing.kind) {
            (Source::Scope(scope), _) => {
                let ancestors = library.orders.get(&(at as u32)).map_or(0, |order| {
                    let bases = library.bases(at as u32);
                    let mut block = vec![bases.len() as u32, order.len() as u32];
                    block.extend(bases);
                    block.extend(order);
                    table.block(block)
                });
                let mut block = vec![ancestors, 0];
                for (name, member) in members(library, *scope) {
                    let own = shown.get(&member).map_or(things[member as usize].name, |shown| shown.1);
                    block[1] += 1;
                    block.push(if own == name { member } else { table.renamed(name, member) });
                }
                block
            }
            (Source::Function(overloads), Kind::Property) => {
                debug_assert!(!overloads.is_empty());
                let returns = library.overloads(thing).swap_remove(0).returns;
                std::iter::once(returns.len() as u32).chain(returns).collect()
            }
            (Source::Function(_), _) => {
                let overloads = library.overloads(thing);
                let mut block = vec![overloads.len() as u32];
                for overload in overloads {
                    let counts = [overload.returns.len() as u32, overload.callables.len() as u32];
                    let (least, most) = overload.arguments;
                    block.push(least | most << 8 | counts[0] << 16 | counts[1] << 24);
                    block.extend(overload.returns);
                    for (position, name) in overload.callables {
                        block.push(position << 24 | table.text(name));
                    }
                }
                block
            }
            (Source::Variable(..), _) => {
                let types = library.variable(thing);
                std::iter::once(types.len() as u32).chain(types).collect()
            }
        };
        let block = table.block(block);
        let head = head | table.text(name) << NAME_SHIFT;
        table.column(Column::Head).push(head);
        table.column(Column::Parent).push(parent);
        table.column(Column::Block).push(block);
    }
    for (name, &module) in &library.all.modules {
        let name = table.text(name);
        table.column(Column::Modules).extend([name, library.all.scopes[module].thing]);
    }
    table.bytes()
}

impl<'a> Table<'a> {
    fn column(&mut self, column: Column) -> &mut Vec<u32> {
        &mut self.columns[column as usize]
    }

    /// Where a text is.
    fn text(&mut self, text: &'a str) -> u32 {
        *self.places.entry(text).or_insert_with(|| {
            let at = self.texts.len() as u32;
            self.texts.push(u8::try_from(text.len()).expect("names are short"));
            self.texts.extend(text.as_bytes());
            at
        })
    }

    /// Where a block is.
    fn block(&mut self, block: Vec<u32>) -> u32 {
        if let Some(&at) = self.blocks.get(&block) {
            return at;
        }
        let data = self.column(Column::Data);
        let at = data.len() as u32;
        data.extend(&block);
        self.blocks.insert(block, at);
        at
    }

    /// A member that has another name than `thing` itself.
    fn renamed(&mut self, name: &'a str, thing: u32) -> u32 {
        let name = self.text(name);
        let rows = self.column(Column::Renamed);
        rows.extend([name, thing]);
        RENAMED | (rows.len() as u32 / 2 - 1)
    }

    /// All of it.
    fn bytes(self) -> Vec<u8> {
        let mut starts = Vec::new();
        let mut at = Column::Texts as u32 + 1;
        for column in &self.columns {
            starts.push(at);
            at += column.len() as u32;
        }
        starts.push(at);
        let words = starts.into_iter().chain(self.columns.into_iter().flatten());
        words.flat_map(u32::to_le_bytes).chain(self.texts).collect()
    }
}

/// Members of a module or class by their names there.
fn members<'a>(library: &Library<'a>, scope: usize) -> BTreeMap<&'a str, u32> {
    let scopes = &library.all.scopes;
    let mut members = BTreeMap::new();
    let names = match library.all.stubs.get(scope) {
        Some(_) => library.exported(scope, DEPTH),
        None => scopes[scope].names.keys().copied().collect(),
    };
    for name in names {
        if let Some(thing) = library.bound(scope, name) {
            members.insert(name, thing);
        }
    }
    if let Some(stub) = library.all.stubs.get(scope) {
        for (name, &module) in &library.all.modules {
            if let Some((package, last)) = name.rsplit_once('.')
                && package == stub.name
            {
                members.entry(last).or_insert(scopes[module].thing);
            }
        }
    }
    members
}

/// For things of private modules, the public module and name that they are shown by.
fn shown<'a>(library: &Library<'a>) -> BTreeMap<u32, (u32, &'a str)> {
    let mut best = BTreeMap::new();
    for (module, stub) in library.all.stubs.iter().enumerate() {
        if is_private(&stub.name) || stub.name == "typing_extensions" {
            continue;
        }
        for (name, thing) in members(library, module).into_iter().filter(|(name, _)| !name.starts_with('_')) {
            let own = library.thing(thing);
            let Some(home) = library.all.stubs.get(own.scope).filter(|_| own.kind != Kind::Module) else {
                continue;
            };
            if !is_private(&home.name) {
                continue;
            }
            let standin = STANDINS
                .iter()
                .find(|(standin, _)| *standin == home.name)
                .map(|(_, name)| (*name).to_owned());
            let plain = standin.unwrap_or_else(|| {
                let parts: Vec<&str> =
                    home.name.split('.').map(|part| part.trim_start_matches('_')).collect();
                parts.join(".")
            });
            let around = home.name.strip_prefix(stub.name.as_str()).is_some_and(|rest| rest.starts_with('.'));
            let dots = stub.name.matches('.').count();
            let rank = (own.name != name, plain != stub.name, !around, dots, stub.name.as_str());
            let place = (rank, library.all.scopes[module].thing, name);
            best.entry(thing).and_modify(|best| *best = place.min(*best)).or_insert(place);
        }
    }
    best.into_iter().map(|(thing, (_, module, name))| (thing, (module, name))).collect()
}

/// Whether nobody is to import a module by this name.
fn is_private(module: &str) -> bool {
    let mut parts = module.split('.');
    parts.any(|part| part.starts_with('_') && !part.ends_with("__"))
        || STANDINS.iter().any(|(name, _)| *name == module)
}
