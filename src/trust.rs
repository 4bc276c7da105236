//! Whom to trust for `https`.

use std::{io, path::Path, sync::Arc};

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

/// Those in a file, if there is one, else the system's; none where nobody is connected to, so that none need be there.
/// `setting` names the file in errors.
pub(crate) fn roots(file: Option<&Path>, setting: &str, is_needed: bool) -> anyhow::Result<RootCertStore> {
    match file {
        Some(path) => from_file(path, setting),
        None if is_needed => of_the_system(),
        None => Ok(RootCertStore::empty()),
    }
}

/// The authorities in a PEM file. `setting` names it in errors.
fn from_file(path: &Path, setting: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let unreadable = |error| io::Error::other(format!("{setting} {}: {error}", path.display()));
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    anyhow::ensure!(!roots.is_empty(), "{setting} {}: no certificate in it", path.display());
    Ok(roots)
}

/// The authorities that the system trusts.
fn of_the_system() -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    anyhow::ensure!(!roots.is_empty(), "no certificate authorities found on this system; install ca-certificates");
    Ok(roots)
}

/// The client side of TLS 1.2 and 1.3, with nothing to show for ourselves.
pub(crate) fn client(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
