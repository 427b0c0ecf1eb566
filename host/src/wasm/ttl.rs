//! Times to live, as the contract and as the host say them.

use super::bindings::declarations as contract;
use crate::model::{TimeDomain, Ttl, TtlUpdate, TtlVisibility};

/// What a function declares.
pub(super) fn from_contract(ttl: contract::Ttl) -> Ttl {
    Ttl {
        time_ms: ttl.time.max(1),
        domain: match ttl.domain {
            contract::TimeDomain::Event => TimeDomain::Event,
            contract::TimeDomain::Processing => TimeDomain::Processing,
        },
        update: match ttl.update {
            contract::TtlUpdate::OnCreateAndWrite => TtlUpdate::OnCreateAndWrite,
            contract::TtlUpdate::OnReadAndWrite => TtlUpdate::OnReadAndWrite,
        },
        visibility: match ttl.visibility {
            contract::TtlVisibility::NeverReturnExpired => TtlVisibility::NeverReturnExpired,
            contract::TtlVisibility::ReturnExpiredIfNotCleanedUp => {
                TtlVisibility::ReturnExpiredIfNotCleanedUp
            }
        },
        cleanup_in_full_snapshot: ttl.cleanup_in_full_snapshot,
        cleanup_incrementally: ttl.cleanup_incrementally,
        cleanup_in_compaction: ttl.cleanup_in_compaction,
    }
}

/// What an instance is told.
pub(super) fn to_contract(ttl: &Ttl) -> contract::Ttl {
    contract::Ttl {
        time: ttl.time_ms,
        domain: match ttl.domain {
            TimeDomain::Event => contract::TimeDomain::Event,
            TimeDomain::Processing => contract::TimeDomain::Processing,
        },
        update: match ttl.update {
            TtlUpdate::OnCreateAndWrite => contract::TtlUpdate::OnCreateAndWrite,
            TtlUpdate::OnReadAndWrite => contract::TtlUpdate::OnReadAndWrite,
        },
        visibility: match ttl.visibility {
            TtlVisibility::NeverReturnExpired => contract::TtlVisibility::NeverReturnExpired,
            TtlVisibility::ReturnExpiredIfNotCleanedUp => {
                contract::TtlVisibility::ReturnExpiredIfNotCleanedUp
            }
        },
        cleanup_in_full_snapshot: ttl.cleanup_in_full_snapshot,
        cleanup_incrementally: ttl.cleanup_incrementally,
        cleanup_in_compaction: ttl.cleanup_in_compaction,
    }
}
