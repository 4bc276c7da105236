use super::*;

struct Made {
    certificate: String,
    key: String,
}

fn made() -> Made {
    let made = rcgen::generate_simple_self_signed(["hs.test".to_owned()]).unwrap();
    Made { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn contents(certificate: &str, key: &str) -> Contents {
    Contents { certificate: certificate.into(), key: key.as_bytes().to_vec().into() }
}

fn count(tls: &Tls) -> [u64; 2] {
    ["loaded", "failed"].map(|outcome| tls.reloads.with_label_values(&[outcome]).get())
}

#[test]
fn each_state_of_the_files_is_looked_at_once() {
    let (old, new) = (made(), made());
    let dir = tempfile::tempdir().unwrap();
    let [certificate, key] = ["certificate", "key"].map(|name| dir.path().join(name));
    std::fs::write(&certificate, &old.certificate).unwrap();
    std::fs::write(&key, &old.key).unwrap();
    let config = Config { certificate: Some(certificate), key: Some(key), ..Config::default() };
    let mut tls = Tls::load(&config, &Registry::new()).unwrap().unwrap();
    let first = Arc::clone(&tls.current.0.read().unwrap());
    let replaced = |tls: &Tls| !Arc::ptr_eq(&first, &tls.current.0.read().unwrap());

    let mixed = || Ok(contents(&new.certificate, &old.key));
    let unreadable = || Err(anyhow::anyhow!("not there"));
    for _ in 0..3 {
        tls.look(tls.files.read());
    }
    assert_eq!((count(&tls), replaced(&tls)), ([0, 0], false), "nothing has changed");
    for _ in 0..3 {
        tls.look(mixed());
    }
    assert_eq!((count(&tls), replaced(&tls)), ([0, 1], false));
    for _ in 0..3 {
        tls.look(unreadable());
    }
    assert_eq!((count(&tls), replaced(&tls)), ([0, 2], false));
    for _ in 0..3 {
        tls.look(Ok(contents(&new.certificate, &new.key)));
    }
    assert_eq!((count(&tls), replaced(&tls)), ([1, 2], true));
}
