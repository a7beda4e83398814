//! Values as written, before they mean anything; each conversion says what would have been accepted.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Chunking, Preset, Strategy, Workers};
use crate::link::Calls;

/// A value as a file, a variable, a flag or a caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// Text; numbers and booleans from variables and flags come this way.
    Text(String),
    /// A TOML integer.
    Integer(i64),
    /// A TOML boolean.
    Bool(bool),
    /// A list of texts.
    List(Vec<String>),
    /// A value of a type that no setting takes, by the name of its type.
    Other(&'static str),
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{}`", text.escape_debug()),
            Self::Integer(number) => write!(f, "`{number}`"),
            Self::Bool(value) => write!(f, "`{value}`"),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Other(kind) => write!(f, "of type {kind}"),
        }
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Raw {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Raw {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u64> for Raw {
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or_else(|_| Self::Text(value.to_string()), Self::Integer)
    }
}

impl From<Vec<String>> for Raw {
    fn from(items: Vec<String>) -> Self {
        Self::List(items)
    }
}

/// What a conversion would have accepted, for the error.
type Expected = String;

impl Raw {
    pub(super) fn bool(&self) -> Result<bool, Expected> {
        match self {
            Self::Bool(value) => Ok(*value),
            Self::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Ok(true),
                "false" | "0" | "no" | "off" => Ok(false),
                _ => Err("write true or false".to_owned()),
            },
            _ => Err("write true or false".to_owned()),
        }
    }

    /// A whole number within `low..=high`.
    pub(super) fn number(&self, low: u64, high: u64) -> Result<u64, Expected> {
        let number = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| format!("write a whole number from {low} to {high}"))
    }

    /// Seconds, with decimals if need be, up to `most`, as milliseconds.
    pub(super) fn milliseconds(&self, most: u64) -> Result<u64, Expected> {
        let time = match self {
            Self::Integer(number) => u64::try_from(*number).ok().and_then(|number| number.checked_mul(1000)),
            Self::Text(text) => text
                .trim()
                .parse::<f64>()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .and_then(|time| u64::try_from(time.as_millis()).ok()),
            _ => None,
        };
        time.filter(|time| (1..=most * 1000).contains(time))
            .ok_or_else(|| format!("write seconds from 0.001 to {most}"))
    }

    fn is_auto(&self) -> bool {
        matches!(self, Self::Text(text) if text.trim().eq_ignore_ascii_case("auto"))
    }

    /// A whole number, or `auto` as `None`.
    pub(super) fn number_or_auto(&self, low: u64, high: u64) -> Result<Option<u64>, Expected> {
        if self.is_auto() {
            return Ok(None);
        }
        self.number(low, high).map(Some).map_err(|expected| format!("{expected}, or auto"))
    }

    pub(super) fn workers(&self) -> Result<Workers, Expected> {
        let count = self.number_or_auto(1, super::MAX_WORKERS)?;
        Ok(match count.and_then(|count| NonZeroUsize::new(usize::try_from(count).unwrap_or(1))) {
            Some(count) => Workers::Fixed(count),
            None => Workers::Auto,
        })
    }

    pub(super) fn strategy(&self) -> Result<Strategy, Expected> {
        let found = match self {
            Self::Text(text) => Strategy::from_name(text.trim()),
            _ => None,
        };
        found.ok_or_else(|| "write thread, process, hybrid or adaptive".to_owned())
    }

    pub(super) fn calls(&self) -> Result<Calls, Expected> {
        let found = match self {
            Self::Text(text) => Calls::from_name(text.trim()),
            _ => None,
        };
        found.ok_or_else(|| "write flow or names".to_owned())
    }

    pub(super) fn chunking(&self) -> Result<Chunking, Expected> {
        let found = match self {
            Self::Text(text) => Chunking::from_name(text.trim()),
            _ => None,
        };
        found.ok_or_else(|| "write ast, line or size".to_owned())
    }

    pub(super) fn preset(&self) -> Result<Preset, Expected> {
        let found = match self {
            Self::Text(text) => Preset::from_name(text.trim()),
            _ => None,
        };
        found.ok_or_else(|| "write standard, performance or minimal".to_owned())
    }

    /// Text that is neither empty nor holds control characters.
    pub(super) fn text(&self) -> Result<&str, Expected> {
        match self {
            Self::Text(text) if !text.trim().is_empty() && !text.contains(char::is_control) => Ok(text),
            _ => Err("write a text that is not empty and holds no control characters".to_owned()),
        }
    }

    /// A list of texts; a single text is a list of one.
    pub(super) fn list(&self) -> Result<Vec<String>, Expected> {
        match self {
            Self::List(items) if items.iter().all(|item| !item.trim().is_empty()) => Ok(items.clone()),
            Self::Text(text) if !text.trim().is_empty() => Ok(vec![text.clone()]),
            _ => Err("write a list of texts, none of them empty".to_owned()),
        }
    }
}
