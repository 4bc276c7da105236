//! `lazaret migrate pickle`: the key of a scanner that used libolm.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use vodozemac::pk_encryption::PkDecryption;
use zeroize::{Zeroize, Zeroizing};

use super::mcs::read::{self, Settings};
use crate::{
    cli::ConfigArgs,
    crypto::envelope::secrets::{self, Place, Secret, Secrets},
};

/// The pickle's key, where it is in no file.
const KEY_VARIABLE: &str = "LAZARET_PICKLE_KEY";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The scanner's configuration, which names the pickle and its key.
    #[arg(long, value_name = "CONFIG", required_unless_present = "pickle")]
    from: Option<PathBuf>,
    /// The pickle, if no configuration names it or it has moved.
    #[arg(long, value_name = "FILE")]
    pickle: Option<PathBuf>,
    /// File with the pickle's key; a line break at its end is left out. Without it, and without a configuration, the
    /// key is taken from the environment variable `LAZARET_PICKLE_KEY`.
    #[arg(long, value_name = "FILE")]
    pickle_key_file: Option<PathBuf>,
    /// The secrets' file; else `crypto.request_secret_path` of Lazaret's configuration.
    #[arg(long, short, value_name = "FILE", conflicts_with = "config")]
    output: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Have its public key published from now on, instead of only opening what is encrypted to it.
    #[arg(long)]
    current: bool,
}

impl Args {
    fn target(&self) -> anyhow::Result<PathBuf> {
        match &self.output {
            Some(output) => Ok(output.clone()),
            None => Ok(self.config.load()?.crypto.request_secret_path),
        }
    }

    fn pickle(&self, settings: Option<&Settings>) -> anyhow::Result<PathBuf> {
        let named = || settings.and_then(|settings| settings.pickle_path.clone());
        self.pickle.clone().or_else(named).context("the scanner's configuration names no pickle; add --pickle FILE")
    }

    fn key(&self, settings: Option<&Settings>) -> anyhow::Result<Zeroizing<String>> {
        if let Some(file) = &self.pickle_key_file {
            let text = Zeroizing::new(read_text(file)?);
            return Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let named = settings.and_then(|settings| settings.pickle_key.clone());
        let variable = || std::env::var(KEY_VARIABLE).ok().map(Zeroizing::new);
        named
            .or_else(variable)
            .with_context(|| format!("the pickle's key is missing; add --pickle-key-file FILE or set {KEY_VARIABLE}"))
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.from.as_deref().map(read::file).transpose()?;
    let path = args.pickle(settings.as_ref())?;
    let secret = unpickle(&read_text(&path)?, args.key(settings.as_ref())?.as_bytes())
        .with_context(|| format!("{} cannot be opened with that key", path.display()))?;
    let target = args.target()?;
    let secrets = secrets::import(&target, &secret, if args.current { Place::Current } else { Place::Older })?;
    println!("{}", told(&secret, &secrets, &target)?);
    Ok(ExitCode::SUCCESS)
}

fn unpickle(pickle: &str, key: &[u8]) -> anyhow::Result<Secret> {
    let key = PkDecryption::from_libolm_pickle(pickle.trim(), key)?;
    let mut bytes = key.secret_key().to_bytes();
    let secret = Zeroizing::new(*bytes);
    bytes.zeroize();
    Ok(secret)
}

fn told(secret: &Secret, all: &Secrets, target: &Path) -> anyhow::Result<String> {
    let key = secrets::public_key(secret);
    let all = all.public_keys();
    let place = all.iter().position(|other| *other == key).context("the secret is not in the file")?;
    let role = if place == 0 { "current" } else { "older" };
    Ok(format!("{key}  {role}, in {}", target.display()))
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_that_of_the_pickle() {
        let key = PkDecryption::new();
        let pickle = key.to_libolm_pickle(b"the key").unwrap();
        let secret = unpickle(&format!("{pickle}\n"), b"the key").unwrap();
        assert_eq!(secrets::public_key(&secret), key.public_key().to_base64());
        assert_eq!(*secret, *key.secret_key().to_bytes());
    }

    #[test]
    fn a_wrong_key_or_another_file_gives_nothing() {
        let pickle = PkDecryption::new().to_libolm_pickle(b"the key").unwrap();
        for (pickle, key) in [(&*pickle, &b"another"[..]), (&pickle, b""), ("", b"the key"), ("x", b"the key")] {
            let error = unpickle(pickle, key).unwrap_err();
            assert!(!format!("{error:#}").contains("the key"), "{error:#}");
        }
    }
}
