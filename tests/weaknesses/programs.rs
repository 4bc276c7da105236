//! W1, W15 and W16 where media are named files, as they are for the scripts of the Matrix Content Scanner: the `exec` engine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio::task::JoinHandle;

use super::{answer, orders, send};
use crate::harness::{
    Answer, App, AppBuilder, CLEAN, DOWNLOAD_ENCRYPTED, Homeserver, INFECTED, Program, SCAN_ENCRYPTED, Stored, eicar,
    eventually, path, put_sealed, seal,
};

/// Its canaries pass at the start, and then it is given nothing but the media of the test.
const CALM: &str = ", probe_interval: 1h";

/// While there is a file `held`: the n-th run writes down which file it was given, and waits for the file `go-n`. Then it
/// looks at its file.
fn held() -> String {
    let number = "n=0; until mkdir \"$here/run-$n\" 2>/dev/null; do n=$((n+1)); done";
    let begin = "echo \"$1\" >\"$here/new-$n\"; mv \"$here/new-$n\" \"$here/path-$n\"";
    let wait = "until [ -e \"$here/go-$n\" ]; do sleep 0.01; done";
    format!("if [ -e \"$here/held\" ]; then {number}; {begin}; {wait}; fi\n{}", Program::RECOGNISES)
}

/// Waits for the n-th run to begin, and gives the file that it was given.
async fn begun(program: &Program, number: usize) -> PathBuf {
    let noted = program.path(&format!("path-{number}"));
    eventually("a program is run", || async { noted.exists() }).await;
    fs::read_to_string(noted).unwrap().trim().into()
}

fn let_go(program: &Program, number: usize) {
    fs::write(program.path(&format!("go-{number}")), "").unwrap();
}

/// A homeserver, and an application with this program alone.
async fn start(program: &Program, settings: &str) -> (Homeserver, App) {
    let homeserver = Homeserver::start().await;
    let app = AppBuilder::new(&homeserver).with(&program.section(settings)).start().await;
    (homeserver, app)
}

/// One right key and two wrong ones, with runs that begin and end in all orders.
#[tokio::test]
async fn w1_files_of_same_mxc_and_two_keys_do_not_mix() {
    let rounds = orders(3).into_iter().flat_map(|begun| orders(3).into_iter().map(move |ended| (begun.clone(), ended)));
    let program = Program::new(&held());
    let (homeserver, app) = start(&program, CALM).await;
    fs::write(program.path("held"), "").unwrap();
    for (round, (begin, end)) in rounds.enumerate() {
        let sealed = put_sealed(&homeserver, format!("forbidden-word {round}").as_bytes(), "m", 1);
        let bodies = [sealed.body(), sealed.with_key(2).body(), sealed.with_key(3).body()];
        let (mut asking, mut files) = ([const { None }; 3], vec![PathBuf::new(); 3]);
        let numbers: Vec<usize> = begin.iter().enumerate().map(|(number, _)| 3 * round + number).collect();
        for (key, number) in begin.iter().zip(&numbers) {
            asking[*key] = Some(send(&app, SCAN_ENCRYPTED, Some("token"), &bodies[*key]));
            files[*key] = begun(&program, *number).await;
        }
        let what = format!("begun as {begin:?}, ended as {end:?}");
        let contents: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        assert!(contents[0].starts_with(b"forbidden-word") && contents[1] != contents[2], "{what}: each has its own");
        for key in end {
            let number = numbers[begin.iter().position(|begun| *begun == key).unwrap()];
            let_go(&program, number);
            let said = answer(asking[key].take().unwrap()).await.text();
            assert_eq!(said, if key == 0 { INFECTED } else { CLEAN }, "{what}: key {key}");
        }
        // Nothing is run for what is known now.
        for (key, status) in [(0, 403), (1, 200), (2, 200), (0, 403)] {
            assert_eq!(app.post(DOWNLOAD_ENCRYPTED, &bodies[key]).await.status, status, "{what}: key {key}");
        }
    }
    program.has_nothing_left().await;
}

/// The mode of a file, in octal.
fn mode(path: &Path) -> String {
    use std::os::unix::fs::PermissionsExt;
    format!("{:o}", fs::metadata(path).unwrap().permissions().mode() & 0o777)
}

