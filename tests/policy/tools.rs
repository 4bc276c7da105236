//! The commands of the security team.

use super::picture::{NO_PICTURES, NOTHING, put_picture};
use crate::harness::{AppBuilder, Binary, Clamd, Homeserver, PNG, lazaret, put_policy};

/// What a command prints: on standard output, on standard error, and whether it succeeded.
async fn says(args: &[&str]) -> (String, String, bool) {
    let output = lazaret(args).env_remove("RUST_LOG").output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[tokio::test]
async fn a_good_policy_is_summed_up_and_a_bad_one_is_told_with_its_places() {
    let dir = tempfile::tempdir().unwrap();
    put_policy(dir.path(), "a.yaml", NO_PICTURES);
    let path = dir.path().join("policies").display().to_string();
    let (told, _, is_good) = says(&["policy", "check", &path]).await;
    assert!(is_good && told.contains(": ok: 1 rules, 0 exceptions, 0 cases, revision "), "{told}");
    put_policy(dir.path(), "b.yaml", "version: 1\nrules: [{id: no-pictures, match: {tipe: a/b}, action: block}]\n");
    let (_, told, is_good) = says(&["policy", "check", &path]).await;
    assert!(!is_good && told.contains("b.yaml:2:") && told.contains("did you mean `type`"), "{told}");
    let (_, _, is_good) = says(&["policy", "check", "/nowhere"]).await;
    assert!(!is_good);
}

#[tokio::test]
async fn several_policies_are_checked_each_for_itself_and_tell_of_each_other_in_one_directory() {
    let names = ["default.yaml", "default.cases.yaml", "strict.yaml", "strict.cases.yaml"];
    let paths = names.map(|name| format!("{}/policies/{name}", env!("CARGO_MANIFEST_DIR")));
    let paths: Vec<&str> = paths.iter().map(|path| &**path).collect();
    for command in ["check", "test"] {
        let (told, wrong, is_good) = says(&[&["policy", command], &paths[..]].concat()).await;
        assert!(is_good && told.lines().count() == 2 && told.matches(": ok: ").count() == 2, "{told}{wrong}");
    }
    let (_, told, is_good) = says(&["policy", "check", concat!(env!("CARGO_MANIFEST_DIR"), "/policies")]).await;
    assert!(!is_good && told.contains("the default of `clean` for `upload` is set already, in "), "{told}");
}

#[tokio::test]
async fn a_check_of_the_configuration_says_what_policy_is_missing_and_what_of_it_does_nothing() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    let settings = AppBuilder::new(&homeserver).clamd(&clamd).policy("opaque_media: deny");
    let settings = settings.policy_file("a.yaml", "version: 1\ndefaults: {opaque_media: allow}\n");
    let binary = Binary::new(&settings);
    let check = async || {
        let output = binary.run(&["check"]).await;
        (String::from_utf8(output.stderr).unwrap(), output.status.success())
    };
    let (told, is_good) = check().await;
    assert!(is_good && told.contains("`policy.opaque_media: deny` of the configuration does nothing"), "{told}");
    std::fs::remove_dir_all(binary.dir.path().join("policies")).unwrap();
    let (told, is_good) = check().await;
    assert!(!is_good && told.contains("policies: there is no policy here"), "{told}");
}

#[tokio::test]
async fn cases_pass_or_are_told_with_what_came_instead() {
    let dir = tempfile::tempdir().unwrap();
    put_policy(dir.path(), "a.yaml", NO_PICTURES);
    let cases = |action: &str| {
        let rule = if action == "block" { ", rule: no-pictures" } else { "" };
        format!(
            "cases:\n  - name: of a picture\n    facts: {{type: image/png}}\n    expect: {{action: {action}{rule}}}\n"
        )
    };
    let path = dir.path().join("policies").display().to_string();
    put_policy(dir.path(), "a.cases.yaml", &cases("block"));
    let (told, wrong, is_good) = says(&["policy", "test", &path]).await;
    assert!(is_good && told.ends_with(": ok: 1 cases\n"), "{told}{wrong}");
    put_policy(dir.path(), "a.cases.yaml", &cases("allow"));
    let (told, _, is_good) = says(&["policy", "test", &path]).await;
    assert!(!is_good && told.contains("fails: of a picture") && told.ends_with("1 of 1 cases failed\n"), "{told}");
    let (told, _, is_good) = says(&["policy", "test", &path, "--json"]).await;
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert!(!is_good && told[0]["cases"][0]["problems"].as_array().unwrap().len() == 1, "{told}");
    put_policy(dir.path(), "a.yaml", "version: 1\nrules: [");
    let (_, wrong, is_good) = says(&["policy", "test", &path]).await;
    assert!(!is_good && wrong.contains("a.yaml:"), "what cannot be read fails: {wrong}");
}

