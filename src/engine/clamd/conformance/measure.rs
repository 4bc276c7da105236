//! Asks the live clamd, and lets nothing but replies count.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::time::timeout;

use super::{
    Depth, Needs,
    find::{self, Found},
    specimen,
    stream::{self, StreamLimit},
};
use crate::{
    engine::clamd::{
        address::Address,
        canary::Canary,
        config::BackendConfig,
        conn::{self, Route},
        control::Control,
        protocol::{Command, Said, Version},
    },
    plaintext::Plaintext,
    spool::Spool,
    verdict::{Detection, Verdict},
};

/// All that is known of a clamd.
#[derive(Clone, Debug)]
pub(super) struct Observations {
    /// Its reply to VERSION.
    pub(super) version: Version,
    pub(super) clean: Answer,
    pub(super) eicar: Answer,
    pub(super) nested_gzip: Answer,
    pub(super) encrypted_zip: Answer,
    pub(super) macro_document: Answer,
    pub(super) stored_rar: Answer,
    /// To harmless text in memory and in the spool directory, by descriptor; `None` where there is no passing any.
    pub(super) descriptor: Option<Answer>,
    /// To EICAR and then nothing, as long as our largest medium, by descriptor.
    pub(super) large_file: Option<Answer>,
    pub(super) stream: StreamLimit,
    /// Its `MaxThreads`, as STATS says.
    pub(super) threads: Result<u64, String>,
    pub(super) found: Found,
}

/// What clamd said of a specimen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// `OK`.
    Ok,
    /// `NAME FOUND`.
    Found(String),
    /// Neither, and why.
    Nothing(String),
}

/// Fails only if clamd does not answer at all.
pub(super) async fn observe(backend: &BackendConfig, needs: &Needs, depth: Depth) -> Result<Observations, String> {
    let (address, patience) = (&backend.address, needs.patience);
    let version = version(address, patience).await?;
    let descriptor = descriptor(address, needs).await;
    let route = match &descriptor {
        Some(Answer::Ok) => Route::DESCRIPTORS,
        _ => Route::STREAM,
    };
    let say = |bytes: Vec<u8>| scan(address, route, Ok(Spool::of(&bytes)), patience);
    // One after another: no more than a thread of clamd's is taken.
    let (clean, eicar) = (say(Canary::Clean.bytes()).await, say(Canary::Eicar.bytes()).await);
    let (nested_gzip, encrypted_zip) = (say(Canary::NestedGzip.bytes()).await, say(Canary::EncryptedZip.bytes()).await);
    let (macro_document, stored_rar) = (say(Canary::MacroDocument.bytes()).await, say(specimen::stored_rar()).await);
    let large_file = match route {
        Route::DESCRIPTORS => Some(large_file(address, needs).await),
        _ => None,
    };
    let stream = stream::limit(address, needs.max_media_bytes, depth == Depth::Full, patience).await;
    let threads = max_threads(address, patience).await;
    let found = look(backend, patience).await;
    Ok(Observations {
        version,
        clean,
        eicar,
        nested_gzip,
        encrypted_zip,
        macro_document,
        stored_rar,
        descriptor,
        large_file,
        stream,
        threads,
        found,
    })
}

async fn descriptor(address: &Address, needs: &Needs) -> Option<Answer> {
    if let Address::Tcp(_) = address {
        return None;
    }
    let pass = |spool| scan(address, Route::DESCRIPTORS, spool, needs.patience);
    let in_memory = pass(Ok(Spool::of(&Canary::Clean.bytes()))).await;
    let Some(spooler) = needs.spooler.as_ref().filter(|_| in_memory == Answer::Ok) else { return Some(in_memory) };
    match pass(spooler.specimen_on_disk(&Canary::Clean.bytes())).await {
        Answer::Nothing(why) => Some(Answer::Nothing(format!("those in spool.dir: {why}"))),
        answer => Some(answer),
    }
}

/// Longer than `MaxFileSize` is not looked at; what is looked at begins with EICAR, so that clamd is soon done with it.
async fn large_file(address: &Address, needs: &Needs) -> Answer {
    let spool = Spool::sparse(&Canary::Eicar.bytes(), needs.max_media_bytes);
    scan(address, Route::DESCRIPTORS, spool, needs.scan_timeout).await
}

/// One specimen down the path that media take.
async fn scan(address: &Address, route: Route, spool: io::Result<Spool>, patience: Duration) -> Answer {
    let plaintext = match spool {
        Ok(spool) => Plaintext::Held(Arc::new(spool)),
        Err(error) => return Answer::Nothing(format!("cannot hold a specimen: {error}")),
    };
    match timeout(patience, conn::scan(address, route, &plaintext, &AtomicBool::new(false))).await {
        Ok(Ok(Said::Verdict(verdict))) => answer(verdict),
        Ok(Ok(Said::Trouble(trouble))) => Answer::Nothing(trouble.text),
        Ok(Ok(other)) => Answer::Nothing(format!("{other:?}")),
        Ok(Err(error)) => Answer::Nothing(error.to_string()),
        Err(_) => Answer::Nothing(stream::silence(patience)),
    }
}

fn answer(verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Clean(_) => Answer::Ok,
        Verdict::Infected { detection: Detection(name) }
        | Verdict::Incomplete { why: Detection(name) }
        | Verdict::Opaque { why: Detection(name) } => Answer::Found(name),
    }
}

async fn version(address: &Address, patience: Duration) -> Result<Version, String> {
    let control = Control::new(address.clone());
    let answered = timeout(patience, control.version()).await.map_err(|_| stream::silence(patience))?;
    answered.map_err(|error| error.to_string())
}

async fn max_threads(address: &Address, patience: Duration) -> Result<u64, String> {
    match stream::ask(address, Command::Stats, patience).await? {
        Said::Stats(stats) => {
            stats.max_threads.map(|threads| threads as u64).ok_or("STATS does not tell it".to_owned())
        }
        other => Err(format!("STATS was answered {other:?}")),
    }
}

async fn look(backend: &BackendConfig, patience: Duration) -> Found {
    let pid = stream::peer(&backend.address, patience).await;
    let backend = backend.clone();
    let looking = tokio::task::spawn_blocking(move || find::look(&backend, pid));
    looking.await.unwrap_or_else(|error| Found { settings: Err(error.to_string()), temporary: None })
}
