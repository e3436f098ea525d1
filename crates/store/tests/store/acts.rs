//! What facts do with a store, in a word each.

use hokusai_core::allotment::{Answer, Ask};
use hokusai_core::calendar::Month;
use hokusai_core::id::{AccountId, HolderId, KeyId, TokenId};
use hokusai_core::time::Hour;
use hokusai_core::time::Timestamp;
use hokusai_core::usage::{Record, Totals};
use hokusai_store::{
    About, AccountAsk, AccountUsage, GroupBy, Key, KeyFilter, ListedKey, NewKey, NewToken, Recorded, Report,
    Standing, Store, UsageGroup, Writes,
};

use crate::samples::{ALL_KEYS, FOR_EVER, id, plans, report, writes};
use crate::stores::TestStore;

impl TestStore {
    pub(crate) async fn write(&self, writes: Writes) {
        self.change(About::Nothing, |_| (Some(writes), ())).await.unwrap();
    }

    pub(crate) async fn add(&self, new: NewKey) {
        self.write(Writes { new_keys: vec![new], ..writes() }).await;
    }

    pub(crate) async fn add_token(&self, new: NewToken) {
        self.write(Writes { new_tokens: vec![new], ..writes() }).await;
    }

    pub(crate) async fn revoke_token(&self, number: u32) {
        self.write(Writes { revoked_tokens: vec![id(number)], ..writes() }).await;
    }

    /// Changes a key that exists.
    pub(crate) async fn edit(&self, number: u32, edit: impl FnOnce(&mut Key)) {
        edit_key(self, number, edit).await;
    }

    pub(crate) async fn revoke(&self, number: u32) {
        let now = self.clock().now();
        self.edit(number, |key| key.facts.lifetime.revoked_at = now).await;
    }

    /// What a change about this would find.
    pub(crate) async fn standing(&self, about: About<'_>) -> Standing {
        self.change(about, |standing| (None, standing.clone())).await.unwrap()
    }

    pub(crate) async fn key(&self, number: u32) -> Key {
        self.standing(About::Key(id::<KeyId>(number))).await.key.unwrap()
    }

    pub(crate) async fn last_use(&self, number: u32) -> Option<Timestamp> {
        let only = KeyFilter { key: Some(id(number)), ..ALL_KEYS };
        self.list_keys(&only, id(1)).await.unwrap()[0].last_used_at
    }

    pub(crate) async fn other_operators(&self, token: u32) -> i64 {
        self.standing(About::Token(id::<TokenId>(token))).await.other_lasting_operators
    }

    /// The names of the keys that a filter lets through, in order.
    pub(crate) async fn names(&self, filter: &KeyFilter) -> Vec<String> {
        let listed = self.list_keys(filter, id(1)).await.unwrap();
        listed.into_iter().map(|listed| listed.key.name).collect()
    }

    /// A key as `holder` sees it in lists.
    pub(crate) async fn listed(&self, number: u32, holder: u32) -> ListedKey {
        let filter = KeyFilter { key: Some(id(number)), ..ALL_KEYS };
        self.list_keys(&filter, id(holder)).await.unwrap().remove(0)
    }

    /// Reports records in a transaction of their own.
    pub(crate) async fn report(&self, records: Vec<Record>) -> Recorded {
        self.take(&report(records)).await
    }

    /// Takes one report in a transaction of its own.
    pub(crate) async fn take(&self, report: &Report) -> Recorded {
        take(self, report).await
    }

    /// Takes reports in one transaction.
    pub(crate) async fn take_all(&self, reports: &[Report]) -> Vec<Recorded> {
        take_all(self, reports).await
    }

    /// How the account of a key stands in a month.
    pub(crate) async fn bill(&self, key: u32, month: Month) -> AccountUsage {
        self.account_usage(id(key), month).await.unwrap().unwrap()
    }