#[tokio::test]
async fn w15_a_file_is_open_to_nobody_else_while_it_is_scanned() {
    let program = Program::new(&held());
    let (homeserver, app) = start(&program, CALM).await;
    fs::write(program.path("held"), "").unwrap();
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let asking = send(&app, SCAN_ENCRYPTED, Some("token"), &sealed.body());
    let file = begun(&program, 0).await;
    let of_engine = file.parent().unwrap().parent().unwrap();
    assert_eq!((mode(&file), mode(of_engine)), ("600".to_owned(), "700".to_owned()));
    assert_eq!(fs::read(&file).unwrap(), b"a medium");
    // Neither the server nor the medium that an address names has a say in its name.
    assert!(!file.to_string_lossy().contains("hs.test") && file.ends_with("medium"), "{}", file.display());
    let_go(&program, 0);
    assert_eq!(answer(asking).await.text(), CLEAN);
    eventually("it is gone", async || !file.exists() && !file.parent().unwrap().exists()).await;
}

/// However a run ends, and if it cannot begin.
#[tokio::test]
async fn w15_nothing_is_left_where_a_program_fails_is_ended_or_not_there() {
    let copies =
        "cp \"$1\" \"$TMPDIR/copy\"; mkdir \"$(dirname \"$1\")/more\"; cp \"$1\" \"$(dirname \"$1\")/more/copy\"";
    let of_media = |end: &str| format!("grep -q 'a medium' \"$1\" && {{ {copies}; {end}; }}\n{}", Program::RECOGNISES);
    let program = Program::new(&of_media("exit 0"));
    let (homeserver, app) = start(&program, ", timeout: 3s").await;
    for (number, end) in ["exit 0", "exit 1", "exit 127", "kill -9 $$", "sleep 1000", ""].into_iter().enumerate() {
        let sealed = put_sealed(&homeserver, format!("a medium, {number}").as_bytes(), "m", 1);
        program.set(&of_media(end));
        if end.is_empty() {
            // It is given this one before anybody looks at it again, or is out by then.
            fs::remove_file(program.path("scan.sh")).unwrap();
        }
        for route in [SCAN_ENCRYPTED, DOWNLOAD_ENCRYPTED] {
            let status = app.post(route, &sealed.body()).await.status.as_u16();
            assert!([200, 403, 503].contains(&status), "{end}: {status}");
        }
        program.has_nothing_left().await;
        program.set(Program::RECOGNISES);
        app.ready().await;
    }
}

#[tokio::test]
async fn w15_nothing_is_left_of_a_file_for_which_nobody_waits_any_more() {
    let program = Program::new(&held());
    let (homeserver, app) = start(&program, CALM).await;
    fs::write(program.path("held"), "").unwrap();
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let asking: JoinHandle<Answer> = send(&app, SCAN_ENCRYPTED, Some("token"), &sealed.body());
    let file = begun(&program, 0).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    // The scan goes on for whoever comes next.
    let_go(&program, 0);
    eventually("the file is gone", || async { !file.exists() }).await;
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), CLEAN);
    program.has_nothing_left().await;
}

#[tokio::test]
async fn w16_a_program_that_hangs_is_ended_and_its_place_is_free_again() {
    let hangs = "grep -q hangs \"$1\" && { echo $$ >\"$here/new\"; mv \"$here/new\" \"$here/hanging\"; sleep 1000; }";
    let program = Program::new(&format!("{hangs}\n{}", Program::RECOGNISES));
    let (homeserver, app) = start(&program, ", probe_interval: 1h, timeout: 3s, max_processes: 1").await;
    homeserver.put_media("m", &Stored::media(b"a medium"));
    for number in 0..2 {
        homeserver.put_media("hangs", &Stored::media(format!("hangs, {number}").as_bytes()));
        let refused = app.get(&path("scan/hs.test/hangs")).await;
        refused.assert_scanner_error(503, "M_UNKNOWN");
        assert!(refused.header("retry-after").is_some() && refused.json().get("clean").is_none());
        let pid = fs::read_to_string(program.path("hanging")).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        eventually("it is gone", || async { is_gone() }).await;
        fs::remove_file(program.path("hanging")).unwrap();
        assert_eq!(app.get(&path("scan/hs.test/m")).await.text(), CLEAN, "in the only place");
    }
    assert_eq!(app.scans_by("script", "clean").await, 1, "what is known is known meanwhile");
    let sealed = seal(&eicar(), "bad", 1);
    homeserver.put_media("bad", &Stored::media(&sealed.ciphertext));
    assert_eq!(app.post(SCAN_ENCRYPTED, &sealed.body()).await.text(), INFECTED);
    program.has_nothing_left().await;
}
