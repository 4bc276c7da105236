//! From a ciphertext to a plaintext that touches no disk.

use std::{io, sync::Arc};

use futures_util::{TryStreamExt, future::ready};
use sha2::{Digest as _, Sha256};

use super::{InspectError, Inspector};
use crate::{
    crypto::attachment::AttachmentKey,
    plaintext::Plaintext,
    spool::{Digest, Spool},
};

impl Inspector {
    /// The plaintext in memory, or, where that has no room, a way to read it, and its digest.
    pub(super) async fn decrypt(
        &self,
        body: Arc<Spool>,
        key: AttachmentKey,
    ) -> Result<(Plaintext, Digest), InspectError> {
        let (spooler, ciphertext, opener) = (Arc::clone(&self.stages.spooler), Arc::clone(&body), key.clone());
        let _turn = self.turns.acquire().await.map_err(|_| InspectError::Aborted)?;
        let hold = move || spooler.hold_in_memory(ciphertext.len(), |file| decrypt_into(file, &ciphertext, &opener));
        if let Some(spool) = tokio::task::spawn_blocking(hold).await?? {
            let digest = *spool.digest();
            return Ok((Plaintext::Held(Arc::new(spool)), digest));
        }
        let keystream = Arc::new(move |at| {
            let mut decryptor = key.decryptor_at(at);
            Box::new(move |piece: &mut [u8]| decryptor.apply(piece)) as _
        });
        let plaintext = Plaintext::Keyed { ciphertext: body, keystream };
        let hash = |mut hash: Sha256, piece: bytes::Bytes| {
            hash.update(&piece);
            ready(Ok(hash))
        };
        let digest = plaintext.stream().try_fold(Sha256::new(), hash).await?.finalize().into();
        Ok((plaintext, digest))
    }
}

/// Decrypts into a memory file, piece by piece.
fn decrypt_into(file: &mut impl io::Write, ciphertext: &Spool, key: &AttachmentKey) -> io::Result<Digest> {
    let (mut decryptor, mut hash, mut at) = (key.decryptor(), Sha256::new(), 0);
    while at < ciphertext.len() {
        let mut piece = ciphertext.read_piece_blocking(at)?;
        decryptor.apply(&mut piece);
        hash.update(&piece);
        file.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(hash.finalize().into())
}
