use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

/// With the default settings.
fn classify(method: &Method, path: &str) -> Route {
    super::classify(&Config::default(), method, path)
}

fn get(path: &str) -> Route {
    classify(&Method::GET, path)
}

fn with(yaml: &str) -> Config {
    serde_yaml::from_str(yaml).unwrap()
}

fn media() -> MediaRef {
    MediaRef::from_segments("hs.test", "abc").unwrap()
}

#[test]
fn native_reads_are_inspected() {
    for prefix in ["/_matrix/client/v1/media", "/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/media/v1"] {
        for (path, kind) in [
            ("download/hs.test/abc", Kind::Full),
            ("download/hs.test/abc/", Kind::Full),
            ("download/hs.test/abc/name.png", Kind::Full),
            ("download/hs.test/abc/x%2Fy", Kind::Full),
            ("download/hs%2Etest/%61bc", Kind::Full),
            ("thumbnail/hs.test/abc", Kind::Thumbnail),
        ] {
            let is_legacy = prefix.starts_with("/_matrix/media/");
            let expected = Route::Download(Download { media: media(), kind, is_legacy });
            assert_eq!(get(&format!("{prefix}/{path}")), expected);
            assert_eq!(classify(&Method::HEAD, &format!("{prefix}/{path}")), expected);
        }
    }
}

#[test]
fn uploads_are_inspected() {
    for version in ["v3", "r0", "v1"] {
        assert_eq!(classify(&Method::POST, &format!("/_matrix/media/{version}/upload")), Route::Upload);
    }
    assert_eq!(classify(&Method::PUT, "/_matrix/media/v3/upload/hs.test/abc"), Route::Upload);
}

#[test]
fn metadata_and_everything_else_passes() {
    for path in [
        "/",
        "/_matrix/client/versions",
        "/_matrix/client/v3/sync",
        "/_matrix/media/v3/preview_url",
        "/_matrix/client/v3/rooms/!r:hs.test/state/m.room.message/media",
        "/_matrix/client/v3/user/@u:hs.test/account_data/media",
        "/_matrix/client/v3/profile/@media:hs.test",
        "/_matrix/federation/v1/send/123",
        "/_matrix/key/v2/server",
        "/_synapse/client/oidc/callback",
        "/_synapse/administration",
        "/.well-known/matrix/client",
        "/media/logo.png",
    ] {
        assert_eq!(get(path), Route::Passthrough, "{path}");
    }
}

#[test]
fn answers_that_are_changed_have_routes_of_their_own() {
    assert_eq!(classify(&Method::POST, "/_matrix/media/v1/create"), Route::Create);
    for prefix in ["/_matrix/client/v1/media", "/_matrix/media/v3", "/_matrix/media/r0", "/_matrix/media/v1"] {
        assert_eq!(get(&format!("{prefix}/config")), Route::MediaConfig);
    }
}

#[test]
fn legacy_reads_can_be_closed_but_for_icons() {
    let config = with("{legacy_media: deny, legacy_icons: ['mxc://hs.test/icon']}");
    let get = |path: &str| super::classify(&config, &Method::GET, path);
    for version in ["v3", "r0", "v1"] {
        assert_eq!(get(&format!("/_matrix/media/{version}/download/hs.test/abc")), Route::Closed);
        assert_eq!(get(&format!("/_matrix/media/{version}/thumbnail/hs%2etest/abc")), Route::Closed);
        let icon = get(&format!("/_matrix/media/{version}/download/hs.test/%69con"));
        assert!(matches!(icon, Route::Download(_)), "{icon:?}");
    }
    assert!(matches!(get("/_matrix/client/v1/media/download/hs.test/abc"), Route::Download(_)));
    assert_eq!(super::classify(&config, &Method::POST, "/_matrix/media/v3/upload"), Route::Upload);
}

#[test]
fn denied_prefixes_are_refused_however_they_are_written() {
    for path in [
        "/_synapse/admin",
        "/_synapse/admin/v1/users",
        "/_synapse/admin/v1/media/hs.test/abc",
        "/_synapse//admin/v1/users",
        "/_synapse/%61dmin/v1/users",
        "/_synapse/client/../admin/v1/users",
        "/_synapse\\admin\\v1",
        "/_SYNAPSE/Admin/v1/users",
        "/x/%2e%2e/_synapse/admin",
    ] {
        assert_eq!(get(path), Route::Unrecognized, "{path}");
    }
    let config = with("{deny: []}");
    assert_eq!(super::classify(&config, &Method::GET, "/_synapse/admin/v1/users"), Route::Passthrough);
    let config = with("{deny: [/_matrix/client/v1/media/download/evil.test]}");
    let spelled = "/_matrix/client/v1/media/download/%65vil.test/abc";
    assert_eq!(super::classify(&config, &Method::GET, spelled), Route::Unrecognized);
    let config = with("{deny: [/_matrix/media/r0]}");
    assert_eq!(super::classify(&config, &Method::GET, "/_matrix/media/r0/download/hs.test/abc"), Route::Unrecognized);
}

