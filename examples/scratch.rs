use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
#[global_allocator] static G: mimalloc::MiMalloc = mimalloc::MiMalloc;
thread_local!{ static S: std::cell::RefCell<pydebug::parse::Scratch> = Default::default(); }
fn main(){
 let root=std::env::args().nth(1).unwrap(); let mode=std::env::args().nth(2).unwrap(); let n:usize=std::env::args().nth(3).map(|s|s.parse().unwrap()).unwrap_or(2);
 rayon::ThreadPoolBuilder::new().num_threads(n).stack_size(16<<20).build_global().unwrap();
 let mut files:Vec<(u64,std::path::PathBuf)>=vec![];
 for e in ignore::WalkBuilder::new(&root).build(){ let e=e.unwrap(); if e.path().extension().map_or(false,|x|x=="py"){ files.push((e.metadata().unwrap().len(),e.into_path())); } }
 let t=std::time::Instant::now();
 files.sort_by(|a,b|b.0.cmp(&a.0));
 let size=AtomicU64::new(0); let z=AtomicU64::new(0); let deep=AtomicU64::new(0); let zt=AtomicU64::new(0);
 let blocks:Vec<Vec<u8>> = files.par_iter().with_max_len(1).map(|(_,f)|{ let b=std::fs::read(f).unwrap();
  if mode=="floor" { let Ok(s)=std::str::from_utf8(&b) else {return vec![]}; let p=ruff_python_parser::parse_unchecked_source(s, ruff_python_ast::PySourceType::Python); size.fetch_add(p.tokens().len() as u64,Relaxed); return vec![] }
  match S.with(|s| s.borrow_mut().parse(&b,false)) { pydebug::parse::Outcome::Facts(v)=>{ size.fetch_add(v.len() as u64,Relaxed); 
   if let Some(level)=mode.strip_prefix("z") { let t=std::time::Instant::now(); let c=zstd::bulk::compress(&v, level.parse().unwrap()).unwrap(); zt.fetch_add(t.elapsed().as_micros() as u64,Relaxed); z.fetch_add(c.len() as u64,Relaxed);} v }, _=>{deep.fetch_add(1,Relaxed);vec![]} } }).collect();
 eprintln!("{root} {mode} {:?} facts {} z {} zt {}ms deep {}",t.elapsed(),size.into_inner(),z.into_inner(),zt.into_inner()/1000,deep.into_inner());
 if mode=="dump" { let mut tot=std::collections::BTreeMap::new(); use pydebug::model::facts::*; for b in &blocks { if b.is_empty(){continue;} let mut c=0; let f=Facts::open(b).unwrap(); for (ti,(t,cols)) in FactsSchema::NAMES.iter().enumerate(){ for name in cols.iter(){ let w=b[4*table::COUNT+c] as u64; *tot.entry(format!("{t}.{name}")).or_insert(0u64)+=w*f.rows(ti) as u64; c+=1; } *tot.entry(format!("{t} ROWS")).or_insert(0)+=f.rows(ti) as u64; } *tot.entry("blob".into()).or_insert(0)+=f.blob().len() as u64; } for (k,v) in tot { if v>50000 {eprintln!("{k} {v}");} } }
}
