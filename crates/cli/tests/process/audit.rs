//! `hokusai audit`: reading the log beside the service, and finding what somebody did to it.

mod export;
mod list;
mod reading;
mod verify;

use crate::program::{Ended, Program};
use crate::site::Site;

/// `hokusai audit` on this site's database.
fn audit(site: &Site, args: &[&str]) -> Program {
    Program::hokusai(site.directory()).args(["audit"]).args(args).env("HOKUSAI_DATABASE", site.database())
}

/// What it prints on standard output.
fn told(site: &Site, args: &[&str]) -> String {
    let ended = audit(site, args).run_apart();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// Leaves a log of seven entries behind: the first token, five keys, and a revocation.
fn seven_entries(site: &Site) {
    let node = site.serve().env("HOKUSAI_AUDIT_KEY_FILE", key_file(site)).start();
    let keys: Vec<_> = (0..5).map(|_| node.create_key(10)).collect();
    node.revoke(&keys[0]);
    assert_eq!(node.stop().status, Some(0));
}

/// The same file on both databases.
fn key_file(site: &Site) -> std::path::PathBuf {
    site.directory().join("hokusai.audit-key")
}

fn verify(site: &Site, args: &[&str]) -> Ended {
    audit(site, &[&["verify"], args].concat()).env("HOKUSAI_AUDIT_KEY_FILE", key_file(site)).run()
}
