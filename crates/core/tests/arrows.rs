//! The arrows between the crates, as ARCHITECTURE.md draws them. A new arrow needs a reason there first.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ALLOWED: [(&str, &[&str]); 12] = [
    ("api", &[]),
    ("core", &[]),
    ("store", &["core"]),
    ("engine", &["core", "store"]),
    ("http", &["core"]),
    ("server", &["api", "core", "engine", "http", "store"]),
    ("gateway", &["client", "http"]),
    ("cli", &["api", "client", "core", "engine", "gateway", "http", "server", "sim", "store"]),
    ("client", &["api", "core"]),
    ("python", &["client"]),
    ("sim", &["core"]),
    ("bench", &["core", "engine", "store"]),
];

fn manifest(crate_name: &str) -> toml::Table {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder =
        if crate_name == "bench" { root.join("bench") } else { root.join("crates").join(crate_name) };
    toml::from_str(&fs::read_to_string(folder.join("Cargo.toml")).unwrap()).unwrap()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    for (name, allowed) in ALLOWED {
        let manifest = manifest(name);
        let dependencies = manifest["dependencies"].as_table().unwrap();
        let siblings: BTreeSet<&str> =
            dependencies.keys().filter_map(|d| d.strip_prefix("hokusai-")).collect();
        let unwanted: Vec<_> = siblings.iter().filter(|sibling| !allowed.contains(sibling)).collect();
        assert!(unwanted.is_empty(), "{name} depends on {unwanted:?}");
    }
}

#[test]
fn every_crate_has_its_arrows_written_down() {
    let crates = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).unwrap();
    for entry in crates {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(ALLOWED.iter().any(|(known, _)| *known == name), "{name} is not listed here");
    }
}

#[test]
fn only_the_store_speaks_sql_and_only_rules_are_pure() {
    // Measurements set the store beside a loop of bare statements.
    for (name, _) in ALLOWED.iter().filter(|(name, _)| !["store", "bench"].contains(name)) {
        assert!(
            !manifest(name)["dependencies"].as_table().unwrap().contains_key("sqlx"),
            "{name} names sqlx"
        );
    }
    let rules = manifest("core");
    let rules = rules["dependencies"].as_table().unwrap();
    for impure in ["tokio", "serde", "tracing"] {
        assert!(!rules.contains_key(impure), "core names {impure}");
    }
    // Without its features it knows the calendar, and no clock.
    let calendar = rules["jiff"].as_table().unwrap();
    assert!(calendar["default-features"].as_bool() == Some(false) && !calendar.contains_key("features"));
}

/// Everywhere else the compiler forbids it; PyO3's macros write some.
#[test]
fn nobody_writes_unsafe_code_by_hand_in_the_python_module() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../python/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("unsafe"), "{} has unsafe code", path.display());
            }
        }
    }
    assert!(files > 10, "the sources are somewhere else");
}
