//! Colours decorate what people read, and never what programs read.

use super::Desk;

const ESCAPE: char = '\u{1b}';
const GREEN: &str = "\u{1b}[32mactive\u{1b}[0m";

#[test]
fn colors_are_there_when_they_are_asked_for() {
    let desk = Desk::new();
    let key = desk.key("Colourful", &[]);
    let plain = desk.auth(&["list-keys"]).stdout;
    assert!(!plain.contains(ESCAPE), "{plain}");
    let forced = desk.operator.with("CLICOLOR_FORCE", "1");
    let colorless = forced.with("NO_COLOR", "1");
    for (shell, flags, has_colors) in [
        (&desk.operator, &["--color", "always"][..], true),
        (&desk.operator, &["--color", "auto"], false),
        (&forced, &[], true),
        (&forced, &["--color", "never"], false),
        (&colorless, &[], false),
        (&colorless, &["--color", "always"], true),
    ] {
        let told = shell.auth(&[&["list-keys"], flags].concat());
        assert_eq!(told.stdout.contains(GREEN), has_colors, "{flags:?}: {told:?}");
        let without = told.stdout.replace(GREEN, "active");
        assert_eq!(without, plain, "{flags:?}");
        let unknown = shell.auth(&[&["show-key", "00000000"], flags].concat());
        assert_eq!(unknown.stderr.contains("\u{1b}[31merror\u{1b}[0m: "), has_colors, "{unknown:?}");
        assert_eq!(unknown.stderr.contains(ESCAPE), has_colors, "{unknown:?}");
        let shown = shell.auth(&[&["show-key", &key.id], flags].concat());
        assert_eq!(shown.stdout.contains(ESCAPE), has_colors, "{shown:?}");
    }
}

#[test]
fn what_programs_read_has_no_colors() {
    let desk = Desk::new();
    let colors = ["--color", "always"];
    let created = desk.auth(&[&["create-key", "--name", "x"], &colors[..]].concat());
    assert!(created.stderr.contains(ESCAPE), "{created:?}");
    let key = created.secret();
    let id = desk.auth(&["list-keys", "--format", "json"]).json()[0]["key_id"].as_str().unwrap().to_owned();
    for words in [
        &["list-keys", "--format", "json"][..],
        &["show-key", &id, "--format", "json"],
        &["update-key", &id, "--name", "y", "--format", "json"],
        &["validate", "--key", &key, "--format", "json"],
        &["validate", "--key", "hk_live_x", "--format", "json"],
        &["admin-token", "list", "--format", "json"],
        &["usage", &id, "--format", "json"],
        &["billing", &id, "--format", "json"],
        &["alerts", "--format", "json"],
        &["rotate-key", &id, "--format", "json"],
    ] {
        let told = desk.auth(&[words, &colors[..]].concat());
        assert!(!told.stdout.contains(ESCAPE), "{told:?}");
        told.json();
    }
}
