//! Validators of ours: what they confirm, and when no more.

use super::{SERVED, STREAMED, V1, knowing, medium, turn_infected};
use crate::harness::{Answer, App, AppBuilder, Clamd, Homeserver, Stored, marker, request};

const NOT_MODIFIED: &str = r#"lazaret_requests_total{outcome="not_modified",route="download"}"#;

async fn get_if(app: &App, name: &str, value: &str) -> Answer {
    app.client.send(request("GET", V1).header("authorization", "Bearer token").header(name, value), b"").await
}

#[tokio::test]
async fn a_current_copy_is_confirmed_without_a_byte() {
    let (homeserver, _clamd, app) = knowing("").await;
    let tag = app.get(V1).await.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.len() > 40, "strong, and not Synapse's 1: {tag}");
    for condition in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}")] {
        let answer = get_if(&app, "if-none-match", &condition).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0), "{condition}");
        assert_eq!((answer.header("etag"), answer.header("content-length")), (Some(&*tag), None));
    }
    for other in ["1", "\"1\"", "\"\"", "nonsense", "*"] {
        assert!(get_if(&app, "if-none-match", other).await.body == medium(), "{other}");
    }
    assert_eq!(app.metric(NOT_MODIFIED).await, 3);
    homeserver.put_media("m", &Stored::media(&[medium(), vec![0]].concat()));
    let changed = get_if(&app, "if-none-match", &tag).await;
    assert!(changed.status == 200 && changed.header("etag").unwrap() != tag);
}

/// A browser keeps for a day what it was given, and asks with what it has.
#[tokio::test]
async fn a_copy_is_not_confirmed_after_its_verdict_changed() {
    for len in [20, 200_000] {
        let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
        let app = AppBuilder::new(&homeserver).clamd(&clamd).start().await;
        let medium = [&b"to be learned"[..], &vec![b'.'; len]].concat();
        homeserver.put_media("m", &Stored::media(&medium));
        let tag = app.get(V1).await.header("etag").unwrap().to_owned();
        assert_eq!(get_if(&app, "if-none-match", &tag).await.status, 304);
        turn_infected(&app, &clamd, "to be learned").await;
        for _ in 0..2 {
            get_if(&app, "if-none-match", &tag).await.assert_matrix_error(403, "M_FORBIDDEN");
        }
    }
}

#[tokio::test]
async fn a_part_is_one_of_all_that_was_compared() {
    let (homeserver, _clamd, app) = knowing("").await;
    let answer = get_if(&app, "range", "bytes=150000-150009").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, &medium()[150_000..150_010]));
    assert_eq!(answer.header("content-range"), Some("bytes 150000-150009/204800"));
    assert_eq!((app.metric(SERVED).await, app.metric(STREAMED).await), (2, 0), "from the spool");
    for whole in ["bytes=9-0", "bytes=0-1,3-4", "lines=1-2"] {
        assert!(get_if(&app, "range", whole).await.body == medium(), "{whole}");
    }
    let behind = get_if(&app, "range", "bytes=204800-").await;
    behind.assert_matrix_error(416, "M_INVALID_PARAM");
    assert_eq!(behind.header("content-range"), Some("bytes */204800"));
    homeserver.put_media("m", &Stored::media(&marker(204_800)));
    get_if(&app, "range", "bytes=0-9").await.assert_matrix_error(403, "M_FORBIDDEN");
}

#[tokio::test]
async fn head_of_a_known_medium_has_the_head_of_get() {
    let (_homeserver, _clamd, app) = knowing("").await;
    let get = app.get(V1).await;
    let head = app.client.send(request("HEAD", V1).header("authorization", "Bearer token"), b"").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    for name in ["etag", "content-length", "content-type", "content-security-policy", "cache-control"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}
