//! The catalogue of models: names that are compared exactly, versions without a gap, lists by name.

use std::sync::Arc;

use hokusai_core::model::{MAX_TAG_KEY, MAX_TAG_VALUE, ModelName, ModelType, Tag};
use hokusai_store::{About, Model, ModelFilter, ModelVersion, Standing, Store, VersionFilter, Writes};
use tokio::task::JoinSet;

use crate::facts::facts;
use crate::samples::{START, new_key, writes};
use crate::stores::TestStore;

const ALL: ModelFilter = ModelFilter { model_type: None, tag: None, after: None, limit: 1000 };
const ALL_VERSIONS: VersionFilter = VersionFilter { before: None, limit: 1000 };

fn name(text: &str) -> ModelName {
    ModelName::parse(text).unwrap()
}

fn kind(text: &str) -> Option<ModelType> {
    Some(ModelType::parse(text).unwrap())
}

fn tag(text: &str) -> Option<Tag> {
    Some(Tag::parse(text).unwrap())
}

/// A model of this name, as a change that finds this would make it.
fn model(text: &str, standing: &Standing) -> Model {
    Model {
        name: name(text),
        number: standing.models + 1,
        model_type: kind("other").unwrap(),
        description: String::new(),
        tags: "{}".to_owned(),
        created_at: standing.now,
        created_by: "ada".to_owned(),
        updated_at: standing.now,
        latest_version: 0,
    }
}

/// The next version of a model.
fn next_version(of: &Model, standing: &Standing) -> ModelVersion {
    ModelVersion {
        model: of.number,
        version: of.latest_version + 1,
        description: "better".to_owned(),
        source: None,
        tags: "{}".to_owned(),
        created_at: standing.now,
        created_by: "bob".to_owned(),
    }
}

/// Adds a model with something changed about it, unless there is one of this name.
async fn add_with(store: &Store, text: &str, change: impl FnOnce(&mut Model)) -> bool {
    let wanted = name(text);
    let decide = |standing: &Standing| {
        if standing.model.is_some() {
            return (None, false);
        }
        let mut model = model(text, standing);
        change(&mut model);
        (Some(Writes { new_models: vec![model], ..writes() }), true)
    };
    store.change(About::Model(&wanted), decide).await.unwrap()
}

async fn add(store: &Store, text: &str) -> bool {
    add_with(store, text, |_| ()).await
}

async fn add_version(store: &Store, text: &str) -> i64 {
    let wanted = name(text);
    let decide = |standing: &Standing| {
        let version = next_version(standing.model.as_ref().unwrap(), standing);
        let number = version.version;
        (Some(Writes { new_versions: vec![version], ..writes() }), number)
    };
    store.change(About::Model(&wanted), decide).await.unwrap()
}

async fn names(store: &Store, filter: &ModelFilter) -> Vec<String> {
    let models = store.list_models(filter).await.unwrap();
    models.into_iter().map(|model| model.name.to_string()).collect()
}

async fn found(store: &Store, text: &str) -> Option<Model> {
    store.find_model(&name(text), ALL_VERSIONS).await.unwrap().map(|(model, _)| model)
}

async fn versions(store: &Store, text: &str, filter: VersionFilter) -> Vec<i64> {
    let (_, versions) = store.find_model(&name(text), filter).await.unwrap().unwrap();
    versions.into_iter().map(|version| version.version).collect()
}

