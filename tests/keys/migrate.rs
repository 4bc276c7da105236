//! Keys and settings that are taken over from another scanner.

use std::{path::Path, process::Stdio};

use base64::{Engine as _, prelude::*};
use serde_json::json;
use vodozemac::pk_encryption::PkDecryption;

use super::binary;
use crate::harness::{CLEAN, SCAN_ENCRYPTED, lazaret, published_key, put_sealed, request, with_envelope};

/// A configuration of a scanner that keeps its key in a pickle, beside that pickle.
fn scanner_with_pickle(dir: &Path, key: &PkDecryption) -> String {
    std::fs::write(dir.join("pickle"), key.to_libolm_pickle(b"the pickle's key").unwrap()).unwrap();
    let config = json!({
        "web": {"host": "127.0.0.1", "port": 8080},
        "scan": {"script": "/bin/true", "temp_directory": "/tmp"},
        "crypto": {"pickle_path": "./pickle", "pickle_key": "the pickle's key"},
    });
    let path = dir.join("mcs.yaml");
    std::fs::write(&path, config.to_string()).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn envelopes_for_a_key_from_a_pickle_open_once_it_is_taken_over() {
    let ((homeserver, _clamd, binary), key) = (binary().await, PkDecryption::new());
    let sealed = put_sealed(&homeserver, b"a medium", "m", 1);
    let scanner = scanner_with_pickle(binary.dir.path(), &key);
    let _process = binary.serve(Stdio::inherit()).await;
    let ours = published_key(&binary.client).await;
    let migrate = ["migrate", "pickle", "--from", &scanner];
    for _ in 0..2 {
        assert!(binary.says(&migrate).await.starts_with(&format!("{}  older", key.public_key())));
        assert!(binary.says(&["reload"]).await.starts_with("secrets: 2"), "a second time it is there already");
        assert_eq!(published_key(&binary.client).await, ours);
    }
    let sent = request("POST", SCAN_ENCRYPTED).header("authorization", "Bearer token");
    let answer = binary.client.send(sent, &with_envelope(key.public_key(), &sealed.file)).await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, CLEAN));

    assert!(binary.says(&[&migrate[..], &["--current"]].concat()).await.contains("  current"));
    binary.says(&["reload"]).await;
    assert_eq!(published_key(&binary.client).await, key.public_key());
}

#[tokio::test]
async fn a_pickle_is_taken_over_in_each_way_that_it_can_be_named() {
    let (dir, key) = (tempfile::tempdir().unwrap(), PkDecryption::new());
    let scanner = scanner_with_pickle(dir.path(), &key);
    let [pickle, key_file] = ["pickle", "pickle-key"].map(|name| dir.path().join(name).display().to_string());
    std::fs::write(&key_file, "the pickle's key\n").unwrap();
    let variable = ("LAZARET_PICKLE_KEY", "the pickle's key");
    for (number, (args, variable)) in [
        (vec!["--from", &scanner], None),
        (vec!["--pickle", &pickle, "--pickle-key-file", &key_file], None),
        (vec!["--pickle", &pickle], Some(variable)),
        (vec!["--from", &scanner, "--pickle", &pickle, "--pickle-key-file", &key_file], None),
    ]
    .into_iter()
    .enumerate()
    {
        let target = dir.path().join(format!("secret-{number}"));
        let mut command = lazaret(&["migrate", "pickle"]);
        command.args(&args).arg("--output").arg(&target).envs(variable);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
        let secret = BASE64_STANDARD.encode(*key.secret_key().to_bytes());
        assert_eq!(std::fs::read_to_string(target).unwrap(), secret + "\n", "{args:?}");
    }
}

#[tokio::test]
async fn a_foreign_configuration_is_printed_and_its_warnings_apart() {
    let dir = tempfile::tempdir().unwrap();
    let scanner = scanner_with_pickle(dir.path(), &PkDecryption::new());
    let migrate = async |config: &str| {
        let output = lazaret(&["migrate", "mcs", config]).output().await.unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.success(), out, err)
    };
    let (succeeds, out, err) = migrate(&scanner).await;
    let made: serde_yaml::Value = serde_yaml::from_str(&out).unwrap();
    assert!(succeeds && made["listen"] == "127.0.0.1:8080", "{out}");
    assert!(
        err.contains(&format!("lazaret migrate pickle --from {scanner}")) && err.contains("lazaret check"),
        "{err}"
    );
    assert!(!out.contains("the pickle's key") && !err.contains("the pickle's key"));

    let ours = dir.path().join("lazaret.yaml").display().to_string();
    std::fs::write(&ours, "homeserver: {url: 'http://hs.test'}").unwrap();
    let (succeeds, out, err) = migrate(&ours).await;
    assert!(!succeeds && out.is_empty() && err.contains("configuration of Lazaret already"), "{err}");
}
