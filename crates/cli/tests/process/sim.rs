//! `hokusai sim`: simulated histories, told in figures.

use tempfile::TempDir;

use crate::program::Program;

fn sim(args: &[&str]) -> (Option<i32>, String) {
    let directory = TempDir::new().unwrap();
    let ended = Program::hokusai(directory.path()).args(["sim"]).args(args).run();
    (ended.status, ended.output)
}

#[test]
fn a_seed_gives_the_same_figures_again() {
    let (status, told) = sim(&["--seed", "1", "--hours", "24"]);
    assert_eq!(status, Some(0), "{told}");
    assert!(told.starts_with("No promise was broken in 24 hours.\n"), "{told}");
    assert!(told.contains("  requests admitted\n"), "{told}");
    assert_eq!(sim(&["--seed", "1", "--hours", "24"]).1, told);
    assert_ne!(sim(&["--seed", "2", "--hours", "24"]).1, told);
}

#[test]
fn a_history_that_is_too_short_to_say_anything_is_refused() {
    let (status, told) = sim(&["--hours", "3"]);
    assert_eq!(status, Some(2));
    assert!(told.contains("3 is not in 4..=8760"), "{told}");
}
