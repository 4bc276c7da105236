use std::path::PathBuf;

use serde_yaml::Value;

use super::{draft::Draft, *};

/// All settings of the Python implementation, as in its current version.
const PYTHON: &str = r#"
web: {host: 127.0.0.1, port: 8080}
scan:
  script: ./scan.sh
  temp_directory: /tmp
  removal_command: srm
  allowed_mimetypes: [image/jpeg, text/plain]
result_cache: {exit_codes_to_ignore: [1, 2], max_size: 2048, ttl: 1d, max_file_size: 100MB}
download:
  base_homeserver_url: https://matrix.example.org/
  proxy: "http://user:proxy-password@10.0.0.1:3128"
  additional_headers: {user-agent: "scanner: 1", x-token: "header-secret"}
  headers_to_forward: [Host, X-Tenant]
crypto: {request_secret_path: ./request_secret}
"#;

/// As a chart for several homeservers writes it: in a container, with an ICAP client for a script.
const CHART: &str = r#"
web: {host: 0.0.0.0, port: 8080}
scan: {script: /data/avscan.sh, temp_directory: /scan-temp, removal_command: shred -u}
result_cache: {exit_codes_to_ignore: [1, 2], ttl: 1d, max_file_size: 100MB}
download: {base_homeserver_url: "http://synapse-media-worker:8083"}
crypto: {pickle_path: /data/pickle/pickle, pickle_key: "pickle-secret"}
"#;

const NODE: &str = r#"
server: {host: "::1", port: 9000}
scan:
  script: './scan.sh --quick'
  tempDirectory: /tmp
  baseUrl: https://matrix.example.org
  doNotCacheExitCodes: [3, 0, 256]
altRemovalCmd: rm
proxy: "http://10.228.1.1:80"
requestHeader: {userAgent: scanner, xForward: origin}
middleware:
  encryptedBody: {pickleKey: pickle-secret, picklePath: av.key}
acceptedMimeType: [image/png]
"#;

