//! What is said of a medium that is not simply clean or infected.

use super::{
    clean, downloads, error, infected, not_clean, post, scan,
    vector::{Expected, Sent, Stage, Vector, check, row},
};
use crate::harness::{Script, ScriptedClamd, Stored, eicar, encrypted_zip, nested_gzip, seal};

/// The requests whose answers are verdicts, and those whose answers are bytes.
struct Asked {
    what: String,
    stored: Stored,
    scans: Vec<Sent>,
    downloads: Vec<Sent>,
}

/// A medium in clear.
fn plain(what: &str, stored: Stored) -> Asked {
    Asked { what: what.to_owned(), stored, scans: scan().into(), downloads: downloads().into() }
}

/// The same as an attachment.
fn attachment(what: &str, plaintext: &[u8]) -> Asked {
    let sealed = seal(plaintext, "m", 1);
    let [scans, downloads] = ["scan_encrypted", "download_encrypted"].map(|route| post(route, &sealed.body()).into());
    Asked { what: format!("{what}, encrypted"), stored: Stored::media(&sealed.ciphertext), scans, downloads }
}

/// Refused alike on all routes; for the Matrix Content Scanner, it is infected.
fn rows(asked: Asked, expected: &Expected, why: &'static str) -> [Vector; 2] {
    let new = |what: &str, sent| row(format!("{}: {what}", asked.what)).medium(&asked.stored).sends(sent).deviates(why);
    [
        new("scan", asked.scans).expects(expected.clone()).strictly(infected()),
        new("download", asked.downloads).expects(expected.clone()).strictly(not_clean()),
    ]
}

/// Clients keep a `clean: false` for good, so it is not said of what nobody found anything in.
#[tokio::test]
async fn what_cannot_be_looked_at_in_full_is_refused_and_not_called_infected() {
    let refused = |why: &str| error(403, "MCS_MEDIA_NOT_CLEAN", &format!("This file was refused: {why}"));
    let kinds = [
        ("deeper than the engine looks", nested_gzip(), refused("it could not be scanned completely")),
        ("with a password", encrypted_zip(), refused("it contains encrypted content that cannot be scanned")),
    ];
    let why = "nothing was found in it";
    check(kinds.into_iter().flat_map(|(what, body, refused)| {
        let (plain, attachment) = (plain(what, Stored::media(&body)), attachment(what, &body));
        rows(plain, &refused, why).into_iter().chain(rows(attachment, &refused, why))
    }))
    .await;
}

#[tokio::test]
async fn what_is_larger_than_the_limit_is_refused_and_not_called_infected() {
    let stage = Stage::start("limits: {max_media_bytes: 1000}").await;
    let refused = error(403, "MCS_MEDIA_NOT_CLEAN", "This file was refused: it is too large to be scanned");
    let too_large = [
        plain("one byte too large", Stored::media(&[0; 1001])),
        plain("too large, without a length", Stored::media(b"").chunked(&[&[0; 600], &[0; 600]])),
        attachment("one byte too large", &[0; 1001]),
    ];
    let fits = row("just fits").medium(&Stored::media(&[0; 1000])).sends(scan()).expects(clean());
    let too_large =
        too_large.into_iter().flat_map(|asked| rows(asked, &refused, "there is a limit, and nothing was found"));
    stage.check(too_large.chain([fits])).await;
}

#[tokio::test]
async fn what_cannot_be_scanned_now_can_be_later_and_is_not_called_infected() {
    let clamd = ScriptedClamd::start(Script::reply(b"stream: Can't allocate memory ERROR\0"));
    let stage = Stage::scripted(&clamd).await;
    let later = error(503, "M_UNKNOWN", "The file could not be scanned; try again later").with("retry-after", "5");
    let why = "engine trouble says nothing of the medium";
    let broken = rows(plain("engine trouble", Stored::media(b"a medium")), &later, why).into_iter();
    stage.check(broken.chain(rows(attachment("engine trouble", b"a medium"), &later, why))).await;
    // Nothing of it was remembered.
    clamd.set(Script::reply(b"stream: OK\0"));
    stage.ready().await;
    let healed = row("engine back").medium(&Stored::media(b"a medium")).sends(scan()).expects(clean());
    stage.check([healed]).await;
}

/// A wrong key makes noise of anything, and noise is clean. What that is worth elsewhere is shown with the keys.
#[tokio::test]
async fn noise_under_a_wrong_key_is_clean() {
    let wrong = seal(&eicar(), "m", 1).with_key(2);
    let row = |what: &str| row(what).medium(&Stored::media(&wrong.ciphertext));
    check([
        row("wrong key, right hash").sends(post("scan_encrypted", &wrong.body())).expects(clean()),
        row("wrong key, right hash, served")
            .sends(post("download_encrypted", &wrong.body()))
            .expects(Expected::bytes(200, &wrong.ciphertext[..])),
    ])
    .await;
}