#[test]
fn closed_routes_can_be_opened_and_lead_nowhere_else() {
    let config = with("{pass: [/_matrix/media/unstable/admin, /_matrix/media/r0/identicon]}");
    let post = |path: &str| super::classify(&config, &Method::POST, path);
    assert_eq!(post("/_matrix/media/unstable/admin/purge/old"), Route::Passthrough);
    assert_eq!(post("/_matrix/media/r0/identicon/x"), Route::Passthrough);
    assert_eq!(post("/_matrix/media/unstable/local_copy/hs.test/abc"), Route::Unrecognized);
    assert_eq!(post("/_matrix/media/unstable/admin/../../v3/download/hs.test/abc"), Route::Unrecognized);
    assert_eq!(post("/_matrix/media/unstable/admin/%2e%2e/%2e%2e/v3/upload"), Route::Unrecognized);
}

#[test]
fn what_looks_like_media_and_is_none_is_refused() {
    for path in [
        "/_matrix/media",
        "/_matrix/media/",
        "/_matrix/media/v3",
        "/_matrix/media/v3/download",
        "/_matrix/media/v3/download/hs.test",
        "/_matrix/media/v3/download/hs.test/",
        "/_matrix/media/v3/download/../abc",
        "/_matrix/media/v3/download/hs.test/a/b/c",
        "/_matrix/media/v3/download/hs.test/a%2Fb",
        "/_matrix/media/v3/download/hs.test/a%252Fb",
        "/_matrix/media/v3/thumbnail/hs.test/abc/",
        "/_matrix/media/v3/upload/",
        "/_matrix/media/v3/create",
        "/_matrix/media/v2/download/hs.test/abc",
        "/_matrix/media/unstable/fi.mau.msc2246/create",
        "/_matrix/media/unstable/admin/export/x",
        "/_matrix/media/v3/%64ownload/hs.test/abc",
        "/_matrix/%6dedia/v3/download/hs.test/abc",
        "/%5fmatrix/media/v3/download/hs.test/abc",
        "/_matrix/%256dedia/v3/download/hs.test/abc",
        "//_matrix/media/v3/download/hs.test/abc",
        "/_matrix//media/v3/download/hs.test/abc",
        "/_matrix/./media/v3/download/hs.test/abc",
        "/_matrix/client/../media/v3/download/hs.test/abc",
        "/_matrix/client/%2e%2e/media/v3/download/hs.test/abc",
        "/_matrix/client/v1/../v1/media/download/hs.test/abc",
        "/_matrix/client%2Fv1%2Fmedia/download/hs.test/abc",
        "/_matrix\\media\\v3\\download\\hs.test\\abc",
        "/_matrix/media;x/v3/download/hs.test/abc",
        "/_MATRIX/Media/v3/download/hs.test/abc",
        "/_matrix/media%20/v3/download/hs.test/abc",
        "/_matrix/media%00/v3/download/hs.test/abc",
        "/x/../_matrix/media/v3/download/hs.test/abc",
        "/_matrix/client/unstable/org.matrix.msc3916/media/download/hs.test/abc",
        "/_matrix/client/v3/media/download/hs.test/abc",
        "/_matrix/client/v1/Media/download/hs.test/abc",
        "/_matrix/media_proxy/unstable",
        "/_matrix/media_proxy/unstable/public_key/",
        "/_matrix/media_proxy/v1/public_key",
        "/a/b/c/d/e/.%20./.%20./.%20./.%20./.%20./_matrix/media/v3/download/hs.test/abc",
        "/_matrix/%25252525256dedia/v3/download/hs.test/abc",
    ] {
        assert_eq!(get(path), Route::Unrecognized, "{path}");
    }
}

