//! What an attachment costs before any engine sees it: hash of the ciphertext, decryption, hash of the plaintext. Beside
//! it the two libraries alone, which are the most that could be reached.

use aes::Aes256;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use lazaret::crypto::attachment::AttachmentKey;
use sha2::{Digest, Sha256};

const SIZE: usize = 1 << 20;
const PIECE: usize = 64 << 10;

fn attachment(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attachment");
    group.throughput(Throughput::Bytes(SIZE as u64));
    let fresh = || vec![0x5a_u8; SIZE];

    group.bench_function("hash and decrypt", |bencher| {
        let key = AttachmentKey::new([1; 32], [2; 16], [3; 32]);
        let run = |mut body: Vec<u8>| {
            let (mut decryptor, mut hash) = (key.decryptor(), Sha256::new());
            for piece in body.chunks_mut(PIECE) {
                hash.update(&*piece);
                decryptor.apply(piece);
            }
            (hash.finalize(), body)
        };
        bencher.iter_batched(fresh, run, BatchSize::LargeInput);
    });
    group.bench_function("hash and decrypt, libraries alone", |bencher| {
        let run = |mut body: Vec<u8>| {
            let hash = Sha256::digest(&body);
            Ctr128BE::<Aes256>::new(&[1; 32].into(), &[2; 16].into()).apply_keystream(&mut body);
            (hash, body)
        };
        bencher.iter_batched(fresh, run, BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, attachment);
criterion_main!(benches);
