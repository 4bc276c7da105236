//! Taking off a `Content-Encoding: gzip` that nobody asked for.

use std::{io, sync::Arc};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::{io::AsyncReadExt, task::consume_budget};
use tokio_util::io::StreamReader;

use super::{Filling, READ_SIZE, Spool, SpoolError};

/// Most decoded bytes for each encoded one. Deflate reaches 1032, but not with anything that someone would look at.
const MOST_PER_BYTE: u64 = 200;

/// Decoded bytes that any body may have, so that small ones of nothing but zeros or spaces pass.
const ALWAYS_ALLOWED: u64 = 1024 * 1024;

/// Why a body was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum GunzipError {
    /// It is no gzip, damaged, cut off, or followed by something else; or it could not be read from the spool.
    #[error("the body cannot be decoded: {0}")]
    Malformed(#[source] io::Error),
    /// It becomes far larger than a medium would: more than 200 times its size and 1 MiB.
    #[error("the body is a decompression bomb")]
    Bomb,
    /// What came out could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Decodes a body of one or more gzip members (RFC 1952 §2.2) from its first byte to its last. Takes memory for a piece
/// at a time, besides what `into` holds; stops as soon as there is too much, and `into` gives everything back.
pub async fn gunzip(encoded: &Arc<Spool>, mut into: Filling) -> Result<Spool, GunzipError> {
    let most = encoded.len().saturating_mul(MOST_PER_BYTE).saturating_add(ALWAYS_ALLOWED);
    let mut reader = GzipDecoder::new(StreamReader::new(Box::pin(encoded.stream())));
    reader.multiple_members(true);
    let (mut decoded, mut piece) = (0, vec![0; READ_SIZE]);
    loop {
        let len = reader.read(&mut piece).await.map_err(GunzipError::Malformed)?;
        if len == 0 {
            return Ok(into.finish().await?);
        }
        decoded += len as u64;
        if decoded > most {
            return Err(GunzipError::Bomb);
        }
        into.write(&piece[..len]).await?;
        // Memory is always ready, and decoding takes long: others get their turn.
        consume_budget().await;
    }
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::write::GzipEncoder;
    use tokio::io::AsyncWriteExt;

    use super::{
        super::{
            Spooler,
            tests::{read, spooler},
        },
        *,
    };

    async fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzipEncoder::new(Vec::new());
        encoder.write_all(bytes).await.unwrap();
        encoder.shutdown().await.unwrap();
        encoder.into_inner()
    }

    async fn decode(spooler: &Arc<Spooler>, encoded: &[u8]) -> Result<Vec<u8>, GunzipError> {
        let decoded = gunzip(&Arc::new(Spool::of(encoded)), spooler.begin(1 << 24, None)).await?;
        Ok(read(&Arc::new(decoded)).await)
    }

    fn medium(len: u32) -> Vec<u8> {
        (0..len).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[tokio::test]
    async fn bodies_of_all_sizes_are_decoded() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 24);
        for len in [0, 1, 10_000, 10_001, 700_000] {
            let (body, encoded) = (medium(len), gzip(&medium(len)).await);
            assert_eq!(decode(&spooler, &encoded).await.unwrap(), body, "{len}");
            let mut on_disk = spooler.begin(1 << 24, Some(1 << 24));
            on_disk.write(&encoded).await.unwrap();
            let on_disk = Arc::new(on_disk.finish().await.unwrap());
            let decoded = gunzip(&on_disk, spooler.begin(1 << 24, None)).await.unwrap();
            assert_eq!(read(&Arc::new(decoded)).await, body, "{len} from disk");
        }
    }

    #[tokio::test]
    async fn all_members_are_decoded() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 24);
        let parts = [&medium(100_000)[..], b"", b"second", b"third"];
        let mut encoded = Vec::new();
        for part in parts {
            encoded.extend(gzip(part).await);
        }
        assert_eq!(decode(&spooler, &encoded).await.unwrap(), parts.concat());
    }

    #[tokio::test]
    async fn what_is_not_gzip_from_end_to_end_is_refused() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 24);
        let good = gzip(b"a medium of no great length").await;
        for len in 0..good.len() {
            let cut = decode(&spooler, &good[..len]).await;
            assert!(matches!(cut, Err(GunzipError::Malformed(_))), "{len}: {cut:?}");
            let second_cut = [&good[..], &good[..len]].concat();
            assert_eq!(decode(&spooler, &second_cut).await.is_ok(), len == 0, "{len} of the second member");
        }
        let changed = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        for (name, body) in [
            ("trailing text", [&good[..], b"x"].concat()),
            ("trailing zeros", [&good[..], &[0; 512]].concat()),
            ("a wrong checksum", changed(good.len() - 8)),
            ("a wrong length", changed(good.len() - 1)),
            ("no gzip", medium(5_000)),
        ] {
            let refused = decode(&spooler, &body).await;
            assert!(matches!(refused, Err(GunzipError::Malformed(_))), "{name}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn a_bomb_is_stopped_and_takes_nothing_with_it() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 30);
        let bomb = gzip(&vec![0; 8 << 20]).await;
        let limit = bomb.len() as u64 * MOST_PER_BYTE + ALWAYS_ALLOWED;
        assert!(limit < 8 << 20);
        let stopped = gunzip(&Arc::new(Spool::of(&bomb)), spooler.begin(1 << 30, None)).await;
        assert!(matches!(stopped, Err(GunzipError::Bomb)), "{stopped:?}");
        assert_eq!(spooler.disk.used(), 0);
        let harmless = vec![0; 1 << 20];
        assert_eq!(decode(&spooler, &gzip(&harmless).await).await.unwrap(), harmless);
    }

    #[tokio::test]
    async fn a_decoded_body_is_bounded_like_any_other() {
        let (_dir, spooler) = spooler(10_000, 1 << 20, 1 << 24);
        let encoded = Arc::new(Spool::of(&gzip(&medium(50_000)).await));
        let too_large = gunzip(&encoded, spooler.begin(49_999, None)).await;
        assert!(matches!(too_large, Err(GunzipError::Spool(SpoolError::TooLarge))), "{too_large:?}");
        assert!(gunzip(&encoded, spooler.begin(50_000, None)).await.is_ok());
    }
}
