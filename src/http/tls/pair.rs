//! The files of a certificate and its key.

use std::{fmt, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use x509_cert::{Certificate, der::Decode};
use zeroize::Zeroizing;

/// Where the pair is.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls.certificate {} and tls.key {}", self.certificate.display(), self.key.display())
    }
}

impl Files {
    /// Reads both. Blocks on the disk.
    pub(super) fn read(&self) -> anyhow::Result<Contents> {
        let read = |name, path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("{name} {} cannot be read", path.display()))
        };
        Ok(Contents {
            certificate: read("tls.certificate", &self.certificate)?,
            key: read("tls.key", &self.key)?.into(),
        })
    }
}

/// What the files hold.
pub(super) struct Contents {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
}

impl Contents {
    /// Tells contents apart without keeping a key.
    pub(super) fn digest(&self) -> [u8; 32] {
        let parts = [&*self.certificate, &*self.key].map(Sha256::digest);
        Sha256::digest(parts.concat()).into()
    }

    /// The pair, if it is one.
    pub(super) fn load(&self, provider: &CryptoProvider) -> anyhow::Result<Pair> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.context("the certificate is not valid PEM")?;
        let first = chain.first().context("there is no certificate")?;
        let expiry = Certificate::from_der(first).ok().map(|certificate| expiry(&certificate));
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("the key is not a private key in PEM")?;
        let certified = CertifiedKey::from_der(chain, key, provider).context("they are no usable pair")?;
        Ok(Pair { certified: Arc::new(certified), expiry })
    }
}

/// A certificate and its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certified: Arc<CertifiedKey>,
    /// Seconds since 1970 at which the certificate expires, if that can be told.
    pub(super) expiry: Option<i64>,
}

/// Seconds since 1970.
fn expiry(certificate: &Certificate) -> i64 {
    let since = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