fn made(text: &str) -> (Draft, String, Value) {
    let settings = read::parse(text, PathBuf::from("/etc/mcs")).unwrap();
    let draft = map::draft(&settings, Path::new("/etc/mcs/config.yaml"));
    let text = draft.text().unwrap();
    let tree = serde_yaml::from_str(&text).unwrap();
    (draft, text, tree)
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

/// The remarks, without their line breaks.
fn remarks(text: &str) -> String {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("# ")).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_setting_of_the_python_implementation_has_its_place() {
    let (draft, text, tree) = made(PYTHON);
    assert_eq!(
        tree,
        yaml(
            r#"
listen: 127.0.0.1:8080
homeserver: {url: https://matrix.example.org}
engines:
  exec: [{name: script, command: [/etc/mcs/scan.sh], unavailable_exit_codes: [1, 2]}]
clamd: {backends: []}
policy: {allowed_mimetypes: [image/jpeg, text/plain]}
compat:
  forward_headers: [X-Tenant]
  additional_headers: {user-agent: "scanner: 1", x-token: "header-secret"}
cache: {ttl: 1day}
crypto: {request_secret_path: /etc/mcs/request_secret}
"#
        )
    );
    let remarks = remarks(&text);
    for told in ["`/tmp`", "`srm`", "`./scan.sh`", "max_size", "max_file_size", "proxy", "Host", "canaries"] {
        assert!(remarks.contains(told), "{told} in {remarks}");
    }
    assert!(draft.has_secrets && !text.contains("proxy-password"), "{text}");
    assert_eq!(draft.warnings.len(), 1, "of the proxy: {:?}", draft.warnings);
}

#[test]
fn a_pickle_is_named_with_the_command_that_takes_it_over_and_its_key_is_not_shown() {
    for (text, listen) in [(CHART, "0.0.0.0:8080"), (NODE, "[::1]:9000")] {
        let (draft, text, tree) = made(text);
        assert_eq!(tree["listen"], listen);
        assert_eq!(tree["crypto"]["request_secret_path"], "/etc/lazaret/request_secret");
        let command = "lazaret migrate pickle --from /etc/mcs/config.yaml --config FILE";
        assert!(remarks(&text).contains(command) && draft.warnings.iter().any(|warning| warning.contains(command)));
        assert!(!text.contains("pickle-secret") && !draft.warnings.concat().contains("pickle-secret"), "{text}");
    }
}

#[test]
fn every_setting_of_the_implementation_for_node_has_its_place() {
    let (_, text, tree) = made(NODE);
    let exec = r#"[{name: script, command: [/bin/sh, -c, './scan.sh --quick "$1"', sh], unavailable_exit_codes: [3]}]"#;
    assert_eq!(tree["engines"]["exec"], yaml(exec), "a shell had run it, with its arguments");
    assert_eq!(tree["homeserver"]["url"], "https://matrix.example.org");
    assert_eq!(tree["policy"], yaml("{allowed_mimetypes: [image/png]}"));
    assert_eq!(tree["compat"], yaml("{additional_headers: {user-agent: scanner}}"));
    let remarks = remarks(&text);
    for told in ["no process can end with", "X-Forwarded-For always", "proxy"] {
        assert!(remarks.contains(told), "{told} in {remarks}");
    }
}

#[test]
fn without_a_homeserver_it_is_direct_mode_with_a_warning() {
    for text in [
        "web: {host: 127.0.0.1, port: 8080}\nscan: {script: /s}\n",
        "server: {host: 127.0.0.1, port: 8080}\nscan: {script: /s, baseUrl: 'https://x', directDownload: true}\n",
    ] {
        let (draft, _, tree) = made(text);
        assert_eq!((tree.get("homeserver"), &tree["direct"]), (None, &yaml("{enabled: true}")));
        assert!(draft.warnings.iter().any(|warning| warning.contains("homeserver.url")), "{:?}", draft.warnings);
    }
}

#[test]
fn a_homeserver_url_is_taken_over_as_far_as_there_is_something_like_it() {
    for (url, expected, warnings) in [
        ("http://hs.test:8008", Some("http://hs.test:8008"), 0),
        ("http://hs.test/", Some("http://hs.test"), 0),
        ("http://hs.test/base/", Some("http://hs.test"), 1),
        ("http://user:pass@hs.test/", None, 1),
        ("hs.test", None, 1),
    ] {
        let config = format!("web: {{port: 1}}\nscan: {{script: /s}}\ndownload: {{base_homeserver_url: '{url}'}}");
        let (draft, text, tree) = made(&config);
        assert_eq!(tree.get("homeserver").and_then(|section| section["url"].as_str()), expected, "{url}");
        assert_eq!(draft.warnings.len(), warnings, "{:?}", draft.warnings);
        assert!(!text.contains("pass@"), "{text}");
    }
}

#[test]
fn headers_that_are_not_to_be_set_are_left_out_with_a_warning() {
    let (draft, text, tree) = made(
        "web: {port: 1}\nscan: {script: /s}\ndownload:\n  headers_to_forward: [host, Range, If-Match, X-Mine]\n  \
         additional_headers: {Authorization: Bearer value-1, X-Forwarded-For: value-2, 'a b': value-3, X-Mine: mine}\n",
    );
    assert_eq!(tree["compat"], yaml("{forward_headers: [X-Mine], additional_headers: {X-Mine: mine}}"));
    let warned = draft.warnings.join("\n");
    for name in ["`Range`", "`If-Match`", "`Authorization`", "`X-Forwarded-For`", "`a b`"] {
        assert!(warned.contains(name), "{name} in {warned}");
    }
    assert!(!text.contains("value-") && !warned.contains("host"), "{text}");
}

#[test]
fn times_are_translated() {
    for (ttl, expected) in [
        ("1d", Some("1day")),
        ("1h30m", Some("1h 30m")),
        ("1 week", Some("7days")),
        ("90", Some("1m 30s")),
        ("'90'", Some("1m 30s")),
        ("2.5", Some("2s 500ms")),
        ("5 Mins", Some("5m")),
        ("10y", Some("365days")),
        ("soon", None),
        ("-1", None),
        ("[1]", None),
    ] {
        let (draft, _, tree) = made(&format!("web: {{port: 1}}\nscan: {{script: /s}}\nresult_cache: {{ttl: {ttl}}}"));
        let read = tree.get("cache").and_then(|cache| cache.get("ttl")).map(|ttl| ttl.as_str().unwrap());
        let expected = expected.map(|text| humantime_serde::re::humantime::parse_duration(text).unwrap());
        assert_eq!(read.map(|text| humantime_serde::re::humantime::parse_duration(text).unwrap()), expected, "{ttl}");
        assert_eq!(draft.warnings.iter().any(|warning| warning.contains("cache.ttl")), expected.is_none(), "{ttl}");
    }
}

#[test]
fn a_name_is_no_address_and_ports_do_not_meet() {
    for (web, listen, warned) in [
        ("{host: localhost, port: 80}", Some("127.0.0.1:80"), false),
        ("{host: scanner.internal, port: 80}", Some("127.0.0.1:80"), true),
        ("{host: '::', port: 80}", Some("[::]:80"), false),
        ("{host: 127.0.0.1}", None, false),
    ] {
        let (draft, text, tree) = made(&format!("web: {web}\nscan: {{script: /s}}"));
        assert_eq!(tree.get("listen").and_then(Value::as_str), listen, "{web}");
        assert_eq!(draft.warnings.iter().any(|warning| warning.starts_with("listen")), warned, "{web}");
        assert_eq!(text.contains("trusted_proxies"), web.contains("::"), "{web}");
    }
    let (_, _, tree) = made("web: {host: 127.0.0.1, port: 9090}\nscan: {script: /s}");
    assert_eq!(tree["admin"]["listen"], "127.0.0.1:9091");
}

#[test]
fn unknown_keys_are_told_and_hurt_nothing() {
    let text =
        "web: {host: 127.0.0.1, port: 1, tls: yes}\nscan: {script: /s, \"a\\nlisten\": 1}\nx: {y: secret}\ncrypto:\n";
    let (draft, text, _) = made(text);
    for key in ["`web.tls`", "`scan.a\\nlisten`", "`x`"] {
        assert!(draft.warnings.iter().any(|warning| warning.starts_with(key)), "{key} in {:?}", draft.warnings);
        assert!(remarks(&text).contains(key), "{key} in {text}");
    }
    assert!(!text.contains("secret"));
}

#[test]
fn old_names_and_both_lists_are_known() {
    let (draft, _, tree) = made(
        "web: {port: 1}\nscan: {script: scan, do_not_cache_exit_codes: [7], allowed_mimetypes: [a/b], \
         blocked_mimetypes: [c/d]}",
    );
    assert_eq!(tree["engines"]["exec"][0]["unavailable_exit_codes"], yaml("[7]"));
    assert_eq!(tree["engines"]["exec"][0]["command"], yaml("[scan]"), "it is looked up in PATH");
    assert_eq!(tree["policy"], yaml("{allowed_mimetypes: [a/b]}"));
    assert!(draft.warnings.iter().any(|warning| warning.starts_with("policy")));
    let (draft, _, tree) = made(
        "web: {port: 1}\nscan: {script: /s, blocked_mimetypes: [application/x-dosexec, c/d], allowed_mimetypes: []}",
    );
    assert!(draft.warnings.iter().any(|warning| warning.contains("`c/d`") && warning.contains("THEY WILL PASS")));
    assert_eq!(tree["policy"], yaml("{blocked_mimetypes: [application/x-dosexec]}"));
}

#[test]
fn what_is_neither_is_refused() {
    for (text, problem) in [
        ("", "no configuration of a Matrix Content Scanner"),
        ("scan: {script: /s}", "no configuration of a Matrix Content Scanner"),
        ("web: {port: 1}", "no configuration of a Matrix Content Scanner"),
        ("[web, scan]", "no configuration of a Matrix Content Scanner"),
        ("homeserver: {url: 'http://hs.test'}", "of Lazaret already"),
        ("web: {", "it is no YAML"),
        ("web: {port: x}\nscan: {}", "web.port"),
    ] {
        let error = format!("{:#}", read::parse(text, PathBuf::new()).err().unwrap());
        assert!(error.contains(problem), "{text}: {error}");
    }
    let error = read::parse("web: {port: 1}\nscan: {}\ncrypto: {pickle_key: 123456}", PathBuf::new());
    assert!(error.is_ok(), "a key of the wrong kind is not repeated in an error");
}

#[test]
fn a_file_is_not_overwritten_and_secrets_in_it_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let [from, to] = ["mcs.yaml", "lazaret.yaml"].map(|name| dir.path().join(name));
    std::fs::write(&from, PYTHON).unwrap();
    run(&from, Some(&to)).unwrap();
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&to, "mine").unwrap();
    let error = run(&from, Some(&to)).unwrap_err().to_string();
    assert!(error.contains("not overwritten"), "{error}");
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "mine");
}

#[test]
fn what_is_written_is_accepted_as_it_is() {
    let direct = "web: {host: localhost, port: 9090}\nscan: {script: scan, blocked_mimetypes: [text/html]}\n";
    for foreign in [PYTHON, CHART, NODE, direct] {
        let (_, text, _) = made(foreign);
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let config = crate::config::load(Some(file.path()), []);
        config.unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}
