//! Row 25: places that the homeserver points to.

use super::V1;
use crate::harness::{App, AppBuilder, Cdn, Clamd, Flavour, Homeserver, Stored, eicar};

const FEDERATION: &str = "/_matrix/federation/v1/media/download/m";

/// A redirect that is passed on hands out what nobody scanned, and one that is followed blindly reaches into our network.
#[tokio::test]
async fn row_25_redirects_lead_to_listed_hosts_only_and_never_to_the_client() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let (listed, other, inside) = (Cdn::start().await, Cdn::start().await, Homeserver::start().await);
    for cdn in [&listed, &other] {
        cdn.put("/harmless", b"harmless", &[("content-type", "image/png")]);
        cdn.put("/infected", &eicar(), &[("content-type", "image/png")]);
        cdn.put_redirect("/on", 302, &inside.url());
    }
    let app = AppBuilder::new(&homeserver).clamd(&clamd).with(&listed.settings()).start().await;
    for location in [
        other.url("/infected"),
        other.url("/harmless"),
        listed.url("/on"),
        listed.url("/harmless").replace("https:", "http:"),
        format!("{}/_synapse/admin/v1/users", homeserver.url()),
        inside.url(),
        "/_matrix/client/v1/media/download/hs.test/n".to_owned(),
        format!("https://localhost@{}/harmless", authority(&other)),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[::1]/".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        for status in [301, 302, 303, 307, 308] {
            point(&homeserver, status, &location);
            let answer = app.get(V1).await;
            answer.assert_matrix_error(502, "M_UNKNOWN");
            assert_eq!(answer.header("location"), None, "{location}");
        }
        refuses_federation(&app, &location).await;
    }
    assert!(inside.seen().is_empty(), "{:?}", inside.seen());
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    assert!(homeserver.seen().iter().all(|seen| [V1, FEDERATION].contains(&seen.target.as_str())));

    point(&homeserver, 307, &listed.url("/infected"));
    app.get(V1).await.assert_matrix_error(403, "M_FORBIDDEN");
    refuses_federation(&app, &listed.url("/infected")).await;
    point(&homeserver, 307, &listed.url("/harmless"));
    assert_eq!(&app.get(V1).await.body[..], b"harmless");
    let federated = app.get(FEDERATION).await;
    assert_eq!(federated.status, 200);
    assert!(federated.text().contains("\r\n\r\nharmless\r\n--") && !federated.text().contains("Location"));
}

/// Has the homeserver send clients and other homeservers to a place.
fn point(homeserver: &Homeserver, status: u16, location: &str) {
    homeserver.put_media("m", &Stored::media(&eicar()).status(status).header("location", location));
    homeserver.put(FEDERATION, Flavour::Mmr.multipart_elsewhere(location));
}

async fn refuses_federation(app: &App, location: &str) {
    let answer = app.get(FEDERATION).await;
    assert_eq!(answer.status, 404, "{location}: {answer:?}");
    answer.assert_matrix_error(404, "M_NOT_FOUND");
}

fn authority(cdn: &Cdn) -> String {
    cdn.url("").replace("https://", "")
}
