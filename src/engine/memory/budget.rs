//! How much memory a run may take, and who says so.

use crate::config::{Config, Key};
use crate::sys;

/// Bytes that nobody who said nothing wants to see exceeded.
const DEFAULT: u64 = 2048 << 20;

/// A memory budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: u64,
    /// Where it came from, for a person.
    pub source: String,
}

impl Budget {
    /// What was asked for, or else the smallest of the default, three quarters of what the control groups of this process allow
    /// (pages of files and the kernel's own count there too), and three quarters of the memory available.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match config.max_memory_bytes() {
            Some(bytes) => Self { bytes, source: config.origin(Key::MaxMemory).to_string() },
            None => Self::smallest(sys::group_limit(), sys::available_bytes()),
        }
    }

    fn smallest(group: Option<(u64, String)>, available: Option<u64>) -> Self {
        let share = |bytes: u64| bytes / 4 * 3;
        let group = group.map(|(bytes, name)| Self {
            bytes: share(bytes),
            source: format!("three quarters of the {} MB of control group `{name}`", bytes >> 20),
        });
        let available = available.map(|bytes| Self {
            bytes: share(bytes),
            source: format!("three quarters of the {} MB of memory available", bytes >> 20),
        });
        let default = Self { bytes: DEFAULT, source: "default".to_owned() };
        let smaller = |least: Self, other: Self| if other.bytes < least.bytes { other } else { least };
        [group, available].into_iter().flatten().fold(default, smaller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_counts() {
        let group = |mb: u64| Some((mb << 20, "/a".to_owned()));
        for (group, available, megabytes, source) in [
            (None, None, 2048, "default"),
            (group(8192), Some(16 << 30), 2048, "default"),
            (group(512), Some(16 << 30), 384, "three quarters of the 512 MB of control group `/a`"),
            (group(512), Some(400 << 20), 300, "three quarters of the 400 MB of memory available"),
            (group(16), None, 12, "three quarters of the 16 MB of control group `/a`"),
        ] {
            let budget = Budget::smallest(group, available);
            assert_eq!((budget.bytes >> 20, budget.source.as_str()), (megabytes, source));
        }
    }

    #[test]
    fn what_was_asked_for_counts() {
        let config = Config::builder(".").set(Key::MaxMemory, 100u64).build().expect("valid");
        assert_eq!(Budget::of(&config), Budget { bytes: 100 << 20, source: "caller".to_owned() });
    }
}
