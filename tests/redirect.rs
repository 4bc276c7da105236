//! Redirects of the homeserver, followed to an https server.

use std::{error::Error, time::Duration};

use http::{HeaderValue, Response, header};
use http_body_util::BodyExt;
use lazaret::{
    body::Body,
    upstream::redirect::{Config, Follower, RedirectError, Refusal, check},
};
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;

use crate::harness::{Cdn, Stored};

/// Stands for the signature of a URL, which must never be told to anyone.
const SECRET: &str = "X-Signature=deadbeef";

fn config(yaml: &str) -> Config {
    #[derive(serde::Deserialize)]
    struct Sections {
        redirects: Config,
    }
    serde_yaml::from_str::<Sections>(yaml).unwrap().redirects
}

fn follower(config: &Config) -> Follower {
    Follower::new(config, Duration::from_secs(20), &Registry::new()).unwrap()
}

async fn fetch(config: &Config, location: &str) -> Result<Response<Body>, RedirectError> {
    follower(config).fetch(&HeaderValue::from_str(location).unwrap()).await
}

/// The error of what must fail, once it is shown that neither it nor what caused it tells the query.
async fn failure(config: &Config, location: &str) -> RedirectError {
    let error = fetch(config, &format!("{location}?{SECRET}")).await.map(Response::into_parts).err();
    let error = error.unwrap_or_else(|| panic!("{location} was followed"));
    tells_no_secret(&error);
    error
}

