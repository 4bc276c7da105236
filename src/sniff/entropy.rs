//! How much the bytes say.

/// Shannon entropy of all bytes, in thousandths of a bit for each byte.
pub(super) fn of<'a>(windows: impl IntoIterator<Item = &'a [u8]>) -> u16 {
    let (mut counts, mut len) = ([0_u32; 256], 0_u32);
    for window in windows {
        for byte in window {
            counts[usize::from(*byte)] += 1;
        }
        len += u32::try_from(window.len()).unwrap_or(u32::MAX);
    }
    let share = |count: &u32| f64::from(*count) / f64::from(len);
    let bits: f64 = counts.iter().filter(|count| **count > 0).map(share).map(|share| -share * share.log2()).sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8000")]
    let thousandths = (bits * 1000.0).round().clamp(0.0, 8000.0) as u16;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_that_of_the_bytes() {
        let every: Vec<u8> = (0..=u8::MAX).collect();
        for (bytes, thousandths) in [(&b""[..], 0), (b"aaaa", 0), (b"abab", 1000), (b"abcd", 2000), (&every, 8000)] {
            assert_eq!(of([bytes]), thousandths, "{}", bytes.escape_ascii());
        }
        assert_eq!(of([&b"ab"[..], b"cd"]), 2000, "over all windows");
    }
}
