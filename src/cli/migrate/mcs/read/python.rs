//! The configuration of the Python implementation, of all its versions.

use std::path::PathBuf;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::{Flavour, Settings, secret};

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    web: Option<Web>,
    scan: Option<Scan>,
    download: Option<Download>,
    result_cache: Option<ResultCache>,
    crypto: Option<Crypto>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Web {
    host: Option<String>,
    port: Option<u16>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scan {
    script: Option<String>,
    temp_directory: Option<String>,
    removal_command: Option<String>,
    allowed_mimetypes: Option<Vec<String>>,
    blocked_mimetypes: Option<Vec<String>>,
    /// Before it moved to `result_cache`.
    do_not_cache_exit_codes: Option<Vec<i64>>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Download {
    base_homeserver_url: Option<String>,
    proxy: Option<Value>,
    additional_headers: Option<Mapping>,
    headers_to_forward: Option<Vec<String>>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResultCache {
    max_size: Option<u64>,
    ttl: Option<Value>,
    exit_codes_to_ignore: Option<Vec<i64>>,
    max_file_size: Option<Value>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Crypto {
    request_secret_path: Option<PathBuf>,
    /// Before version 1.3, as the key. Any value, so that none is repeated in an error.
    pickle_path: Option<PathBuf>,
    pickle_key: Option<Value>,
    #[serde(flatten)]
    rest: Mapping,
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        let Config { web, scan, download, result_cache, crypto, rest } = config;
        let (web, scan, download) = (web.unwrap_or_default(), scan.unwrap_or_default(), download.unwrap_or_default());
        let (result_cache, crypto) = (result_cache.unwrap_or_default(), crypto.unwrap_or_default());
        let codes = [result_cache.exit_codes_to_ignore, scan.do_not_cache_exit_codes];
        let mut settings = Self {
            flavour: Flavour::Python,
            host: web.host,
            port: web.port,
            script: scan.script,
            temp_directory: scan.temp_directory,
            removal_command: scan.removal_command,
            allowed_mimetypes: scan.allowed_mimetypes,
            blocked_mimetypes: scan.blocked_mimetypes,
            homeserver: download.base_homeserver_url,
            has_proxy: download.proxy.is_some(),
            additional_headers: download.additional_headers.unwrap_or_default(),
            headers_to_forward: download.headers_to_forward.unwrap_or_default(),
            exit_codes_to_ignore: codes.into_iter().flatten().flatten().collect(),
            max_size: result_cache.max_size,
            ttl: result_cache.ttl,
            max_file_size: result_cache.max_file_size,
            secret_path: crypto.request_secret_path,
            pickle_path: crypto.pickle_path,
            pickle_key: secret(crypto.pickle_key),
            ..Self::default()
        };
        let rests = [&rest, &web.rest, &scan.rest, &download.rest, &result_cache.rest, &crypto.rest];
        for (section, rest) in ["", "web", "scan", "download", "result_cache", "crypto"].into_iter().zip(rests) {
            settings.unknown_in(section, rest);
        }
        settings
    }
}
