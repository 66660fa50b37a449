//! exec, process and interface.

use tokio::time::timeout;

use super::*;
use crate::health::sample::Outcome;

/// What a probe of a shell script finds; the file has to be of all users.
async fn script(text: &str, keys: &str) -> Sample {
    let directory = Directory::new();
    probe(&exec(&directory, text, keys)).await
}

/// The keys of a check that runs a script.
fn exec(directory: &Directory, text: &str, keys: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.write("script", &format!("#!/bin/sh\n{text}\n"));
    for path in [directory.path(), &path] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("exec = [{path:?}, \"one\", \"two words\"]\ntimeout = \"5s\"\n{keys}")
}

fn assert_sample(sample: &Sample, outcome: Outcome, words: &str) {
    assert!(sample.outcome == outcome && sample.words == words, "{sample:?}");
}

#[tokio::test]
async fn a_program_says_by_its_exit_code_how_it_is() {
    assert_sample(&script("exit 0", "").await, Outcome::Pass, "exit code 0");
    let sample = script("echo first; echo last >&2; echo; exit 3", "").await;
    assert_sample(&sample, Outcome::Fail, "exit code 3: last");
    assert_sample(&script("kill -9 $$", "").await, Outcome::Fail, "ended by signal 9");
    let sample = probe("exec = [\"/no/such/program\"]").await;
    assert_sample(
        &sample,
        Outcome::Fail,
        "/no/such/program cannot be run: No such file or directory (os error 2)",
    );
}

#[tokio::test]
async fn a_program_gets_its_arguments_and_an_environment_without_ours() {
    let text = "echo \"$2 $MAINSTAY_CHECK $PATH $X $HOME:$CARGO_PKG_NAME:$PWD\"";
    let sample = script(text, "env = { X = \"a b\" }").await;
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_sample(&sample, Outcome::Pass, &format!("exit code 0: two words c {path} a b ::/"));
}

#[tokio::test]
async fn a_program_runs_as_nobody_unless_it_is_said() {
    let sample = script("echo $(id -un) $(id -G)", "").await;
    let groups = script("id -G", "user = \"root\"").await;
    if nix::unistd::geteuid().is_root() {
        assert_sample(&sample, Outcome::Pass, "exit code 0: nobody 65534");
        assert_sample(&groups, Outcome::Pass, "exit code 0: 0");
    }
    let sample = script("exit 0", "user = \"no-such-user\"").await;
    assert!(sample.words.contains("there is no user no-such-user"), "{sample:?}");
}

#[tokio::test]
async fn a_program_that_writes_without_an_end_is_bounded() {
    let directory = Directory::new();
    let keys = exec(&directory, "yes a line", "").replace("\"5s\"", "\"300ms\"");
    let sample = probe(&keys).await;
    assert_eq!(sample.outcome, Outcome::Timeout, "{sample:?}");
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_is_not_waited_for() {
    // It holds on to the output.
    let sample = script("sleep 3 & echo done", "").await;
    assert_sample(&sample, Outcome::Pass, "exit code 0: done");
    assert!(sample.latency.total_us < 3_000_000, "{sample:?}");
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_all_that_it_started() {
    let directory = Directory::new();
    let text = "sleep 1000 & echo $! > /tmp/$MARK.1; echo $$ > /tmp/$MARK.2; wait";
    let mark = directory.path().file_name().unwrap().to_str().unwrap().to_owned();
    let keys = exec(&directory, text, &format!("env = {{ MARK = \"{mark}\" }}"));
    let mut prober = prober(&keys);
    let sample = prober.probe(Duration::from_millis(500)).await;
    assert_sample(
        &sample,
        Outcome::Timeout,
        "no answer within 500ms: the program did not end and was killed",
    );
    for number in [1, 2] {
        let file = format!("/tmp/{mark}.{number}");
        let pid = std::fs::read_to_string(&file).unwrap();
        let status = PathBuf::from(format!("/proc/{}/status", pid.trim()));
        let gone = || std::fs::read_to_string(&status).is_ok_and(|it| !it.contains("zombie"));
        let waited = timeout(PATIENCE, async {
            while gone() {
                tokio::task::yield_now().await;
            }
        });
        assert!(waited.await.is_ok(), "{pid} lives");
        std::fs::remove_file(file).unwrap();
    }
    // And the next run starts.
    let sample = prober.probe(Duration::from_millis(500)).await;
    assert_eq!(sample.outcome, Outcome::Timeout, "{sample:?}");
    drop(prober);
    for number in [1, 2] {
        let _ = std::fs::remove_file(format!("/tmp/{mark}.{number}"));
    }
}

#[tokio::test]
async fn a_process_is_found_by_its_name_and_its_end_is_an_alarm() {
    let directory = Directory::new();
    // Longer than what the kernel keeps of a name.
    let program = directory.path().join(format!("mainstay-test-{}", std::process::id()));
    std::fs::copy("/bin/sleep", &program).unwrap();
    let name = program.file_name().unwrap().to_str().unwrap();
    let mut prober = prober(&format!("process = \"{name}\""));
    let sample = prober.probe(PATIENCE).await;
    assert_sample(&sample, Outcome::Refused, &format!("no process {name} runs"));
    let mut child = std::process::Command::new(&program).arg("1000").spawn().unwrap();
    let sample = prober.probe(PATIENCE).await;
    assert_sample(&sample, Outcome::Pass, &format!("{name} runs as process {}", child.id()));
    assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
    child.kill().unwrap();
    // Before anybody has waited for it: it is a zombie then.
    timeout(PATIENCE, prober.alarm()).await.unwrap();
    assert_eq!(prober.probe(PATIENCE).await.outcome, Outcome::Refused);
    child.wait().unwrap();
}

#[test]
fn an_interface_is_up_or_not_and_its_changes_are_alarms() {
    in_namespace(|| async {
        let mut prober = prober("interface = \"va\"");
        let sample = prober.probe(PATIENCE).await;
        assert_sample(&sample, Outcome::Refused, "there is no interface va");
        let steps = [
            ("link add va type veth peer name vb", Outcome::Refused, "va is down"),
            ("link set va up", Outcome::Refused, "va has no carrier"),
            ("link set vb up", Outcome::Pass, "va is up"),
            ("link set vb down", Outcome::Refused, "va has no carrier"),
            ("link set vb up", Outcome::Pass, "va is up"),
            ("link del va", Outcome::Refused, "there is no interface va"),
        ];
        for (command, outcome, words) in steps {
            run(&format!("ip {command}"));
            let changed = timeout(PATIENCE, async {
                loop {
                    prober.alarm().await;
                    let sample = prober.probe(PATIENCE).await;
                    if sample.outcome == outcome && sample.words == words {
                        return;
                    }
                }
            });
            assert!(changed.await.is_ok(), "{command}");
        }
        assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
    });
}
