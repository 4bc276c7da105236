//! Replies that look like a clean one and are none.

use super::{Bench, MEDIUM, Route};
use crate::harness::{Ask, Script, Step};

/// Replies that are not exactly `NAME: OK` and NUL; `{}` is the name that the command asks for.
fn replies() -> Vec<Vec<u8>> {
    let mut replies: Vec<Vec<u8>> = [
        // Around the clean reply.
        &b"OK\0"[..],
        b"OK",
        b"{}: OK\n",
        b"{}: OK\r\n\0",
        b"{}: OK\r\0",
        b"{}: OK\n\0",
        b"{}: OK \0",
        b"{}: OK\x00\0",
        b"{}: OKAY\0",
        b"{}: ok\0",
        b"{}: Ok\0",
        b"{}:OK\0",
        b"{}:  OK\0",
        b"{}:\tOK\0",
        b" {}: OK\0",
        b"\0{}: OK\0",
        b"\n{}: OK\0",
        b"{}: {}: OK\0",
        b"\xef\xbb\xbf{}: OK\0",
        b"{}: O\0K\0",
        b"{}: \xd0\x9eK\0",
        // More than one.
        b"{}: OK\0{}: OK\0",
        b"{}: OK\0{}: O",
        b"{}: OK\0{}: Some.Thing ERROR\0",
        b"{}: OK\0COMMAND READ TIMED OUT\n",
        b"{}: OK\n{}: OK\n",
        b"{}: Can't allocate memory ERROR\0{}: OK\0",
        b"Error writing to temporary file ERROR\0{}: OK\0",
        b"UNKNOWN COMMAND\0{}: OK\0",
        b"PONG\0{}: OK\0",
        // For someone else: clamd has been seen to give the reply of a dead session's job to whoever got its descriptor.
        b"1: {}: OK\0",
        b"1: fd[12]: OK\0",
        b"0: {}: OK\0",
        b"2: {}: OK\0{}: OK\0",
        b"/tmp/file: OK\0",
        b"fd[]: OK\0",
        b"fd[-1]: OK\0",
        b"fd[x]: OK\0",
        b"fd[9: OK\0",
        b"fd 9: OK\0",
        b"stream(127.0.0.1@1024): OK\0",
        b"instream(local): OK\0",
        b"Stream: OK\0",
        // Refusals.
        b"COMMAND READ TIMED OUT\n",
        b"COMMAND READ TIMED OUT\0",
        b"UNKNOWN COMMAND\0",
        b"COMMAND UNAVAILABLE\0",
        b"Command invalid inside IDSESSION. ERROR\0",
        b"1: Command invalid inside IDSESSION. ERROR\0",
        // Answers to something else.
        b"PONG\0",
        b"RELOADING\0",
        b"ClamAV 1.4.6/1/Mon Nov 23 08:00:00 2026\0",
        b"HTTP/1.1 200 OK\r\n\r\n",
        // Findings of nothing.
        b"{}: FOUND\0",
        b"{}:  FOUND\0",
        b"{}: \0",
        b"{}\0",
        b"\0",
        b"\n",
        // No text at all.
        b"\xff\xfe\0",
        b"{}: \xff\xfe\0",
        b"\xf0\x9f\xa6\xa0\0",
    ]
    .map(<[u8]>::to_vec)
    .into();
    // Without an end.
    replies.push(vec![b'x'; 1 << 20]);
    replies.push([b"{}: OK", vec![b' '; 1 << 20].as_slice()].concat());
    replies.push([b"{}: OK\0", vec![0; 1 << 20].as_slice()].concat());
    replies.push([b"{}: ", vec![b'x'; 1 << 20].as_slice(), b" OK\0"].concat());
    replies
}

/// The clean reply cut off after each of its bytes.
fn beginnings(clean: &str) -> impl Iterator<Item = Script> {
    let cut = clean.as_bytes()[..clean.len() - 1].to_vec();
    (0..=cut.len()).map(move |len| Script::steps([Step::ReadAll, Step::send_split(&cut[..len])]))
}