    /// The predictions that the account of a key is billed for in a month.
    pub(crate) async fn predictions(&self, key: u32, month: Month) -> i64 {
        self.bill(key, month).await.usage.predictions
    }

    pub(crate) async fn usage(&self, key: u32, month: Month, by: GroupBy) -> Vec<UsageGroup> {
        self.key_usage(id(key), month, by).await.unwrap()
    }

    /// All that a key used in a month.
    pub(crate) async fn totals(&self, key: u32, month: Month) -> Totals {
        self.usage(key, month, GroupBy::Nothing)
            .await
            .pop()
            .map_or_else(Totals::default, |group| group.totals)
    }

    /// Where the feed stands.
    pub(crate) async fn head(&self) -> i64 {
        self.read_feed(i64::MAX).await.unwrap().head.revision
    }

    /// The keys that changed after `revision`, in order.
    pub(crate) async fn changed_after(&self, revision: i64) -> Vec<Option<KeyId>> {
        let page = self.read_feed(revision).await.unwrap();
        page.changes.iter().map(|(change, _)| change.key.map(|(key, _)| key)).collect()
    }

    /// The accounts that are told to have run dry.
    pub(crate) async fn dry(&self) -> Vec<AccountId> {
        self.read_feed(i64::MAX).await.unwrap().dry
    }
}

/// Takes one report in a transaction of its own.
pub(crate) async fn take(store: &Store, report: &Report) -> Recorded {
    take_all(store, std::slice::from_ref(report)).await[0]
}

/// Takes reports in one transaction.
pub(crate) async fn take_all(store: &Store, reports: &[Report]) -> Vec<Recorded> {
    let reports: Vec<&Report> = reports.iter().collect();
    store.record_usage(&reports, &plans(), FOR_EVER).await.unwrap()
}

pub(crate) async fn edit_key(store: &Store, number: u32, edit: impl FnOnce(&mut Key)) {
    let decide = |standing: &Standing| {
        let mut key = standing.key.clone().unwrap();
        edit(&mut key);
        (Some(Writes { changed_keys: vec![key], ..writes() }), ())
    };
    store.change(About::Key(id(number)), decide).await.unwrap();
}

/// A holder that says the truth of one account, and spends nothing unless told to.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    id: HolderId,
    account: AccountId,
    hour: Option<Hour>,
    seq: i64,
    pub(crate) used: u32,
}

impl Holder {
    /// Holder `number` of the account that key `account` opened.
    pub(crate) fn new(number: u32, account: u32) -> Self {
        Self { id: id(number), account: id(account), hour: None, seq: 0, used: 0 }
    }

    /// Its next message.
    pub(crate) fn message(&mut self, want: u32) -> AccountAsk {
        self.seq += 1;
        let ask = Ask { hour: self.hour, seq: self.seq, used: self.used, want, waiting: 0 };
        AccountAsk { account: self.account, ask }
    }

    /// Asks, and goes over to the hour of the answer.
    pub(crate) async fn ask(&mut self, store: &Store, want: u32) -> Answer {
        let message = self.message(want);
        let answer = store.allot(self.id, &[message]).await.unwrap()[0].expect("the message is new");
        if self.hour != Some(answer.hour) {
            (self.hour, self.used) = (Some(answer.hour), 0);
        }
        answer
    }

    /// Asks, and spends all that it gets; says how much that is.
    pub(crate) async fn spend(&mut self, store: &Store, want: u32) -> u32 {
        let before = self.hour.map(|hour| (hour, self.used));
        let answer = self.ask(store, want).await;
        let spent = before.filter(|(hour, _)| *hour == answer.hour).map_or(0, |(_, used)| used);
        self.used = answer.allotted;
        answer.allotted - spent
    }

    pub(crate) async fn register(&self, store: &Store) {
        store.register_holder(self.id, "node", 0).await.unwrap();
    }

    pub(crate) async fn forget(&self, store: &Store) {
        store.forget_holder(self.id).await.unwrap();
    }
}
