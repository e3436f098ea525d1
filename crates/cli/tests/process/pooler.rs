//! PgBouncer between the service and PostgreSQL.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use crate::clock::eventually;
use crate::databases;
use crate::program::{Process, Program};
use crate::site::Site;

#[test]
fn a_pooler_in_transaction_mode_is_refused() {
    let site = Site::on_postgres();
    let pooler = Pooler::start("transaction");
    let ended = site.serve().env("HOKUSAI_DATABASE", pooler.url(&site)).run();
    assert_eq!(ended.status, Some(1), "{ended:?}");
    assert!(ended.output.contains("behind a pooler in transaction mode"), "{ended:?}");
    assert!(ended.output.contains("hint: connect to PostgreSQL itself, or set pool_mode = session"));
}

#[test]
fn a_pooler_in_session_mode_works() {
    let site = Site::on_postgres();
    let pooler = Pooler::start("session");
    let node = site.serve().env("HOKUSAI_DATABASE", pooler.url(&site)).start();
    let key = node.create_key(1000);
    for _ in 0..20 {
        node.validate(&key).expect(200);
    }
    node.revoke(&key);
    assert_eq!(node.validate(&key).status, 401);
}

/// A PgBouncer whose settings are the usual ones but for where it listens and leads.
struct Pooler {
    process: Process,
    _directory: TempDir,
}

impl Pooler {
    fn start(pool_mode: &str) -> Self {
        let directory = TempDir::new().unwrap();
        // It gives up being root, and has to read its settings all the same.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (server, address) = (databases::server(), free_address());
        let settings = format!(
            "[databases]\n* = host={} port={} user={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {pool_mode}\n",
            server.get_host(),
            server.get_port(),
            server.get_username(),
            address.ip(),
            address.port(),
        );
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, settings).unwrap();
        let process = Self::program(&directory)
            .args([&file])
            .start_when(|output| output.contains("process up").then_some(address));
        let answers = || TcpStream::connect(address).is_ok().then_some(());
        eventually(Duration::from_secs(10), "PgBouncer", answers);
        Self { process, _directory: directory }
    }

    /// It refuses to be root.
    fn program(directory: &TempDir) -> Program {
        // Debian keeps it where only root looks.
        let path = format!("{}:/usr/sbin", std::env::var_os("PATH").unwrap().to_string_lossy());
        if rustix::process::geteuid().is_root() {
            let program = Program::other("setpriv", directory.path()).env("PATH", path);
            program.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "pgbouncer"])
        } else {
            Program::other("pgbouncer", directory.path()).env("PATH", path)
        }
    }

    fn url(&self, site: &Site) -> String {
        let server = databases::server();
        let direct = format!("{}:{}", server.get_host(), server.get_port());
        site.database().replace(&direct, &self.process.address.to_string())
    }
}

/// An address that nobody listens on just now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
