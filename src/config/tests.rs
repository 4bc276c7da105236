use std::time::Duration;

use bytesize::ByteSize;

use super::*;

const URL: (&str, &str) = ("LAZARET__HOMESERVER__URL", "http://127.0.0.1:8008");

fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let name = file.path().display().to_string();
    load(Some(file.path()), variables).map_err(|error| error.to_string().replace(&name, "FILE"))
}

#[test]
fn the_keys_that_operators_rely_on_are_accepted() {
    let config = with(
        r#"
listen: 127.0.0.1:8090
admin:  {listen: 127.0.0.1:9090}
homeserver: {url: "http://127.0.0.1:8008"}
clamd:
  backends: [{address: "unix:/run/clamav/clamd.ctl"}]
cache:
  store: disk
  path: /var/lib/lazaret/verdicts
  redis: {url: "redis://127.0.0.1:6379"}
crypto: {request_secret_path: /etc/lazaret/request_secret}
policy: {dir: /etc/lazaret/policies}
spool: {dir: /var/lib/lazaret/spool}
limits: {max_media_bytes: 100MiB}
"#,
        &[],
    )
    .unwrap();
    assert_eq!(config.warnings(), Vec::<String>::new());
    let expected = Config { homeserver: config.homeserver.clone(), ..Config::default() };
    assert_eq!(config, expected, "they are the defaults");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    let error = with("homeserver: {url: \"http://h\"}\nlimits:\n  max_media_byte: 5MiB\n", &[]).unwrap_err();
    assert_eq!(
        error,
        "FILE:3:3: limits: unknown field `max_media_byte`; did you mean `max_media_bytes`?\n    3 |   max_media_byte: 5MiB\n      |   ^"
    );
    let error = with("lissten: 127.0.0.1:1\n", &[URL]).unwrap_err();
    assert!(error.starts_with("FILE:1:1: unknown field `lissten`; did you mean `listen`?"), "{error}");
    let error = with("zzzzzzzzzzzz: 1\n", &[URL]).unwrap_err();
    assert!(error.contains("expected one of `listen`"), "without a near one all are listed: {error}");
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    for (text, problem) in [
        ("limits:\n  max_media_bytes: lots\n", "FILE:2:20: limits.max_media_bytes: "),
        (
            "clamd:\n  backends: [{address: /run/clamd.ctl}]\n",
            "FILE:2:14: clamd.backends[0]: `/run/clamd.ctl` is no clamd address",
        ),
        ("homeserver: {url: 127.0.0.1:8008}\n", "FILE:1:13: homeserver: `127.0.0.1:8008` is no base URL"),
        (
            "redirects: {hosts: [cdn.example.org, \"https://cdn.example.org/\"]}\n",
            "FILE:1:20: redirects.hosts: `https://cdn.example.org/` is no host; write cdn.example.org",
        ),
        ("redirects: {private_networks: [10.0.0.0]}\n", "FILE:1:32: redirects.private_networks[0]: "),
        ("cache: {store: dsk}\n", "FILE:1:16: cache.store: unknown variant `dsk`; did you mean `disk`?"),
        ("log: {level: \"lazaret=loud\"}\n", "FILE:1:6: log: "),
        ("limits: {a: \"b\n", "FILE:"),
    ] {
        let error = with(text, &[URL]).unwrap_err();
        assert!(error.starts_with(problem), "{error}");
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let config = with(
        "limits: {max_media_bytes: 5MiB, stall_timeout: 7s}\n# the url comes from outside\n",
        &[
            URL,
            ("LAZARET__LIMITS__MAX_MEDIA_BYTES", "6MiB"),
            ("LAZARET__CLAMD__BACKENDS", "[{address: 'tcp:clamd:3310'}]"),
        ],
    )
    .unwrap();
    assert_eq!(config.limits.max_media_bytes, ByteSize::mib(6));
    assert_eq!(config.limits.stall_timeout, Duration::from_secs(7));
    assert_eq!(config.clamd.backends[0].address.to_string(), "tcp:clamd:3310");
}

#[test]
fn a_wrong_variable_is_named() {
    let error = with("", &[URL, ("LAZARET__LIMITS__MAX_MEDIA", "6MiB")]).unwrap_err();
    assert!(error.starts_with("environment variable LAZARET__LIMITS__MAX_MEDIA: unknown field `max_media`; did you mean `max_media_bytes`?"), "{error}");
    let error = with("", &[("LAZARET__HOMESERVER__URL", "nonsense")]).unwrap_err();
    assert!(error.starts_with("environment variable LAZARET__HOMESERVER__URL: `nonsense`"), "{error}");
    assert!(with("", &[URL, ("LAZARETTO", "x"), ("LAZARET_PORT", "x")]).is_ok(), "others are not ours");
}

#[test]
fn the_one_setting_without_a_default_is_named() {
    let error = load(None, []).unwrap_err().to_string();
    assert!(error.starts_with("homeserver.url is not set"), "{error}");
    assert!(load(None, [(URL.0.to_owned(), URL.1.to_owned())]).is_ok());
    assert!(with("# nothing but a comment\n", &[URL]).is_ok());
}

#[test]
fn media_come_from_one_homeserver_or_from_the_servers_of_their_addresses() {
    let error = with("direct: {enabled: true}\n", &[URL]).unwrap_err();
    assert!(error.contains("homeserver.url and direct.enabled exclude each other"), "{error}");
    let error = with("direct: {enabled: false}\n", &[]).unwrap_err();
    assert!(error.contains("homeserver.url is not set") && error.contains("direct: {enabled: true}"), "{error}");
    let warnings = |yaml: &str| with(yaml, &[]).unwrap().warnings().join("\n");
    let strangers = warnings("direct: {enabled: true}\n");
    assert!(strangers.contains("any https server") && strangers.contains("credentials_for is empty"), "{strangers}");
    let both = warnings("direct: {enabled: true}\nredirects: {hosts: [cdn.example.org]}\n");
    assert!(both.contains("redirects.hosts does nothing") && !strangers.contains("redirects"), "{both}");
    let trusting = warnings("direct: {enabled: true, credentials_for: [example.org, 'hs.test:8448']}\n");
    assert!(trusting.contains("any https server") && !trusting.contains("is empty"), "{trusting}");
}

#[test]
fn settings_that_do_nothing_or_open_something_are_told() {
    let warnings = |yaml: &str| with(yaml, &[URL]).unwrap().warnings().join("\n");
    assert_eq!(warnings("native: {legacy_media: deny, legacy_icons: ['mxc://hs.test/a']}\n"), "");
    for (yaml, key) in [
        ("native: {pass: [/_matrix/media/unstable/admin]}\n", "native.pass"),
        ("native: {legacy_icons: ['mxc://hs.test/a']}\n", "native.legacy_icons"),
        ("redirects: {private_networks: [10.0.0.0/8]}\n", "redirects.private_networks"),
        ("direct: {credentials_for: [example.org]}\n", "direct.credentials_for"),
        ("compat: {strict_mcs: true}\n", "compat.strict_mcs"),
    ] {
        assert!(warnings(yaml).contains(key), "{yaml}");
    }
}

#[test]
fn settings_that_cannot_work_are_all_named() {
    let error =
        with("clamd: {backends: [], scan_timeout: 0s}\nspool: {max_bytes: 1MiB}\nredirects: {timeout: 0s}\ndirect: {timeout: 0s}\n", &[URL])
            .unwrap_err();
    for key in ["clamd.backends", "clamd.scan_timeout", "spool.max_bytes", "redirects.timeout", "direct.timeout"] {
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn settings_that_contradict_others_are_named() {
    for (yaml, key) in [
        (
            "policy: {allowed_mimetypes: [image/png], blocked_mimetypes: [image/gif]}\n",
            "policy.allowed_mimetypes and policy.blocked",
        ),
        ("compat: {forward_headers: [X-A, Content-Length]}\n", "compat.forward_headers: Content-Length: "),
        ("compat: {additional_headers: {Host: hs.test}}\n", "compat.additional_headers: Host: "),
    ] {
        let error = with(yaml, &[URL]).unwrap_err();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn a_share_of_the_engines_is_a_part_of_them() {
    for share in ["0", "-0.5", "1.01", ".nan"] {
        let error = with(&format!("inspect: {{rescan_share: {share}}}\n"), &[URL]).unwrap_err();
        assert!(error.contains("inspect.rescan_share"), "{error}");
    }
    for share in ["0.01", "1"] {
        assert!(with(&format!("inspect: {{rescan_share: {share}}}\n"), &[URL]).is_ok());
    }
}

#[test]
fn a_certificate_needs_a_key_and_the_other_way_round() {
    for one in ["certificate: /c", "key: /k"] {
        let error = with(&format!("tls: {{{one}}}\n"), &[URL]).unwrap_err();
        assert!(error.contains("tls.certificate and tls.key need each other"), "{error}");
    }
    assert!(with("tls: {certificate: /c, key: /k}\n", &[URL]).is_ok());
    assert!(with("tls: {reload_interval: 0s}\n", &[URL]).unwrap_err().contains("tls.reload_interval is 0"));
}

#[test]
fn the_example_shows_every_setting_with_its_default() {
    let text = include_str!("../../deploy/lazaret.yaml");
    let config = with(text, &[]).unwrap();
    assert_eq!(config, Config { homeserver: config.homeserver.clone(), ..Config::default() });
    assert_eq!(config.homeserver.timeouts, upstream::Timeouts::default());
    let keys: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    assert_eq!(keys.as_mapping().unwrap().len(), 20, "no section is left out");
}

#[test]
fn engines_that_cannot_work_together_are_named() {
    let exec = |more: &str| format!("engines: {{exec: [{{name: script, command: [/scan.sh]{more}}}]}}\n");
    for (yaml, expected) in [
        ("clamd: {backends: []}\n".to_owned(), "no engine is required"),
        (format!("clamd: {{role: advisory}}\n{}", exec(", role: advisory")), "no engine is required"),
        (exec("").replace("script", "clamd"), "`clamd` is no name for an engine"),
        (exec("").replace("script", "My Script"), "`My Script` is no name for an engine"),
        (exec("").replace("}]", "}, {name: script, command: [/x]}]"), "two are named `script`"),
        (exec("").replace("/scan.sh", ""), "command is empty"),
        (exec(", unavailable_exit_codes: [0]"), "nothing could be clean"),
        (exec(", timeout: 0s"), "timeout is 0"),
        (exec(", max_age: 0s"), "max_age is 0"),
        (exec(", comand: x"), "did you mean `command`?"),
        ("engines: {exec: [{name: script}]}\n".to_owned(), "missing field `command`"),
    ] {
        let error = with(&yaml, &[URL]).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    let alone = with(&format!("clamd: {{backends: []}}\n{}", exec(", canaries: false")), &[URL]).unwrap();
    let warnings = alone.warnings().join("\n");
    assert!(warnings.contains("no required engine names") && warnings.contains("without canaries"), "{warnings}");
}

#[test]
fn a_mistake_beside_headers_that_may_be_secret_repeats_none_of_them() {
    for (yaml, problem) in [
        ("compat: {additional_headers: {X-Key: s3cret}, strict: true}\n", "did you mean `strict_mcs`?"),
        ("compat: {additional_headers: {X-Key: 53637265}}\n", "put it in quotes"),
        ("compat: {additional_headers: {X-Key: \"s3cret\\n\"}}\n", "its value cannot be one of a header"),
    ] {
        let error = with(yaml, &[URL]).unwrap_err();
        assert!(error.contains(problem), "{error}");
        assert!(!error.contains("s3cret") && !error.contains("53637265"), "{error}");
    }
    let config = with("compat: {additional_headers: {X-Key: s3cret}}\n", &[URL]).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}
