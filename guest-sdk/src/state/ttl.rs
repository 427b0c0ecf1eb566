//! How long state lives without an access.
//!
//! Every value, list element and map value of a state with a time to live begins with the time of
//! its last access. Only this file knows that.

use std::time::Duration;

use crate::bindings::tidegate::function::declarations as contract;
use crate::context::{Context, TimeDomain};

/// Bytes of the time before a value.
const STAMP_BYTES: usize = 8;

/// The access time of what has none: it lives on.
const NO_STAMP: i64 = i64::MIN;

/// The watermark that says that the input has ended. It makes no state expire.
const ENDED: i64 = i64::MAX;

/// How long state lives without an access. Taken by
/// [`StateBuilder::ttl`](super::StateBuilder::ttl).
///
/// [timers]: crate::context::Timer
/// [windows]: crate::window
#[doc = include_str!("../../../docs/time-to-live.md")]
#[derive(Clone, Copy, Debug)]
pub struct Ttl(contract::Ttl);

impl Ttl {
    /// State that expires so long after it was last written, by the host's clock, and cannot be
    /// seen afterwards. Rounded to milliseconds, at least one.
    pub fn new(time: Duration) -> Self {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        Self(contract::Ttl {
            time,
            domain: contract::TimeDomain::Processing,
            update: contract::TtlUpdate::OnCreateAndWrite,
            visibility: contract::TtlVisibility::NeverReturnExpired,
            cleanup_in_full_snapshot: false,
            cleanup_incrementally: 5,
            cleanup_in_compaction: true,
        })
    }

    /// Counts in event time: an access has the time of its record or event-time timer, and the
    /// watermark makes state expire. Results are then the same on every run.
    pub fn event_time(mut self) -> Self {
        self.0.domain = contract::TimeDomain::Event;
        self
    }

    /// Reading counts as an access too.
    pub fn update_on_read(mut self) -> Self {
        self.0.update = contract::TtlUpdate::OnReadAndWrite;
        self
    }

    /// Expired state can be read until somebody has cleaned it up.
    pub fn return_expired_if_not_cleaned_up(mut self) -> Self {
        self.0.visibility = contract::TtlVisibility::ReturnExpiredIfNotCleanedUp;
        self
    }

    /// Leaves expired state out of savepoints, and of checkpoints that are written whole. Off
    /// unless called.
    pub fn cleanup_in_full_snapshot(mut self) -> Self {
        self.0.cleanup_in_full_snapshot = true;
        self
    }

    /// With each record the host looks at so many further keys and removes what has expired, if
    /// state is on the heap. Default 5; 0 = none.
    pub fn cleanup_incrementally(mut self, keys: u32) -> Self {
        self.0.cleanup_incrementally = keys;
        self
    }

    /// Whether RocksDB removes what has expired when it compacts its files. Default true.
    pub fn cleanup_in_compaction(mut self, wanted: bool) -> Self {
        self.0.cleanup_in_compaction = wanted;
        self
    }

    pub(crate) fn into_contract(self) -> contract::Ttl {
        self.0
    }
}

/// What the handle of a state knows of time: nothing, if its state lives for ever.
#[derive(Clone, Copy)]
pub(crate) struct Lifetime(Option<contract::Ttl>);

/// The time at the record or timer at hand, as a lifetime counts it.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    /// The time of an access.
    stamp: i64,
    /// Accesses up to here have expired.
    expired: i64,
    counts_reads: bool,
    shows_expired: bool,
}

impl Lifetime {
    pub(crate) fn new(ttl: Option<contract::Ttl>) -> Self {
        Self(ttl)
    }

    /// The time before a stored value, none if it lives for ever, and the value.
    pub(super) fn split(self, stored: &[u8]) -> (&[u8], &[u8]) {
        stored.split_at(self.0.map_or(0, |_| STAMP_BYTES))
    }

    /// The time now; none if it does not matter.
    #[inline]
    pub(crate) fn moment<Out, Can>(&self, ctx: &Context<'_, Out, Can>) -> Option<Moment> {
        let ttl = self.0?;
        let (stamp, now) = match ttl.domain {
            contract::TimeDomain::Processing => (ctx.processing_time(), ctx.processing_time()),
            contract::TimeDomain::Event => event_time(ctx),
        };
        let time = i64::try_from(ttl.time).unwrap_or(i64::MAX);
        Some(Moment {
            stamp,
            expired: now.saturating_sub(time),
            counts_reads: ttl.update == contract::TtlUpdate::OnReadAndWrite,
            shows_expired: ttl.visibility == contract::TtlVisibility::ReturnExpiredIfNotCleanedUp,
        })
    }
}

/// The time of an access in event time, and up to where time has come.
fn event_time<Out, Can>(ctx: &Context<'_, Out, Can>) -> (i64, i64) {
    let (watermark, timer) = (ctx.current_watermark(), ctx.timer_domain());
    let of_timer = matches!(timer, Some(TimeDomain::EventTime));
    let stamp = match ctx.timestamp() {
        Ok(timestamp) if timer.is_none() || of_timer => timestamp,
        _ => watermark,
    };
    match (watermark, of_timer) {
        (ENDED, true) => (stamp, stamp),
        (ENDED, false) => (NO_STAMP, NO_STAMP),
        (watermark, _) => (stamp, watermark),
    }
}

/// What a read finds.
pub(crate) enum Found {
    /// It is there.
    Alive,
    /// It is there, and this read is an access.
    Accessed,
    /// Its time has passed.
    Expired,
}

impl Moment {
    /// What a read of stored bytes finds now.
    #[inline]
    pub(crate) fn find(&self, stored: &[u8]) -> Found {
        let stamp = stamp_of(stored);
        if stamp > self.expired || stamp == NO_STAMP {
            return if self.counts_reads { Found::Accessed } else { Found::Alive };
        }
        if self.shows_expired { Found::Alive } else { Found::Expired }
    }

    /// Notes an access now at stored bytes that begin at `start`.
    #[inline]
    pub(crate) fn restamp(&self, bytes: &mut [u8], start: u32) {
        let start = start as usize;
        bytes[start..start + STAMP_BYTES].copy_from_slice(&self.stamp.to_le_bytes());
    }

    /// Whether reads are accesses.
    pub(crate) fn counts_reads(&self) -> bool {
        self.counts_reads
    }
}

/// What a function sees of stored bytes at a moment, if that matters.
#[inline]
pub(crate) fn visible(stored: &[u8], moment: Option<Moment>) -> Option<&[u8]> {
    match moment.map(|moment| moment.find(stored)) {
        None => Some(stored),
        Some(Found::Alive | Found::Accessed) => Some(payload(stored)),
        Some(Found::Expired) => None,
    }
}

/// Appends the time of an access, if it matters.
#[inline]
pub(crate) fn write_stamp(moment: Option<Moment>, out: &mut Vec<u8>) {
    if let Some(moment) = moment {
        out.extend_from_slice(&moment.stamp.to_le_bytes());
    }
}

/// Stored bytes without the time before them.
#[inline]
pub(crate) fn payload(stored: &[u8]) -> &[u8] {
    &stored[STAMP_BYTES..]
}

/// Bytes to store with the time of an access.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn stamped(time: i64, payload: &[u8]) -> Vec<u8> {
    [&time.to_le_bytes(), payload].concat()
}

fn stamp_of(stored: &[u8]) -> i64 {
    let mut stamp = [0; STAMP_BYTES];
    stamp.copy_from_slice(&stored[..STAMP_BYTES]);
    i64::from_le_bytes(stamp)
}
