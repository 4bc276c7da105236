//! The configuration of the implementation for Node.

use std::path::PathBuf;

use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use super::{Flavour, Settings, secret};

/// What has a header repeat that of the client's request.
const FROM_CLIENT: &str = "origin";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Config {
    server: Option<Server>,
    scan: Option<Scan>,
    alt_removal_cmd: Option<String>,
    proxy: Option<Value>,
    request_header: Option<RequestHeader>,
    middleware: Option<Middleware>,
    accepted_mime_type: Option<Vec<String>>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Server {
    host: Option<String>,
    port: Option<u16>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Scan {
    script: Option<String>,
    temp_directory: Option<String>,
    base_url: Option<String>,
    direct_download: Option<bool>,
    do_not_cache_exit_codes: Option<Vec<i64>>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RequestHeader {
    user_agent: Option<String>,
    x_forward: Option<String>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Middleware {
    encrypted_body: Option<EncryptedBody>,
    #[serde(flatten)]
    rest: Mapping,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EncryptedBody {
    pickle_path: Option<PathBuf>,
    /// Any value, so that none is repeated in an error.
    pickle_key: Option<Value>,
    #[serde(flatten)]
    rest: Mapping,
}

impl From<Config> for Settings {
    fn from(config: Config) -> Self {
        let Config { server, scan, alt_removal_cmd, proxy, request_header, middleware, accepted_mime_type, rest } =
            config;
        let (server, scan, headers) =
            (server.unwrap_or_default(), scan.unwrap_or_default(), request_header.unwrap_or_default());
        let middleware = middleware.unwrap_or_default();
        let body = middleware.encrypted_body.unwrap_or_default();
        let is_direct = scan.direct_download.unwrap_or_default();
        let names = [("user-agent", headers.user_agent), ("x-forwarded-for", headers.x_forward)];
        let (forwarded, added): (Vec<_>, Vec<_>) = names
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .partition(|(_, value)| value == FROM_CLIENT);
        let mut settings = Self {
            flavour: Flavour::Node,
            host: server.host,
            port: server.port,
            script: scan.script,
            temp_directory: scan.temp_directory,
            removal_command: alt_removal_cmd,
            allowed_mimetypes: accepted_mime_type,
            homeserver: scan.base_url.filter(|_| !is_direct),
            has_proxy: proxy.is_some(),
            additional_headers: added.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            headers_to_forward: forwarded.into_iter().map(|(name, _)| name.to_owned()).collect(),
            exit_codes_to_ignore: scan.do_not_cache_exit_codes.unwrap_or_default(),
            pickle_path: body.pickle_path,
            pickle_key: secret(body.pickle_key),
            ..Self::default()
        };
        let rests = [&rest, &server.rest, &scan.rest, &headers.rest, &middleware.rest, &body.rest];
        let sections = ["", "server", "scan", "requestHeader", "middleware", "middleware.encryptedBody"];
        for (section, rest) in sections.into_iter().zip(rests) {
            settings.unknown_in(section, rest);
        }
        settings
    }
}
