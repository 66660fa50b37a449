//! The command line as a script sees it: exit codes, and what stands where.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONFIG: &str = r#"
[cluster]
name = "prod-a"
api_port = 6443

[[node]]
name = "m1"
role = "master"
addresses = ["10.0.0.11"]

[[node]]
name = "w1"
role = "worker"
addresses = ["10.0.0.21"]

[[virtual_router]]
name = "apiserver"
vrid = 51
interface = "eno1"
addresses = ["10.0.0.10"]
advert_interval = "100ms"
"#;

/// A directory of its own for each test, gone with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mainstay-cli-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn mainstay(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(arguments).env_remove("MAINSTAY_LOG").output().unwrap()
}

fn check(file: &Path, node: &str) -> Output {
    mainstay(&["check", "--config", file.to_str().unwrap(), "--node", node])
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) {
    let Output { status, stdout, stderr } = output;
    let (stdout, stderr) = (String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    assert_eq!(status.code(), Some(code), "stdout: {stdout}\nstderr: {stderr}");
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn usage_errors_exit_2() {
    for arguments in [&[][..], &["nonsense"], &["status", "--no-such-option"], &["vip"]] {
        assert_exit(&mainstay(arguments), 2);
    }
    assert_exit(&mainstay(&["run", "--log", "a=b=c"]), 2);
}

#[test]
fn each_command_has_help_with_an_example() {
    for command in ["run", "check", "status", "events", "explain", "reload", "completions"] {
        let output = mainstay(&[command, "--help"]);
        assert_exit(&output, 0);
        assert!(stdout(&output).contains("Examples:"), "{command}");
    }
    for command in [["vip", "fence"], ["etcd", "adopt"], ["etcd", "remove"], ["etcd", "restore"]] {
        let output = mainstay(&[command[0], command[1], "--help"]);
        assert!(stdout(&output).contains("Examples:"), "{command:?}");
    }
    assert!(stdout(&mainstay(&["run", "--help"])).contains("SIGUSR1"));
}

#[test]
fn without_a_daemon_the_exit_code_is_4_and_the_text_says_how_to_start_it() {
    let scratch = Scratch::new("not-running");
    let directory = scratch.0.to_str().unwrap();
    for command in ["status", "events", "explain", "reload"] {
        let output = mainstay(&[command, "--runtime-dir", directory]);
        assert_exit(&output, 4);
        assert!(stderr(&output).contains("not running"), "{}", stderr(&output));
        assert!(stderr(&output).contains("systemctl start mainstay"));
    }
}

#[test]
fn check_shows_what_a_master_would_do() {
    let scratch = Scratch::new("master");
    let file = scratch.file("mainstay.toml", CONFIG);
    let output = check(&file, "m1");
    assert_exit(&output, 0);
    let text = stdout(&output);
    for expected in
        ["cluster prod-a: 1 master, 1 worker", "VRID 51 on eno1, 10.0.0.10", "priority 254, 126"]
    {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
}

#[test]
fn check_shows_ipv6_unicast_virtual_mac_addresses_and_the_owner() {
    let scratch = Scratch::new("shapes");
    let second = "[[node]]\nname = \"m2\"\nrole = \"master\"\naddresses = [\"10.0.0.12\"]\n\n\
                  [[virtual_router]]";
    let config = CONFIG.replacen("[[virtual_router]]", second, 1).replace(
        "advert_interval = \"100ms\"",
        "transport = \"unicast\"\nvirtual_mac = true\n\n\
         [[virtual_router]]\nname = \"v6\"\nvrid = 51\ninterface = \"eno1\"\n\
         addresses = [\"fe80::a\", \"fd00::a\"]\n\n\
         [[virtual_router]]\nname = \"own\"\nvrid = 52\ninterface = \"eno1\"\n\
         addresses = [\"10.0.0.11\"]\npriority = { m1 = 255 }",
    );
    let output = check(&scratch.file("mainstay.toml", &config), "m1");
    assert_exit(&output, 0);
    let text = stdout(&output);
    for expected in [
        "unicast from 10.0.0.11 to 10.0.0.12\n",
        "on a macvlan above eno1, at 00:00:5e:00:01:33\n",
        "v6: VRID 51 on eno1, fe80::a, fd00::a\n",
        "priority 255, as the owner of the addresses",
    ] {
        assert!(text.contains(expected), "`{expected}` is missing in:\n{text}");
    }
}

#[test]
fn check_says_that_a_worker_has_no_virtual_routers() {
    let scratch = Scratch::new("worker");
    let output = check(&scratch.file("mainstay.toml", CONFIG), "w1");
    assert_exit(&output, 0);
    assert!(stdout(&output).contains("no virtual routers"));
}

#[test]
fn a_wrong_configuration_exits_2_with_its_place() {
    let scratch = Scratch::new("wrong");
    let file = scratch.file("mainstay.toml", &CONFIG.replace("vrid = 51", "vrid = 256"));
    let output = check(&file, "m1");
    assert_exit(&output, 2);
    let place = format!("{}:18:8", file.display());
    assert!(stderr(&output).contains(&place), "{}", stderr(&output));
    let run = mainstay(&["run", "--config", file.to_str().unwrap(), "--node", "m1"]);
    assert_exit(&run, 2);
}

#[test]
fn an_unknown_node_or_a_missing_file_exits_2() {
    let scratch = Scratch::new("unknown");
    let file = scratch.file("mainstay.toml", CONFIG);
    let output = check(&file, "m9");
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("m1, w1"), "{}", stderr(&output));
    assert_exit(&check(&file, "Not A Node"), 2);
    assert_exit(&check(&scratch.0.join("missing.toml"), "m1"), 2);
}

#[test]
fn a_runtime_directory_too_long_for_a_socket_exits_2() {
    let long = format!("/tmp/{}", "x".repeat(120));
    assert_exit(&mainstay(&["status", "--runtime-dir", &long]), 2);
}

#[test]
fn a_fence_without_addresses_on_record_has_nothing_to_do() {
    let scratch = Scratch::new("fence");
    let directory = scratch.0.to_str().unwrap();
    for arguments in [&["vip", "fence"][..], &["vip", "fence", "--if-dead"]] {
        let output = mainstay(&[arguments, &["--runtime-dir", directory]].concat());
        assert_exit(&output, 0);
        assert!(stdout(&output).contains("nothing to do"));
    }
}

#[test]
fn a_fence_with_a_damaged_record_and_no_configuration_fails_and_keeps_the_record() {
    let scratch = Scratch::new("damaged");
    let record = scratch.file("vips.json", "{");
    let missing = scratch.0.join("missing.toml");
    let directory = scratch.0.to_str().unwrap();
    let config = missing.to_str().unwrap();
    let fence = ["vip", "fence", "--runtime-dir", directory, "--config", config, "--node", "m1"];
    let output = mainstay(&fence);
    assert_exit(&output, 1);
    assert!(stderr(&output).contains("ip address del"), "{}", stderr(&output));
    assert!(record.exists());
}

#[test]
fn a_fence_clears_up_after_virtual_mac_addresses_too() {
    let scratch = Scratch::new("host");
    // Of an interface that is gone, there is nothing left but the record.
    let record = scratch.file("host.json", r#"{"macvlans": ["ms4.255.9999999"]}"#);
    let directory = scratch.0.to_str().unwrap();
    let output = mainstay(&["vip", "fence", "--if-dead", "--runtime-dir", directory]);
    assert_exit(&output, 0);
    assert!(!record.exists());
}

#[test]
fn a_runtime_directory_that_others_may_change_exits_2() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = Scratch::new("open");
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o777)).unwrap();
    let directory = scratch.0.to_str().unwrap();
    let output = mainstay(&["vip", "fence", "--runtime-dir", directory]);
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("chmod go-w"), "{}", stderr(&output));
}

#[test]
fn the_vrrp_process_is_not_for_people() {
    let output = mainstay(&["vrrp"]);
    assert_exit(&output, 2);
    assert!(stderr(&output).contains("mainstay run"));
    assert!(!stdout(&mainstay(&["--help"])).contains("vrrp "));
}

#[test]
fn completions_come_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = mainstay(&["completions", shell]);
        assert_exit(&output, 0);
        assert!(stdout(&output).contains("mainstay"), "{shell}");
    }
}

#[test]
fn no_colours_where_there_is_no_terminal() {
    let output = mainstay(&["status", "--runtime-dir", "/nonexistent"]);
    assert!(!stderr(&output).contains('\x1b'));
}
