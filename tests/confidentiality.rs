//! What must not appear where others could read it.

use std::{os::unix::fs::FileExt, process::Stdio, sync::Arc};

use tokio::{io::AsyncReadExt, process::Command, sync::Notify};

use crate::harness::{
    AppBuilder, Clamd, Client, Homeserver, Script, ScriptedClamd, Stored, eicar, eventually, request, seal,
};

const TEXT: &[u8] = b"the plaintext of an attachment, long enough to be recognised";

/// Bytes of all files without a name that this process holds below `dir`.
fn held_below(dir: &std::path::Path) -> Vec<Vec<u8>> {
    let mut held = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if target.starts_with(dir) && target.to_string_lossy().ends_with("(deleted)") {
            let file = std::fs::File::open(entry.path()).unwrap();
            let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
            file.read_exact_at(&mut bytes, 0).unwrap();
            held.push(bytes);
        }
    }
    held
}

/// Invariant 5, in both ways that a plaintext can take: held in memory, and deciphered on the way to the engine.
#[tokio::test]
async fn the_plaintext_of_an_attachment_is_on_no_disk() {
    for memory in ["1MiB", "0"] {
        let homeserver = Homeserver::start().await;
        let finish = Arc::new(Notify::new());
        let clamd = ScriptedClamd::start(Script::held(&finish, b"stream: OK\0"));
        let settings = format!("limits: {{memory_bytes: {memory}}}\nspool: {{dir: DIR/spool, memory_threshold: 0}}");
        let app = AppBuilder::new(&homeserver).scripted(&clamd).with(&settings).start().await;
        let sealed = seal(TEXT, "m", 3);
        homeserver.put_media("m", &Stored::media(&sealed.ciphertext));

        let (body, scan) = (sealed.body(), "/_matrix/media_proxy/unstable/scan_encrypted");
        let scanning = app.post(scan, &body);
        tokio::pin!(scanning);
        tokio::select! {
            answer = scanning.as_mut() => panic!("{answer:?}"),
            () = clamd.has_received(1) => (),
        }
        assert_eq!(clamd.received.borrow()[0], TEXT, "the engine has the plaintext");
        let held = held_below(app.dir.path());
        assert_eq!(held, std::slice::from_ref(&sealed.ciphertext), "and the disk has the ciphertext and nothing else");
        finish.notify_one();
        assert_eq!(scanning.await.json()["clean"], true);
    }
}

#[tokio::test]
async fn tokens_keys_and_file_names_are_in_no_log() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let dir = tempfile::tempdir().unwrap();
    let ports: Vec<_> = (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = ports.iter().map(|port| port.local_addr().unwrap()).collect();
    drop(ports);
    let yaml = AppBuilder::new(&homeserver).clamd(&clamd).with("log: {level: trace, format: json}");
    let yaml = yaml.yaml(dir.path(), &addresses[0].to_string(), &addresses[1].to_string());
    std::fs::write(dir.path().join("lazaret.yaml"), yaml).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(["serve", "--config"])
        .arg(dir.path().join("lazaret.yaml"))
        .env_remove("RUST_LOG")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (client, admin) = (Client::new(addresses[0]), Client::new(addresses[1]));
    let ready =
        || async { admin.try_send(request("GET", "/readyz"), b"").await.is_ok_and(|answer| answer.status == 200) };
    eventually("the binary is ready", ready).await;

    let sealed = seal(&eicar(), "sealed", 9);
    homeserver.put_media("sealed", &Stored::media(&sealed.ciphertext));
    homeserver.put_media("m", &Stored::media(&eicar()));
    homeserver.put_media("broken", &Stored::media(b"").cut_short(b"x"));
    let with_token = |method, path: &str| request(method, path).header("authorization", "Bearer token-of-alice");
    for path in ["download/hs.test/m/name-of-file.txt", "download/hs.test/m", "download/hs.test/broken"] {
        let path = format!("/_matrix/media/v3/{path}?access_token=token-in-query");
        client.send(with_token("GET", &path), b"").await;
    }
    let upload = "/_matrix/media/v3/upload?filename=name-of-file.txt";
    client.send(with_token("POST", upload), &eicar()).await;
    client.send(with_token("POST", "/_matrix/client/v3/login"), b"password-of-alice").await;
    let over_http2 = "/_matrix/media/v3/download/hs.test/m?access_token=token-in-query";
    client.http2().send(with_token("GET", over_http2), b"").await;
    for route in ["scan_encrypted", "download_encrypted"] {
        let path = format!("/_matrix/media_proxy/unstable/{route}");
        client.send(request("POST", &path).header("authorization", "Bearer token"), &sealed.body()).await;
        client.send(with_token("POST", &path), br#"{"file":{"key":{"k":"secret-of-the-key"}}}"#).await;
    }

    let pid = rustix::process::Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut log = String::new();
    process.stderr.take().unwrap().read_to_string(&mut log).await.unwrap();
    assert!(process.wait().await.unwrap().success());
    assert!(log.contains("\"outcome\":\"infected\"") && log.contains("mxc://hs.test/sealed"), "it does log: {log}");
    assert!(log.lines().filter(|line| line.contains("\"answered\"")).all(|line| line.contains("\"id\":\"")), "{log}");
    let key = sealed.file["key"]["k"].as_str().unwrap();
    let hash = sealed.file["hashes"]["sha256"].as_str().unwrap();
    for secret in
        ["token-of-alice", "token-in-query", "password-of-alice", "secret-of-the-key", "name-of-file", key, hash]
    {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}
