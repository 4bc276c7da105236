//! Whatever clamd does but to answer properly, no route lets the medium through.
//!
//! Each way in which clients of clamd have let media through unscanned has its test here, for streams over TCP and for
//! descriptors over a local socket.

mod abnormal;
mod outcomes;
mod pauses;

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use crate::harness::{
    Answer, App, AppBuilder, Ask, Homeserver, INFECTED, Script, ScriptedClamd, Stored, eventually, seal,
};

const MEDIUM: &[u8] = b"a medium";

/// All ways by which a medium could pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Native,
    Upload,
    Scan,
    Download,
    ScanEncrypted,
    DownloadEncrypted,
}

impl Route {
    const ALL: [Self; 6] =
        [Self::Native, Self::Upload, Self::Scan, Self::Download, Self::ScanEncrypted, Self::DownloadEncrypted];
}

/// An application with a scripted clamd, and one medium: plain, encrypted and about to be uploaded.
struct Bench {
    homeserver: Homeserver,
    clamd: ScriptedClamd,
    app: App,
    plain: Mutex<Vec<u8>>,
    renewals: AtomicU32,
}

impl Bench {
    /// One that streams over TCP.
    async fn streaming(script: Script) -> Self {
        Self::new(ScriptedClamd::start(script), "", "").await
    }

    /// One that passes descriptors over a local socket.
    async fn passing(script: Script) -> Self {
        Self::new(ScriptedClamd::start_on_socket(script), "", "").await
    }

    /// One of each.
    async fn both(script: Script) -> [Self; 2] {
        [Self::streaming(script.clone()).await, Self::passing(script).await]
    }

    async fn new(clamd: ScriptedClamd, clamd_settings: &str, settings: &str) -> Self {
        let homeserver = Homeserver::start().await;
        let builder = AppBuilder::new(&homeserver).scripted(&clamd).with(settings).without_toxic_media();
        let builder = if clamd_settings.is_empty() { builder } else { builder.clamd_settings(clamd_settings) };
        let app = builder.start().await;
        homeserver.put("/_matrix/media/v3/upload", Stored::json(200, "{}"));
        let bench = Self { homeserver, clamd, app, plain: Mutex::default(), renewals: AtomicU32::new(0) };
        bench.put(MEDIUM);
        bench
    }

    fn put(&self, plain: &[u8]) {
        self.homeserver.put_media("m", &Stored::media(plain));
        *self.plain.lock().unwrap() = plain.to_vec();
    }

    /// Changes the end of the medium, so that nothing can be known of it: a medium that fails again and again may be
    /// refused without another scan.
    fn renew(&self) {
        let mut plain = self.plain.lock().unwrap().clone();
        let at = plain.len() - 4;
        plain[at..].copy_from_slice(&self.renewals.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        self.put(&plain);
    }

    /// How often clamd was given this very medium; it may also be given specimens that show how it is set up.
    fn scans(&self) -> usize {
        let plain = self.plain.lock().unwrap();
        self.clamd.received.borrow().iter().filter(|received| **received == *plain).count()
    }

    async fn ask(&self, route: Route) -> Answer {
        let scanner = |rest: &str| format!("/_matrix/media_proxy/unstable/{rest}");
        let plain = self.plain.lock().unwrap().clone();
        match route {
            Route::Native => self.app.get("/_matrix/client/v1/media/download/hs.test/m").await,
            Route::Upload => self.app.post("/_matrix/media/v3/upload", &plain).await,
            Route::Scan => self.app.get(&scanner("scan/hs.test/m")).await,
            Route::Download => self.app.get(&scanner("download/hs.test/m")).await,
            Route::ScanEncrypted => self.app.post(&scanner("scan_encrypted"), &self.sealed(&plain)).await,
            Route::DownloadEncrypted => self.app.post(&scanner("download_encrypted"), &self.sealed(&plain)).await,
        }
    }

    /// Puts the medium there in encrypted form, and gives the request for it.
    fn sealed(&self, plain: &[u8]) -> Vec<u8> {
        let sealed = seal(plain, "sealed", 1);
        self.homeserver.put_media("sealed", &Stored::media(&sealed.ciphertext));
        sealed.body()
    }

    /// Asserts that the medium does not pass on a route, and that the answer is an error with one of these statuses.
    async fn assert_refused(&self, route: Route, statuses: &[u16], what: &str) {
        let answer = self.ask(route).await;
        let status = answer.status.as_u16();
        assert!(statuses.contains(&status), "{what}: {route:?}: {answer:?}");
        match (route, status) {
            (Route::Upload, 413) => answer.assert_matrix_error(413, "M_TOO_LARGE"),
            (Route::Native | Route::Upload, 403) => answer.assert_matrix_error(403, "M_FORBIDDEN"),
            (Route::Native | Route::Upload, _) => answer.assert_matrix_error(status, "M_UNKNOWN"),
            (_, 403) => answer.assert_scanner_error(403, "MCS_MEDIA_NOT_CLEAN"),
            (..) => answer.assert_scanner_error(status, "M_UNKNOWN"),
        }
        assert_eq!(self.app.scans("clean").await, 0, "{what}: {route:?}");
        let uploads = self.homeserver.seen().iter().filter(|seen| seen.method == "POST").count();
        assert_eq!(uploads, 0, "{what}: nothing was forwarded");
    }

    /// Asserts that it passes on no route, and that each of them has clamd asked anew.
    async fn assert_refused_and_forgotten(&self, statuses: &[u16], what: &str) {
        for route in Route::ALL {
            self.renew();
            self.app.ready().await;
            let before = self.clamd.counts().asked(Ask::Medium);
            self.assert_refused(route, statuses, what).await;
            assert!(self.clamd.counts().asked(Ask::Medium) > before, "{what}: {route:?}: clamd was asked");
        }
    }

    /// Asserts that it passes on no route, whether it is called infected or cannot be scanned.
    async fn assert_not_clean(&self, what: &str) {
        for route in Route::ALL {
            self.renew();
            self.app.ready().await;
            let answer = self.ask(route).await;
            let told = matches!(route, Route::Scan | Route::ScanEncrypted) && answer.text() == INFECTED;
            assert!(told || [403, 503].contains(&answer.status.as_u16()), "{what}: {route:?}: {answer:?}");
        }
        assert_eq!(self.app.scans("clean").await, 0, "{what}");
    }

    /// Asserts that the very medium that was refused last passes on all routes as soon as clamd is sound.
    async fn assert_passes_once_sound(&self) {
        self.clamd.set(Script::clean());
        self.clamd.revive().await;
        eventually("it passes", || async { self.ask(Route::Native).await.status == 200 }).await;
        for route in Route::ALL {
            assert_eq!(self.ask(route).await.status, 200, "{route:?}");
        }
        assert_eq!(self.app.scans("clean").await, 1);
    }
}
