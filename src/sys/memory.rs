//! How much memory there is, how much of it this process has, and how it goes back.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};

/// Bytes that could be had without swapping; `None` where the system does not tell.
#[must_use]
pub fn available_bytes() -> Option<u64> {
    let memory = MemoryRefreshKind::nothing().with_ram();
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(memory)).ok()?;
    Some(system.available_memory()).filter(|&bytes| bytes > 0)
}

/// The tightest limit that the control groups of this process set, and the group that sets it.
#[must_use]
pub fn group_limit() -> Option<(u64, String)> {
    group_limit_below(Path::new("/"))
}

/// The same, with another root for `/proc` and the mount points.
fn group_limit_below(root: &Path) -> Option<(u64, String)> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let (groups, mounts) = (read("proc/self/cgroup")?, read("proc/self/mountinfo")?);
    let mut tightest: Option<(u64, String)> = None;
    for line in groups.lines() {
        // `number:controllers:path`; version 2 has no controllers.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let files: &[&str] = match controllers {
            "" => &["memory.max", "memory.high"],
            _ if controllers.split(',').any(|name| name == "memory") => &["memory.limit_in_bytes"],
            _ => continue,
        };
        for mount in mounts.lines().filter_map(|line| mount(line, controllers.is_empty())) {
            // Within a container the path may be that of the host, and all that is mounted is the group itself.
            let below = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new("")).to_owned();
            for group in below.ancestors() {
                let folder = root.join(mount.point.strip_prefix("/").unwrap_or(&mount.point)).join(group);
                for bytes in files.iter().filter_map(|file| number(&folder.join(file))) {
                    if tightest.as_ref().is_none_or(|(least, _)| bytes < *least) {
                        tightest = Some((bytes, format!("/{}", group.display())));
                    }
                }
            }
        }
    }
    tightest
}

/// A file's number; none where it says `max`, or what version 1 says for that.
fn number(path: &Path) -> Option<u64> {
    let bytes = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    (bytes < 1 << 60).then_some(bytes)
}

struct Mount {
    /// What of the tree of groups is mounted.
    root: PathBuf,
    point: PathBuf,
}

/// A line of `mountinfo`, where it is about groups that bound memory.
fn mount(line: &str, unified: bool) -> Option<Mount> {
    let (place, kind) = line.split_once(" - ")?;
    let mut kind = kind.split(' ');
    let named = if unified { "cgroup2" } else { "cgroup" };
    if kind.next() != Some(named) {
        return None;
    }
    if !unified && !kind.nth(1)?.split(',').any(|option| option == "memory") {
        return None;
    }
    let mut fields = place.split(' ').skip(3);
    Some(Mount { root: fields.next()?.into(), point: fields.next()?.into() })
}

/// Tells how much memory this process has, again and again at little cost.
#[derive(Debug)]
pub struct Meter {
    statm: Option<File>,
    page: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { statm: File::open("/proc/self/statm").ok(), page: page_bytes() }
    }
}

impl Meter {
    /// Resident memory that only this process has, in bytes: without pages of mapped files, which the system takes back when
    /// it needs them. Where it does not tell them apart, all resident memory; 0 where it tells nothing.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let own = |(resident, shared): (u64, u64)| resident.saturating_sub(shared);
        self.statm.as_ref().and_then(|statm| self.read(statm)).map_or_else(resident_bytes, own)
    }

    /// Resident pages of mapped files, in bytes; 0 where the system does not tell.
    #[must_use]
    pub fn mapped_bytes(&self) -> u64 {
        self.statm.as_ref().and_then(|statm| self.read(statm)).map_or(0, |(_, shared)| shared)
    }

    /// All resident memory, and how much of it is pages of files.
    fn read(&self, statm: &File) -> Option<(u64, u64)> {
        let mut text = [0; 128];
        let len = statm.read_at(&mut text, 0).ok()?;
        let mut pages = std::str::from_utf8(&text[..len]).ok()?.split(' ').skip(1).map(str::parse::<u64>);
        let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
        Some((resident * self.page, shared * self.page))
    }
}

/// For systems without `/proc`.
fn resident_bytes() -> u64 {
    let Ok(id) = sysinfo::get_current_pid() else { return 0 };
    let Ok(mut system) = System::new_with_specifics(RefreshKind::nothing()) else { return 0 };
    let memory = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, memory);
    system.process(id).map_or(0, sysinfo::Process::memory)
}

#[expect(unsafe_code, reason = "the standard library does not wrap `sysconf`")]
fn page_bytes() -> u64 {
    // SAFETY: takes a number and gives one.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// Gives pages that the calling thread has freed back to the operating system.
#[expect(unsafe_code, reason = "the allocator's crate does not wrap it")]
pub fn return_pages() {
    // SAFETY: frees nothing that is in use; where another allocator serves the program it finds nothing to do.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// `mi_option_purge_delay` of mimalloc 2 and 3, which the crate has no name for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// From now on pages go back to the operating system as soon as they are freed, rather than milliseconds later.
#[expect(unsafe_code, reason = "the allocator's crate does not wrap it")]
pub fn return_pages_at_once() {
    // SAFETY: sets a number that the allocator reads; where another allocator serves the program nobody does.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by path and text below a folder that stands for `/`.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn the_tightest_group_counts() {
        const UNIFIED: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
        const OLD: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n";
        let own = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        for (files, expected) in [
            (vec![("proc/self/cgroup", "0::/a/b\n"), ("proc/self/mountinfo", UNIFIED), own], None),
            (
                vec![
                    ("proc/self/cgroup", "0::/a/b\n"),
                    ("proc/self/mountinfo", UNIFIED),
                    own,
                    ("sys/fs/cgroup/a/memory.max", "268435456\n"),
                    ("sys/fs/cgroup/a/memory.high", "134217728\n"),
                ],
                Some((128 << 20, "/a")),
            ),
            (
                vec![
                    ("proc/self/cgroup", "4:memory:/a/b\n2:cpu:/c\n0::/\n"),
                    ("proc/self/mountinfo", OLD),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "536870912\n"),
                    ("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "268435456\n"),
                ],
                Some((256 << 20, "/a/b")),
            ),
            // Within a container: the host's path, and the group itself at the mount point.
            (
                vec![
                    ("proc/self/cgroup", "4:memory:/docker/x\n"),
                    ("proc/self/mountinfo", &OLD.replace("0:32 / ", "0:32 /docker/x ")),
                    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
                ],
                Some((1 << 30, "/")),
            ),
            (
                vec![
                    ("proc/self/cgroup", "0::/../outside\n"),
                    ("proc/self/mountinfo", UNIFIED),
                    ("sys/fs/cgroup/memory.max", "1073741824\n"),
                ],
                Some((1 << 30, "/")),
            ),
            (vec![("proc/self/cgroup", "nonsense\n::\n"), ("proc/self/mountinfo", "- - -\n")], None),
            (vec![], None),
        ] {
            let root = system(&files);
            let expected = expected.map(|(bytes, group)| (bytes, group.to_owned()));
            assert_eq!(group_limit_below(root.path()), expected, "{files:?}");
        }
    }

    #[test]
    fn memory_is_seen_and_given_back() {
        assert!(available_bytes().is_some_and(|bytes| bytes > 1 << 20));
        // Other tests come and go in this process: only what is there for certain can be asked for.
        let block = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(Meter::default().resident_bytes() >= 64 << 20);
        assert!(resident_bytes() >= 64 << 20);
        assert!(Meter { statm: None, page: 0 }.resident_bytes() >= 64 << 20);
        return_pages_at_once();
        drop(block);
        return_pages();
    }
}
