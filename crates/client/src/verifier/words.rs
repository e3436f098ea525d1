//! Between the words on the wire and the verifier's own types. What can't be read is as good as unsaid.

use std::sync::Arc;
use std::time::Duration;

use hokusai_api::verifiers::{AllotmentAsk, Allotments, Allotted, ChangesPage, DebtSlip, VouchedKey};
use hokusai_core::address::parse_block;
use hokusai_core::allotment::Answer;
use hokusai_core::feed::{Change, Position};
use hokusai_core::id::{AccountId, HolderId};
use hokusai_core::key::{Environment, Lifetime};
use hokusai_core::policy::{KeyFacts, Refusal, Rights};
use hokusai_core::scope::Scope;
use hokusai_core::time::{Hour, Timestamp};
use hokusai_core::verifier::{FeedItem, FeedPage, KeyAnswer, Message};

pub(super) fn key_answer(vouched: &VouchedKey) -> Option<KeyAnswer> {
    let position = position(&vouched.position)?;
    if !vouched.key.is_valid {
        let code = vouched.key.code.as_deref()?;
        let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code)?;
        return Some(KeyAnswer::Refused { refusal, position });
    }
    let allotment = vouched.allotment.as_ref().map(answer);
    let valid_for = Duration::from_millis(vouched.valid_for_ms?);
    Some(KeyAnswer::Good { key: facts(vouched)?, valid_for, position, allotment })
}

/// The key, without its end: the answer's own time ends before.
fn facts(vouched: &VouchedKey) -> Option<KeyFacts> {
    let (key, never) = (&vouched.key, Timestamp::NEVER);
    let blocks = vouched.allowed_ips.as_ref()?.iter().map(|text| parse_block(text));
    let scopes = key.scopes.as_ref()?.iter().map(|text| Scope::parse(text));
    let rights = Rights {
        user_id: key.user_id.as_deref()?.into(),
        service_id: key.service_id.as_deref()?.into(),
        scopes: scopes.collect::<Option<_>>()?,
        environment: Environment::from_name(key.environment.as_deref()?)?,
        allowlist: blocks.collect::<Option<_>>()?,
        rate_limit_per_hour: key.rate_limit_per_hour?,
        monthly_prediction_limit: key.monthly_prediction_limit,
        billing_plan: key.billing_plan.as_deref()?.into(),
    };
    Some(KeyFacts {
        id: key.key_id.as_ref()?.parse().ok()?,
        account: vouched.account.as_ref()?.parse().ok()?,
        lifetime: Lifetime { expires_at: never, grace_until: never, revoked_at: never },
        rights: Arc::new(rights),
    })
}

pub(super) fn answer(allotted: &Allotted) -> Answer {
    Answer {
        seq: allotted.seq,
        hour: Hour(allotted.hour),
        allotted: allotted.allotted,
        used: allotted.used,
        awaited: allotted.awaited,
        expires_in: Duration::from_millis(allotted.expires_in_ms),
        limit: allotted.limit,
        left: allotted.remaining,
        holders: allotted.holders,
        reclaimable: allotted.reclaimable,
        living: allotted.living,
    }
}

pub(super) fn allotments(holder: HolderId, message: &Message) -> Allotments {
    let item = |(account, ask): &(AccountId, hokusai_core::allotment::Ask)| AllotmentAsk {
        account: account.to_string(),
        hour: ask.hour.map(|hour| hour.0),
        seq: ask.seq,
        used: ask.used,
        want: ask.want,
    };
    let slip = |debt: &hokusai_core::debt::Debt| DebtSlip {
        id: debt.id.debtor.to_string(),
        account: debt.id.account.to_string(),
        hour: debt.id.hour.0,
        units: debt.units,
    };
    Allotments {
        holder: holder.to_string(),
        items: message.items.iter().map(item).collect(),
        debt: message.debts.iter().map(slip).collect(),
        goodbye: false,
    }
}

pub(super) fn feed_page(page: &ChangesPage) -> Option<FeedPage> {
    let item = |item: &hokusai_api::verifiers::ChangeItem| {
        let key = match (&item.key_id, &item.account) {
            (Some(key), Some(account)) => Some((key.parse().ok()?, account.parse().ok()?)),
            _ => None,
        };
        Some(FeedItem { change: Change { revision: item.revision, key }, is_new: item.kind == "create" })
    };
    Some(FeedPage {
        head: position(&page.position)?,
        reset: page.reset,
        items: page.items.iter().map(item).collect::<Option<_>>()?,
        dry: page.dry.iter().map(|account| account.parse().ok()).collect::<Option<_>>()?,
    })
}

pub(super) fn written(position: Position) -> String {
    format!("{}:{}", position.epoch, position.revision)
}

fn position(text: &str) -> Option<Position> {
    let (epoch, revision) = text.split_once(':')?;
    Some(Position { epoch: epoch.parse().ok()?, revision: revision.parse().ok()? })
}
