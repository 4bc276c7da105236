use super::*;

const ONE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
const TWO: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI=";

fn parse(text: &str) -> Result<Vec<u8>, String> {
    let secrets = Secrets::parse(text, Path::new("FILE")).map_err(|error| error.to_string())?;
    Ok(secrets.iter().map(|secret| secret[31]).collect())
}

fn secret(last: u8) -> Secret {
    let mut secret = Secret::new([0; 32]);
    secret[31] = last;
    secret
}

fn last_bytes(secrets: &Secrets) -> Vec<u8> {
    secrets.iter().map(|secret| secret[31]).collect()
}

/// A file with this content, and the folder that it is in.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    files::create(&path, content.as_bytes(), 0o600).unwrap();
    (dir, path)
}

#[test]
fn secrets_are_lines_and_the_first_is_current() {
    for (text, expected) in [
        (ONE.to_owned(), vec![1]),
        (ONE.trim_end_matches('=').to_owned(), vec![1]),
        (format!("  {ONE}\r\n"), vec![1]),
        (format!("# current\n{TWO}\n\n \t# older\n{ONE}"), vec![2, 1]),
        (format!("{ONE}\n{TWO}\n{ONE}\n"), vec![1, 2]),
    ] {
        assert_eq!(parse(&text), Ok(expected), "{text}");
    }
}

#[test]
fn a_malformed_line_is_named_and_not_shown() {
    for (text, problem) in [
        ("too short".to_owned(), "FILE, line 1: not 32 bytes in base64"),
        (format!("# two on a line\n\n{ONE} {TWO}"), "FILE, line 3: not 32 bytes in base64"),
        (format!("{ONE}\n{TWO}# remark"), "FILE, line 2: not 32 bytes in base64"),
        (format!("{ONE}{ONE}"), "FILE, line 1: not 32 bytes in base64"),
        (String::new(), "FILE holds no secret: no line with 32 bytes in base64"),
        (format!("\n# {ONE}\n"), "FILE holds no secret: no line with 32 bytes in base64"),
    ] {
        assert_eq!(parse(&text), Err(problem.to_owned()), "{text}");
    }
}

#[test]
fn there_is_a_bound_on_different_secrets() {
    let lines = |count: u8| -> String { (0..count).map(|last| to_line(&secret(last)).to_string()).collect() };
    assert_eq!(parse(&lines(8).repeat(2)).unwrap().len(), 8);
    assert!(parse(&lines(9)).unwrap_err().contains("more than 8 secrets"));
}

#[test]
fn a_missing_secret_is_created_once_and_private() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/request_secret");
    let first = Secrets::load_or_create(&path).unwrap().public_keys();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(exposed(&path), None);
    assert_eq!(Secrets::load_or_create(&path).unwrap().public_keys(), first);
    assert_eq!(std::fs::read_dir(dir.path().join("new")).unwrap().count(), 1, "no half-written file is left");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.len() == 45 && text.ends_with("=\n"), "the scanner wants padding");
}

#[test]
fn a_secret_that_is_something_else_is_kept() {
    for content in ["too short", ""] {
        let (_dir, path) = file(content);
        assert!(Secrets::load_or_create(&path).is_err());
        assert!(rotate(&path, None).is_err());
        assert!(import(&path, &secret(1), Place::Current).is_err());
        assert_eq!(std::fs::read_to_string(path).unwrap(), content);
    }
}

#[test]
fn rotation_keeps_what_is_there_behind_a_fresh_secret() {
    let (_dir, path) = file(&format!("# ours\n{ONE}\n# from before\n{TWO}"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let rotated = rotate(&path, None).unwrap();
    assert_eq!(last_bytes(&rotated)[1..], [1, 2]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with(&format!("=\n# ours\n{ONE}\n# from before\n{TWO}\n")), "remarks stay");
    assert_eq!(Secrets::read(&path).unwrap().public_keys(), rotated.public_keys());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    assert!(exposed(&path).unwrap().contains("0640"));
    assert_ne!(rotate(&path, None).unwrap().public_keys()[0], rotated.public_keys()[0]);
}

#[test]
fn rotation_drops_the_oldest_only_if_told_to() {
    let (_dir, path) = file(&format!("{ONE}\n{TWO}\n"));
    for _ in 0..6 {
        rotate(&path, None).unwrap();
    }
    let full = std::fs::read_to_string(&path).unwrap();
    assert!(matches!(rotate(&path, None), Err(SecretError::TooMany(_))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), full, "nothing is lost");
    let before = Secrets::read(&path).unwrap().public_keys();
    assert_eq!(rotate(&path, Some(3)).unwrap().public_keys()[1..], before[..3]);
    assert_eq!(rotate(&path, Some(0)).unwrap().public_keys().len(), 1);
}

#[test]
fn rotations_at_once_all_count() {
    let (_dir, path) = file(ONE);
    std::thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| rotate(&path, None).unwrap());
        }
    });
    assert_eq!(Secrets::read(&path).unwrap().public_keys().len(), 8);
}

#[test]
fn an_imported_secret_takes_its_place() {
    for (content, imported, place, expected) in [
        (format!("{ONE}\n"), 2, Place::Older, vec![1, 2]),
        (format!("{ONE}\n"), 2, Place::Current, vec![2, 1]),
        (format!("{ONE}\n{TWO}\n"), 2, Place::Older, vec![1, 2]),
        (format!("{ONE}\n{TWO}\n"), 2, Place::Current, vec![2, 1]),
        (format!("{ONE}\n{TWO}"), 1, Place::Older, vec![1, 2]),
        (format!("{ONE}\n{TWO}"), 3, Place::Older, vec![1, 2, 3]),
    ] {
        let (_dir, path) = file(&content);
        assert_eq!(last_bytes(&import(&path, &secret(imported), place).unwrap()), expected, "{content}");
        assert_eq!(last_bytes(&Secrets::read(&path).unwrap()), expected, "{content}");
    }
}

#[test]
fn a_secret_can_be_imported_into_a_file_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/secret");
    assert_eq!(last_bytes(&import(&path, &secret(5), Place::Older).unwrap()), [5]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}