#[tokio::test]
async fn a_file_and_facts_are_explained_by_a_policy_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    put_policy(dir.path(), "a.yaml", NO_PICTURES);
    let [path, file] = ["policies", "picture.png"].map(|name| dir.path().join(name).display().to_string());
    std::fs::write(&file, PNG).unwrap();
    for what in [&[&*file][..], &["--facts", "{type: image/png}"]] {
        let (told, wrong, is_good) = says(&[&["policy", "explain", "--policy", &path], what].concat()).await;
        assert!(is_good && told.contains("no-pictures"), "{told}{wrong}");
        let (told, _, _) = says(&[&["policy", "explain", "--json", "--policy", &path], what].concat()).await;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert!(told[0]["explanation"].is_object(), "{told}");
    }
    let (_, wrong, is_good) = says(&["policy", "explain", "--facts", "{tipe: x}", "--policy", &path]).await;
    assert!(!is_good && wrong.contains("--facts: "), "{wrong}");
    let (told, wrong, _) = says(&["policy", "explain", "--facts", "{declared.name: a.docm}", "--policy", &path]).await;
    let follows = told.starts_with("policy ") && told.contains("  declared.extension: docm\n");
    assert!(follows, "what follows from a name is known as it is in cases: {told}{wrong}");
    let (_, wrong, _) = says(&["policy", "explain", "--facts", "{size: 1}", "--at", "soon"]).await;
    assert!(wrong.contains("--at: `soon` is no time"), "{wrong}");
    for wrong in [&["policy", "explain"][..], &["policy", "explain", &file, "--facts", "{}"]] {
        assert!(!says(wrong).await.2, "{wrong:?}");
    }
}

#[tokio::test]
async fn an_explanation_is_of_how_the_file_or_the_facts_are_said_to_stand() {
    let dir = tempfile::tempdir().unwrap();
    put_policy(dir.path(), "a.yaml", "version: 1\ndefaults: {opaque_media: block}\n");
    let [path, noise] = ["policies", "noise"].map(|name| dir.path().join(name).display().to_string());
    std::fs::write(&noise, [0xd1, 0x57, 0x02, 0x9c]).unwrap();
    for (what, by) in [
        (&["--facts", "{size: 1}"][..], "default:clean"),
        (&["--facts", "{size: 1}", "--state", "infected"], "default:infected"),
        (&["--facts", "{size: 1, state: oversize}", "--state", "infected"], "default:oversize"),
        (&[&*noise], "default:opaque_media"),
        (&[&*noise, "--state", "incomplete"], "default:incomplete"),
        (&[&*noise, "--state", "oversize"], "default:oversize"),
    ] {
        let (told, _, _) = says(&[&["policy", "explain", "--json", "--policy", &path], what].concat()).await;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let explanation = &told[0]["explanation"];
        assert_eq!(explanation["by"], by, "{what:?}");
        let is_looked_at = what[0] == noise && by != "default:oversize";
        assert_eq!(explanation["facts"].get("entropy").is_some(), is_looked_at, "{what:?}");
    }
}

#[tokio::test]
async fn a_running_lazaret_is_asked_what_decides_and_what_another_policy_would_change() {
    let (homeserver, clamd) = (Homeserver::start().await, Clamd::start().await);
    put_picture(&homeserver);
    let settings =
        AppBuilder::new(&homeserver).clamd(&clamd).policy("reload_interval: 0s").policy_file("a.yaml", NOTHING);
    let binary = Binary::new(&settings);
    let _process = binary.serve(std::process::Stdio::null()).await;
    let asked = crate::harness::request("GET", super::picture::PICTURE).header("authorization", "Bearer token");
    assert_eq!(binary.client.send(asked, b"").await.status, 200);
    put_policy(binary.dir.path(), "../new/a.yaml", NO_PICTURES);
    let new = binary.dir.path().join("new").display().to_string();
    let told = binary.says(&["policy", "replay", "--since", "1h", "--policy", &new]).await;
    assert!(told.starts_with("1 media in 1 kinds of requests since ") && told.contains("no-pictures"), "{told}");
    let told = binary.says(&["policy", "explain", "--mxc", "mxc://hs.test/picture"]).await;
    assert!(told.starts_with("identity "), "{told}");
    assert!(binary.says(&["policy", "status"]).await.starts_with("policy "));
    assert_eq!(binary.says(&["policy", "shadow"]).await, "no rule is in shadow mode\n");
    put_policy(binary.dir.path(), "a.yaml", NO_PICTURES);
    assert!(binary.says(&["policy", "reload"]).await.ends_with(": 1 rules, 0 exceptions\n"));
    assert!(binary.says(&["policy", "reload"]).await.ends_with(", as before\n"));
    put_policy(binary.dir.path(), "a.yaml", "rules: [");
    let output = binary.run(&["policy", "reload"]).await;
    assert!(!output.status.success() && String::from_utf8(output.stderr).unwrap().contains("a.yaml:"));
    assert!(!binary.run(&["check"]).await.status.success(), "a start would fail");
}