/// Asserts that none of them passes; each is tried on one route, and all routes have their turns.
async fn assert_none_passes(bench: &Bench, scripts: impl IntoIterator<Item = (String, Script)>) {
    for ((what, script), route) in scripts.into_iter().zip(Route::ALL.into_iter().cycle()) {
        bench.clamd.set(script);
        bench.renew();
        bench.app.ready().await;
        let before = bench.clamd.counts().asked(Ask::Medium);
        bench.assert_refused(route, &[503], &what).await;
        assert!(bench.clamd.counts().asked(Ask::Medium) > before, "{what}: clamd was asked");
    }
}

fn named(reply: &[u8]) -> String {
    reply[..reply.len().min(80)].escape_ascii().to_string()
}

#[tokio::test]
async fn no_abnormal_outcome_is_ever_clean() {
    for bench in Bench::both(Script::clean()).await {
        let whole = replies().into_iter().map(|reply| (named(&reply), Script::reply(reply)));
        assert_none_passes(&bench, whole).await;
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn no_abnormal_reply_that_comes_byte_by_byte_is_clean() {
    for bench in Bench::both(Script::clean()).await {
        let split = replies().into_iter().filter(|reply| reply.len() < 1000).map(|reply| {
            let steps = [Step::ReadAll, Step::send_split(&reply)];
            (named(&reply), Script::steps(steps))
        });
        assert_none_passes(&bench, split).await;
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_clean_reply_that_breaks_off_is_none() {
    for (bench, clean) in Bench::both(Script::clean()).await.into_iter().zip(["stream: OK\0", "fd[9]: OK\0"]) {
        let scripts = beginnings(clean).enumerate().map(|(len, script)| (format!("after {len} bytes"), script));
        assert_none_passes(&bench, scripts).await;
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_clean_reply_to_the_other_command_is_none() {
    let bench = Bench::streaming(Script::clean()).await;
    let replies = [&b"fd[9]: OK\0"[..], b"fd[0]: OK\0"];
    assert_none_passes(&bench, replies.map(|reply| (named(reply), Script::reply(reply)))).await;
    let bench = Bench::passing(Script::clean()).await;
    let replies = [&b"stream: OK\0"[..], b"fd[stream]: OK\0"];
    assert_none_passes(&bench, replies.map(|reply| (named(reply), Script::reply(reply)))).await;
}

/// The rest of the file would prove nothing if this did not pass.
#[tokio::test]
async fn the_exact_clean_reply_is_clean_however_it_arrives() {
    for steps in [
        vec![Step::ReadAll, Step::send(b"{}: OK\0")],
        vec![Step::ReadAll, Step::send_split(b"{}: OK\0")],
        vec![Step::ReadAll, Step::send(b"{}: "), Step::send(b"OK"), Step::send(b"\0")],
        vec![Step::ReadAll, Step::send(b"{}: OK\0"), Step::HalfClose, Step::Hang],
    ] {
        for bench in Bench::both(Script::steps(steps)).await {
            assert_eq!(bench.ask(Route::Scan).await.text(), crate::harness::CLEAN);
            assert_eq!(&bench.ask(Route::Native).await.body[..], MEDIUM);
        }
    }
}

#[tokio::test]
async fn a_finding_outranks_whatever_comes_with_it() {
    for reply in [&b"{}: Some.Thing FOUND\0{}: OK\0"[..], b"{}: Some.Thing FOUND\0{}: Another.Thing FOUND\0"] {
        for bench in Bench::both(Script::reply(reply)).await {
            bench.assert_not_clean(&named(reply)).await;
        }
    }
}

#[tokio::test]
async fn a_clean_reply_with_a_finding_is_not_clean() {
    for bench in Bench::both(Script::reply(b"{}: OK\0{}: Some.Thing FOUND\0")).await {
        bench.assert_not_clean("OK, then found").await;
    }
}
