//! How long state lives without an access. Mirrors `ttl` of the contract.

use serde::{Deserialize, Serialize};

use super::{TIME_END, TIME_NONE, TimeDomain};

/// Bytes of the access time before each value, list element and value of a map entry.
pub const STAMP_BYTES: usize = 8;

/// What counts as an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TtlUpdate {
    /// Writing.
    OnCreateAndWrite,
    /// Reading too.
    OnReadAndWrite,
}

/// What a read finds of expired state that nobody has cleaned up yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TtlVisibility {
    /// Nothing.
    NeverReturnExpired,
    /// What was there.
    ReturnExpiredIfNotCleanedUp,
}

/// The time to live of a state: of a value, of each element of a list, of each entry of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttl {
    /// In milliseconds, at least 1.
    pub time_ms: u64,
    /// By which clock.
    pub domain: TimeDomain,
    /// What counts as an access.
    pub update: TtlUpdate,
    /// What a read finds of expired state.
    pub visibility: TtlVisibility,
    /// Whether what is written whole leaves out what has expired.
    pub cleanup_in_full_snapshot: bool,
    /// So many further keys on the heap are looked at with each record.
    pub cleanup_incrementally: u32,
    /// Whether RocksDB removes what has expired when it compacts its files.
    pub cleanup_in_compaction: bool,
}

impl Ttl {
    /// The last access times that have expired when the clock of the state says `now`; none if
    /// nothing expires then.
    pub fn horizon(&self, now: i64) -> Option<i64> {
        if now == TIME_NONE || now == TIME_END {
            return None;
        }
        let time = i64::try_from(self.time_ms).unwrap_or(i64::MAX);
        Some(now.saturating_sub(time)).filter(|horizon| *horizon > TIME_NONE)
    }
}

/// Whether something with this access time has expired. What has none lives on.
pub fn is_expired(stamped: &[u8], horizon: i64) -> bool {
    let stamp = stamped.first_chunk().map_or(TIME_NONE, |stamp| i64::from_le_bytes(*stamp));
    stamp != TIME_NONE && stamp <= horizon
}
