//! Commands of the binary, and what its process makes of them.

use std::{os::unix::fs::PermissionsExt, process::Stdio};

use rustix::process::Signal;

use super::{binary, line};
use crate::harness::{eventually, published_key, signal};

#[tokio::test]
async fn a_rotated_secret_is_published_after_a_hangup_and_the_process_goes_on() {
    let (_homeserver, _clamd, binary) = binary().await;
    let process = binary.serve(Stdio::inherit()).await;
    let first = published_key(&binary.client).await.to_base64();
    let second = binary.says(&["secret", "rotate"]).await;
    signal(&process, Signal::HUP);
    let key = || async { published_key(&binary.client).await.to_base64() };
    eventually("the second key is published", || async { key().await == second.trim() }).await;

    let third = binary.says(&["secret", "rotate", "--keep", "1"]).await;
    let reloaded = binary.says(&["reload"]).await;
    assert!(reloaded.starts_with(&format!("secrets: 2, public key {third}")), "{reloaded}");
    assert_eq!(key().await, third.trim());
    let shown = binary.says(&["secret", "show"]).await;
    assert_eq!(shown, format!("{}  current\n{}  older\n", third.trim(), second.trim()));
    assert!(!shown.contains(&first));
    std::fs::write(binary.dir.path().join("secret"), "nonsense").unwrap();
    let failed = binary.run(&["reload"]).await;
    assert!(!failed.status.success() && String::from_utf8_lossy(&failed.stdout).contains("line 1"), "{failed:?}");
}

#[tokio::test]
async fn check_says_what_is_wrong_with_the_secrets() {
    let (_homeserver, _clamd, binary) = binary().await;
    let path = binary.dir.path().join("secret");
    let check = || async {
        let output = binary.run(&["check"]).await;
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    assert!(check().await.1.contains("will be created at start"));
    std::fs::write(&path, format!("{}\n{}\n", line(1), line(2))).unwrap();
    for (mode, told) in [(0o600, false), (0o640, true), (0o604, true)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let (succeeds, says) = check().await;
        assert!(succeeds && says.contains("open to others") == told, "{mode:o}: {says}");
    }
    std::fs::write(&path, format!("{}\nRecognisable\n", line(1))).unwrap();
    let (succeeds, says) = check().await;
    assert!(!succeeds && says.contains("line 2") && !says.contains("Recognisable"), "{says}");
}
