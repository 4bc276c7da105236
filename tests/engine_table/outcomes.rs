//! The outcomes that clients of clamd differ in, one test each.

use super::{Bench, MEDIUM, Route};
use crate::harness::{Script, ScriptedClamd, Step};

#[tokio::test]
async fn a_refused_connection_is_no_verdict() {
    for bench in Bench::both(Script::clean()).await {
        for route in Route::ALL {
            bench.renew();
            bench.app.ready().await;
            bench.clamd.kill().await;
            bench.assert_refused(route, &[503], "connection refused").await;
            bench.clamd.revive().await;
        }
        bench.app.ready().await;
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_without_a_reply_is_no_verdict() {
    for bench in Bench::both(Script::clean()).await {
        for (what, steps) in [
            ("closed at once", vec![Step::Close]),
            ("closed when it had all", vec![Step::ReadAll, Step::Close]),
            ("ended and left open", vec![Step::ReadAll, Step::HalfClose, Step::Hang]),
            ("reset at once", vec![Step::Reset]),
            ("reset when it had all", vec![Step::ReadAll, Step::Reset]),
        ] {
            bench.clamd.set(Script::steps(steps));
            bench.assert_refused_and_forgotten(&[503], what).await;
        }
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_medium_that_kills_clamd_is_no_clean_one_and_holds_up_no_other() {
    for bench in Bench::both(Script::clean()).await {
        let deadly = |bytes: &[u8]| match bytes {
            MEDIUM => Script::steps([Step::Die]),
            _ => Script::clean(),
        };
        // After some deaths it may be refused without another.
        bench.clamd.set(Script::by_content(deadly));
        for route in Route::ALL {
            bench.app.ready().await;
            bench.assert_refused(route, &[403, 503], "it kills clamd").await;
            bench.clamd.revive().await;
        }
        bench.put(b"another medium");
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn an_error_is_no_verdict() {
    for bench in Bench::both(Script::clean()).await {
        for text in [
            "{}: Can't allocate memory ERROR",
            "{}: Access denied. ERROR",
            "{}: Can't write to file ERROR",
            "{}: Not a regular file ERROR",
            "{}: lstat() failed: No such file or directory. ERROR",
            "{}: OK ERROR",
            "Error writing to temporary file ERROR",
        ] {
            bench.clamd.set(Script::reply(format!("{text}\0")));
            bench.assert_refused_and_forgotten(&[503], text).await;
        }
        bench.assert_passes_once_sound().await;
    }
}

/// Whether that is trouble or a statement about the medium, it does not pass.
#[tokio::test]
async fn a_stream_that_is_over_clamds_limit_does_not_pass() {
    let bench = Bench::streaming(Script::clean()).await;
    bench.put(&vec![1; 8 << 20]);
    let reply = Step::send(b"INSTREAM size limit exceeded. ERROR\0");
    for (what, steps) in [
        ("after the first chunk", vec![reply.clone()]),
        ("after the first chunk, reset", vec![reply.clone(), Step::Reset]),
        ("after the first chunk, half closed", vec![reply.clone(), Step::HalfClose, Step::ReadAll]),
        ("after all of it", vec![Step::ReadAll, reply.clone()]),
        ("and then OK", vec![reply, Step::ReadAll, Step::send(b"stream: OK\0")]),
    ] {
        bench.clamd.set(Script::steps(steps));
        for route in [Route::Native, Route::Upload, Route::Scan] {
            bench.renew();
            bench.app.ready().await;
            bench.assert_refused(route, &[403, 503], what).await;
        }
    }
    let bench = Bench::streaming(Script::reply(b"INSTREAM size limit exceeded. ERROR\0")).await;
    for route in Route::ALL {
        bench.renew();
        bench.app.ready().await;
        bench.assert_refused(route, &[403, 503], "a small one").await;
    }
}

#[tokio::test]
async fn a_medium_over_our_own_limit_does_not_pass_and_is_not_scanned() {
    for clamd in [ScriptedClamd::start(Script::clean()), ScriptedClamd::start_on_socket(Script::clean())] {
        let bench = Bench::new(clamd, "", "limits: {max_media_bytes: 1000}").await;
        bench.put(&[7; 1001]);
        for route in Route::ALL {
            bench.assert_refused(route, &[403, 413], "too large").await;
        }
        assert_eq!(bench.scans(), 0);
        bench.put(&[7; 1000]);
        bench.assert_passes_once_sound().await;
    }
}

/// Asserts that a medium of which clamd says this is refused, and stays so without being scanned again.
async fn assert_refused_for_good(name: &str) {
    for bench in Bench::both(Script::reply(format!("{{}}: {name} FOUND\0"))).await {
        for route in Route::ALL {
            bench.assert_refused(route, &[403], name).await;
        }
        assert_eq!(bench.scans(), 1, "{name}");
        bench.clamd.set(Script::clean());
        for route in Route::ALL {
            bench.assert_refused(route, &[403], name).await;
        }
        bench.put(b"another medium");
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_medium_that_was_not_scanned_in_full_does_not_pass() {
    for name in ["MaxFileSize", "MaxScanSize", "MaxFiles", "MaxRecursion", "EmailLineFoldcnt"] {
        assert_refused_for_good(&format!("Heuristics.Limits.Exceeded.{name}")).await;
    }
}

#[tokio::test]
async fn a_medium_that_clamd_cannot_open_does_not_pass() {
    for name in ["Zip", "RAR", "7Zip", "PDF", "OLE2", "EGG"] {
        assert_refused_for_good(&format!("Heuristics.Encrypted.{name}")).await;
    }
}

#[tokio::test]
async fn silence_is_no_verdict() {
    for clamd in [ScriptedClamd::start(Script::clean()), ScriptedClamd::start_on_socket(Script::clean())] {
        let bench = Bench::new(clamd, "scan_timeout: 300ms", "").await;
        for (what, steps) in [
            ("silence", vec![Step::ReadAll, Step::Hang]),
            ("silence before the end of the reply", vec![Step::ReadAll, Step::send(b"{}: OK"), Step::Hang]),
            ("silence before the end of the connection", vec![Step::ReadAll, Step::send(b"{}: OK\0"), Step::Hang]),
        ] {
            bench.clamd.set(Script::steps(steps));
            bench.assert_refused_and_forgotten(&[503], what).await;
            // What it is silent about keeps it busy: its threads are free again when it was restarted.
            bench.clamd.kill().await;
            bench.clamd.revive().await;
        }
        bench.assert_passes_once_sound().await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_is_no_verdict() {
    for clamd in [ScriptedClamd::start(Script::clean()), ScriptedClamd::start_on_socket(Script::clean())] {
        let bench = Bench::new(clamd, "scan_timeout: 300ms", "").await;
        bench.clamd.stop_accepting().await;
        for route in Route::ALL {
            bench.renew();
            bench.assert_refused(route, &[503], "not accepted").await;
        }
        bench.assert_passes_once_sound().await;
    }
}
