//! What a client hands over to be scanned.

use std::{fs::File, io, os::unix::fs::FileExt};

use tokio::io::AsyncReadExt;

use super::{ask::LARGEST_SPECIMEN, peer::Peer};

/// More than any medium of a test.
const LARGEST_READ: usize = 32 << 20;

/// The bytes to scan, as far as they were taken.
pub(super) struct Intake {
    pub(super) bytes: Vec<u8>,
    /// How a reply names them.
    pub(super) name: &'static str,
    /// Bytes of a stream's chunk that were announced and not taken yet; nothing where all is there.
    announced: Option<usize>,
}

impl Intake {
    /// Nothing to scan.
    pub(super) fn none() -> Self {
        Self { bytes: Vec::new(), name: "stream", announced: None }
    }

    /// Takes the first chunk of a stream, which is enough to tell a canary, or as much as no canary has.
    pub(super) async fn stream(peer: &mut dyn Peer) -> io::Result<Self> {
        let announced = peer.read_u32().await? as usize;
        let mut intake = Self { announced: (announced > 0).then_some(announced), ..Self::none() };
        intake.take(peer, announced.min(LARGEST_SPECIMEN)).await?;
        Ok(intake)
    }

    /// Takes a descriptor and reads the file behind it from its beginning, whatever its position is; nothing if there is
    /// no descriptor.
    pub(super) async fn descriptor(peer: &mut dyn Peer) -> io::Result<Option<Self>> {
        let Some(descriptor) = peer.descriptor().await? else { return Ok(None) };
        let file = File::from(descriptor);
        // A specimen is as long as the largest medium, and all but its beginning is a hole.
        let len = usize::try_from(file.metadata()?.len()).expect("test media are small").min(LARGEST_READ);
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(Some(Self { bytes, name: "fd[9]", announced: None }))
    }

    /// Takes all that is left.
    pub(super) async fn rest(&mut self, peer: &mut dyn Peer) -> io::Result<()> {
        while let Some(announced) = self.announced {
            self.take(peer, announced).await?;
            let next = peer.read_u32().await? as usize;
            self.announced = (next > 0).then_some(next);
        }
        Ok(())
    }

    async fn take(&mut self, peer: &mut dyn Peer, len: usize) -> io::Result<()> {
        let at = self.bytes.len();
        self.bytes.resize(at + len, 0);
        peer.read_exact(&mut self.bytes[at..]).await?;
        self.announced = self.announced.map(|announced| announced - len);
        Ok(())
    }
}
