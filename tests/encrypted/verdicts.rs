//! What is said of clean and infected attachments of all sizes, and what comes back of them.

use super::{assert_clean, assert_infected, public_key, put, with_envelope};
use crate::harness::{eicar, marker, start};

#[tokio::test]
async fn clean_attachments_are_called_clean_and_come_back_as_ciphertext() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    // Around the size of a block, and more than is read at once.
    for size in [0, 1, 15, 16, 17, 1_000_001] {
        let sealed = put(&homeserver, &vec![b'x'; size], "m", 1);
        assert_clean(&app, &sealed.body(), &sealed.ciphertext, &format!("{size} bytes, in clear")).await;
        assert_eq!(homeserver.last().target, "/_matrix/client/v1/media/download/hs.test/m");
        let sealed = put(&homeserver, &vec![b'y'; size], "m", 2);
        let body = with_envelope(key, &sealed.file);
        assert_clean(&app, &body, &sealed.ciphertext, &format!("{size} bytes, in an envelope")).await;
    }
}

#[tokio::test]
async fn infected_attachments_are_called_infected_and_refused() {
    let (homeserver, _clamd, app) = start().await;
    let key = public_key(&app).await;
    for (number, plaintext) in [(1, eicar()), (2, marker(5 << 20))] {
        let sealed = put(&homeserver, &plaintext, "m", number);
        assert_infected(&app, &sealed.body(), "in clear").await;
        assert_infected(&app, &with_envelope(key, &sealed.file), "in an envelope").await;
    }
}
