//! Debian's c-icap with a clamd behind it.

use super::{behind, engine, is_not_ready, read, scans};
use crate::harness::{
    AppBuilder, CIcap, CLEAN, Clamd, Homeserver, INFECTED, PNG, eicar, encrypted_zip, eventually, marker, seal,
};

#[tokio::test]
async fn clean_and_infected_media_are_told_apart_with_either_method_with_and_without_preview() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let c_icap = CIcap::start(&clamd).await;
    for settings in ["", ", preview: false", ", method: reqmod", ", method: reqmod, preview: false"] {
        let app = behind(&homeserver, &c_icap.url(), settings).start().await;
        let large = vec![b'x'; 3 << 20];
        for body in [b"harmless".as_slice(), b"x", b"xy", &[PNG, &[0; 3000]].concat(), &large] {
            let answer = read(&homeserver, &app, "clean", body).await;
            assert_eq!(answer.status, 200, "{settings} {} {}", body.len(), answer.text());
            assert!(answer.body == body);
        }
        for body in [eicar(), marker(100), marker(3 << 20)] {
            read(&homeserver, &app, "infected", &body).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
        assert_eq!((scans(&app, "clean").await, scans(&app, "infected").await), (5, 3), "{settings}");
        read(&homeserver, &app, "zip", &encrypted_zip()).await.assert_matrix_error(403, "M_FORBIDDEN");
        assert_eq!(scans(&app, "opaque").await, 1, "{settings}: what has a password is not infected");
    }
}

#[tokio::test]
async fn attachments_are_decrypted_before_they_are_shown_to_it() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let c_icap = CIcap::start(&clamd).await;
    let app = behind(&homeserver, &c_icap.url(), "").start().await;
    for (body, said) in [(b"harmless".to_vec(), CLEAN), (eicar(), INFECTED)] {
        let sealed = seal(&body, "m", 1);
        homeserver.put_media("m", &crate::harness::Stored::media(&sealed.ciphertext));
        let answer = app.post("/_matrix/media_proxy/unstable/scan_encrypted", &sealed.body()).await;
        assert_eq!(answer.text(), said);
    }
}

#[tokio::test]
async fn what_is_larger_than_it_may_be_is_not_sent_and_not_clean() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let c_icap = CIcap::start(&clamd).await;
    let app = behind(&homeserver, &c_icap.url(), ", max_bytes: 100KiB").start().await;
    assert_eq!(read(&homeserver, &app, "m", &vec![0; 100 << 10]).await.status, 200);
    read(&homeserver, &app, "m", &vec![0; (100 << 10) + 1]).await.assert_matrix_error(403, "M_FORBIDDEN");
    assert_eq!(scans(&app, "incomplete").await, 1);
}

#[tokio::test]
async fn a_limit_below_the_largest_medium_is_found_out_and_named() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let limited = "ServiceAlias limited virus_scan?allow204=on&mode=simple\nServiceAlias avscan virus_scan\nvirus_scan.MaxObjectSize 1M";
    let c_icap = CIcap::start_with(&clamd, limited).await;
    let url = c_icap.service("limited");
    for settings in ["", ", preview: false"] {
        let app = behind(&homeserver, &url, settings).without_waiting().start().await;
        is_not_ready(&app, "virus_scan.MaxObjectSize").await;
        read(&homeserver, &app, "m", b"x").await.assert_matrix_error(503, "M_UNKNOWN");
        let fitting = format!("{settings}, max_bytes: 1MiB");
        let app = behind(&homeserver, &url, &fitting).start().await;
        assert_eq!(read(&homeserver, &app, "m", b"x").await.status, 200);
    }
}

#[tokio::test]
async fn a_service_that_sends_media_back_before_it_scanned_them_is_not_believed() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let c_icap = CIcap::start(&clamd).await;
    for settings in ["", ", preview: false"] {
        let app = behind(&homeserver, &c_icap.service("virus_scan"), settings).without_waiting().start().await;
        is_not_ready(&app, "Icap.Returned").await;
        read(&homeserver, &app, "m", b"x").await.assert_matrix_error(503, "M_UNKNOWN");
    }
}