facts! {
    async fn a_model_is_kept_as_it_was_written(store: TestStore) {
        let mut written = None;
        add_with(&store, "Ünïcode \"quoted\" 'it' 🚀?", |model| {
            model.description = "two\nlines".to_owned();
            model.tags = r#"{"a \"key\"":"é\\","b":""}"#.to_owned();
            written = Some(model.clone());
        })
        .await;
        assert_eq!(found(&store, "Ünïcode \"quoted\" 'it' 🚀?").await, written);
        assert_eq!(store.list_models(&ALL).await.unwrap(), Vec::from_iter(written));
        assert_eq!(found(&store, "another").await, None);
    }

    async fn a_version_is_kept_as_it_was_written_and_is_the_latest(store: TestStore) {
        add(&store, "m").await;
        store.clock().pass(5);
        let wanted = name("m");
        let decide = |standing: &Standing| {
            let mut version = next_version(standing.model.as_ref().unwrap(), standing);
            version.source = Some("s3://models/m/1".to_owned());
            version.tags = r#"{"stage":"test"}"#.to_owned();
            (Some(Writes { new_versions: vec![version.clone()], ..writes() }), version)
        };
        let version = store.change(About::Model(&wanted), decide).await.unwrap();
        let (model, versions) = store.find_model(&wanted, ALL_VERSIONS).await.unwrap().unwrap();
        assert_eq!(versions, [version]);
        assert_eq!((model.latest_version, model.number), (1, 1));
        assert_eq!((model.created_at, model.updated_at), (START, START.plus(5)));
    }

    async fn names_that_differ_in_a_byte_are_two_models(store: TestStore) {
        for text in ["churn", "Churn", "caf\u{e9}", "cafe\u{301}", "churn 1"] {
            assert!(add(&store, text).await, "{text}");
            assert!(!add(&store, text).await, "{text} once more");
        }
        assert_eq!(store.number("select count(*) from models").await, 5);
    }

    async fn models_are_listed_by_the_bytes_of_their_names_and_in_pages(store: TestStore) {
        let ordered = ["A", "B", "a", "a b", "a-b", "a_b", "b", "é", "模型", "🚀"];
        for text in ordered.iter().rev() {
            add(&store, text).await;
        }
        assert_eq!(names(&store, &ALL).await, ordered);
        let mut paged = Vec::new();
        let mut filter = ModelFilter { limit: 3, ..ALL };
        loop {
            let page = names(&store, &filter).await;
            let Some(last) = page.last().cloned() else { break };
            filter.after = Some(last);
            paged.extend(page);
        }
        assert_eq!(paged, ordered);
    }

    async fn models_are_listed_by_type_and_tag(store: TestStore) {
        for (text, of, tags) in [
            ("a", "lead_scoring", r#"{"team":"growth","stage":"live"}"#),
            ("b", "lead_scoring", r#"{"team":"risk"}"#),
            ("c", "churn", r#"{"team":"growth"}"#),
            ("d", "churn", r#"{"growth":"team","a \"key\"":"é: \\ '"}"#),
        ] {
            add_with(&store, text, |model| {
                model.model_type = kind(of).unwrap();
                model.tags = tags.to_owned();
            })
            .await;
        }
        let after = |text: &str| Some(text.to_owned());
        for (filter, expected) in [
            (ModelFilter { model_type: kind("lead_scoring"), ..ALL }, vec!["a", "b"]),
            (ModelFilter { model_type: kind("lead"), ..ALL }, vec![]),
            (ModelFilter { tag: tag("team:growth"), ..ALL }, vec!["a", "c"]),
            (ModelFilter { tag: tag("team:"), ..ALL }, vec![]),
            (ModelFilter { tag: tag("a \"key\":é: \\ '"), ..ALL }, vec!["d"]),
            (ModelFilter { tag: tag("team:growth"), model_type: kind("churn"), ..ALL }, vec!["c"]),
            (ModelFilter { tag: tag("team:growth"), after: after("a"), ..ALL }, vec!["c"]),
            (ModelFilter { tag: tag("team:growth"), limit: 1, ..ALL }, vec!["a"]),
            (ModelFilter { model_type: kind("churn"), after: after("c"), ..ALL }, vec!["d"]),
        ] {
            assert_eq!(names(&store, &filter).await, expected, "{filter:?}");
        }
    }

    async fn the_largest_names_and_tags_fit_into_every_index(store: TestStore) {
        // PostgreSQL keeps no more than a third of a page in an index, and packs what repeats itself.
        let mixed = |length: usize| -> String {
            (0..length).map(|_| char::from_u32(0x1_0000 + rand::random::<u32>() % 0x8_0000).unwrap()).collect()
        };
        let (text, key, value) = (mixed(100), mixed(MAX_TAG_KEY), mixed(MAX_TAG_VALUE));
        add_with(&store, &text, |model| model.tags = format!("{{\"{key}\":\"{value}\"}}")).await;
        let filter = ModelFilter { tag: Some(Tag { key, value }), ..ALL };
        assert_eq!(names(&store, &filter).await, [text]);
    }

    async fn versions_are_listed_latest_first_and_in_pages(store: TestStore) {
        add(&store, "m").await;
        add(&store, "other").await;
        for expected in 1..=3 {
            assert_eq!(add_version(&store, "m").await, expected);
        }
        assert_eq!(versions(&store, "m", ALL_VERSIONS).await, [3, 2, 1]);
        assert_eq!(versions(&store, "m", VersionFilter { before: Some(3), limit: 1 }).await, [2]);
        assert_eq!(versions(&store, "m", VersionFilter { before: Some(1), limit: 1 }).await, [0_i64; 0]);
        assert_eq!(versions(&store, "other", ALL_VERSIONS).await, [0_i64; 0]);
    }

    async fn versions_made_at_once_are_counted_without_a_gap(store: TestStore) {
        add(&store, "m").await;
        let mut tasks = JoinSet::new();
        for node in store.nodes(4).await {
            for _ in 0..10 {
                let node = node.clone();
                tasks.spawn(async move { add_version(&node, "m").await });
            }
        }
        let mut told = tasks.join_all().await;
        told.sort_unstable();
        assert_eq!(told, (1..=40).collect::<Vec<_>>(), "what each was told");
        let listed = versions(&store, "m", ALL_VERSIONS).await;
        assert_eq!(listed, (1..=40).rev().collect::<Vec<_>>(), "what there is");
        assert_eq!(found(&store, "m").await.unwrap().latest_version, 40);
        assert_eq!(store.number("select count(*) from audit").await, 41);
    }

    async fn a_model_is_shown_with_its_versions_of_one_instant(store: TestStore) {
        add(&store, "m").await;
        let nodes = store.nodes(2).await;
        let writer = nodes[0].clone();
        let writing = tokio::spawn(async move {
            for _ in 0..30 {
                add_version(&writer, "m").await;
            }
        });
        while !writing.is_finished() {
            let (model, versions) = nodes[1].find_model(&name("m"), ALL_VERSIONS).await.unwrap().unwrap();
            assert_eq!(versions.first().map_or(0, |latest| latest.version), model.latest_version);
        }
        writing.await.unwrap();
    }

    async fn of_those_who_want_one_name_at_once_one_gets_it(store: TestStore) {
        let nodes = store.nodes(4).await;
        let mut tasks = JoinSet::new();
        for turn in 0..20 {
            let node: Arc<Store> = nodes[turn % nodes.len()].clone();
            tasks.spawn(async move { add(&node, "wanted").await });
        }
        let told = tasks.join_all().await;
        assert_eq!(told.into_iter().filter(|is_mine| *is_mine).count(), 1);
        assert_eq!(store.number("select count(*) from models").await, 1);
        assert_eq!(store.number("select max(number) from models").await, 1);
    }

    async fn a_change_about_a_model_finds_it_and_how_many_there_are(store: TestStore) {
        let (known, unknown) = (name("a"), name("z"));
        assert_eq!(store.standing(About::Model(&known)).await.models, 0);
        add(&store, "a").await;
        add(&store, "b").await;
        let standing = store.standing(About::Model(&known)).await;
        assert_eq!((standing.model, standing.models), (found(&store, "a").await, 2));
        let standing = store.standing(About::Model(&unknown)).await;
        assert_eq!((standing.model, standing.models), (None, 2));
    }

    async fn a_model_has_its_audit_entry_and_no_revision(store: TestStore) {
        store.add(new_key(1)).await;
        add(&store, "m").await;
        add_version(&store, "m").await;
        assert_eq!(store.number("select count(*) from audit").await, 3);
        assert_eq!(store.head().await, 1, "nobody has to forget anything");
        store.add(new_key(2)).await;
        assert_eq!(store.head().await, 2);
    }

    async fn a_model_that_cannot_be_written_leaves_nothing_behind(store: TestStore) {
        add(&store, "m").await;
        let wanted = name("n");
        let doubled = |standing: &Standing| {
            let model = model("n", standing);
            (Some(Writes { new_models: vec![model.clone(), model], ..writes() }), ())
        };
        store.change(About::Model(&wanted), doubled).await.unwrap_err();
        assert_eq!(names(&store, &ALL).await, ["m"]);
        assert_eq!(store.number("select count(*) from audit").await, 1);
        assert!(add(&store, "n").await);
    }

    async fn the_catalogue_outlives_a_restart(store: TestStore) {
        add(&store, "m").await;
        add_version(&store, "m").await;
        let store = store.reopen().await;
        assert_eq!(found(&store, "m").await.unwrap().latest_version, 1);
        assert_eq!(add_version(&store, "m").await, 2);
    }
}
