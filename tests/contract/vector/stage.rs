//! Where rows are checked.

use std::net::SocketAddr;

use super::Vector;
use crate::harness::{App, AppBuilder, Clamd, Homeserver, ScriptedClamd, public_key};

/// A homeserver, an engine, and two applications between them: as it is by default, and with `compat.strict_mcs`.
pub struct Stage {
    pub homeserver: Homeserver,
    _clamd: Option<Clamd>,
    apps: [App; 2],
}

impl Stage {
    /// With a real clamd and these settings, as top-level YAML.
    pub async fn start(settings: &str) -> Self {
        Self::built(Clamd::start().await, "", |app| app.with(settings)).await
    }

    /// With a real clamd and settings of the `compat` section.
    pub async fn with_compat(settings: &str) -> Self {
        Self::built(Clamd::start().await, settings, |app| app).await
    }

    /// With a real clamd and settings of the `policy` section.
    pub async fn with_policy(settings: &str) -> Self {
        Self::built(Clamd::start().await, "", |app| app.policy(settings)).await
    }

    /// With a real clamd and settings of the `homeserver` section.
    pub async fn with_homeserver(settings: &str) -> Self {
        Self::built(Clamd::start().await, "", |app| app.homeserver_settings(settings)).await
    }

    /// In front of another address.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::built(Clamd::start().await, "", |app| app.homeserver_at(address)).await
    }

    /// With this clamd.
    pub async fn around(clamd: Clamd) -> Self {
        Self::built(clamd, "", |app| app.clamd_settings("conformance: warn")).await
    }

    async fn built(clamd: Clamd, compat: &str, settings: impl Fn(AppBuilder) -> AppBuilder) -> Self {
        let homeserver = Homeserver::start().await;
        let [usual, strict] = [false, true].map(|strict| settings(builder(&homeserver, compat, strict).clamd(&clamd)));
        Self { apps: [usual.start().await, strict.start().await], homeserver, _clamd: Some(clamd) }
    }

    /// With a scripted clamd.
    pub async fn scripted(clamd: &ScriptedClamd) -> Self {
        let homeserver = Homeserver::start().await;
        let [usual, strict] =
            [false, true].map(|strict| builder(&homeserver, "", strict).scripted(clamd).without_toxic_media());
        Self { apps: [usual.start().await, strict.start().await], homeserver, _clamd: None }
    }

    /// Waits until both are ready.
    pub async fn ready(&self) {
        for app in &self.apps {
            app.ready().await;
        }
    }

    /// The application without further settings, and the one with `compat.strict_mcs`.
    pub fn apps(&self) -> &[App; 2] {
        &self.apps
    }

    /// Checks all rows, and names those that do not hold.
    pub fn check(&self, rows: impl IntoIterator<Item = Vector>) -> impl Future<Output = ()> {
        self.check_all(rows.into_iter().collect())
    }

    async fn check_all(&self, rows: Vec<Vector>) {
        let (mut failures, mut checked) = (Vec::new(), 0);
        let keys = [public_key(&self.apps[0]).await, public_key(&self.apps[1]).await];
        for row in rows {
            assert!(!row.sent.is_empty(), "{}: nothing is sent", row.row);
            let expected = [&row.expected, row.strict.as_ref().unwrap_or(&row.expected)];
            for (at, mode) in ["", " (strict)"].iter().enumerate() {
                let found = row.check(self, &self.apps[at], keys[at], expected[at]).await;
                let deviation = row.deviation.map(|why| format!(" [deviation: {why}]")).unwrap_or_default();
                failures.extend(found.into_iter().map(|found| format!("{}{mode}{deviation}: {found}", row.row)));
            }
            checked += 1;
        }
        assert!(checked > 0 && failures.is_empty(), "of {checked} rows:\n{}", failures.join("\n"));
    }
}

fn builder(homeserver: &Homeserver, compat: &str, strict: bool) -> AppBuilder {
    AppBuilder::new(homeserver).with(&format!("compat: {{strict_mcs: {strict}, {compat}}}"))
}

/// Checks rows that need nothing but the defaults.
pub fn check(rows: impl IntoIterator<Item = Vector>) -> impl Future<Output = ()> {
    let rows: Vec<Vector> = rows.into_iter().collect();
    async { Stage::start("").await.check_all(rows).await }
}