#[tokio::test]
async fn a_c_icap_that_found_no_clamd_calls_everything_clean_and_is_not_believed() {
    let homeserver = Homeserver::start().await;
    let mut clamd = Clamd::prepare("");
    let mut c_icap = CIcap::start(&clamd).await;
    let app = behind(&homeserver, &c_icap.url(), ", preview: false").without_waiting().start().await;
    is_not_ready(&app, "EICAR").await;
    let careful = behind(&homeserver, &c_icap.url(), "").without_waiting().start().await;
    is_not_ready(&careful, "Icap.Preview").await;
    clamd.launch().await;
    read(&homeserver, &app, "m", b"x").await.assert_matrix_error(503, "M_UNKNOWN");
    c_icap.kill();
    c_icap.launch().await;
    app.ready().await;
    read(&homeserver, &app, "m", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn media_of_a_type_that_it_does_not_look_into_are_refused() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let c_icap = CIcap::start_with(&clamd, "virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE").await;
    let app = behind(&homeserver, &c_icap.url(), "").start().await;
    // As a preview of all there is, the first would be called clean.
    for len in [100, 5000] {
        let picture = [PNG, &vec![0; len]].concat();
        read(&homeserver, &app, "m", &picture).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    assert_eq!(scans(&app, "incomplete").await, 2);
    assert_eq!(read(&homeserver, &app, "m", b"text").await.status, 200);
    // Without previews, too.
    let app = behind(&homeserver, &c_icap.url(), ", preview: false").without_waiting().start().await;
    is_not_ready(&app, "does not look into media of some types: PNG").await;
}

#[tokio::test]
async fn nothing_passes_while_it_is_gone_and_all_is_well_when_it_is_back() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let mut c_icap = CIcap::start(&clamd).await;
    let app = behind(&homeserver, &c_icap.url(), "").start().await;
    assert_eq!(read(&homeserver, &app, "m", b"before").await.status, 200);
    c_icap.kill();
    read(&homeserver, &app, "m", b"meanwhile").await.assert_matrix_error(503, "M_UNKNOWN");
    is_not_ready(&app, "cannot connect").await;
    c_icap.launch().await;
    app.ready().await;
    assert_eq!(read(&homeserver, &app, "m", b"meanwhile").await.status, 200);
    assert!(c_icap.log().contains("VIRUS DETECTED"), "its canaries");
}

#[tokio::test]
async fn beside_clamd_both_have_their_say() {
    let (homeserver, clamd, behind) = (Homeserver::start().await, Clamd::start().await, Clamd::prepare(""));
    // Something that only the one behind ICAP knows.
    let mut behind = behind;
    behind.write_signatures("more.ndb", crate::harness::signature("Only.Behind", "ONLY BEHIND"));
    behind.launch().await;
    let mut c_icap = CIcap::start(&behind).await;
    let with = |role: &str| {
        let engines = format!("engines: {{icap: [{}]}}", engine(&c_icap.url(), &format!(", role: {role}")));
        AppBuilder::new(&homeserver).clamd(&clamd).with(&engines)
    };
    let (required, advisory) = (with("required").start().await, with("advisory").start().await);
    for app in [&required, &advisory] {
        eventually("it is heard", || async { app.metric(&up(&c_icap)).await == 1 }).await;
        assert_eq!(read(&homeserver, app, "m", b"harmless").await.status, 200);
        read(&homeserver, app, "m", b"ONLY BEHIND ICAP").await.assert_matrix_error(403, "M_FORBIDDEN");
        read(&homeserver, app, "m", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
    }
    c_icap.kill();
    read(&homeserver, &required, "m", b"harmless and new").await.assert_matrix_error(503, "M_UNKNOWN");
    assert_eq!(read(&homeserver, &advisory, "m", b"harmless and new").await.status, 200);
}

fn up(c_icap: &CIcap) -> String {
    format!("lazaret_engine_up{{backend=\"{}\",engine=\"appliance\"}}", c_icap.url())
}
