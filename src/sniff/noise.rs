//! Bytes that could be ciphertext.
//!
//! What was compressed looks the same: its statistic, below, is hardly larger (250 to 330 for Deflate). The header of
//! its format tells it from ciphertext, if it has one that is known.

/// Fewer bytes than this have no distribution to speak of.
const FEWEST: usize = 256;

/// Largest chi-square statistic of byte counts, against all 256 values being equally likely, that is called noise. It
/// has 255 degrees of freedom, so that of random bytes is 255 ± 23. Of 20 million random heads of 256 bytes, where the
/// tail is longest, 71 were above 380, two above 400 and none above 420. Of 8 KiB, it is above 1000 for loud PCM, above
/// 4000 for Chinese in UTF-16 and above 40000 for machine code; a value that is 1.2 % of the bytes too frequent suffices.
const MOST: u64 = 420;

/// True if `head`, the first of `size` bytes, is neither text nor has any pattern in its bytes. Small bodies that are no
/// text are noise, since nothing shows that they are not.
pub(super) fn is_noise(head: &[u8], size: u64) -> bool {
    let cut = (head.len() as u64) < size;
    !head.is_empty() && !is_text(head, cut) && (head.len() < FEWEST || is_uniform(head))
}

/// UTF-8 with no control characters but white space; its last character may be cut in two if there is more to come.
pub(super) fn is_text(bytes: &[u8], cut: bool) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c'))
}

fn is_uniform(bytes: &[u8]) -> bool {
    let mut counts = [0_u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let (len, squares) = (bytes.len() as u64, counts.iter().map(|count| count * count).sum::<u64>());
    // squares * 256 / len - len <= MOST
    squares * 256 <= (MOST + len) * len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> bool {
        is_noise(bytes, bytes.len() as u64)
    }

    fn random(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    /// Sixteen bits a sample: a tone, with a little hiss.
    fn pcm(amplitude: f64, len: usize) -> Vec<u8> {
        let hiss = random(7, len).into_iter().map(|byte| f64::from(byte) / 2.0);
        #[expect(clippy::cast_possible_truncation, reason = "the samples are in range")]
        let sample = |(at, hiss)| ((at as f64 * 0.05).sin() * amplitude + hiss) as i16;
        hiss.enumerate().map(sample).flat_map(i16::to_le_bytes).take(len).collect()
    }

    /// Rows of a colour gradient, three bytes a pixel.
    fn bitmap() -> Vec<u8> {
        let row = |y: u8| (0..128_u8).flat_map(move |x| [x, y, x / 2 + y / 2]);
        [&b"\0\0"[..], &(0..20).flat_map(row).collect::<Vec<_>>()].concat()
    }

    #[test]
    fn formats_without_a_known_header_are_not_noise() {
        let executable = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let middle = executable.len() / 2;
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let mut sparse = vec![0; 8192];
        sparse[4000..5000].copy_from_slice(&random(3, 1000));
        for (name, bytes) in [
            ("the head of a program", executable[..8192].to_vec()),
            ("the middle of a program", executable[middle..middle + 8192].to_vec()),
            ("a bitmap", bitmap()),
            ("quiet PCM", pcm(2_000.0, 8192)),
            ("loud PCM", pcm(30_000.0, 8192)),
            ("mostly zeros", sparse),
            ("UTF-16", utf16(&"Nobody expects a quarantine station. ".repeat(8))),
            ("Chinese in UTF-16", utf16(&"检疫站在港口等待每一艘船。".repeat(40))),
            ("Latin-1", b"Gr\xfc\xdfe aus der Quarant\xe4ne. ".repeat(12)),
            ("noise in 7 bits", random(5, 8192).iter().map(|byte| byte & 0x7f).collect()),
        ] {
            assert!(!whole(&bytes), "{name}");
        }
    }

    #[test]
    fn text_is_not_noise_however_short() {
        for text in ["x", "{\"a\":1}\r\n", "Grüße", "検疫", "a\tb\x0c", "\u{feff}x"] {
            assert!(!whole(text.as_bytes()), "{text}");
        }
        for not in [&b"a\0"[..], b"\x1b[0m", b"a\x7f", b"\xff", b"gr\xfcn", "a\u{85}".as_bytes()] {
            assert!(whole(not), "{}", not.escape_ascii());
        }
        assert!(!whole(b""));
    }

    #[test]
    fn a_character_may_be_cut_by_the_end_of_the_head_only() {
        let cut = "ü".as_bytes().split_at(1).0;
        assert!(!is_noise(cut, 2));
        assert!(is_noise(cut, 1));
        assert!(is_noise(b"\xc3x", 9), "cut in the middle");
    }

    proptest! {
        #[test]
        fn random_bytes_are_noise(seed in any::<u64>(), len in 64..8192_usize) {
            prop_assert!(whole(&random(seed, len)));
            prop_assert!(is_noise(&random(seed, len), 1 << 30));
        }
    }
}
