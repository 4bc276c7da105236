use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use bytesize::ByteSize;
use prometheus::Registry;

use super::*;
use crate::spool::{self, Spool};

/// An engine that runs a script of these lines, and the directory that all of it lives in.
struct Bench {
    exec: Exec,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(lines: &str, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let script = dir.path().join("scan.sh");
        fs::write(&script, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let yaml = format!("{{name: script, command: ['{}'], dir: '{}'}}", script.display(), dir.path().display());
        let mut config: Config = serde_yaml::from_str(&yaml).unwrap();
        change(&mut config);
        let spools = spool::Config { dir: dir.path().join("spool"), ..spool::Config::default() };
        let spooler = Arc::new(Spooler::open(&spools, ByteSize::mib(1)).unwrap());
        let exec =
            Exec::new(&config, &limits::Config::default(), &spooler, &Tally::register(&Registry::new()).unwrap())
                .unwrap();
        Self { exec, dir }
    }

    async fn run(&self, bytes: &[u8]) -> Result<Verdict, EngineError> {
        let plaintext = Plaintext::Held(Arc::new(Spool::of(bytes)));
        self.exec.ask(&plaintext, Instant::now() + Duration::from_mins(1)).await
    }

    /// What the script wrote to a file of its own.
    fn noted(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

/// The directory of a script, in its own words.
const HERE: &str = "here=$(dirname \"$0\")";

fn name(outcome: &Result<Verdict, EngineError>) -> &'static str {
    outcome.as_ref().map_or("error", Verdict::name)
}

#[tokio::test]
async fn exit_codes_mean_what_they_meant_and_no_failure_is_a_virus() {
    for (code, expected) in [
        (0, "clean"),
        (1, "infected"),
        (2, "error"),
        (3, "infected"),
        (125, "infected"),
        (126, "error"),
        (137, "error"),
    ] {
        let bench = Bench::new(&format!("exit {code}"), |config| config.unavailable_exit_codes = vec![2]);
        assert_eq!(name(&bench.run(b"x").await), expected, "{code}");
    }
    assert_eq!(name(&Bench::new("kill -9 $$", |_| ()).run(b"x").await), "error", "killed");
    assert_eq!(name(&Bench::new("/does/not/exist \"$1\"", |_| ()).run(b"x").await), "error", "a tool that is missing");
    let missing = Bench::new("", |config| config.command = vec!["/does/not/exist".to_owned()]);
    assert_eq!(name(&missing.run(b"x").await), "error", "a program that is missing");
}

#[tokio::test]
async fn the_program_gets_the_medium_as_its_last_argument_and_a_place_for_its_own_files() {
    let script = "[ \"$1\" = extra ] && [ \"$(cat \"$2\")\" = medium ] && [ -z \"$LAZARET__X$CARGO\" ] && echo x >\"$TMPDIR/own\"";
    let bench = Bench::new(script, |config| config.command.push("extra".to_owned()));
    assert_eq!(name(&bench.run(b"medium").await), "clean");
    assert_eq!(name(&bench.run(b"another").await), "infected");
}

#[tokio::test]
async fn nothing_is_left_of_a_medium_whatever_becomes_of_its_scan() {
    let record = format!("{HERE}; echo \"$1\" >>$here/paths; cp \"$1\" \"$TMPDIR/copy\"");
    for end in ["exit 0", "exit 1", "kill -9 $$", "sleep 1000"] {
        let bench = Bench::new(&format!("{record}; {end}"), |config| config.timeout = Duration::from_millis(500));
        let _outcome = bench.run(b"secret").await;
        let noted = bench.noted("paths");
        let path = Path::new(noted.trim());
        assert!(path.is_absolute(), "{end}: {noted}");
        while path.parent().unwrap().exists() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_with_all_that_it_started() {
    let lines = format!("{HERE}; sleep 1000 & echo $! >$here/child; wait");
    let bench = Bench::new(&lines, |config| config.timeout = Duration::from_millis(500));
    let outcome = bench.run(b"x").await;
    assert!(matches!(outcome, Err(EngineError::Timeout { blame: FULL_BLAME })), "{outcome:?}");
    assert_gone(&bench.noted("child")).await;
}

#[tokio::test]
async fn what_a_program_leaves_running_is_killed_when_it_ends() {
    let bench = Bench::new(&format!("{HERE}; sleep 1000 & echo $! >$here/child; exit 0"), |_| ());
    assert_eq!(name(&bench.run(b"x").await), "clean");
    assert_gone(&bench.noted("child")).await;
}

#[tokio::test]
async fn a_scan_that_nobody_waits_for_any_more_is_killed() {
    let lines = format!("{HERE}; echo $$ >$here/new; mv $here/new $here/child; sleep 1000");
    let bench = Bench::new(&lines, |_| ());
    let begun = async {
        while bench.noted("child").is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = bench.run(b"x") => panic!("{outcome:?}"),
        () = begun => (),
    }
    assert_gone(&bench.noted("child")).await;
}

/// Waits until the kernel has done what it was told; a process that nobody waits for may remain as a zombie.
async fn assert_gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    let is_there = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    let gone = async {
        while is_there() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.unwrap_or_else(|_| panic!("{pid} is still there"));
}

#[tokio::test]
async fn no_more_run_at_a_time_than_may() {
    let lines =
        format!("{HERE}; mkdir $here/running || exit 1; cat $here/*/medium >/dev/null 2>&1; rmdir $here/running");
    let bench = Bench::new(&lines, |config| config.max_processes = std::num::NonZeroUsize::MIN);
    let outcomes = futures_util::future::join_all((0..20).map(|_| bench.run(b"x"))).await;
    assert!(outcomes.iter().all(|outcome| name(outcome) == "clean"), "{outcomes:?}");
}

#[tokio::test]
async fn who_finds_no_place_in_time_or_no_memory_comes_again_later() {
    let change = |config: &mut Config| {
        config.max_processes = std::num::NonZeroUsize::MIN;
        config.queue_timeout = Duration::from_millis(1);
        config.timeout = Duration::from_millis(300);
    };
    let bench = Bench::new("sleep 1000", change);
    let outcomes = futures_util::future::join_all([bench.run(b"x"), bench.run(b"y")]).await;
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(EngineError::Busy))), "{outcomes:?}");
    let large = vec![0; 2 << 20];
    assert!(matches!(Bench::new("exit 0", |_| ()).run(&large).await, Err(EngineError::Busy)), "1 MiB is all there is");
}

#[tokio::test]
async fn specimens_do_not_wait_for_scans() {
    let script = format!(
        "{HERE}; grep -q EICAR \"$1\" && exit 1; grep -q canary \"$1\" && exit 0; echo x >$here/begun; sleep 1000"
    );
    let bench = Bench::new(&script, |config| config.max_processes = std::num::NonZeroUsize::MIN);
    let looked = async {
        while bench.noted("begun").is_empty() {
            tokio::task::yield_now().await;
        }
        bench.exec.look().await
    };
    tokio::select! {
        outcome = bench.run(b"slow") => panic!("{outcome:?}"),
        outcome = looked => assert!(outcome.is_ok(), "{outcome:?}"),
    }
}

#[tokio::test]
async fn a_script_that_calls_everything_clean_is_not_believed_unless_that_is_configured() {
    let bypass = Bench::new("exit 0", |_| ());
    assert!(matches!(bypass.exec.look().await, Err(Fault::Wrong(why)) if why.contains("EICAR")));
    let configured = Bench::new("exit 0", |config| config.canaries = false);
    assert!(configured.exec.look().await.is_ok());
    let real = Bench::new("grep -q EICAR \"$1\" && exit 1; exit 0", |_| ());
    assert!(real.exec.look().await.is_ok());
}

#[tokio::test]
async fn another_version_makes_verdicts_outdated_and_none_takes_it_out() {
    let lines = format!("{HERE}; [ \"$1\" = version ] && {{ cat $here/version; exit; }}; exit 0");
    let bench = Bench::new(&lines, |config| {
        config.canaries = false;
        config.version_command = vec![config.command[0].clone(), "version".to_owned()];
    });
    assert!(matches!(bench.exec.look().await, Err(Fault::Broken(why)) if why.contains("printed nothing")));
    let set = |version: &str| fs::write(bench.dir.path().join("version"), version).unwrap();
    set("1\nmore\n");
    bench.exec.look().await.unwrap();
    assert_eq!(bench.exec.proof.freshness.version().as_deref(), Some("1"));
    let epoch = bench.exec.proof.freshness.epoch();
    set("2\n");
    bench.exec.look().await.unwrap();
    assert_eq!(bench.exec.proof.freshness.currency(&epoch, SystemTime::now()), Currency::Stale);
}

#[test]
fn what_is_not_there_or_cannot_be_run_is_found_before_the_start() {
    let bench = Bench::new("exit 0", |_| ());
    let config = &bench.exec.config;
    assert!(check(config, &limits::Config::default()).is_ok());
    let told = |change: fn(&mut Config)| {
        let mut config = config.clone();
        change(&mut config);
        format!("{:#}", check(&config, &limits::Config::default()).unwrap_err())
    };
    assert!(told(|config| config.dir = "/".into()).contains("no memory file system"));
    assert!(told(|config| config.dir = "/does/not/exist".into()).contains("/does/not/exist cannot be used"));
    assert!(told(|config| config.command = vec!["/does/not/exist".to_owned()]).contains("cannot run /does/not/exist"));
    assert!(told(|config| config.version_command = vec!["/etc/passwd".to_owned()]).contains("not executable"));
}
