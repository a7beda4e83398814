//! Writes the table of the standard library's types, which `src/link/typeshed.rs` reads, into the folder of the build.
//!
//! What it knows comes from typeshed's stubs, as the crate `ty_vendored` has them: [`stubs`] reads and parses these, [`scopes`] finds the
//! things in them and what names are bound to, [`resolve`] says what a name or an annotation means, [`table`] writes all that down
//! as [`layout`] describes it.

#[path = "build/layout.rs"]
mod layout;
#[path = "build/resolve.rs"]
mod resolve;
#[path = "build/scopes.rs"]
mod scopes;
#[path = "build/stubs.rs"]
mod stubs;
#[path = "build/table.rs"]
mod table;

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    let stubs = stubs::read();
    let library = resolve::Library::new(scopes::Scopes::new(&stubs));
    let folder = std::env::var_os("OUT_DIR").expect("cargo names the folder of the build");
    std::fs::write(Path::new(&folder).join("typeshed.bin"), table::write(&library))
        .expect("the table is written");
}