fn tells_no_secret(error: &(dyn Error + 'static)) {
    for error in std::iter::successors(Some(error), |&error| error.source()) {
        let told = format!("{error} {error:?}");
        assert!(!told.contains("deadbeef"), "{told}");
    }
}

async fn bytes(answer: Response<Body>) -> Vec<u8> {
    answer.into_body().collect().await.unwrap().to_bytes().into()
}

#[tokio::test]
async fn what_a_redirect_leads_to_is_fetched_with_what_describes_it() {
    let cdn = Cdn::start().await;
    let body: Vec<u8> = (0..300_000_u32).map(|i| (i % 253) as u8).collect();
    let headers = [
        ("content-type", "image/png"),
        ("content-disposition", "inline; filename=x.png"),
        ("cache-control", "immutable"),
        ("set-cookie", "session=1"),
        ("x-amz-request-id", "1"),
    ];
    cdn.put("/m", &body, &headers);
    for url in [cdn.url("/m?sig=a%2Fb"), cdn.url_by_name("/m?sig=a%2Fb")] {
        let answer = fetch(&config(&cdn.settings()), &url).await.unwrap();
        let mut names: Vec<_> = answer.headers().keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-disposition", "content-length", "content-type"]);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "image/png");
        assert_eq!(answer.headers()[header::CONTENT_LENGTH], "300000");
        assert!(bytes(answer).await == body);
        assert_eq!(cdn.seen().pop().unwrap().target, "/m?sig=a%2Fb");
    }
}

#[tokio::test]
async fn nothing_is_sent_but_a_bare_request() {
    let cdn = Cdn::start().await;
    cdn.put_redirect("/first", 307, &cdn.url("/m"));
    cdn.put("/m", b"medium", &[("set-cookie", "session=1")]);
    let follower = follower(&config(&cdn.settings()));
    for path in ["/m", "/first"] {
        follower.fetch(&HeaderValue::from_str(&cdn.url(path)).unwrap()).await.unwrap();
    }
    let seen = cdn.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        assert_eq!(request.method, "GET");
        let mut names: Vec<_> = request.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "no Authorization, Cookie or Referer");
        assert_eq!(request.header("user-agent"), Some("lazaret"));
        assert_eq!(request.header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn three_further_redirects_are_followed_and_a_fourth_is_not() {
    let cdn = Cdn::start().await;
    for (hop, status) in [(4, 301), (3, 302), (2, 307), (1, 308)] {
        cdn.put_redirect(&format!("/{hop}"), status, &cdn.url(&format!("/{}", hop - 1)));
    }
    cdn.put("/0", b"medium", &[]);
    let config = config(&cdn.settings());
    assert_eq!(bytes(fetch(&config, &cdn.url("/3")).await.unwrap()).await, b"medium");
    let error = failure(&config, &cdn.url("/4")).await;
    assert!(matches!(error, RedirectError::Refused(Refusal::TooMany)), "{error}");
    let targets: Vec<_> = cdn.seen().into_iter().skip(4).map(|seen| seen.target).collect();
    assert_eq!(targets, ["/4?X-Signature=deadbeef", "/3", "/2", "/1"], "the medium was not asked for");
}

#[tokio::test]
async fn every_hop_is_judged_alike() {
    let (cdn, other) = (Cdn::start().await, Cdn::start().await);
    let plain = cdn.url("/m").replace("https:", "http:");
    for (path, location) in [
        ("/unlisted", other.url("/m")),
        ("/plain", plain),
        ("/relative", "/m".to_owned()),
        ("/credentials", cdn.url("/m").replace("https://", "https://user:pass@")),
    ] {
        cdn.put_redirect(path, 307, &format!("{location}?{SECRET}"));
    }
    cdn.put("/m", b"medium", &[]);
    other.put("/m", b"medium", &[]);
    let config = config(&cdn.settings());
    let refusal = async |path| match failure(&config, &cdn.url(path)).await {
        RedirectError::Refused(refusal) => refusal,
        error => panic!("{path}: {error}"),
    };
    assert!(matches!(refusal("/unlisted").await, Refusal::NotListed(_)));
    assert_eq!(refusal("/plain").await, Refusal::NotHttps);
    assert_eq!(refusal("/relative").await, Refusal::NoUrl);
    assert_eq!(refusal("/credentials").await, Refusal::Credentials);
    assert!(other.seen().is_empty());
    assert_eq!(cdn.seen().len(), 4, "the first hops");
}

#[tokio::test]
async fn a_listed_host_in_a_private_network_is_not_connected_to_unless_that_is_named_too() {
    let cdn = Cdn::start().await;
    cdn.put("/m", b"medium", &[]);
    let named = config(&cdn.settings());
    let unnamed = Config { private_networks: Vec::new(), ..named.clone() };
    for url in [cdn.url("/m"), cdn.url_by_name("/m")] {
        let error = failure(&unnamed, &url).await;
        assert!(matches!(error, RedirectError::Refused(Refusal::Private(_))), "{error}");
        assert!(cdn.seen().is_empty());
    }
    for url in [cdn.url("/m"), cdn.url_by_name("/m")] {
        assert!(fetch(&named, &url).await.is_ok(), "{url}");
    }
}

#[tokio::test]
async fn nobody_is_believed_without_a_certificate_that_is_trusted() {
    let (cdn, other) = (Cdn::start().await, Cdn::start().await);
    cdn.put("/m", b"medium", &[]);
    let config = Config { ca_file: Some(other.ca_file().to_owned()), ..config(&cdn.settings()) };
    let error = failure(&config, &cdn.url("/m")).await;
    assert!(matches!(error, RedirectError::Unreachable(..)), "{error}");
    assert!(cdn.seen().is_empty());
}

#[tokio::test]
async fn an_encoded_body_comes_as_it_is_and_says_so() {
    let cdn = Cdn::start().await;
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    cdn.put("/m", gzip, &[("content-encoding", "gzip"), ("content-encoding", "br")]);
    let answer = fetch(&config(&cdn.settings()), &cdn.url("/m")).await.unwrap();
    let encodings: Vec<_> = answer.headers().get_all(header::CONTENT_ENCODING).iter().collect();
    assert_eq!(encodings, ["gzip", "br"]);
    assert_eq!(bytes(answer).await, gzip);
}

#[tokio::test]
async fn answers_that_are_no_medium_are_failures() {
    let cdn = Cdn::start().await;
    for status in [201, 204, 206, 304, 403, 404, 500] {
        cdn.put_stored("/m", Stored::media(b"").status(status).header("location", &cdn.url("/m")));
        let error = failure(&config(&cdn.settings()), &cdn.url("/m")).await;
        assert!(matches!(error, RedirectError::Status(_, seen) if seen == status), "{error}");
    }
    cdn.put_stored("/m", Stored::media(b"").status(307));
    let error = failure(&config(&cdn.settings()), &cdn.url("/m")).await;
    assert!(matches!(error, RedirectError::Status(_, seen) if seen == 307), "leads nowhere: {error}");
}

#[tokio::test]
async fn more_headers_than_anyone_needs_are_a_failure() {
    let cdn = Cdn::start().await;
    for (bytes, accepted) in [(32 * 1024, true), (64 * 1024, false), (1024 * 1024, false)] {
        cdn.put("/m", b"medium", &[("x-filler", &"x".repeat(bytes))]);
        let answer = fetch(&config(&cdn.settings()), &cdn.url("/m")).await;
        assert_eq!(answer.is_ok(), accepted, "{bytes}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_is_waited_for_no_longer_than_configured() {
    let cdn = Cdn::start().await;
    cdn.put_stored("/silent", Stored::silent());
    let config = Config { timeout: Duration::from_millis(300), ..config(&cdn.settings()) };
    let error = failure(&config, &cdn.url("/silent")).await;
    assert!(matches!(error, RedirectError::Timeout(_)), "{error}");
    assert_eq!(cdn.seen().len(), 1, "it was asked");

    // One that takes connections, and has nothing to say in their handshake.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = mute.local_addr().unwrap().to_string();
    let config = Config { hosts: vec![address.clone().try_into().unwrap()], ..config };
    let error = failure(&config, &format!("https://{address}/m")).await;
    assert!(matches!(error, RedirectError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_that_tells_no_url() {
    let cdn = Cdn::start().await;
    cdn.put_stored("/m", Stored::media(b"").cut_short(b"med"));
    let answer = fetch(&config(&cdn.settings()), &cdn.url(&format!("/m?{SECRET}"))).await.unwrap();
    let error = answer.into_body().collect().await.unwrap_err();
    tells_no_secret(&*error);
}

#[tokio::test]
async fn redirects_are_counted_by_how_they_end() {
    let cdn = Cdn::start().await;
    cdn.put("/m", b"medium", &[]);
    cdn.put_redirect("/first", 307, &cdn.url("/m"));
    let registry = Registry::new();
    let follower = Follower::new(&config(&cdn.settings()), Duration::from_secs(20), &registry).unwrap();
    let counted = |outcome: &str| {
        let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        let series = format!("lazaret_redirects_total{{outcome=\"{outcome}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("{series}is not in {text}")).parse::<u32>().unwrap()
    };
    assert_eq!(["followed", "refused", "failed"].map(counted), [0, 0, 0], "all are there from the start");
    for location in [cdn.url("/first"), cdn.url("/m"), "http://x/".to_owned(), cdn.url("/none")] {
        let _ = follower.fetch(&HeaderValue::from_str(&location).unwrap()).await;
    }
    assert_eq!(["followed", "refused", "failed"].map(counted), [2, 1, 1]);
}

#[test]
fn a_file_of_authorities_is_proven_before_it_is_needed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_owned(), file.path().join("none")] {
        let error = check(&Config { ca_file: Some(path), ..Config::default() }).unwrap_err().to_string();
        assert!(error.starts_with("redirects.ca_file /"), "{error}");
    }
    assert!(check(&Config::default()).is_ok());
}