#[test]
fn federation_reads_are_inspected() {
    assert_eq!(get("/_matrix/federation/v1/media/download/abc"), Route::Federation(Kind::Full));
    assert_eq!(get("/_matrix/federation/v1/media/thumbnail/%61bc"), Route::Federation(Kind::Thumbnail));
    let head = classify(&Method::HEAD, "/_matrix/federation/v1/media/download/abc");
    assert_eq!(head, Route::WrongMethod, "the method is signed, so it cannot be asked for as a GET");
    for path in [
        "/_matrix/federation/v1/media/download/a%2Fb",
        "/_matrix/federation/v1/media/download/abc/x",
        "/_matrix/federation/v1/media/download/",
        "/_matrix/federation/v1/media/upload",
        "/_matrix/federation/v2/media/download/abc",
        "/_matrix/federation/unstable/org.matrix.msc3916.v2/media/download/abc",
        "/_matrix/federation/v1/%6dedia/download/abc",
    ] {
        assert_eq!(get(path), Route::Unrecognized, "{path}");
    }
}

#[test]
fn scanner_routes_answer_for_malformed_addresses_too() {
    let scanner = |path: &str| get(&format!("/_matrix/media_proxy/unstable/{path}"));
    assert_eq!(scanner("public_key"), Route::Scanner(Scanner::PublicKey));
    assert_eq!(scanner("scan/hs.test/abc"), Route::Scanner(Scanner::Scan(Ok(media()))));
    assert_eq!(scanner("thumbnail/hs.test/abc"), Route::Scanner(Scanner::Thumbnail(Ok(media()))));
    for slash in ["%2F", "%2f"] {
        assert_eq!(scanner(&format!("scan/hs.test{slash}abc")), Route::Scanner(Scanner::Scan(Ok(media()))));
    }
    for path in [
        "download",
        "download/hs.test",
        "download/hs.test/abc/",
        "download/hs.test/abc/x",
        "download/..%2Fpreview_url/abc",
        "download/..%2Fpreview_url",
        "download/hs.test%2Fabc%2Fx",
        "download/hs.test%2F%2Fabc",
        "download/hs.test%252Fabc",
        "download//hs.test/abc",
    ] {
        assert_eq!(scanner(path), Route::Scanner(Scanner::Download(Err(MalformedMedia))), "{path}");
    }
    assert_eq!(
        classify(&Method::POST, "/_matrix/media_proxy/unstable/scan_encrypted"),
        Route::Scanner(Scanner::ScanEncrypted)
    );
}

#[test]
fn doubled_slashes_lead_to_the_scanner_route_without_them_and_nowhere_else() {
    let moved = |rest: &str| Route::Moved(format!("/_matrix/media_proxy/unstable/{rest}"));
    for (path, rest) in [
        ("/_matrix/media_proxy/unstable//public_key", "public_key"),
        ("/_matrix/media_proxy/unstable///public_key", "public_key"),
        ("//_matrix//media_proxy/unstable/public_key", "public_key"),
        ("/_matrix/media_proxy//unstable/scan/hs.test/abc", "scan/hs.test/abc"),
        ("/_matrix/media_proxy/unstable//scan/hs.test", "scan/hs.test"),
        ("/_matrix/media_proxy/unstable//download/hs.test//abc/", "download/hs.test/abc/"),
    ] {
        assert_eq!(get(path), moved(rest), "{path}");
        assert_eq!(classify(&Method::HEAD, path), moved(rest), "{path}");
    }
    assert_eq!(classify(&Method::POST, "/_matrix/media_proxy/unstable//scan_file"), moved("scan_file"));
    for path in [
        "/_matrix/media_proxy/unstable//public_key/",
        "/_matrix/media_proxy/unstable//scan_encrypted",
        "/_matrix/media_proxy/unstable//nope",
        "/_matrix/media_proxy/unstable//",
        "//evil.test/_matrix/media_proxy/unstable/public_key",
        "/_matrix/media_proxy//%2e%2e/unstable/public_key",
        "/_matrix/media//v3/download/hs.test/abc",
        "//_matrix/media/v3/download/hs.test/abc",
    ] {
        let route = get(path);
        assert!(matches!(route, Route::Unrecognized | Route::Passthrough), "{path}: {route:?}");
    }
    let denied = with("{deny: [/_matrix/media_proxy]}");
    let path = "/_matrix/media_proxy/unstable//public_key";
    assert_eq!(super::classify(&denied, &Method::GET, path), Route::Unrecognized);
}

