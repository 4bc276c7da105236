//! The heads of media.

use super::{Stage, both, image, over_each, v1};
use crate::harness::{Answer, Flavour};

/// Passed on as the homeserver says it, if it does.
const KEPT: [&str; 8] = [
    "content-type",
    "content-disposition",
    "x-content-security-policy",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-expose-headers",
    "referrer-policy",
    "x-robots-tag",
];

/// With ages of a day at most, and without what lets a copy be used unasked.
fn cache_control(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::Synapse => "public, max-age=86400, s-maxage=0, proxy-revalidate",
        Flavour::Dendrite => "public, max-age=86400, s-maxage=86400",
        Flavour::Tuwunel | Flavour::Mmr => "private, max-age=86400",
    }
}

#[tokio::test]
async fn media_come_with_what_is_safe_to_say_and_what_should_have_been_said() {
    over_each(async |stage: Stage| {
        stage.server.put("small", &image(100), "image/png");
        stage.server.put("large", &image(200_000), "text/plain; charset=UTF-8");
        for (kind, id) in [("download", "small"), ("thumbnail", "small"), ("download", "large")] {
            // Not known, and known.
            for _ in 0..2 {
                let (through, direct) = both(&stage, "GET", &v1(kind, id)).await;
                let name = format!("{:?} {kind} {id}", stage.flavour);
                assert_head(&through, &direct, &name);
                assert_eq!(through.header("cache-control"), Some(cache_control(stage.flavour)), "{name}");
            }
        }
    })
    .await;
}

fn assert_head(through: &Answer, direct: &Answer, name: &str) {
    for kept in KEPT {
        assert_eq!(through.header(kept), direct.header(kept), "{name}: {kept}");
    }
    assert_eq!(through.header("x-content-type-options"), Some("nosniff"), "{name}");
    assert_eq!(through.header("cross-origin-resource-policy"), Some("cross-origin"), "{name}");
    let policy = through.header("content-security-policy").unwrap();
    assert!(direct.header("content-security-policy").is_none_or(|theirs| theirs == policy), "{name}");
    assert!(policy.starts_with("sandbox;"), "{name}: also where Synapse leaves it out");
    let tags: Vec<_> = through.headers.get_all("etag").iter().collect();
    assert!(tags.len() == 1 && tags[0] != "1", "{name}: {tags:?}");
    assert_eq!(through.header("content-length").unwrap(), direct.body.len().to_string(), "{name}");
    for dropped in ["set-cookie", "server", "accept-ranges", "transfer-encoding", "content-encoding"] {
        assert_eq!(through.header(dropped), None, "{name}: {dropped}");
    }
}

/// Dendrite has errors kept as long as media.
#[tokio::test]
async fn no_refusal_is_kept_by_anyone() {
    over_each(async |stage: Stage| {
        stage.server.put("bad", &crate::harness::eicar(), "image/png");
        for id in ["none", "bad"] {
            let answer = stage.app.get(&v1("download", id)).await;
            assert!(answer.status.is_client_error(), "{:?} {id}", stage.flavour);
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{:?} {id}", stage.flavour);
            for absent in ["etag", "content-disposition", "set-cookie"] {
                assert_eq!(answer.header(absent), None, "{:?} {id}: {absent}", stage.flavour);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn limits_are_the_smaller_of_both() {
    over_each(async |stage: Stage| {
        for path in ["/_matrix/client/v1/media/config", "/_matrix/media/v3/config", "/_matrix/media/r0/config"] {
            let limit = stage.app.get(path).await.json()["m.upload.size"].as_u64();
            let smaller = stage.flavour.largest_upload().min(20 << 20);
            assert_eq!(limit, Some(smaller), "{:?} {path}", stage.flavour);
        }
        assert_eq!(stage.app.client.get("/_matrix/client/v1/media/config").await.status, 401, "{:?}", stage.flavour);
    })
    .await;
}
