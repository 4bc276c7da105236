//! Over TLS.

use tokio::net::{TcpListener, TcpStream};

use super::{behind, is_not_ready, read};
use crate::harness::{FakeIcap, Homeserver, eicar, tls_for};

/// The address of what passes on in clear what it gets by TLS, and the file with its certificate.
async fn in_front_of(fake: &FakeIcap) -> (String, tempfile::NamedTempFile) {
    let (acceptor, ca) = tls_for(&["localhost"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("icaps://localhost:{}/scan", listener.local_addr().unwrap().port());
    let behind = fake.authority();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let Ok(mut outer) = acceptor.accept(stream).await else { return };
                let mut inner = TcpStream::connect(behind).await.unwrap();
                let _ended = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
            });
        }
    });
    (url, ca)
}

#[tokio::test]
async fn a_server_with_a_trusted_certificate_is_asked_over_tls() {
    let (homeserver, fake) = (Homeserver::start().await, FakeIcap::offering("Preview: 4\r\n").await);
    let (url, ca) = in_front_of(&fake).await;
    let app = behind(&homeserver, &url, &format!(", ca_file: '{}'", ca.path().display())).start().await;
    assert_eq!(read(&homeserver, &app, "m", b"a medium").await.status, 200);
    read(&homeserver, &app, "m", &eicar()).await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn a_server_with_another_certificate_or_none_is_told_nothing() {
    let (homeserver, fake) = (Homeserver::start().await, FakeIcap::start().await);
    let ((url, _ca), (_, other)) = (in_front_of(&fake).await, in_front_of(&fake).await);
    let in_clear = format!("icaps://{}/scan", fake.authority());
    for url in [url, in_clear] {
        let settings = format!(", ca_file: '{}'", other.path().display());
        let app = behind(&homeserver, &url, &settings).without_waiting().start().await;
        is_not_ready(&app, "cannot connect").await;
        read(&homeserver, &app, "m", b"a medium").await.assert_matrix_error(503, "M_UNKNOWN");
    }
    assert!(fake.asked_about(b"").is_empty());
}