#[test]
fn other_methods_are_told_so_and_preflights_are_ours() {
    for path in ["/_matrix/media/v3/download/hs.test/abc", "/_matrix/media_proxy/unstable/scan/hs.test/abc"] {
        for method in ["POST", "DELETE", "get", "CONNECT"] {
            assert_eq!(classify(&method.parse().unwrap(), path), Route::WrongMethod, "{method}");
        }
        assert_eq!(classify(&Method::OPTIONS, path), Route::Preflight);
    }
    assert_eq!(classify(&Method::POST, "/_matrix/media/v3/config"), Route::WrongMethod);
    assert_eq!(get("/_matrix/media/v1/create"), Route::WrongMethod);
    assert_eq!(get("/_matrix/media/v3/upload"), Route::WrongMethod);
    assert_eq!(classify(&Method::PUT, "/_matrix/media/v3/upload"), Route::WrongMethod);
}

/// Synapse's uploads, under any of the methods that take one.
fn synapse_stores(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["", "_matrix", "media", "v3" | "r0" | "v1", "upload"] | ["", "_matrix", "media", "v3", "upload", _, _]
    )
}

/// Synapse: patterns on the raw path, then each group is unquoted.
fn synapse_serves(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    if synapse_stores(&parts) {
        return true;
    }
    let media = match parts.as_slice() {
        ["", "_matrix", "media", "v3" | "r0" | "v1", rest @ ..] => rest,
        ["", "_matrix", "client", "v1", "media", rest @ ..] => rest,
        ["", "_matrix", "federation", "v1", "media", "download" | "thumbnail", id] => return !id.is_empty(),
        _ => return false,
    };
    matches!(media, ["download" | "thumbnail", _, _] | ["download", _, _, _])
}

/// A router that decodes, merges slashes, resolves dots and ignores case before it matches.
fn forgiving_router_serves(path: &str) -> bool {
    let once = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut segments: Vec<String> = Vec::new();
    for segment in once.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        match segment {
            ".." => _ = segments.pop(),
            name => segments.push(name.to_ascii_lowercase()),
        }
    }
    synapse_serves(&format!("/{}", segments.join("/")))
}

/// Pieces that paths around media are made of, and the tricks that hide them.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "_matrix", "media", "client", "federation", "v1", "v3", "r0", "unstable", "download", "thumbnail", "hs.test",
            "abc", "media_proxy", "upload", "org.matrix.msc3916",
        ]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["..", ".", "", "%2e%2e", "%2E", "%2F", "..%2f", "%5C", ";x", "%25", "%00", "a%2Fb"])
            .prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
    ]
}

/// Percent-encodes some of the characters, changes the case of some.
fn disguise(text: &str, how: &[u8]) -> String {
    text.chars()
        .zip(how.iter().cycle())
        .map(|(c, how)| match how % 12 {
            0 if c != '/' => format!("%{:02x}", c as u32),
            1 if c != '/' => format!("%{:02X}", c as u32),
            2 => c.to_ascii_uppercase().to_string(),
            _ => c.to_string(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_path_that_a_homeserver_serves_as_media_is_passed_through(
        pieces in prop::collection::vec(piece(), 0..9),
        how in prop::collection::vec(any::<u8>(), 1..40),
        plain: bool,
    ) {
        let path = format!("/{}", pieces.join("/"));
        let path = if plain { path } else { disguise(&path, &how) };
        if synapse_serves(&path) || forgiving_router_serves(&path) {
            for method in [Method::GET, Method::POST, Method::PUT] {
                prop_assert_ne!(classify(&method, &path), Route::Passthrough, "{} {}", method, path);
            }
        }
    }

    #[test]
    fn a_disguised_media_path_is_never_passed_through(
        base in prop::sample::select(vec![
            "/_matrix/media/v3/download/hs.test/abc", "/_matrix/client/v1/media/thumbnail/hs.test/abc",
            "/_matrix/media/v3/upload", "/_matrix/media/v3/upload/hs.test/abc",
            "/_matrix/federation/v1/media/download/abc", "/x/../_matrix//media/r0/download/hs.test/abc",
        ]),
        how in prop::collection::vec(any::<u8>(), 1..40),
        rounds in 1..4_usize,
    ) {
        let path = (0..rounds).fold(base.to_owned(), |path, _| disguise(&path, &how));
        prop_assert_ne!(get(&path), Route::Passthrough, "{}", path);
    }

    #[test]
    fn any_text_is_classified(path in "\\PC{0,60}", method in "[A-Z]{1,8}") {
        classify(&method.parse().unwrap(), &path);
    }
}
