//! The client's configuration: what `hokusai auth config` writes, reads, shows and refuses.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use insta::assert_snapshot;
use serde_json::json;
use tempfile::TempDir;

use crate::program::{Process, Program};
use crate::site::{Site, text_of};
use crate::terminal::Terminal;

/// A home directory.
struct Home(TempDir);

impl Home {
    fn empty() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// With this text in `~/.hokusai/config`.
    fn with(text: impl AsRef<[u8]>) -> Self {
        let home = Self::empty();
        fs::create_dir(home.file().parent().unwrap()).unwrap();
        set_mode(home.file().parent().unwrap(), 0o700);
        fs::write(home.file(), text).unwrap();
        set_mode(&home.file(), 0o600);
        home
    }

    fn file(&self) -> PathBuf {
        self.0.path().join(".hokusai/config")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.file()).unwrap()
    }

    /// `hokusai auth config` and these words.
    fn config(&self, words: &[&str]) -> Program {
        let program = Program::hokusai(self.0.path()).env("HOME", self.0.path());
        program.args(["auth", "config"]).args(words)
    }

    /// What it says and how it ends.
    fn told(&self, words: &[&str]) -> String {
        told(self.config(words))
    }
}

/// Standard error, then standard output with a mark before each line, then the exit status.
fn told(program: Program) -> String {
    let ended = program.run_apart();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let data: String = text(&ended.stdout).lines().map(|line| format!("> {line}\n")).collect();
    format!("{}{data}exit {}", text(&ended.stderr), ended.status.code().unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A token that the service accepts.
fn token(node: &Process) -> String {
    let wish = json!({"user_id": "me", "name": "mine", "role": "member"});
    text_of(&node.as_operator("POST", "/api/v1/admin-tokens", &wish).expect(201)["token"])
}

#[test]
fn without_a_file_there_are_defaults() {
    assert_snapshot!(Home::empty().told(&["show"]), @"
    > profile           default  (default)
    > auth_service_url  https://auth.hokus.ai  (default)
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       none
    > api_key           none
    exit 0
    ");
}

#[test]
fn the_documented_file_is_read_as_it_stands() {
    let home = Home::with(
        "[default]\napi_key = hk_live_your_api_key_here\nadmin_token = your_admin_token_here\n\
         auth_service_url = https://auth.hokus.ai\n",
    );
    assert_snapshot!(home.told(&["show"]), @"
    > profile           default  (default)
    > auth_service_url  https://auth.hokus.ai  (~/.hokusai/config [default])
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       your…  (~/.hokusai/config [default])
    > api_key           hk_live_your…  (~/.hokusai/config [default])
    exit 0
    ");
    assert_snapshot!(home.told(&["show", "--format", "json"]), @r#"
    > {
    >   "profile": {
    >     "value": "default",
    >     "source": "default"
    >   },
    >   "auth_service_url": {
    >     "value": "https://auth.hokus.ai",
    >     "source": "~/.hokusai/config [default]"
    >   },
    >   "api_endpoint": {
    >     "value": "https://api.hokus.ai",
    >     "source": "default"
    >   },
    >   "admin_token": {
    >     "value": "your…",
    >     "source": "~/.hokusai/config [default]"
    >   },
    >   "api_key": {
    >     "value": "hk_live_your…",
    >     "source": "~/.hokusai/config [default]"
    >   }
    > }
    exit 0
    "#);
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file_before_the_default() {
    let home = Home::with(
        "[default]\nadmin_token = hka_of_the_file_and_long_enough\n[prod]\napi_key = hk_live_of_the_file_and_long\n",
    );
    let program = home
        .config(&["show", "--auth-service-url", "http://127.0.0.1:4658"])
        .env("HOKUSAI_PROFILE", "prod")
        .env("HOKUSAI_AUTH_SERVICE_URL", "https://variable.example.com")
        .env("HOKUSAI_API_ENDPOINT", "https://api.example.com")
        .env("HOKUSAI_ADMIN_TOKEN", "");
    assert_snapshot!(told(program), @"
    > profile           prod  (HOKUSAI_PROFILE)
    > auth_service_url  http://127.0.0.1:4658  (--auth-service-url)
    > api_endpoint      https://api.example.com  (HOKUSAI_API_ENDPOINT)
    > admin_token       none
    > api_key           hk_live_of_t…  (~/.hokusai/config [prod])
    exit 0
    ");
}

#[test]
fn a_variable_can_name_the_file() {
    let home = Home::empty();
    let file = home.0.path().join("elsewhere");
    let elsewhere = |words: &[&str]| home.config(words).env("HOKUSAI_CLIENT_CONFIG", &file);
    assert_eq!(told(elsewhere(&["path"])), format!("> {}\nexit 0", file.display()));
    assert_eq!(told(elsewhere(&["use", "default"])), "default is the current profile now.\nexit 0");
    assert_eq!(fs::read_to_string(&file).unwrap(), "profile = default\n");
    assert_eq!(home.told(&["path"]), format!("> {}\nexit 0", home.file().display()));
}

#[test]
fn what_is_wrong_with_the_file_is_said_with_the_way_out() {
    let show = |text: &[u8]| Home::with(text).told(&["show"]);
    assert_snapshot!(show(b"[default]\napi_key = x\n\nhk_live_secret\n"), @"
    error: can't use ~/.hokusai/config: line 4: this line can't be read
    hint: a line is [profile], name = value, or a comment that begins with # or ;
    exit 2
    ");
    assert_snapshot!(show(b"[default]\n[prod]\n[default]\n"), @"
    error: can't use ~/.hokusai/config: line 3: [default] stands here again, after line 1
    hint: put all settings of a profile below one heading
    exit 2
    ");
    assert_snapshot!(show(b"[default]\napi_key = x\napi_key = y\n"), @"
    error: can't use ~/.hokusai/config: line 3: api_key is set again, after line 2
    hint: keep one of the two lines
    exit 2
    ");
    assert_snapshot!(show(b"[default]\napi_key = \xff\n"), @"
    error: can't use ~/.hokusai/config: it is not UTF-8
    hint: save it as UTF-8, or move it away and run `hokusai auth config init`
    exit 2
    ");
    assert_snapshot!(show(&b"# long\n".repeat(10_000)), @"
    error: can't use ~/.hokusai/config: it is larger than 64 KiB
    hint: a profile takes four lines; is it the right file?
    exit 2
    ");
    assert_snapshot!(show(b"[default]\nauth_service_url = auth.hokus.ai\n"), @"
    error: ~/.hokusai/config [default]: the service's URL needs a scheme: https://auth.hokus.ai
    hint: write it like https://auth.hokus.ai or http://127.0.0.1:4658
    exit 2
    ");
    let home = Home::empty();
    fs::create_dir_all(home.file()).unwrap();
    assert_snapshot!(home.told(&["show"]), @"
    error: can't use ~/.hokusai/config: it is a directory
    hint: move it away, or name another file by HOKUSAI_CLIENT_CONFIG
    exit 2
    ");
    let homeless = home.config(&["init"]).env("HOME", "");
    assert_snapshot!(told(homeless), @"
    error: there is no home directory to keep a configuration in
    hint: set HOME, or name the file: export HOKUSAI_CLIENT_CONFIG=PATH
    exit 2
    ");
}

#[test]
fn a_setting_that_nobody_reads_draws_a_warning() {
    let home = Home::with("admin_token = hka_above\n[default]\nadmin_tokn = hka_mistyped\n");
    assert_snapshot!(home.told(&["show"]), @"
    warning: ~/.hokusai/config line 1: admin_token belongs to no profile
    hint: put [default] on a line above it
    warning: ~/.hokusai/config line 3: unknown setting admin_tokn
    hint: did you mean admin_token?
    > profile           default  (default)
    > auth_service_url  https://auth.hokus.ai  (default)
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       none
    > api_key           none
    exit 0
    ");
}

#[test]
fn a_file_that_others_can_read_draws_a_warning_and_is_used() {
    let home = Home::with("[default]\nadmin_token = a token of the file\n");
    set_mode(&home.file(), 0o644);
    assert_snapshot!(home.told(&["show"]), @"
    warning: others than you can read the secrets in ~/.hokusai/config
    hint: chmod 600 ~/.hokusai/config
    > profile           default  (default)
    > auth_service_url  https://auth.hokus.ai  (default)
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       a to…  (~/.hokusai/config [default])
    > api_key           none
    exit 0
    ");
    set_mode(&home.file(), 0o600);
    set_mode(home.file().parent().unwrap(), 0o777);
    assert_snapshot!(home.told(&["show"]), @"
    warning: others than you can replace files in ~/.hokusai
    hint: chmod 700 ~/.hokusai
    > profile           default  (default)
    > auth_service_url  https://auth.hokus.ai  (default)
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       a to…  (~/.hokusai/config [default])
    > api_key           none
    exit 0
    ");
    set_mode(home.file().parent().unwrap(), 0o755);
    assert!(!home.told(&["show"]).contains("warning"));
}

#[test]
fn a_profile_that_is_not_there_is_refused_with_the_nearest() {
    let home = Home::with("[default]\n[staging]\n");
    assert_snapshot!(home.told(&["show", "--profile", "stagin"]), @"
    error: there is no profile stagin in ~/.hokusai/config; --profile asks for it
    hint: did you mean staging? There are: default, staging
    exit 2
    ");
    assert_snapshot!(home.told(&["use", "production"]), @"
    error: there is no profile production in ~/.hokusai/config
    hint: there are: default, staging
    exit 2
    ");
    assert_snapshot!(Home::empty().told(&["show", "--profile", "prod"]), @"
    error: there is no profile prod in ~/.hokusai/config; --profile asks for it
    hint: make it: hokusai auth config init --profile prod
    exit 2
    ");
    assert_eq!(home.text(), "[default]\n[staging]\n");
}

#[test]
fn the_current_profile_is_used_until_another_is_made_current() {
    let home = Home::with("# Mine.\n[default]\n\n[prod] \nadmin_token = a token of prod\n");
    assert_snapshot!(home.told(&["use", "prod"]), @"
    prod is the current profile now.
    exit 0
    ");
    assert_snapshot!(home.text(), @"
    profile = prod

    # Mine.
    [default]

    [prod] 
    admin_token = a token of prod
    ");
    assert_snapshot!(home.told(&["show"]), @"
    > profile           prod  (~/.hokusai/config)
    > auth_service_url  https://auth.hokus.ai  (default)
    > api_endpoint      https://api.hokus.ai  (default)
    > admin_token       …  (~/.hokusai/config [prod])
    > api_key           none
    exit 0
    ");
    home.told(&["use", "default"]);
    assert_eq!(
        home.text(),
        "profile = default\n\n# Mine.\n[default]\n\n[prod] \nadmin_token = a token of prod\n"
    );
}

#[test]
fn without_a_terminal_init_takes_flags_and_variables() {
    let (site, home) = (Site::on_sqlite(), Home::empty());
    let node = site.start();
    let url = format!("http://{}", node.address);
    let token = token(&node);
    let init = home.config(&["init", "--auth-service-url", &url]).env("HOKUSAI_ADMIN_TOKEN", &token);
    assert_eq!(
        told(init),
        format!("{url} accepts the token.\nSaved profile default in ~/.hokusai/config.\nexit 0")
    );
    assert_eq!(home.text(), format!("[default]\nauth_service_url = {url}\nadmin_token = {token}\n"));
    assert_eq!((mode(&home.file()), mode(home.file().parent().unwrap())), (0o600, 0o700));
    let left: Vec<_> = fs::read_dir(home.file().parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn init_changes_one_profile_and_leaves_the_rest_as_it_is() {
    let before = "# Mine.\n[default]\n; Old.\nadmin_token = old\n\n[prod]\nunknown = kept\n";
    let (site, home) = (Site::on_sqlite(), Home::with(before));
    let node = site.start();
    let url = format!("http://{}", node.address);
    let init = |words: &[&str]| {
        let words = [&["init", "--auth-service-url", &url], words].concat();
        home.config(&words).env("HOKUSAI_ADMIN_TOKEN", token(&node)).env("HOKUSAI_API_KEY", "hk_dev_new")
    };
    assert_snapshot!(told(init(&[])), @"
    error: profile default is in ~/.hokusai/config already
    hint: add --yes to replace what it says
    exit 2
    ");
    assert_eq!(home.text(), before);
    let elsewhere = home.0.path().join("linked");
    fs::rename(home.file(), &elsewhere).unwrap();
    symlink(&elsewhere, home.file()).unwrap();
    set_mode(&elsewhere, 0o644);
    assert_eq!(init(&["--yes"]).run().status, Some(0));
    let text = home.text();
    let without_token: Vec<&str> = text.lines().map(|line| line.split("hka_").next().unwrap()).collect();
    assert_snapshot!(without_token.join("\n").replace(&url, "URL"), @"
    # Mine.
    [default]
    ; Old.
    admin_token = 
    auth_service_url = URL
    api_key = hk_dev_new

    [prod]
    unknown = kept
    ");
    assert!(fs::symlink_metadata(home.file()).unwrap().is_symlink());
    assert_eq!(mode(&home.file()), 0o600);
}

#[test]
fn without_a_terminal_init_says_what_it_misses() {
    assert_snapshot!(Home::empty().told(&["init"]), @"
    error: there is no admin token to save, and nobody to ask for one
    hint: export HOKUSAI_ADMIN_TOKEN=…, or run this on a terminal
    exit 2
    ");
    assert_snapshot!(Home::empty().told(&["init", "--profile", "two words"]), @r#"
    error: --profile: a profile can't have the name "two words"
    hint: use letters, digits, . _ and -, 64 at the most
    exit 2
    "#);
    let home = Home::empty();
    let url =
        told(home.config(&["init", "--auth-service-url", "localhost:1"]).env("HOKUSAI_ADMIN_TOKEN", "x"));
    assert_snapshot!(url, @"
    error: --auth-service-url: the service's URL needs a scheme: https://localhost:1
    hint: give the service's URL with --auth-service-url
    exit 2
    ");
}

#[test]
fn a_token_that_does_not_work_is_saved_only_if_somebody_says_so() {
    let (site, home) = (Site::on_sqlite(), Home::empty());
    let node = site.start();
    let url = format!("http://{}", node.address);
    let init = |url: &str, words: &[&str]| {
        let words = [&["init", "--auth-service-url", url], words].concat();
        let told = told(home.config(&words).env("HOKUSAI_ADMIN_TOKEN", "a-token-of-another-service"));
        let lines = told.lines().filter(|line| !line.starts_with("request id: "));
        lines.collect::<Vec<_>>().join("\n").replace(url, "URL")
    };
    assert_snapshot!(init(&url, &[]), @"
    error: The admin token is unknown, expired or revoked
    hint: check HOKUSAI_ADMIN_TOKEN, or run `hokusai auth config init`; `hokusai auth config show` says where the token comes from
    exit 4
    ");
    assert_snapshot!(init("http://127.0.0.1:1", &[]), @"
    error: URL can't be reached: Connection refused (os error 111)
    hint: check --auth-service-url or HOKUSAI_AUTH_SERVICE_URL, and that the service runs; `hokusai dev` starts one to try on this machine
    exit 3
    ");
    assert_snapshot!(init("http://auth.example.com", &[]), @"
    error: URL is plain http, which anybody in between can read; use https
    hint: --allow-plain-http sends tokens all the same, as inside a network of your own
    exit 2
    ");
    assert!(!home.file().exists());
    assert_snapshot!(init(&url, &["--yes"]), @"
    warning: the token was not accepted: The admin token is unknown, expired or revoked
    Saved profile default in ~/.hokusai/config.
    exit 0
    ");
    assert!(home.text().contains("a-token-of-another-service"));
}

#[test]
fn on_a_terminal_init_asks_and_shows_no_secret() {
    let (site, home) = (Site::on_sqlite(), Home::empty());
    let node = site.start();
    let url = format!("http://{}", node.address);
    let token = token(&node);
    let mut terminal = Terminal::hokusai(home.0.path(), &["auth", "config", "init", "--profile", "prod"]);
    terminal.waits_at("Service URL [https://auth.hokus.ai]: ");
    terminal.types("localhost");
    terminal.says("needs a scheme");
    terminal.waits_at("Service URL [https://auth.hokus.ai]: ");
    terminal.types(&url);
    terminal.waits_at("Admin token: ");
    terminal.types_hidden(&token);
    terminal.waits_at("API key, if you have one: ");
    terminal.types_hidden("");
    let (status, seen) = terminal.ended();
    assert_eq!(status, Some(0), "{seen}");
    assert_snapshot!(seen.replace(&url, "URL"), @"
    Profile prod in ~/.hokusai/config.
    Service URL [https://auth.hokus.ai]: localhost
    the service's URL needs a scheme: https://localhost
    Service URL [https://auth.hokus.ai]: URL
    Admin token: 
    API key, if you have one: 
    URL accepts the token.
    Saved profile prod in ~/.hokusai/config.
    `hokusai auth config use prod` makes it the current one.
    ");
    assert_eq!(home.text(), format!("[prod]\nauth_service_url = {url}\nadmin_token = {token}\n"));
}

#[test]
fn an_empty_answer_keeps_what_the_profile_says() {
    let site = Site::on_sqlite();
    let node = site.start();
    let before =
        format!("[default]\nauth_service_url = http://{}\nadmin_token = {}\n", node.address, token(&node));
    let home = Home::with(&before);
    let mut terminal = Terminal::hokusai(home.0.path(), &["auth", "config", "init"]);
    terminal.waits_at("Service URL [http://127.0.0.1:");
    terminal.types("");
    terminal.waits_at("Admin token [hka_");
    terminal.types_hidden("");
    terminal.waits_at("API key, if you have one: ");
    terminal.types_hidden("hk_dev_typed");
    let (status, seen) = terminal.ended();
    assert_eq!(status, Some(0), "{seen}");
    assert_eq!(home.text(), format!("{before}api_key = hk_dev_typed\n"));
}

#[test]
fn a_refused_token_is_not_saved_unless_the_answer_is_yes() {
    let (site, home) = (Site::on_sqlite(), Home::empty());
    let node = site.start();
    let url = format!("http://{}", node.address);
    let answered = |answer: &str| {
        let mut terminal =
            Terminal::hokusai(home.0.path(), &["auth", "config", "init", "--auth-service-url", &url]);
        terminal.waits_at("Service URL ");
        terminal.types("");
        terminal.waits_at("Admin token: ");
        terminal.types_hidden("a-token-of-another-service");
        terminal.waits_at("API key, if you have one: ");
        terminal.types_hidden("");
        terminal.waits_at("Save it all the same? [y/N] ");
        terminal.types(answer);
        terminal.ended()
    };
    let (status, seen) = answered("");
    assert_eq!((status, home.file().exists()), (Some(1), false), "{seen}");
    let (status, seen) = answered("y");
    assert_eq!((status, home.file().exists()), (Some(0), true), "{seen}");
}

#[test]
fn an_interrupted_question_leaves_the_file_and_the_terminal_as_they_were() {
    let before = "[default]\nadmin_token = a token of the file\n";
    let home = Home::with(before);
    let mut terminal = Terminal::hokusai(home.0.path(), &["auth", "config", "init"]);
    terminal.waits_at("Service URL ");
    terminal.types("http://127.0.0.1:1");
    terminal.waits_at("Admin token [a to… from ~/.hokusai/config [default]]: ");
    terminal.interrupts();
    let (status, seen) = terminal.ended();
    assert_eq!(status, Some(1));
    assert_snapshot!(seen, @"
    Profile default in ~/.hokusai/config; Enter keeps what it says.
    Service URL [https://auth.hokus.ai]: http://127.0.0.1:1
    Admin token [a to… from ~/.hokusai/config [default]]: 
    error: stopped; nothing was changed
    ");
    assert_eq!(home.text(), before);
}
