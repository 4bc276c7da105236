//! What comes too early or too late.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{Bench, Route};
use crate::harness::{Ask, Script, Step};

/// Takes all bytes of the medium, says OK, pauses, and does the rest.
fn paused(medium: Vec<u8>, rest: &[Step]) -> (Script, Arc<Notify>, Arc<Notify>) {
    let (said, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let begin =
        [Step::ReadAll, Step::send(b"{}: OK\0"), Step::Signal(Arc::clone(&said)), Step::Wait(Arc::clone(&go_on))];
    let paused = Script::steps([&begin, rest].concat());
    let choose = move |bytes: &[u8]| if bytes == medium { paused.clone() } else { Script::clean() };
    (Script::by_content(choose), said, go_on)
}

/// Asks while clamd pauses behind its OK; another request and its answer leave time for a hasty verdict.
async fn ask_over_a_pause(bench: &Bench, route: Route, rest: &[Step]) -> crate::harness::Answer {
    bench.renew();
    let (script, said, go_on) = paused(bench.plain.lock().unwrap().clone(), rest);
    bench.app.ready().await;
    bench.clamd.set(script);
    let asking = bench.ask(route);
    tokio::pin!(asking);
    let meanwhile = async {
        said.notified().await;
        assert_eq!(bench.app.admin.get("/livez").await.status, 200);
    };
    tokio::select! {
        answer = asking.as_mut() => panic!("before the end of the connection: {answer:?}"),
        () = meanwhile => go_on.notify_one(),
    }
    asking.await
}

#[tokio::test]
async fn a_second_reply_spoils_a_clean_one_however_late_it_comes() {
    for bench in Bench::both(Script::clean()).await {
        for second in [&b"{}: OK\0"[..], b"1: {}: OK\0", b"{}: Some ERROR\0", b"COMMAND READ TIMED OUT\n", b"\0", b"x"]
        {
            for route in [Route::Native, Route::Scan, Route::DownloadEncrypted] {
                let answer = ask_over_a_pause(&bench, route, &[Step::send(second)]).await;
                assert_eq!(answer.status, 503, "{}: {route:?}: {answer:?}", second.escape_ascii());
            }
        }
        assert_eq!(bench.app.scans("clean").await, 0);
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_clean_reply_counts_when_its_connection_ended_in_order() {
    for bench in Bench::both(Script::clean()).await {
        assert_eq!(ask_over_a_pause(&bench, Route::Native, &[Step::Close]).await.status, 200);
    }
}

/// A reset may have swallowed a second reply.
#[tokio::test]
async fn a_clean_reply_that_is_followed_by_a_reset_is_none() {
    let bench = Bench::streaming(Script::clean()).await;
    for route in Route::ALL {
        let answer = ask_over_a_pause(&bench, route, &[Step::Reset]).await;
        assert_eq!(answer.status, 503, "{route:?}: {answer:?}");
    }
    bench.clamd.set(Script::steps([Step::ReadAll, Step::send(b"{}: OK\0"), Step::Reset]));
    bench.assert_refused_and_forgotten(&[503], "at once").await;
    bench.assert_passes_once_sound().await;
}

/// More than all buffers on the way hold, so it cannot be sent in full while nobody reads.
const LARGE: usize = 8 << 20;

#[tokio::test]
async fn a_clean_reply_before_the_last_byte_was_sent_is_none() {
    let bench = Bench::streaming(Script::clean()).await;
    bench.put(&vec![1; LARGE]);
    let early = || Step::send(b"{}: OK\0");
    for (what, steps) in [
        ("closed", vec![early()]),
        ("closed in half", vec![early(), Step::HalfClose, Step::Hang]),
        ("reset", vec![early(), Step::Reset]),
        ("all was read afterwards", vec![early(), Step::ReadAll]),
        ("all was read afterwards, and OK again", vec![early(), Step::ReadAll, early()]),
    ] {
        bench.clamd.set(Script::steps(steps));
        for route in [Route::Native, Route::Upload] {
            bench.renew();
            bench.app.ready().await;
            bench.assert_refused(route, &[503], what).await;
        }
    }
    bench.assert_passes_once_sound().await;
    assert!(bench.clamd.counts().asked(Ask::Medium) >= 11);
}
